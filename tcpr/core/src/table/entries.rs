//! How connections come into the table, and leave it.
//!
//! *Assumes* nothing of who sends SYNs.
//! *Guarantees* that handshakes are bounded in number and in time, that each entry has at most one
//! deadline, and that the number of handshakes is that of the table.

use alloc::boxed::Box;
use core::net::SocketAddr;
use core::time::Duration;

use super::{Entry, State, Tcpr};
use crate::action::{Action, Actions, Direction, Refusal, Verdict};
use crate::connection::Connection;
use crate::handshake::{Handshake, Syn};
use crate::packet::{Flags, Packet};
use crate::{Conduct, Flow, Mutation, Pattern};

impl<C: Conduct> Tcpr<C> {
    /// Whether a segment of an unknown connection begins one that is protected. `Some`: it does
    /// not, and this is to be done.
    pub(super) fn admit(
        &mut self,
        now: Duration,
        flow: &Flow,
        direction: Direction,
        opens: bool,
        actions: &mut Actions,
    ) -> Option<Verdict> {
        if !self.covered(flow) {
            return Some(Verdict::Forward { edited: false });
        }
        let foreign = !opens && now < self.quarantined_until;
        if foreign || (opens && self.is_foreign_syn(now, flow, direction)) {
            self.counters.quarantined += 1;
            return Some(Verdict::Drop);
        }
        if !opens {
            return Some(Verdict::Forward { edited: false });
        }
        if self.room().is_err() {
            self.counters.full += 1;
            return Some(Verdict::Drop);
        }
        while self.half_open >= self.config.half_open.max(1) {
            self.evict_half_open(actions);
        }
        self.insert(*flow, State::Opening(Handshake::new(now)));
        None
    }

    /// Whether a SYN belongs to a predecessor's connection. A listener opens nothing: its SYN is that
    /// of a recovery which is not asked for yet, and the peer's answer to it would end in a reset.
    /// So may be the SYN of one that was opened from here, as long as nobody has asked for its
    /// protection again: a local TCP repeats the SYN of a recovery that TCPR was lost in.
    fn is_foreign_syn(&self, now: Duration, flow: &Flow, direction: Direction) -> bool {
        let opened_from_here = Pattern::covering(flow).iter().any(|pattern| {
            !matches!(pattern, Pattern::Local(_))
                && self.patterns.contains(pattern)
                && !self.inherited.contains(pattern)
        });
        direction == Direction::Outbound
            && now < self.quarantined_until
            && self.covered(flow)
            && !opened_from_here
    }

    pub(super) fn room(&self) -> Result<(), Refusal> {
        let limit = self.config.connections;
        if self.entries.len() - self.half_open >= limit {
            return Err(Refusal::Full { limit });
        }
        Ok(())
    }

    /// The oldest handshake makes room: its deadline is the first of all handshakes'.
    pub(super) fn evict_half_open(&mut self, actions: &mut Actions) {
        let oldest = self.deadlines.iter().find_map(|(_, flow)| {
            let entry = self.entries.get(flow)?;
            matches!(entry.state, State::Opening(_)).then_some(*flow)
        });
        match oldest {
            Some(flow) => {
                self.counters.half_open_evicted += 1;
                self.remove(&flow, actions);
            }
            None => self.half_open = 0,
        }
    }

