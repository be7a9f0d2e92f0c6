//! `verify`: every check at its larger bounds, and a table of what was covered.

#![forbid(unsafe_code)]

use clap::Parser;

/// Check TCPR's core at larger bounds than the tests do
#[derive(Debug, Parser)]
#[command(name = "verify")]
struct Arguments {}

fn main() -> anyhow::Result<()> {
    let Arguments {} = Arguments::parse();
    Ok(())
}
