//! `verify`: every check at its larger bounds, and a table of what was covered.

#![forbid(unsafe_code)]

mod everything;

use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand};
use tcpr_verify::simulation;

/// Check TCPR's core at larger bounds than the tests do
///
/// Without a command everything is checked, which takes some twenty minutes.
#[derive(Debug, Parser)]
#[command(name = "verify")]
struct Arguments {
    /// First seed of the simulations; chosen anew each time unless given
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Simulate(simulation::command::Arguments),
}

fn main() -> anyhow::Result<()> {
    let Arguments { seed, command } = Arguments::parse();
    match command {
        Some(Command::Simulate(arguments)) => arguments.carry_out(),
        None => everything::check(seed.unwrap_or_else(fresh_seed)),
    }
}

/// One that nobody has tried: seconds, and so many seeds in each of them as a sweep may have.
fn fresh_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(1, |since| since.as_secs() * 10_000)
}
