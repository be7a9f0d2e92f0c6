//! Recovery: a new local TCP is put in the place of the old one.
//!
//! *Assumes* that the application asks for it before it connects, and that it can repeat its output
//! from the base that it is given.
//! *Guarantees* that the difference between inside and outside numbers is computed from that very
//! base, that a repeated SYN gets the same answer, and that lost state is asked of the peer, at the
//! cost of one round trip (Surton 2014, 4.2 "Resynchronizing" and "Recovering TCPR").

use core::time::Duration;

use super::{Connection, UNTAKEN};
use crate::action::{Action, Actions, Direction, Refusal, SynOption, Verdict};
use crate::counters::Counters;
use crate::handshake::{Syn, default_mss};
use crate::packet::{Flags, Packet, Segment, Timestamps};
use crate::summary::Phase;
use crate::{Conduct, Hard, Mutation, Recovery};

/// First wait for an answer of the peer; each further one is twice as long.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// A peer that has not answered for this long is given up.
const ASK_AT_MOST: Duration = Duration::from_secs(10);
/// How far ahead of a TSval that the peer was told a question's lies: nearly as far as can be told from
/// behind (RFC 7323, 5.2). The rest is for a peer that was told that one and has not taken it.
const AHEAD: u32 = i32::MAX as u32 - (1 << 24);

/// A recovery under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Splice {
    /// Where the new local TCP's output begins: frozen when the application is told.
    base: i64,
    /// The SYN that was answered.
    pub(super) syn: Option<Syn>,
    /// The peer is being asked what it has received.
    asked: Option<Asked>,
    /// A SYN that came meanwhile.
    early: Option<Syn>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Asked {
    since: Duration,
    next: Duration,
    wait: Duration,
}

impl<C: Conduct> Connection<C> {
    /// The application wants to recover. `None`: the peer is asked first.
    pub(crate) fn recover(
        &mut self,
        now: Duration,
        theirs: Hard,
        actions: &mut Actions,
    ) -> Result<Option<Recovery>, Refusal> {
        let current = self.hard.incarnation;
        if theirs.ours != self.hard.ours || theirs.peers != self.hard.peers {
            return Err(Refusal::OtherConnection);
        }
        if theirs.incarnation < current || theirs.incarnation == 0 {
            return Err(Refusal::OlderIncarnation {
                given: theirs.incarnation,
                current,
            });
        }
        if self.phase == Phase::Done {
            return Err(Refusal::Ended);
        }
        let given_up = self.recovery.is_none() && self.hard.spliced < current;
        if theirs.incarnation == current && self.registered && !given_up {
            // The same request again: the same answer.
            return Ok(match self.recovery {
                Some(splice) if splice.asked.is_some() => None,
                Some(splice) => Some(self.granted(splice.base)),
                None => Some(self.granted(self.base)),
            });
        }
        if self.hard.done_reading || theirs.done_reading {
            self.hard.done_reading = true;
            self.hard.checkpoint = self.hard.checkpoint.max(theirs.checkpoint);
        } else {
            self.admit_checkpoint(theirs.checkpoint)?;
            self.hard.checkpoint = theirs.checkpoint;
        }
        self.seen = self.seen.max(self.checkpoint_position());
        self.hard.incarnation = theirs.incarnation;
        self.hard.inside_port = theirs.inside_port;
        self.hard.peer_fin = self.hard.peer_fin.or(theirs.peer_fin);
        // The application closes again, if it wants to (Surton 2014, 4.2 "Recovering after closing").
        self.meant = theirs.done_writing.map(|end| end as i64);
        self.fin = self.fin.or(self.meant);
        if !self.conduct.has(Mutation::DoneWritingNotCleared) {
            self.hard.done_writing = None;
        }
        self.registered = true;
        self.given_tsval = None;
        self.enter(now, Phase::Recovering);
        self.recovery = Some(Splice {
            base: 0,
            syn: None,
            asked: None,
            early: None,
        });
        if self.heard_peer {
            return Ok(Some(self.freeze_base()));
        }
        self.ask(now, now, ASK_AGAIN, actions);
        Ok(None)
    }

    fn granted(&self, base: i64) -> Recovery {
        Recovery {
            hard: self.hard(),
            base: base as u64,
        }
    }

