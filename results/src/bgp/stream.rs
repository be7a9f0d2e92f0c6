//! One direction of a TCP connection as an octet stream, cut into BGP messages.
//!
//! *Assumes* segments of one 4-tuple in the order they were captured. *Guarantees* that every
//! octet is used once, the first copy of it that was captured, in the order of its sequence
//! number (RFC 9293, section 3.4); and that reading goes on at the next message after octets
//! that the capture lacks, reported as a gap.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use super::segment::Segment;
use super::wire::{HEADER, MARKER, Reading, Wire, message_len};
use super::{Body, Message};

/// Octets held back behind a hole before the hole counts as a gap.
const MAX_HELD_OCTETS: usize = 256 * 1024;
/// Time for which a hole may stay open before it counts as a gap. A lost segment is sent again
/// after 0.2, 0.6, 1.4 and 3 s on Linux; one that only the capture lost never comes.
const MAX_HOLE_AGE_NS: u64 = 5_000_000_000;
/// A segment further than this from what is expected belongs to another connection of the same
/// 4-tuple whose SYN was not captured: no window of ours is as large.
const MAX_DISTANCE: i64 = 1 << 26;

/// One direction of one connection.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Number of the first octet after the SYN; none if the capture lacks the SYN.
    start: Option<u32>,
    /// Number of the next octet expected, extended to 64 bits; none before the first segment.
    next: Option<u64>,
    /// Octets in order that are not yet part of a whole message.
    buffer: Vec<u8>,
    /// Segments that came before what they follow, by the number of their first octet.
    held: BTreeMap<u64, Held>,
    held_octets: usize,
    /// When the hole that `held` waits behind was first seen.
    hole_since_ns: u64,
    /// Octets have been lost: look for the next message.
    searching: bool,
    /// Nothing was captured yet of a connection that may have stood before: what is missing before
    /// the first segment is no loss.
    joins: bool,
    reading: Reading,
    last_ns: u64,
}

/// A segment that waits for what comes before it. Empty for a FIN.
#[derive(Debug)]
struct Held {
    t_ns: u64,
    payload: Vec<u8>,
}

/// Where messages go: the output, and what all of them have in common.
struct Sink<'a> {
    t_ns: u64,
    src: SocketAddrV4,
    dst: SocketAddrV4,
    wire: &'a mut Wire,
    out: &'a mut Vec<Message>,
}

impl Sink<'_> {
    fn give(&mut self, body: Body) {
        self.out.push(Message {
            t_ns: self.t_ns,
            src: self.src,
            dst: self.dst,
            body,
        });
    }
}

impl Stream {
    /// One of which nothing was captured yet. `joins`: it may have begun before the capture, which is
    /// then no gap.
    pub(super) fn new(joins: bool) -> Self {
        Self {
            joins,
            ..Self::default()
        }
    }

    /// Takes in one segment.
    pub(super) fn push(
        &mut self,
        t_ns: u64,
        segment: &Segment<'_>,
        wire: &mut Wire,
        out: &mut Vec<Message>,
    ) {
        self.last_ns = t_ns;
        let mut sink = Sink {
            t_ns,
            src: segment.src,
            dst: segment.dst,
            wire,
            out,
        };
        if !self.held.is_empty() && t_ns.saturating_sub(self.hole_since_ns) > MAX_HOLE_AGE_NS {
            self.skip_to_held(&mut sink);
        }
        // The SYN occupies one number: data begin behind it.
        let first = segment.seq.wrapping_add(u32::from(segment.syn));
        if segment.syn && self.start != Some(first) {
            self.end(&mut sink);
            *self = Self {
                start: Some(first),
                next: Some(START + u64::from(first)),
                last_ns: t_ns,
                ..Self::default()
            };
        }
        if !segment.payload.is_empty() {
            self.take(first, segment, &mut sink);
        }
        if segment.rst {
            self.end(&mut sink);
        } else if segment.fin {
            let end = first.wrapping_add((segment.payload.len() + segment.not_captured) as u32);
            self.take_fin(end, &mut sink);
        }
    }

    /// Declares that nothing more comes.
    pub(super) fn finish(
        &mut self,
        src: SocketAddrV4,
        dst: SocketAddrV4,
        wire: &mut Wire,
        out: &mut Vec<Message>,
    ) {
        let mut sink = Sink {
            t_ns: self.last_ns,
            src,
            dst,
            wire,
            out,
        };
        while !self.held.is_empty() {
            self.skip_to_held(&mut sink);
        }
    }

    /// Takes in a segment's octets, of which the first has the number `first`.
    fn take(&mut self, first: u32, segment: &Segment<'_>, sink: &mut Sink<'_>) {
        let at = match self.next.map(|next| (next, distance(next, first))) {
            Some((next, d)) if d.abs() <= MAX_DISTANCE => next.saturating_add_signed(d),
            // The connection, or another one of the same 4-tuple, began before the capture.
            _ => {
                self.end(sink);
                let joins = self.joins;
                let at = START + u64::from(first);
                *self = Self {
                    next: Some(at),
                    searching: true,
                    last_ns: self.last_ns,
                    ..Self::default()
                };
                if !joins {
                    sink.give(Body::Gap { octets: None });
                }
                at
            }
        };
        let next = self.next.unwrap_or(at);
        if at > next {
            self.hold(at, segment.payload, sink);
            return;
        }
        self.append(at, segment.payload);
        if segment.not_captured > 0 && self.next == Some(at + segment.payload.len() as u64) {
            self.cut_messages(sink);
            self.lose(segment.not_captured as u64, sink);
        }
        while let Some(held) = self.held.first_entry()
            && Some(*held.key()) <= self.next
        {
            self.append_first_held();
        }
        self.cut_messages(sink);
        if self.next > Some(next) {
            self.hole_since_ns = sink.t_ns;
        }
    }

