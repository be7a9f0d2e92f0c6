//! Segments of the peer, on their way to the local TCP.
//!
//! *Assumes* that the peer keeps to RFC 9293.
//! *Guarantees* that a local TCP that began in mid-connection takes them for its own, and that the
//! peer is answered while there is none.

use core::time::Duration;

use super::{Connection, FAR, SILENCE, UNTAKEN, later};
use crate::action::{Action, Actions, Direction, Verdict};
use crate::counters::Counters;
use crate::packet::{Flags, IcmpError, Packet, Segment, Timestamps};
use crate::summary::Phase;
use crate::{Conduct, Mutation};

impl<C: Conduct> Connection<C> {
    pub(crate) fn inbound(
        &mut self,
        now: Duration,
        packet: &mut Packet<'_>,
        actions: &mut Actions,
        counters: &mut Counters,
    ) -> Verdict {
        let flags = packet.flags();
        let position = self.hard.peers.position(self.received, packet.sequence());
        if flags.contains(Flags::RST) {
            return self.inbound_reset(now, position, packet, actions, counters);
        }
        if self.ended_hard() {
            return self.answer_ended(packet, actions);
        }
        if flags.contains(Flags::SYN) {
            return self.inbound_syn(position, packet, actions);
        }
        let acknowledged = self.hear_peer(now, packet, actions);
        self.answer_asked(now, packet, actions, counters);
        let payload = packet.payload_len() as i64;
        let fin = flags.contains(Flags::FIN);
        let end = position + payload + i64::from(fin);
        let known = self.received;
        // Also if it has grown since: TCPs put retransmissions together anew.
        let again = position < self.seen && end > position;
        // Stacks take a segment whole that begins within their window.
        if !self.heard_local || position <= self.edge.max(self.promised) {
            self.seen = self.seen.max(end);
            if fin {
                self.hard.peer_fin = Some((position + payload) as u64);
            }
        }
        // Retransmissions, probes of a closed window and keepalives ask for an acknowledgment
        // (RFC 9293, 3.10.7.4, and 3.8.4), and so does what lies behind a hole (RFC 5681, 4.2).
        let asks = (end > position && (end <= known || position > known || end > self.edge))
            || (end == position && position < known);
        match self.phase {
            Phase::Failed | Phase::Recovering => {
                let verdict = self.hold(position, end, again, packet, actions, counters);
                self.end_if_finished(now, actions);
                verdict
            }
            Phase::Done if end > position => {
                // Our last acknowledgment was lost, and the local TCP may have forgotten.
                self.tell(actions);
                Verdict::Drop
            }
            Phase::Live | Phase::Closing if self.exceeds_local_edge(position + payload) => {
                // What the segment acknowledges must not wait for its data, if it has any.
                let bare = end == position;
                if !bare {
                    self.keep(packet, counters);
                }
                let window = packet.window();
                let stamps = packet.options().timestamps;
                self.pass_acknowledgment(acknowledged, window, stamps, actions);
                self.lowered = true;
                if bare {
                    return Verdict::Drop;
                }
                if again {
                    // The local TCP does not see it, so it cannot answer.
                    self.tell(actions);
                }
                self.release_held(actions);
                Verdict::Hold
            }
            Phase::New | Phase::Live | Phase::Closing | Phase::Done => {
                if position <= self.received {
                    self.received = self.received.max(end.min(self.edge.max(self.received)));
                }
                if asks {
                    self.answers = self.answers.saturating_add(1);
                    if again && now.saturating_sub(self.local_spoke) > SILENCE {
                        self.tell(actions);
                    }
                }
                let verdict = self.deliver(position, acknowledged, packet);
                self.end_if_finished(now, actions);
                verdict
            }
        }
    }

    /// A held segment, offered again: it is delivered if there is a local TCP to take it.
    pub(crate) fn replay(&mut self, packet: &mut Packet<'_>) -> Verdict {
        if !matches!(self.phase, Phase::Live | Phase::Closing) {
            return Verdict::Drop;
        }
        let position = self.hard.peers.position(self.received, packet.sequence());
        let fin = packet.flags().contains(Flags::FIN);
        let end = position + packet.payload_len() as i64 + i64::from(fin);
        if position <= self.received {
            self.received = self.received.max(end);
        }
        let acknowledged = self.hard.ours.position(self.acked, packet.acknowledgment());
        self.deliver(position, acknowledged, packet)
    }

