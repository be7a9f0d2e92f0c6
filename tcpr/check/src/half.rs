//! One end of a connection, and what it has sent: its stream, and what it has said of the other's.
//!
//! *Assumes* that numbers are read near where the stream stands, within 2^30 of it; what lies
//! farther away is not of this stream.
//! *Guarantees* positions that do not wrap: 0 is the first octet behind the SYN, or the first one in
//! the trace if the SYN is not there.

use std::net::SocketAddr;

use crate::clock::Clock;
use crate::content::Content;
use crate::finding::Moment;
use crate::ranges::Ranges;
use crate::segment::{Options, Segment};
use crate::settings::Way;

/// Farther than any window (RFC 7323, 2.2) from where a stream stands.
const FAR: i64 = 1 << 30;
/// Copies are looked for among so many segments.
const RECENT: usize = 8;

/// What a SYN has offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Syn {
    pub(crate) options: Options,
    /// It was sent again with other options: which of them count is not known.
    pub(crate) varied: bool,
    /// It acknowledged the other end's.
    pub(crate) answers: bool,
}

/// What makes a segment a copy of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Print {
    numbers: (u32, u32, u16),
    length: usize,
    options: Options,
    bits: [bool; 4],
}

/// The right edge of the window that an end offers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edge {
    pub(crate) position: i64,
    pub(crate) acknowledgment: i64,
    pub(crate) tsval: Option<u32>,
}

/// A reset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reset {
    pub(crate) moment: Moment,
    pub(crate) tsval: Option<u32>,
}

/// One end.
#[derive(Debug)]
pub(crate) struct Half {
    pub(crate) address: SocketAddr,
    /// The number of position 0.
    origin: Option<u32>,
    pub(crate) syn: Option<Syn>,
    pub(crate) packets: u64,
    /// Of data, those sent again included.
    pub(crate) octets: u64,
    /// Positions that are in the trace: data and FIN.
    pub(crate) sent: Ranges,
    /// Behind the highest of them.
    pub(crate) end: i64,
    /// Behind the highest position of data, if there was any.
    pub(crate) data_end: Option<i64>,
    pub(crate) fin: Option<i64>,
    pub(crate) content: Content,
    pub(crate) reset: Option<Reset>,
    /// The highest acknowledgment that it has sent: a position of the other's stream.
    pub(crate) acknowledged: Option<i64>,
    /// The highest right edge that it has offered, in the other's stream.
    pub(crate) edge: Option<i64>,
    /// The edge that it must not take back.
    pub(crate) offered: Option<Edge>,
    pub(crate) clock: Clock,
    /// Since when the other end is waited for.
    pub(crate) waiting: Option<Moment>,
    /// Since when octets are not acknowledged.
    pub(crate) outstanding: Option<Moment>,
    /// Segments whose octets were not all captured.
    pub(crate) cut: u64,
    /// All its packets seem to have been sent by the host of the capture.
    pub(crate) from_here: bool,
    /// All its packets came in there.
    pub(crate) from_elsewhere: bool,
    recent: [Option<Print>; RECENT],
    next_recent: usize,
}

impl Half {
    pub(crate) fn new(address: SocketAddr) -> Half {
        Half {
            address,
            origin: None,
            syn: None,
            packets: 0,
            octets: 0,
            sent: Ranges::default(),
            end: 0,
            data_end: None,
            fin: None,
            content: Content::default(),
            reset: None,
            acknowledged: None,
            edge: None,
            offered: None,
            clock: Clock::default(),
            waiting: None,
            outstanding: None,
            cut: 0,
            from_here: true,
            from_elsewhere: true,
            recent: [None; RECENT],
            next_recent: 0,
        }
    }

    /// Whether its SYN is in the trace.
    pub(crate) fn has_begun(&self) -> bool {
        self.syn.is_some()
    }

    /// Its stream begins behind this SYN.
    pub(crate) fn begin(&mut self, number: u32, syn: Syn) {
        self.origin = Some(number.wrapping_add(1));
        self.syn = Some(syn);
    }

    /// The number of its SYN, if that is in the trace.
    pub(crate) fn initial(&self) -> Option<u32> {
        let origin = self.origin.filter(|_| self.has_begun())?;
        Some(origin.wrapping_sub(1))
    }

    /// Whether anything is known of its numbers.
    pub(crate) fn is_known(&self) -> bool {
        self.origin.is_some()
    }

    /// The position of a number of its stream. If none was seen before, this is the first.
    pub(crate) fn position(&mut self, number: u32) -> Option<i64> {
        let origin = *self.origin.get_or_insert(number);
        Half::near(origin, self.end, number)
    }

    /// The same, without taking it for the first.
    pub(crate) fn look(&self, number: u32) -> Option<i64> {
        Half::near(self.origin?, self.end, number)
    }

    fn near(origin: u32, near: i64, number: u32) -> Option<i64> {
        // The low 32 bits are meant: numbers are positions modulo 2^32.
        let ahead = number.wrapping_sub(origin.wrapping_add(near as u32)) as i32;
        let ahead = i64::from(ahead);
        (-FAR..FAR).contains(&ahead).then_some(near + ahead)
    }

    /// Notes which way a packet of it went at the place of the capture. A host's own packets have gone
    /// no hop yet.
    pub(crate) fn hear(&mut self, way: Way, hops: u8) {
        self.from_here &= way == Way::Out && matches!(hops, 64 | 128 | 255);
        self.from_elsewhere &= way == Way::In;
    }

    /// Whether a segment is the very copy of one of the last ones: captured twice, or doubled by the
    /// network. It says nothing of order then.
    pub(crate) fn repeats(&mut self, segment: &Segment<'_>) -> bool {
        let print = Some(Print {
            numbers: (segment.sequence, segment.acknowledgment, segment.window),
            length: segment.payload_len,
            options: segment.options,
            bits: [segment.syn, segment.ack, segment.fin, segment.rst],
        });
        if self.recent.contains(&print) {
            return true;
        }
        self.recent[self.next_recent] = print;
        self.next_recent = (self.next_recent + 1) % RECENT;
        false
    }

    /// The position behind what it has surely sent: data up to the first hole.
    pub(crate) fn contiguous(&self) -> i64 {
        self.sent.prefix(0)
    }
}

/// What both SYNs have agreed, as far as the trace tells.
pub(crate) fn agreed(one: &Half, other: &Half, offers: impl Fn(&Options) -> bool) -> Option<bool> {
    let (one, other) = (one.syn?, other.syn?);
    if one.varied || other.varied {
        return None;
    }
    Some(offers(&one.options) && offers(&other.options))
}

/// Whether both have closed, and both FINs are acknowledged.
pub(crate) fn closed(one: &Half, other: &Half) -> bool {
    let ended = |half: &Half, other: &Half| half.fin.is_some() && other.acknowledged > half.fin;
    ended(one, other) && ended(other, one)
}

/// By how much the windows of `sender` are shifted (RFC 7323, 2.2).
pub(crate) fn scale(sender: &Half, receiver: &Half) -> Option<u8> {
    let both = agreed(sender, receiver, |options| options.scale.is_some())?;
    Some(if both { sender.syn?.options.scale? } else { 0 })
}

/// How octets are numbered in what is told: from 1, as Wireshark's relative numbers are.
pub(crate) fn told(position: i64) -> i64 {
    position + 1
}
