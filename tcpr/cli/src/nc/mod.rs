//! `tcpr nc`: a netcat whose connection survives it.
//!
//! *Assumes* that `tcpr serve` runs, and that after a crash the same command is given again.
//! *Guarantees* that the peer sees one connection that never fails. Received octets come to a file
//! (`--out`) exactly once, and to standard output at least once; what is sent reaches the peer
//! exactly once. Only what was read from a pipe or terminal in the very instant of a kill, and was
//! neither logged nor sent, is lost with the process that had read it: a regular file has no such gap.

mod carry;
mod kept;
mod log;
mod opening;
mod record;
mod sink;
mod source;

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::Args;
use nix::sys::signal::{SigSet, Signal};
use tcpr::{Client, ClientError, Durability, Ending, Endpoint, Flow, Hard, Refusal};
use thiserror::Error;

use crate::lock::Lock;
use opening::Opened;
#[cfg(test)]
pub(crate) use record::tests;
use record::{NcRecord, Purpose, Stage};

/// What to connect, and where its octets go.
#[derive(Debug, Args)]
pub struct Options {
    /// Listen at HOST PORT and take one connection, instead of opening one to it
    #[arg(short, long)]
    listen: bool,
    /// Name or address
    host: String,
    /// Port
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Where the state of the connection is kept. After a crash the same command with the same
    /// record goes on with the connection
    #[arg(long, value_name = "FILE")]
    record: PathBuf,
    /// Where received octets go, each exactly once [default: standard output, at least once]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Survive a crash of the machine too: wait for the disk
    #[arg(long)]
    fsync: bool,
    /// Local port of a connection that is opened [default: any]
    #[arg(short = 'p', value_name = "PORT", conflicts_with = "listen")]
    local_port: Option<u16>,
    /// Local address of a connection that is opened [default: by route]
    #[arg(short = 's', value_name = "ADDRESS", conflicts_with = "listen")]
    local_address: Option<IpAddr>,
    /// Where the server is: the path of its socket, or udp:ADDRESS:PORT?key=FILE
    /// [default: $TCPR_SOCKET, else as `tcpr serve` has it]
    #[arg(long, value_name = "WHERE")]
    socket: Option<String>,
}

