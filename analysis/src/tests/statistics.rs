//! Statistics against values computed by hand, and by NumPy and SciPy 1.17.

use crate::statistics::{difference_ci95, dkw_half_width, mean_ci95, quantile, student, summarize};

/// Two samples of a few runs that overlap, sorted.
pub(super) const FEW: [f64; 7] = [4.31, 4.44, 4.65, 4.83, 4.92, 5.11, 5.30];
pub(super) const MORE: [f64; 8] = [4.98, 5.02, 5.13, 5.27, 5.41, 5.55, 5.62, 5.81];

/// The ends of an interval, to so much.
fn near(interval: Option<(f64, f64)>, expected: (f64, f64), within: f64) {
    let (low, high) = interval.unwrap();
    assert!((low - expected.0).abs() < within, "{low} {}", expected.0);
    assert!((high - expected.1).abs() < within, "{high} {}", expected.1);
}

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
    // 0, 1, ..., 99: mean 49.5, standard deviation 29.011; standard error 2.9011; 1.984 of those,
    // Student's quantile, to either side.
    let values: Vec<f64> = (0..100).map(f64::from).collect();
    let figures = summarize(&values).figures.unwrap();
    let (low, high) = figures.ci95.unwrap();
    assert_eq!(figures.mean, 49.5);
    assert!((low - 43.744).abs() < 0.15, "{low}");
    assert!((high - 55.256).abs() < 0.15, "{high}");
    assert!((figures.p90 - 89.1).abs() < 1e-12);
}

#[test]
fn the_same_runs_in_another_order_give_the_same_interval() {
    let values = [5.0, 4.1, 4.6, 5.3, 4.4];
    let mut turned = values;
    turned.reverse();
    assert_eq!(summarize(&values), summarize(&turned));
}

#[test]
fn an_interval_of_few_runs_is_about_as_wide_as_students() {
    // NumPy, 400,000 resamples; Student's own is 4.466 to 5.122, and the plain percentile interval
    // of 95 % 4.553 to 5.034.
    near(mean_ci95(&FEW), (4.4771, 5.1114), 0.02);
}

#[test]
fn the_interval_of_a_difference_is_about_as_wide_as_welchs() {
    // NumPy, 400,000 resamples; Welch's own is -0.927 to -0.182.
    near(difference_ci95(&FEW, &MORE), (-0.9236, -0.1861), 0.025);
    near(difference_ci95(&MORE, &FEW), (0.1861, 0.9236), 0.025);
    assert_eq!(difference_ci95(&FEW, &[5.0]), None);
    assert_eq!(difference_ci95(&[3.0; 4], &[1.0; 9]), Some((2.0, 2.0)));
}

#[test]
fn students_quantiles_are_scipys() {
    for (freedom, quantile) in [
        (2.0, 4.302652729749462),
        (4.0, 2.7764451051977934),
        (9.0, 2.262157162798205),
        (11.3, 2.1938768963391624),
        (29.0, 2.045229642132703),
    ] {
        let ours = student(freedom);
        assert!((ours - quantile).abs() < 1e-8, "{freedom}: {ours}");
    }
    assert!((student(1e9) - 1.959963984540054).abs() < 1e-8);
}

#[test]
fn the_band_is_that_of_massart() {
    // sqrt(ln 40 / 2 n).
    assert!((dkw_half_width(100).unwrap() - 0.135_810_151_574).abs() < 1e-12);
    assert!((dkw_half_width(3).unwrap() - 0.784_100_275_700).abs() < 1e-12);
    assert_eq!(dkw_half_width(1), None, "wider than everything");
    assert_eq!(dkw_half_width(0), None);
}
