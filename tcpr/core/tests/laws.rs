//! Laws that hold whatever the local TCP, the peer and the application do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod trace;

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tcpr_core::packet::{Flags, Packet, Segment};
use tcpr_core::{Action, Actions, Direction, Flow, Hard, Pattern, Tcpr, Verdict};
use trace::{OURS, PEERS, Seg, build, seg};

/// What happens next.
#[derive(Debug, Clone)]
enum Event {
    AppSends { len: usize, again: bool },
    AppAcks { win: u16, sack: bool },
    PeerSends { len: usize, again: bool, lost: bool },
    PeerAcks { back: i64, win: u16 },
    Checkpoint { part: u8 },
    Dies { how: u8 },
    Recovers { inside: u32, tsval: u32, scale: u8 },
    ZombieSends { len: usize, rst: bool },
    TcprIsLost,
    Waits { milliseconds: u64 },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..300_usize, any::<bool>()).prop_map(|(len, again)| Event::AppSends { len, again }),
        4 => (100..2000_u16, any::<bool>()).prop_map(|(win, sack)| Event::AppAcks { win, sack }),
        4 => (0..300_usize, any::<bool>(), any::<bool>())
            .prop_map(|(len, again, lost)| Event::PeerSends { len, again, lost }),
        4 => (0..200_i64, 100..2000_u16).prop_map(|(back, win)| Event::PeerAcks { back, win }),
        3 => any::<u8>().prop_map(|part| Event::Checkpoint { part }),
        2 => (0..3_u8).prop_map(|how| Event::Dies { how }),
        2 => (any::<u32>(), any::<u32>(), 0..8_u8)
            .prop_map(|(inside, tsval, scale)| Event::Recovers { inside, tsval, scale }),
        2 => (0..300_usize, any::<bool>()).prop_map(|(len, rst)| Event::ZombieSends { len, rst }),
        1 => Just(Event::TcprIsLost),
        1 => (0..50_000_u64).prop_map(|milliseconds| Event::Waits { milliseconds }),
    ]
}

/// The octet at a position of our stream.
fn octet(position: i64) -> u8 {
    (position.wrapping_mul(31) >> 2) as u8
}

struct World {
    tcpr: Tcpr,
    flow: Flow,
    now: Duration,
    hard: Hard,
    /// The present local TCP: its SYN's number, where it began, what it has sent and received.
    inside: u32,
    base: i64,
    sent: i64,
    received: i64,
    tsval: u32,
    alive: bool,
    /// Earlier ones: SYN's number, base, sent.
    zombies: Vec<(u32, i64, i64)>,
    /// The peer: what it has received of ours at most, acknowledged, sent.
    peer_has: i64,
    peer_acked: i64,
    peer_sent: i64,
    peer_tsval: u32,
    /// What the peer was told.
    told_ack: i64,
    told_tsval: Option<u32>,
}

impl World {
    fn new() -> World {
        let flow = Flow {
            local: "10.0.0.2:179".parse().unwrap(),
            remote: "10.0.0.9:4000".parse().unwrap(),
        };
        let mut world = World {
            tcpr: Tcpr::new(tcpr_core::Config::default()),
            flow,
            now: Duration::from_secs(1),
            hard: Hard::begin(
                flow,
                tcpr_core::Stream { initial: OURS },
                tcpr_core::Stream { initial: PEERS },
            ),
            inside: OURS,
            base: 0,
            sent: 0,
            received: 0,
            tsval: 100,
            alive: true,
            zombies: Vec::new(),
            peer_has: 0,
            peer_acked: 0,
            peer_sent: 0,
            peer_tsval: 500,
            told_ack: -1,
            told_tsval: None,
        };
        world.tcpr.protect(Pattern::Local(flow.local));
        world.peer(seg(0, 0).syn());
        world.app(OURS, 0, seg(0, 0).syn().flags("SA").ack(0));
        world.peer(seg(0, 0).ack(0).win(16_000));
        world.hard = world.tcpr.register(world.now, &flow).unwrap();
        world
    }

    /// A segment of a local TCP, whose positions are counted from its base.
    fn app(&mut self, inside: u32, base: i64, seg: Seg) {
        self.tsval = self.tsval.wrapping_add(1);
        let seg = seg.ts(self.tsval, self.peer_tsval);
        let mut octets = build(self.flow.local, self.flow.remote, inside, PEERS, &seg);
        let at = octets.len() - seg.len;
        for (index, slot) in octets[at..].iter_mut().enumerate() {
            *slot = octet(base + seg.seq + index as i64);
        }
        Packet::parse(&mut octets).unwrap().fill_checksum();
        self.offer(Direction::Outbound, octets);
    }

