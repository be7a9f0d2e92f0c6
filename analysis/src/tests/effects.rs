//! Effects and tests against SciPy 1.17, and against what can be counted by hand.

use super::statistics::{FEW, MORE};
use crate::effects::{LEAST_P, dominance, holm, kolmogorov_smirnov, mann_whitney};

const TIED: [f64; 12] = [0.0, 0.0, 0.0, 1.0, 2.0, 2.0, 3.0, 5.0, 8.0, 9.0, 9.0, 12.0];
const TIED_TOO: [f64; 13] = [
    0.0, 2.0, 2.0, 4.0, 6.0, 9.0, 10.0, 12.0, 14.0, 15.0, 15.0, 21.0, 22.0,
];

fn counted(n: u32, from: f64) -> Vec<f64> {
    (0..n).map(|i| f64::from(i) + from).collect()
}

fn is(ours: Option<f64>, scipys: f64) {
    let ours = ours.unwrap();
    assert!((ours / scipys - 1.0).abs() < 1e-8, "{ours} {scipys}");
}

#[test]
fn mann_whitney_is_exact_without_ties_and_whichever_comes_first() {
    is(mann_whitney(&FEW, &MORE), 0.009324009324009324);
    is(mann_whitney(&MORE, &FEW), 0.009324009324009324);
    // Two of the 252 ways to choose five of ten.
    is(
        mann_whitney(&counted(5, 0.0), &counted(5, 9.0)),
        2.0 / 252.0,
    );
    is(
        mann_whitney(&counted(50, 0.0), &counted(50, 7.5)),
        0.016450137297189936,
    );
}

#[test]
fn mann_whitney_is_corrected_for_ties_and_normal_for_many() {
    is(mann_whitney(&TIED, &TIED_TOO), 0.02682826720036088);
    is(
        mann_whitney(&counted(60, 0.0), &counted(60, 7.5)),
        0.02694585619564296,
    );
}

#[test]
fn many_runs_against_few_take_no_time() {
    // C(1008, 8) choices, were they gone through.
    is(
        mann_whitney(&counted(1000, 100.0), &counted(8, 0.0)),
        1.07999932460486e-06,
    );
}

#[test]
fn kolmogorov_smirnov_is_exact_and_for_very_many_asymptotic() {
    is(kolmogorov_smirnov(&FEW, &MORE), 0.03263403263403263);
    is(kolmogorov_smirnov(&TIED, &TIED_TOO), 0.09132973097705904);
    is(
        kolmogorov_smirnov(&counted(60, 0.0), &counted(60, 7.5)),
        0.6647505590510205,
    );
    is(
        kolmogorov_smirnov(&counted(600, 0.0), &counted(600, 60.5)),
        0.004052102104280473,
    );
}

#[test]
fn where_there_is_nothing_to_tell_apart_there_is_no_p_value() {
    assert_eq!(mann_whitney(&[0.0; 5], &[0.0; 7]), None);
    assert_eq!(kolmogorov_smirnov(&[0.0; 5], &[0.0; 7]), None);
    assert_eq!(mann_whitney(&[], &[1.0]), None);
    assert_eq!(kolmogorov_smirnov(&[1.0], &[]), None);
}

#[test]
fn no_p_value_is_zero() {
    let (low, high) = (counted(100, 0.0), counted(100, 200.0));
    assert_eq!(mann_whitney(&low, &high), Some(LEAST_P));
    assert_eq!(kolmogorov_smirnov(&low, &high), Some(LEAST_P));
}

#[test]
fn cliffs_delta_and_its_interval_are_those_of_newcombe() {
    // SciPy's brentq on the same equation.
    for (a, b, delta, low, high) in [
        (
            &FEW[..],
            &MORE[..],
            -0.7857142857142857,
            -0.9524257400391524,
            -0.19443701254916335,
        ),
        (
            &TIED,
            &TIED_TOO,
            -0.5256410256410257,
            -0.7897190834218324,
            -0.06483568950239939,
        ),
    ] {
        let ours = dominance(a, b).unwrap();
        assert!((ours.delta - delta).abs() < 1e-12);
        assert!((ours.ci95.0 - low).abs() < 1e-9, "{ours:?}");
        assert!((ours.ci95.1 - high).abs() < 1e-9, "{ours:?}");
        let turned = dominance(b, a).unwrap();
        assert!((turned.delta + delta).abs() < 1e-12);
        assert!((turned.ci95.1 + low).abs() < 1e-9, "{turned:?}");
    }
}

#[test]
fn samples_apart_have_an_interval_that_is_no_point() {
    let apart = dominance(&counted(10, 20.0), &counted(10, 0.0)).unwrap();
    assert_eq!((apart.delta, apart.ci95.1), (1.0, 1.0));
    assert!((apart.ci95.0 - 0.6004272257622119).abs() < 1e-9);
    let equal = dominance(&[0.0; 3], &[0.0; 3]).unwrap();
    assert_eq!(equal.delta, 0.0);
    assert_eq!(dominance(&[], &[1.0]), None);
}

#[test]
fn holm_multiplies_the_least_by_all_and_never_falls() {
    // By hand: 0.005 x 4; 0.01 x 3; 0.03 x 2; 0.04 x 1 is below the one before.
    let p = [Some(0.01), Some(0.04), None, Some(0.03), Some(0.005)];
    let adjusted = holm(&p);
    let expected = [Some(0.03), Some(0.06), None, Some(0.06), Some(0.02)];
    for (ours, expected) in adjusted.iter().zip(expected) {
        match (ours, expected) {
            (Some(a), Some(b)) => assert!((a - b).abs() < 1e-12, "{a} {b}"),
            other => assert_eq!(other, (&None, None)),
        }
    }
    assert_eq!(holm(&[Some(0.7), Some(0.8)]), [Some(1.0), Some(1.0)]);
}
