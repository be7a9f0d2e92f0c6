//! Processes of a lab: the routers' daemons, the injector and TCPR.
//!
//! *Assumes* the lab agent's runtime. *Guarantees* that every process runs in its node's
//! namespace with a minimal environment, that what it prints is kept in the run directory, and
//! that its end is signalled with the log's last lines at hand.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use injectors::ProcessSpec;
use thiserror::Error;
use tokio::process::Command;

use crate::netns::Namespace;
use crate::signal::{Signal, Signals};

/// Lines of a dead process's log that a message quotes.
const LAST_LINES: usize = 8;

/// Why a process could not be started.
#[derive(Debug, Error)]
pub(crate) enum ProcessError {
    /// There is no such program.
    #[error("{program} is not installed; run `scripts/setup`, and `flaplab doctor` for the rest")]
    Missing {
        /// Its path.
        program: String,
    },
    /// Its log file could not be opened.
    #[error("cannot write {path}: {source}")]
    Log {
        /// The log file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It could not be started.
    #[error("cannot start {name} at {node}: {source}")]
    Start {
        /// The process.
        name: String,
        /// Its node.
        node: String,
        /// The system's answer.
        source: io::Error,
    },
}

/// A process that was started and is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its node.
    pub node: String,
    /// Its name.
    pub name: String,
    /// Its number inside the capsule.
    pub pid: i32,
    /// Where its output goes.
    pub log: PathBuf,
}

/// Starts a process in a namespace. Its end arrives as [`Signal::Exited`].
///
/// # Errors
/// If the program is missing or cannot be started.
pub(crate) fn start(
    spec: &ProcessSpec,
    namespace: &Namespace,
    log_dir: &Path,
    signals: &Signals,
) -> Result<Process, ProcessError> {
    if !Path::new(&spec.program).exists() {
        return Err(ProcessError::Missing {
            program: spec.program.clone(),
        });
    }
    let log = log_file(log_dir, &spec.name);
    let bad_log = |source| ProcessError::Log {
        path: log.clone(),
        source,
    };
    let out = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log)
        .map_err(bad_log)?;
    let err = out.try_clone().map_err(bad_log)?;
    let mut command = Command::new(&spec.program);
    command
        .args(&spec.args)
        .envs(spec.env.iter().map(|(k, v)| (k, v)));
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    let inside = namespace.clone();
    // SAFETY: between fork and exec only setns is called, which is async-signal-safe.
    unsafe { command.pre_exec(move || inside.join()) };
    let node = namespace.node().to_owned();
    let mut child = command.spawn().map_err(|source| ProcessError::Start {
        name: spec.name.clone(),
        node: node.clone(),
        source,
    })?;
    let pid = child.id().and_then(|p| i32::try_from(p).ok()).unwrap_or(-1);
    let process = Process {
        node,
        name: spec.name.clone(),
        pid,
        log,
    };
    let (watched, signals) = (process.clone(), signals.clone());
    tokio::spawn(async move {
        let status = child.wait().await.map_or_else(|e| e.to_string(), describe);
        signals.send(Signal::Exited {
            process: watched,
            status,
        });
    });
    Ok(process)
}

/// Where what a process prints is kept. A process that is started again goes on in the same file.
#[must_use]
pub(crate) fn log_file(log_dir: &Path, name: &str) -> PathBuf {
    log_dir.join(format!("{name}.log"))
}

fn describe(status: ExitStatus) -> String {
    status.to_string()
}

/// The last lines of a log file, for a message.
#[must_use]
pub(crate) fn last_lines(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LAST_LINES);
    if lines.is_empty() {
        "(it printed nothing)".to_owned()
    } else {
        lines[from..].join("\n")
    }
}
