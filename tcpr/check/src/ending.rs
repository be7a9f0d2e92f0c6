//! Resets.
//!
//! *Assumes* that a reset comes from the TCP whose address it bears.
//! *Guarantees* that segments which it has overtaken are not held against their sender.

use crate::clock::later;
use crate::finding::Judge;
use crate::half::{Half, Reset, told};
use crate::opening::FORGOTTEN;
use crate::rule::Rule;
use crate::segment::Segment;

/// A reset.
pub(crate) fn judge_reset(
    sender: &mut Half,
    receiver: &Half,
    segment: &Segment<'_>,
    established: bool,
    judge: &mut Judge<'_>,
) {
    let reset = Reset {
        moment: judge.moment,
        tsval: segment.options.timestamps.map(|(tsval, _)| tsval),
    };
    // RFC 9293, 3.5.2: the answer to a segment without ACK has number 0, and acknowledges it.
    if segment.sequence == 0 && segment.ack && !established {
        sender.reset.get_or_insert(reset);
        return;
    }
    let Some(position) = sender.look(segment.sequence) else {
        if sender.is_known() {
            let seen = "a reset far outside of the window".to_owned();
            judge.note(
                Rule::FarOutside,
                seen,
                format!("about {}", told(sender.end)),
            );
        }
        return;
    };
    // While it opens a connection, a TCP answers stray segments of earlier ones by such.
    if !established && position != sender.end {
        return;
    }
    let highest = match judge.here {
        true => Some(sender.end),
        // What it has sent before may have been lost on the way, but not beyond the window.
        false => receiver.edge.map(|edge| edge.max(sender.end) + 1),
    };
    if let Some(highest) = highest.filter(|highest| position > *highest)
        && sender.has_begun()
        && receiver.has_begun()
    {
        judge.unless_missing(
            Rule::ResetOutOfPlace,
            true,
            format!("a reset at {}", told(position)),
            format!("at {} or before", told(highest)),
        );
    }
    sender.reset.get_or_insert(reset);
}

/// A segment behind a reset of the same sender.
pub(crate) fn judge_after(
    sender: &Half,
    segment: &Segment<'_>,
    repeated: bool,
    judge: &mut Judge<'_>,
) {
    let Some(reset) = sender.reset else {
        return;
    };
    let tsval = segment.options.timestamps.map(|(tsval, _)| tsval);
    let stamped = matches!((tsval, reset.tsval), (Some(now), Some(then)) if later(now, then));
    let late = judge.moment.time.saturating_sub(reset.moment.time) > FORGOTTEN;
    let seen = format!(
        "it goes on behind its reset in packet {}",
        reset.moment.packet
    );
    if (judge.ordered && !repeated) || stamped || late {
        judge.violation(Rule::AfterReset, seen, "nothing more".to_owned());
    } else if !repeated {
        let right = "nothing more, unless the reset has overtaken it".to_owned();
        judge.note(Rule::AfterReset, seen, right);
    }
}