    /// Learns what the peer acknowledges and offers. Gives the position that it acknowledges.
    fn hear_peer(&mut self, now: Duration, packet: &Packet<'_>, actions: &mut Actions) -> i64 {
        if !packet.flags().contains(Flags::ACK) {
            return self.acked;
        }
        let ack = self.hard.ours.position(self.acked, packet.acknowledgment());
        let loose = !self.heard_peer || self.blind;
        let believable = if loose {
            ack < self.acked + FAR
        } else {
            ack <= self.sent
        };
        // A late old acknowledgment moves nothing back.
        let is_old = ack < self.acked && !self.conduct.has(Mutation::AcknowledgedMovedBack);
        if !believable || is_old {
            return ack;
        }
        self.heard_peer = true;
        self.hear_echo(packet);
        if loose {
            // What the peer acknowledges was sent, although not before our eyes: by the present local
            // TCP, or by one before it.
            self.sent = self.sent.max(ack);
            if self.resumed && !self.is_unsure() {
                self.inside = self.inside.max(ack);
            }
        }
        let before = self.output_acked();
        self.acked = ack;
        self.recall_fin(now);
        self.peer_window = u32::from(packet.window()) << self.scales().1;
        self.peer_edge = self.peer_edge.max(ack + i64::from(self.peer_window));
        let offset = self.output_acked();
        if offset > before {
            let flow = self.hard.flow;
            actions.push(Action::Acked { flow, offset });
        }
        ack
    }

    /// TCPR was lost after the application's FIN had gone: that the peer acknowledges it says so. It
    /// may never be seen here again.
    fn recall_fin(&mut self, now: Duration) {
        let meant = self.meant.or(self.hard.done_writing.map(|end| end as i64));
        let unseen = meant.filter(|_| self.fin.is_none());
        let Some(end) = unseen.filter(|&end| self.acked > end) else {
            return;
        };
        self.fin = Some(end);
        if self.phase == Phase::Live {
            self.enter(now, Phase::Closing);
        }
    }

    /// TCPR was lost, and with it the TSval last told to the peer: the peer's echo is the latest that
    /// it has taken (RFC 7323, 4.3). One of a segment that was long on its way is an earlier one.
    /// It was told later ones since, if the local TCP is lost too; one that lives goes on with its own.
    fn hear_echo(&mut self, packet: &Packet<'_>) {
        let Some(Timestamps { value, echo }) = packet.options().timestamps else {
            return;
        };
        // Nor is the peer's clock known. Any value of it will do for a new local TCP, but one made up
        // may be later than all that follow (RFC 7323, 5.3).
        self.peer_tsval.get_or_insert(value);
        let newer = match self.told_tsval {
            Some(told) => self.blind && later(echo, told),
            None => true,
        };
        if newer {
            let untaken = if self.resumed { 0 } else { UNTAKEN };
            self.told_tsval = Some(echo.wrapping_add(untaken));
        }
    }

    /// While there is no local TCP: keeps what it will want, and answers in its name.
    fn hold(
        &mut self,
        position: i64,
        end: i64,
        again: bool,
        packet: &Packet<'_>,
        actions: &mut Actions,
        counters: &mut Counters,
    ) -> Verdict {
        // New data is not answered: repeated acknowledgments would read as a loss.
        let alive = end == position && position < self.seen;
        let beyond = position + packet.payload_len() as i64 > self.promised;
        let asked = again || alive || beyond;
        if asked && !self.conduct.has(Mutation::NoReplyWhileGone) {
            self.tell(actions);
        }
        let wanted = end > self.checkpoint_position() && end > position;
        if !wanted || beyond {
            return Verdict::Drop;
        }
        self.keep(packet, counters);
        Verdict::Hold
    }