    fn peer(&mut self, seg: Seg) {
        self.peer_tsval += 1;
        let seg = seg.ts(self.peer_tsval, self.told_tsval.unwrap_or(0));
        let octets = build(self.flow.remote, self.flow.local, PEERS, OURS, &seg);
        self.offer(Direction::Inbound, octets);
    }

    fn offer(&mut self, direction: Direction, mut octets: Vec<u8>) {
        let mut actions = Actions::new();
        let mut packet = Packet::parse(&mut octets).unwrap();
        let syn = packet.flags().contains(Flags::SYN);
        let verdict = self
            .tcpr
            .segment(self.now, direction, &mut packet, &mut actions);
        assert!(packet.checksum_is_right());
        match (verdict, direction) {
            (Verdict::Forward { .. }, Direction::Outbound) => self.peer_sees(&packet, syn),
            (Verdict::Forward { .. }, Direction::Inbound) => self.app_sees(&packet),
            _ => {}
        }
        self.carry_out(actions);
    }

    fn carry_out(&mut self, actions: Actions) {
        for action in actions {
            match action {
                Action::Inject {
                    direction,
                    mut segment,
                } => {
                    self.tcpr.renew(&mut segment);
                    let mut buffer = [0; Segment::MAX_LEN];
                    let length = segment.emit(&mut buffer);
                    let mut octets = buffer[..length].to_vec();
                    let packet = Packet::parse(&mut octets).unwrap();
                    assert!(packet.checksum_is_right());
                    match direction {
                        // What TCPR asks lies far outside of the window, where nothing is believed
                        // or kept; but old it must not be.
                        Direction::Outbound if segment.octet => self.is_not_old(&packet),
                        Direction::Outbound => self.peer_sees(&packet, false),
                        Direction::Inbound => {}
                    }
                }
                Action::Closed { .. } => panic!("nobody has closed"),
                // What is held is sent again by the peer.
                Action::Replay { flow, .. } => self.tcpr.held(&flow, false),
                Action::Spliced { hard } => self.hard = hard,
                _ => {}
            }
        }
    }

    /// RFC 7323, 5.3, R1.
    fn is_not_old(&self, packet: &Packet<'_>) {
        let stamps = packet
            .options()
            .timestamps
            .expect("a timestamp on every segment");
        if let Some(told) = self.told_tsval {
            let ahead = stamps.value.wrapping_sub(told) as i32;
            assert!(ahead >= 0, "TSval goes back");
        }
    }

    /// The laws.
    fn peer_sees(&mut self, packet: &Packet<'_>, handshake: bool) {
        let flags = packet.flags();
        if handshake {
            return;
        }
        for flag in [Flags::SYN, Flags::RST, Flags::FIN] {
            assert!(
                !flags.contains(flag),
                "the peer sees {flags:?} that nobody meant"
            );
        }
        let ack = self
            .hard
            .peers
            .position(self.told_ack, packet.acknowledgment());
        assert!(
            ack <= self.hard.checkpoint as i64,
            "{ack} is not checkpointed"
        );
        assert!(ack >= self.told_ack, "the acknowledgment goes back");
        self.told_ack = ack;
        self.is_not_old(packet);
        self.told_tsval = packet.options().timestamps.map(|stamps| stamps.value);
        let position = self.hard.ours.position(self.peer_has, packet.sequence());
        for (index, &seen) in packet.payload().iter().enumerate() {
            let at = position + index as i64;
            assert_eq!(seen, octet(at), "another octet at {at}");
        }
        let end = position + packet.payload_len() as i64;
        if position <= self.peer_has {
            self.peer_has = self.peer_has.max(end);
        }
    }

