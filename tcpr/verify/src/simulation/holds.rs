//! Segments that TCPR wants held, as its server holds them.
//!
//! *Assumes* that all of them are of one connection.
//! *Guarantees* that they are given back in the order of their numbers, cut to what the local TCP
//! takes, and as far as its window reaches.

use tcpr_core::packet::{self, Packet};
use tcpr_core::{Stream, Verdict};

/// Copies of segments, by position.
#[derive(Debug, Default)]
pub(super) struct Holds {
    held: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    sequence: u32,
    /// So much of the payload has been offered already.
    offered: usize,
    octets: Vec<u8>,
}

impl Holds {
    /// Keeps a copy.
    pub(super) fn hold(&mut self, packet: &Packet<'_>) {
        let octets = packet.bytes().to_vec();
        let sequence = packet.sequence();
        let known = |held: &Held| held.sequence == sequence && held.octets.len() >= octets.len();
        if !self.held.iter().any(known) {
            self.held.push(Held {
                sequence,
                offered: 0,
                octets,
            });
        }
    }

    pub(super) fn forget(&mut self) {
        self.held.clear();
    }

    /// Offers what ends at or before position `until` of the peer's stream, until something is to be
    /// held further. Says whether anything is held still.
    ///
    /// If the next piece is larger than the whole room up to `until`, as much of it as fits is
    /// offered: a receiver whose buffer is smaller than a segment would wait for ever otherwise.
    pub(super) fn replay(
        &mut self,
        stream: Stream,
        near: i64,
        until: i64,
        mss: u16,
        mut offer: impl FnMut(&mut Packet<'_>) -> Verdict,
    ) -> bool {
        let position = |held: &Held| stream.position(near, held.sequence);
        self.held.sort_by_key(position);
        let mut nothing_yet = true;
        let mut gone = 0;
        'segments: for held in &mut self.held {
            let begin = position(held);
            let Ok(packet) = Packet::parse(&mut held.octets) else {
                break;
            };
            loop {
                let start = begin + held.offered as i64;
                let rest = packet.payload_len() - held.offered;
                let mut length = rest.min(usize::from(mss).max(1));
                if start + length as i64 > until {
                    let room = usize::try_from(until - start).unwrap_or(0);
                    if !nothing_yet || room == 0 || room >= length {
                        break 'segments;
                    }
                    length = room;
                }
                let mut piece = vec![0; packet.bytes().len()];
                let Ok(cut) = packet::cut(&packet, held.offered, length, &mut piece) else {
                    break 'segments;
                };
                let Ok(mut piece) = Packet::parse(&mut piece[..cut]) else {
                    break 'segments;
                };
                if offer(&mut piece) == Verdict::Hold {
                    break 'segments;
                }
                nothing_yet = false;
                held.offered += length;
                if length == rest {
                    break;
                }
            }
            gone += 1;
        }
        self.held.drain(..gone);
        !self.held.is_empty()
    }
}
