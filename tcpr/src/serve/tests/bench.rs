//! An engine on a wire, with one application and one connection.

use std::net::SocketAddr;
use std::time::Duration;

use tcpr_core::packet::{Flags, Packet};
use tcpr_core::{Config, Flow, Hard, Pattern};

use super::wire::{self, Event, Tcp, Wire};
use crate::dataplane::Hook;
use crate::protocol::{Ask, Message, PROTOCOL_VERSION, Reply, Request};
use crate::serve::audience::Peer;
use crate::serve::engine::Engine;
use crate::serve::requests::Carrier;

pub(super) const APPLICATION: Peer = Peer(1);
pub(super) const HOLD_LIMIT: usize = 1 << 20;

/// Initial numbers of the peer and of the first and second local TCP.
pub(super) const PEER: u32 = 1000;
pub(super) const FIRST: u32 = 5000;
pub(super) const SECOND: u32 = 90_000;

pub(super) fn flow() -> Flow {
    Flow {
        local: "198.18.0.1:179".parse().unwrap(),
        remote: "198.18.0.2:4000".parse().unwrap(),
    }
}

pub(super) fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) struct Bench {
    pub(super) engine: Engine<Wire>,
    pub(super) now: Duration,
    pub(super) asked: u64,
}

impl Bench {
    pub(super) fn new() -> Bench {
        let mut engine = Engine::new(Config::default(), HOLD_LIMIT, Wire::default());
        engine.protect(Pattern::Local(flow().local)).unwrap();
        let mut bench = Bench {
            engine,
            now: at(1),
            asked: 0,
        };
        let version = PROTOCOL_VERSION;
        let welcome = bench.ask(Request::Hello { version });
        assert!(matches!(welcome[..], [Message::Answer(_)]), "{welcome:?}");
        bench
    }

    /// What is said after a request.
    pub(super) fn ask(&mut self, request: Request) -> Vec<Message> {
        self.asked += 1;
        let id = self.asked;
        let ask = Ask { id, request };
        self.engine.ask(self.now, APPLICATION, Carrier::Stream, ask);
        self.said()
    }

    pub(super) fn reply(&mut self, request: Request) -> Reply {
        let said = self.ask(request).into_iter();
        let answers = said.filter_map(|message| match message {
            Message::Answer(answer) => Some(answer),
            Message::Notice(_) => None,
        });
        match &answers.collect::<Vec<_>>()[..] {
            [answer] if answer.id == self.asked => answer.reply.clone(),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn said(&mut self) -> Vec<Message> {
        self.engine.audience.tick(self.now + at(1));
        let told = self.engine.audience.outbox().drain(..);
        told.map(|(_, message)| message).collect()
    }

    /// Offers a segment, and gives what the dataplane did.
    pub(super) fn offer(&mut self, hook: Hook, segment: Vec<u8>) -> Vec<Event> {
        self.engine.dataplane.arrivals.push_back((hook, segment));
        self.turn()
    }

    /// Offers the segment that waits, and gives what the dataplane did.
    pub(super) fn turn(&mut self) -> Vec<Event> {
        self.now += at(1);
        self.engine.dataplane.events.clear();
        assert_eq!(self.engine.turn(self.now).unwrap(), 1);
        std::mem::take(&mut self.engine.dataplane.events)
    }

    pub(super) fn peer_sends(&mut self, tcp: Tcp) -> Vec<Event> {
        let segment = tcp.between(flow().remote, flow().local);
        self.offer(Hook::Input, segment)
    }

    pub(super) fn local_sends(&mut self, tcp: Tcp) -> Vec<Event> {
        let segment = tcp.between(flow().local, flow().remote);
        self.offer(Hook::Output, segment)
    }

    /// The peer connects, and the application registers.
    pub(super) fn established() -> (Bench, Hard) {
        let mut bench = Bench::new();
        bench.peer_sends(Tcp::syn(PEER));
        bench.local_sends(Tcp::syn_ack(FIRST, PEER + 1));
        bench.peer_sends(Tcp::ack(PEER + 1, FIRST + 1));
        let hard = match bench.reply(Request::Register {
            flow: flow(),
            hard: None,
        }) {
            Reply::Registered { hard } => *hard,
            other => panic!("{other:?}"),
        };
        assert_eq!(hard.incarnation, 0);
        (bench, hard)
    }

    /// A new local TCP connects after `recover`. Gives what its first acknowledgment led to.
    pub(super) fn reconnect(&mut self) -> Vec<Event> {
        let events = self.local_sends(Tcp::syn(SECOND));
        match &events[..] {
            [Event::Dropped, Event::Injected(answer)] => {
                let answer = wire::read(answer);
                assert_eq!(answer.flags, Flags::SYN.union(Flags::ACK));
                assert_eq!(answer.acknowledgment, SECOND + 1);
                self.local_sends(Tcp::ack(SECOND + 1, answer.sequence.wrapping_add(1)))
            }
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn next(hard: Hard) -> Hard {
    Hard {
        incarnation: hard.incarnation + 1,
        ..hard
    }
}

pub(super) fn recover(hard: Hard) -> Request {
    Request::Recover {
        hard: Box::new(next(hard)),
    }
}

pub(super) fn injected(events: &[Event], destination: SocketAddr) -> Vec<Tcp> {
    let segments = events.iter().filter_map(|event| match event {
        Event::Injected(octets) => {
            let mut octets = octets.clone();
            let packet = Packet::parse(&mut octets).unwrap();
            assert!(packet.checksum_is_right());
            (packet.destination() == destination).then(|| wire::read(packet.bytes()))
        }
        _ => None,
    });
    segments.collect()
}
