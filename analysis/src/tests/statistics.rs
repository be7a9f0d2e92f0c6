//! Statistics against values computed by hand.

use crate::statistics::{quantile, summarize};

#[test]
fn quantiles_interpolate_between_the_order_statistics() {
    let values = [1.0, 2.0, 4.0, 8.0, 16.0];
    assert_eq!(quantile(&values, 0.5), 4.0);
    // 1 + 0.9 * 4 = 4.6: six tenths of the way from the fourth to the fifth.
    assert!((quantile(&values, 0.9) - 12.8).abs() < 1e-12);
    assert_eq!(quantile(&values, 0.0), 1.0);
    assert_eq!(quantile(&values, 1.0), 16.0);
    assert_eq!(quantile(&[3.0], 0.9), 3.0);
}

#[test]
fn nothing_is_said_of_no_run_and_no_interval_of_one() {
    assert_eq!(summarize(&[]).figures, None);
    let one = summarize(&[2.5]).figures.unwrap();
    assert_eq!((one.mean, one.ci95, one.p90), (2.5, None, 2.5));
}

#[test]
fn the_interval_of_equal_values_is_that_value() {
    let figures = summarize(&[4.0; 20]).figures.unwrap();
    assert_eq!(figures.ci95, Some((4.0, 4.0)));
}

#[test]
fn the_interval_is_that_of_the_normal_distribution_for_many_values() {
    // 0, 1, ..., 99: mean 49.5, standard deviation 28.866 with the divisor n, which is what
    // resampling has; standard error 2.8866; 1.96 of those to either side.
    let values: Vec<f64> = (0..100).map(f64::from).collect();
    let figures = summarize(&values).figures.unwrap();
    let (low, high) = figures.ci95.unwrap();
    assert_eq!(figures.mean, 49.5);
    assert!((low - 43.84).abs() < 0.25, "{low}");
    assert!((high - 55.16).abs() < 0.25, "{high}");
    assert!((figures.p90 - 89.1).abs() < 1e-12);
}

#[test]
fn the_same_runs_in_another_order_give_the_same_interval() {
    let values = [5.0, 4.1, 4.6, 5.3, 4.4];
    let mut turned = values;
    turned.reverse();
    assert_eq!(summarize(&values), summarize(&turned));
}
