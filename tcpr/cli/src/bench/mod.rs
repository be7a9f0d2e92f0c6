//! `tcpr bench`: what TCPR costs, beside unprotected TCP on the same machine in the same run.
//!
//! *Assumes* the programs `ip` and `tc`, and leave to make user namespaces.
//! *Guarantees* that everything runs in namespaces of its own, which end with the command, and
//! that figures come of whole runs only: whatever fails is an error, and no number.
//!
//! The command executes itself again in a bed ([`crate::bed`]), where hosts are joined by a wire;
//! `tcpr serve` and the applications that are killed are this program too.

mod application;
mod comeback;
mod ground;
mod latency;
mod peers;
mod recovery;
mod report;
mod samples;
mod scale;
mod statistics;
mod throughput;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::bed::{self, Entrance};
use report::{Results, Setting};
use samples::{Samples, Sheet};

/// What to measure.
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    what: What,
    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
    /// Write every value measured to this file, too (benchmark,course,case,unit,round,value)
    #[arg(long, global = true, value_name = "FILE")]
    csv: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Goodput both ways, on a shaped wire or an unshaped one
    Throughput(throughput::Options),
    /// Request and response of one octet each
    Latency(latency::Options),
    /// How soon hundreds of connections are back when their application was killed
    Recovery(recovery::Options),
    /// Memory and packet rate of thousands of connections
    Connections(scale::Options),
    /// An application that is killed: what to do comes on the standard input
    #[command(name = "__application", hide = true)]
    Application,
}

/// Measures, and prints what was found.
///
/// # Errors
///
/// If the bed is refused, or anything in it fails.
pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    if !bed::inside() {
        return enter();
    }
    if let What::Application = options.what {
        application::run()?;
        return Ok(ExitCode::SUCCESS);
    }
    let output = Output {
        setting: Setting::look(),
        is_json: options.json,
        sheet: options.csv.as_deref().map(Sheet::begin).transpose()?,
    };
    match options.what {
        What::Throughput(what) => output.show(throughput::measure(&what)?)?,
        What::Latency(what) => output.show(latency::measure(&what)?)?,
        What::Recovery(what) => output.show(recovery::measure(&what)?)?,
        What::Connections(what) => output.show(scale::measure(&what)?)?,
        What::Application => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Where results go.
struct Output {
    setting: Setting,
    is_json: bool,
    sheet: Option<Sheet>,
}

impl Output {
    fn show<R: Results>(self, (results, samples): (R, Samples)) -> anyhow::Result<()> {
        if let Some(sheet) = self.sheet {
            sheet.write(R::NAME, &samples)?;
        }
        report::print(&results, &self.setting, self.is_json)
    }
}

/// The same command in namespaces of its own.
fn enter() -> anyhow::Result<ExitCode> {
    let entrance = Entrance::new(std::env::args_os().skip(1))?;
    let mut copy = entrance
        .spawn()
        .context("benchmarks run in namespaces of their own")?;
    let status = copy.wait()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// How far it is, for who waits.
fn tell(progress: &str) {
    use std::io::IsTerminal;
    if std::io::stderr().is_terminal() {
        eprintln!("{progress}");
    }
}

/// A time in seconds, as an argument.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("a time is a number of seconds from 0.01 to 600".to_owned()),
    }
}
