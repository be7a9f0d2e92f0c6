//! The command line.

use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use analysis::arms::Metric;
use analysis::needed::Wanted;
use clap::{Parser, Subcommand, ValueEnum};
use harness::jobs::Jobs;
use ipnet::Ipv4Net;
use topologies::Strategy;

use crate::campaign::CampaignCommand;

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
    /// Carry out a published study, or what is missing of it, and compare
    Reproduce(ReproduceArgs),
    /// Carry out a campaign on many machines: submit, follow, merge
    #[command(subcommand)]
    Campaign(CampaignCommand),
    /// Recompute metrics, figures and tables of a campaign or a study from its records
    Analyze {
        /// The directory of a campaign, or of a study
        campaign: PathBuf,
        /// Of a study: write the small set that is published of it to this directory, too
        #[arg(long, value_name = "DIR")]
        publish: Option<PathBuf>,
        /// Of a campaign: tell how many runs a mean needs for a 95 % interval of that half width, in
        /// the metric's unit or as a share of the mean (convergence_s=0.1, updates_sent=5%); may be
        /// given several times
        #[arg(long, value_name = "METRIC=HALF_WIDTH", conflicts_with = "publish")]
        wanted: Vec<Wanted>,
    },
    /// Compare two campaigns, arm by arm: two routers, two versions, two days
    Compare {
        /// The directory of a campaign
        a: PathBuf,
        /// The directory of another, which is held against it
        b: PathBuf,
        /// Only this metric, for instance convergence_s; may be given several times
        /// [default: those of the report]
        #[arg(long = "metric", value_name = "METRIC")]
        metrics: Vec<Metric>,
        /// Write figures, differences.csv and the report into this new directory
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Write the folder that goes with a paper: figures, data, LaTeX tables, and how each is redrawn
    Export {
        /// The directory of a campaign
        campaign: PathBuf,
        /// The new directory
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
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
    /// Announce routes to BGP routers, also without a lab
    #[command(subcommand)]
    Injector(InjectorCommand),
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
    /// Runs of each arm in each cell, instead of the scenario's
    #[arg(long)]
    pub(crate) runs: Option<NonZeroU32>,
    /// Labs at a time: a number, or as many as this machine carries without distorting them
    #[arg(long, default_value = "auto")]
    pub(crate) jobs: Jobs,
    /// The campaign's directory; one of the same scenario is gone on with
    /// [default: results/runs/NAME-TIME]
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Only these arms, with commas between; may be given several times
    #[arg(long = "strategy", value_name = "STRATEGY")]
    #[arg(value_delimiter = ',', value_parser = parse_strategy)]
    pub(crate) strategies: Vec<Strategy>,
    /// Seed, instead of the scenario's
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// How often a run that fails or is invalid is made again [default: 2; with --keep 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1000))]
    pub(crate) repeats: Option<u32>,
    /// Leave the lab of a run that fails up, to look into with `flaplab shell`
    #[arg(long)]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) tell: TellArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReproduceArgs {
    /// Which study
    #[arg(value_enum)]
    pub(crate) study: Study,
    /// Runs of each arm of each scenario
    #[arg(long, default_value = "100")]
    pub(crate) runs: NonZeroU32,
    /// Labs at a time: a number, or as many as this machine carries without distorting them
    #[arg(long, default_value = "auto")]
    pub(crate) jobs: Jobs,
    /// How often a run that fails or is invalid is made again [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1000))]
    pub(crate) repeats: Option<u32>,
    /// The study's directory; what is there already stays, and is not made again
    /// [default: results/runs/STUDY]
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Write the small set that is published of a study to this directory, too
    #[arg(long, value_name = "DIR")]
    pub(crate) publish: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) tell: TellArgs,
}

/// What is told, and how.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct TellArgs {
    /// Tell nothing on the way, only the result
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Print what happens as JSON lines, see docs/live-view.md; the result goes to standard error
    #[arg(long)]
    pub(crate) json: bool,
}

impl TellArgs {
    /// Prints the result for people.
    pub(crate) fn print(self, text: &str) -> std::io::Result<()> {
        if !self.json {
            return crate::print(text);
        }
        // Standard output has JSON lines and nothing else.
        if !self.quiet {
            eprint!("{text}");
        }
        Ok(())
    }
}

/// Studies that can be reproduced.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Study {
    /// Surton (2014), chapters 3 and 4
    #[value(name = "surton2014")]
    Surton2014,
}

impl std::fmt::Display for Study {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Surton2014 => "surton2014",
        })
    }
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
    /// The cell of the scenario's matrix, by its name [default: the first]
    #[arg(long)]
    pub(crate) cell: Option<String>,
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
    /// The cell of the scenario's matrix, by its name [default: the first]
    #[arg(long)]
    pub(crate) cell: Option<String>,
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
pub(crate) enum InjectorCommand {
    /// Speak BGP as configured, until SIGTERM or Ctrl-C; prints what happens as JSON lines
    Run {
        /// The configuration (YAML or JSON), see docs/injector.md
        config: PathBuf,
    },
    /// Check a configuration, and the files that it names
    Check {
        /// The configuration (YAML or JSON)
        config: PathBuf,
    },
    /// Have a running injector announce a route, in place of what it announced of the prefix
    Announce {
        #[command(flatten)]
        to: ControlArgs,
        /// To whom: address of a peer
        #[arg(long)]
        peer: Ipv4Addr,
        /// The prefix
        prefix: Ipv4Net,
        /// The AS path, our own number first [default: our own number alone]
        #[arg(long, value_delimiter = ',', value_name = "ASN,...")]
        as_path: Vec<u32>,
        /// MULTI_EXIT_DISC
        #[arg(long)]
        med: Option<u32>,
    },
    /// Have a running injector withdraw a prefix
    Withdraw {
        #[command(flatten)]
        to: ControlArgs,
        /// From whom: address of a peer
        #[arg(long)]
        peer: Ipv4Addr,
        /// The prefix
        prefix: Ipv4Net,
    },
    /// Show the sessions of a running injector
    Show {
        #[command(flatten)]
        to: ControlArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct ControlArgs {
    /// The injector's control socket: `control` in its configuration
    #[arg(long, value_name = "SOCKET")]
    pub(crate) control: PathBuf,
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
    /// Tell how much of a campaign's time went into the experiment itself
    Campaign {
        /// The campaign; without one a small one is carried out, and removed
        campaign: Option<PathBuf>,
        /// Labs at a time of the small one; of a campaign that is there, if it has not noted that
        #[arg(long, default_value = "auto")]
        jobs: Jobs,
        /// Runs of each arm of the small one
        #[arg(long, default_value = "5")]
        runs: NonZeroU32,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Time how flaplab's own injector announces a table to a sink
    Injector {
        /// Number of routes
        #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        routes: u32,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn parse_strategy(text: &str) -> Result<Strategy, String> {
    let all = Strategy::ALL;
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
