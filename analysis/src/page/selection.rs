//! Which replays the page holds: all, or as many as keep it small.
//!
//! *Assumes* the size of each replay as JSON. *Guarantees* that the page's replays stay below
//! [`MOST_BYTES`] together, that what is most worth seeing comes first, and that the page says how many
//! there are not and how those were chosen.

use std::collections::{BTreeMap, BTreeSet};

use crate::arms::MeasuredRun;
use crate::replay::Replay;

/// What the replays of a page may take, octets of JSON: with it a page stays below 10 MB.
pub(super) const MOST_BYTES: usize = 6_000_000;

/// The replays that fit, by the number of their run. `sizes` are octets; none has no replay.
pub(crate) fn choose(
    runs: &[MeasuredRun],
    arms: &[Option<usize>],
    sizes: &[Option<usize>],
    most: usize,
) -> BTreeSet<usize> {
    let mut left = most;
    let mut kept = BTreeSet::new();
    for run in by_interest(runs, arms) {
        if let Some(size) = sizes[run]
            && size <= left
            && kept.insert(run)
        {
            left -= size;
        }
    }
    kept
}

/// Numbers of all runs, some of them twice: of each arm the median in convergence, the longest, the
/// shortest; then the invalid ones; then the others, the arms in turn.
fn by_interest(runs: &[MeasuredRun], arms: &[Option<usize>]) -> Vec<usize> {
    let convergence = |run: usize| runs[run].metrics.as_ref().map_or(0, |m| m.convergence_ns);
    let mut by_arm: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    for (run, arm) in arms.iter().enumerate() {
        by_arm.entry(*arm).or_default().push(run);
    }
    let mut order = Vec::new();
    for members in by_arm.values() {
        let mut valid: Vec<usize> = members.iter().copied().filter(|&r| runs[r].valid).collect();
        valid.sort_by_key(|&r| convergence(r));
        if let (Some(first), Some(last)) = (valid.first(), valid.last()) {
            order.extend([valid[(valid.len() - 1) / 2], *last, *first]);
        }
    }
    order.extend((0..runs.len()).filter(|&r| !runs[r].valid));
    let longest = by_arm.values().map(Vec::len).max().unwrap_or(0);
    for place in 0..longest {
        order.extend(by_arm.values().filter_map(|members| members.get(place)));
    }
    order
}

/// What the page says of the replays that it does not hold; nothing, if it holds all there are.
pub(super) fn told(
    runs: &[MeasuredRun],
    replays: &[Option<Replay>],
    kept: &BTreeSet<usize>,
) -> Option<String> {
    let there = replays.iter().flatten().count();
    let without = runs.len() - there;
    let mut told = Vec::new();
    if kept.len() < there {
        told.push(format!(
            "This page holds the replays of {} of {there} runs, so that it stays small: of each arm the median \
             in convergence, the longest and the shortest, then invalid runs, then others as far as {} MB go.",
            kept.len(),
            MOST_BYTES / 1_000_000
        ));
    }
    if without > 0 {
        told.push(format!(
            "{without} of {} runs have no replay: their records do not allow one, or nothing failed in them.",
            runs.len()
        ));
    }
    (!told.is_empty()).then(|| told.join(" "))
}
