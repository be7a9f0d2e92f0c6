//! Means, intervals, bands and quantiles over the runs of one arm, or of two.
//!
//! *Assumes* one value per run: the mean over the routers of that run. Routers of one run are
//! not independent of one another; runs are. *Guarantees* that equal values give equal
//! statistics, in any order of arms and metrics: the bootstrap's generator is seeded anew, with a
//! constant, for each sample; and on any machine, up to how its libm rounds the last digit.
//! docs/statistics.md has each estimator, what it assumes, and its source.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Resamples of the bootstrap.
pub const RESAMPLES: usize = 10_000;

/// Seed of the bootstrap's generator.
const SEED: u64 = 2014;

/// What an interval or a band misses, in both directions together.
pub const ALPHA: f64 = 0.05;

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
        ci95: mean_ci95(&sorted),
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

/// Variance of at least two values, with the divisor `n - 1`.
#[must_use]
pub fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    squares / (values.len() - 1) as f64
}

/// Half the width of the 95 % confidence band of a distribution function over `n` independent
/// values: the inequality of Dvoretzky, Kiefer and Wolfowitz (1956) with the constant of Massart
/// (1990), `sqrt(ln(2 / 0.05) / (2 n))`. None where the band would say nothing.
#[must_use]
pub fn dkw_half_width(n: usize) -> Option<f64> {
    let half = ((2.0 / ALPHA).ln() / (2.0 * n as f64)).sqrt();
    (half < 1.0).then_some(half)
}

/// The 97.5 % quantile of Student's distribution.
#[must_use]
pub(crate) fn student(degrees_of_freedom: f64) -> f64 {
    // Beyond this the two differ by less than a bootstrap can tell.
    if degrees_of_freedom > 1e5 {
        return Normal::standard().inverse_cdf(1.0 - ALPHA / 2.0);
    }
    StudentsT::new(0.0, 1.0, degrees_of_freedom)
        .map_or(f64::INFINITY, |t| t.inverse_cdf(1.0 - ALPHA / 2.0))
}

/// The 95 % confidence interval of the mean of sorted values. None for fewer than two, which tell
/// nothing of the spread.
#[must_use]
pub fn mean_ci95(sorted: &[f64]) -> Option<(f64, f64)> {
    ci95_of_means(&[sorted])
}

/// The 95 % confidence interval of the difference of two means, `a` less `b`, of independent and
/// sorted samples. None if one has fewer than two values.
#[must_use]
pub fn difference_ci95(a: &[f64], b: &[f64]) -> Option<(f64, f64)> {
    ci95_of_means(&[a, b])
}

/// The expanded percentile bootstrap (Hesterberg 2015) of the mean of the first
/// sample, less that of a second if there is one. Each is resampled with replacement; the interval
/// lies between those quantiles of the resamples' results at which it would be Student's (of two
/// samples Welch's), were the values normal. The plain percentile interval is too narrow with few
/// values: it has the normal distribution's quantiles and the divisor `n`.
fn ci95_of_means(samples: &[&[f64]]) -> Option<(f64, f64)> {
    if samples.iter().any(|s| s.len() < 2) {
        return None;
    }
    let result = |means: &mut dyn Iterator<Item = f64>| {
        means.next().unwrap_or(0.0) - means.next().unwrap_or(0.0)
    };
    // Of each mean: its variance, and that which its resamples have.
    let parts: Vec<(f64, f64)> = samples
        .iter()
        .map(|s| (variance(s) / s.len() as f64, s.len() as f64))
        .collect();
    let total: f64 = parts.iter().map(|(v, _)| v).sum();
    if samples.iter().all(|s| s.iter().all(|v| *v == s[0])) {
        let difference = result(&mut samples.iter().map(|s| s[0]));
        return Some((difference, difference));
    }
    let resampled: f64 = parts.iter().map(|(v, n)| v * (n - 1.0) / n).sum();
    // Welch and Satterthwaite; for one sample it is n - 1.
    let freedom = total.powi(2)
        / parts
            .iter()
            .map(|(v, n)| v.powi(2) / (n - 1.0))
            .sum::<f64>();
    let level = Normal::standard().cdf(-student(freedom) * (total / resampled).sqrt());
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut results: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            result(&mut samples.iter().map(|s| {
                let drawn = (0..s.len()).map(|_| s[rng.random_range(0..s.len())]);
                drawn.sum::<f64>() / s.len() as f64
            }))
        })
        .collect();
    results.sort_unstable_by(f64::total_cmp);
    Some((quantile(&results, level), quantile(&results, 1.0 - level)))
}
