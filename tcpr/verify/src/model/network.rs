//! A network: what is on its way, in no order.
//!
//! *Assumes* nothing.
//! *Guarantees* that what does not fit is lost, and that the same segment is there once: a copy of it
//! is made when it is delivered.

use arrayvec::ArrayVec;

use super::segment::Seg;

/// The most that any network of the model holds.
const MOST: usize = 4;

/// A set of segments, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Network(ArrayVec<Seg, MOST>);

impl Network {
    pub(super) fn all(&self) -> &[Seg] {
        &self.0
    }

    pub(super) fn has_room(&self, most: usize) -> bool {
        self.0.len() < most.min(MOST)
    }

    pub(super) fn contains(&self, segment: &Seg) -> bool {
        self.0.binary_search(segment).is_ok()
    }

    /// Whether it is there now.
    pub(super) fn insert(&mut self, segment: Seg, most: usize) -> bool {
        match self.0.binary_search(&segment) {
            Ok(_) => true,
            Err(_) if !self.has_room(most) => false,
            Err(at) => {
                self.0.insert(at, segment);
                true
            }
        }
    }

    pub(super) fn remove(&mut self, at: usize) -> Seg {
        self.0.remove(at)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
