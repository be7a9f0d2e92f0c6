//! `flaplab bench bring-up`: what labs cost.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use harness::capsule::Capsule;
use harness::clock;
use harness::jobs::machine;
use harness::protocol::{Assignment, Order, Place, Purpose, Report, Stage};
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
    let timed = timed?;
    if json {
        let object = serde_json::json!({
            "tool": "flaplab", "bring_up_s": timed.bring_up_s, "teardown_s": timed.teardown_s,
            "sessions": timed.sessions, "memory_mib": timed.memory_mib, "used_mib": timed.used_mib,
            "cpu_s": timed.cpu_s,
        });
        println!("{object}");
    } else {
        println!(
            "{} session ends Established after {:.2} s; gone after {:.2} s",
            timed.sessions, timed.bring_up_s, timed.teardown_s
        );
        if let Some((memory_mib, cpu_s)) = timed.memory_mib.zip(timed.cpu_s) {
            println!(
                "its processes took {memory_mib} MiB (PSS) and {cpu_s:.2} s of CPU time; the machine's available \
                 memory fell by {} MiB",
                timed.used_mib
            );
        }
    }
    Ok(Exit::Done)
}

/// A bring-up and teardown.
struct Timed {
    /// To the last router-to-router session, seconds.
    bring_up_s: f64,
    /// To the end of the last process, seconds.
    teardown_s: f64,
    /// Number of those session ends.
    sessions: usize,
    /// Memory of all processes once the sessions are up, MiB.
    memory_mib: Option<u64>,
    /// What the lab took of the machine's available memory by then, the kernel's share of it
    /// included, MiB. Other programs are in it, too.
    used_mib: u64,
    /// CPU time of all processes by then, seconds.
    cpu_s: Option<f64>,
}

async fn time(
    scenario: topologies::ResolvedScenario,
    run: &RunDir,
    began_ns: u64,
) -> anyhow::Result<Timed> {
    let available = machine::available_bytes();
    let injector = scenario.topology.injector().addresses.clone();
    let mut capsule = Capsule::spawn(Some(run.path())).await?;
    let assignment = Assignment {
        scenario,
        clock: clock::begin(),
        purpose: Purpose::Stay,
        place: Place::Own,
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
    let used = available.saturating_sub(machine::available_bytes());
    let memory_mib = machine::memory_bytes(capsule.init_pid()).map(|bytes| bytes >> 20);
    let cpu_s = machine::cpu_s(capsule.init_pid());
    let (sessions, last_ns) = last_session(&run.events()?.items, &injector);
    let bring_up_s = Duration::from_nanos(last_ns.saturating_sub(began_ns)).as_secs_f64();
    let closing = Instant::now();
    capsule.close().await?;
    Ok(Timed {
        bring_up_s,
        teardown_s: closing.elapsed().as_secs_f64(),
        sessions,
        memory_mib,
        used_mib: used >> 20,
        cpu_s,
    })
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