/// Why there is no connection, or not any more.
#[derive(Debug, Error)]
pub enum NcError {
    /// The address is taken.
    #[error("cannot {step} {address}: {source}")]
    Socket {
        /// What was tried.
        step: &'static str,
        /// Where.
        address: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The socket has failed, and TCPR keeps the connection.
    #[error(
        "the local socket has failed ({source}), the connection has not: the same command goes on"
    )]
    Local {
        /// The kernel's answer.
        source: io::Error,
    },
    /// The connection has ended.
    #[error(
        "the connection {flow} has ended: {} ({received} octets received, {acked} sent and \
         acknowledged); its record is removed", told(*ending)
    )]
    Ended {
        /// Which.
        flow: Flow,
        /// How, if TCPR still knows.
        ending: Option<Ending>,
        /// Octets received.
        received: u64,
        /// Octets that the peer has acknowledged.
        acked: u64,
    },
    /// TCPR.
    #[error(transparent)]
    Tcpr(#[from] ClientError),
    /// The record.
    #[error(transparent)]
    Record(#[from] record::NcRecordError),
    /// What is sent.
    #[error(transparent)]
    Source(#[from] source::SourceError),
    /// What is received.
    #[error(transparent)]
    Sink(#[from] sink::SinkError),
    /// The connection as it is opened again.
    #[error(transparent)]
    Connect(#[from] tcpr::ConnectError),
}

fn told(ending: Option<Ending>) -> &'static str {
    match ending {
        Some(Ending::Finished) => "both sides have closed it, but not all of it is recorded here",
        Some(Ending::ResetByPeer) => "the peer has reset it",
        Some(Ending::Aborted) => "it was aborted",
        Some(Ending::Expired) => {
            "it was not recovered within the time to live that `tcpr serve` gives it"
        }
        None => "neither TCPR nor the peer knows it any more",
    }
}

/// The files of a connection.
#[derive(Debug)]
struct Paths {
    record: PathBuf,
    log: PathBuf,
    out: Option<PathBuf>,
}

impl Paths {
    /// Octets received: what is in the file, recorded or not.
    fn received(&self, hard: &Hard) -> u64 {
        let len = self.out.as_deref().map(fs::metadata);
        match len {
            Some(Ok(metadata)) => metadata.len(),
            _ => record::received(hard),
        }
    }

    fn remove(&self) {
        for path in [&self.record, &self.log] {
            match fs::remove_file(path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!("cannot remove {}: {e}", path.display());
                }
                _ => {}
            }
        }
    }
}

/// Opens the connection, or goes on with it, and carries octets until both sides have closed.
///
/// # Errors
///
/// If it cannot.
pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    let recoverable = Arc::new(AtomicBool::new(false));
    stop_at_signals(&recoverable, &options.record).context("cannot receive signals")?;
    let endpoint = match &options.socket {
        Some(text) => text.parse()?,
        None => Endpoint::from_environment()?,
    };
    let paths = Paths {
        record: options.record.clone(),
        log: beside(&options.record, ".output"),
        out: options
            .out
            .as_deref()
            .map(std::path::absolute)
            .transpose()?,
    };
    let _lock = Lock::take(&beside(&options.record, ".lock"), &options.record)?;
    let purpose = Purpose {
        listen: options.listen,
        host: options.host.clone(),
        port: options.port,
        out: paths.out.clone(),
    };
    let record = NcRecord::load(&paths.record, &purpose)?;
    if paths.out.is_none() {
        eprintln!(
            "tcpr nc: received octets go to standard output at least once: what came last before a \
             crash may come again after it (exactly once: --out FILE)"
        );
    }
    let client = Client::connect(&endpoint)?;
    let opener = opening::Opener {
        client: &client,
        options: &options,
        paths: &paths,
        purpose,
        durability: if options.fsync {
            Durability::Machine
        } else {
            Durability::Process
        },
    };
    let opened = match record.map(|record| record.stage) {
        Some(Stage::Open { connection, repeat }) => opener.recover(connection, repeat)?,
        Some(Stage::Connecting { flow }) => {
            opener.give_up(flow)?;
            Some(opener.begin()?)
        }
        None => Some(opener.begin()?),
    };
    if let Some(opened) = opened {
        recoverable.store(true, Ordering::Relaxed);
        carry_on(&client, &paths, opened)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Carries octets to the end of the connection, and forgets it.
fn carry_on(client: &Client, paths: &Paths, opened: Opened) -> Result<(), NcError> {
    let (connection, pattern) = (opened.connection.clone(), opened.pattern);
    let carried = carry::carry(opened, paths);
    if matches!(&carried, Err(e) if !matches!(e, NcError::Ended { .. })) {
        return carried;
    }
    // There is nothing to come back to: the record goes first, since a record without a connection
    // is a riddle, and state without a record expires.
    paths.remove();
    let forgotten = connection.done();
    // Later connections are somebody else's to protect.
    let forgotten = forgotten.and_then(|()| client.unprotect(pattern));
    if let Err(e) = forgotten {
        tracing::warn!("TCPR keeps the ended connection for a while: {e}");
    }
    carried
}

/// `FILE.output` and the like.
fn beside(record: &Path, suffix: &str) -> PathBuf {
    let mut name = record.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    record.with_file_name(name)
}

/// Whether TCPR says that there is nothing to go on with.
fn is_over(error: &ClientError) -> bool {
    let ClientError::Refused { refusal, .. } = error else {
        return false;
    };
    matches!(refusal, Refusal::Ended)
}

/// SIGTERM and SIGINT are as good as a crash. To be called while there is one thread.
fn stop_at_signals(recoverable: &Arc<AtomicBool>, record: &Path) -> io::Result<()> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals.thread_block()?;
    let (recoverable, record) = (Arc::clone(recoverable), record.to_owned());
    let waiter = move || {
        let Ok(signal) = signals.wait() else { return };
        if recoverable.load(Ordering::Relaxed) {
            eprintln!(
                "tcpr nc: {signal}. The connection waits in TCPR: the same command goes on with \
                 it, by the record {}",
                record.display()
            );
        } else {
            eprintln!("tcpr nc: {signal}, and there was no connection yet");
        }
        std::process::exit(128 + signal as i32);
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(waiter)?;
    Ok(())
}
