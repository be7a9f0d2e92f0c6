//! The peers of many connections: one thread that accepts, greets or answers, and notes when octets
//! arrived.
//!
//! *Assumes* that an application's address in a connection differs from all others by its port.
//! *Guarantees* times on the clock that all processes share, taken when the octets have been read;
//! and that what goes wrong with a peer's socket is told, since no peer is to notice anything.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::ground::now_ns;

/// What peers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Send so many octets when a connection comes, and note what arrives.
    Greet {
        /// On protected connections.
        protected: u64,
        /// On the others.
        plain: u64,
    },
    /// Send back what comes.
    Echo,
}

/// An octet of either stream.
pub(super) fn octet(position: u64) -> u8 {
    (position % 251) as u8
}

/// Octets of either stream.
pub(super) fn octets(range: std::ops::Range<u64>) -> Vec<u8> {
    range.map(octet).collect()
}

#[derive(Debug)]
struct Peer {
    stream: TcpStream,
    /// It may see its connection end at any time.
    plain: bool,
    sent: u64,
    received: u64,
    /// How many octets had come by when.
    arrivals: Vec<(u64, i64)>,
}

#[derive(Debug, Default)]
struct Shared {
    peers: Mutex<HashMap<u16, Peer>>,
    failure: Mutex<Option<anyhow::Error>>,
    /// Connections are being ended: errors are expected.
    ending: AtomicBool,
    stop: AtomicBool,
}

/// Every peer, by the port of its application.
#[derive(Debug)]
pub(super) struct Peers {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

const PROTECTED: u64 = 1 << 32;
const PLAIN: u64 = PROTECTED + 1;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Peers {
    /// Begins.
    pub(super) fn begin(
        protected: &TcpListener,
        plain: &TcpListener,
        manner: Manner,
    ) -> anyhow::Result<Peers> {
        let shared = Arc::new(Shared::default());
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let mut listeners = Vec::new();
        for (listener, token) in [(protected, PROTECTED), (plain, PLAIN)] {
            let listener = listener.try_clone()?;
            listener.set_nonblocking(true)?;
            epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, token))?;
            listeners.push((token, listener));
        }
        let work = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("peers".into())
            .spawn(move || {
                while !work.stop.load(Ordering::Relaxed) {
                    if let Err(error) = work.turn(&epoll, &listeners, manner) {
                        locked(&work.failure).get_or_insert(error);
                        return;
                    }
                }
            })?;
        Ok(Peers {
            shared,
            thread: Some(thread),
        })
    }

    /// Whether all is well.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        match locked(&self.shared.failure).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Sends on: so many octets more on each connection.
    pub(super) fn send(&self, ports: &[u16], count: u64) -> anyhow::Result<()> {
        let mut peers = locked(&self.shared.peers);
        for port in ports {
            let peer = peers
                .get_mut(port)
                .with_context(|| format!("port {port} has no peer"))?;
            (&peer.stream).write_all(&octets(peer.sent..peer.sent + count))?;
            peer.sent += count;
        }
        Ok(())
    }

    /// When the octet at this position had come; nothing if it has not.
    pub(super) fn arrival(&self, port: u16, position: u64) -> Option<i64> {
        let peers = locked(&self.shared.peers);
        let arrivals = &peers.get(&port)?.arrivals;
        let first = arrivals.iter().find(|(total, _)| *total > position)?;
        Some(first.1)
    }

    /// Waits until the octet at this position has come on every connection.
    pub(super) fn wait_arrivals(
        &self,
        ports: &[u16],
        position: u64,
        patience: Duration,
    ) -> anyhow::Result<Vec<i64>> {
        let started = Instant::now();
        loop {
            self.check()?;
            let here: Vec<i64> = ports
                .iter()
                .filter_map(|port| self.arrival(*port, position))
                .collect();
            if here.len() == ports.len() {
                return Ok(here);
            }
            ensure!(
                started.elapsed() < patience,
                "after {patience:?} octet {position} has reached {} of {} peers",
                here.len(),
                ports.len()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// From now on connections end, which their peers notice.
    pub(super) fn expect_ends(&self) {
        self.shared.ending.store(true, Ordering::Relaxed);
    }

    /// Forgets all connections; new ones are not to end.
    pub(super) fn forget(&self) {
        // With their sockets they leave the epoll.
        locked(&self.shared.peers).clear();
        self.shared.ending.store(false, Ordering::Relaxed);
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of it has been printed.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn turn(
        &self,
        epoll: &Epoll,
        listeners: &[(u64, TcpListener)],
        manner: Manner,
    ) -> anyhow::Result<()> {
        let mut events = [EpollEvent::empty(); 256];
        let count = match epoll.wait(&mut events, EpollTimeout::from(20_u16)) {
            Err(nix::errno::Errno::EINTR) => 0,
            other => other?,
        };
        for event in &events[..count] {
            match listeners.iter().find(|(token, _)| *token == event.data()) {
                Some((token, listener)) => self.accept(epoll, listener, *token, manner)?,
                None => self.read(epoll, event.data() as u16, manner)?,
            }
        }
        Ok(())
    }

    fn accept(
        &self,
        epoll: &Epoll,
        listener: &TcpListener,
        token: u64,
        manner: Manner,
    ) -> anyhow::Result<()> {
        loop {
            let (mut stream, application) = match listener.accept() {
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                other => other.context("a peer cannot accept")?,
            };
            stream.set_nodelay(true)?;
            let port = application.port();
            let sent = match manner {
                Manner::Echo => 0,
                Manner::Greet { protected, .. } if token == PROTECTED => protected,
                Manner::Greet { plain, .. } => plain,
            };
            stream.write_all(&octets(0..sent))?;
            stream.set_nonblocking(true)?;
            epoll.add(
                &stream,
                EpollEvent::new(EpollFlags::EPOLLIN, u64::from(port)),
            )?;
            let peer = Peer {
                stream,
                plain: token == PLAIN,
                sent,
                received: 0,
                arrivals: Vec::new(),
            };
            locked(&self.peers).insert(port, peer);
        }
    }

    fn read(&self, epoll: &Epoll, port: u16, manner: Manner) -> anyhow::Result<()> {
        let mut peers = locked(&self.peers);
        let Some(peer) = peers.get_mut(&port) else {
            return Ok(());
        };
        let excused = peer.plain || self.ending.load(Ordering::Relaxed);
        let mut buffer = [0; 4096];
        let read = (&peer.stream).read(&mut buffer);
        let done = match read {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) if manner == Manner::Echo => (&peer.stream).write_all(&buffer[..count]),
            Ok(count) => {
                let now = now_ns()?;
                let end = peer.received + count as u64;
                ensure!(
                    buffer[..count] == octets(peer.received..end),
                    "the peer of port {port} received other octets than were sent"
                );
                peer.received = end;
                peer.arrivals.push((end, now));
                Ok(())
            }
            Err(e) => Err(e),
        };
        match done {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            Err(_) if excused => Ok(epoll.delete(&peer.stream)?),
            Err(e) => Err(anyhow!(e).context(format!(
                "the peer of port {port} noticed the end of a connection that is to live"
            ))),
            Ok(()) => Ok(()),
        }
    }
}
