//! Many runs.
//!
//! *Assumes* nothing.
//! *Guarantees* that a sweep with the same bounds makes the same runs, and stops at the first that
//! fails.

use std::fmt;

use super::crash::{Crash, KINDS};
use super::dice::Dice;
use super::fault::Fault;
use super::scenario::Scenario;
use super::{control, run};
use crate::Mutant;

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first seed.
    pub seed: u64,
    /// How many seeds, each of which is a scenario.
    pub seeds: u64,
    /// How many kinds of crash are tried after each packet, one crash in a run.
    pub singles: usize,
    /// How many pairs of crashes are tried after each packet, the first of them there.
    pub pairs: usize,
}

impl Bounds {
    /// For `make test`.
    #[must_use]
    pub fn small() -> Bounds {
        Bounds {
            seed: 1,
            seeds: 150,
            singles: KINDS.len(),
            pairs: 4,
        }
    }

    /// For a mutation, which most seeds bring to light.
    #[must_use]
    pub fn mutants() -> Bounds {
        Bounds {
            seeds: 100,
            singles: 3,
            pairs: 2,
            ..Bounds::small()
        }
    }

    /// For `make verify`: with a first seed that was never tried before, if it is chosen so.
    #[must_use]
    pub fn larger(seed: u64) -> Bounds {
        Bounds {
            seed,
            seeds: 4000,
            singles: KINDS.len(),
            pairs: 7,
        }
    }
}

/// What a sweep has covered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Runs with TCPR.
    pub runs: u64,
    /// Packets of these where TCPR stands.
    pub packets: u64,
    /// Crashes.
    pub crashes: u64,
    /// Seeds with which smoltcp stalls by itself, without TCPR: they are left out.
    pub stalls_of_control: u64,
    /// Runs that do not end because smoltcp, on either side, is stuck.
    pub stalls_of_stacks: u64,
    /// Runs at whose end the peer's TCP waits for its last acknowledgment, TCPR having been lost.
    pub last_acks_missing: u64,
    /// Runs at whose end a peer that has finished resets a local TCP that repeats what it has had, TCPR
    /// having been lost.
    pub forgotten: u64,
    /// The first run that has failed.
    pub failure: Option<Failure>,
}

/// A run that has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its seed, and so its scenario.
    pub seed: u64,
    /// Its crashes.
    pub crashes: Vec<Crash>,
    /// Its mutation.
    pub mutant: Mutant,
    /// What was wrong first.
    pub fault: Fault,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\nreplay: cargo run -p tcpr-verify --release -- simulate --seed {}",
            self.fault, self.seed
        )?;
        let mut separator = " --crash ";
        for crash in &self.crashes {
            write!(f, "{separator}{crash}")?;
            separator = ",";
        }
        match self.mutant {
            Mutant(Some(mutation)) => write!(f, " --mutation {mutation:?}"),
            Mutant(None) => Ok(()),
        }
    }
}

/// Tries everything within the bounds, up to the first failure.
#[must_use]
pub fn sweep(bounds: &Bounds, mutant: Mutant) -> Summary {
    let mut summary = Summary::default();
    for seed in bounds.seed..bounds.seed.saturating_add(bounds.seeds) {
        try_seed(bounds, seed, mutant, &mut summary);
        if summary.failure.is_some() {
            break;
        }
    }
    summary
}

/// A crash after every packet of a seed's run.
fn try_seed(bounds: &Bounds, seed: u64, mutant: Mutant, summary: &mut Summary) {
    let scenario = Scenario::of(seed);
    if !control(&scenario, seed).finished {
        summary.stalls_of_control += 1;
        return;
    }
    let whole = try_run(&scenario, seed, &[], mutant, summary);
    let mut dice = Dice::new(seed, 3);
    for at in whole.0..whole.1 {
        let first = dice.below(KINDS.len() as u64) as usize;
        for turn in 0..bounds.singles.min(KINDS.len()) {
            let (death, lose) = KINDS[(first + turn) % KINDS.len()];
            let crash = Crash { at, death, lose };
            try_run(&scenario, seed, &[crash], mutant, summary);
        }
        for _ in 0..bounds.pairs {
            let distance = dice.one_of([3, 10, 60]);
            let second = at + dice.below(distance);
            let crashes = [Crash::some(at, &mut dice), Crash::some(second, &mut dice)];
            try_run(&scenario, seed, &crashes, mutant, summary);
        }
    }
}

/// One run, unless one has failed before. Gives the packets after which a crash can be recovered.
fn try_run(
    scenario: &Scenario,
    seed: u64,
    crashes: &[Crash],
    mutant: Mutant,
    summary: &mut Summary,
) -> (u64, u64) {
    if summary.failure.is_some() {
        return (0, 0);
    }
    let outcome = run(scenario, seed, crashes, mutant);
    summary.runs += 1;
    summary.packets += outcome.packets;
    summary.crashes += outcome.crashes as u64;
    summary.stalls_of_stacks += u64::from(outcome.stack_stalled);
    summary.last_acks_missing += u64::from(outcome.last_ack_missing);
    summary.forgotten += u64::from(outcome.forgotten);
    summary.failure = outcome.faults.into_iter().next().map(|fault| Failure {
        seed,
        crashes: crashes.to_vec(),
        mutant,
        fault,
    });
    (outcome.protected, outcome.packets)
}
