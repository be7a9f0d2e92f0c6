//! `flaplab campaign submit`: from a scenario to the tasks of a batch engine.
//!
//! *Assumes* a directory that the nodes see under the same path. *Guarantees* that a run which is
//! there, or which a task still has to make, is not submitted again; and that all of it can be
//! done by hand with what was written.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, bail};
use harness::judge::{Judge, Verdict};
use harness::resume;
use results::CampaignDir;
use topologies::Scenario;

use super::args::SubmitArgs;
use super::census::Census;
use super::script::{Script, for_shell};
use super::status::is_over;
use super::submission::{Record, Selection, Submission};
use super::{counted, slurm, tasks};
use crate::Exit;

/// Writes the tasks for what is missing of a campaign, and submits them.
pub(crate) fn submit(args: &SubmitArgs) -> anyhow::Result<Exit> {
    let selection = Selection {
        runs: args.runs,
        seed: args.seed,
        strategies: args.strategies.clone(),
    };
    let scenario = selection.of(Scenario::load(&args.scenario)?, &args.scenario)?;
    let claimed = CampaignDir::claim(&args.out, scenario.text())?;
    // Nodes have another working directory.
    let path = args.out.canonicalize();
    let path = path.with_context(|| format!("cannot find {}", args.out.display()))?;
    let campaign = CampaignDir::open(path)?;
    if claimed.resumed {
        // What is there is compared, and moved aside if it was interrupted; to repeat what is invalid is
        // the tasks' part.
        let judge = Judge::new(|_| Verdict {
            valid: true,
            findings: Vec::new(),
        });
        let runs = harness::campaign::runs(&scenario);
        resume::resume(&campaign, &scenario, runs, &judge, 1)?;
    }
    let before = Submission::all(&campaign)?;
    same_seed(&campaign, &before, scenario.seed())?;
    let census = Census::take(&campaign, &scenario)?;
    let mut missing = census.missing();
    let all = census.runs.len();
    let there = all - missing.len();
    let waiting = match queued(&before) {
        Ok(waiting) => waiting,
        Err(e) if args.dry_run => {
            eprintln!("warning: runs that are queued already may be among these: {e}");
            HashSet::new()
        }
        Err(e) => return Err(e),
    };
    missing.retain(|run| !waiting.contains(run));
    let queued = all - there - missing.len();
    if missing.is_empty() {
        println!(
            "nothing to submit: {there} of {} complete, {queued} queued or running",
            counted(all, "run")
        );
        return Ok(Exit::Done);
    }
    let submission = write(args, &campaign, &scenario, selection, &missing)?;
    let tasks = submission.tasks.len();
    println!(
        "{} of {} in {} ({there} complete, {queued} queued or running): {}",
        missing.len(),
        counted(all, "run"),
        counted(tasks, "task"),
        submission.path().display()
    );
    let status = format!("flaplab campaign status {}", shell_path(&args.out));
    if args.dry_run {
        let script = shell_path(&submission.script());
        let folder = shell_path(submission.path());
        println!(
            "nothing was submitted. To do it by hand:\n  sbatch {script}\n\
             without Slurm, with GNU parallel (docs/slurm.md):\n  \
             parallel --sshlogin NODE,NODE flaplab campaign task {folder} ::: $(seq {tasks})\n\
             {status}    tells how far it is"
        );
        return Ok(Exit::Done);
    }
    let job = slurm::submit(&submission.script()).map_err(|e| without_slurm(e, &submission))?;
    submission.note_job(job)?;
    println!("submitted as job {job}; {status} --watch    follows it");
    Ok(Exit::Done)
}

/// Writes a submission of these runs.
fn write(
    args: &SubmitArgs,
    campaign: &CampaignDir,
    scenario: &Scenario,
    selection: Selection,
    missing: &[String],
) -> anyhow::Result<Submission> {
    let tasks = tasks::tasks(missing, args.runs_per_task);
    let flaplab = std::env::current_exe().context("cannot tell where flaplab itself is")?;
    let count = tasks.len();
    let script = |path: &Path| {
        let script = Script {
            scenario: scenario.name(),
            submission: path,
            tasks: count,
            runs: missing.len(),
            flaplab: &flaplab,
            jobs: args.jobs.get(),
            scratch: args.scratch.as_deref(),
            partition: args.partition.as_deref(),
            time: args.time.as_deref(),
            sbatch_args: &args.sbatch_args,
        };
        script.text()
    };
    Submission::create(campaign, Record::now(scenario, selection), tasks, script)
}

/// Refuses to mix runs of two seeds, also where none of the first has arrived yet.
fn same_seed(campaign: &CampaignDir, before: &[Submission], seed: u64) -> anyhow::Result<()> {
    let text = campaign.scenario_text()?;
    let own = Scenario::parse(&text, &campaign.scenario_path().display().to_string())?.seed();
    for submission in before {
        let theirs = submission.record.selection.seed.unwrap_or(own);
        if theirs != seed {
            bail!(
                "{} was submitted with seed {theirs}, and this would be seed {seed}: runs of two seeds \
                 would be mixed; give the same --seed, or name another directory (--out)",
                submission.path().display()
            );
        }
    }
    Ok(())
}

/// Runs that a task which waits or runs still has to make.
fn queued(before: &[Submission]) -> anyhow::Result<HashSet<String>> {
    let mut waiting = HashSet::new();
    for submission in before {
        let jobs = submission.jobs()?;
        if jobs.is_empty() {
            continue;
        }
        for ((_, index), told) in slurm::tasks(&jobs)? {
            let task = index.checked_sub(1).and_then(|i| submission.tasks.get(i));
            if let Some(runs) = task.filter(|_| !is_over(&told.state)) {
                waiting.extend(runs.iter().cloned());
            }
        }
    }
    Ok(waiting)
}

/// What can be done where Slurm is not.
fn without_slurm(e: slurm::SlurmError, submission: &Submission) -> anyhow::Error {
    let hint = match e {
        slurm::SlurmError::NotHere { .. } => format!(
            "; everything is written: there, run\n  sbatch {}\n  or, without Slurm, with GNU parallel (docs/slurm.md):\n  \
             parallel --sshlogin NODE,NODE flaplab campaign task {} ::: $(seq {})",
            shell_path(&submission.script()),
            shell_path(submission.path()),
            submission.tasks.len()
        ),
        _ => String::new(),
    };
    anyhow::anyhow!("{e}{hint}")
}

fn shell_path(path: &Path) -> String {
    for_shell(&path.display().to_string())
}