    fn keep(&mut self, packet: &Packet<'_>, counters: &mut Counters) {
        if let Some(Timestamps { value, .. }) = packet.options().timestamps {
            // Nothing is made older than what the local TCP was given already: all that follows would
            // be old for it.
            let value = match self.given_tsval {
                Some(given) if later(given, value) => given,
                _ => value,
            };
            self.held_tsval = match self.held_tsval {
                Some(smallest) if !later(smallest, value) => Some(smallest),
                _ => Some(value),
            };
        }
        self.held = true;
        counters.held += 1;
    }

    /// Whether data ends beyond what the local TCP offers to receive, and within what the peer was
    /// promised: scales may differ after a recovery.
    fn exceeds_local_edge(&self, data_end: i64) -> bool {
        self.heard_local && data_end > self.edge && data_end <= self.promised
    }

    /// Tells the local TCP what the peer acknowledges, without data.
    pub(super) fn pass_acknowledgment(
        &mut self,
        acknowledged: i64,
        window: u16,
        stamps: Option<Timestamps>,
        actions: &mut Actions,
    ) {
        let timestamps = stamps.map(|Timestamps { value, echo }| Timestamps {
            value: self.held_tsval.or(self.peer_tsval).unwrap_or(value),
            echo: self.inside_echo(echo),
        });
        self.give(timestamps);
        let ack = self.clamped(acknowledged);
        actions.push(Action::Inject {
            direction: Direction::Inbound,
            segment: Segment {
                acknowledgment: self.inside_number(ack),
                flags: Flags::ACK,
                window: self.narrowed(window, ack - acknowledged),
                timestamps,
                ..self.to_local(self.hard.peers.number(self.received))
            },
        });
    }

    /// Whether an earlier local TCP than the one that TCPR was lost with may have sent more than it.
    pub(super) fn is_unsure(&self) -> bool {
        self.resumed && self.hard.spliced > 0
    }

    /// What the local TCP is told of what the peer acknowledges: no more than it has sent, and no
    /// less than it began with.
    pub(super) fn clamped(&self, acknowledged: i64) -> i64 {
        match self.conduct.has(Mutation::AcknowledgmentNotClamped) {
            true => acknowledged,
            false => acknowledged.clamp(self.base, self.inside),
        }
    }

    /// The peer's window, begun so much later: its right edge stays where it is.
    fn narrowed(&self, window: u16, raised: i64) -> u16 {
        let window = i64::from(window) - (raised.max(0) >> self.scales().1);
        u16::try_from(window.max(0)).unwrap_or(u16::MAX)
    }

    /// The local TCP's own number of a position of our stream.
    fn inside_number(&self, position: i64) -> u32 {
        let number = self.hard.ours.number(position);
        match self.conduct.has(Mutation::DeltaMissingInbound) {
            true => number,
            false => number.wrapping_add(self.hard.delta),
        }
    }

    /// Puts into the packet what the local TCP is to see.
    pub(super) fn deliver(
        &mut self,
        position: i64,
        acknowledged: i64,
        packet: &mut Packet<'_>,
    ) -> Verdict {
        let mut edited = false;
        if packet.flags().contains(Flags::ACK) {
            // The peer may acknowledge what an earlier local TCP has sent, which stacks discard; and
            // held segments acknowledge less than the present one began with.
            let ack = self.clamped(acknowledged);
            let number = self.inside_number(ack);
            if packet.acknowledgment() != number {
                packet.set_acknowledgment(number);
                edited = true;
            }
            if ack > acknowledged {
                packet.set_window(self.narrowed(packet.window(), ack - acknowledged));
                edited = true;
            }
        }
        let options = packet.options();
        if !options.sack.is_empty() {
            let unsent = options
                .sack
                .iter()
                .any(|&(_, right)| self.hard.ours.position(self.acked, right) > self.inside);
            if unsent {
                packet.erase_sack();
                edited = true;
            } else if self.hard.delta != 0 && !self.conduct.has(Mutation::SackUnshifted) {
                packet.shift_sack(self.hard.delta);
                edited = true;
            }
        }
        if let Some(timestamps) = options.timestamps {
            if position <= self.received
                && self
                    .peer_tsval
                    .is_none_or(|seen| later(timestamps.value, seen))
            {
                self.peer_tsval = Some(timestamps.value);
            }
            let told = self.inside_timestamps(timestamps);
            if position <= self.received {
                self.give(Some(told));
            }
            self.lowered |= told.value != timestamps.value;
            if told != timestamps && packet.flags().contains(Flags::ACK) {
                packet.set_timestamps(told);
                edited = true;
            }
        }
        if let Some(port) = self.hard.inside_port {
            packet.set_destination_port(port);
            edited = true;
        }
        Verdict::Forward { edited }
    }

