//! `flaplab run`: a campaign from its scenario to its figures.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::Context;
use harness::campaign::{self, CampaignEvent, CampaignPlan, Tally};
use harness::standing::{self, Description};
use tokio::sync::{broadcast, mpsc, watch};
use topologies::Scenario;

use crate::Exit;
use crate::args::RunArgs;
use crate::progress::Progress;

/// Carries out a campaign, analyzes it and prints the result.
pub(crate) async fn run(args: RunArgs) -> anyhow::Result<Exit> {
    let scenario = load(&args)?;
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.map_or(2 * cpus, usize::from);
    let out = args.out.clone().unwrap_or_else(|| default_out(&scenario));
    let runs = scenario.runs() as usize * scenario.strategies().len();
    let progress = Progress::new(args.quiet, runs, jobs);
    let plan = CampaignPlan {
        scenario,
        jobs,
        keep: args.keep,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        tool_commit: env!("FLAPLAB_COMMIT").to_owned(),
    };

    let (stopper, stop) = watch::channel(false);
    let interrupted = tokio::spawn(stop_on_signal(stopper, args.quiet));
    let (events, inbox) = mpsc::unbounded_channel();
    let (release, _) = broadcast::channel(16);
    let nodes = node_names(&plan.scenario);
    let telling = tokio::spawn(tell(progress, inbox, nodes, release.clone()));
    let tally = campaign::carry_out(plan, &out, events, stop.clone(), release).await;
    // The events end with the campaign, and the telling with them.
    telling.await.context("showing the progress")?;
    let tally = tally?;
    interrupted.abort();

    let stopped = *stop.borrow();
    let begun = tally.complete + tally.failed + tally.aborted;
    let mut valid = 0;
    if begun > 0 {
        let result = analysis::analyze(&out)?;
        valid = result.valid_runs();
        crate::print(&result.to_string())?;
    }
    report(&tally, valid, &out, stopped);
    Ok(match (stopped, valid == begun) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::Done,
        (false, false) => Exit::DoubtfulRuns,
    })
}

fn load(args: &RunArgs) -> anyhow::Result<Scenario> {
    let mut scenario = Scenario::load(&args.scenario)?;
    if let Some(runs) = args.runs {
        scenario = scenario.with_runs(runs);
    }
    if let Some(seed) = args.seed {
        scenario = scenario.with_seed(seed);
    }
    Ok(scenario.with_strategies(&args.strategies))
}

fn default_out(scenario: &Scenario) -> PathBuf {
    let stamp = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    PathBuf::from(format!("results/runs/{}-{stamp}", scenario.name()))
}

fn node_names(scenario: &Scenario) -> Vec<String> {
    let resolved = scenario.resolve(scenario.strategies()[0], 0);
    resolved
        .topology
        .nodes
        .into_iter()
        .map(|n| n.name)
        .collect()
}

/// Stops the campaign on the first SIGINT or SIGTERM, and this process on the second: the
/// capsules end with it.
async fn stop_on_signal(stopper: watch::Sender<bool>, quiet: bool) {
    for _ in 0..2 {
        if crate::up::signalled().await.is_err() {
            return;
        }
        if *stopper.borrow() {
            std::process::exit(Exit::Interrupted as i32);
        }
        if !quiet {
            eprintln!(
                "\nstopping: closing the records of the labs that are up; once more to stop at once"
            );
        }
        stopper.send_replace(true);
    }
}

/// Shows the progress, and serves the labs that are kept.
async fn tell(
    mut progress: Progress,
    mut inbox: mpsc::UnboundedReceiver<CampaignEvent>,
    nodes: Vec<String>,
    release: broadcast::Sender<String>,
) {
    let mut kept = HashMap::new();
    while let Some(event) = inbox.recv().await {
        progress.note(&event);
        match event {
            CampaignEvent::Kept {
                run_id, init_pid, ..
            } => {
                let (down, mut downs) = mpsc::unbounded_channel();
                let lab = Description {
                    lab: run_id.clone(),
                    init_pid,
                    nodes: nodes.clone(),
                };
                match standing::serve(lab, down) {
                    Ok(service) => drop(kept.insert(run_id.clone(), service)),
                    Err(e) => progress.say(&format!("the kept lab cannot be entered: {e}")),
                }
                let release = release.clone();
                tokio::spawn(async move {
                    if downs.recv().await.is_some() {
                        // Nobody listens once the run has ended by itself.
                        let _ = release.send(run_id);
                    }
                });
            }
            CampaignEvent::Ended { run_id, .. } => drop(kept.remove(&run_id)),
            CampaignEvent::Begun { .. } | CampaignEvent::Progress { .. } => {}
        }
    }
    progress.finish();
}

fn report(tally: &Tally, valid: usize, out: &std::path::Path, stopped: bool) {
    let begun = tally.complete + tally.failed + tally.aborted;
    if stopped {
        eprintln!(
            "stopped: {} of {} runs are complete; what was recorded is in {}",
            tally.complete,
            begun + tally.left,
            out.display()
        );
    } else if valid < begun {
        eprintln!(
            "{} of {begun} runs failed and {} are invalid; findings.csv in {} says why",
            tally.failed,
            tally.complete.saturating_sub(valid),
            out.display()
        );
    }
}
