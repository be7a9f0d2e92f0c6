//! A `tcpr serve` on a host of the bed.
//!
//! *Assumes* to be inside an [`Entrance`](super::Entrance), where /run is private.
//! *Guarantees* that the server answers once [`Served::start`] returns, that what it prints is
//! kept, and that it ends with this.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tcpr::{Client, Endpoint};
use thiserror::Error;

use super::{Host, Throwaway};

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no server.
#[derive(Debug, Error)]
pub enum ServedError {
    /// It could not be started.
    #[error("cannot start tcpr serve: {0}")]
    Start(#[from] io::Error),
    /// It has ended.
    #[error("tcpr serve ended with {status}; it said:\n{said}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// What it printed.
        said: String,
    },
    /// It does not answer.
    #[error("tcpr serve has not answered for {PATIENCE:?} ({source}); it said:\n{said}")]
    Silent {
        /// The last attempt.
        source: Box<tcpr::ClientError>,
        /// What it printed.
        said: String,
    },
}

/// A running server.
#[derive(Debug)]
pub struct Served {
    host: Host,
    program: PathBuf,
    arguments: Vec<OsString>,
    socket: PathBuf,
    log: PathBuf,
    process: Throwaway,
}

impl Served {
    /// Starts a server on a host, with a socket of its own, and waits until it answers. `program`
    /// is the binary `tcpr`.
    ///
    /// # Errors
    /// If it ends at once, or does not answer; with what it printed.
    pub fn start<A: Into<OsString>>(
        host: &Host,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Served, ServedError> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("/run/tcpr-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let (socket, log) = (
            PathBuf::from(name.clone() + ".sock"),
            PathBuf::from(name + ".log"),
        );
        let mut all = vec!["serve".into(), "--socket".into(), socket.clone().into()];
        all.extend(arguments.into_iter().map(Into::into));
        let process = spawn(host, program, &all, &log)?;
        let mut served = Served {
            host: host.clone(),
            program: program.to_owned(),
            arguments: all,
            socket,
            log,
            process,
        };
        served.wait()?;
        Ok(served)
    }

    /// Where applications find it.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The number of its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// What it has printed since it was first started.
    #[must_use]
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it runs.
    ///
    /// # Errors
    /// If it has ended, which it should not.
    pub fn check(&mut self) -> Result<(), ServedError> {
        match self.process.0.try_wait()? {
            None => Ok(()),
            Some(status) => Err(ServedError::Ended {
                status,
                said: self.said(),
            }),
        }
    }

    /// Ends it by SIGKILL: what it had in memory is lost.
    pub fn kill(&mut self) {
        self.process.end();
    }

    /// Starts it again with the same arguments, and waits until it answers.
    ///
    /// # Errors
    /// As [`Served::start`].
    pub fn restart(&mut self) -> Result<(), ServedError> {
        self.kill();
        self.process = spawn(&self.host, &self.program, &self.arguments, &self.log)?;
        self.wait()
    }

    /// The socket is there before the rules are; an answer comes once everything is in place.
    fn wait(&mut self) -> Result<(), ServedError> {
        let endpoint = Endpoint::Unix(self.socket.clone());
        let started = Instant::now();
        loop {
            self.check()?;
            let source = match Client::connect(&endpoint) {
                Ok(_) => return Ok(()),
                Err(source) => Box::new(source),
            };
            if started.elapsed() > PATIENCE {
                let said = self.said();
                return Err(ServedError::Silent { source, said });
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn spawn(host: &Host, program: &Path, arguments: &[OsString], log: &Path) -> io::Result<Throwaway> {
    let log = File::options().create(true).append(true).open(log)?;
    let child = host
        .command(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    Ok(Throwaway(child))
}
