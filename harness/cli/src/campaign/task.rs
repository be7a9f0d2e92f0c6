//! `flaplab campaign task`: the runs of one task, on whatever machine a batch engine has chosen.
//!
//! *Assumes* that other tasks are at work in the same campaign, on other machines. *Guarantees* that it
//! writes to a directory of its own only, that each run is published there by one rename once it
//! has ended and is sealed, however it ended, and that a run which is there already is not made.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use harness::campaign::{self, CampaignEvent, CampaignPlan, Tally};
use harness::jobs::Jobs;
use results::merge::publish;
use results::{CampaignDir, DirError, RunDir};
use tokio::sync::{broadcast, mpsc, watch};
use topologies::Scenario;

use super::args::TaskArgs;
use super::census::Census;
use super::submission::Submission;
use crate::Exit;
use crate::args::TellArgs;
use crate::measured::Measured;
use crate::progress::{Progress, RunEnd};
use crate::run;

/// Makes the runs of one task that are not there yet.
pub(crate) async fn task(args: TaskArgs) -> anyhow::Result<Exit> {
    let submission = Submission::open(&args.submission)?;
    if let Some(job) = variable("SLURM_ARRAY_JOB_ID").and_then(|id| id.parse().ok()) {
        submission.note_job(job)?;
    }
    let campaign = submission.campaign()?;
    let path = campaign.scenario_path();
    let scenario = submission
        .record
        .selection
        .of(Scenario::load(&path)?, &path)?;
    let runs = of_task(&submission, &args, &campaign, &scenario)?;
    if runs.is_empty() {
        eprintln!("task {}: all of its runs are there already", args.task);
        return Ok(Exit::Done);
    }
    let name = name();
    let home = home(&campaign, &name, scenario.text())?;
    let work = match &args.scratch {
        None => home.path().join("work"),
        Some(scratch) => scratch.join(format!("flaplab-{name}")),
    };
    let (progress, telling) = Progress::start(TellArgs::default());
    let (stopper, stop) = watch::channel(false);
    let interrupted = tokio::spawn(run::stop_on_signal(stopper, progress.clone()));
    let count = runs.len();
    let made = make(scenario, runs, &args, &work, &home, &stop, &progress).await;
    let told = telling.end(&progress).await;
    interrupted.abort();
    let tally = made?;
    told?;
    eprintln!(
        "task {}: {} of {} complete, in {}",
        args.task,
        tally.complete,
        super::counted(count, "run"),
        home.path().display()
    );
    Ok(if *stop.borrow() {
        Exit::Interrupted
    } else if tally.complete == count {
        Exit::Done
    } else {
        Exit::DoubtfulRuns
    })
}

/// The runs of the task that are not there yet.
fn of_task(
    submission: &Submission,
    args: &TaskArgs,
    campaign: &CampaignDir,
    scenario: &Scenario,
) -> anyhow::Result<Vec<String>> {
    let runs = submission.task(args.task)?;
    let census = Census::take(campaign, scenario)?;
    let known = |id: &String| census.runs.iter().any(|r| r.run.run_id() == *id);
    if let Some(strange) = runs.iter().find(|id| !known(id)) {
        let record = &submission.record;
        anyhow::bail!(
            "this flaplab knows no run {strange} of the scenario: the tasks were written by flaplab {} ({}), and \
             this one is {} ({}); use that one on the nodes, or submit again with this one",
            record.tool_version,
            record.tool_commit,
            env!("CARGO_PKG_VERSION"),
            env!("FLAPLAB_COMMIT")
        );
    }
    let missing = runs.iter().filter(|id| !census.fate(id).is_complete());
    Ok(missing.cloned().collect())
}

/// What tells this task's directory from all others', of an earlier start of the same task too.
fn name() -> String {
    let job = variable("SLURM_ARRAY_JOB_ID").zip(variable("SLURM_ARRAY_TASK_ID"));
    if let Some((job, task)) = job {
        let restart = variable("SLURM_RESTART_COUNT").unwrap_or_else(|| "0".to_owned());
        return format!("{job}_{task}.{restart}");
    }
    let host = nix::unistd::gethostname().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let host: String = host.to_string_lossy().chars().map(plain).collect();
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    format!("{host}-{now}-{}", std::process::id())
}

