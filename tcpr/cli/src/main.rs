//! The program `tcpr`: recovers TCP connections without their peers noticing.

mod args;

use std::io::IsTerminal;
use std::process::ExitCode;

use args::{Args, Command};
use clap::{CommandFactory, Parser};
use tcpr_cli::{bench, check, nc, proxy, serve, state};

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match execute(Args::parse().command) {
        Ok(status) => status,
        Err(e) => {
            eprintln!("error: {}", with_causes(&e));
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(options) => serve::run(options),
        Command::State(options) => state::run(options),
        Command::Nc(options) => nc::run(options),
        Command::Bench(options) => bench::run(options),
        Command::Proxy(options) => proxy::run(options),
        Command::Check(options) => check::run(options),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "tcpr", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What is told on stderr: warnings, unless `TCPR_LOG` says otherwise.
fn filter() -> tracing_subscriber::EnvFilter {
    tracing_subscriber::EnvFilter::try_from_env("TCPR_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"))
}

/// An error with those of its causes that it does not tell of itself.
fn with_causes(error: &anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .fold(String::new(), |told, cause| {
            if told.contains(&cause) {
                told
            } else if told.is_empty() {
                cause
            } else {
                format!("{told}: {cause}")
            }
        })
}
