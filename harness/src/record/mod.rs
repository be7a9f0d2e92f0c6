//! Recorders: one set per node, from before the daemons start until the run is over.
//!
//! *Assumes* the node's namespace. *Guarantees* that every routing-table change and every BGP
//! packet sent is in the run directory with the time at which the kernel or the recorder saw it,
//! or that a finding says how many are not. Recorders tell what they see on the channel
//! `signals`; nothing comes back to them, and they steer nothing.

mod packets;
mod routes;

use std::io;
use std::path::PathBuf;

use ipnet::Ipv4Net;
use results::{Clock, Finding, FindingKind, RecorderStats, RunDir, Severity};
use thiserror::Error;

use crate::netns::{Namespace, NamespaceError};
use crate::signal::Signals;

/// Why a recorder could not be started.
#[derive(Debug, Error)]
pub(crate) enum RecordError {
    /// The namespace.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// A file of the run directory.
    #[error("cannot write {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The netlink socket.
    #[error("cannot listen to the routing tables of {node}: {source}; run `flaplab doctor`")]
    Netlink {
        /// The node.
        node: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The packet capture.
    #[error("cannot capture the packets of {node}: {reason}; run `flaplab doctor`")]
    Capture {
        /// The node.
        node: String,
        /// What libpcap said.
        reason: String,
    },
}

/// What every recorder of a lab is told.
#[derive(Debug, Clone)]
pub(crate) struct RecordContext {
    /// The run directory.
    pub run: RunDir,
    /// The run's time base.
    pub clock: Clock,
    /// The prefix whose changes are signalled.
    pub destination: Ipv4Net,
    /// Where to.
    pub signals: Signals,
}

/// The recorders of one node.
pub(crate) struct NodeRecorder {
    node: String,
    routes: routes::RouteRecorder,
    packets: packets::PacketRecorder,
}

impl NodeRecorder {
    /// Starts recording all nodes at once: making a ring buffer waits for the kernel's readers
    /// to pass (RCU), some 10 ms each, in which nothing else is done.
    ///
    /// # Errors
    /// If a socket or a file cannot be opened.
    pub(crate) fn start_all<'a>(
        namespaces: impl Iterator<Item = &'a Namespace>,
        context: &RecordContext,
    ) -> Result<Vec<Self>, RecordError> {
        std::thread::scope(|scope| {
            let starting: Vec<_> = namespaces
                .map(|n| (n, scope.spawn(|| NodeRecorder::start(n, context))))
                .collect();
            let panicked = |n: &Namespace| NamespaceError::Panicked {
                node: n.node().to_owned(),
            };
            starting
                .into_iter()
                .map(|(n, t)| t.join().unwrap_or_else(|_| Err(panicked(n).into())))
                .collect()
        })
    }

    /// Starts recording a node.
    pub(crate) fn start(
        namespace: &Namespace,
        context: &RecordContext,
    ) -> Result<Self, RecordError> {
        let routes = routes::RouteRecorder::start(namespace, context)?;
        let packets = packets::PacketRecorder::start(namespace, context)?;
        Ok(NodeRecorder {
            node: namespace.node().to_owned(),
            routes,
            packets,
        })
    }

    /// Stops recording all nodes, with everything seen so far written: what they wrote and lost,
    /// and what they found.
    pub(crate) fn stop_all(
        recorders: Vec<Self>,
    ) -> impl Iterator<Item = (String, RecorderStats, Vec<Finding>)> {
        // All are told before the first is waited for: each has a last block to wait for.
        for recorder in &recorders {
            recorder.routes.tell_to_stop();
            recorder.packets.tell_to_stop();
        }
        recorders.into_iter().map(|recorder| {
            let mut stats = RecorderStats::default();
            let mut findings = recorder.routes.join(&mut stats);
            findings.extend(recorder.packets.join(&mut stats));
            (recorder.node, stats, findings)
        })
    }
}

/// Below this a receive buffer is small, octets: it holds some 1,000 routing-table changes, more
/// than a lab makes at once, but the recorder is at the mercy of the scheduler.
pub(crate) const SMALL_BUFFER: u64 = 4 << 20;

/// What the recorders ask for, octets.
pub(crate) const WANTED_BUFFER: usize = routes::BUFFER;

/// What there is to say about the receive buffers that the kernel gave: it gives all of them the
/// same.
pub(crate) fn judge_buffers<'a>(stats: impl Iterator<Item = &'a RecorderStats>) -> Option<Finding> {
    let got = stats.map(|s| s.netlink_buffer_bytes).min()?;
    (got < SMALL_BUFFER).then(|| Finding {
        kind: FindingKind::SmallReceiveBuffer,
        severity: Severity::Note,
        place: "recorders".to_owned(),
        message: format!(
            "the kernel gave receive buffers of {} KiB; if nothing else is found, nothing was lost; let it give \
             more: sysctl -w net.core.rmem_max={}",
            got >> 10,
            WANTED_BUFFER
        ),
    })
}

/// A finding about a record that could not be written.
pub(crate) fn write_failed(place: &std::path::Path, error: &io::Error) -> Finding {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full: free some space or choose another --out, and run again"
        }
        _ => "check the file system of the run directory, and run again",
    };
    Finding {
        kind: FindingKind::RecordWrite,
        severity: Severity::Invalidating,
        place: place.display().to_string(),
        message: format!("the record ends early: {error}; {remedy}"),
    }
}

/// Tries to capture packets in the calling thread's namespace.
pub(crate) fn try_capture() -> Result<String, String> {
    packets::open_capture()
        .map(|_| "libpcap opens `any`".to_owned())
        .map_err(|e| e.to_string())
}

/// Tries to listen to the routing table of the calling thread's namespace.
pub(crate) fn try_listen() -> Result<String, String> {
    let socket = routes::open_socket().map_err(|e| e.to_string())?;
    Ok(format!(
        "receive buffer of {} KiB",
        routes::buffer_size(&socket) >> 10
    ))
}
