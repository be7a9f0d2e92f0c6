//! `verify simulate`: sweeps, and single runs to be looked at.
//!
//! *Assumes* nothing.
//! *Guarantees* that what a failure prints is a command that shows it.

use anyhow::{Context as _, bail};
use clap::Args;
use tcpr_core::Mutation;

use super::{Bounds, Crash, Scenario, Summary, control, narrate, sweep};
use crate::Mutant;

/// Simulate the core between two TCPs, with crashes
///
/// With --seed alone, or with --crash, one run is made and told packet by packet. With --seeds, so
/// many seeds from --seed on are swept, with a crash after every packet.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Seed of the run, or the first one of the sweep
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// How many seeds to sweep
    #[arg(long, value_name = "NUMBER", conflicts_with = "crash")]
    seeds: Option<u64>,
    /// Crashes, as PACKET:DEATH:TCPR with DEATH silent, closing, aborting or living, and TCPR keep
    /// or lose
    #[arg(long, value_name = "CRASHES", value_delimiter = ',')]
    crash: Vec<Crash>,
    /// A wrong decision for the core to make
    #[arg(long, value_name = "NAME", value_parser = mutation)]
    mutation: Option<Mutation>,
}

fn mutation(name: &str) -> anyhow::Result<Mutation> {
    let found = Mutation::ALL
        .iter()
        .find(|mutation| format!("{mutation:?}") == name);
    found.copied().with_context(|| {
        let names: Vec<String> = Mutation::ALL
            .iter()
            .map(|mutation| format!("{mutation:?}"))
            .collect();
        format!("there is no such mutation; there are {}", names.join(", "))
    })
}

impl Arguments {
    /// Does what is asked.
    ///
    /// # Errors
    ///
    /// If a run fails.
    pub fn carry_out(&self) -> anyhow::Result<()> {
        let mutant = Mutant(self.mutation);
        match self.seeds {
            Some(seeds) => self.sweep(seeds, mutant),
            None => self.show(mutant),
        }
    }

    fn sweep(&self, seeds: u64, mutant: Mutant) -> anyhow::Result<()> {
        let bounds = Bounds {
            seeds,
            ..Bounds::larger(self.seed)
        };
        let Summary {
            runs,
            packets,
            crashes,
            stalls_of_control,
            stalls_of_stacks,
            last_acks_missing,
            forgotten,
            failure,
        } = sweep(&bounds, mutant);
        println!(
            "seeds {} to {}: {runs} runs, {crashes} crashes, {packets} packets; \
             {stalls_of_control} seeds left out, with which smoltcp stalls by itself; \
             {stalls_of_stacks} runs in which it stalls, {last_acks_missing} at whose end the peer lacks an \
             acknowledgment alone, {forgotten} at whose end it has forgotten what is repeated to it",
            self.seed,
            self.seed + seeds - 1
        );
        match failure {
            Some(failure) => bail!("{failure}"),
            None => Ok(()),
        }
    }

    fn show(&self, mutant: Mutant) -> anyhow::Result<()> {
        let scenario = Scenario::of(self.seed);
        println!("{scenario:#?}");
        let (outcome, lines) = narrate(&scenario, self.seed, &self.crash, mutant);
        for line in lines {
            println!("{line}");
        }
        println!(
            "{} packets, of which a crash can be recovered from {} on; {} crashes; {:.3} s",
            outcome.packets,
            outcome.protected,
            outcome.crashes,
            outcome.took.as_secs_f64()
        );
        if !control(&scenario, self.seed).finished {
            println!("smoltcp stalls by itself with this seed, without TCPR");
        }
        if outcome.stack_stalled {
            println!("the run does not end, for smoltcp is stuck");
        }
        let faults: Vec<String> = outcome.faults.iter().map(ToString::to_string).collect();
        if !faults.is_empty() {
            bail!("{}", faults.join("\n"));
        }
        Ok(())
    }
}
