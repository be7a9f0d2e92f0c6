//! `tcpr serve`: the server between packets, applications and time.
//!
//! *Assumes* a process of one thread, with the right to queue packets in its network namespace
//! (`CAP_NET_ADMIN` and `CAP_NET_RAW`, which a user namespace gives too).
//! *Guarantees* that rules stay in place while protected connections live, however the server ends:
//! without it their segments are dropped, and nothing that is unsafe reaches their peers; the next
//! server takes the rules over. Only [`release`] cuts connections loose.
//!
//! One thread waits for packets, requests and deadlines with epoll: a packet costs no lock, no task
//! and no allocation.

mod audience;
mod datagrams;
mod engine;
mod hold;
mod namespace;
mod requests;
mod server;
mod socket;
mod stream;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use tcpr_core::{Config, Pattern};
use tracing::info;

use crate::dataplane::RulesError;
use crate::dataplane::nfqueue::{self, Nfqueue, NfqueueError, OpenError, Placement};
use crate::protocol::Fault;
use crate::protocol::udp::Key;
use datagrams::Datagrams;
use engine::Engine;
use server::Server;
use socket::Socket;

/// What to protect, and where.
#[derive(Debug)]
pub struct Options {
    /// The network namespace to protect connections in, as a file; the present one if there is
    /// none.
    pub netns: Option<PathBuf>,
    /// In front of the application's host rather than on it.
    pub placement: Placement,
    /// What to protect from the start.
    pub protect: Vec<Pattern>,
    /// Where applications on this host find the server.
    pub socket: PathBuf,
    /// Where applications on other hosts do, with the key that they share with it.
    pub udp: Option<(SocketAddr, Key)>,
    /// The first number of the packet queues.
    pub queue: u16,
    /// Bounds of the table of connections.
    pub bounds: Config,
    /// Held segments may take so many octets in all.
    pub hold_limit: usize,
}

/// A server has begun to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// Rules of a predecessor were there: until its applications have come, or the time to live is
    /// over, segments of connections that are not known are dropped.
    pub took_over: bool,
}

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// No protected connection was left, and the rules are gone.
    Released,
    /// Protected connections live, and the rules stay: their segments are dropped until the next
    /// server is there.
    Held {
        /// How many are known. A predecessor's may live that have not come back to this server.
        connections: usize,
    },
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The namespace cannot be entered.
    #[error("cannot enter the network namespace {}: {source}", path.display())]
    Namespace {
        /// Its file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Another server has the socket.
    #[error(
        "another tcpr serve (process {pid}) listens at {}: stop it, or give another --socket",
        path.display()
    )]
    InUse {
        /// Where.
        path: PathBuf,
        /// Its process; 0 if that is in another PID namespace.
        pid: i32,
    },
    /// The socket cannot be made.
    #[error("cannot listen at {}: {source}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The UDP socket cannot be made.
    #[error("cannot listen at udp:{address}: {source}")]
    Udp {
        /// Where.
        address: SocketAddr,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Packets cannot be queued.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Packets cannot be queued any more.
    #[error(transparent)]
    Dataplane(#[from] NfqueueError),
    /// Rules cannot be taken away.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// A pattern cannot be protected.
    #[error(transparent)]
    Protect(#[from] Fault),
    /// The kernel refuses something else.
    #[error("cannot {step}: {source}")]
    System {
        /// What was tried.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Serves until SIGTERM or SIGINT. `ready` is called when everything is in place.
///
/// Both signals are blocked in this thread from then on.
///
/// # Errors
///
/// If there is another server, or the kernel does not let it.
pub fn serve(options: Options, ready: impl FnOnce(Ready)) -> Result<Outcome, ServeError> {
    let stop = stop_signals().map_err(system("receive signals"))?;
    if let Some(path) = &options.netns {
        enter(path)?;
    }
    let socket = Socket::bind(&options.socket)?;
    let datagrams = match options.udp {
        Some((address, key)) => Some(
            Datagrams::bind(address, key).map_err(|source| ServeError::Udp { address, source })?,
        ),
        None => None,
    };
    let (dataplane, predecessor) = Nfqueue::open(&nfqueue::Options {
        placement: options.placement,
        queue: options.queue,
        ..nfqueue::Options::default()
    })?;
    let mut engine = Engine::new(options.bounds, options.hold_limit, dataplane);
    let took_over = predecessor.is_some();
    if let Some(patterns) = predecessor {
        engine.inherit(patterns, options.bounds.time_to_live);
    }
    for pattern in options.protect {
        engine.protect(pattern)?;
    }
    let mut server = Server::new(engine, Some(socket), datagrams, stop)
        .map_err(system("wait for packets with epoll"))?;
    ready(Ready { took_over });
    server.run()?;
    let now = server.now();
    let Engine {
        core,
        dataplane,
        inherited,
        ..
    } = server.into_engine();
    let connections = core.list(now).count();
    if connections > 0 || !inherited.is_empty() {
        return Ok(Outcome::Held { connections });
    }
    dataplane.release()?;
    Ok(Outcome::Released)
}

/// Takes away the rules that a server has left. Connections that were protected are cut loose:
/// their applications' TCP, if it lives, speaks to their peers from then on.
///
/// Gives whether there were any.
///
/// # Errors
///
/// If a server is there: it is to be stopped first, since the rules are its own.
pub fn release(netns: Option<&Path>, socket: &Path, queue: u16) -> Result<bool, ServeError> {
    let at = |source| ServeError::Socket {
        path: socket.to_path_buf(),
        source,
    };
    if let Some(pid) = socket::living(socket).map_err(at)? {
        return Err(ServeError::InUse {
            path: socket.to_path_buf(),
            pid,
        });
    }
    if let Some(path) = netns {
        enter(path)?;
    }
    Ok(Nfqueue::release_left_behind(queue)?)
}

fn enter(path: &Path) -> Result<(), ServeError> {
    info!(namespace = %path.display(), "entering");
    namespace::enter(path).map_err(|source| ServeError::Namespace {
        path: path.to_path_buf(),
        source,
    })
}

fn stop_signals() -> io::Result<SignalFd> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals.thread_block()?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    Ok(SignalFd::with_flags(&signals, flags)?)
}

fn system(step: &'static str) -> impl FnOnce(io::Error) -> ServeError {
    move |source| ServeError::System { step, source }
}
