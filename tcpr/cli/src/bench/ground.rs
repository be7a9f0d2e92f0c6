//! The ground that is measured on: two hosts, a wire, a server, and ports beside each other of
//! which one is protected.
//!
//! *Assumes* to be inside a bed, with time enough.
//! *Guarantees* that unprotected and protected connections meet the same hosts, wire and rules, so
//! that they can be measured in turn; and that local ports are not used twice.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, clock_gettime};
use socket2::{Domain, Protocol, Socket, Type};
use tcpr::{Client, Connection, Endpoint, Flow, Pattern};

use crate::bed::{self, Host, Served, Wire};

/// How long any single step may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

const PROTECTED: u16 = 7001;
const PLAIN: u16 = 7002;
const FIRST_PORT: u16 = 10_000;
const LAST_PORT: u16 = 65_000;

/// What stands between application and peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Protection {
    /// Nothing.
    None,
    /// TCPR, and acknowledgments are not held back: `done_reading` from the start.
    Unsafe,
    /// TCPR, and the application checkpoints whatever it reads.
    Checkpointed,
    /// The same, after one recovery: every segment is rewritten from then on.
    Recovered,
}

impl Protection {
    /// As results name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Protection::None => "unprotected",
            Protection::Unsafe => "unsafe",
            Protection::Checkpointed => "checkpointed",
            Protection::Recovered => "recovered",
        }
    }
}

/// Hosts, wire and server.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) app: Host,
    pub(super) served: Served,
    pub(super) client: Client,
    protected: TcpListener,
    plain: TcpListener,
    port: u16,
}

impl Ground {
    /// Lays it out.
    pub(super) fn lay(wire: &Wire) -> anyhow::Result<Ground> {
        let pair = bed::pair(wire)?;
        // The copy of this program in the bed is this program.
        let served = Served::start(&pair.app, Path::new("/proc/self/exe"), [""; 0])?;
        let client = Client::connect(&Endpoint::Unix(served.socket().to_owned()))?;
        let at = |port| SocketAddr::new(pair.peer.v4(), port);
        client.protect(Pattern::Remote(at(PROTECTED)))?;
        let listen = |address: SocketAddr| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            socket.listen(4096)?;
            Ok::<_, std::io::Error>(TcpListener::from(socket))
        };
        let listeners = pair
            .peer
            .run(|| Ok::<_, std::io::Error>((listen(at(PROTECTED))?, listen(at(PLAIN))?)));
        let (protected, plain) = listeners.context("the peer cannot listen")?;
        Ok(Ground {
            app: pair.app,
            served,
            client,
            protected,
            plain,
            port: FIRST_PORT,
        })
    }

    /// Where the peer listens, and connections to it are protected.
    pub(super) fn protected(&self) -> &TcpListener {
        &self.protected
    }

    /// Where the peer listens, and connections to it are not.
    pub(super) fn plain(&self) -> &TcpListener {
        &self.plain
    }

    /// Local ports of the application that were not used of late.
    pub(super) fn ports(&mut self, count: usize) -> anyhow::Result<Vec<u16>> {
        let room = usize::from(LAST_PORT - FIRST_PORT);
        ensure!(
            count <= room,
            "{count} connections to one port of the peer need as many ports, and there are {room}: \
             ask for fewer"
        );
        if usize::from(LAST_PORT - self.port) < count {
            self.port = FIRST_PORT;
        }
        let first = self.port;
        // `count` is no more than the room.
        self.port += count as u16;
        Ok((first..self.port).collect())
    }

    /// Opens a connection.
    pub(super) fn open(&mut self, protection: Protection) -> anyhow::Result<Link> {
        let port = self.ports(1)?[0];
        let listener = match protection {
            Protection::None => &self.plain,
            _ => &self.protected,
        };
        let local = SocketAddr::new(self.app.v4(), port);
        let remote = listener.local_addr()?;
        let application = self.app.run(|| connect(local, remote))?;
        let (peer, _) = listener.accept().context("the peer cannot accept")?;
        let mut link = Link {
            application,
            peer,
            connection: None,
            protection,
            taken: 0,
        };
        if protection != Protection::None {
            let connection = self.client.register(Flow { local, remote })?;
            if protection == Protection::Unsafe {
                connection.done_reading()?;
            }
            link.connection = Some(connection);
        }
        if protection == Protection::Recovered {
            link = link.fail_and_recover(self)?;
        }
        for end in [&link.application, &link.peer] {
            end.set_read_timeout(Some(PATIENCE))?;
            end.set_write_timeout(Some(PATIENCE))?;
            end.set_nodelay(true)?;
            // So that nothing of it is on the wire when it has ended.
            socket2::SockRef::from(end).set_linger(Some(Duration::ZERO))?;
        }
        Ok(link)
    }
}

