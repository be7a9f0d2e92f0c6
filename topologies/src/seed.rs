//! What is left to chance, drawn from the scenario's seed.
//!
//! *Assumes* nothing of the machine or of the order in which runs are made. *Guarantees* that a
//! draw depends on the scenario's seed, the run's number and the draw's purpose alone: the same
//! in every arm, on every machine and in every later version. That is why the key is laid out by
//! hand, and why the two samplers below are ours: the ones of `rand` may change between versions.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::units::Span;

/// What a stream of random numbers is for. Streams of different purposes are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Run,
    Phase,
    Probe,
    RouterIds,
    Addresses,
}

impl Purpose {
    const fn label(self) -> &'static [u8; 16] {
        match self {
            Self::Run => b"flaplab run seed",
            Self::Phase => b"flaplab phase   ",
            Self::Probe => b"flaplab mraiwait",
            Self::RouterIds => b"flaplab ids     ",
            Self::Addresses => b"flaplab addrs   ",
        }
    }
}

/// The stream of a purpose: ChaCha20 under the key `label | seed | index | 0`, little-endian.
pub(crate) fn stream(purpose: Purpose, seed: u64, index: u32) -> ChaCha20Rng {
    let mut key = [0; 32];
    key[..16].copy_from_slice(purpose.label());
    key[16..24].copy_from_slice(&seed.to_le_bytes());
    key[24..28].copy_from_slice(&index.to_le_bytes());
    ChaCha20Rng::from_seed(key)
}

/// The seed of one run: equal for the runs of the same number in all arms.
pub(crate) fn run_seed(scenario_seed: u64, run_index: u32) -> u64 {
    stream(Purpose::Run, scenario_seed, run_index).next_u64()
}

/// Time from the settled lab to the failure: uniform over `[0, mrai)`, in whole microseconds.
/// It is nature's part: where in the routers' timers the failure falls.
pub(crate) fn failure_phase(run_seed: u64, mrai: Span) -> Span {
    within(mrai, &mut stream(Purpose::Phase, run_seed, 0))
}

/// Time from the settled lab to the first change of one round of an MRAI probe, in the same way.
pub(crate) fn probe_phase(run_seed: u64, round: u32, mrai: Span) -> Span {
    within(mrai, &mut stream(Purpose::Probe, run_seed, round))
}

fn within(mrai: Span, rng: &mut impl Rng) -> Span {
    let us = u64::try_from(mrai.as_duration().as_micros()).unwrap_or(u64::MAX);
    let drawn = below(rng, us);
    Span::from(std::time::Duration::from_micros(drawn))
}

/// A permutation of `0..n` (Fisher and Yates).
pub(crate) fn permutation(rng: &mut impl Rng, n: usize) -> Vec<usize> {
    let mut p: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        // usize is at most 64 bits wide wherever this compiles.
        let j = below(rng, i as u64 + 1) as usize;
        p.swap(i, j);
    }
    p
}

/// A number in `[0, n)`, 0 if `n` is 0. Multiply and shift: for the ranges drawn here, below
/// 2^30, its bias is under 2^-34.
fn below(rng: &mut impl Rng, n: u64) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(n)) >> 64) as u64
}
