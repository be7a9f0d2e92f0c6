//! Which counters were taken.
//!
//! *Assumes* that the sender's counters increase strictly.
//! *Guarantees* that each is taken once, also if datagrams overtake each other by less than 128
//! (as RFC 4303, 3.4.3 does); older ones are refused.

/// Counters taken of late.
#[derive(Debug, Clone, Default)]
pub struct Window {
    /// One above the highest that was taken.
    next: u64,
    /// Bit n: `next - 1 - n` was taken.
    taken: u128,
}

impl Window {
    /// Takes a counter; false if it was taken already, or is too old to tell.
    pub fn take(&mut self, counter: u64) -> bool {
        if counter == u64::MAX {
            return false;
        }
        if counter >= self.next {
            let ahead = counter - self.next + 1;
            self.taken = u32::try_from(ahead)
                .ok()
                .and_then(|by| self.taken.checked_shl(by))
                .unwrap_or(0)
                | 1;
            self.next = counter + 1;
            return true;
        }
        let behind = self.next - 1 - counter;
        if behind >= 128 || self.taken & (1 << behind) != 0 {
            return false;
        }
        self.taken |= 1 << behind;
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Window;
    use proptest::prelude::*;

    #[test]
    fn a_counter_is_taken_once_and_late_ones_within_128() {
        let mut window = Window::default();
        assert!(window.take(0) && !window.take(0));
        assert!(window.take(200) && window.take(73) && !window.take(73));
        assert!(!window.take(72));
        assert!(!window.take(u64::MAX));
        assert!(window.take(u64::MAX - 1) && !window.take(200));
    }

    proptest! {
        #[test]
        fn none_is_taken_twice(counters in proptest::collection::vec(0_u64..400, 0..600)) {
            let mut window = Window::default();
            let mut taken = std::collections::BTreeSet::new();
            for counter in counters {
                let highest = taken.last().copied().unwrap_or(0);
                let fresh = !taken.contains(&counter) && counter + 128 > highest;
                prop_assert_eq!(window.take(counter), fresh);
                if fresh {
                    taken.insert(counter);
                }
            }
        }
    }
}
