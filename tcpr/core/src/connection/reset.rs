//! Resets, in both directions.
//!
//! *Assumes* that a peer that resets says the number that it was told, or the one that it has reached.
//! *Guarantees* that only the very number resets, that a peer which has merely forgotten what it had
//! finished resets nobody, and that who still speaks on a connection that was reset learns of it.

use core::time::Duration;

use super::Connection;
use crate::action::{Action, Actions, Direction, Ending, Verdict};
use crate::counters::Counters;
use crate::packet::{Flags, Packet, Segment};
use crate::summary::Phase;
use crate::{Conduct, Refusal};

impl<C: Conduct> Connection<C> {
    /// RFC 9293, 3.5.3 and RFC 5961, 3.2: only the very number resets. And 3.10.7.4: where nothing lacks
    /// but an acknowledgment, it says that the peer has forgotten what it had finished.
    pub(super) fn inbound_reset(
        &mut self,
        now: Duration,
        position: i64,
        packet: &mut Packet<'_>,
        actions: &mut Actions,
        counters: &mut Counters,
    ) -> Verdict {
        let expected = self.received.max(self.local_ack);
        let told = self.told.map_or(self.checkpoint_position(), |(ack, _)| ack);
        let alive = matches!(self.phase, Phase::Live | Phase::Closing);
        if self.ended_hard() {
            return Verdict::Drop;
        }
        if position == expected || position == told {
            if let Some(fin) = self.last_fin() {
                self.fin = Some(fin);
                self.sent = self.sent.max(fin + 1);
                self.acked = self.acked.max(fin + 1);
                self.heard_peer = true;
                // A local TCP that is still to come sees the end as if the peer had said it.
                self.answer_asked(now, packet, actions, counters);
                if alive {
                    self.end(now, Ending::Finished, actions);
                }
                return Verdict::Drop;
            }
            if alive {
                // A peer that has lost the connection answers what it was told, and that lies
                // before what the local TCP expects.
                let number = self.hard.peers.number(expected);
                let moved = packet.sequence() != number;
                if moved {
                    packet.set_sequence(number);
                }
                let ack = self.hard.ours.position(self.acked, packet.acknowledgment());
                let edited =
                    self.deliver(position, ack, packet) == Verdict::Forward { edited: true };
                self.end(now, Ending::ResetByPeer, actions);
                return Verdict::Forward {
                    edited: edited || moved,
                };
            }
            self.refuse_asked(Refusal::Ended, actions);
            self.end(now, Ending::ResetByPeer, actions);
            return Verdict::Drop;
        }
        let within = position > told && position < self.edge.max(told + 1);
        if !within {
            counters.resets_refused += 1;
            return Verdict::Drop;
        }
        // A challenge: whoever really is the peer answers it with the very number.
        self.tell(actions);
        Verdict::Drop
    }

    /// Where our FIN stands, if nothing else lacks an acknowledgment: the application has announced it,
    /// and has taken all of the peer. These are the states CLOSING and LAST-ACK; a TCPR in the place of a
    /// lost one does not know whether the FIN was sent, but no octet is lost either way.
    fn last_fin(&self) -> Option<i64> {
        let announced = self.hard.done_writing.map(|end| end as i64);
        let taken = self.fin_is_checkpointed();
        let fin = self.fin.or(announced).filter(|_| taken);
        fin.filter(|&fin| self.acked >= fin)
    }

    /// The connection has ended without both FINs: whoever still speaks is told, once each time.
    pub(super) fn ended_hard(&self) -> bool {
        self.phase == Phase::Done && self.ending.is_some_and(|ending| ending != Ending::Finished)
    }

    pub(super) fn answer_ended(&mut self, packet: &Packet<'_>, actions: &mut Actions) -> Verdict {
        if packet.flags().contains(Flags::ACK) && self.ending != Some(Ending::ResetByPeer) {
            // RFC 9293, 3.5.2: the reset of a connection that does not exist has the number that
            // the segment acknowledges.
            let ack = self.hard.ours.position(self.acked, packet.acknowledgment());
            self.reset_peer(ack, actions);
        }
        Verdict::Drop
    }

    /// Resets the local TCP. `sequence` must be the very number that it expects (RFC 5961, 3.2).
    pub(super) fn reset_local(&self, sequence: u32, actions: &mut Actions) {
        actions.push(Action::Inject {
            direction: Direction::Inbound,
            segment: self.to_local(sequence),
        });
    }

    /// Resets the local TCP as well as its expected number is known.
    pub(crate) fn reset_old_stack(&self, actions: &mut Actions) {
        let expected = self.received.max(self.local_ack);
        self.reset_local(self.hard.peers.number(expected), actions);
    }

    /// Resets the peer. Where its expected number is behind what is known, it answers, and that
    /// answer is met with the very number.
    pub(super) fn reset_peer(&self, position: i64, actions: &mut Actions) {
        let segment = Segment {
            flags: Flags::RST.union(Flags::ACK),
            ..self.to_peer(position)
        };
        actions.push(Action::Inject {
            direction: Direction::Outbound,
            segment,
        });
    }
}
