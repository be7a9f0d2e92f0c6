//! The wire towards the peer: all that a peer could hold against a TCP that never failed.
//!
//! *Assumes* that it is shown each segment when it is sent: what the network does to their order is
//! not the sender's doing.
//! *Guarantees* that each is judged by what the application has persisted and said, and by what went
//! before it.

use tcpr_core::packet::Flags;

use super::config::{Config, Opening};
use super::segment::{LOCAL_MSS, OURS, PEERS, Seg, octet};
use super::violation::Wrong;

/// What is known beside the wire when a segment is sent.
pub(super) struct Facts {
    /// What the application has persisted of its input.
    pub(super) checkpoint: i64,
    /// Whether the connection is registered.
    pub(super) registered: bool,
    /// Whether the application has announced its FIN, in this life.
    pub(super) announced: bool,
    /// Where the present local TCP began.
    pub(super) base: i64,
    /// Whether the application has recovered before.
    pub(super) recovered: bool,
    /// Whether the peer may be asked where it stands.
    pub(super) asking: bool,
}

/// What the peer has been told.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Wire {
    /// The highest acknowledgment.
    ack: i64,
    /// The furthest right edge.
    edge: i64,
    /// The end of what was sent.
    sent: i64,
    /// The furthest right edge that a local TCP has offered.
    offered: i64,
    /// The same, of the latest local TCP, and which that is.
    latest: (u8, i64),
    /// The middleware was lost, and has not heard the local TCP yet: what that one offers it does not
    /// know, and promises what it can keep by holding.
    loose: bool,
}

impl Wire {
    pub(super) fn new(config: &Config) -> Wire {
        Wire {
            ack: -1,
            edge: 0,
            sent: 0,
            offered: i64::from(config.window),
            latest: (0, i64::from(config.window)),
            loose: false,
        }
    }

    /// The middleware is lost.
    pub(super) fn loosen(&mut self) {
        self.loose = true;
    }

    pub(super) fn is_loose(&self) -> bool {
        self.loose
    }

    /// A local TCP has sent the application's output up to here, whether it came here or not.
    pub(super) fn send(&mut self, end: i64) {
        self.sent = self.sent.max(end);
    }

    /// The core hears that the `life`th local TCP offers to receive up to this number.
    pub(super) fn offer(&mut self, edge: u32, life: u8) {
        if self.loose {
            self.loose = false;
            self.edge = 0;
        }
        let edge = PEERS.position(self.offered, edge);
        self.offered = self.offered.max(edge);
        self.latest = self.latest.max((life, edge));
    }

    /// A segment is sent to the peer.
    pub(super) fn tell(
        &mut self,
        config: &Config,
        segment: &Seg,
        facts: &Facts,
    ) -> Result<(), Wrong> {
        if segment.has(Flags::RST) {
            return Err(Wrong::Reset);
        }
        let at = OURS.position(0, segment.seq);
        if segment.has(Flags::SYN) {
            let answers = config.opening == Opening::Passive;
            if facts.registered || at != -1 || segment.has(Flags::ACK) != answers {
                return Err(Wrong::Syn);
            }
        } else if !segment.has(Flags::ACK) {
            return Err(Wrong::NoAcknowledgment);
        }
        if segment.has(Flags::ACK) {
            self.tell_acknowledgment(segment, facts)?;
        }
        // What the peer cannot accept it takes no window of.
        if segment.has(Flags::SYN) || (facts.asking && is_question(at, segment)) {
            return Ok(());
        }
        self.tell_window(config, segment, facts)?;
        self.tell_data(config, segment, at, facts)
    }

    fn tell_acknowledgment(&mut self, segment: &Seg, facts: &Facts) -> Result<(), Wrong> {
        let told = PEERS.position(self.ack, segment.ack);
        if told > facts.checkpoint {
            return Err(Wrong::NotCheckpointed {
                told,
                checkpoint: facts.checkpoint,
            });
        }
        if told < self.ack {
            return Err(Wrong::AcknowledgmentBack {
                told,
                before: self.ack,
            });
        }
        self.ack = told;
        Ok(())
    }

    fn tell_window(&mut self, config: &Config, segment: &Seg, facts: &Facts) -> Result<(), Wrong> {
        let told = self.ack;
        let edge = told + i64::from(segment.window);
        if self.loose {
            self.offered = self.offered.max(edge);
            return Ok(());
        }
        // After the peer's FIN its window is of no use to it.
        if told > config.peers {
            return Ok(());
        }
        // A recovered local TCP may have less room than the one before.
        let kept = match facts.recovered {
            true => self.edge.min(self.latest.1),
            false => self.edge,
        };
        if edge < kept {
            return Err(Wrong::WindowBack {
                told: edge,
                before: kept,
            });
        }
        // A new local TCP that offers less than a segment is completed to one by holding.
        let least = match facts.recovered {
            true => told + i64::from(LOCAL_MSS),
            false => 0,
        };
        if edge > self.offered.max(least) {
            return Err(Wrong::WindowInflated {
                told: edge,
                offered: self.offered,
            });
        }
        self.edge = edge;
        Ok(())
    }

    fn tell_data(
        &mut self,
        config: &Config,
        segment: &Seg,
        at: i64,
        facts: &Facts,
    ) -> Result<(), Wrong> {
        if let Some(data) = segment.data
            && (at < 0 || at >= config.ours || data != octet(false, at))
        {
            return Err(Wrong::Content {
                octet: data,
                position: at,
            });
        }
        let end = at + segment.len();
        if segment.has(Flags::FIN) && !(facts.announced && end == config.ours + 1) {
            return Err(Wrong::Fin);
        }
        if at < facts.base || at > self.sent {
            return Err(Wrong::Sequence {
                position: at,
                least: facts.base,
                most: self.sent,
            });
        }
        Ok(())
    }
}

/// The octet far outside of the peer's window that asks it where it stands.
fn is_question(at: i64, segment: &Seg) -> bool {
    at.abs() > 1 << 30 && segment.data == Some(0) && !segment.has(Flags::FIN)
}
