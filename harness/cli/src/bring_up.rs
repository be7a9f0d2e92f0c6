//! `flaplab bench bring-up`: what labs cost.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use harness::capsule::Capsule;
use harness::clock;
use harness::protocol::{Assignment, Order, Purpose, Report, Stage};
use results::{Event, EventKind, RunDir};
use topologies::{Scenario, Strategy};

use crate::Exit;

/// Times one bring-up and teardown.
pub(crate) async fn bench(routers: usize, json: bool) -> anyhow::Result<Exit> {
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
    let (sessions, last_ns) = last_session(&run.events()?.items, &injector);
    let bring_up_s = Duration::from_nanos(last_ns.saturating_sub(began_ns)).as_secs_f64();
    let closing = Instant::now();
    capsule.close().await?;
    Ok((bring_up_s, closing.elapsed().as_secs_f64(), sessions))
}

/// The number of router-to-router session ends that are up, and since when all of them are.
fn last_session(events: &[Event], injector: &[Ipv4Addr]) -> (usize, u64) {
    let mut up = BTreeMap::new();
    for event in events.iter().filter(|e| e.kind == EventKind::Session) {
        let with_injector = injector
            .iter()
            .any(|a| event.target.ends_with(&format!(" {a}")));
        if with_injector {
            continue;
        }
        match event.detail.get("up") == Some(&true.into()) {
            true => drop(up.insert(&event.target, event.t_mono_ns)),
            false => drop(up.remove(&event.target)),
        }
    }
    (up.len(), up.values().copied().max().unwrap_or(0))
}
