//! A connection is begun, or gone on with.
//!
//! *Assumes* that nobody else has the record.
//! *Guarantees* the order that makes every instant safe to crash in. Connecting: bind, record,
//! protect, connect, register, record. Listening: protect, abort what nobody has taken charge of,
//! listen, accept, record, register, record. Going on: record the next incarnation, recover, connect.

use std::io;
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket,
};
use std::time::Duration;

use socket2::Socket;
use tcpr::{Client, ClientError, Connection, Durability, Ending, Flow, Hard, Pattern, Record};

use super::kept::Kept;
use super::record::{NcRecord, Purpose, Repeat, Stage, input_has_ended, received};
use super::sink::Sink;
use super::source::Source;
use super::{NcError, Options, Paths, is_over};
use crate::socket::bind;

/// How long a recovered connection may take: TCPR answers in the peer's place.
const SPLICE: Duration = Duration::from_secs(20);

/// What is needed to begin, or to go on.
#[derive(Debug)]
pub(super) struct Opener<'a> {
    pub(super) client: &'a Client,
    pub(super) options: &'a Options,
    pub(super) paths: &'a Paths,
    pub(super) purpose: Purpose,
    pub(super) durability: Durability,
}

/// An open connection, recorded.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) stream: TcpStream,
    pub(super) connection: Connection,
    pub(super) kept: Kept,
    pub(super) sink: Sink,
    pub(super) source: Source,
    /// The first octet of output to be sent.
    pub(super) base: u64,
    pub(super) pattern: Pattern,
}