/// A variable of the environment, if it is set to something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// Makes the directory that the task publishes its runs in.
fn home(campaign: &CampaignDir, name: &str, text: &str) -> Result<CampaignDir, DirError> {
    let tasks = campaign.tasks_dir();
    let mut last = CampaignDir::create(tasks.join(name), text);
    for n in 2..100 {
        match last {
            // The same task was begun by hand in the same allocation.
            Err(DirError::Exists { .. }) => {
                last = CampaignDir::create(tasks.join(format!("{name}-{n}")), text);
            }
            other => return other,
        }
    }
    last
}

/// Makes the runs in `work`, and publishes each in `home`.
async fn make(
    scenario: Scenario,
    runs: Vec<String>,
    args: &TaskArgs,
    work: &Path,
    home: &CampaignDir,
    stop: &watch::Receiver<bool>,
    progress: &Progress,
) -> anyhow::Result<Tally> {
    let jobs = Jobs::Fixed(args.jobs);
    let mut planned = run::planned(&scenario, work, jobs);
    planned.runs.retain(|(run_id, _)| runs.contains(run_id));
    progress.begun(planned);
    let measured = Measured::default();
    let plan = CampaignPlan {
        scenario,
        only: Some(runs),
        judge: measured.judge(),
        repeats: run::REPEATS,
        jobs,
        keep: false,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        tool_commit: env!("FLAPLAB_COMMIT").to_owned(),
    };
    let (events, inbox) = mpsc::unbounded_channel();
    let (release, _) = broadcast::channel(1);
    let (work_dir, to) = (work.to_owned(), home.clone());
    let publishing = publish_all(progress.clone(), measured, inbox, work_dir, to);
    let publishing = tokio::spawn(publishing);
    let tally = campaign::carry_out(plan, work, events, stop.clone(), release).await;
    // The events end with the runs, and the publishing with them.
    let unpublished = publishing.await.context("publishing the runs")?;
    progress.campaign_ended(tally.as_ref().ok().copied()).await;
    clear(work, home);
    let tally = tally?;
    if let Some((run, e)) = unpublished.into_iter().next() {
        return Err(anyhow::Error::from(e).context(format!(
            "{} could not be published, and is kept",
            run.display()
        )));
    }
    Ok(tally)
}

/// Publishes each attempt that has ended. Returns those that could not be, with the reason.
async fn publish_all(
    progress: Progress,
    measured: Measured,
    mut inbox: mpsc::UnboundedReceiver<CampaignEvent>,
    work: PathBuf,
    home: CampaignDir,
) -> Vec<(PathBuf, DirError)> {
    let mut unpublished = Vec::new();
    while let Some(event) = inbox.recv().await {
        progress.event(event.clone());
        let Some(end) = RunEnd::of_event(event) else {
            continue;
        };
        let run = RunDir::at(work.join("runs").join(&end.run_id));
        let figures = measured.take(&end.run_id);
        progress.ended(match figures {
            Some(figures) => end.measured(figures),
            None => end,
        });
        let path = run.path().to_owned();
        let home = home.clone();
        // To a slow file system it may take long, and other labs are measured meanwhile.
        let published = tokio::task::spawn_blocking(move || publish(&run, &home)).await;
        match published {
            Ok(Ok(_)) => {}
            Ok(Err(e)) => {
                progress.say(&format!("{} cannot be published: {e}", path.display()));
                unpublished.push((path, e));
            }
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
    unpublished
}

/// Removes what is of no use any more: the place where the runs were made, and the task's own
/// directory if nothing came of it. What holds anything else than its own frame stays.
fn clear(work: &Path, home: &CampaignDir) {
    const FRAME: [&str; 3] = ["runs", "scenario.yaml", results::Lock::NAME];
    for dir in [work, home.path()] {
        let framed = |e: std::io::Result<fs::DirEntry>| {
            e.is_ok_and(|e| FRAME.iter().any(|f| e.file_name() == *f))
        };
        let only_frame = fs::read_dir(dir).is_ok_and(|mut entries| entries.all(framed));
        // Fails if there is a run in it.
        if only_frame && fs::remove_dir(dir.join("runs")).is_ok() {
            let _ = fs::remove_dir_all(dir);
        }
    }
}
