//! What an end sends: its octets, where they lie, and how many at a time.
//!
//! *Assumes* that a keepalive may have one octet that counts for nothing (RFC 9293, 3.8.4).
//! *Guarantees* that positions alone are judged, whatever the boundaries of segments, and that
//! octets that were not captured are not.

use crate::finding::Judge;
use crate::half::{Half, agreed, told};
use crate::rule::Rule;
use crate::segment::Segment;

/// Octets before what is acknowledged that are still compared: their acknowledgment may be lost.
const SENT_AGAIN: i64 = 256 << 10;

/// The output of a segment whose first octet of data lies at `position`.
pub(crate) fn judge(
    sender: &mut Half,
    receiver: &Half,
    segment: &Segment<'_>,
    position: i64,
    judge: &mut Judge<'_>,
) {
    // Nothing acknowledges less than the SYN.
    let acknowledged = receiver.acknowledged.unwrap_or(0);
    let end = position + segment.payload_len as i64;
    let keepalive = segment.payload_len == 1
        && (position < acknowledged || (!judge.settings.complete && end == sender.end));
    if judge.here && judge.settings.complete && sender.has_begun() && position > sender.end {
        judge.violation(
            Rule::SequenceSkipped,
            format!("number {}", told(position)),
            format!("{}, which is next", told(sender.end)),
        );
    }
    judge_size(receiver, segment, judge);
    if keepalive {
        return;
    }
    judge_window(sender, receiver, segment, position, judge);
    judge_end(sender, segment, end, judge);
    if segment.is_cut() {
        sender.cut += 1;
    }
    if let Some(difference) = sender.content.compare(position, segment.payload) {
        judge.violation(
            Rule::OctetsChanged,
            format!(
                "octet {} is {:#04x}",
                told(difference.position),
                difference.now
            ),
            format!("{:#04x}, as before", difference.before),
        );
    }
    sender.content.forget(acknowledged - SENT_AGAIN);
    let behind = end + i64::from(segment.fin);
    sender.sent.insert(position, behind);
    sender.end = sender.end.max(behind);
    if segment.payload_len > 0 {
        sender.data_end = sender.data_end.max(Some(end));
    }
}

/// RFC 9293, 3.7.1. The MSS counts no options (RFC 6691, 2), and neither does this.
fn judge_size(receiver: &Half, segment: &Segment<'_>, judge: &mut Judge<'_>) {
    let mss = receiver.syn.and_then(|syn| syn.options.mss);
    let Some(mss) = mss.filter(|_| judge.settings.whole_segments) else {
        return;
    };
    if segment.payload_len > usize::from(mss) {
        judge.violation(
            Rule::SegmentTooLarge,
            format!("{} octets", segment.payload_len),
            format!("{mss} or less, the other end's MSS"),
        );
    }
}

/// RFC 9293, 3.8.6: within the window; 3.8.6.1: but for one octet that probes it.
fn judge_window(
    sender: &Half,
    receiver: &Half,
    segment: &Segment<'_>,
    position: i64,
    judge: &mut Judge<'_>,
) {
    let end = position + segment.payload_len as i64;
    let Some(edge) = receiver.edge.filter(|edge| end > *edge) else {
        return;
    };
    let probe = segment.payload_len == 1 && end == edge + 1;
    // What a scaled window is worth is not known without both SYNs.
    if segment.payload_len == 0 || probe || agreed(sender, receiver, |_| true).is_none() {
        return;
    }
    judge.unless_missing(
        Rule::BeyondWindow,
        true,
        format!("octets {} to {}", told(position), told(end - 1)),
        format!("up to {}, the window that was offered", told(edge - 1)),
    );
}

/// RFC 9293, 3.6: a FIN says that nothing follows.
fn judge_end(sender: &mut Half, segment: &Segment<'_>, end: i64, judge: &mut Judge<'_>) {
    if let Some(fin) = sender.fin
        && segment.payload_len > 0
        && end > fin
    {
        judge.violation(
            Rule::BeyondFin,
            format!("octets up to {}", told(end - 1)),
            format!("nothing behind the FIN at {}", told(fin)),
        );
    }
    if !segment.fin {
        return;
    }
    match sender.fin {
        Some(fin) if fin != end => judge.violation(
            Rule::FinMoved,
            format!("a FIN at {}", told(end)),
            format!("at {}, as before", told(fin)),
        ),
        Some(_) => {}
        None => {
            if let Some(data_end) = sender.data_end.filter(|data_end| end < *data_end) {
                judge.violation(
                    Rule::BeyondFin,
                    format!("a FIN at {}", told(end)),
                    format!("behind {}, which was sent before", told(data_end - 1)),
                );
            }
            sender.fin = Some(end);
        }
    }
}
