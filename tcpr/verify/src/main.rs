//! `verify`: every check at its larger bounds, and a table of what was covered.

#![forbid(unsafe_code)]

use clap::{Parser, Subcommand};
use tcpr_verify::simulation;

/// Check TCPR's core at larger bounds than the tests do
#[derive(Debug, Parser)]
#[command(name = "verify")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Simulate(simulation::command::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Some(Command::Simulate(arguments)) => arguments.carry_out(),
        None => Ok(()),
    }
}
