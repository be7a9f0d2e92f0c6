//! Segments of the local TCP, on their way to the peer.
//!
//! *Assumes* nothing of who sent them: an old stack may still be there.
//! *Guarantees* that the peer sees only what continues the connection that it knows.

use core::time::Duration;

use super::{Connection, FAR, later};
use crate::action::{Actions, Verdict};
use crate::counters::Counters;
use crate::packet::{Flags, Packet, Timestamps};
use crate::summary::Phase;
use crate::{Conduct, Hard, Mutation};

impl<C: Conduct> Connection<C> {
    pub(crate) fn outbound(
        &mut self,
        now: Duration,
        packet: &mut Packet<'_>,
        actions: &mut Actions,
        counters: &mut Counters,
    ) -> Verdict {
        let flags = packet.flags();
        if flags.contains(Flags::SYN) {
            return self.outbound_syn(now, packet, actions, counters);
        }
        if self.ended_hard() {
            // The peer has no connection any more: the local TCP learns it the same way.
            if !flags.contains(Flags::RST) {
                self.reset_local(packet.acknowledgment(), actions);
            }
            return Verdict::Drop;
        }
        if self.fenced() {
            // Surton 2014, 4.2 "Masking failure": the reset lets the socket go, and with it its port.
            if flags.contains(Flags::FIN) && self.phase == Phase::Failed {
                self.reset_local(packet.acknowledgment(), actions);
            }
            counters.fenced += 1;
            return Verdict::Drop;
        }
        let position = self.outside(packet);
        if !self.plausible(position, packet) {
            counters.fenced += 1;
            return Verdict::Drop;
        }
        self.local_spoke = now;
        if flags.contains(Flags::RST) {
            counters.resets_masked += 1;
            self.fail(now, actions);
            if self.conduct.has(Mutation::ResetForwarded) {
                return self.edit_outbound(packet, position, flags, self.window());
            }
            return Verdict::Drop;
        }
        let shows_itself = !self.heard_local && self.is_unsure();
        self.heard_local = true;
        // Of a FIN that is not meant, too: what was received with it is to be checkpointed still.
        self.hear_acknowledgment(packet);
        let data_end = position + packet.payload_len() as i64;
        let mut flags = flags;
        if flags.contains(Flags::FIN) {
            if self.fin_is_meant(data_end) || self.conduct.has(Mutation::FinForwarded) {
                self.fin = Some(data_end);
                if self.phase == Phase::Live {
                    self.enter(now, Phase::Closing);
                }
            } else {
                counters.fins_masked += 1;
                self.reset_local(packet.acknowledgment(), actions);
                self.fail(now, actions);
                if packet.payload_len() == 0 {
                    return Verdict::Drop;
                }
                flags.remove(Flags::FIN);
            }
        }
        let end = data_end + i64::from(flags.contains(Flags::FIN));
        let at_end = position == self.inside.max(self.base);
        // A number that skips what was fenced off would tell the peer that it has missed something.
        let bare = end == position && !self.blind;
        let position = if bare {
            position.min(self.sent)
        } else {
            position
        };
        // What the peer has acknowledged since TCPR was lost may be more than this TCP has sent.
        self.inside = match shows_itself {
            true => end,
            false => self.inside.max(end),
        };
        if !bare {
            self.sent = self.sent.max(end);
        }
        let spliced = self.splice_if_answered(now, position, actions);
        self.release_held(actions);

        if self.phase == Phase::Done && end > position && !bare {
            self.answer_finished(packet, actions);
            return Verdict::Drop;
        }

        let told = (self.checkpoint_position(), self.window());
        let repeats = packet.payload_len() == 0
            && !flags.contains(Flags::FIN)
            && !flags.contains(Flags::ECE)
            && !flags.contains(Flags::URG)
            && at_end
            && self.told == Some(told)
            && (packet.options().sack.is_empty() || self.outruns_sack(packet));
        if repeats && !spliced {
            // A repeated acknowledgment would read as a loss (RFC 5681, 2).
            if self.answers == 0 {
                counters.acks_dropped += 1;
                return Verdict::Drop;
            }
            self.answers -= 1;
        } else {
            self.answers = self.answers.saturating_sub(1);
        }
        self.promise(told.1);
        let verdict = self.edit_outbound(packet, position, flags, told.1);
        self.end_if_finished(now, actions);
        verdict
    }

