//! Segments of peers whose application is down, kept until it is back.
//!
//! *Assumes* that the core has a segment held only within the window that the peer was promised,
//! so that all numbers held of one connection lie within 2^31 of each other (RFC 9293, 3.4), and
//! that what is lost here is sent again by the peer.
//! *Guarantees* that each octet of a stream is kept about once, that all together stay below a
//! limit, and that they are given back in the order of their numbers, cut to what the local TCP
//! takes.

use std::collections::HashMap;

use tcpr_core::packet::{self, Packet};
use tcpr_core::{Flow, Stream, Verdict};

/// What a held segment costs beside its octets.
const OVERHEAD: usize = 64;

/// What is held, by connection.
#[derive(Debug)]
pub(crate) struct Holds {
    flows: HashMap<Flow, Vec<Held>>,
    /// A piece on its way out. Reused.
    piece: Vec<u8>,
    octets: usize,
    limit: usize,
    refused: u64,
}

#[derive(Debug)]
struct Held {
    sequence: u32,
    /// Payload, SYN and FIN.
    length: u32,
    payload: usize,
    /// So much of the payload has been offered already.
    offered: usize,
    packet: Box<[u8]>,
}

impl Held {
    fn cost(&self) -> usize {
        self.packet.len() + OVERHEAD
    }

    /// The number after the last one, as a distance from `base`.
    fn end(&self, base: u32) -> i64 {
        distance(base, self.sequence) + i64::from(self.length)
    }
}

/// How far `number` lies beyond `base` (RFC 1982).
fn distance(base: u32, number: u32) -> i64 {
    i64::from(number.wrapping_sub(base) as i32)
}

impl Holds {
    pub(crate) fn new(limit: usize) -> Holds {
        Holds {
            flows: HashMap::new(),
            piece: vec![0; 1 << 16],
            octets: 0,
            limit,
            refused: 0,
        }
    }

    /// Octets that all held segments take.
    pub(crate) fn octets(&self) -> usize {
        self.octets
    }

    /// Segments that were not kept, since there was no room.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// Copies a segment, unless it is there already. Says whether it is there now.
    pub(crate) fn hold(&mut self, flow: Flow, packet: &Packet<'_>) -> bool {
        let sequence = packet.sequence();
        let length = packet.segment_len();
        let segments = self.flows.entry(flow).or_default();
        let base = segments.first().map_or(sequence, |first| first.sequence);
        let start = distance(base, sequence);
        let end = start + i64::from(length);
        // What begins at or before this segment, and what begins after it.
        let at = segments.partition_point(|held| distance(base, held.sequence) <= start);
        if at > 0 && segments[at - 1].end(base) >= end {
            return true;
        }
        // What the new segment covers it replaces: from the one that begins where it does.
        let first = if at > 0 && segments[at - 1].sequence == sequence {
            at - 1
        } else {
            at
        };
        let covered = segments[first..]
            .iter()
            .take_while(|held| held.end(base) <= end)
            .count();
        let freed: usize = segments[first..first + covered]
            .iter()
            .map(Held::cost)
            .sum();
        let held = Held {
            sequence,
            length,
            payload: packet.payload_len(),
            offered: 0,
            packet: Box::from(packet.bytes()),
        };
        if !packet.is_whole() || self.octets - freed + held.cost() > self.limit {
            self.refused += 1;
            if segments.is_empty() {
                self.flows.remove(&flow);
            }
            return false;
        }
        self.octets = self.octets - freed + held.cost();
        segments.splice(first..first + covered, [held]);
        true
    }

    /// Throws away what is held of a connection.
    pub(crate) fn forget(&mut self, flow: &Flow) {
        if let Some(segments) = self.flows.remove(flow) {
            self.octets -= segments.iter().map(Held::cost).sum::<usize>();
        }
    }