    fn app_sees(&mut self, packet: &Packet<'_>) {
        if packet.flags().contains(Flags::SYN) {
            return;
        }
        let number = packet
            .acknowledgment()
            .wrapping_sub(self.inside.wrapping_add(1));
        let acked = i64::from(number as i32);
        assert!(
            acked >= 0,
            "acknowledges what lies before the local TCP's beginning"
        );
        assert!(
            self.base + acked <= self.sent,
            "acknowledges what it has not sent"
        );
        let position = self.hard.peers.position(self.received, packet.sequence());
        if position <= self.received {
            self.received = self.received.max(position + packet.payload_len() as i64);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::AppSends { len, again } if self.alive => {
                let from = if again {
                    self.peer_acked.max(self.base)
                } else {
                    self.sent
                };
                self.sent = self.sent.max(from + len as i64);
                let segment = seg(from - self.base, len).ack(self.received).win(1000);
                self.app(self.inside, self.base, segment);
            }
            Event::AppAcks { win, sack } if self.alive => {
                let segment = seg(self.sent - self.base, 0).ack(self.received).win(win);
                let segment = if sack {
                    segment.sack(self.received + 5, self.received + 9)
                } else {
                    segment
                };
                self.app(self.inside, self.base, segment);
            }
            Event::PeerSends { len, again, lost } => {
                let from = if again {
                    self.told_ack.max(0)
                } else {
                    self.peer_sent
                };
                self.peer_sent = self.peer_sent.max(from + len as i64);
                if !lost {
                    self.peer(seg(from, len).ack(self.peer_acked).win(1000));
                }
            }
            Event::PeerAcks { back, win } => {
                self.peer_acked = self.peer_has;
                self.peer(
                    seg(self.peer_sent, 0)
                        .ack((self.peer_has - back).max(0))
                        .win(win),
                );
            }
            Event::Checkpoint { part } if self.alive => {
                let ahead = (self.received - self.hard.checkpoint as i64) * i64::from(part) / 255;
                let offset = self.hard.checkpoint + ahead.max(0) as u64;
                self.hard.checkpoint = offset;
                let mut actions = Actions::new();
                let _ = self
                    .tcpr
                    .checkpoint(self.now, &self.flow, offset, &mut actions);
                self.carry_out(actions);
            }
            Event::Dies { how } if self.alive => {
                let end = seg(self.sent - self.base, 0).ack(self.received);
                match how {
                    0 => self.app(self.inside, self.base, end.flags("R")),
                    1 => self.app(self.inside, self.base, end.flags("F")),
                    _ => {}
                }
                self.alive = false;
                self.zombies.push((self.inside, self.base, self.sent));
            }
            Event::Recovers {
                inside,
                tsval,
                scale,
            } if !self.alive => {
                let incarnation = self.hard.incarnation + 1;
                let request = Hard {
                    incarnation,
                    ..self.hard
                };
                let mut actions = Actions::new();
                let answer = self.tcpr.recover(self.now, request, &mut actions).unwrap();
                self.hard.incarnation = incarnation;
                self.carry_out(actions);
                if answer.is_none() {
                    // The peer answers what it is asked.
                    self.peer(seg(self.peer_sent, 0).ack(self.peer_has).win(1000));
                }
                self.base = match answer {
                    Some(recovery) => recovery.base as i64,
                    None => self.peer_has,
                };
                self.inside = inside;
                self.sent = self.base;
                self.received = self.hard.checkpoint as i64;
                self.tsval = tsval;
                self.alive = true;
                let mut syn = seg(0, 0).syn();
                syn.ws = Some(scale);
                self.app(inside, self.base, syn);
                self.app(inside, self.base, seg(0, 0).ack(self.received).win(1000));
            }
            Event::ZombieSends { len, rst } => {
                let Some(&(inside, base, sent)) = self.zombies.last() else {
                    return;
                };
                // One whose numbers happen to lie near the present ones cannot be told apart.
                let near = inside
                    .wrapping_sub(base as u32)
                    .wrapping_sub(self.inside)
                    .wrapping_add(self.base as u32) as i32;
                if self.alive && near.unsigned_abs() < 1 << 20 {
                    return;
                }
                if !self.alive
                    && let Some(last) = self.zombies.last_mut()
                {
                    // Nobody has taken its place yet.
                    last.2 += len as i64;
                    self.sent = last.2;
                }
                let segment = seg(sent - base, len).ack(self.hard.checkpoint as i64);
                let segment = if rst { segment.flags("R") } else { segment };
                self.app(inside, base, segment);
            }
            Event::TcprIsLost if !self.alive => {
                let acked = self.tcpr.summary(self.now, &self.flow).unwrap().acked;
                self.hard.acked = acked;
                self.tcpr = Tcpr::new(tcpr_core::Config::default());
                self.tcpr.protect(Pattern::Local(self.flow.local));
                self.tcpr.quarantine(Duration::MAX);
                // The peer forgets nothing; TCPR learns our last TSval from it.
                if let Some(told) = self.told_tsval {
                    self.told_tsval = Some(told);
                }
                self.happen(Event::Recovers {
                    inside: 9,
                    tsval: 77,
                    scale: 2,
                });
            }
            Event::Waits { milliseconds } => {
                self.now += Duration::from_millis(milliseconds % 2000);
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_peer_sees_one_tcp_that_never_fails(events in vec(event(), 1..60)) {
        let mut world = World::new();
        for event in events {
            world.happen(event);
        }
    }
}