    /// The base is what the peer has acknowledged, or the FIN if that is acknowledged too: the new
    /// local TCP sends it again.
    fn freeze_base(&mut self) -> Recovery {
        let fin = self.fin.filter(|&fin| self.acked > fin);
        if fin.is_none() && !self.blind && self.fin.is_some_and(|fin| self.sent <= fin) {
            // The FIN was meant, but the peer cannot have seen it.
            self.fin = None;
        }
        let base = match self.conduct.has(Mutation::AcknowledgedFinSplicedWrongly) {
            true => self.acked,
            false => fin.unwrap_or(self.acked),
        };
        if let Some(splice) = &mut self.recovery {
            splice.base = base;
            splice.asked = None;
        }
        if self.conduct.has(Mutation::OffsetReadTooEarly) {
            return self.granted(self.base);
        }
        self.granted(base)
    }

    /// Asks the peer where it stands: with one octet far outside of its window, which it answers
    /// with an acknowledgment. Unlike a SYN's, that answer is not rationed (RFC 5961, 7).
    ///
    /// The TSval that it was told last is not known, and an older one would fail its test: it
    /// answers that too (RFC 7323, 5.3, R1), and counts an old duplicate. So it gets one of the
    /// latest that are not yet old. It keeps none of a segment outside of its window (R3).
    fn ask(&mut self, now: Duration, since: Duration, wait: Duration, actions: &mut Actions) {
        let asked = Asked {
            since,
            next: now + wait,
            wait,
        };
        if let Some(splice) = &mut self.recovery {
            splice.asked = Some(asked);
        }
        let latest = self.hard().tsval.wrapping_add(AHEAD);
        let timestamps = self.hard.timestamps.then(|| Timestamps {
            value: latest,
            echo: self.peer_tsval.unwrap_or(0),
        });
        let segment = Segment {
            octet: true,
            flags: Flags::ACK,
            timestamps,
            ..self.to_peer(self.acked + (1 << 31))
        };
        actions.push(Action::Inject {
            direction: Direction::Outbound,
            segment,
        });
    }

    /// Takes a segment of the peer as the answer to what it was asked.
    pub(super) fn answer_asked(
        &mut self,
        now: Duration,
        packet: &Packet<'_>,
        actions: &mut Actions,
        counters: &mut Counters,
    ) {
        let asked = self.recovery.is_some_and(|splice| splice.asked.is_some());
        if !asked || !self.heard_peer {
            return;
        }
        self.seen = self
            .seen
            .max(self.hard.peers.position(self.seen, packet.sequence()));
        if let Some(timestamps) = packet.options().timestamps {
            self.peer_tsval = Some(timestamps.value);
        }
        let Recovery { hard, base } = self.freeze_base();
        self.since = now;
        actions.push(Action::Recovered { hard, base });
        if let Some(syn) = self.recovery.and_then(|splice| splice.early) {
            self.meet_syn(now, &syn, actions, counters);
        }
    }

    /// The peer was asked in vain.
    pub(super) fn refuse_asked(&mut self, refusal: Refusal, actions: &mut Actions) {
        if self.recovery.is_some_and(|splice| splice.asked.is_some()) {
            actions.push(Action::Refused {
                flow: self.hard.flow,
                refusal,
            });
        }
    }

    /// A SYN of the local side on an established connection.
    pub(super) fn outbound_syn(
        &mut self,
        now: Duration,
        packet: &mut Packet<'_>,
        actions: &mut Actions,
        counters: &mut Counters,
    ) -> Verdict {
        if packet.flags().contains(Flags::ACK) {
            // The answer of a passive open, repeated because the peer's acknowledgment was lost.
            let same = packet.sequence() == self.hard.ours.initial;
            if same && self.hard.incarnation == 0 && self.phase == Phase::Live {
                let edited = packet.strip_unknown_options();
                return Verdict::Forward { edited };
            }
            counters.fenced += 1;
            return Verdict::Drop;
        }
        let syn = Syn::read(packet);
        let begun = syn.number.wrapping_add(1).wrapping_sub(self.hard.delta);
        let spliced = self.hard.spliced == self.hard.incarnation && self.hard.incarnation > 0;
        if spliced && begun == self.hard.ours.number(self.base) {
            self.answer_syn(&syn, actions);
            return Verdict::Drop;
        }
        if packet.options().signed {
            self.refuse_syn(&syn, Refusal::Signed, actions, counters);
        } else {
            self.meet_syn(now, &syn, actions, counters);
        }
        match self.conduct.has(Mutation::SynForwarded) {
            true => Verdict::Forward { edited: false },
            false => Verdict::Drop,
        }
    }

