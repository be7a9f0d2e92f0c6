//! The loop: waits for packets, requests and deadlines, and has the engine deal with them.
//!
//! *Assumes* one thread, and that nothing of what is called here blocks.
//! *Guarantees* that packets go first, that no application can keep another or the packets waiting,
//! and that everything told in a turn is on its way at the end of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use tracing::{debug, warn};

use super::ServeError;
use super::audience::Peer;
use super::datagrams::Datagrams;
use super::engine::Engine;
use super::requests::Carrier;
use super::socket::Socket;
use super::stream::Stream;
use crate::dataplane::Dataplane;
use crate::protocol::{Answer, Ask};

const PACKETS: u64 = 0;
const STOP: u64 = 1;
const LISTENER: u64 = 2;
const DATAGRAMS: u64 = 3;
/// Applications are numbered from here on.
const PEERS: u64 = 16;

/// How many applications may be connected.
const STREAMS: usize = 1024;

/// How long nobody is let in after that has failed.
const PAUSE: Duration = Duration::from_millis(200);

/// Everything that serves.
#[derive(Debug)]
pub(crate) struct Server<D, S> {
    engine: Engine<D>,
    epoll: Epoll,
    socket: Option<Socket>,
    /// Since when nobody is let in.
    paused: Option<Duration>,
    streams: BTreeMap<Peer, (Stream, EpollFlags)>,
    datagrams: Option<Datagrams>,
    asks: Vec<(Peer, Result<Ask, Box<Answer>>)>,
    next_peer: u64,
    start: Instant,
    /// Readable when serving is to end.
    _stop: S,
}