    /// Offers what ends at or before position `until` of the peer's stream, in pieces of at most
    /// `mss` octets, until one is to be held further. Says whether anything is held still.
    ///
    /// `near` is a position near those held. If the next piece is larger than the whole room up to
    /// `until`, as much of it as fits is offered: a receiver whose buffer is smaller than a segment
    /// would wait for ever otherwise (RFC 9293, 3.8.6.2.1).
    pub(crate) fn replay(
        &mut self,
        flow: &Flow,
        stream: Stream,
        near: i64,
        until: i64,
        mss: u16,
        mut offer: impl FnMut(&mut Packet<'_>) -> Verdict,
    ) -> bool {
        let Some(segments) = self.flows.get_mut(flow) else {
            return false;
        };
        let mut gone = 0;
        let mut nothing_yet = true;
        'segments: for held in segments.iter_mut() {
            let position = stream.position(near, held.sequence);
            let Ok(packet) = Packet::parse(&mut held.packet) else {
                // It was parsed when it came.
                gone += 1;
                continue;
            };
            loop {
                let start = position + held.offered as i64;
                let rest = held.payload - held.offered;
                let mut len = rest.min(usize::from(mss).max(1));
                if start + len as i64 > until {
                    let room = usize::try_from(until - start).unwrap_or(0);
                    if !nothing_yet || room == 0 || room >= len {
                        break 'segments;
                    }
                    len = room;
                }
                let Ok(cut) = packet::cut(&packet, held.offered, len, &mut self.piece) else {
                    break;
                };
                let Ok(mut piece) = Packet::parse(&mut self.piece[..cut]) else {
                    break;
                };
                if offer(&mut piece) == Verdict::Hold {
                    break 'segments;
                }
                nothing_yet = false;
                held.offered += len;
                if len == rest {
                    break;
                }
            }
            gone += 1;
        }
        for held in segments.drain(..gone) {
            self.octets -= held.cost();
        }
        let left = !segments.is_empty();
        if !left {
            self.flows.remove(flow);
        }
        left
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::serve::tests::wire::Tcp;

    /// Octet 0 of the stream has this number: numbers wrap soon after it.
    const STREAM: Stream = Stream {
        initial: u32::MAX - 1000,
    };

    fn flow() -> Flow {
        Flow {
            local: "198.18.0.1:179".parse().unwrap(),
            remote: "198.18.0.2:4000".parse().unwrap(),
        }
    }

    fn octets(range: std::ops::Range<usize>) -> Vec<u8> {
        range.map(|at| (at % 251) as u8).collect()
    }

    fn hold(holds: &mut Holds, range: std::ops::Range<usize>) -> bool {
        let sequence = STREAM.number(i64::try_from(range.start).unwrap());
        let segment = Tcp::ack(sequence, 1).with(&octets(range));
        let mut packet = segment.between(flow().remote, flow().local);
        holds.hold(flow(), &Packet::parse(&mut packet).unwrap())
    }

    /// What is given back: where each piece begins, and its payload.
    fn replay(holds: &mut Holds, until: i64, mss: u16) -> (Vec<(i64, Vec<u8>)>, bool) {
        let mut pieces = Vec::new();
        let left = holds.replay(&flow(), STREAM, 0, until, mss, |piece| {
            assert!(piece.checksum_is_right());
            let position = STREAM.position(0, piece.sequence());
            pieces.push((position, piece.payload().to_vec()));
            Verdict::Forward { edited: true }
        });
        (pieces, left)
    }

    fn joined(pieces: &[(i64, Vec<u8>)]) -> Vec<u8> {
        let mut got: Vec<u8> = Vec::new();
        for (position, payload) in pieces {
            let position = usize::try_from(*position).unwrap();
            assert!(position <= got.len(), "a gap before {position}");
            got.truncate(position);
            got.extend_from_slice(payload);
        }
        got
    }

    #[test]
    fn what_came_in_any_order_and_many_times_goes_back_in_order_and_once() {
        let mut holds = Holds::new(1 << 20);
        for range in [
            3000..4000,
            0..1000,
            500..1000,
            1000..3000,
            1000..2000,
            0..1000,
            2000..3500,
        ] {
            assert!(hold(&mut holds, range));
        }
        let (pieces, left) = replay(&mut holds, 10_000, 600);
        assert!(!left);
        assert!(joined(&pieces) == octets(0..4000));
        assert!(pieces.iter().all(|(_, payload)| payload.len() <= 600));
        let all: usize = pieces.iter().map(|(_, payload)| payload.len()).sum();
        assert!(all <= 4000 + 1500, "{all}: what is covered is kept once");
        assert_eq!(holds.octets(), 0);
    }

    #[test]
    fn a_longer_segment_takes_the_place_of_those_it_covers() {
        let mut holds = Holds::new(1 << 20);
        for start in [0, 100, 200, 300] {
            assert!(hold(&mut holds, start..start + 100));
        }
        assert!(hold(&mut holds, 100..400));
        let (pieces, _) = replay(&mut holds, 10_000, 1460);
        assert_eq!(pieces, [(0, octets(0..100)), (100, octets(100..400))]);
    }

    #[test]
    fn beyond_the_limit_nothing_is_kept_and_what_is_there_stays() {
        let mut holds = Holds::new(3000);
        assert!(hold(&mut holds, 0..1000));
        assert!(hold(&mut holds, 1000..2000));
        assert!(!hold(&mut holds, 2000..3000));
        assert_eq!(holds.refused(), 1);
        assert!(holds.octets() <= 3000);
        let (pieces, left) = replay(&mut holds, 10_000, 1460);
        assert!(joined(&pieces) == octets(0..2000) && !left);
        assert!(hold(&mut holds, 2000..3000), "there is room again");
        holds.forget(&flow());
        assert_eq!(holds.octets(), 0);
    }

    #[test]
    fn no_more_is_given_back_than_there_is_room_for() {
        let mut holds = Holds::new(1 << 20);
        assert!(hold(&mut holds, 0..3000));
        let (first, left) = replay(&mut holds, 2500, 1000);
        assert!(left && joined(&first) == octets(0..2000));
        // Less room than a piece: as much as fits, or nothing would ever come.
        let (second, left) = replay(&mut holds, 2500, 1000);
        assert!(left);
        assert_eq!(second, [(2000, octets(2000..2500))]);
        let (none, left) = replay(&mut holds, 2500, 1000);
        assert!(left && none.is_empty());
        let (third, left) = replay(&mut holds, 4000, 1000);
        assert!(!left);
        assert_eq!(third, [(2500, octets(2500..3000))]);
    }

    #[test]
    fn what_is_to_be_held_further_comes_again_later() {
        let mut holds = Holds::new(1 << 20);
        assert!(hold(&mut holds, 0..500));
        let left = holds.replay(&flow(), STREAM, 0, 1000, 1460, |_| Verdict::Hold);
        assert!(left);
        let (pieces, left) = replay(&mut holds, 1000, 1460);
        assert!(!left);
        assert_eq!(pieces, [(0, octets(0..500))]);
    }

    #[test]
    fn a_fin_goes_with_the_last_octet_or_alone() {
        let mut holds = Holds::new(1 << 20);
        let fin = |start: usize, end: usize| -> Vec<u8> {
            let mut segment = Tcp::ack(STREAM.number(start as i64), 1).with(&octets(start..end));
            segment.flags.insert(packet::Flags::FIN);
            segment.between(flow().remote, flow().local)
        };
        for mut segment in [fin(0, 100), fin(100, 100)] {
            assert!(holds.hold(flow(), &Packet::parse(&mut segment).unwrap()));
        }
        let mut fins = Vec::new();
        holds.replay(&flow(), STREAM, 0, 1000, 60, |piece| {
            fins.push(piece.flags().contains(packet::Flags::FIN));
            Verdict::Forward { edited: true }
        });
        assert_eq!(fins, [false, true]);
    }
}