    /// Whether a SYN would be refused because `recover` was not asked for.
    pub(crate) fn is_early(&self, syn: u32) -> bool {
        let begun = syn.wrapping_add(1).wrapping_sub(self.hard.delta);
        self.phase != Phase::Done
            && self.recovery.is_none()
            && begun != self.hard.ours.number(self.base)
    }

    /// Splices a SYN to the connection, keeps it until that is possible, or refuses it.
    fn meet_syn(
        &mut self,
        now: Duration,
        syn: &Syn,
        actions: &mut Actions,
        counters: &mut Counters,
    ) {
        let lacking = self.lacks(syn);
        match &mut self.recovery {
            None => self.refuse_syn(syn, Refusal::NotRecovering, actions, counters),
            Some(splice) if splice.asked.is_some() => splice.early = Some(*syn),
            Some(_) => match lacking {
                Some(refusal) => self.refuse_syn(syn, refusal, actions, counters),
                None => {
                    self.splice(now, syn);
                    self.answer_syn(syn, actions);
                    counters.recoveries += 1;
                }
            },
        }
    }

    /// What the peer relies on, and the new local TCP does not offer.
    fn lacks(&self, syn: &Syn) -> Option<Refusal> {
        let option = if self.hard.scales.is_some() && syn.scale.is_none() {
            SynOption::WindowScale
        } else if self.hard.timestamps && syn.timestamp.is_none() {
            SynOption::Timestamps
        } else {
            return None;
        };
        Some(Refusal::MissingOption { option })
    }

    fn refuse_syn(
        &self,
        syn: &Syn,
        refusal: Refusal,
        actions: &mut Actions,
        counters: &mut Counters,
    ) {
        counters.refused_syns += 1;
        actions.push(Action::Inject {
            direction: Direction::Inbound,
            segment: Segment {
                flags: Flags::RST.union(Flags::ACK),
                acknowledgment: syn.number.wrapping_add(1),
                ..self.to_local(0)
            },
        });
        actions.push(Action::Refused {
            flow: self.hard.flow,
            refusal,
        });
    }

    /// Fits the new local TCP's numbers to the connection (Surton 2014, 4.2 "Resynchronizing").
    fn splice(&mut self, now: Duration, syn: &Syn) {
        let Some(splice) = &mut self.recovery else {
            return;
        };
        splice.syn = Some(*syn);
        let base = match self.conduct.has(Mutation::OffsetReadTooLate) {
            true => self.acked,
            false => splice.base,
        };
        let delta = syn
            .number
            .wrapping_add(1)
            .wrapping_sub(self.hard.ours.number(base));
        if self.conduct.has(Mutation::DeltaPlusOne) {
            self.hard.delta = delta.wrapping_add(1);
        } else if self.conduct.has(Mutation::DeltaMinusOne) {
            self.hard.delta = delta.wrapping_sub(1);
        } else if !self.conduct.has(Mutation::DeltaStale) {
            self.hard.delta = delta;
        }
        self.hard.spliced = self.hard.incarnation;
        if let (Some(scales), Some(scale)) = (&mut self.hard.scales, syn.scale) {
            scales.inside = scale;
        }
        if let (true, Some(timestamp)) = (self.hard.timestamps, syn.timestamp) {
            let mut told = self.told_tsval.unwrap_or(timestamp);
            if self.resumed && !self.heard_local {
                // It has outlived TCPR and died without a word, and TCPR knows of it by echoes alone.
                told = told.wrapping_add(UNTAKEN);
            }
            self.hard.timestamp_offset = timestamp.wrapping_sub(told);
            self.syn_tsval = Some(timestamp);
            self.lowered = self.held_tsval.is_some();
        }
        self.local_mss = syn
            .mss
            .unwrap_or(default_mss(&self.hard.flow.local))
            .max(64);
        self.base = base;
        self.inside = base;
        let start = self.start();
        self.received = start;
        self.local_ack = start;
        self.resumed = false;
        self.answers = 0;
        self.since = now;
    }

    /// Where the new local TCP's input begins: at the checkpoint; at the peer's FIN, if that is
    /// checkpointed, since the new one must see it too.
    fn start(&self) -> i64 {
        let checkpoint = self.checkpoint_position();
        checkpoint - i64::from(self.fin_is_checkpointed())
    }

    pub(super) fn fin_is_checkpointed(&self) -> bool {
        self.hard
            .peer_fin
            .is_some_and(|fin| self.hard.checkpoint > fin)
    }

