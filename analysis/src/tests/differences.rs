//! What lies between arms, from runs whose values are made by hand.

use topologies::Strategy;

use super::disk::manifest;
use super::measured;
use super::network::clique;
use crate::arms::{Arm, MeasuredRun, Metric, group};
use crate::differences::{Difference, between_arms};

/// A run of that number and seed that converged after so long.
pub(super) fn run(strategy: Strategy, index: u32, seed: u64, value_s: f64) -> MeasuredRun {
    let mut manifest = manifest(&clique(2, false), strategy, index);
    manifest.seed = seed;
    manifest.run_id = format!("{strategy}-{index}");
    measured(manifest, value_s)
}

/// Runs of equal seeds for equal numbers, as the arms of a scenario have them.
pub(super) fn arms(none_s: &[f64], tcpr_s: &[f64]) -> Vec<Arm> {
    let of = |strategy, values: &[f64]| -> Vec<MeasuredRun> {
        let numbered = (0..).zip(values);
        numbered
            .map(|(i, v)| run(strategy, i, 100 + u64::from(i), *v))
            .collect()
    };
    let mut runs = of(Strategy::None, none_s);
    runs.extend(of(Strategy::Tcpr, tcpr_s));
    group(&runs)
}

fn convergence(arms: &[Arm]) -> Difference {
    let mut found = between_arms(arms);
    found.retain(|d| d.metric == Metric::Convergence);
    found.remove(0)
}

#[test]
fn runs_of_equal_draws_are_compared_in_pairs() {
    // The draws matter far more than the arm: only pairs tell the arms apart.
    let none = [1.0, 9.0, 4.0, 6.0, 2.0, 8.0];
    let tcpr = [0.9, 8.8, 3.9, 5.8, 1.9, 7.9];
    let d = convergence(&arms(&none, &tcpr));
    assert_eq!((d.of.as_str(), d.against.as_str()), ("tcpr", "none"));
    assert_eq!((d.estimate(), d.pairs), ("paired", Some(6)));
    // -0.1, -0.2, -0.1, -0.2, -0.1, -0.1.
    assert!((d.difference + 0.8 / 6.0).abs() < 1e-9, "{}", d.difference);
    let (low, high) = d.ci95.unwrap();
    assert!(-0.2 <= low && high <= -0.1 + 1e-9, "{low} {high}");
    assert_eq!(d.is_open(), Some(false));
}

#[test]
fn without_common_draws_the_means_are_compared() {
    let mut runs: Vec<MeasuredRun> = Vec::new();
    for (i, (none, tcpr)) in (0..).zip([(1.0, 0.9), (9.0, 8.8), (4.0, 3.9), (6.0, 5.8)]) {
        runs.push(run(Strategy::None, i, u64::from(i), none));
        runs.push(run(Strategy::Tcpr, i, 50 + u64::from(i), tcpr));
    }
    let d = convergence(&group(&runs));
    assert_eq!((d.estimate(), d.pairs), ("unpaired", None));
    assert!((d.difference + 0.15).abs() < 1e-9);
    assert_eq!(d.is_open(), Some(true), "{:?}", d.ci95);
}

#[test]
fn few_pairs_among_many_runs_are_not_all_that_is_looked_at() {
    let many: Vec<f64> = (0..10).map(f64::from).collect();
    let of = |partners| convergence(&arms(&many, &many[..partners]));
    assert_eq!(of(5).pairs, Some(5));
    assert_eq!(of(4).pairs, None);
}

#[test]
fn an_invalid_run_takes_its_pair_along() {
    let mut runs: Vec<MeasuredRun> = Vec::new();
    for i in 0..5 {
        let seed = u64::from(i);
        runs.push(run(Strategy::None, i, seed, 5.0 + f64::from(i)));
        runs.push(run(Strategy::Tcpr, i, seed, 4.0 + f64::from(i)));
    }
    runs[2].valid = false;
    let d = convergence(&group(&runs));
    assert_eq!((d.runs, d.pairs), ((5, 4), Some(4)));
    assert_eq!((d.difference, d.ci95), (-1.0, Some((-1.0, -1.0))));
}

#[test]
fn a_difference_reads_as_a_sentence() {
    let none = [5.2, 5.3, 5.1, 5.25];
    let d = convergence(&arms(&none, &[0.0; 4]));
    assert_eq!(
        d.to_string(),
        "tcpr against none, convergence_s: 5.21 s earlier [5.10, 5.30]; a run of tcpr is below \
         every run of none"
    );
    let d = convergence(&arms(&[0.0; 4], &none));
    assert!(d.to_string().contains("5.21 s later [5.10, 5.30]"), "{d}");
    assert!(d.to_string().ends_with("above every run of none"), "{d}");
    let d = convergence(&arms(&[3.0; 4], &[3.0; 4]));
    assert!(
        d.to_string()
            .ends_with("equal; a run of tcpr is as every run of none"),
        "{d}"
    );
    let d = convergence(&arms(&[1.0, 2.0, 3.0, 4.0], &[1.5, 2.5, 3.5, 0.5]));
    assert!(d.to_string().contains("perhaps 0.50 s earlier [-"), "{d}");
    assert!(d.overlap().ends_with("one of none in 62 % of cases"), "{d}");
}

#[test]
fn p_values_are_adjusted_within_a_scenario_for_what_could_be_tested() {
    let none = [5.2, 5.3, 5.1, 5.25];
    let mut found = between_arms(&arms(&none, &[0.0, 0.1, 0.2, 0.3]));
    // Of ten metrics eight are the same in all runs or were not measured; the probe's are absent.
    assert_eq!(found.len(), 8);
    assert!(found.iter().all(|d| d.tests.comparisons == 1));
    found.retain(|d| d.tests.mann_whitney_p.is_some());
    assert_eq!(found.len(), 1);
    // Two of the 70 ways to choose four of eight.
    let p = found[0].tests.mann_whitney_p.unwrap();
    assert!((p - 2.0 / 70.0).abs() < 1e-12, "{p}");
    assert_eq!(found[0].tests.mann_whitney_p_holm, Some(p));
}

#[test]
fn an_arm_without_a_valid_run_is_compared_with_none() {
    assert_eq!(between_arms(&arms(&[1.0, 2.0], &[])), []);
    let mut runs = vec![
        run(Strategy::None, 0, 0, 1.0),
        run(Strategy::Tcpr, 0, 0, 1.0),
    ];
    runs[1].valid = false;
    assert_eq!(between_arms(&group(&runs)), []);
    runs[1].valid = true;
    let one = convergence(&group(&runs));
    assert_eq!((one.difference, one.ci95, one.is_open()), (0.0, None, None));
}
