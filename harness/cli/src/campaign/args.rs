//! The command line of `flaplab campaign`.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use clap::Subcommand;
use topologies::Strategy;

use crate::args::parse_strategy;

/// `flaplab campaign`.
#[derive(Debug, Subcommand)]
pub(crate) enum CampaignCommand {
    /// Write what is missing of a campaign as tasks of a batch engine, and submit them
    Submit(SubmitArgs),
    /// Tell how far the tasks and the runs of a campaign are
    Status(StatusArgs),
    /// Bring the runs that tasks or other campaigns have made into a campaign
    Merge(MergeArgs),
    /// Make the runs of one task: what the batch engine calls
    Task(TaskArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct SubmitArgs {
    /// The scenario (YAML)
    pub(crate) scenario: PathBuf,
    /// Submit a job array to Slurm
    #[arg(long, required_unless_present = "dry_run")]
    pub(crate) slurm: bool,
    /// The campaign's directory, on a file system that the nodes share; one of the same scenario is gone on with
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// Runs of each arm, instead of the scenario's
    #[arg(long)]
    pub(crate) runs: Option<NonZeroU32>,
    /// Only these arms, with commas between; may be given several times
    #[arg(long = "strategy", value_name = "STRATEGY")]
    #[arg(value_delimiter = ',', value_parser = parse_strategy)]
    pub(crate) strategies: Vec<Strategy>,
    /// Seed, instead of the scenario's
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Labs that a task has up at a time; it asks for half as many CPUs
    #[arg(long, value_name = "LABS", default_value = "2")]
    pub(crate) jobs: NonZeroUsize,
    /// Runs that a task makes, one lot of labs after the other [default: 8, more if that would be
    /// more than 1000 tasks]
    #[arg(long, value_name = "N")]
    pub(crate) runs_per_task: Option<NonZeroUsize>,
    /// Where a task makes its runs before it publishes them, such as `/tmp`, seen by its node alone
    /// [default: in the campaign's directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) scratch: Option<PathBuf>,
    /// Partition of the cluster
    #[arg(long)]
    pub(crate) partition: Option<String>,
    /// Longest time of a task, as sbatch understands it, for instance 2:00:00
    #[arg(long)]
    pub(crate) time: Option<String>,
    /// A further option of sbatch, for instance --sbatch-arg=--mem=8G; may be given several times
    #[arg(long = "sbatch-arg", value_name = "OPTION", allow_hyphen_values = true)]
    pub(crate) sbatch_args: Vec<String>,
    /// Write everything and submit nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    /// The campaign's directory
    pub(crate) campaign: PathBuf,
    /// Tell again whenever something has changed, until nothing waits or runs any more
    #[arg(long)]
    pub(crate) watch: bool,
    /// Print JSON; with --watch, a line for each change
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct MergeArgs {
    /// The campaign's directory
    pub(crate) campaign: PathBuf,
    /// Further campaigns whose runs are copied, beside those of the campaign's own tasks
    pub(crate) from: Vec<PathBuf>,
    /// Seed that the runs were made with, if it was given on a command line [default: that of the
    /// last `submit`, or the scenario's]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TaskArgs {
    /// What `flaplab campaign submit` wrote: CAMPAIGN/slurm/N
    pub(crate) submission: PathBuf,
    /// Number of the task, from 1: a line of its file `tasks`
    pub(crate) task: NonZeroUsize,
    /// Labs at a time
    #[arg(long, value_name = "LABS", default_value = "2")]
    pub(crate) jobs: NonZeroUsize,
    /// Where the runs are made before they are published [default: in the campaign's directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) scratch: Option<PathBuf>,
}
