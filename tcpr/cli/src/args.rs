//! The command line.

use clap::{Parser, Subcommand};
use clap_complete::Shell;
use tcpr_cli::{bench, check, nc, proxy, serve, state};

/// Recovers TCP connections after their application's own TCP has died, unnoticed by their peers.
#[derive(Debug, Parser)]
#[command(name = "tcpr", version, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Protect connections, until SIGTERM
    Serve(serve::Options),
    /// Look at what is protected
    State(state::Options),
    /// Connect or listen, and carry octets; the connection survives `kill -9` of this program
    Nc(nc::Options),
    /// Measure what TCPR costs, beside unprotected TCP, in namespaces of its own
    Bench(bench::Options),
    /// Carry connections from one address to another; they survive the loss of this program
    Proxy(proxy::Options),
    /// Judge a packet capture: could one TCP that never failed have sent what is in it?
    Check(check::Options),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}
