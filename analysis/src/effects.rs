//! How far two samples lie apart, and whether chance alone would put them there.
//!
//! *Assumes* sorted samples, one value per run, whose runs are independent of one another; those of
//! equal draws in two arms need not be (docs/statistics.md says what that does). *Guarantees* that a
//! test which has nothing to tell apart gives no p-value instead of 1, and that no p-value is below
//! what double precision resolves.

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::stats_tests::ks_test::{KSTwoSampleAlternativeMethod, ks_twosample};
use statrs::stats_tests::mannwhitneyu::{MannWhitneyUMethod, mannwhitneyu};
use statrs::stats_tests::{Alternative, NaNPolicy};

use crate::statistics::ALPHA;

/// No p-value is given below this: what is smaller is lost in 1 - p.
pub const LEAST_P: f64 = 1e-12;

/// Up to so many values in each sample, without ties, Mann and Whitney's p-value is exact.
const EXACT: usize = 50;
/// Up to so many values in both, Kolmogorov and Smirnov's is: more paths than a float can count.
const EXACT_PATHS: usize = 1000;

/// Cliff's delta with its interval: the share of pairs (a value of `a`, a value of `b`) in which
/// that of `a` is greater, less the share in which it is smaller.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dominance {
    /// From -1, every value of `a` below every value of `b`, to 1.
    pub delta: f64,
    /// 95 % confidence interval.
    pub ci95: (f64, f64),
}

/// Cliff's delta (Cliff 1993) of two samples that have values. It is twice the probability of
/// superiority A (Vargha and Delaney 2000) less 1, and has that one's interval by method 5 of
/// Newcombe (2006), which does not shrink to a point where the samples do not overlap.
#[must_use]
pub fn dominance(a: &[f64], b: &[f64]) -> Option<Dominance> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    // Halves, so that ties count in whole numbers.
    let halves: usize = a
        .iter()
        .map(|v| b.partition_point(|w| w < v) + b.partition_point(|w| w <= v))
        .sum();
    let superiority = halves as f64 / (2 * a.len() * b.len()) as f64;
    let (low, high) = superiority_ci95(superiority, a.len() as f64, b.len() as f64);
    let delta = |s: f64| 2.0 * s - 1.0;
    Some(Dominance {
        delta: delta(superiority),
        ci95: (delta(low), delta(high)),
    })
}

/// The values t with (s - t)^2 <= z^2 V(t), where V is Hanley and McNeil's (1982) variance of the
/// statistic with both sample sizes in its sum replaced by their mean.
fn superiority_ci95(s: f64, m: f64, n: f64) -> (f64, f64) {
    let z = Normal::standard().inverse_cdf(1.0 - ALPHA / 2.0);
    let mean = f64::midpoint(m, n) - 1.0;
    let inside = |t: f64| {
        let spread = 1.0 + mean * (1.0 - t) / (2.0 - t) + mean * t / (1.0 + t);
        (s - t).powi(2) <= z * z * t * (1.0 - t) * spread / (m * n)
    };
    // Halving: `at` is inside and `end` is not, or is the end of what is possible. Just beside 0 and
    // 1, where the variance vanishes, the estimate itself is inside.
    let border = |mut at: f64, mut end: f64| {
        if at == end {
            return end;
        }
        for _ in 0..60 {
            let middle = f64::midpoint(at, end);
            if inside(middle) {
                at = middle;
            } else {
                end = middle;
            }
        }
        f64::midpoint(at, end)
    };
    let beside = s.clamp(1e-9, 1.0 - 1e-9);
    let low = if s == 0.0 { 0.0 } else { border(beside, 0.0) };
    let high = if s == 1.0 { 1.0 } else { border(beside, 1.0) };
    (low, high)
}

/// The two-sided p-value of the test of Mann and Whitney (1947): exact for up to 50 values each
/// without ties, otherwise by the normal distribution, with the variance corrected for ties and
/// for continuity. None if a sample is empty, or all values are equal.
#[must_use]
pub fn mann_whitney(a: &[f64], b: &[f64]) -> Option<f64> {
    if nothing_to_tell_apart(a, b) {
        return None;
    }
    let mut all = [a, b].concat();
    all.sort_unstable_by(f64::total_cmp);
    let tied = all.windows(2).any(|w| w[0] == w[1]);
    let p = if !tied && a.len().max(b.len()) <= EXACT {
        // statrs goes through every choice of ranks, which takes for ever from some 30 values on.
        exact_mann_whitney(a, b)
    } else {
        let method = MannWhitneyUMethod::AsymptoticInclContinuityCorrection;
        mannwhitneyu(a, b, method, Alternative::TwoSided).ok()?.1
    };
    Some(p.clamp(LEAST_P, 1.0))
}

/// Twice the share of the ways to rank `a` among `b` whose U is as far out as the one seen.
fn exact_mann_whitney(a: &[f64], b: &[f64]) -> f64 {
    let below: usize = a.iter().map(|v| b.partition_point(|w| w < v)).sum();
    let (m, n) = (a.len(), b.len());
    let u = below.min(m * n - below);
    // The number of ways for each U is the coefficient of the Gaussian binomial: the product over
    // i = 1..m of (1 - q^(n + i)) / (1 - q^i). Only what a power has below it enters it.
    let mut ways = vec![0.0; m * n + 1];
    ways[0] = 1.0;
    for i in 1..=m {
        for power in (n + i..ways.len()).rev() {
            ways[power] -= ways[power - n - i];
        }
        for power in i..ways.len() {
            ways[power] += ways[power - i];
        }
    }
    let all: f64 = (1..=m).map(|i| (n + i) as f64 / i as f64).product();
    2.0 * ways[..=u].iter().sum::<f64>() / all
}

/// The two-sided p-value of the test of Kolmogorov and Smirnov for two samples: exact for up to
/// 1,000 values, by Kolmogorov's distribution above. None if a sample is empty, or all values are
/// equal. With ties it is too large rather than too small.
#[must_use]
pub fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> Option<f64> {
    if nothing_to_tell_apart(a, b) {
        return None;
    }
    let method = if a.len() + b.len() <= EXACT_PATHS {
        KSTwoSampleAlternativeMethod::TwoSidedExact
    } else {
        KSTwoSampleAlternativeMethod::TwoSidedAsymptotic
    };
    let (_, p) = ks_twosample(a.to_vec(), b.to_vec(), method, NaNPolicy::Error).ok()?;
    Some(p.clamp(LEAST_P, 1.0))
}

fn nothing_to_tell_apart(a: &[f64], b: &[f64]) -> bool {
    let (Some(first), Some(_)) = (a.first(), b.first()) else {
        return true;
    };
    a.iter().chain(b).all(|v| v == first)
}

/// Adjusts p-values for their number (Holm 1979): the chance that any of them is below 5 % by
/// accident is then below 5 %, however they depend on one another. Where there is none, none.
#[must_use]
pub fn holm(p: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut order: Vec<usize> = (0..p.len()).filter(|&i| p[i].is_some()).collect();
    order.sort_by(|&i, &j| p[i].partial_cmp(&p[j]).unwrap_or(std::cmp::Ordering::Equal));
    let mut adjusted = vec![None; p.len()];
    let mut least = 0.0f64;
    for (rank, &i) in order.iter().enumerate() {
        let times = (order.len() - rank) as f64;
        least = least.max((p[i].unwrap_or(1.0) * times).min(1.0));
        adjusted[i] = Some(least);
    }
    adjusted
}
