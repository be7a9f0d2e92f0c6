//! The peer: another small and strict TCP, which knows nothing of TCPR.
//!
//! *Assumes* that its application reads at once, and has all of its output ready.
//! *Guarantees* what RFC 9293 demands. It answers at once whatever takes sequence numbers, and what
//! it cannot accept. It keeps nothing that lies behind a hole.

use tcpr_core::packet::Flags;

use super::config::{Config, Opening};
use super::segment::{OURS, PEER_MSS, PEERS, Seg, octet};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stage {
    Listening,
    SynSent,
    SynReceived,
    Established,
}

/// The peer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Peer {
    stage: Stage,
    // Its own stream.
    una: i64,
    nxt: i64,
    /// Right edge of what it may send.
    edge: i64,
    /// Ours: the next position.
    rcv: i64,
}

impl Peer {
    pub(super) fn new(config: &Config) -> Peer {
        Peer {
            stage: match config.opening {
                Opening::Active => Stage::Listening,
                Opening::Passive => Stage::SynSent,
            },
            una: -1,
            nxt: 0,
            edge: 0,
            rcv: -1,
        }
    }

    /// So much of our output it has received, the FIN included.
    pub(super) fn received(&self) -> i64 {
        self.rcv
    }

    /// So much of its output is acknowledged, the FIN included.
    pub(super) fn acknowledged(&self) -> i64 {
        self.una
    }

    /// Where its window ends. It never takes back what it has offered.
    pub(super) fn offers(&self, config: &Config) -> i64 {
        self.rcv.max(0) + i64::from(config.peer_window)
    }

    pub(super) fn can_send_next(&self, config: &Config) -> bool {
        self.stage == Stage::Established && self.nxt < self.last(config) && self.nxt < self.edge
    }

    /// The end of its output, the FIN included.
    fn last(&self, config: &Config) -> i64 {
        config.peers + i64::from(config.closing)
    }

    pub(super) fn send_next(&mut self, config: &Config) -> Seg {
        self.nxt += 1;
        self.at(config, self.nxt - 1)
    }

    /// What it would send when its timer has run out.
    pub(super) fn again(&self, config: &Config) -> Option<Seg> {
        match self.stage {
            Stage::Listening => None,
            Stage::SynSent => Some(self.syn(config, Flags::SYN)),
            Stage::SynReceived => Some(self.syn(config, Flags::SYN.union(Flags::ACK))),
            Stage::Established if self.una < self.nxt => Some(self.at(config, self.una)),
            // A window that is closed is probed (RFC 9293, 3.8.6.1), as Linux does it: with what
            // cannot be accepted, and is answered.
            Stage::Established if self.nxt < self.last(config) && self.nxt >= self.edge => {
                Some(Seg {
                    seq: PEERS.number(self.nxt - 1),
                    ..self.acknowledgment(config)
                })
            }
            Stage::Established => None,
        }
    }

    fn syn(&self, config: &Config, flags: Flags) -> Seg {
        Seg {
            ack: match flags.contains(Flags::ACK) {
                true => OURS.number(self.rcv),
                false => 0,
            },
            window: config.peer_window,
            mss: Some(PEER_MSS),
            ..Seg::new(flags, PEERS.number(-1))
        }
    }

    /// The octet at this position, or the FIN.
    fn at(&self, config: &Config, position: i64) -> Seg {
        let fin = position == config.peers;
        Seg {
            data: (!fin).then(|| octet(true, position)),
            flags: match fin {
                true => Flags::FIN.union(Flags::ACK).bits(),
                false => Flags::ACK.bits(),
            },
            seq: PEERS.number(position),
            ..self.acknowledgment(config)
        }
    }

    fn acknowledgment(&self, config: &Config) -> Seg {
        Seg {
            ack: OURS.number(self.rcv),
            window: config.peer_window,
            ..Seg::new(Flags::ACK, PEERS.number(self.nxt))
        }
    }

    /// Takes a segment, and answers it.
    pub(super) fn hear(&mut self, config: &Config, segment: &Seg) -> Option<Seg> {
        let begins = segment.has(Flags::SYN);
        let acknowledges = segment.has(Flags::ACK);
        let ack = PEERS.position(self.una, segment.ack);
        match self.stage {
            Stage::Listening if begins && !acknowledges => {
                self.rcv = 0;
                self.stage = Stage::SynReceived;
                self.again(config)
            }
            Stage::SynSent if begins && acknowledges && ack == 0 => {
                self.rcv = 0;
                self.stage = Stage::Established;
                self.una = 0;
                self.edge = i64::from(segment.window);
                Some(self.acknowledgment(config))
            }
            Stage::Listening | Stage::SynSent => None,
            Stage::SynReceived if begins => self.again(config),
            Stage::SynReceived if acknowledges && ack == 0 => {
                self.stage = Stage::Established;
                self.hear_established(config, segment)
            }
            Stage::SynReceived => None,
            Stage::Established => self.hear_established(config, segment),
        }
    }

    /// RFC 9293, 3.10.7.4.
    fn hear_established(&mut self, config: &Config, segment: &Seg) -> Option<Seg> {
        let at = OURS.position(self.rcv, segment.seq) - self.rcv;
        let room = i64::from(config.peer_window);
        let acceptable = match segment.len() {
            // As Linux has it: an acknowledgment behind a full window of data that was lost counts.
            0 => 0 <= at && at <= room,
            len => at + len > 0 && at < room,
        };
        let ack = PEERS.position(self.una, segment.ack);
        if !acceptable || segment.has(Flags::SYN) || ack > self.nxt {
            return Some(self.acknowledgment(config));
        }
        if !segment.has(Flags::ACK) {
            return None;
        }
        if ack >= self.una {
            self.una = ack;
            self.edge = self.edge.max(ack + i64::from(segment.window));
        }
        if at == 0 {
            self.rcv += segment.len();
        }
        (segment.len() > 0).then(|| self.acknowledgment(config))
    }
}
