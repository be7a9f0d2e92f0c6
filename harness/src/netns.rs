//! Network namespaces of a lab, one per node.
//!
//! *Assumes* to be inside a capsule, where /run/netns is private. *Guarantees* that no thread but
//! a short-lived one of this module's own is ever in a node's namespace, also when the work done
//! there panics (docs/decisions/0003-network-namespaces.md).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use nix::sched::{CloneFlags, setns};
use thiserror::Error;

/// Why a namespace could not be made or entered.
#[derive(Debug, Error)]
pub enum NamespaceError {
    /// It could not be made.
    #[error("cannot make the network namespace of {node}: {reason}")]
    Make {
        /// The node.
        node: String,
        /// What netns-rs said.
        reason: String,
    },
    /// It could not be entered.
    #[error("cannot enter the network namespace of {node}: {source}")]
    Enter {
        /// The node.
        node: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The work done inside panicked.
    #[error("work inside the network namespace of {node} panicked")]
    Panicked {
        /// The node.
        node: String,
    },
}

/// The network namespace of one node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Namespace {
    node: String,
    file: Arc<File>,
}

impl Namespace {
    /// Makes a namespace; `ip netns exec NODE` finds it too.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn make(node: &str) -> Result<Self, NamespaceError> {
        let refuse = |reason: String| NamespaceError::Make {
            node: node.to_owned(),
            reason,
        };
        let made = netns_rs::NetNs::new(node).map_err(|e| refuse(e.to_string()))?;
        let file = made.file().try_clone().map_err(|e| refuse(e.to_string()))?;
        Ok(Namespace {
            node: node.to_owned(),
            file: Arc::new(file),
        })
    }

    /// Name of the node.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Whether a process is in it; not, if it cannot be known.
    #[must_use]
    pub fn has(&self, pid: i32) -> bool {
        let its = std::fs::metadata(format!("/proc/{pid}/ns/net"));
        let id = |m: std::fs::Metadata| (m.dev(), m.ino());
        its.ok()
            .zip(self.file.metadata().ok())
            .is_some_and(|(its, own)| id(its) == id(own))
    }

    /// Enters the namespace with the calling thread, for good. For a thread or a forked process
    /// that does nothing else.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn join(&self) -> io::Result<()> {
        Ok(setns(self.file.as_fd(), CloneFlags::CLONE_NEWNET)?)
    }

    /// Does something inside, on a thread of its own, and waits for it.
    ///
    /// # Errors
    /// If the namespace cannot be entered or `work` panics.
    pub fn enter<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NamespaceError> {
        let panicked = |_| NamespaceError::Panicked {
            node: self.node.clone(),
        };
        let source = match self.spawn(work).join().map_err(panicked)? {
            Ok(value) => return Ok(value),
            Err(source) => source,
        };
        Err(NamespaceError::Enter {
            node: self.node.clone(),
            source,
        })
    }

    /// Does something inside, on a thread of its own, without waiting.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<io::Result<T>> {
        let namespace = self.clone();
        thread::spawn(move || {
            namespace.join()?;
            Ok(work())
        })
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
