//! SYNs: whether one belongs to a connection, and what it agrees upon.
//!
//! *Assumes* that a host does not open a second connection between the same addresses and ports while
//! it has the first.
//! *Guarantees* that a SYN amid a connection is judged by what comes of it: accepted, it begins another
//! connection; otherwise its sender has lost this one.

use std::time::Duration;

use crate::connection::Connection;
use crate::finding::{Judge, Moment};
use crate::half::{Half, Syn, agreed};
use crate::rule::Rule;
use crate::segment::Segment;
use crate::settings::Way;

/// A SYN amid a connection, until it is known what comes of it.
#[derive(Debug)]
pub(crate) struct Intruder {
    pub(crate) side: usize,
    pub(crate) number: u32,
    pub(crate) moment: Moment,
    /// The packet, to begin the other connection with.
    pub(crate) octets: Vec<u8>,
    pub(crate) length: usize,
    pub(crate) way: Way,
    /// Whoever sent it has gone on with the connection afterwards.
    pub(crate) went_on: bool,
    /// The other end has.
    pub(crate) answered: bool,
    pub(crate) refused: bool,
}

/// Where a packet between two sockets belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// To the connection that is there.
    Here,
    /// To another one, which it begins.
    Another,
    /// It is a SYN where none should be.
    Intrudes,
    /// It accepts the SYN that was.
    AcceptsIntruder,
}

/// How far before the first number in the trace a SYN that comes late may lie.
const LATE: i64 = 1 << 16;
/// How far from where both ends stand segments of the same connection may lie.
const LINGERING: i64 = 1 << 20;
/// Whether a silence of this length tells that it is another connection.
pub(crate) const FORGOTTEN: Duration = Duration::from_secs(120);

impl Connection {
    /// Where a packet of `side` belongs.
    pub(crate) fn fits(&self, side: usize, segment: &Segment<'_>, complete: bool) -> Fit {
        let (sender, receiver) = (&self.halves[side], &self.halves[1 - side]);
        if segment.rst {
            return Fit::Here;
        }
        if !segment.syn {
            return match !complete && segment.ack && self.has_jumped(sender, receiver, segment) {
                true => Fit::Another,
                false => Fit::Here,
            };
        }
        if let Some(intruder) = &self.intruder
            && intruder.side != side
            && segment.ack
            && segment.acknowledgment == intruder.number.wrapping_add(1)
        {
            return Fit::AcceptsIntruder;
        }
        let same = match sender.initial() {
            Some(initial) => initial == segment.sequence,
            None => match sender.look(segment.sequence) {
                Some(position) => (-LATE..0).contains(&position),
                None => !sender.is_known(),
            },
        };
        match (same, self.is_over() || !self.established) {
            (true, _) => Fit::Here,
            (false, true) => Fit::Another,
            (false, false) => Fit::Intrudes,
        }
    }
}

impl Connection {
    /// Whether a segment has numbers of another connection, whose beginning is missing from the trace:
    /// behind the end of this one one of them is enough, else that is missing too.
    fn has_jumped(&self, sender: &Half, receiver: &Half, segment: &Segment<'_>) -> bool {
        let far = |half: &Half, number| match half.look(number) {
            Some(position) => (position - half.end).abs() > LINGERING,
            None => half.is_known(),
        };
        let sequence = far(sender, segment.sequence);
        let acknowledgment = far(receiver, segment.acknowledgment);
        match self.is_over() {
            true => sequence || acknowledgment,
            false => sequence && acknowledgment,
        }
    }
}

/// A SYN of this connection.
pub(crate) fn take(sender: &mut Half, segment: &Segment<'_>) {
    let syn = Syn {
        options: segment.options,
        varied: false,
        answers: segment.ack,
    };
    let offers = |options: &crate::segment::Options| {
        (
            options.mss,
            options.scale,
            options.sack_permitted,
            options.timestamps.is_some(),
        )
    };
    // One that comes late, when what lies between was not seen, tells nothing.
    let fits = sender.look(segment.sequence).is_none_or(|at| at == -1);
    match &mut sender.syn {
        Some(first) => {
            // The SYN of an opening that is answered by another offers again what counts then.
            let again = first.answers == syn.answers;
            first.varied |= again && offers(&first.options) != offers(&syn.options);
            if !again {
                *first = Syn {
                    varied: first.varied,
                    ..syn
                };
            }
        }
        None if fits => sender.begin(segment.sequence, syn),
        None => {}
    }
    if !segment.ack {
        // The window is there before anything can be acknowledged; that of a SYN is not scaled.
        sender.edge = sender.edge.max(Some(i64::from(segment.window)));
    }
}

/// Options of a segment behind the SYN: as agreed.
pub(crate) fn judge_options(
    sender: &Half,
    receiver: &Half,
    segment: &Segment<'_>,
    judge: &mut Judge<'_>,
) {
    let has = segment.options.timestamps.is_some();
    match agreed(sender, receiver, |options| options.timestamps.is_some()) {
        Some(true) if !has => judge.violation(
            Rule::TimestampMissing,
            "no timestamps".to_owned(),
            "timestamps: both SYNs have offered them".to_owned(),
        ),
        Some(false) if has => judge.violation(
            Rule::OptionNotAgreed,
            "timestamps".to_owned(),
            "none: not both SYNs have offered them".to_owned(),
        ),
        _ => {}
    }
    let permitted = receiver.syn.filter(|syn| !syn.varied);
    if let Some(syn) = permitted
        && !syn.options.sack_permitted
        && !segment.options.sack.as_slice().is_empty()
    {
        judge.violation(
            Rule::OptionNotAgreed,
            "a selective acknowledgment".to_owned(),
            "none: the other end's SYN has not permitted it".to_owned(),
        );
    }
}

/// What came of a SYN amid a connection, when nothing more does.
pub(crate) fn judge_intruder(intruder: &Intruder, complete: bool, judge: &mut Judge<'_>) {
    let seen = format!("a SYN with number {} amid the connection", intruder.number);
    let lost = !intruder.refused && (intruder.went_on || (complete && intruder.answered));
    if lost {
        let right = "none: only a TCP that has lost the connection opens it anew".to_owned();
        judge.violation(Rule::SynInConnection, seen, right);
    } else {
        let right = "the end of the connection before, unless it is missing from the trace";
        judge.note(Rule::NotSeenToEnd, seen, right.to_owned());
    }
}