    /// Follows a handshake. `None`: the segment is the connection's, which is established.
    pub(super) fn handshake(
        &mut self,
        now: Duration,
        flow: &Flow,
        direction: Direction,
        packet: &mut Packet<'_>,
        actions: &mut Actions,
    ) -> Option<Verdict> {
        let entry = self.entries.get_mut(flow)?;
        let handshake = match &mut entry.state {
            State::Opening(handshake) => handshake,
            State::Signed => return Some(Verdict::Forward { edited: false }),
            State::Open(_) => return None,
        };
        let flags = packet.flags();
        let outbound = direction == Direction::Outbound;
        let quarantined = now < self.quarantined_until && handshake.agreed().is_none();
        if quarantined && !flags.contains(Flags::SYN) {
            // A late SYN does not make a predecessor's connection a new one.
            self.counters.quarantined += 1;
            return Some(Verdict::Drop);
        }
        if flags.contains(Flags::RST) {
            // A forged one must not take the protection away.
            if handshake.refused_by(outbound, packet) {
                self.remove(flow, actions);
            }
            return Some(Verdict::Forward { edited: false });
        }
        if flags.contains(Flags::SYN) {
            if packet.options().signed {
                self.counters.signed += 1;
                self.half_open -= 1;
                entry.state = State::Signed;
                return Some(Verdict::Forward { edited: false });
            }
            let syn = Syn::read(packet);
            if outbound {
                handshake.ours = Some(syn);
            } else {
                handshake.peers = Some(syn);
            }
            if self.conduct.has(Mutation::GuardOnReceiveAcknowledgment)
                && outbound
                && handshake.peers.is_some()
            {
                return Some(Verdict::Drop);
            }
            let edited = packet.strip_unknown_options();
            return Some(Verdict::Forward { edited });
        }
        let completed = handshake
            .agreed()
            .is_some_and(|agreed| agreed.completed_by(outbound, packet));
        if !completed {
            return Some(Verdict::Forward { edited: false });
        }
        self.establish(now, flow);
        actions.push(Action::Established { flow: *flow });
        None
    }

    /// A handshake that has seen both SYNs becomes a connection.
    pub(super) fn establish(&mut self, now: Duration, flow: &Flow) {
        let Some(entry) = self.entries.get_mut(flow) else {
            return;
        };
        let State::Opening(handshake) = &entry.state else {
            return;
        };
        let Some(agreed) = handshake.agreed() else {
            return;
        };
        let connection = Connection::establish(now, *flow, &agreed, self.conduct);
        entry.state = State::Open(Box::new(connection));
        self.half_open -= 1;
        self.counters.established += 1;
        self.renew_deadline(flow);
    }

    pub(super) fn insert(&mut self, flow: Flow, state: State<C>) {
        self.half_open += usize::from(matches!(state, State::Opening(_)));
        let entry = Entry {
            state,
            deadline: None,
        };
        if let Some(old) = self.entries.insert(flow, entry) {
            self.half_open -= usize::from(matches!(old.state, State::Opening(_)));
            if let Some(due) = old.deadline {
                self.deadlines.remove(&(due, flow));
            }
        }
        self.renew_deadline(&flow);
    }

    pub(super) fn remove(&mut self, flow: &Flow, actions: &mut Actions) {
        let Some(entry) = self.entries.remove(flow) else {
            return;
        };
        if let Some(due) = entry.deadline {
            self.deadlines.remove(&(due, *flow));
        }
        self.remapped.retain(|_, outside| outside != flow);
        match entry.state {
            State::Opening(_) => self.half_open -= 1,
            State::Open(_) => actions.push(Action::Removed { flow: *flow }),
            State::Signed => {}
        }
    }

    /// Makes the local TCP's own port known, where it differs from the one that the peer sees.
    pub(super) fn remap(&mut self, flow: &Flow) {
        let Some(port) = self.open(flow).and_then(|open| open.hard().inside_port) else {
            return;
        };
        let inside = Flow {
            local: SocketAddr::new(flow.local.ip(), port),
            remote: flow.remote,
        };
        self.remapped.retain(|_, outside| outside != flow);
        self.remapped.insert(inside, *flow);
    }

    pub(super) fn renew_deadline(&mut self, flow: &Flow) {
        let (time_to_live, linger) = (self.config.time_to_live, self.config.linger);
        let Some(entry) = self.entries.get(flow) else {
            return;
        };
        let due = match &entry.state {
            State::Open(connection) => connection.deadline(time_to_live, linger),
            State::Opening(handshake) => Some(handshake.since + self.config.half_open_life),
            State::Signed => entry.deadline,
        };
        self.set_deadline(flow, due);
    }

    pub(super) fn set_deadline(&mut self, flow: &Flow, due: Option<Duration>) {
        let Some(entry) = self.entries.get_mut(flow) else {
            return;
        };
        if entry.deadline == due {
            return;
        }
        if let Some(old) = entry.deadline {
            self.deadlines.remove(&(old, *flow));
        }
        entry.deadline = due;
        if let Some(due) = due {
            self.deadlines.insert((due, *flow));
        }
    }
}
