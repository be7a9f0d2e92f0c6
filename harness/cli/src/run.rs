//! `flaplab run`: a campaign from its scenario to its figures.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use analysis::Report;
use anyhow::Context;
use harness::campaign::{self, CampaignEvent, CampaignPlan, Tally};
use harness::standing::{self, Description};
use tokio::sync::{broadcast, mpsc, watch};
use topologies::Scenario;

use crate::Exit;
use crate::args::RunArgs;
use crate::progress::Progress;

/// How a campaign is carried out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// Labs at a time.
    pub(crate) jobs: usize,
    /// Whether a failed lab is left up.
    pub(crate) keep: bool,
    /// Whether nothing is told on the way.
    pub(crate) quiet: bool,
}

impl Manner {
    pub(crate) fn new(jobs: Option<std::num::NonZeroUsize>, keep: bool, quiet: bool) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            jobs: jobs.map_or(2 * cpus, usize::from),
            keep,
            quiet,
        }
    }
}

/// A campaign that was carried out, as far as it came.
struct Carried {
    /// How its runs ended.
    tally: Tally,
    /// What it has shown; none if it has no run.
    report: Option<Report>,
}

impl Carried {
    /// Whether every run in the directory counts.
    fn is_sound(&self) -> bool {
        self.report
            .as_ref()
            .is_none_or(|r| r.valid_runs() == r.runs)
    }
}

/// Carries out a campaign, analyzes it and prints the result.
pub(crate) async fn run(args: RunArgs) -> anyhow::Result<Exit> {
    let scenario = load(&args)?;
    let out = args.out.clone().unwrap_or_else(|| default_out(&scenario));
    let (stopper, stop) = watch::channel(false);
    let interrupted = tokio::spawn(stop_on_signal(stopper, args.quiet));
    let manner = Manner::new(args.jobs, args.keep, args.quiet);
    let carried = carry_out(scenario, &out, manner, &stop).await?;
    interrupted.abort();
    let stopped = *stop.borrow();
    if let Some(report) = &carried.report {
        crate::print(&report.to_string())?;
    }
    tell_end(&carried, &out, stopped);
    Ok(match (stopped, carried.is_sound()) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::Done,
        (false, false) => Exit::DoubtfulRuns,
    })
}

/// Carries out a campaign, or what is missing of it, and analyzes what is there.
async fn carry_out(
    scenario: Scenario,
    out: &Path,
    manner: Manner,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<Carried> {
    let tally = make_runs(scenario, out, manner, stop).await?;
    let any = tally.there + tally.complete + tally.failed + tally.aborted > 0;
    let report = any.then(|| analysis::analyze(out)).transpose()?;
    Ok(Carried { tally, report })
}

/// Makes the runs of a campaign that are missing.
pub(crate) async fn make_runs(
    scenario: Scenario,
    out: &Path,
    manner: Manner,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<Tally> {
    let runs = scenario.runs() as usize * scenario.strategies().len();
    let progress = Progress::new(manner.quiet, runs, manner.jobs);
    let plan = CampaignPlan {
        scenario,
        jobs: manner.jobs,
        keep: manner.keep,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        tool_commit: env!("FLAPLAB_COMMIT").to_owned(),
    };
    let (events, inbox) = mpsc::unbounded_channel();
    let (release, _) = broadcast::channel(16);
    let nodes = node_names(&plan.scenario);
    let telling = tokio::spawn(tell(progress, inbox, nodes, release.clone()));
    let tally = campaign::carry_out(plan, out, events, stop.clone(), release).await;
    // The events end with the campaign, and the telling with them.
    telling.await.context("showing the progress")?;
    Ok(tally?)
}

fn load(args: &RunArgs) -> anyhow::Result<Scenario> {
    let mut scenario = Scenario::load(&args.scenario)?;
    if let Some(runs) = args.runs {
        scenario = scenario.with_runs(runs);
    }
    if let Some(seed) = args.seed {
        scenario = scenario.with_seed(seed);
    }
    scenario
        .with_strategies(&args.strategies)
        .with_context(|| format!("{}: --strategy", args.scenario.display()))
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
pub(crate) async fn stop_on_signal(stopper: watch::Sender<bool>, quiet: bool) {
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
            CampaignEvent::Resumed { .. }
            | CampaignEvent::Begun { .. }
            | CampaignEvent::Progress { .. } => {}
        }
    }
    progress.finish();
}

/// Says what there is to say of the end of a campaign.
fn tell_end(carried: &Carried, out: &Path, stopped: bool) {
    let tally = &carried.tally;
    let complete = tally.there + tally.complete;
    if stopped {
        eprintln!(
            "stopped: {complete} of {} runs are complete; what was recorded is in {}, and the same \
             command with --out goes on from there",
            complete + tally.failed + tally.aborted + tally.left,
            out.display()
        );
    } else if let Some(report) = carried.report.as_ref().filter(|_| !carried.is_sound()) {
        eprintln!(
            "{} of {} runs failed and {} are invalid; findings.csv in {} says why",
            tally.failed,
            report.runs,
            (report.runs - report.valid_runs()).saturating_sub(tally.failed),
            out.display()
        );
    }
}