/// A connection, both ends of which are ours.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) application: TcpStream,
    pub(super) peer: TcpStream,
    connection: Option<Connection>,
    protection: Protection,
    taken: u64,
}

impl Link {
    /// The application has read so many octets more: it takes charge of them, if that is its way.
    pub(super) fn take(&mut self, octets: usize) -> anyhow::Result<()> {
        self.taken += octets as u64;
        if let (Protection::Checkpointed | Protection::Recovered, Some(connection)) =
            (self.protection, &self.connection)
        {
            connection.checkpoint(self.taken)?;
        }
        Ok(())
    }

    /// The application's socket is closed without a word to TCPR, and the connection recovered.
    fn fail_and_recover(mut self, ground: &Ground) -> anyhow::Result<Link> {
        self.peer.write_all(&[1])?;
        self.application.write_all(&[1])?;
        self.application.read_exact(&mut [0])?;
        self.peer.read_exact(&mut [0])?;
        self.take(1)?;
        let record = match &self.connection {
            Some(connection) => connection.record().next(),
            None => return Ok(self),
        };
        drop(self.application);
        let reconnect = || ground.client.reconnect(&record, PATIENCE, |_| Ok(()));
        let (mut application, recovery) = ground.app.run(reconnect)?;
        if recovery.base == 0 {
            // The peer has the octet, and has not acknowledged it yet.
            application.write_all(&[1])?;
        }
        Ok(Link {
            application,
            connection: Some(recovery.into_connection()),
            ..self
        })
    }

    /// Ends it for both sides.
    pub(super) fn end(self) -> anyhow::Result<()> {
        if let Some(connection) = &self.connection {
            connection.abort()?;
        }
        Ok(())
    }
}

/// A fresh connection.
pub(super) fn connect(local: SocketAddr, remote: SocketAddr) -> anyhow::Result<TcpStream> {
    let mut streams = connect_all([local], remote)?;
    streams.pop().context("nothing was connected")
}

/// Fresh connections, opened at once, as [`Client::reconnect_all`] opens them.
pub(super) fn connect_all(
    locals: impl IntoIterator<Item = SocketAddr>,
    remote: SocketAddr,
) -> anyhow::Result<Vec<TcpStream>> {
    let begin = |local: SocketAddr| {
        let domain = Domain::for_address(local);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&local.into())?;
        socket.set_nonblocking(true)?;
        match socket.connect(&remote.into()) {
            Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) => Err(e),
            _ => Ok(socket),
        }
    };
    let complete = |socket: Socket| {
        let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
        let patience = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
        if poll(&mut polled, patience)? == 0 {
            return Err(ErrorKind::TimedOut.into());
        }
        match socket.take_error()? {
            Some(error) => Err(error),
            None => socket.set_nonblocking(false).map(|()| socket.into()),
        }
    };
    let begun: Vec<_> = locals.into_iter().map(begin).collect();
    let completed = begun.into_iter().map(|socket| socket.and_then(complete));
    let streams: std::io::Result<_> = completed.collect();
    streams.with_context(|| format!("cannot connect to {remote}"))
}

/// The time that all processes of this machine share, in nanoseconds.
pub(super) fn now_ns() -> anyhow::Result<i64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    Ok(now.tv_sec() * 1_000_000_000 + now.tv_nsec())
}

/// Waits until then.
pub(super) fn sleep_until(instant: Instant) {
    std::thread::sleep(instant.saturating_duration_since(Instant::now()));
}

/// Lets this process and its children have so many descriptors.
pub(super) fn allow_descriptors(wanted: usize) -> anyhow::Result<()> {
    let wanted = wanted as u64;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft >= wanted {
        return Ok(());
    }
    ensure!(
        hard >= wanted,
        "{wanted} open files are needed, and this process may have {hard}: raise the hard limit \
         (`ulimit -Hn`, LimitNOFILE= of systemd, nofile in limits.conf), or ask for fewer \
         connections"
    );
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
    Ok(())
}
