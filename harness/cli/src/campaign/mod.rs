//! `flaplab campaign`: the runs of one campaign, made on many machines.
//!
//! *Assumes* that the machines see the campaign's directory under one path; not that locks work
//! between them. *Guarantees* that a task adds to a directory of its own only, that `runs/` is added
//! to by the one process that has claimed the campaign, and that what is there decides which runs are
//! missing: a batch engine is asked for what it still has to do, never for what was done.

mod args;
mod census;
mod merge;
mod script;
mod slurm;
mod status;
mod submission;
mod submit;
mod task;
mod tasks;

pub(crate) use args::CampaignCommand;

use crate::Exit;

/// Carries out one of the commands.
pub(crate) fn execute(command: CampaignCommand) -> anyhow::Result<Exit> {
    match command {
        CampaignCommand::Submit(args) => submit::submit(&args),
        CampaignCommand::Status(args) => crate::runtime()?.block_on(status::status(&args)),
        CampaignCommand::Merge(args) => merge::merge(&args),
        CampaignCommand::Task(args) => crate::runtime()?.block_on(task::task(args)),
    }
}

/// A number of things, in words.
fn counted(count: usize, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}