impl Opener<'_> {
    /// Begins a connection.
    pub(super) fn begin(&self) -> Result<Opened, NcError> {
        let (stream, pattern) = if self.options.listen {
            self.accept()?
        } else {
            self.connect()?
        };
        let connection = self.client.register(flow(&stream)?)?;
        let sink = match &self.paths.out {
            Some(path) => Sink::create(path)?,
            None => Sink::stdout()?,
        };
        let source = Source::begin(&self.paths.log, self.durability == Durability::Machine)?;
        let kept = self.keep(source.repeat()?, connection.record().hard);
        kept.store(&connection, |_| {})?;
        Ok(Opened {
            stream,
            connection,
            kept,
            sink,
            source,
            base: 0,
            pattern,
        })
    }

    /// Goes on with a connection. Nothing: it had come to its end already.
    pub(super) fn recover(
        &self,
        record: Record,
        repeat: Repeat,
    ) -> Result<Option<Opened>, NcError> {
        let flow = record.hard.flow;
        let pattern = if self.options.listen {
            let pattern = Pattern::Local(self.listened_at()?);
            self.client.protect(pattern)?;
            pattern
        } else {
            Pattern::Flow(flow)
        };
        let durable = self.durability == Durability::Machine;
        // Before anything is changed: is everything there?
        if let Some(path) = &self.paths.out {
            Sink::admit(path, received(&record.hard))?;
        }
        let sent = record
            .hard
            .done_writing
            .unwrap_or(u64::MAX)
            .min(record.hard.acked);
        Source::go_on(&repeat, sent, &self.paths.log, durable)?;
        let record = record.next();
        let kept = self.keep(repeat, record.hard);
        kept.store_with(record.hard, |_| {})?;
        let recovery = match self.client.recover(&record) {
            Ok(recovery) => recovery,
            Err(e) if is_over(&e) => return self.conclude(&record.hard, pattern).map(|()| None),
            Err(e) => return Err(e.into()),
        };
        let sink = match &self.paths.out {
            Some(path) => Sink::reopen(path, received(&record.hard))?,
            None => Sink::stdout()?,
        };
        let base = recovery.base;
        let source = Source::go_on(&repeat, base, &self.paths.log, durable)?;
        let (stream, connection) = recovery.connect(SPLICE)?;
        kept.store(&connection, |_| {})?;
        Ok(Some(Opened {
            stream,
            connection,
            kept,
            sink,
            source,
            base,
            pattern,
        }))
    }

    /// A connection that has ended while nobody was there.
    fn conclude(&self, hard: &Hard, pattern: Pattern) -> Result<(), NcError> {
        let shown = self.client.show(&hard.flow).ok();
        let ending = shown.and_then(|summary| summary.ending);
        let received = self.paths.received(hard);
        self.paths.remove();
        if let Err(e) = self.client.unprotect(pattern) {
            tracing::warn!("TCPR keeps protecting {pattern}: {e}");
        }
        let complete = input_has_ended(hard) && hard.done_writing.is_some();
        if complete && matches!(ending, None | Some(Ending::Finished)) {
            eprintln!(
                "tcpr nc: the connection {} had come to its end already",
                hard.flow
            );
            return Ok(());
        }
        Err(NcError::Ended {
            flow: hard.flow,
            ending,
            received,
            acked: shown.map_or(hard.acked, |summary| summary.acked),
        })
    }

    /// A connection that was being opened when a crash came is of no use.
    pub(super) fn give_up(&self, flow: Flow) -> Result<(), NcError> {
        match self.client.abort(&flow) {
            Ok(()) | Err(ClientError::Refused { .. }) => {}
            Err(e) => return Err(e.into()),
        }
        Ok(self.client.unprotect(Pattern::Flow(flow))?)
    }

    fn note_connecting(&self, flow: Flow) -> Result<(), NcError> {
        let record = NcRecord::new(self.purpose.clone(), Stage::Connecting { flow });
        Ok(record.store(&self.paths.record, self.durability)?)
    }

    fn keep(&self, repeat: Repeat, hard: Hard) -> Kept {
        let path = self.paths.record.clone();
        Kept::new(path, self.durability, self.purpose.clone(), repeat, hard)
    }

    /// The addresses that HOST stands for.
    fn addresses(&self) -> Result<Vec<SocketAddr>, NcError> {
        let (host, port) = (self.options.host.as_str(), self.options.port);
        let failed = |source| NcError::Socket {
            step: "look up",
            address: host.to_owned(),
            source,
        };
        let addresses: Vec<_> = (host, port).to_socket_addrs().map_err(failed)?.collect();
        if addresses.is_empty() {
            return Err(failed(io::Error::other("it has no address")));
        }
        Ok(addresses)
    }

    fn listened_at(&self) -> Result<SocketAddr, NcError> {
        Ok(self.addresses()?[0])
    }

    fn accept(&self) -> Result<(TcpStream, Pattern), NcError> {
        let address = self.listened_at()?;
        let pattern = Pattern::Local(address);
        self.client.protect(pattern)?;
        self.abort_unclaimed(pattern, None)?;
        let failed = |step| at(step, address.to_string());
        let socket = bind(address).map_err(failed("listen at"))?;
        socket.listen(1).map_err(failed("listen at"))?;
        let listener = TcpListener::from(socket);
        let (stream, remote) = listener
            .accept()
            .map_err(failed("accept a connection at"))?;
        drop(listener);
        tracing::info!(%remote, "accepted");
        let flow = flow(&stream)?;
        // What is registered and has no record is then never ours.
        self.note_connecting(flow)?;
        // Those who came second are told so.
        self.abort_unclaimed(pattern, Some(flow))?;
        Ok((stream, pattern))
    }

    /// Aborts connections that nobody has taken charge of: a crash has come between their
    /// handshake and the record.
    fn abort_unclaimed(&self, pattern: Pattern, but: Option<Flow>) -> Result<(), NcError> {
        for summary in self.client.list()? {
            let flow = summary.flow;
            if !pattern.covers(&flow) || Some(flow) == but {
                continue;
            }
            if summary.registered {
                tracing::warn!(%flow, "another connection is registered here, and is left alone");
                continue;
            }
            match self.client.abort(&flow) {
                Ok(()) | Err(ClientError::Refused { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn connect(&self) -> Result<(TcpStream, Pattern), NcError> {
        let mut last = None;
        for remote in self.addresses()? {
            match self.connect_to(remote) {
                Err(e @ NcError::Socket { .. }) => last = Some(e),
                result => return result,
            }
        }
        self.paths.remove();
        Err(last.unwrap_or_else(|| {
            at("look up", self.options.host.clone())(io::ErrorKind::NotFound.into())
        }))
    }

    fn connect_to(&self, remote: SocketAddr) -> Result<(TcpStream, Pattern), NcError> {
        let local = SocketAddr::new(
            self.source_address(remote)?,
            self.options.local_port.unwrap_or(0),
        );
        let socket = bind(local).map_err(at("bind to", local.to_string()))?;
        let flow = Flow {
            local: local_address(&socket).map_err(at("bind to", local.to_string()))?,
            remote: plain(remote),
        };
        // From here on a crash leaves something that has to be found.
        self.note_connecting(flow)?;
        let pattern = Pattern::Flow(flow);
        self.client.protect(pattern)?;
        match socket.connect(&remote.into()) {
            Ok(()) => Ok((socket.into(), pattern)),
            Err(source) => {
                self.give_up(flow)?;
                Err(at("connect to", remote.to_string())(source))
            }
        }
    }

    /// The address that the kernel would choose: the connection has to have a name before it is
    /// opened.
    fn source_address(&self, remote: SocketAddr) -> Result<IpAddr, NcError> {
        if let Some(address) = self.options.local_address {
            return Ok(address);
        }
        let any: IpAddr = match remote {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        // Nothing is sent.
        UdpSocket::bind((any, 0))
            .and_then(|socket| {
                socket.connect(remote)?;
                Ok(socket.local_addr()?.ip())
            })
            .map_err(at("find a route to", remote.to_string()))
    }
}

fn at(step: &'static str, address: String) -> impl Fn(io::Error) -> NcError {
    move |source| NcError::Socket {
        step,
        address: address.clone(),
        source,
    }
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?.as_socket();
    Ok(plain(address.ok_or(io::ErrorKind::AddrNotAvailable)?))
}

/// The connection of a socket.
fn flow(stream: &TcpStream) -> Result<Flow, NcError> {
    let failed = at("read the addresses of", "the connection".into());
    Ok(Flow {
        local: plain(stream.local_addr().map_err(&failed)?),
        remote: plain(stream.peer_addr().map_err(&failed)?),
    })
}

/// What is seen of an address on the wire.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}
