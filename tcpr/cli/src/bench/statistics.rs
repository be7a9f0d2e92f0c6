//! What a sample looks like.
//!
//! *Assumes* a sample that is held whole, in the unit that its user names.
//! *Guarantees* no figure for an empty sample; percentiles that are interpolated between the two
//! nearest ranks, and the standard deviation of a sample (divided by one less than its size).

use anyhow::ensure;
use serde::Serialize;

/// A sample in five figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) mean: f64,
    pub(super) stddev: f64,
}

impl Spread {
    /// Of these values; `what` they are is told if there are none.
    pub(super) fn of(what: &str, values: impl IntoIterator<Item = f64>) -> anyhow::Result<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        ensure!(!values.is_empty(), "nothing was measured of {what}");
        ensure!(
            values.iter().all(|value| value.is_finite()),
            "what was measured of {what} is no number"
        );
        values.sort_by(f64::total_cmp);
        let size = values.len() as f64;
        let mean = values.iter().sum::<f64>() / size;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let stddev = if values.len() > 1 {
            (squares / (size - 1.0)).sqrt()
        } else {
            0.0
        };
        Ok(Spread {
            p50: percentile(&values, 0.50),
            p90: percentile(&values, 0.90),
            p99: percentile(&values, 0.99),
            mean,
            stddev,
        })
    }
}

/// Of sorted values, at least one.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = share * (sorted.len() - 1) as f64;
    let below = sorted[rank.floor() as usize];
    let above = sorted[rank.ceil() as usize];
    below + (above - below) * rank.fract()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Spread;

    #[test]
    fn percentiles_lie_between_the_nearest_ranks() {
        let spread = Spread::of("it", (0..=100).rev().map(f64::from)).unwrap();
        assert_eq!((spread.p50, spread.p90, spread.p99), (50.0, 90.0, 99.0));
        let spread = Spread::of("it", [1.0, 2.0]).unwrap();
        assert_eq!((spread.p50, spread.p90), (1.5, 1.9));
    }

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        let spread = Spread::of("it", [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!(spread.mean, 5.0);
        assert!((spread.stddev - (32.0_f64 / 7.0).sqrt()).abs() < 1e-12);
        assert_eq!(Spread::of("it", [3.0]).unwrap().stddev, 0.0);
    }

    #[test]
    fn nothing_has_no_figures() {
        let error = Spread::of("connects", []).unwrap_err();
        assert!(error.to_string().contains("connects"));
        assert!(Spread::of("it", [f64::NAN]).is_err());
    }
}