    /// The peer has acknowledged all that there is, and may have forgotten the connection: a local TCP
    /// that was put in place before that was known repeats in vain what an earlier one has sent.
    fn answer_finished(&mut self, packet: &Packet<'_>, actions: &mut Actions) {
        let stamps = packet.options().timestamps.map(|stamps| Timestamps {
            value: stamps.echo,
            echo: self.outside_tsval(stamps.value),
        });
        // What the peer has acknowledged it has offered, also to a TCPR that has not heard it; rounded
        // up, for nothing comes after the FIN.
        let room = self.peer_edge.max(self.acked) - self.clamped(self.acked);
        let shift = self.scales().1;
        let window = u16::try_from((room + (1 << shift) - 1) >> shift).unwrap_or(u16::MAX);
        self.pass_acknowledgment(self.acked, window, stamps, actions);
    }

    /// Whether the local TCP's output is of the past: a recovery has begun, or it has failed.
    fn fenced(&self) -> bool {
        match self.phase {
            Phase::Failed => true,
            Phase::Recovering => self.recovery.is_none_or(|splice| splice.syn.is_none()),
            Phase::New | Phase::Live | Phase::Closing | Phase::Done => false,
        }
    }

    /// Position of a segment of the local TCP, as the peer counts.
    fn outside(&self, packet: &Packet<'_>) -> i64 {
        let number = packet.sequence().wrapping_sub(self.hard.delta);
        self.hard.ours.position(self.acked, number)
    }

    /// The fence: whether a segment can be the present local TCP's. One of an older stack has other
    /// sequence numbers, which delta moves out of the window.
    fn plausible(&self, position: i64, packet: &Packet<'_>) -> bool {
        let fin = i64::from(packet.flags().contains(Flags::FIN));
        let end = position + packet.payload_len() as i64 + fin;
        if !self.heard_peer {
            return position > self.acked - FAR && end < self.acked + FAR;
        }
        // A keepalive is one below what is acknowledged; a probe of a closed window, and a FIN, lie
        // one beyond the edge (RFC 9293, 3.8.4 and 3.8.6.1).
        let lowest = self.base.max(self.acked - FAR) - 1;
        // A local TCP that has outlived TCPR has heard of windows that TCPR has not: what comes late
        // tells of smaller ones.
        let unheard = match self.resumed {
            true => i64::from(u16::MAX) << self.scales().1,
            false => 0,
        };
        let highest = self.peer_edge.max(self.sent) + 2 + unheard;
        let unknown = self.resumed && !self.heard_local;
        let acknowledges = unknown || !packet.flags().contains(Flags::ACK) || {
            let ack = self
                .hard
                .peers
                .position(self.received, packet.acknowledgment());
            ack <= self.seen.max(self.received).max(self.unseen())
        };
        position >= lowest && end <= highest && acknowledges
    }

    /// Surton 2014, 4.2 "Masking failure": a FIN is meant if the application has said so before; and
    /// then it stands where its output ends.
    fn fin_is_meant(&self, position: i64) -> bool {
        self.hard.done_writing == Some(position as u64)
    }

    /// Learns from the local TCP what it has received, and offers to receive.
    fn hear_acknowledgment(&mut self, packet: &Packet<'_>) {
        if !packet.flags().contains(Flags::ACK) {
            return;
        }
        let near = self.received;
        let ack = self.hard.peers.position(near, packet.acknowledgment());
        if ack >= self.local_ack {
            self.local_ack = ack;
            self.received = self.received.max(ack);
            self.seen = self.seen.max(ack);
            self.edge = ack + (i64::from(packet.window()) << self.scales().2);
        }
        if self.hard.done_reading {
            self.hard.checkpoint = self.hard.checkpoint.max(self.local_ack as u64);
        }
    }

