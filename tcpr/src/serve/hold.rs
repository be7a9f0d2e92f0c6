//! Segments of peers whose application is down, kept until it is back.
//!
//! *Assumes* of the segments of one connection what a [`HoldQueue`] assumes of them.
//! *Guarantees* that what is held of all connections together stays below a limit.

use std::collections::HashMap;

use tcpr_core::packet::Packet;
use tcpr_core::{Flow, Hard, HoldQueue, Verdict};

/// What is held, by connection.
#[derive(Debug)]
pub(crate) struct Holds {
    /// None is empty.
    flows: HashMap<Flow, HoldQueue>,
    /// For a piece on its way out. Reused.
    room: Vec<u8>,
    octets: usize,
    limit: usize,
    refused: u64,
}

impl Holds {
    pub(crate) fn new(limit: usize) -> Holds {
        Holds {
            flows: HashMap::new(),
            room: Vec::new(),
            octets: 0,
            limit,
            refused: 0,
        }
    }

    /// Octets that all held segments take.
    pub(crate) fn octets(&self) -> usize {
        self.octets
    }

    /// Segments that were not kept, since there was no room.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// Copies a segment, unless it is there already. Says whether it is there now.
    pub(crate) fn hold(&mut self, flow: Flow, packet: &Packet<'_>) -> bool {
        let queue = self.flows.entry(flow).or_default();
        let others = self.octets - queue.cost();
        let is_there = queue.hold(packet, self.limit - others);
        self.octets = others + queue.cost();
        if !is_there {
            self.refused += 1;
            if queue.is_empty() {
                self.flows.remove(&flow);
            }
        }
        is_there
    }

    /// Throws away what is held of a connection.
    pub(crate) fn forget(&mut self, flow: &Flow) {
        if let Some(queue) = self.flows.remove(flow) {
            self.octets -= queue.cost();
        }
    }

    /// Offers what is held of a connection: see [`HoldQueue::replay`].
    pub(crate) fn replay(
        &mut self,
        hard: &Hard,
        until: i64,
        mss: u16,
        offer: impl FnMut(&mut Packet<'_>) -> Verdict,
    ) -> bool {
        let Some(queue) = self.flows.get_mut(&hard.flow) else {
            return false;
        };
        let others = self.octets - queue.cost();
        let left = queue.replay(hard, until, mss, &mut self.room, offer);
        self.octets = others + queue.cost();
        if !left {
            self.flows.remove(&hard.flow);
        }
        left
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use tcpr_core::Stream;

    use super::*;
    use crate::serve::tests::wire::Tcp;

    const OURS: Stream = Stream { initial: 0 };
    const PEERS: Stream = Stream { initial: 4000 };

    /// A connection with one of several peers.
    fn flow(peer: u16) -> Flow {
        Flow {
            local: "198.18.0.1:179".parse().unwrap(),
            remote: ([198, 18, 0, 2], peer).into(),
        }
    }

    /// Holds 1000 octets of a connection from there on.
    fn hold(holds: &mut Holds, flow: Flow, at: i64) -> bool {
        let segment = Tcp::ack(PEERS.number(at), 1).with(&[7; 1000]);
        let mut packet = segment.between(flow.remote, flow.local);
        holds.hold(flow, &Packet::parse(&mut packet).unwrap())
    }

    /// Gives back what is held of a connection, as far as there is room. How many octets it was, and
    /// whether anything is left.
    fn replay(holds: &mut Holds, flow: Flow, until: i64) -> (usize, bool) {
        let hard = Hard::begin(flow, OURS, PEERS);
        let mut octets = 0;
        let left = holds.replay(&hard, until, 1460, |piece| {
            assert_eq!(piece.source(), flow.remote);
            octets += piece.payload_len();
            Verdict::Forward { edited: true }
        });
        (octets, left)
    }

    #[test]
    fn beyond_the_limit_nothing_is_kept_and_what_is_there_stays() {
        let mut holds = Holds::new(3000);
        assert!(hold(&mut holds, flow(1), 0));
        assert!(hold(&mut holds, flow(1), 1000));
        assert!(!hold(&mut holds, flow(1), 2000));
        assert_eq!(holds.refused(), 1);
        assert!(holds.octets() <= 3000);
        assert_eq!(replay(&mut holds, flow(1), 10_000), (2000, false));
        assert!(hold(&mut holds, flow(1), 2000), "there is room again");
        holds.forget(&flow(1));
        assert_eq!(holds.octets(), 0);
    }

    #[test]
    fn all_connections_share_the_limit() {
        let mut holds = Holds::new(3000);
        assert!(hold(&mut holds, flow(1), 0));
        assert!(hold(&mut holds, flow(2), 0));
        assert!(!hold(&mut holds, flow(2), 1000));
        assert!(!hold(&mut holds, flow(3), 0));
        assert!(hold(&mut holds, flow(2), 0), "it is there already");
        assert_eq!(holds.refused(), 2);
        assert_eq!(holds.flows.len(), 2, "of the third nothing is held");
        // What one gives up is there for the others.
        holds.forget(&flow(1));
        assert!(hold(&mut holds, flow(3), 0));
        assert_eq!(replay(&mut holds, flow(2), 10_000), (1000, false));
        assert!(hold(&mut holds, flow(3), 1000));
        assert!(!hold(&mut holds, flow(2), 1000));
    }

    #[test]
    fn each_connection_is_given_back_its_own() {
        let mut holds = Holds::new(1 << 20);
        assert!(hold(&mut holds, flow(1), 0));
        let one = holds.octets();
        assert!(hold(&mut holds, flow(2), 0));
        assert!(hold(&mut holds, flow(2), 1000));
        assert_eq!(replay(&mut holds, flow(3), 10_000), (0, false));
        assert_eq!(replay(&mut holds, flow(2), 1000), (1000, true));
        assert_eq!(holds.octets(), 2 * one);
        assert_eq!(replay(&mut holds, flow(1), 10_000), (1000, false));
        assert_eq!(replay(&mut holds, flow(2), 10_000), (1000, false));
        assert_eq!(holds.octets(), 0);
        assert!(holds.flows.is_empty());
    }
}
