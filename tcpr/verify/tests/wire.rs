//! What the peer of a simulated recovery sees, judged by `tcpr-check`, which knows nothing of TCPR.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use tcpr_check::{Place, Rule, Settings, Severity, Trace, Verdict};
use tcpr_core::packet::Packet;
use tcpr_core::{Direction, Mutation};
use tcpr_verify::Mutant;
use tcpr_verify::simulation::{Crash, Death, KINDS, Outcome, Scenario, run};

/// A crash comes after every so many packets.
const EVERY: usize = 5;

fn judged(outcome: &Outcome, complete: bool) -> Verdict {
    let sent = |p: &(_, Direction, &[u8])| p.1 == Direction::Outbound;
    let first = outcome.outside.iter().find(sent);
    let mut first = first.map(|p| p.2.to_vec()).unwrap_or_default();
    let local = Packet::parse(&mut first).map(|packet| packet.source().ip());
    // What passes where TCPR stands is all seen, and what it sends is in the order of sending.
    let mut trace = Trace::new(Settings {
        place: local.map_or(Place::Unknown, Place::Host),
        complete,
        whole_segments: true,
        checksums: true,
        ..Settings::default()
    });
    for (time, _, octets) in outcome.outside.iter() {
        trace.packet(time, octets);
    }
    trace.finish()
}

/// Judges the runs of some seeds, each with one crash; tells the rules that are violated, each with
/// the command that shows it and what was found.
fn violated(seeds: std::ops::Range<u64>, mutant: Mutant) -> (usize, Vec<(Rule, String)>) {
    let mut runs = 0;
    let mut found = Vec::new();
    for seed in seeds {
        let scenario = Scenario::of(seed);
        let whole = run(&scenario, seed, &[], mutant);
        for at in (whole.protected..whole.packets).step_by(EVERY) {
            for (death, lose) in KINDS {
                let crash = Crash { at, death, lose };
                let outcome = run(&scenario, seed, &[crash], mutant);
                runs += 1;
                // A TCPR that was lost drops what it does not know yet: the peer misses it, as if the
                // network had lost it.
                let verdict = judged(&outcome, !lose);
                // A TCPR that was lost answers for a local TCP that lives, and is silent, with the
                // TSval that the peer echoes: the peer takes it (RFC 7323, 5.3, R1), and may have been
                // told a later one.
                let is_known = |rule| death == Death::Living && rule == Rule::TimestampRegressed;
                let grave = verdict
                    .findings()
                    .filter(|f| f.severity == Severity::Violation && !is_known(f.rule));
                let shown = |f: &tcpr_check::Finding| {
                    let command = format!("verify simulate --seed {seed} --crash {crash}");
                    (f.rule, format!("{command}: {f:?}"))
                };
                found.extend(grave.map(shown));
            }
        }
    }
    (runs, found)
}

#[test]
fn what_the_peer_sees_of_a_recovery_could_have_come_from_one_tcp() {
    let (runs, found) = violated(1..60, Mutant::SOUND);
    assert!(runs > 2_000, "{runs} runs");
    assert_eq!(found, []);
}

#[test]
fn what_it_sees_of_a_wrong_one_could_not() {
    for (mutation, rule) in [
        (Mutation::AcknowledgmentPlusOne, Rule::AcknowledgesUnsent),
        (Mutation::DeltaPlusOne, Rule::OctetsChanged),
        (Mutation::DeltaMinusOne, Rule::OctetsChanged),
        (Mutation::OffsetReadTooLate, Rule::OctetsChanged),
        (Mutation::OffsetReadTooEarly, Rule::OctetsChanged),
        (Mutation::SynForwarded, Rule::SynInConnection),
        (Mutation::AcknowledgmentFlagNotSet, Rule::NoAcknowledgment),
        (Mutation::MssNotReplayed, Rule::SegmentTooLarge),
    ] {
        let (_, found) = violated(1..40, Mutant(Some(mutation)));
        let seen: BTreeSet<&Rule> = found.iter().map(|(rule, _)| rule).collect();
        assert!(seen.contains(&rule), "{mutation:?}: {seen:?}");
    }
}
