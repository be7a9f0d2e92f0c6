//! The socket between a session and TCPR.
//!
//! *Assumes* that its caller polls it, and lets only one thread at a time use it.
//! *Guarantees* that it never waits, and that a session over UDP is opened and opened again as often
//! as the server forgets it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use super::Endpoint;
use super::session::{ReceiveError, Session};
use crate::protocol::udp::{self, FromServer, Unsealed};

/// A handshake that is not answered is repeated after this time.
const REPEAT: Duration = Duration::from_millis(100);
/// So much is taken from the session at once: what is in here is not coalesced any more.
const BATCH: usize = 16 << 10;

/// Why a link is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("TCPR has closed the channel")]
    Closed,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Receive(#[from] ReceiveError),
}

/// A socket that others may poll.
#[derive(Debug)]
pub(super) enum Socket {
    Unix(UnixStream),
    Udp(UdpSocket),
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Unix(socket) => socket.as_fd(),
            Socket::Udp(socket) => socket.as_fd(),
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// A channel to TCPR.
pub(super) struct Link {
    socket: Arc<Socket>,
    /// Octets of a stream, or one sealed datagram.
    out: Vec<u8>,
    written: usize,
    seal: Option<Sealed>,
    buffer: Box<[u8]>,
}

struct Sealed {
    client: udp::Client,
    repeat: Duration,
    /// The server seals in another version.
    other: Option<u8>,
}

impl Link {
    /// Opens a channel; over a stream the session is told at once, else when it is accepted.
    pub(super) fn open(
        endpoint: &Endpoint,
        now: Duration,
        session: &mut Session,
    ) -> io::Result<Link> {
        let (socket, seal) = match endpoint {
            Endpoint::Unix(path) => {
                let socket = UnixStream::connect(path)?;
                socket.set_nonblocking(true)?;
                session.connected(now);
                (Socket::Unix(socket), None)
            }
            Endpoint::Udp { address, key, .. } => {
                let any = match address {
                    SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
                    SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
                };
                let socket = UdpSocket::bind(any)?;
                socket.connect(address)?;
                socket.set_nonblocking(true)?;
                let mut client = udp::Client::new(key.clone());
                client.begin(udp::fresh_nonce()?);
                (
                    Socket::Udp(socket),
                    Some(Sealed {
                        client,
                        repeat: now,
                        other: None,
                    }),
                )
            }
        };
        let buffer = vec![0; 64 << 10].into_boxed_slice();
        let mut link = Link {
            socket: Arc::new(socket),
            out: Vec::new(),
            written: 0,
            seal,
            buffer,
        };
        link.tick(now, session)?;
        Ok(link)
    }

    pub(super) fn socket(&self) -> Arc<Socket> {
        Arc::clone(&self.socket)
    }

    /// The version that the server seals in, if it is another and no session came about.
    pub(super) fn other_version(&self) -> Option<u8> {
        self.seal
            .as_ref()
            .filter(|seal| !seal.client.is_open())
            .and_then(|seal| seal.other)
    }

    /// Takes what is there.
    pub(super) fn receive(
        &mut self,
        now: Duration,
        session: &mut Session,
    ) -> Result<(), LinkError> {
        loop {
            let read = match &*self.socket {
                Socket::Unix(socket) => (&mut &*socket).read(&mut self.buffer),
                Socket::Udp(socket) => socket.recv(&mut self.buffer),
            };
            let length = match read {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // Nobody listens there now. The session is kept for whoever comes.
                Err(error) if self.seal.is_some() && is_passing(&error) => continue,
                Err(error) => return Err(error.into()),
            };
            let Some(seal) = &mut self.seal else {
                if length == 0 {
                    return Err(LinkError::Closed);
                }
                session.receive(now, &self.buffer[..length])?;
                continue;
            };
            match seal.client.take(&self.buffer[..length]) {
                Ok(FromServer::Message(line)) => {
                    // It comes from the server, and is of a later version at worst.
                    let _ = session.receive(now, line);
                }
                Ok(FromServer::Send(datagram)) => {
                    seal.repeat = now + REPEAT;
                    send(&self.socket, &datagram)?;
                }
                Ok(FromServer::Opened) => {
                    // A request sealed for the session that is over is sent again anyway.
                    self.out.clear();
                    self.written = 0;
                    session.connected(now);
                }
                Ok(FromServer::Stale) => seal.begin(now)?,
                Err(Unsealed::OtherVersion { given }) => seal.other = Some(given),
                Ok(FromServer::Nothing) | Err(_) => {}
            }
        }
    }

    /// Sends what there is to send. True: there is more, for which the socket has no room.
    pub(super) fn transmit(
        &mut self,
        now: Duration,
        session: &mut Session,
    ) -> Result<bool, LinkError> {
        loop {
            if self.written == self.out.len() {
                self.out.clear();
                self.written = 0;
                self.fill(now, session);
                if self.out.is_empty() {
                    return Ok(false);
                }
            }
            let wrote = match &*self.socket {
                Socket::Unix(socket) => (&mut &*socket).write(&self.out[self.written..]),
                Socket::Udp(socket) => socket.send(&self.out),
            };
            match wrote {
                Ok(length) => self.written += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                // Lost, as datagrams are.
                Err(error) if self.seal.is_some() && is_passing(&error) => {
                    self.written = self.out.len()
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn fill(&mut self, now: Duration, session: &mut Session) {
        match &mut self.seal {
            None => {
                while self.out.len() < BATCH
                    && let Some(line) = session.transmit(now)
                {
                    self.out.extend_from_slice(&line);
                }
            }
            Some(seal) => {
                if seal.client.is_open()
                    && let Some(line) = session.transmit(now)
                {
                    let line = line.strip_suffix(b"\n").unwrap_or(&line);
                    self.out = seal.client.seal(line).unwrap_or_default();
                }
            }
        }
    }

    /// When [`Link::tick`] is to be called.
    pub(super) fn deadline(&self, session: &Session) -> Option<Duration> {
        let handshake = self
            .seal
            .as_ref()
            .filter(|seal| seal.client.unanswered().is_some());
        [handshake.map(|seal| seal.repeat), session.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Repeats what was not answered.
    pub(super) fn tick(&mut self, now: Duration, session: &mut Session) -> io::Result<()> {
        let silent = session.tick(now);
        let Some(seal) = &mut self.seal else {
            return Ok(());
        };
        if silent && seal.client.unanswered().is_none() {
            seal.begin(now)?;
        }
        if now >= seal.repeat
            && let Some(datagram) = seal.client.unanswered()
        {
            seal.repeat = now + REPEAT;
            send(&self.socket, datagram)?;
        }
        Ok(())
    }
}

impl Sealed {
    fn begin(&mut self, now: Duration) -> io::Result<()> {
        if self.client.unanswered().is_none() {
            self.client.begin(udp::fresh_nonce()?);
            self.repeat = now;
        }
        Ok(())
    }
}

fn send(socket: &Socket, datagram: &[u8]) -> io::Result<()> {
    let Socket::Udp(socket) = socket else {
        return Ok(());
    };
    match socket.send(datagram) {
        // It is repeated.
        Err(error) if !is_passing(&error) && error.kind() != ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}

/// Errors that ICMP and routing bring about, and take away again.
fn is_passing(error: &io::Error) -> bool {
    use ErrorKind::{
        ConnectionRefused, HostUnreachable, NetworkDown, NetworkUnreachable, PermissionDenied,
    };
    matches!(
        error.kind(),
        ConnectionRefused | HostUnreachable | NetworkDown | NetworkUnreachable | PermissionDenied
    )
}