    /// Takes in the end of the stream, which has the number `end`.
    fn take_fin(&mut self, end: u32, sink: &mut Sink<'_>) {
        let Some(next) = self.next else { return };
        match distance(next, end) {
            0 => self.report_cut(sink),
            d @ 1..=MAX_DISTANCE => self.hold(next.saturating_add_signed(d), &[], sink),
            _ => {}
        }
    }

    /// Appends what of `payload` is new; `at` is not beyond the next octet expected.
    fn append(&mut self, at: u64, payload: &[u8]) {
        let next = self.next.unwrap_or(at);
        let known = usize::try_from(next - at).unwrap_or(usize::MAX);
        if let Some(new) = payload.get(known..) {
            self.buffer.extend_from_slice(new);
            self.next = Some(next + new.len() as u64);
        }
    }

    /// Appends the first segment held, which now follows; returns when it was captured.
    fn append_first_held(&mut self) -> Option<u64> {
        let (at, held) = self.held.pop_first()?;
        self.held_octets -= held.payload.len();
        self.append(at, &held.payload);
        Some(held.t_ns)
    }

    /// Keeps octets that come before what they follow, within limits.
    fn hold(&mut self, at: u64, payload: &[u8], sink: &mut Sink<'_>) {
        if self.held.is_empty() {
            self.hole_since_ns = sink.t_ns;
        }
        // Of two segments with the same first octet the longer one holds the other.
        let known = self.held.get(&at).map(|h| h.payload.len());
        if known.is_none_or(|known| payload.len() > known) {
            self.held_octets += payload.len() - known.unwrap_or(0);
            self.held.insert(
                at,
                Held {
                    t_ns: sink.t_ns,
                    payload: payload.to_vec(),
                },
            );
        }
        while self.held_octets > MAX_HELD_OCTETS {
            self.skip_to_held(sink);
        }
    }

    /// Gives up the octets before the first segment held, and goes on with that. Its messages
    /// get the time it was captured: their receiver had what only the capture lacks.
    fn skip_to_held(&mut self, sink: &mut Sink<'_>) {
        let now_ns = sink.t_ns;
        let (Some(next), Some(first)) = (self.next, self.held.first_entry()) else {
            return;
        };
        let missing = first.key().saturating_sub(next);
        sink.t_ns = first.get().t_ns;
        self.lose(missing, sink);
        while let Some(held) = self.held.first_entry()
            && Some(*held.key()) <= self.next
        {
            sink.t_ns = self.append_first_held().unwrap_or(now_ns);
            self.cut_messages(sink);
        }
        sink.t_ns = now_ns;
        self.hole_since_ns = now_ns;
    }

    /// Goes on behind octets that the capture lacks. What was begun belongs to a message with a
    /// hole in it.
    fn lose(&mut self, octets: u64, sink: &mut Sink<'_>) {
        self.buffer.clear();
        self.searching = true;
        self.next = self.next.map(|next| next + octets);
        sink.give(Body::Gap {
            octets: Some(octets),
        });
    }

    /// The connection is over: what still waits for octets never gets them.
    fn end(&mut self, sink: &mut Sink<'_>) {
        while !self.held.is_empty() {
            self.skip_to_held(sink);
        }
        self.report_cut(sink);
    }

    /// Tells of a message that was begun and never ended.
    fn report_cut(&mut self, sink: &mut Sink<'_>) {
        if !self.buffer.is_empty() && !self.searching {
            sink.give(Body::Cut {
                octets: self.buffer.len(),
            });
        }
        self.buffer.clear();
    }

    /// Gives every message that is whole.
    fn cut_messages(&mut self, sink: &mut Sink<'_>) {
        let mut done = 0;
        loop {
            if self.searching {
                let Some(skip) = find_message(&self.buffer[done..]) else {
                    // A marker may have begun in the last octets.
                    done += (self.buffer.len() - done).saturating_sub(HEADER - 1);
                    break;
                };
                done += skip;
                self.searching = false;
            }
            let rest = &self.buffer[done..];
            match message_len(rest) {
                None => break,
                Some(Ok(len)) => {
                    let Some(message) = rest.get(..len) else {
                        break;
                    };
                    let body = sink.wire.parse(message, &mut self.reading);
                    sink.give(body);
                    done += len;
                }
                Some(Err(reason)) => {
                    sink.give(Body::Malformed {
                        reason: reason.to_owned(),
                    });
                    // Not at this very place again.
                    done += 1;
                    self.searching = true;
                }
            }
        }
        self.buffer.drain(..done);
    }
}

/// Extended numbers begin here, so that octets from before the start do not wrap.
const START: u64 = 1 << 32;

/// From the octet expected to the octet with number `seq`, by the shorter way round
/// (RFC 9293, section 3.4).
fn distance(next: u64, seq: u32) -> i64 {
    i64::from(seq.wrapping_sub(next as u32).cast_signed())
}

/// Where the first whole header of a message stands.
fn find_message(octets: &[u8]) -> Option<usize> {
    octets
        .windows(HEADER)
        .position(|w| w[..MARKER.len()] == MARKER && message_len(w).is_some_and(|len| len.is_ok()))
}
