//! What an end says of the other's stream: acknowledgments, selective ones, and the window.
//!
//! *Assumes* that whatever reaches an end has passed the place of the capture before.
//! *Guarantees* that steps back are told from packets that have overtaken one another, as far as the
//! trace lets it.

use crate::clock::later;
use crate::finding::Judge;
use crate::half::{Edge, Half, scale, told};
use crate::rule::Rule;
use crate::segment::Segment;

/// The feedback of a segment that acknowledges `position`.
pub(crate) fn judge(
    sender: &mut Half,
    receiver: &mut Half,
    segment: &Segment<'_>,
    position: i64,
    repeated: bool,
    judge: &mut Judge<'_>,
) {
    if !segment.syn {
        judge_order(sender, segment, position, repeated, judge);
    }
    judge_reach(receiver, position, judge);
    judge_sack(receiver, segment, position, judge);
    judge_window(sender, receiver, segment, position, repeated, judge);
    sender.acknowledged = sender.acknowledged.max(Some(position));
}

/// RFC 9293, 3.4: RCV.NXT only grows, and that is what is acknowledged.
fn judge_order(
    sender: &Half,
    segment: &Segment<'_>,
    position: i64,
    repeated: bool,
    judge: &mut Judge<'_>,
) {
    let Some(highest) = sender.acknowledged.filter(|highest| position < *highest) else {
        return;
    };
    let seen = format!("acknowledges {}", told(position));
    let tsval = segment.options.timestamps.map(|(tsval, _)| tsval);
    if judge.ordered && !repeated {
        let right = format!("{} or more: that was acknowledged before", told(highest));
        judge.violation(Rule::AcknowledgmentRegressed, seen, right);
    } else if sender.clock.shows_regress(tsval, position) {
        let right = format!(
            "{} or more: that was acknowledged before, with an earlier timestamp",
            told(highest)
        );
        judge.violation(Rule::AcknowledgmentRegressed, seen, right);
    } else if !repeated {
        let right = format!(
            "{} or more, unless the packet was overtaken by another",
            told(highest)
        );
        judge.note(Rule::AcknowledgmentRegressed, seen, right);
    }
}

/// RFC 9293, 3.10.7.4: an acknowledgment of something not yet sent.
fn judge_reach(receiver: &mut Half, position: i64, judge: &mut Judge<'_>) {
    if receiver.packets == 0 {
        return;
    }
    // If the beginning is not in the trace, neither is what was on the way then.
    let known = receiver.has_begun();
    let sent = match judge.settings.complete && known {
        true => receiver.contiguous(),
        false => receiver.end,
    };
    if position > sent {
        judge.unless_missing(
            Rule::AcknowledgesUnsent,
            known,
            format!("acknowledges {}", told(position)),
            format!("{} or less: that is what was sent", told(sent)),
        );
    }
    receiver.sent.settle(0, position.min(receiver.end));
}

fn judge_sack(receiver: &Half, segment: &Segment<'_>, position: i64, judge: &mut Judge<'_>) {
    for (index, &(left, right)) in segment.options.sack.as_slice().iter().enumerate() {
        let (Some(left), Some(right)) = (receiver.look(left), receiver.look(right)) else {
            continue;
        };
        let seen = format!("block {} to {}", told(left), told(right));
        if left >= right {
            let expected = "a left edge before the right one".to_owned();
            judge.violation(Rule::SackOutOfPlace, seen, expected);
        } else if right > receiver.end && receiver.packets > 0 {
            judge.unless_missing(
                Rule::SackOutOfPlace,
                receiver.has_begun(),
                seen,
                format!("up to {}: that is what was sent", told(receiver.end)),
            );
        // The first may tell of octets that came twice (RFC 2883, 4).
        } else if index > 0 && left <= position {
            let expected = format!("beyond the acknowledgment {}", told(position));
            judge.violation(Rule::SackOutOfPlace, seen, expected);
        }
    }
}

/// The window, whose right edge should not go back (RFC 9293, 3.8.6, SHLD-14).
fn judge_window(
    sender: &mut Half,
    receiver: &Half,
    segment: &Segment<'_>,
    position: i64,
    repeated: bool,
    judge: &mut Judge<'_>,
) {
    // The window of a SYN is not scaled (RFC 7323, 2.2).
    let shift = match segment.syn {
        true => 0,
        false => match scale(sender, receiver) {
            Some(shift) => shift,
            None => return,
        },
    };
    let edge = Edge {
        position: position + (i64::from(segment.window) << shift),
        acknowledgment: position,
        tsval: segment.options.timestamps.map(|(tsval, _)| tsval),
    };
    sender.edge = sender.edge.max(Some(edge.position));
    // Behind the other end's FIN there is nothing to offer room for.
    let ended = receiver.fin.is_some_and(|fin| position > fin);
    let Some(offered) = sender.offered.filter(|_| !ended) else {
        sender.offered = Some(edge);
        return;
    };
    // What scaling rounds off (RFC 7323, 2.4).
    let unit = 1_i64 << shift;
    if edge.position >= offered.position {
        sender.offered = Some(edge);
        return;
    }
    let follows = (judge.ordered && !repeated)
        || position > offered.acknowledgment
        || matches!((edge.tsval, offered.tsval), (Some(now), Some(then)) if later(now, then));
    if !follows {
        return;
    }
    if edge.position <= offered.position - unit {
        judge.note(
            Rule::WindowShrunk,
            format!(
                "the right edge is {}, {} octets before what was offered",
                told(edge.position),
                offered.position - edge.position
            ),
            format!("{} or more, but for {unit} octets", told(offered.position)),
        );
        sender.offered = Some(edge);
    }
}
