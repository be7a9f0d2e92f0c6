//! A connection: both ends, and every packet judged in turn.
//!
//! *Assumes* that packets are given in the order of the trace.
//! *Guarantees* that each is judged by what was known when it was captured.

use std::net::SocketAddr;
use std::time::Duration;

use crate::finding::{Findings, Judge, Moment};
use crate::half::{Half, closed, told};
use crate::opening::{self, Intruder};
use crate::rule::Rule;
use crate::segment::Segment;
use crate::settings::{Place, Settings, Way};
use crate::{clock, ending, feedback, output};

/// So long a TCP does not leave data unanswered.
const SILENCE: Duration = Duration::from_secs(3);

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Who opened it, or was seen first; and the other.
    pub(crate) halves: [Half; 2],
    pub(crate) first: Moment,
    pub(crate) last: Moment,
    /// Something else than SYNs and resets was seen.
    pub(crate) established: bool,
    pub(crate) intruder: Option<Intruder>,
    pub(crate) findings: Findings,
}

impl Connection {
    pub(crate) fn new(moment: Moment, segment: &Segment<'_>) -> Connection {
        // The answer to a SYN shows who has opened it.
        let ends = match segment.syn && segment.ack {
            true => [segment.destination, segment.source],
            false => [segment.source, segment.destination],
        };
        Connection {
            halves: ends.map(Half::new),
            first: moment,
            last: moment,
            established: false,
            intruder: None,
            findings: Findings::default(),
        }
    }

    /// Which end has this address.
    pub(crate) fn side(&self, address: SocketAddr) -> usize {
        usize::from(self.halves[0].address != address)
    }

    /// Whether it has ended: by a reset, or both ends have closed.
    pub(crate) fn is_over(&self) -> bool {
        let reset = self.halves.iter().any(|half| half.reset.is_some());
        reset || self.halves.iter().all(|half| half.fin.is_some())
    }

    /// Judges a packet of one side.
    pub(crate) fn judge(
        &mut self,
        side: usize,
        segment: &Segment<'_>,
        moment: Moment,
        way: Way,
        settings: &Settings,
    ) {
        let [one, other] = &mut self.halves;
        let (sender, receiver) = match side {
            0 => (one, other),
            _ => (other, one),
        };
        self.last = moment;
        sender.packets += 1;
        sender.octets += segment.payload_len as u64;
        sender.hear(way, segment.hops);
        let here = match settings.place {
            Place::Both => true,
            Place::Host(address) => address == sender.address.ip(),
            Place::Unknown => sender.from_here && receiver.from_elsewhere,
        };
        let mut judge = Judge {
            settings,
            moment,
            sender: sender.address,
            here,
            ordered: here || settings.in_order,
            findings: &mut self.findings,
        };
        if settings.checksums && segment.checksum_is_wrong() {
            let right = "one that fits what it covers".to_owned();
            judge.violation(Rule::ChecksumWrong, "a wrong checksum".to_owned(), right);
            return;
        }
        if segment.rst {
            if let Some(intruder) = &mut self.intruder
                && intruder.side != side
                && segment.acknowledgment == intruder.number.wrapping_add(1)
            {
                intruder.refused = true;
            }
            ending::judge_reset(sender, receiver, segment, self.established, &mut judge);
            if sender.reset.is_some() {
                sender.content.clear();
                receiver.content.clear();
            }
            return;
        }
        let repeated = sender.repeats(segment);
        if segment.syn {
            opening::take(sender, segment);
        } else {
            if !segment.ack {
                let right = "the ACK bit".to_owned();
                judge.violation(Rule::NoAcknowledgment, "no ACK bit".to_owned(), right);
            }
            self.established = true;
        }
        let Some((position, acknowledgment)) = place(sender, receiver, segment, &mut judge) else {
            return;
        };
        if let Some(intruder) = &mut self.intruder
            && !segment.syn
        {
            let end = position + segment.payload_len as i64;
            let before = sender.acknowledged.unwrap_or(0);
            let advances = end > sender.end || acknowledgment > Some(before);
            intruder.went_on |= intruder.side == side && (settings.complete || advances);
            intruder.answered |= intruder.side != side;
        }
        if !segment.syn {
            ending::judge_after(sender, segment, repeated, &mut judge);
            opening::judge_options(sender, receiver, segment, &mut judge);
        }
        judge_silence(receiver, &mut judge);
        output::judge(sender, receiver, segment, position, &mut judge);
        if let Some(acknowledgment) = acknowledgment {
            let before = sender.acknowledged;
            feedback::judge(
                sender,
                receiver,
                segment,
                acknowledgment,
                repeated,
                &mut judge,
            );
            if sender.acknowledged > before {
                receiver.outstanding = None;
            }
        }
        clock::judge(
            sender,
            receiver,
            segment,
            acknowledgment,
            repeated,
            &mut judge,
        );
        wait(sender, receiver, moment);
        if closed(sender, receiver) {
            // A trace may have very many connections, one after the other.
            sender.content.clear();
            receiver.content.clear();
        }
    }

