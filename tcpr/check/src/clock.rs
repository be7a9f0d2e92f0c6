//! The clock of an end, as its timestamps show it.
//!
//! *Assumes* that timestamps are compared within 2^31 of one another (RFC 7323, 5.2).
//! *Guarantees* that where the order of sending is not known, only what contradicts itself is
//! found: of two segments the one with the later timestamp was sent later, and so was the one with
//! the higher acknowledgment, and these must be the same.

use crate::finding::Judge;
use crate::half::{Half, told};
use crate::rule::Rule;
use crate::segment::Segment;

/// What is known of a clock.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    earliest: Option<u32>,
    latest: Option<u32>,
    /// The latest that came with an acknowledgment: with the lowest of these.
    newest: Option<Reading>,
    /// At the highest acknowledgment: with the earliest timestamp that it came with.
    highest: Option<Reading>,
}

/// A timestamp and the acknowledgment that came with it.
#[derive(Debug, Clone, Copy)]
struct Reading {
    tsval: u32,
    acknowledgment: i64,
}

/// Whether one timestamp is later than another.
pub(crate) fn later(one: u32, other: u32) -> bool {
    (one.wrapping_sub(other) as i32) > 0
}

impl Clock {
    /// Takes a timestamp into account that comes with no acknowledgment.
    fn begin(&mut self, tsval: u32) {
        if self.earliest.is_none_or(|earliest| later(earliest, tsval)) {
            self.earliest = Some(tsval);
        }
        if self.latest.is_none_or(|latest| later(tsval, latest)) {
            self.latest = Some(tsval);
        }
    }

    /// Takes a reading with an acknowledgment into account.
    fn read(&mut self, now: Reading) {
        self.begin(now.tsval);
        self.newest = match self.newest {
            Some(newest) if later(newest.tsval, now.tsval) => Some(newest),
            Some(newest) if newest.tsval == now.tsval => Some(Reading {
                acknowledgment: newest.acknowledgment.min(now.acknowledgment),
                ..newest
            }),
            _ => Some(now),
        };
        self.highest = match self.highest {
            Some(highest) if highest.acknowledgment > now.acknowledgment => Some(highest),
            Some(highest)
                if highest.acknowledgment == now.acknowledgment
                    && later(now.tsval, highest.tsval) =>
            {
                Some(highest)
            }
            _ => Some(now),
        };
    }

    /// Whether a segment was sent after one with a higher acknowledgment.
    pub(crate) fn shows_regress(&self, tsval: Option<u32>, acknowledgment: i64) -> bool {
        match (tsval, self.highest) {
            (Some(tsval), Some(highest)) => {
                highest.acknowledgment > acknowledgment && later(tsval, highest.tsval)
            }
            _ => false,
        }
    }
}

/// The timestamps of a segment; `acknowledgment` is the position that it acknowledges.
pub(crate) fn judge(
    sender: &mut Half,
    receiver: &Half,
    segment: &Segment<'_>,
    acknowledgment: Option<i64>,
    repeated: bool,
    judge: &mut Judge<'_>,
) {
    let Some((tsval, tsecr)) = segment.options.timestamps else {
        return;
    };
    if let Some(newest) = sender.clock.newest
        && later(newest.tsval, tsval)
        && !repeated
    {
        let backward = acknowledgment.filter(|ack| *ack > newest.acknowledgment);
        if judge.ordered {
            judge.violation(
                Rule::TimestampRegressed,
                format!("TSval {tsval}"),
                format!("{} or later: that was sent before", newest.tsval),
            );
        } else if let Some(ack) = backward {
            judge.violation(
                Rule::TimestampRegressed,
                format!("TSval {tsval}, acknowledging {}", told(ack)),
                format!(
                    "TSval {} or later: with that {} was acknowledged",
                    newest.tsval,
                    told(newest.acknowledgment)
                ),
            );
        }
    }
    if segment.ack && !segment.syn {
        judge_echo(receiver, tsecr, judge);
    }
    match acknowledgment {
        Some(acknowledgment) => sender.clock.read(Reading {
            tsval,
            acknowledgment,
        }),
        // A first SYN.
        None => sender.clock.begin(tsval),
    }
}

fn judge_echo(receiver: &Half, tsecr: u32, judge: &mut Judge<'_>) {
    let (Some(earliest), Some(latest)) = (receiver.clock.earliest, receiver.clock.latest) else {
        return;
    };
    if later(tsecr, latest) {
        judge.unless_missing(
            Rule::EchoUnsent,
            receiver.has_begun(),
            format!("TSecr {tsecr}"),
            format!("{latest} or earlier, the latest TSval of the other end"),
        );
    } else if later(earliest, tsecr) && receiver.has_begun() && tsecr != 0 {
        // A SYN may have been sent before the trace begins.
        judge.note(
            Rule::EchoUnsent,
            format!("TSecr {tsecr}"),
            format!("{earliest} or later, the first TSval of the other end in the trace"),
        );
    }
}