    /// Notes what the local TCP is given.
    pub(super) fn give(&mut self, timestamps: Option<Timestamps>) {
        if let Some(Timestamps { value, .. }) = timestamps
            && self.given_tsval.is_none_or(|given| later(value, given))
        {
            self.given_tsval = Some(value);
        }
    }

    /// What the local TCP sees of timestamps. While older segments are held, none may be later than
    /// theirs: PAWS (RFC 7323, 5) would drop them.
    fn inside_timestamps(&self, timestamps: Timestamps) -> Timestamps {
        let value = match self.held_tsval {
            Some(held) if later(timestamps.value, held) => held,
            _ => timestamps.value,
        };
        Timestamps {
            value,
            echo: self.inside_echo(timestamps.echo),
        }
    }

    /// What the local TCP sees of a TSecr: never earlier than its own SYN.
    fn inside_echo(&self, echo: u32) -> u32 {
        let echo = echo.wrapping_add(self.hard.timestamp_offset);
        match self.syn_tsval {
            Some(syn) if later(syn, echo) => syn,
            _ => echo,
        }
    }

    /// A SYN on an established connection: never believed (RFC 5961, 4.2). The peer is told where
    /// the connection stands; one that has lost it resets it.
    fn inbound_syn(
        &mut self,
        position: i64,
        packet: &mut Packet<'_>,
        actions: &mut Actions,
    ) -> Verdict {
        let answer = packet.flags().contains(Flags::ACK);
        let first = self.hard.spliced == 0 && self.phase == Phase::Live && position == -1;
        if first && answer {
            // Our handshake's last acknowledgment was lost: the local TCP repeats it.
            self.answers = self.answers.saturating_add(1);
            let edited = packet.strip_unknown_options();
            return Verdict::Forward { edited };
        }
        self.tell(actions);
        Verdict::Drop
    }

    /// An ICMP error about a segment that we sent: without its number translated the local TCP
    /// would ignore it, and path MTU discovery (RFC 1191) would see a black hole.
    pub(crate) fn icmp(&mut self, error: &mut IcmpError<'_>) -> Verdict {
        if !matches!(self.phase, Phase::Live | Phase::Closing) {
            return Verdict::Drop;
        }
        let mut edited = false;
        if self.hard.delta != 0 {
            error.set_sequence(error.sequence().wrapping_add(self.hard.delta));
            edited = true;
        }
        if let Some(port) = self.hard.inside_port {
            error.set_source_port(port);
            edited = true;
        }
        Verdict::Forward { edited }
    }

    /// Whether forwarding or holding this segment wants its payload.
    pub(crate) fn inbound_needs_payload(&self, packet: &Packet<'_>) -> bool {
        let ack = self.hard.ours.position(self.acked, packet.acknowledgment());
        let stamped = packet
            .options()
            .timestamps
            .is_some_and(|stamps| stamps != self.inside_timestamps(stamps));
        let position = self.hard.peers.position(self.received, packet.sequence());
        let data_end = position + packet.payload_len() as i64;
        match self.phase {
            Phase::Failed | Phase::Recovering => !packet.flags().contains(Flags::RST),
            Phase::Done => false,
            Phase::New | Phase::Live | Phase::Closing => {
                self.hard.delta != 0
                    || self.hard.inside_port.is_some()
                    || stamped
                    || self.exceeds_local_edge(data_end)
                    || ack != ack.clamp(self.base, self.inside.max(self.base))
            }
        }
    }
}