    /// What only the end of the trace shows.
    pub(crate) fn conclude(&mut self, end: Duration, settings: &Settings) {
        let over = self.halves.iter().any(|half| half.reset.is_some());
        let mut findings = std::mem::take(&mut self.findings);
        for side in [0, 1] {
            let (sender, receiver) = (&self.halves[1 - side], &self.halves[side]);
            let mut judge = Judge {
                settings,
                moment: self.last,
                sender: sender.address,
                here: false,
                ordered: false,
                findings: &mut findings,
            };
            if let Some(intruder) = self.intruder.as_ref().filter(|it| it.side == 1 - side) {
                judge.moment = intruder.moment;
                opening::judge_intruder(intruder, settings.complete, &mut judge);
            }
            let Some(since) = receiver.outstanding.filter(|_| !over && sender.packets > 0) else {
                continue;
            };
            if end.saturating_sub(since.time) > SILENCE {
                judge.moment = since;
                judge.note(
                    Rule::Unacknowledged,
                    format!("octets up to {} sent to it", told(receiver.end - 1)),
                    "their acknowledgment, before the trace ends".to_owned(),
                );
            }
        }
        self.findings = findings;
    }
}

/// The position of the first octet of data, and the one that is acknowledged, if any is. A segment far
/// from where both ends stand has none.
fn place(
    sender: &mut Half,
    receiver: &mut Half,
    segment: &Segment<'_>,
    judge: &mut Judge<'_>,
) -> Option<(i64, Option<i64>)> {
    // Data of a SYN begins behind it.
    let number = segment.sequence.wrapping_add(u32::from(segment.syn));
    let position = sender.position(number);
    let acknowledgment = match segment.ack {
        true => receiver.position(segment.acknowledgment).map(Some),
        false => Some(None),
    };
    let placed = position.zip(acknowledgment);
    if placed.is_none() {
        let (number, acknowledged) = (segment.sequence, segment.acknowledgment);
        judge.note(
            Rule::FarOutside,
            format!("number {number}, acknowledging {acknowledged}"),
            format!("about {} and {}", told(sender.end), told(receiver.end)),
        );
    }
    placed
}

/// How long the other end has waited for this packet.
fn judge_silence(receiver: &Half, judge: &mut Judge<'_>) {
    let Some(since) = receiver.waiting else {
        return;
    };
    let waited = judge.moment.time.saturating_sub(since.time);
    if waited > SILENCE {
        judge.note(
            Rule::Silence,
            format!(
                "nothing for {:.1} s, while octets of packet {} waited",
                waited.as_secs_f64(),
                since.packet
            ),
            "an acknowledgment within half a second, unless packets were lost".to_owned(),
        );
    }
}

/// Keeps count of who waits for whom, behind a packet of `sender`.
fn wait(sender: &mut Half, receiver: &mut Half, moment: Moment) {
    let waits = |half: &Half, other: &Half| half.data_end > other.acknowledged.or(Some(0));
    receiver.waiting = waits(receiver, sender).then_some(moment);
    if receiver.waiting.is_none() {
        receiver.outstanding = None;
    } else {
        receiver.outstanding.get_or_insert(moment);
    }
    if waits(sender, receiver) {
        sender.waiting.get_or_insert(moment);
        sender.outstanding.get_or_insert(moment);
    }
}
