//! `flaplab up`: a lab to look around in.

use harness::capsule::Capsule;
use harness::clock;
use harness::protocol::{Assignment, Order, Place, Purpose, Report, Stage};
use harness::standing::{self, Description};
use results::{RunDir, Status};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use topologies::Scenario;

use crate::Exit;
use crate::args::UpArgs;

/// Comes back on SIGINT, SIGTERM or SIGHUP.
pub(crate) async fn signalled() -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

/// Brings a lab up, and leaves it up until it is told to end.
pub(crate) async fn up(args: UpArgs) -> anyhow::Result<Exit> {
    let scenario = Scenario::load(&args.scenario)?;
    let lab = args
        .lab
        .clone()
        .unwrap_or_else(|| scenario.name().to_owned());
    let strategy = args.strategy.unwrap_or(scenario.strategies()[0]);
    let scenario = crate::topo::resolve(&scenario, args.cell.as_deref(), strategy, 0)?;
    harness::versions::versions(&scenario)?;
    let run = args.out.as_ref().map(RunDir::create).transpose()?;
    if let Some(run) = &run {
        run.write_topology(&scenario.topology)?;
        run.write_scenario(&scenario)?;
    }
    let nodes: Vec<String> = scenario
        .topology
        .nodes
        .iter()
        .map(|n| n.name.clone())
        .collect();
    let mut capsule = Capsule::spawn(run.as_ref().map(RunDir::path)).await?;
    let (down, mut downs) = mpsc::unbounded_channel();
    let description = Description {
        lab: lab.clone(),
        init_pid: capsule.init_pid(),
        nodes,
    };
    let service = standing::serve(description, down)?;
    let assignment = Assignment {
        scenario,
        clock: clock::begin(),
        purpose: Purpose::Stay,
        place: Place::Own,
    };
    capsule.send(&Order::Assign(Box::new(assignment))).await?;

    let (mut ending, mut establishing) = (false, false);
    let outcome = loop {
        let report = tokio::select! {
            report = capsule.receive() => report?,
            stop = signalled() => {
                stop?;
                if ending {
                    // The lab ends with this process, if not in order.
                    return Ok(Exit::Interrupted);
                }
                ending = true;
                capsule.send(&Order::End).await?;
                continue;
            }
            _ = downs.recv(), if !ending => {
                ending = true;
                capsule.send(&Order::End).await?;
                continue;
            }
        };
        match report {
            Report::Progress {
                stage: Stage::Up, ..
            } => welcome(&lab),
            Report::Progress {
                stage: Stage::Establish,
                text,
            } => {
                // A line for each of hundreds of sessions would tell nobody anything.
                if !establishing {
                    eprintln!("waiting for {text}");
                }
                establishing = true;
            }
            Report::Progress { text, .. } => eprintln!("{text}"),
            Report::Kept { error } => {
                eprintln!(
                    "error: {error}\nthe rest of the lab is left up to look into; Ctrl-C ends it"
                );
            }
            Report::Ended(outcome) => break outcome,
            Report::Examined(_) => {}
        }
    };
    capsule.close().await?;
    drop(service);
    eprintln!("{lab} is down");
    Ok(if outcome.status == Status::Failed {
        Exit::Failed
    } else {
        Exit::Done
    })
}

fn welcome(lab: &str) {
    println!(
        "{lab} is up. In another terminal:\n  \
         flaplab shell r1                                a shell at r1: ip route, ss\n  \
         flaplab shell r1 -- vtysh -c 'show bgp summary'  ask the router\n  \
         flaplab down                                    end it (or Ctrl-C here)"
    );
}
