//! `flaplab run`: a campaign from its scenario to its figures.

use std::path::{Path, PathBuf};

use analysis::Report;
use anyhow::Context;
use harness::campaign::{self, CampaignPlan, Tally};
use harness::jobs::Jobs;
use results::CampaignDir;
use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc, watch};
use topologies::Scenario;

use crate::Exit;
use crate::args::RunArgs;
use crate::follow::Following;
use crate::measured::Measured;
use crate::progress::{Plan, Progress};

/// How often a run that fails or is invalid is made again, unless the user says otherwise.
pub(crate) const REPEATS: u32 = 2;

/// How a campaign is carried out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// Labs at a time.
    pub(crate) jobs: Jobs,
    /// How often a run that fails or is invalid is made again.
    pub(crate) repeats: u32,
    /// Whether a failed lab is left up.
    pub(crate) keep: bool,
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

    fn exit(&self, stopped: bool) -> Exit {
        match (stopped, self.is_sound()) {
            (true, _) => Exit::Interrupted,
            (false, true) => Exit::Done,
            (false, false) => Exit::DoubtfulRuns,
        }
    }

    /// What programs are told of the end.
    fn told(&self, exit: Exit, out: &Path) -> Value {
        let files = self.report.as_ref().and_then(|report| {
            let name = |path: PathBuf| path.display().to_string();
            let dir = CampaignDir::open(&report.campaign).ok()?;
            Some(json!({
                "metrics": name(dir.metrics_csv()),
                "summary": name(dir.summary_csv()),
                "differences": name(dir.differences_csv()),
                "sessions": name(dir.sessions_csv()),
                "findings": name(dir.findings_csv()),
                "figures": name(dir.figures_dir()),
            }))
        });
        json!({
            "exit_code": exit as i32,
            "path": out.display().to_string(),
            "files": files,
        })
    }
}

/// Carries out a campaign, analyzes it and prints the result.
pub(crate) async fn run(args: RunArgs) -> anyhow::Result<Exit> {
    let scenario = load(&args)?;
    let out = args.out.clone().unwrap_or_else(|| default_out(&scenario));
    let (progress, telling) = Progress::start(args.tell);
    let (stopper, stop) = watch::channel(false);
    let interrupted = tokio::spawn(stop_on_signal(stopper, progress.clone()));
    // Who looks into a lab that failed does not want two more of the kind.
    let repeats = if args.keep { 0 } else { REPEATS };
    let manner = Manner {
        jobs: args.jobs,
        repeats: args.repeats.unwrap_or(repeats),
        keep: args.keep,
    };
    let carried = carry_out(scenario, &out, manner, &stop, &progress).await;
    let stopped = *stop.borrow();
    let ended = carried.map(|carried| (carried.exit(stopped), carried));
    progress.over(&ended, |(exit, carried)| carried.told(*exit, &out));
    let told = telling.end(&progress).await;
    interrupted.abort();
    let (exit, carried) = ended?;
    if let Some(report) = &carried.report {
        args.tell.print(&report.to_string())?;
    }
    tell_end(&carried, &out, manner, stopped);
    told?;
    Ok(exit)
}

/// Carries out a campaign, or what is missing of it, and analyzes what is there.
async fn carry_out(
    scenario: Scenario,
    out: &Path,
    manner: Manner,
    stop: &watch::Receiver<bool>,
    progress: &Progress,
) -> anyhow::Result<Carried> {
    let tally = make_runs(scenario, out, manner, stop, progress).await?;
    let Tally {
        there,
        spent,
        complete,
        invalid,
        failed,
        aborted,
        left: _,
    } = tally;
    let any = there + spent + complete + invalid + failed + aborted > 0;
    let report = any.then(|| analysis::analyze(out)).transpose()?;
    Ok(Carried { tally, report })
}

