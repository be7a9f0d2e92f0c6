//! The command line.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use topologies::Strategy;

/// Breaks networks of real BGP routers, and measures what it cost.
#[derive(Debug, Parser)]
#[command(name = "flaplab", version, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Carry out the runs of a scenario, record them and analyze them
    Run(RunArgs),
    /// Recompute metrics, figures and the table of a campaign from its records
    Analyze {
        /// The campaign's directory
        campaign: PathBuf,
    },
    /// Tell what this machine can and cannot do, and the remedy
    Doctor {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Look at the topology of a scenario
    #[command(subcommand)]
    Topo(TopoCommand),
    /// Bring a lab up to look around in; it stays until Ctrl-C or `flaplab down`
    Up(UpArgs),
    /// Enter a node of a lab that is up, or run a command there
    Shell {
        /// The node, for instance r1 or injector
        node: String,
        /// The lab, if several are up
        #[arg(long)]
        lab: Option<String>,
        /// What to run instead of a shell
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Take a lab down
    Down {
        /// The lab, if several are up
        #[arg(long)]
        lab: Option<String>,
    },
    /// Time what labs cost
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Print the JSON Schema of scenarios
    Schema,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// The scenario (YAML)
    pub(crate) scenario: PathBuf,
    /// Runs of each arm, instead of the scenario's
    #[arg(long)]
    pub(crate) runs: Option<NonZeroU32>,
    /// Labs at a time [default: twice the CPUs]
    #[arg(long)]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// The campaign's directory, which must not exist [default: results/runs/NAME-TIME]
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Only these arms; may be given several times
    #[arg(long = "strategy", value_parser = parse_strategy)]
    pub(crate) strategies: Vec<Strategy>,
    /// Seed, instead of the scenario's
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Leave the lab of a run that fails up, to look into with `flaplab shell`
    #[arg(long)]
    pub(crate) keep: bool,
    /// Tell nothing on the way, only the result
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TopoCommand {
    /// Print nodes, links and addresses
    Show(ShowArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// The scenario (YAML)
    pub(crate) scenario: PathBuf,
    /// In which form
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Number of the run whose draws are shown
    #[arg(long, default_value_t = 0)]
    pub(crate) run: u32,
    /// Seed, instead of the scenario's
    #[arg(long)]
    pub(crate) seed: Option<u64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// A table
    Text,
    /// Graphviz
    Dot,
    /// A picture
    Svg,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UpArgs {
    /// The scenario (YAML)
    pub(crate) scenario: PathBuf,
    /// The arm [default: the scenario's first]
    #[arg(long, value_parser = parse_strategy)]
    pub(crate) strategy: Option<Strategy>,
    /// Name of the lab [default: the scenario's]
    #[arg(long)]
    pub(crate) lab: Option<String>,
    /// Keep the lab's records in this new directory
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Time the bring-up and the teardown of a clique
    BringUp {
        /// Number of routers
        #[arg(long, default_value_t = 16)]
        routers: usize,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

fn parse_strategy(text: &str) -> Result<Strategy, String> {
    let all = [Strategy::None, Strategy::GracefulRestart];
    all.into_iter()
        .find(|s| s.to_string() == text)
        .ok_or_else(|| {
            let names: Vec<String> = all.iter().map(Strategy::to_string).collect();
            format!(
                "there is no such strategy; there are {}",
                names.join(" and ")
            )
        })
}
