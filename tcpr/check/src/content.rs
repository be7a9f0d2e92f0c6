//! The octets of a stream, by position, for as long as they may be sent again.
//!
//! *Assumes* that what was acknowledged long ago is forgotten by calls of [`Content::forget`].
//! *Guarantees* bounded memory, whatever a trace has: the oldest octets go first, and what is gone
//! is not compared.

use std::collections::BTreeMap;
use std::ops::Bound::Excluded;

/// Octets of a stream.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// Pieces that do not overlap, by the position of their first octet.
    pieces: BTreeMap<i64, Vec<u8>>,
    held: usize,
    /// Nothing before this position is kept any more.
    floor: Option<i64>,
}

/// Octets kept of one stream.
const LIMIT: usize = 16 << 20;
/// Octets of a piece that grows.
const PIECE: usize = 64 << 10;

/// A position at which an octet is not what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) position: i64,
    pub(crate) before: u8,
    pub(crate) now: u8,
}

impl Content {
    /// Compares octets with what is kept of their positions, and keeps the new ones.
    pub(crate) fn compare(&mut self, position: i64, octets: &[u8]) -> Option<Difference> {
        let cut = self.floor.map_or(0, |floor| (floor - position).max(0));
        let cut = usize::try_from(cut).unwrap_or(usize::MAX);
        let octets = octets.get(cut..).unwrap_or_default();
        if octets.is_empty() {
            return None;
        }
        let position = position + cut as i64;
        let end = position + octets.len() as i64;
        let last = self.pieces.last_entry();
        let last_end = last.map(|piece| *piece.key() + piece.get().len() as i64);
        if last_end.is_none_or(|last_end| last_end <= position) {
            self.append(position, octets);
            return None;
        }
        let mut difference = None;
        let mut missing = Vec::new();
        let mut at = position;
        let before = self.pieces.range(..=position).next_back();
        let behind = self.pieces.range((Excluded(position), Excluded(end)));
        for (&start, piece) in before.into_iter().chain(behind) {
            let piece_end = start + piece.len() as i64;
            if piece_end <= at {
                continue;
            }
            if start > at {
                missing.push((at, start));
                at = start;
            }
            let until = piece_end.min(end);
            let now = &octets[(at - position) as usize..(until - position) as usize];
            let then = &piece[(at - start) as usize..(until - start) as usize];
            if difference.is_none() && now != then {
                difference = first_difference(at, then, now);
            }
            at = until;
        }
        if at < end {
            missing.push((at, end));
        }
        for (from, to) in missing {
            self.append(
                from,
                &octets[(from - position) as usize..(to - position) as usize],
            );
        }
        difference
    }

    /// Keeps octets that are not there yet.
    fn append(&mut self, position: i64, octets: &[u8]) {
        self.held += octets.len();
        let before = self.pieces.range_mut(..position).next_back();
        match before {
            Some((start, piece))
                if *start + piece.len() as i64 == position && piece.len() < PIECE =>
            {
                piece.extend_from_slice(octets);
            }
            _ => {
                self.pieces.insert(position, octets.to_vec());
            }
        }
        while self.held > LIMIT {
            self.drop_first();
        }
    }

    /// Octets before `position` are not sent again.
    pub(crate) fn forget(&mut self, position: i64) {
        while let Some((start, piece)) = self.pieces.first_key_value()
            && start + piece.len() as i64 <= position
        {
            self.drop_first();
        }
    }

    /// Nothing is sent again.
    pub(crate) fn clear(&mut self) {
        let last = self.pieces.last_key_value();
        let end = last.map(|(start, piece)| start + piece.len() as i64);
        self.floor = self.floor.max(end);
        self.pieces.clear();
        self.held = 0;
    }

    fn drop_first(&mut self) {
        if let Some((start, piece)) = self.pieces.pop_first() {
            self.held -= piece.len();
            self.floor = self.floor.max(Some(start + piece.len() as i64));
        }
    }
}

fn first_difference(position: i64, then: &[u8], now: &[u8]) -> Option<Difference> {
    let pairs = then.iter().zip(now).zip(position..);
    let mut differing = pairs.filter(|((then, now), _)| then != now);
    differing.next().map(|((then, now), position)| Difference {
        position,
        before: *then,
        now: *now,
    })
}

#[cfg(test)]
mod tests {
    use super::{Content, Difference, LIMIT};

    fn stream(start: i64, end: i64) -> Vec<u8> {
        (start..end).map(|at| (at % 251) as u8).collect()
    }

    #[test]
    fn the_same_octets_agree_whatever_their_boundaries() {
        let mut content = Content::default();
        for (start, end) in [(0, 10), (20, 30), (30, 35), (5, 25), (40, 50), (0, 60)] {
            assert_eq!(content.compare(start, &stream(start, end)), None);
        }
        assert_eq!(content.held, 60, "each octet is kept once");
    }

    #[test]
    fn the_first_octet_that_differs_is_told() {
        let mut content = Content::default();
        content.compare(0, &stream(0, 10));
        content.compare(12, &stream(12, 20));
        let mut other = stream(5, 25);
        other[3] = 0xff;
        other[9] = 0xff;
        let difference = content.compare(5, &other);
        let expected = Difference {
            position: 8,
            before: 8,
            now: 0xff,
        };
        assert_eq!(difference, Some(expected));
        // What was seen first is what counts, and what was missing was taken.
        assert_eq!(content.compare(0, &stream(0, 14)), None);
        assert_eq!(content.compare(20, &stream(20, 25)), None);
    }

    #[test]
    fn what_is_forgotten_is_neither_compared_nor_kept_again() {
        let mut content = Content::default();
        content.compare(0, &stream(0, 100));
        content.compare(200, &stream(200, 300));
        content.forget(150);
        assert_eq!(content.compare(50, &[9; 50]), None);
        assert_eq!(content.held, 100);
        assert!(content.compare(190, &[9; 20]).is_some());
        content.clear();
        assert_eq!((content.held, content.compare(200, &[9; 10])), (0, None));
    }

    #[test]
    fn memory_is_bounded() {
        let mut content = Content::default();
        let piece = vec![7; 1 << 20];
        for number in 0..40 {
            content.compare(number << 20, &piece);
        }
        assert!(content.held <= LIMIT, "{}", content.held);
        assert!(content.compare(39 << 20, &[8]).is_some());
    }
}
