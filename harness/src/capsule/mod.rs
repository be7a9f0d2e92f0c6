//! The capsule: the private user, mount, PID, network, UTS and IPC namespaces of one lab.
//!
//! *Assumes* that unprivileged user namespaces are allowed (`flaplab doctor` says). *Guarantees*
//! that when the process that made it ends, at whatever instant and however, every process,
//! namespace, link and mount of the lab ends with it.
//!
//! Three processes of ours take part, each executed or forked single-threaded:
//!
//! - the *entrance* (`flaplab __capsule`) unshares and forks, and waits;
//! - *process 1* of the new PID namespace makes the private mounts, forks the agent, reaps, and
//!   ends when the agent does, or when the socket says that flaplab has gone;
//! - the *agent* carries out the run (see [`crate::agent`]).

mod entrance;
mod host;
mod init;
mod mounts;

pub use entrance::enter;
pub use host::{Capsule, SpawnError};
pub use mounts::{LAB_DIR, LAB_HOME, RUN_DIR};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The hidden subcommand that is the entrance.
pub const SUBCOMMAND: &str = "__capsule";

/// Why a capsule could not be made.
#[derive(Debug, Error)]
pub enum CapsuleError {
    /// The kernel or its policy refuses the namespaces.
    #[error(
        "cannot make the capsule's namespaces: {source}; run `flaplab doctor`, which names the setting to change"
    )]
    Unshare {
        /// The kernel's answer.
        source: nix::Error,
    },
    /// A step after that failed.
    #[error("cannot {step}: {source}")]
    Step {
        /// What was tried.
        step: String,
        /// The kernel's answer.
        source: std::io::Error,
    },
}

impl CapsuleError {
    pub(crate) fn step(step: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let step = step.into();
        move |source| CapsuleError::Step { step, source }
    }

    pub(crate) fn nix(step: impl Into<String>) -> impl FnOnce(nix::Error) -> Self {
        let step = step.into();
        move |source| CapsuleError::Step {
            step,
            source: source.into(),
        }
    }
}

/// What the capsule says on the socket before the agent speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Greeting {
    /// The number of process 1, as the outside sees it.
    Init {
        /// Process number.
        pid: i32,
    },
    /// The capsule could not be made.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
}

/// Writes one JSON line to the socket that a process of the capsule has as standard input.
pub(crate) fn say(fd: std::os::fd::BorrowedFd<'_>, greeting: &Greeting) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(greeting).map_err(std::io::Error::other)?;
    line.push(b'\n');
    let mut rest = line.as_slice();
    while !rest.is_empty() {
        let n = nix::unistd::write(fd, rest)?;
        rest = &rest[n..];
    }
    Ok(())
}
