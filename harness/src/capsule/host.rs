//! The capsule as flaplab holds it from outside.
//!
//! *Assumes* a tokio runtime. *Guarantees* that dropping a [`Capsule`] ends it.

use std::io;
use std::path::Path;
use std::process::Stdio;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::{Greeting, SUBCOMMAND};

/// How much of what the capsule's processes print to standard error is kept.
const KEPT_STDERR: usize = 16 * 1024;

/// The environment variable that says which logs are wanted.
const LOG_FILTER: &str = "FLAPLAB_LOG";

/// Why a capsule could not be started or spoken to.
#[derive(Debug, Error)]
pub enum SpawnError {
    /// flaplab could not execute itself.
    #[error("cannot execute flaplab again for the capsule: {0}")]
    Execute(#[source] io::Error),
    /// The capsule could not be made.
    #[error("{0}")]
    Refused(String),
    /// The capsule ended without a word.
    #[error("the capsule ended unexpectedly{}", if .stderr.is_empty() { String::new() } else { format!("; its last words:\n{}", .stderr) })]
    Ended {
        /// The end of what it printed to standard error.
        stderr: String,
    },
    /// A message could not be read or written.
    #[error("the line to the capsule broke: {0}")]
    Line(#[from] io::Error),
    /// A message made no sense.
    #[error("the capsule said something that flaplab does not understand: {0}")]
    Garbled(#[from] serde_json::Error),
}

/// A running capsule.
#[derive(Debug)]
pub struct Capsule {
    init_pid: i32,
    child: Child,
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    stderr: Option<JoinHandle<String>>,
}

impl Capsule {
    /// Starts a capsule around `run_dir`.
    ///
    /// # Errors
    /// If flaplab cannot be executed again or the namespaces are refused.
    pub async fn spawn(run_dir: Option<&Path>) -> Result<Self, SpawnError> {
        let (ours, theirs) = UnixStream::pair().map_err(SpawnError::Execute)?;
        let theirs = theirs.into_std().map_err(SpawnError::Execute)?;
        theirs.set_nonblocking(false).map_err(SpawnError::Execute)?;
        let mut command = Command::new("/proc/self/exe");
        command.arg(SUBCOMMAND).args(run_dir);
        // The agent leaves the caller's environment behind, all but the wish for logs.
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("TZ", "UTC");
        if let Some(filter) = std::env::var_os(LOG_FILTER) {
            command.env(LOG_FILTER, filter);
        }
        let mut child = command
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(SpawnError::Execute)?;
        // The command holds a copy of their end: with it the end of file would never come.
        drop(command);
        let stderr = child.stderr.take().map(|e| tokio::spawn(keep_end(e)));
        let (reader, writer) = ours.into_split();
        let lines = BufReader::new(reader).lines();
        let mut capsule = Capsule {
            init_pid: 0,
            child,
            lines,
            writer,
            stderr,
        };
        match capsule.receive().await? {
            Greeting::Init { pid } => capsule.init_pid = pid,
            Greeting::Refused { reason } => return Err(SpawnError::Refused(reason)),
        }
        Ok(capsule)
    }

    /// The number of process 1, as this side sees it.
    #[must_use]
    pub fn init_pid(&self) -> i32 {
        self.init_pid
    }

    /// Sends one message.
    ///
    /// # Errors
    /// If the capsule has gone.
    pub async fn send(&mut self, message: &impl Serialize) -> Result<(), SpawnError> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.writer.write_all(&line).await?;
        Ok(())
    }

    /// Receives one message.
    ///
    /// # Errors
    /// If the capsule has gone, with its last words; or refused to be made.
    pub async fn receive<T: DeserializeOwned>(&mut self) -> Result<T, SpawnError> {
        match self.lines.next_line().await {
            Ok(Some(line)) => match serde_json::from_str(&line) {
                Ok(message) => Ok(message),
                Err(e) => match serde_json::from_str(&line) {
                    Ok(Greeting::Refused { reason }) => Err(SpawnError::Refused(reason)),
                    _ => Err(e.into()),
                },
            },
            Ok(None) | Err(_) => {
                let stderr = match self.stderr.take() {
                    Some(task) => task.await.unwrap_or_default(),
                    None => String::new(),
                };
                Err(SpawnError::Ended { stderr })
            }
        }
    }

    /// Ends the capsule and waits until it is gone.
    ///
    /// # Errors
    /// If the entrance cannot be waited for.
    pub async fn close(self) -> Result<(), SpawnError> {
        let Capsule {
            mut child,
            writer,
            lines,
            ..
        } = self;
        // Process 1 sees the end of file and ends, and the kernel ends the rest.
        drop((writer, lines));
        child.wait().await?;
        Ok(())
    }
}

/// Reads to the end and keeps the last part. Where logs are wanted all of it is passed on.
async fn keep_end(mut stream: tokio::process::ChildStderr) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    let pass_on = std::env::var_os(LOG_FILTER).is_some();
    while let Ok(n) = stream.read(&mut buffer).await {
        if n == 0 {
            break;
        }
        if pass_on {
            eprint!("{}", String::from_utf8_lossy(&buffer[..n]));
        }
        kept.extend_from_slice(&buffer[..n]);
        let excess = kept.len().saturating_sub(KEPT_STDERR);
        kept.drain(..excess);
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}
