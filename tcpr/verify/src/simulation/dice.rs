//! Chance that can be repeated.
//!
//! *Assumes* nothing.
//! *Guarantees* the same numbers for the same seed on every machine and for ever: a seed that is
//! written down today is of use tomorrow. For that reason it is no generator of a library, which may
//! change with its version.

/// A sequence of numbers (SplitMix64: Steele, Lea and Flood 2014).
#[derive(Debug, Clone)]
pub(super) struct Dice {
    state: u64,
}

impl Dice {
    /// Dice for one purpose. Those for another purpose are thrown independently.
    pub(super) fn new(seed: u64, purpose: u64) -> Dice {
        let mut dice = Dice {
            state: seed ^ purpose.wrapping_mul(0xd134_2543_de82_ef95),
        };
        dice.throw();
        dice
    }

    pub(super) fn throw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is small: what is uneven about it does not matter.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.throw() % bound.max(1)
    }

    /// A number from `least` to `most`.
    pub(super) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// True so often in a thousand times.
    pub(super) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// One of several.
    pub(super) fn one_of<T: Copy, const N: usize>(&mut self, these: [T; N]) -> T {
        these[self.below(N as u64) as usize]
    }
}