/// Makes the runs of a campaign that are missing.
pub(crate) async fn make_runs(
    scenario: Scenario,
    out: &Path,
    manner: Manner,
    stop: &watch::Receiver<bool>,
    progress: &Progress,
) -> anyhow::Result<Tally> {
    let planned = planned(&scenario, out, manner.jobs);
    progress.begun(planned.clone());
    let measured = Measured::default();
    let plan = CampaignPlan {
        scenario,
        only: None,
        judge: measured.judge(),
        repeats: manner.repeats,
        jobs: manner.jobs,
        keep: manner.keep,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        tool_commit: env!("FLAPLAB_COMMIT").to_owned(),
    };
    let (events, inbox) = mpsc::unbounded_channel();
    let (release, _) = broadcast::channel(16);
    let following = Following::new(progress.clone(), &planned, measured, release.clone());
    let following = tokio::spawn(following.follow(inbox));
    let tally = campaign::carry_out(plan, out, events, stop.clone(), release).await;
    // The events end with the campaign, and who follows them with the last one.
    following.await.context("following the campaign")?;
    progress.campaign_ended(tally.as_ref().ok().copied()).await;
    Ok(tally?)
}

/// What a campaign sets out to do, for who is told of it.
pub(crate) fn planned(scenario: &Scenario, out: &Path, jobs: Jobs) -> Plan {
    let mut arms: Vec<String> = Vec::new();
    for cell in scenario.cells() {
        let of_cell = scenario.strategies().iter();
        arms.extend(of_cell.map(|s| analysis::arms::label(*s, cell)));
    }
    // Runs come in the order of arms, number by number.
    let of_each_arm = scenario.resolve_all().take(arms.len()).enumerate();
    let shared = of_each_arm.filter(|(_, run)| !run.fresh).map(|(i, _)| i);
    let shared = shared.collect();
    let numbered = scenario.resolve_all().enumerate();
    let runs = numbered.map(|(i, run)| (run.run_id(), i % arms.len()));
    Plan {
        name: scenario.name().to_owned(),
        path: out.to_owned(),
        runs: runs.collect(),
        shared,
        arms,
        jobs: match jobs {
            Jobs::Auto => None,
            Jobs::Fixed(n) => Some(n.get()),
        },
    }
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

/// Stops the campaign on the first SIGINT or SIGTERM, and this process on the second: the
/// capsules end with it.
pub(crate) async fn stop_on_signal(stopper: watch::Sender<bool>, progress: Progress) {
    for _ in 0..2 {
        if crate::up::signalled().await.is_err() {
            return;
        }
        if *stopper.borrow() {
            std::process::exit(Exit::Interrupted as i32);
        }
        progress.stopping(
            "stopping: closing the records of the labs that are up; once more to stop at once",
        );
        stopper.send_replace(true);
    }
}

/// Says what there is to say of the end of a campaign.
fn tell_end(carried: &Carried, out: &Path, manner: Manner, stopped: bool) {
    let tally = &carried.tally;
    let complete = tally.there + tally.complete;
    if stopped {
        eprintln!(
            "stopped: {complete} of {} runs are complete; what was recorded is in {}, and the same \
             command with --out goes on from there",
            complete + tally.spent + tally.invalid + tally.failed + tally.aborted + tally.left,
            out.display()
        );
    } else if let Some(report) = carried.report.as_ref().filter(|_| !carried.is_sound()) {
        let attempts = manner.repeats + 1;
        eprintln!(
            "{} of {} runs have no valid attempt out of {attempts}; findings.csv in {} says why. The same \
             command with --out and --repeats {} makes more attempts at them",
            report.runs - report.valid_runs(),
            report.runs,
            out.display(),
            manner.repeats + 2
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_planned_which_arms_have_one_lab_for_all_of_their_runs() {
        let text = "name: x\ntopology: {kind: clique, size: 3}\nfailure: {kind: control}\n\
                    strategies: [none, tcpr]\nruns: 2\nmatrix: {fresh: [true, false]}\n";
        let scenario = Scenario::parse(text, "x.yaml").expect("it is valid");
        let plan = planned(&scenario, Path::new("out"), Jobs::Auto);
        assert_eq!(plan.shared, [2, 3]);
        assert_eq!(plan.arms[2], "none, fresh=false");
        assert_eq!(plan.runs.len(), 8);
    }
}
