//! `flaplab campaign status`: how far tasks and runs are.
//!
//! *Assumes* that the campaign's directory tells which runs are there. *Guarantees* that Slurm is asked
//! only for what it still has to do, so that a cluster without accounting, or one that has forgotten
//! the job, gives the same answer; and that nothing is changed.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use results::CampaignDir;
use serde::Serialize;

use super::args::StatusArgs;
use super::census::{Census, Fate};
use super::counted;
use super::script::for_shell;
use super::slurm::{self, Told};
use super::submission::{self, Selection, Submission};
use crate::Exit;

/// How often `--watch` looks: Slurm's administrators ask for no more.
const EVERY: Duration = Duration::from_secs(5);
/// Tasks told one by one.
const TOLD: usize = 20;

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// All its runs are there.
    Done,
    /// It runs.
    Running,
    /// It waits for its turn.
    Pending,
    /// It is over, and runs of it are missing.
    Lost,
    /// It was written and never submitted, as far as is known.
    Prepared,
    /// Runs of it are missing, and Slurm does not answer.
    Unknown,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Done => "done",
            State::Running => "running",
            State::Pending => "pending",
            State::Lost => "lost",
            State::Prepared => "prepared",
            State::Unknown => "unknown",
        }
    }

    const ALL: [State; 6] = [
        State::Done,
        State::Running,
        State::Pending,
        State::Lost,
        State::Prepared,
        State::Unknown,
    ];
}

