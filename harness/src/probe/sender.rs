//! The probe's sending end: a thread of the lab agent with a socket in every router's namespace.
//!
//! *Assumes* routers whose neighbours' addresses are known, so that a send never waits.
//! *Guarantees* that no tick is skipped: one that is late is sent late, and the record says how
//! late; and that a refusal of the kernel (no route) is recorded as one and fails no later send.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use nix::errno::Errno;
use results::probe::{INTERVAL_NS, Refusal, Tick, Writer};
use results::{DirError, Finding, FindingKind, Severity};
use thiserror::Error;
use topologies::{NodeRole, Topology};

use super::{FLUSH_NS, PORT, Payload};
use crate::clock;
use crate::netns::NamespaceError;
use crate::network::Namespaces;
use crate::signal::{Signal, Signals};

/// Name of the thread that sends.
pub(crate) const SENDING_THREAD: &str = "probe-sender";

/// The largest time to live (RFC 791, section 3.1).
const LARGEST_TTL: u32 = 255;

/// Why no probe can be sent.
#[derive(Debug, Error)]
pub(crate) enum ProbeError {
    /// The namespace.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The socket.
    #[error("cannot open the probe's socket at {node}: {source}")]
    Socket {
        /// The router.
        node: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The thread.
    #[error("cannot start the probe's thread: {0}")]
    Thread(#[source] io::Error),
    /// The record.
    #[error(transparent)]
    Record(#[from] DirError),
}

/// A router's socket.
pub(crate) struct ProbeSocket {
    node: u16,
    socket: UdpSocket,
}

/// Opens a socket in every router's namespace.
///
/// # Errors
/// If a namespace cannot be entered, or its kernel refuses.
pub(crate) fn open_sockets(
    topology: &Topology,
    namespaces: &Namespaces,
) -> Result<Vec<ProbeSocket>, ProbeError> {
    // A way that visits no router twice passes on at most so often; what goes round in a loop
    // dies as early as it may, before it costs the machine more.
    let ttl = u32::try_from(topology.nodes.len()).map_or(LARGEST_TTL, |n| n.min(LARGEST_TTL));
    let routers = topology.nodes.iter().enumerate();
    routers
        .filter(|(_, node)| node.role == NodeRole::Router)
        .map(|(index, node)| {
            let refused = |source| ProbeError::Socket {
                node: node.name.clone(),
                source,
            };
            let index = u16::try_from(index).map_err(|e| refused(io::Error::other(e)))?;
            namespaces[&node.name]
                .enter(move || ProbeSocket::open(index, ttl))?
                .map_err(refused)
        })
        .collect()
}

impl ProbeSocket {
    /// Opens a socket in the calling thread's namespace. It is never connected: the kernel then
    /// asks the routing table anew for every datagram, and what ICMP says of one fails no other
    /// (udp(7): errors are passed to a connected socket, or one with IP_RECVERR).
    pub(super) fn open(node: u16, ttl: u32) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_ttl(ttl)?;
        socket.set_nonblocking(true)?;
        Ok(ProbeSocket { node, socket })
    }
}

/// The sender at work.
pub(crate) struct ProbeSender {
    /// Ticks due from then on are not sent.
    stop_at_ns: Arc<AtomicU64>,
    thread: JoinHandle<Result<(), DirError>>,
    path: PathBuf,
}

impl ProbeSender {
    /// Begins to send, one tick from now.
    ///
    /// # Errors
    /// If the record cannot be made, or the thread.
    pub(crate) fn start(
        sockets: Vec<ProbeSocket>,
        destination: Ipv4Addr,
        path: PathBuf,
        signals: Signals,
    ) -> Result<Self, ProbeError> {
        let record = Writer::create(&path)?;
        let stop_at_ns = Arc::new(AtomicU64::new(u64::MAX));
        let stop = Arc::clone(&stop_at_ns);
        let place = path.clone();
        let destination = SocketAddrV4::new(destination, PORT);
        let work = move || {
            let sent = send(&sockets, destination, record, &stop);
            if let Err(e) = &sent {
                signals.send(Signal::Found(broken(&place, e.to_string())));
            }
            sent
        };
        let named = thread::Builder::new().name(SENDING_THREAD.to_owned());
        let thread = named.spawn(work).map_err(ProbeError::Thread)?;
        Ok(ProbeSender {
            stop_at_ns,
            thread,
            path,
        })
    }

    /// Ends the sending once every tick that is due by now was sent, its record complete. A
    /// finding if the thread is no more.
    pub(crate) fn stop(self) -> Option<Finding> {
        self.stop_at_ns
            .store(clock::monotonic_ns(), Ordering::Relaxed);
        match self.thread.join() {
            // What went wrong was told when it did.
            Ok(_) => None,
            Err(_) => Some(broken(
                &self.path,
                "the sender panicked; please report this".to_owned(),
            )),
        }
    }
}

fn broken(path: &std::path::Path, message: String) -> Finding {
    Finding {
        kind: FindingKind::RecordWrite,
        severity: Severity::Invalidating,
        place: path.display().to_string(),
        message,
    }
}

fn send(
    sockets: &[ProbeSocket],
    destination: SocketAddrV4,
    mut record: Writer<Tick>,
    stop_at_ns: &AtomicU64,
) -> Result<(), DirError> {
    let first_ns = clock::monotonic_ns() + INTERVAL_NS;
    let mut flushed_ns = first_ns;
    for number in 0.. {
        // By absolute times: delays do not add up, and a tick that is late is followed at once
        // by those that have become due meanwhile.
        let due_ns = first_ns + u64::from(number) * INTERVAL_NS;
        clock::sleep_until(due_ns);
        if due_ns >= stop_at_ns.load(Ordering::Relaxed) {
            break;
        }
        let began_ns = clock::monotonic_ns();
        let refused = sockets
            .iter()
            .filter_map(|s| send_one(s, number, destination))
            .collect();
        let done_ns = clock::monotonic_ns();
        record.append(&Tick {
            number,
            due_mono_ns: due_ns,
            late_ns: began_ns.saturating_sub(due_ns),
            took_ns: done_ns - began_ns,
            refused,
        })?;
        if done_ns - flushed_ns >= FLUSH_NS {
            record.flush()?;
            flushed_ns = done_ns;
        }
    }
    record.finish(0)
}

/// Sends one probe; how the kernel refused, if it did.
fn send_one(from: &ProbeSocket, number: u32, destination: SocketAddrV4) -> Option<Refusal> {
    let payload = Payload {
        node: from.node,
        number,
        sent_mono_ns: clock::monotonic_ns(),
    };
    let error = from
        .socket
        .send_to(&payload.to_octets(), destination)
        .err()?;
    let errno = error
        .raw_os_error()
        .map_or(Errno::UnknownErrno, Errno::from_raw);
    Some(Refusal {
        node: from.node,
        errno: format!("{errno:?}"),
    })
}
