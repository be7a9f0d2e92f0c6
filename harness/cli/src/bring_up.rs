//! `flaplab bench`: what labs cost.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use harness::capsule::Capsule;
use harness::clock;
use harness::protocol::{Assignment, Order, Purpose, Report, Stage};
use results::{EventKind, RunDir};
use topologies::{Scenario, Strategy};

use crate::Exit;
use crate::args::BenchCommand;

/// Times one bring-up and teardown.
pub(crate) async fn bench(command: BenchCommand) -> anyhow::Result<Exit> {
    let BenchCommand::BringUp { routers, json } = command;
    let began_ns = clock::monotonic_ns();
    let text = format!(
        "schema: 1\nname: bring-up\ntopology: {{kind: clique, size: {routers}}}\nfailure: {{kind: control}}\n\
         deadlines: {{established: 600s}}\n"
    );
    let scenario = Scenario::parse(&text, "--routers")?.resolve(Strategy::None, 0);
    let dir = std::env::temp_dir().join(format!("flaplab-bench-{}", std::process::id()));
    let run = RunDir::create(&dir)?;
    let timed = time(scenario, &run, began_ns).await;
    std::fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))?;
    let (bring_up_s, teardown_s, sessions) = timed?;
    if json {
        let object = serde_json::json!({
            "tool": "flaplab", "bring_up_s": bring_up_s, "teardown_s": teardown_s, "sessions": sessions,
        });
        println!("{object}");
    } else {
        println!(
            "{sessions} session ends Established after {bring_up_s:.2} s; gone after {teardown_s:.2} s"
        );
    }
    Ok(Exit::Done)
}

/// Returns the time to the last router-to-router session, the time to the end of the last
/// process, and the number of those session ends.
async fn time(
    scenario: topologies::ResolvedScenario,
    run: &RunDir,
    began_ns: u64,
) -> anyhow::Result<(f64, f64, usize)> {
    let injector = scenario.topology.injector().addresses.clone();
    let mut capsule = Capsule::spawn(Some(run.path())).await?;
    let assignment = Assignment {
        scenario,
        clock: clock::begin(),
        purpose: Purpose::Stay,
    };
    capsule.send(&Order::Assign(Box::new(assignment))).await?;
    loop {
        match capsule.receive().await? {
            Report::Progress {
                stage: Stage::Up, ..
            } => break,
            Report::Kept { error } => bail!("{error}"),
            _ => {}
        }
    }
    let events = run.events()?.items;
    let up: Vec<u64> = events
        .iter()
        .filter(|e| e.kind == EventKind::Session && e.detail.get("up") == Some(&true.into()))
        .filter(|e| {
            !injector
                .iter()
                .any(|a| e.target.ends_with(&format!(" {a}")))
        })
        .map(|e| e.t_mono_ns)
        .collect();
    let last = up.iter().max().context("no session came up")?;
    let bring_up_s = Duration::from_nanos(last - began_ns).as_secs_f64();
    let closing = Instant::now();
    capsule.close().await?;
    Ok((bring_up_s, closing.elapsed().as_secs_f64(), up.len()))
}