    /// Whether the checkpoint has passed what a segment acknowledges selectively: the segment was on
    /// its way to us meanwhile. A block before the acknowledgment would tell the peer that octets
    /// came twice (RFC 2883, 4), and that it has sent them again in vain.
    fn outruns_sack(&self, packet: &Packet<'_>) -> bool {
        let told = self.checkpoint_position();
        let peers = self.hard.peers;
        peers.position(told, packet.acknowledgment()) < told
            && packet
                .options()
                .sack
                .iter()
                .any(|&(left, _)| peers.position(told, left) <= told)
    }

    /// Puts into the packet what the peer is to see.
    fn edit_outbound(
        &mut self,
        packet: &mut Packet<'_>,
        position: i64,
        flags: Flags,
        window: u16,
    ) -> Verdict {
        let mut edited = false;
        let sequence = self.hard.ours.number(position);
        if packet.sequence() != sequence {
            packet.set_sequence(sequence);
            edited = true;
        }
        if packet.flags() != flags {
            packet.set_flags(flags);
            edited = true;
        }
        if self.outruns_sack(packet) {
            packet.erase_sack();
            edited = true;
        }
        if flags.contains(Flags::ACK) {
            let ack = self.acknowledgment();
            if packet.acknowledgment() != ack {
                packet.set_acknowledgment(ack);
                edited = true;
            }
        }
        if packet.window() != window {
            packet.set_window(window);
            edited = true;
        }
        if let Some(timestamps) = packet.options().timestamps {
            // Its echo is the latest that it has taken, which a TCPR that was lost may have given it.
            let taken = Timestamps {
                value: timestamps.echo,
                ..timestamps
            };
            self.give(Some(taken));
            let told = self.outside_timestamps(timestamps);
            self.told_tsval = Some(told.value);
            // TCPR was lost: what the local TCP echoes is the peer's, and is echoed from here as well.
            self.peer_tsval.get_or_insert(told.echo);
            self.lowered &= told.echo != timestamps.echo || self.held;
            if told != timestamps {
                packet.set_timestamps(told);
                edited = true;
            }
        }
        if self.hard.inside_port.is_some() {
            packet.set_source_port(self.hard.flow.local.port());
            edited = true;
        }
        Verdict::Forward { edited }
    }

    /// What the peer sees of a TSval of the local TCP: never earlier than it has seen.
    fn outside_tsval(&self, value: u32) -> u32 {
        let value = value.wrapping_sub(self.hard.timestamp_offset);
        match self.told_tsval {
            Some(told) if later(told, value) => told,
            _ => value,
        }
    }

    /// What the peer sees of timestamps. An echo of one that was lowered for the local TCP would
    /// read as a round trip of seconds, and the peer's retransmission timer follow it (RFC 7323, 4).
    fn outside_timestamps(&self, timestamps: Timestamps) -> Timestamps {
        let echo = match self.peer_tsval {
            Some(seen) if self.lowered && later(seen, timestamps.echo) => seen,
            _ => timestamps.echo,
        };
        Timestamps {
            value: self.outside_tsval(timestamps.value),
            echo,
        }
    }

    /// Whether forwarding this segment would change its octets, so that its payload is wanted too.
    pub(crate) fn outbound_needs_payload(&self, packet: &Packet<'_>) -> bool {
        let flags = packet.flags();
        if flags.contains(Flags::SYN) || self.fenced() {
            return false;
        }
        let Hard {
            delta, inside_port, ..
        } = self.hard;
        let near = self.received;
        let local_ack = self.hard.peers.position(near, packet.acknowledgment());
        let checkpoint = self.checkpoint_position();
        let told = if self.hard.done_reading {
            checkpoint.max(local_ack)
        } else {
            checkpoint
        };
        let stamps = packet.options().timestamps;
        let (ours, _, inside) = self.scales();
        delta != 0
            || inside_port.is_some()
            || ours != inside
            || local_ack != told
            || stamps.is_some_and(|stamps| stamps != self.outside_timestamps(stamps))
            || (flags.contains(Flags::FIN)
                && !self.fin_is_meant(self.outside(packet) + packet.payload_len() as i64))
    }
}
