//! What the two applications say to each other.
//!
//! *Assumes* nothing.
//! *Guarantees* that each octet follows from its side and its offset, so that output can be made
//! again at any time, and that a stream which is shifted against itself is noticed at once.

use super::dice::Dice;

/// One direction of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speech {
    /// From the application to its peer.
    Output,
    /// From the peer to the application.
    Input,
}

impl Speech {
    /// The octet at this offset.
    pub(super) fn octet(self, offset: u64) -> u8 {
        Dice::new(offset, 2 + self as u64).throw() as u8
    }

    /// So many octets from this offset on.
    pub(super) fn octets(self, offset: u64, count: u64) -> Vec<u8> {
        (offset..offset + count).map(|at| self.octet(at)).collect()
    }

    /// The offset of the first of these octets, said to begin at `offset`, that is wrong.
    pub(super) fn wrong(self, offset: u64, octets: &[u8]) -> Option<u64> {
        (offset..)
            .zip(octets)
            .find(|(at, octet)| self.octet(*at) != **octet)
            .map(|(at, _)| at)
    }
}
