//! `tcpr check`: judges a packet capture.
//!
//! *Assumes* nothing of the capture but what the command line says of it.
//! *Guarantees* that a capture of which nothing could be judged is never called clean.

mod capture;
mod link;
mod report;

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tcpr::Flow;
use tcpr_check::{Course, Place, Settings, Trace, Verdict};
use thiserror::Error;

use crate::names;
use capture::{CaptureError, Frame};
use report::Report;

/// What to judge, and what is known of it.
#[derive(Debug, Args)]
pub struct Options {
    /// The capture: pcap or pcapng; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Judge only connections between these: A-B, each ADDRESS:PORT
    #[arg(long, value_name = "A-B", value_parser = names::flow)]
    connection: Option<Flow>,
    /// The capture was made at the host with this address: what it sends is in the order of sending
    #[arg(long, value_name = "ADDRESS")]
    at: Option<IpAddr>,
    /// No packet is missing from the capture (tcpdump: "0 packets dropped by kernel")
    #[arg(long)]
    complete: bool,
    /// On the way to the place of the capture no packet overtakes another
    #[arg(long)]
    in_order: bool,
    /// Segments are captured as they are on the wire, not joined or uncut by offloading: judge their
    /// sizes
    #[arg(long)]
    whole_segments: bool,
    /// Checksums are those of the wire, not left to the network card: judge them
    #[arg(long)]
    checksums: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Why there is no verdict.
#[derive(Debug, Error)]
pub enum CheckError {
    /// The file.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// It has no connection.
    #[error("{} has {packets} packets, and no TCP connection among them: there is nothing to judge", file.display())]
    Nothing {
        /// The file.
        file: PathBuf,
        /// How many it has.
        packets: u64,
    },
    /// It has not that connection.
    #[error("{} has no packet between {} and {}; it has {others} other connections", file.display(), flow.local, flow.remote)]
    NoSuchConnection {
        /// The file.
        file: PathBuf,
        /// What was asked for.
        flow: Flow,
        /// How many others it has.
        others: usize,
    },
}

const VIOLATIONS: u8 = 1;
const NO_VERDICT: u8 = 2;

/// Judges.
///
/// # Errors
///
/// If standard output cannot be written. That there is no verdict is told by the exit code.
pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    let report = match judge(&options) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(ExitCode::from(NO_VERDICT));
        }
    };
    let printed = match options.json {
        true => report.print_json(),
        false => report.print(),
    };
    match printed {
        // A reader that has seen enough (`| head`) is no error.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => {}
        other => other?,
    }
    Ok(match report.verdict.is_clean() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(VIOLATIONS),
    })
}

fn judge(options: &Options) -> Result<Report, CheckError> {
    let settings = Settings {
        place: options.at.map_or(Place::Unknown, Place::Host),
        complete: options.complete,
        in_order: options.in_order,
        whole_segments: options.whole_segments,
        checksums: options.checksums,
    };
    let mut trace = Trace::new(settings);
    let file = options.file.clone();
    let stop = capture::read(&file, |frame| match frame {
        Frame::Network(captured) => trace.captured(captured),
        Frame::Other => trace.pass_over(),
    })?;
    let mut verdict = trace.finish();
    narrow(&mut verdict, options)?;
    Ok(Report {
        file,
        stop,
        settings,
        verdict,
    })
}

/// Leaves what was asked for.
fn narrow(verdict: &mut Verdict, options: &Options) -> Result<(), CheckError> {
    let file = options.file.clone();
    if verdict.connections.is_empty() {
        let packets = verdict.packets;
        return Err(CheckError::Nothing { file, packets });
    }
    let Some(flow) = options.connection else {
        return Ok(());
    };
    let others = verdict.connections.len();
    let asked = |course: &Course| {
        let ends = course.ends.map(|end| end.address);
        ends == [flow.local, flow.remote] || ends == [flow.remote, flow.local]
    };
    verdict.connections.retain(asked);
    match verdict.connections.is_empty() {
        true => Err(CheckError::NoSuchConnection { file, flow, others }),
        false => Ok(()),
    }
}