impl<D: Dataplane, S: AsFd> Server<D, S> {
    pub(crate) fn new(
        engine: Engine<D>,
        socket: Option<Socket>,
        datagrams: Option<Datagrams>,
        stop: S,
    ) -> io::Result<Server<D, S>> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let readable = |token| EpollEvent::new(EpollFlags::EPOLLIN, token);
        for descriptor in engine.dataplane.descriptors() {
            epoll.add(descriptor, readable(PACKETS))?;
        }
        epoll.add(&stop, readable(STOP))?;
        if let Some(socket) = &socket {
            epoll.add(&socket.listener, readable(LISTENER))?;
        }
        if let Some(datagrams) = &datagrams {
            epoll.add(&datagrams.socket, readable(DATAGRAMS))?;
        }
        Ok(Server {
            engine,
            epoll,
            socket,
            paused: None,
            streams: BTreeMap::new(),
            datagrams,
            asks: Vec::new(),
            next_peer: PEERS,
            start: Instant::now(),
            _stop: stop,
        })
    }

    pub(crate) fn into_engine(self) -> Engine<D> {
        self.engine
    }

    /// What the engine calls now.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Serves until `stop` is readable.
    pub(crate) fn run(&mut self) -> Result<(), ServeError>
    where
        ServeError: From<D::Error>,
    {
        let mut events = [EpollEvent::empty(); 64];
        loop {
            let count = match self.epoll.wait(&mut events, self.timeout()) {
                Err(Errno::EINTR) => 0,
                other => other.map_err(|e| ServeError::System {
                    step: "wait for packets with epoll",
                    source: e.into(),
                })?,
            };
            let now = self.now();
            let events = &events[..count];
            // Requests come before packets: an application may connect before `recover` is answered.
            for event in events {
                match event.data() {
                    PACKETS => {}
                    STOP => return Ok(()),
                    LISTENER => self.let_in(now),
                    DATAGRAMS => self.hear_datagrams(now),
                    peer => self.attend(now, Peer(peer), event.events()),
                }
            }
            if events.iter().any(|event| event.data() == PACKETS) {
                self.engine.turn(now)?;
            }
            self.engine.tick(now);
            if let Some(datagrams) = &mut self.datagrams {
                for peer in datagrams.expire(now) {
                    self.engine.leave(peer);
                }
            }
            if self.paused.is_some_and(|since| since + PAUSE <= now) {
                self.pause(None);
            }
            self.deliver();
        }
    }

    fn timeout(&self) -> EpollTimeout {
        let now = self.now();
        let resume = self.paused.map(|since| since + PAUSE);
        let expiry = self.datagrams.as_ref().map(Datagrams::deadline);
        let due = [self.engine.deadline(), resume, expiry];
        let Some(due) = due.into_iter().flatten().min() else {
            return EpollTimeout::NONE;
        };
        // Up to the next millisecond: what wakes too early would only wake again.
        let wait = due.saturating_sub(now).as_nanos().div_ceil(1_000_000);
        EpollTimeout::try_from(i32::try_from(wait).unwrap_or(i32::MAX)).unwrap_or(EpollTimeout::MAX)
    }

    fn let_in(&mut self, now: Duration) {
        let Some(socket) = &self.socket else {
            return;
        };
        let accepted = if self.streams.len() < STREAMS {
            socket.listener.accept()
        } else {
            Err(io::Error::other("too many applications are connected"))
        };
        let added = accepted.and_then(|(stream, _)| {
            let stream = Stream::new(stream)?;
            let flags = EpollFlags::EPOLLIN;
            self.epoll
                .add(&stream, EpollEvent::new(flags, self.next_peer))?;
            Ok((stream, flags))
        });
        match added {
            Ok(stream) => {
                self.streams.insert(Peer(self.next_peer), stream);
                self.next_peer += 1;
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => {
                // It would be tried again at once, for ever.
                warn!("cannot let an application in: {e}");
                self.pause(Some(now));
            }
        }
    }

    fn pause(&mut self, since: Option<Duration>) {
        self.paused = since;
        let flags = match since {
            Some(_) => EpollFlags::empty(),
            None => EpollFlags::EPOLLIN,
        };
        if let Some(socket) = &self.socket
            && let Err(e) = self
                .epoll
                .modify(&socket.listener, &mut EpollEvent::new(flags, LISTENER))
        {
            warn!("cannot change what is waited for: {e}");
        }
    }

    fn attend(&mut self, now: Duration, peer: Peer, events: EpollFlags) {
        let Some((stream, _)) = self.streams.get_mut(&peer) else {
            return;
        };
        let mut there = true;
        if events.contains(EpollFlags::EPOLLOUT) {
            there = stream.flush();
        }
        if there
            && events.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR)
        {
            let mut asks = Vec::new();
            there = stream.hear(&mut asks);
            for ask in asks {
                self.answer(now, peer, Carrier::Stream, ask);
            }
        }
        if there {
            self.renew(peer);
        } else {
            self.see_off(peer);
        }
    }

    fn hear_datagrams(&mut self, now: Duration) {
        let Some(datagrams) = &mut self.datagrams else {
            return;
        };
        let next_peer = &mut self.next_peer;
        let new_peer = || {
            *next_peer += 1;
            Peer(*next_peer - 1)
        };
        let mut asks = std::mem::take(&mut self.asks);
        datagrams.hear(now, &mut self.engine.channel, new_peer, &mut asks);
        for (peer, ask) in asks.drain(..) {
            self.answer(now, peer, Carrier::Datagram, ask);
        }
        self.asks = asks;
    }

    fn answer(
        &mut self,
        now: Duration,
        peer: Peer,
        carrier: Carrier,
        ask: Result<Ask, Box<Answer>>,
    ) {
        match ask {
            Ok(ask) => self.engine.ask(now, peer, carrier, ask),
            Err(answer) => {
                self.engine.channel.malformed += 1;
                self.engine.audience.answer(peer, answer.id, answer.reply);
            }
        }
    }

    /// Sends what the turn has brought.
    fn deliver(&mut self) {
        if self.engine.audience.outbox().is_empty() {
            return;
        }
        let mut outbox = std::mem::take(self.engine.audience.outbox());
        let mut told = BTreeSet::new();
        let mut gone = BTreeSet::new();
        for (peer, message) in outbox.drain(..) {
            match self.streams.get_mut(&peer) {
                Some((stream, _)) => {
                    told.insert(peer);
                    if let Err(e) = stream.tell(&message)
                        && gone.insert(peer)
                    {
                        warn!("an application is given up: {e}");
                    }
                }
                None => {
                    if let Some(datagrams) = &mut self.datagrams {
                        datagrams.tell(peer, &message, &mut self.engine.channel);
                    }
                }
            }
        }
        *self.engine.audience.outbox() = outbox;
        for peer in told {
            let there = !gone.contains(&peer)
                && self
                    .streams
                    .get_mut(&peer)
                    .is_some_and(|(stream, _)| stream.flush());
            if there {
                self.renew(peer);
            } else {
                self.engine.channel.notices_lost += u64::from(gone.contains(&peer));
                self.see_off(peer);
            }
        }
    }

    /// Waits for what the application may do next.
    fn renew(&mut self, peer: Peer) {
        let Some((stream, flags)) = self.streams.get_mut(&peer) else {
            return;
        };
        let mut wanted = EpollFlags::empty();
        wanted.set(EpollFlags::EPOLLIN, stream.is_heard());
        wanted.set(EpollFlags::EPOLLOUT, stream.is_behind());
        if wanted == *flags {
            return;
        }
        *flags = wanted;
        if let Err(e) = self
            .epoll
            .modify(&*stream, &mut EpollEvent::new(wanted, peer.0))
        {
            warn!("cannot change what is waited for: {e}");
        }
    }

    fn see_off(&mut self, peer: Peer) {
        // Closing the descriptor takes it out of the set.
        self.streams.remove(&peer);
        self.engine.leave(peer);
        debug!(peer = peer.0, "an application has gone");
    }
}
