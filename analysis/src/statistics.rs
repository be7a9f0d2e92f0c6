//! Means, intervals and quantiles over the runs of one arm.
//!
//! *Assumes* one value per run: the mean over the routers of that run. Routers of one run are
//! not independent of one another; runs are. *Guarantees* that equal values give equal
//! statistics, on any machine and in any order of arms and metrics: the bootstrap's generator is
//! seeded anew, with a constant, for each sample.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Resamples of the bootstrap.
pub const RESAMPLES: usize = 10_000;

/// Seed of the bootstrap's generator.
const SEED: u64 = 2014;

/// Statistics of one metric over the valid runs of one arm, in the metric's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Number of runs.
    pub n: usize,
    /// What can be said of them; none without a run.
    pub figures: Option<Figures>,
}

/// What can be said of one run or more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Arithmetic mean.
    pub mean: f64,
    /// 95 % confidence interval of the mean; none for a single run.
    pub ci95: Option<(f64, f64)>,
    /// Median.
    pub median: f64,
    /// 90th percentile.
    pub p90: f64,
    /// Largest value.
    pub max: f64,
}

/// Statistics of a sample with one value per run.
#[must_use]
pub fn summarize(values: &[f64]) -> Summary {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let figures = sorted.last().map(|&max| Figures {
        mean: mean(&sorted),
        ci95: bootstrap_ci95(&sorted),
        median: quantile(&sorted, 0.5),
        p90: quantile(&sorted, 0.9),
        max,
    });
    Summary {
        n: values.len(),
        figures,
    }
}

/// Arithmetic mean of at least one value.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The `p`-quantile of at least one value, sorted: linear interpolation between the order
/// statistics around `1 + p (n - 1)` (Hyndman and Fan 1996, definition 7; what R and NumPy do).
#[must_use]
pub fn quantile(sorted: &[f64], p: f64) -> f64 {
    let h = p * (sorted.len() - 1) as f64;
    let low = h.floor() as usize;
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + (h - h.floor()) * (sorted[high] - sorted[low])
}

/// The percentile bootstrap (Efron and Tibshirani 1993, section 13.3): means of resamples drawn
/// with replacement, between their 2.5 % and 97.5 % quantiles. None for fewer than two values,
/// which tell nothing of the spread.
fn bootstrap_ci95(sorted: &[f64]) -> Option<(f64, f64)> {
    if sorted.len() < 2 {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let n = sorted.len();
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| (0..n).map(|_| sorted[rng.random_range(0..n)]).sum::<f64>() / n as f64)
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    Some((quantile(&means, 0.025), quantile(&means, 0.975)))
}
