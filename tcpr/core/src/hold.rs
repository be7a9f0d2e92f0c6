//! Segments of a peer that nobody can take yet, kept until there is a local TCP for them.
//!
//! *Assumes* that all of one queue are inbound segments of one connection with right checksums, held
//! because [`Tcpr`](crate::Tcpr) said so: then all their numbers lie within 2^31 of each other (RFC
//! 9293, 3.4), for it has nothing held beyond the window that the peer was promised; and that what is
//! not kept, or lost with the queue, is sent again by the peer.
//! *Guarantees* that each octet of the stream is kept about once, that what is kept stays below the
//! limit that it is given, and that it is given back in the order of its numbers, cut to what the
//! local TCP takes, and as far as that has room. To hold a segment allocates, for it is copied.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::number::ahead;
use crate::packet::{self, Packet};
use crate::{Hard, Verdict};

/// What a held segment costs beside its octets.
const OVERHEAD: usize = 64;

/// What is held of one connection, to carry out [`Verdict::Hold`] and
/// [`Action::Replay`](crate::Action::Replay) with. To carry out
/// [`Action::Forget`](crate::Action::Forget), drop it.
#[derive(Debug, Default)]
pub struct HoldQueue {
    /// In the order of their numbers. None lies within another one.
    segments: Vec<Held>,
    cost: usize,
    /// The incarnation of the local TCP that they were offered to.
    offered_to: u64,
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
        ahead(self.sequence, base) + i64::from(self.length)
    }
}

impl HoldQueue {
    /// Nothing is held.
    #[must_use]
    pub fn new() -> HoldQueue {
        HoldQueue::default()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Octets of memory that the held segments take, about.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.cost
    }

    /// Copies a segment, unless it is there already, or is not whole, or the queue would then
    /// [cost](HoldQueue::cost) more than `limit`. Says whether it is there now.
    pub fn hold(&mut self, packet: &Packet<'_>, limit: usize) -> bool {
        let segments = &mut self.segments;
        let sequence = packet.sequence();
        let length = packet.segment_len();
        let base = segments.first().map_or(sequence, |first| first.sequence);
        let start = ahead(sequence, base);
        let end = start + i64::from(length);
        // What begins at or before this segment, and what begins after it.
        let at = segments.partition_point(|held| ahead(held.sequence, base) <= start);
        if at > 0 && segments[at - 1].end(base) >= end {
            // It comes again because what was offered has not arrived.
            let known = &mut segments[at - 1];
            let within = (start - ahead(known.sequence, base)) as usize;
            known.offered = known.offered.min(within);
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
        let cost = self.cost - freed + packet.bytes().len() + OVERHEAD;
        if !packet.is_whole() || cost > limit {
            return false;
        }
        let held = Held {
            sequence,
            length,
            payload: packet.payload_len(),
            offered: 0,
            packet: Box::from(packet.bytes()),
        };
        self.cost = cost;
        segments.splice(first..first + covered, [held]);
        true
    }

    /// Offers what ends at or before position `until` of the peer's stream, in pieces of at most
    /// `mss` octets, until one is to be held further. Says whether anything is held still, as
    /// [`Tcpr::held`](crate::Tcpr::held) is to be told.
    ///
    /// `hard`, `until` and `mss` are those of [`Action::Replay`](crate::Action::Replay). `room` is for
    /// a piece on its way out, and grows as needed: keep it for the next time.
    ///
    /// If the next piece is larger than the whole room up to `until`, as much of it as fits is
    /// offered: a receiver whose buffer is smaller than a segment would wait for ever otherwise
    /// (RFC 9293, 3.8.6.2.1).
    pub fn replay(
        &mut self,
        hard: &Hard,
        until: i64,
        mss: u16,
        room: &mut Vec<u8>,
        mut offer: impl FnMut(&mut Packet<'_>) -> Verdict,
    ) -> bool {
        // The window that all of it lies in was counted from the checkpoint, or from one before it.
        let near = hard.checkpoint as i64;
        if hard.spliced != self.offered_to {
            // A new local TCP has taken nothing yet.
            self.offered_to = hard.spliced;
            for held in &mut self.segments {
                held.offered = 0;
            }
        }
        let mut gone = 0;
        let mut nothing_yet = true;
        'segments: for held in &mut self.segments {
            let position = hard.peers.position(near, held.sequence);
            if room.len() < held.packet.len() {
                room.resize(held.packet.len(), 0);
            }
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
                    let fits = usize::try_from(until - start).unwrap_or(0);
                    if !nothing_yet || fits == 0 || fits >= len {
                        break 'segments;
                    }
                    len = fits;
                }
                let Ok(cut) = packet::cut(&packet, held.offered, len, room) else {
                    break;
                };
                let Ok(mut piece) = Packet::parse(&mut room[..cut]) else {
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
        for held in self.segments.drain(..gone) {
            self.cost -= held.cost();
        }
        !self.segments.is_empty()
    }
}
