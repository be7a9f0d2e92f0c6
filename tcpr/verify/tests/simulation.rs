//! The simulation: the core as it ships passes, and the core with one wrong decision does not.

#![allow(clippy::unwrap_used, clippy::panic)]

use tcpr_core::Mutation;
use tcpr_verify::Mutant;
use tcpr_verify::simulation::{Bounds, Crash, Scenario, Watch, narrate, run, sweep};

#[test]
fn recovering_is_as_good_as_not_failing() {
    let bounds = Bounds::small();
    let summary = sweep(&bounds, Mutant::SOUND);
    if let Some(failure) = &summary.failure {
        panic!("{failure}");
    }
    println!("{summary:?}");
    assert!(summary.runs > 10_000, "{summary:?}");
    assert!(summary.crashes > summary.runs, "{summary:?}");
    // smoltcp is stuck by itself at times: rarely enough not to hide what TCPR does.
    assert!(summary.stalls_of_stacks * 100 < summary.runs, "{summary:?}");
    assert!(
        (summary.last_acks_missing + summary.forgotten) * 1000 < summary.runs,
        "{summary:?}"
    );
    assert!(summary.stalls_of_control * 20 < bounds.seeds, "{summary:?}");
}

/// What this layer has to notice, and who sees it first.
///
/// Only who sees the packets inside notices that a window is promised that is not there, for TCPR
/// holds what the local TCP has no room for; and that selective acknowledgments are not translated,
/// for smoltcp reads none.
const NOTICED: [(Mutation, Watch); 26] = [
    (Mutation::AcknowledgmentNotDelayed, Watch::Outside),
    (Mutation::AcknowledgmentPlusOne, Watch::Outside),
    (Mutation::DeltaPlusOne, Watch::Ends),
    (Mutation::DeltaMinusOne, Watch::Outside),
    (Mutation::DeltaStale, Watch::Outside),
    (Mutation::DeltaMissingInbound, Watch::Inside),
    (Mutation::SynForwarded, Watch::Outside),
    (Mutation::ResetForwarded, Watch::Outside),
    (Mutation::FinForwarded, Watch::Outside),
    (Mutation::SynAckSequenceOffByOne, Watch::Ends),
    (Mutation::SynAckWithoutSyn, Watch::Ends),
    (Mutation::GuardOnReceiveAcknowledgment, Watch::Promise),
    (Mutation::AcknowledgmentFlagNotSet, Watch::Outside),
    (Mutation::RecoveryWindowAbsolute, Watch::Inside),
    (Mutation::WindowInflated, Watch::Inside),
    (Mutation::WindowNotGivenBack, Watch::Outside),
    (Mutation::OffsetReadTooLate, Watch::Ends),
    (Mutation::OffsetReadTooEarly, Watch::Promise),
    (Mutation::AcknowledgmentNotClamped, Watch::Inside),
    (Mutation::AcknowledgedMovedBack, Watch::Promise),
    (Mutation::NoAcknowledgmentOnCheckpoint, Watch::Promise),
    (Mutation::NoReplyWhileGone, Watch::Ends),
    (Mutation::SackUnshifted, Watch::Inside),
    (Mutation::MssNotReplayed, Watch::Outside),
    (Mutation::DoneWritingNotCleared, Watch::Outside),
    (Mutation::AcknowledgedFinSplicedWrongly, Watch::Promise),
];

#[test]
fn every_mutation_is_noticed() {
    for mutation in Mutation::ALL {
        assert!(
            NOTICED.iter().any(|(assigned, _)| assigned == mutation),
            "{mutation:?} is assigned to nobody"
        );
    }
    for (mutation, watch) in NOTICED {
        let summary = sweep(&Bounds::mutants(), Mutant(Some(mutation)));
        let Some(failure) = summary.failure else {
            panic!("{mutation:?} survives {} runs", summary.runs);
        };
        println!(
            "{mutation:?}, after {} runs: {}",
            summary.runs, failure.fault
        );
        assert_eq!(failure.fault.watch(), watch, "{mutation:?}: {failure}");
    }
}

#[test]
fn a_failure_says_how_to_see_it_again() {
    let summary = sweep(&Bounds::mutants(), Mutant(Some(Mutation::ResetForwarded)));
    let failure = summary.failure.unwrap();
    let said = failure.to_string();
    let replay = said.lines().last().unwrap();
    let words: Vec<&str> = replay.split_whitespace().collect();
    let after = |flag: &str| {
        let at = words.iter().position(|word| *word == flag).unwrap();
        words[at + 1]
    };
    assert_eq!(after("--mutation"), "ResetForwarded");
    let seed = after("--seed").parse().unwrap();
    let crashes: Vec<Crash> = after("--crash")
        .split(',')
        .map(|crash| crash.parse().unwrap())
        .collect();
    let outcome = run(&Scenario::of(seed), seed, &crashes, failure.mutant);
    assert_eq!(outcome.faults.first(), Some(&failure.fault));
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 1..40 {
        let scenario = Scenario::of(seed);
        let crashes: Vec<Crash> = ["9:closing:lose", "20:silent:keep"]
            .map(|crash| crash.parse().unwrap())
            .into();
        let first = run(&scenario, seed, &crashes, Mutant::SOUND);
        let (again, lines) = narrate(&scenario, seed, &crashes, Mutant::SOUND);
        assert_eq!(first, again, "seed {seed}");
        assert!(!first.outside.is_empty());
        assert!(lines.len() >= first.outside.len());
    }
}