    fn answer_syn(&mut self, syn: &Syn, actions: &mut Actions) {
        let mut offered = self.peer_edge.max(self.acked) - self.base;
        if self.conduct.has(Mutation::RecoveryWindowAbsolute) {
            offered += self.base;
        }
        let offered = offered.clamp(0, i64::from(u16::MAX));
        let mut flags = Flags::SYN.union(Flags::ACK);
        if self.conduct.has(Mutation::SynAckWithoutSyn) {
            flags.remove(Flags::SYN);
        }
        if self.hard.ecn && syn.ecn {
            flags.insert(Flags::ECE);
        }
        // Segments that are held have older timestamps than those delivered last, or PAWS
        // (RFC 7323, 5) would drop them.
        let value = self.held_tsval.or(self.peer_tsval).unwrap_or(0);
        let timestamps = self.echo(syn, value);
        self.give(timestamps);
        let mss = Some(self.hard.peer_mss);
        let off = i64::from(self.conduct.has(Mutation::SynAckSequenceOffByOne));
        let segment = Segment {
            acknowledgment: syn.number.wrapping_add(1),
            flags,
            window: u16::try_from(offered).unwrap_or(u16::MAX),
            mss: mss.filter(|_| !self.conduct.has(Mutation::MssNotReplayed)),
            window_scale: self.hard.scales.map(|scales| scales.peers),
            sack_permitted: self.hard.sack && syn.sack,
            timestamps,
            ..self.to_local(self.hard.peers.number(self.start() - 1 + off))
        };
        actions.push(Action::Inject {
            direction: Direction::Inbound,
            segment,
        });
    }

    fn echo(&self, syn: &Syn, value: u32) -> Option<Timestamps> {
        let echo = syn.timestamp.filter(|_| self.hard.timestamps)?;
        Some(Timestamps { value, echo })
    }

    /// Completes the recovery if this segment of the local TCP acknowledges our answer.
    pub(super) fn splice_if_answered(
        &mut self,
        now: Duration,
        position: i64,
        actions: &mut Actions,
    ) -> bool {
        let Some(syn) = self.recovery.and_then(|splice| splice.syn) else {
            return false;
        };
        if position < self.base || self.local_ack < self.start() {
            return false;
        }
        self.recovery = None;
        self.enter(now, Phase::Live);
        actions.push(Action::Spliced { hard: self.hard() });
        if self.fin_is_checkpointed() {
            actions.push(Action::Inject {
                direction: Direction::Inbound,
                segment: Segment {
                    acknowledgment: syn.number.wrapping_add(1),
                    flags: Flags::FIN.union(Flags::ACK),
                    window: 0,
                    timestamps: self.echo(&syn, self.peer_tsval.unwrap_or(0)),
                    ..self.to_local(self.hard.peers.number(self.start()))
                },
            });
        }
        true
    }

    /// Offers held segments to the local TCP, as far as its window reaches.
    pub(super) fn release_held(&self, actions: &mut Actions) {
        if !self.held || !matches!(self.phase, Phase::Live | Phase::Closing) {
            return;
        }
        actions.push(Action::Replay {
            flow: self.hard.flow,
            until: self.edge,
            hard: self.hard,
            // The MSS counts no options (RFC 6691, 2), and timestamps are on every segment.
            mss: self.local_mss - if self.hard.timestamps { 12 } else { 0 },
        });
    }

    /// When `tick` is to be called next.
    pub(crate) fn deadline(&self, time_to_live: Duration, linger: Duration) -> Option<Duration> {
        match (self.phase, self.recovery.and_then(|splice| splice.asked)) {
            (Phase::Recovering, Some(asked)) => Some(asked.next),
            (Phase::Failed | Phase::Recovering, _) => Some(self.since + time_to_live),
            (Phase::Done, _) => Some(self.since + linger),
            (Phase::New | Phase::Live | Phase::Closing, _) => None,
        }
    }

    /// What is due at the deadline. Gives whether nothing needs to be known any more.
    pub(crate) fn tick(&mut self, now: Duration, actions: &mut Actions) -> bool {
        if self.phase == Phase::Done {
            return true;
        }
        match self.recovery.and_then(|splice| splice.asked) {
            Some(asked) if now.saturating_sub(asked.since) < ASK_AT_MOST => {
                self.ask(now, asked.since, asked.wait * 2, actions);
            }
            Some(asked) => {
                let waited = now.saturating_sub(asked.since);
                self.refuse_asked(Refusal::PeerSilent { waited }, actions);
                self.recovery = None;
                self.enter(now, Phase::Failed);
            }
            None => self.expire(now, crate::Ending::Expired, actions),
        }
        false
    }
}