/// `--json`; the names are an interface, docs/slurm.md.
#[derive(Debug, PartialEq, Serialize)]
struct Report {
    campaign: String,
    scenario: String,
    runs: Runs,
    submissions: Vec<Submitted>,
    /// Why Slurm was not heard, if it was not.
    slurm_error: Option<String>,
    /// What to do next.
    next: String,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Runs {
    wanted: usize,
    /// In `runs/`, or published by a task.
    complete: usize,
    /// Of these, in `runs/`.
    merged: usize,
    /// Of the complete ones, with an invalidating finding.
    invalid: usize,
    /// Begun, and not ended as planned.
    unfinished: usize,
    missing: usize,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Submitted {
    number: u32,
    path: String,
    jobs: Vec<u32>,
    tasks: Vec<Task>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Task {
    task: usize,
    state: State,
    runs: usize,
    complete: usize,
    /// Slurm's own word for the state, if it has one.
    slurm: Option<String>,
    node: Option<String>,
    reason: Option<String>,
    log: String,
}

/// Tells how far a campaign is.
pub(crate) async fn status(args: &StatusArgs) -> anyhow::Result<Exit> {
    let campaign = CampaignDir::open(&args.campaign)?;
    let mut last = String::new();
    loop {
        let report = report(&campaign)?;
        let text = if !args.json {
            describe(&report)
        } else if args.watch {
            serde_json::to_string(&report)? + "\n"
        } else {
            serde_json::to_string_pretty(&report)? + "\n"
        };
        if text != last {
            crate::print(&text)?;
            last = text;
        }
        if !args.watch {
            return Ok(Exit::Done);
        }
        let stands = |s| count(&report, s) == 0;
        if [State::Running, State::Pending, State::Unknown]
            .into_iter()
            .all(stands)
        {
            let whole = report.runs.complete == report.runs.wanted;
            return Ok(if whole {
                Exit::Done
            } else {
                Exit::DoubtfulRuns
            });
        }
        tokio::select! {
            stop = crate::up::signalled() => {
                stop?;
                return Ok(Exit::Interrupted);
            }
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

fn report(campaign: &CampaignDir) -> anyhow::Result<Report> {
    let submissions = Submission::all(campaign)?;
    let scenario = submission::chosen(campaign, &submissions)?;
    let mut slurm_error = None;
    let mut heard = Vec::new();
    // Slurm first: what a task publishes between the two looks is then seen.
    for submission in &submissions {
        let jobs = submission.jobs()?;
        let told = match slurm::tasks(&jobs) {
            Ok(told) => Some(told),
            Err(e) => {
                slurm_error = Some(e.to_string());
                None
            }
        };
        heard.push((jobs, told));
    }
    let census = Census::take(campaign, &scenario)?;
    let mut submitted = Vec::new();
    for (submission, (jobs, told)) in submissions.iter().zip(heard) {
        let tasks = submission.tasks.iter().enumerate();
        let tasks = tasks.map(|(i, runs)| {
            let there = runs.iter().filter(|r| census.fate(r).is_complete());
            let complete = there.count();
            let told_of = told.as_ref().map(|t| latest(t, &jobs, i + 1));
            let state = judge(complete == runs.len(), !jobs.is_empty(), told_of);
            let told = told_of.flatten();
            let said =
                |field: fn(&Told) -> &String| told.map(field).filter(|s| !s.is_empty()).cloned();
            Task {
                task: i + 1,
                state,
                runs: runs.len(),
                complete,
                slurm: said(|t| &t.state),
                node: said(|t| &t.node),
                reason: said(|t| &t.reason),
                log: submission.log(i + 1).display().to_string(),
            }
        });
        submitted.push(Submitted {
            number: submission.number,
            path: submission.path().display().to_string(),
            tasks: tasks.collect(),
            jobs,
        });
    }
    let merged = census.count(Fate::Merged);
    let mut report = Report {
        campaign: campaign.path().display().to_string(),
        scenario: scenario.name().to_owned(),
        runs: Runs {
            wanted: census.runs.len(),
            complete: merged + census.count(Fate::Arrived),
            merged,
            invalid: census.invalid(),
            unfinished: census.count(Fate::Unfinished),
            missing: census.count(Fate::Missing),
        },
        submissions: submitted,
        slurm_error,
        next: String::new(),
    };
    report.next = next(&report, &submission::wanted(&submissions)?);
    Ok(report)
}

/// What Slurm says of a task: of the job that still has it, or else of the latest.
fn latest<'a>(told: &'a HashMap<slurm::Name, Told>, jobs: &[u32], task: usize) -> Option<&'a Told> {
    let of_jobs = || jobs.iter().rev().filter_map(|job| told.get(&(*job, task)));
    of_jobs()
        .find(|t| !is_over(&t.state))
        .or_else(|| of_jobs().next())
}

/// Whether a task in this state of Slurm's does nothing more. A word that came with a later Slurm is
/// taken for one of a task that still does.
pub(crate) fn is_over(state: &str) -> bool {
    [
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "REVOKED",
        "TIMEOUT",
    ]
    .contains(&state)
}

/// How far a task is, from whether its runs are there and what Slurm says: nothing if Slurm was not
/// heard, and nothing within that if it does not know the task (any more).
fn judge(complete: bool, submitted: bool, told: Option<Option<&Told>>) -> State {
    match told {
        _ if complete => State::Done,
        _ if !submitted => State::Prepared,
        None => State::Unknown,
        Some(None) => State::Lost,
        Some(Some(told)) if is_over(&told.state) => State::Lost,
        Some(Some(told)) => match told.state.as_str() {
            "PENDING" | "CONFIGURING" | "REQUEUED" | "REQUEUE_FED" | "REQUEUE_HOLD"
            | "RESV_DEL_HOLD" | "SPECIAL_EXIT" => State::Pending,
            _ => State::Running,
        },
    }
}

fn count(report: &Report, state: State) -> usize {
    let tasks = report.submissions.iter().flat_map(|s| &s.tasks);
    tasks.filter(|t| t.state == state).count()
}

/// What the user does next.
fn next(report: &Report, wanted: &Selection) -> String {
    let runs = &report.runs;
    let dir = for_shell(&report.campaign);
    let busy = count(report, State::Running) + count(report, State::Pending);
    if busy > 0 {
        return format!("flaplab campaign status {dir} --watch    tells when this changes");
    }
    if runs.merged < runs.complete {
        return format!("flaplab campaign merge {dir}    takes the runs that have arrived");
    }
    if runs.complete < runs.wanted {
        let mut command =
            format!("flaplab campaign submit {dir}/scenario.yaml --slurm --out {dir}");
        if let Some(n) = wanted.runs {
            let _ = write!(command, " --runs {n}");
        }
        if let Some(seed) = wanted.seed {
            let _ = write!(command, " --seed {seed}");
        }
        for strategy in &wanted.strategies {
            let _ = write!(command, " --strategy {strategy}");
        }
        return format!("{command}    submits the runs that are missing");
    }
    format!("flaplab analyze {dir}    computes tables and figures")
}

fn describe(report: &Report) -> String {
    let runs = &report.runs;
    let mut text = format!(
        "{}: {} of {} runs are complete ({} in the campaign, {} to be merged)",
        report.scenario,
        runs.complete,
        runs.wanted,
        runs.merged,
        runs.complete - runs.merged
    );
    for (n, what) in [
        (runs.invalid, "invalid"),
        (runs.unfinished, "not ended as planned"),
        (runs.missing, "missing"),
    ] {
        if n > 0 {
            let _ = write!(text, ", {n} {what}");
        }
    }
    text.push('\n');
    for submission in &report.submissions {
        let jobs: Vec<String> = submission.jobs.iter().map(u32::to_string).collect();
        let jobs = match jobs.len() {
            0 => "not submitted".to_owned(),
            1 => format!("job {}", jobs[0]),
            _ => format!("jobs {}", jobs.join(", ")),
        };
        let of = |state: State| submission.tasks.iter().filter(|t| t.state == state).count();
        let counts: Vec<String> = (State::ALL.into_iter().filter(|s| of(*s) > 0))
            .map(|s| format!("{} {}", of(s), s.word()))
            .collect();
        let _ = writeln!(
            text,
            "submission {} ({jobs}), {}: {}",
            submission.number,
            counted(submission.tasks.len(), "task"),
            counts.join(", ")
        );
        // Of those that were never submitted there is no more to tell.
        let open = |t: &&Task| !matches!(t.state, State::Done | State::Prepared);
        for task in submission.tasks.iter().filter(open).take(TOLD) {
            tell_task(&mut text, task);
        }
        let more = submission
            .tasks
            .iter()
            .filter(open)
            .count()
            .saturating_sub(TOLD);
        if more > 0 {
            let _ = writeln!(text, "  and {more} more (--json lists all)");
        }
    }
    if let Some(e) = &report.slurm_error {
        let _ = writeln!(text, "warning: what is queued or running is not known: {e}");
    }
    text + &report.next + "\n"
}

fn tell_task(text: &mut String, task: &Task) {
    let _ = write!(
        text,
        "  task {:<4} {:8} {} of {}",
        task.task,
        task.state.word(),
        task.complete,
        counted(task.runs, "run")
    );
    let said = [&task.slurm, &task.reason].into_iter().flatten();
    let said: Vec<&str> = said.map(String::as_str).collect();
    if !said.is_empty() {
        let _ = write!(text, "  {}", said.join(": "));
    }
    if let Some(node) = &task.node {
        let _ = write!(text, " on {node}");
    }
    if task.state == State::Lost {
        let _ = write!(text, "; it said: {}", task.log);
    }
    text.push('\n');
}

#[cfg(test)]
mod tests;
