//! Who is told what.
//!
//! *Assumes* that what is put into the outbox is carried away after every turn of the loop.
//! *Guarantees* that a notice goes to whoever registered or recovered the connection last, and to
//! those who watch; that a connection's notices stay in order; and that acknowledgments are told
//! once in a [`PACE`], however many there are.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tcpr_core::Flow;

use crate::protocol::{Answer, Message, Notice, Reply};

/// Acknowledgments of a connection are told no more often.
const PACE: Duration = Duration::from_millis(1);

/// One application, as long as it is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Peer(pub(crate) u64);

/// Those who listen, and what is on the way to them.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    greeted: BTreeSet<Peer>,
    watchers: BTreeSet<Peer>,
    owners: HashMap<Flow, Peer>,
    /// Acknowledged, and not told yet.
    acked: HashMap<Flow, u64>,
    told: Duration,
    outbox: Vec<(Peer, Message)>,
}

impl Audience {
    /// The peer speaks our version.
    pub(crate) fn greet(&mut self, peer: Peer) {
        self.greeted.insert(peer);
    }

    pub(crate) fn is_greeted(&self, peer: Peer) -> bool {
        self.greeted.contains(&peer)
    }

    pub(crate) fn watch(&mut self, peer: Peer) {
        self.watchers.insert(peer);
    }

    /// The peer is told of this connection from now on, and no other is.
    pub(crate) fn own(&mut self, flow: Flow, peer: Peer) {
        self.owners.insert(flow, peer);
    }

    /// The peer is told nothing any more. Its connections go on.
    pub(crate) fn leave(&mut self, peer: Peer) {
        self.greeted.remove(&peer);
        self.watchers.remove(&peer);
        self.owners.retain(|_, owner| *owner != peer);
    }

    /// Output of a connection is acknowledged up to here.
    pub(crate) fn acked(&mut self, flow: Flow, offset: u64) {
        if !self.watchers.is_empty() || self.owners.contains_key(&flow) {
            self.acked.insert(flow, offset);
        }
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        let Some(flow) = notice.flow() else {
            return;
        };
        if let Some(offset) = self.acked.remove(&flow) {
            self.tell(flow, Notice::Acked { flow, offset });
        }
        self.tell(flow, notice);
        if matches!(notice, Notice::Removed { .. }) {
            self.owners.remove(&flow);
        }
    }

    pub(crate) fn answer(&mut self, peer: Peer, id: u64, reply: Reply) {
        let answer = Answer { id, reply };
        self.outbox.push((peer, Message::Answer(answer)));
    }

    fn tell(&mut self, flow: Flow, notice: Notice) {
        let owner = self.owners.get(&flow).copied();
        if let Some(peer) = owner {
            self.outbox.push((peer, Message::Notice(notice)));
        }
        for peer in &self.watchers {
            if Some(*peer) != owner {
                self.outbox.push((*peer, Message::Notice(notice)));
            }
        }
    }

    /// When acknowledgments are to be told.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        (!self.acked.is_empty()).then(|| self.told + PACE)
    }

    /// Tells of acknowledgments, if it is time.
    pub(crate) fn tick(&mut self, now: Duration) {
        if self.deadline().is_none_or(|due| due > now) {
            return;
        }
        self.told = now;
        let mut acked = std::mem::take(&mut self.acked);
        for (flow, offset) in acked.drain() {
            self.tell(flow, Notice::Acked { flow, offset });
        }
        // Its room is used again.
        self.acked = acked;
    }

    /// What is to be sent. The caller gives the list back, empty.
    pub(crate) fn outbox(&mut self) -> &mut Vec<(Peer, Message)> {
        &mut self.outbox
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn flow(port: u16) -> Flow {
        Flow {
            local: format!("198.18.0.1:{port}").parse().unwrap(),
            remote: "198.18.0.2:4000".parse().unwrap(),
        }
    }

    fn drained(audience: &mut Audience) -> Vec<(u64, Notice)> {
        audience
            .outbox()
            .drain(..)
            .map(|(peer, message)| match message {
                Message::Notice(notice) => (peer.0, notice),
                Message::Answer(answer) => panic!("{answer:?}"),
            })
            .collect()
    }

    #[test]
    fn acknowledgments_are_told_once_in_a_millisecond() {
        let mut audience = Audience::default();
        let flow = flow(1);
        audience.own(flow, Peer(1));
        let mut told = Vec::new();
        for step in 0..100_u64 {
            audience.acked(flow, step);
            audience.tick(Duration::from_millis(5) + Duration::from_micros(step * 50));
            told.extend(drained(&mut audience));
        }
        // 5 ms, and the first one at once.
        assert_eq!(told.len(), 5);
        assert_eq!(told[0], (1, Notice::Acked { flow, offset: 0 }));
        assert_eq!(told[1], (1, Notice::Acked { flow, offset: 20 }));
    }

    #[test]
    fn the_last_to_take_charge_is_told_and_watchers_are_told_once() {
        let mut audience = Audience::default();
        let flow = flow(1);
        audience.own(flow, Peer(1));
        audience.own(flow, Peer(2));
        audience.watch(Peer(2));
        audience.watch(Peer(3));
        audience.notice(Notice::Failed { flow });
        let told = drained(&mut audience);
        assert_eq!(
            told,
            [(2, Notice::Failed { flow }), (3, Notice::Failed { flow })]
        );
    }

    #[test]
    fn what_was_acknowledged_is_told_before_the_end() {
        let mut audience = Audience::default();
        let flow = flow(1);
        audience.own(flow, Peer(1));
        audience.acked(flow, 17);
        audience.notice(Notice::Removed { flow });
        let told = drained(&mut audience);
        assert_eq!(
            told,
            [
                (1, Notice::Acked { flow, offset: 17 }),
                (1, Notice::Removed { flow })
            ]
        );
        audience.notice(Notice::Established { flow });
        assert!(drained(&mut audience).is_empty());
    }

    #[test]
    fn one_who_left_is_told_nothing() {
        let mut audience = Audience::default();
        audience.own(flow(1), Peer(1));
        audience.watch(Peer(1));
        audience.leave(Peer(1));
        audience.notice(Notice::Failed { flow: flow(1) });
        audience.acked(flow(1), 5);
        assert_eq!(audience.deadline(), None);
        assert!(drained(&mut audience).is_empty());
    }
}
