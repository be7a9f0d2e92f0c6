//! What lies between two arms: for each metric the difference of their means with its interval,
//! how far their runs overlap, and whether chance alone would do it.
//!
//! *Assumes* arms of one experiment, so that nothing but the strategy (of two campaigns: what they
//! were made with) is different. *Guarantees* that runs of equal draws are compared with each other
//! where there are enough of them, and that it is said whether they were; that every p-value stands
//! beside the one adjusted for the number of comparisons; and that arms without runs have none.

use std::collections::HashMap;
use std::fmt;

use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};
use topologies::Cell;

use crate::arms::{Arm, Draw, Metric, Sample};
use crate::effects::{Dominance, dominance, holm, kolmogorov_smirnov, mann_whitney};
use crate::statistics::{difference_ci95, mean, mean_ci95};

/// What lies between two arms in one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Name of the scenario.
    pub scenario: String,
    /// The cell of its matrix; of two campaigns, of the first one's.
    pub cell: Cell,
    /// What was measured.
    pub metric: Metric,
    /// The arm that is compared: its strategy, or the campaign.
    pub of: String,
    /// The arm that it is compared with.
    pub against: String,
    /// Number of runs of either.
    pub runs: (usize, usize),
    /// Number of pairs of runs of equal draws, if the difference is that of pairs.
    pub pairs: Option<usize>,
    /// Mean of `of` less mean of `against`; of pairs, the mean of their differences.
    pub difference: f64,
    /// Its 95 % confidence interval; none for a single run.
    pub ci95: Option<(f64, f64)>,
    /// How often a run of `of` lies above one of `against`.
    pub dominance: Dominance,
    /// Whether chance alone would do it.
    pub tests: Tests,
}

/// The p-values of a difference; none where all runs of both arms have one value.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tests {
    /// Mann and Whitney's: does one arm lie above the other?
    pub mann_whitney_p: Option<f64>,
    /// The same, adjusted for the number of comparisons.
    pub mann_whitney_p_holm: Option<f64>,
    /// Kolmogorov and Smirnov's: do the distributions differ in any way?
    pub ks_p: Option<f64>,
    /// The same, adjusted for the number of comparisons.
    pub ks_p_holm: Option<f64>,
    /// Number of comparisons that the p-values are adjusted for.
    pub comparisons: usize,
}

/// Two arms that are compared, and how they are called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comparison<'a> {
    pub(crate) of: (&'a str, &'a Arm),
    pub(crate) against: (&'a str, &'a Arm),
}

/// Compares every arm with every one before it in its cell, in each metric that both have. What
/// stands under one scenario is one family of comparisons.
#[must_use]
pub fn between_arms(arms: &[Arm]) -> Vec<Difference> {
    let experiments = arms.chunk_by(|a, b| a.scenario == b.scenario);
    experiments.flat_map(between_arms_of_one).collect()
}

fn between_arms_of_one(arms: &[Arm]) -> Vec<Difference> {
    let names: Vec<String> = arms.iter().map(|a| a.strategy.to_string()).collect();
    let mut compared = Vec::new();
    for against in 0..arms.len() {
        let same_cell = |of: &usize| arms[*of].cell == arms[against].cell;
        for of in (against + 1..arms.len()).filter(same_cell) {
            compared.push(Comparison {
                of: (&names[of], &arms[of]),
                against: (&names[against], &arms[against]),
            });
        }
    }
    family(&compared, &Metric::ALL)
}

/// The differences of all these comparisons, their p-values adjusted for one another.
fn family(compared: &[Comparison<'_>], metrics: &[Metric]) -> Vec<Difference> {
    families(compared, metrics).concat()
}

/// The same, by comparison.
pub(crate) fn families(compared: &[Comparison<'_>], metrics: &[Metric]) -> Vec<Vec<Difference>> {
    let mut found: Vec<Vec<Difference>> = compared
        .par_iter()
        .map(|c| {
            let each = metrics.par_iter().filter_map(|m| c.difference(*m));
            each.collect()
        })
        .collect();
    let of = |p: fn(&Tests) -> Option<f64>| -> Vec<Option<f64>> {
        found.iter().flatten().map(|d| p(&d.tests)).collect()
    };
    let all = of(|t| t.mann_whitney_p);
    let adjusted = holm(&all).into_iter().zip(holm(&of(|t| t.ks_p)));
    let comparisons = all.iter().flatten().count();
    for (difference, (mann_whitney, ks)) in found.iter_mut().flatten().zip(adjusted) {
        difference.tests.mann_whitney_p_holm = mann_whitney;
        difference.tests.ks_p_holm = ks;
        difference.tests.comparisons = comparisons;
    }
    found
}

impl Comparison<'_> {
    /// None if one of the arms has no value of the metric.
    fn difference(&self, metric: Metric) -> Option<Difference> {
        let (of, against) = (self.of.1.sample(metric), self.against.1.sample(metric));
        let dominance = dominance(&of.values, &against.values)?;
        let pairs = paired(of, against);
        let (difference, ci95) = match &pairs {
            Some(differences) => (mean(differences), mean_ci95(differences)),
            None => (
                mean(&of.values) - mean(&against.values),
                difference_ci95(&of.values, &against.values),
            ),
        };
        Some(Difference {
            scenario: self.of.1.scenario.clone(),
            cell: self.against.1.cell.clone(),
            metric,
            of: self.of.0.to_owned(),
            against: self.against.0.to_owned(),
            runs: (of.values.len(), against.values.len()),
            pairs: pairs.map(|p| p.len()),
            difference,
            ci95,
            dominance,
            tests: Tests {
                mann_whitney_p: mann_whitney(&of.values, &against.values),
                ks_p: kolmogorov_smirnov(&of.values, &against.values),
                ..Tests::default()
            },
        })
    }
}

/// The differences of the runs that have a partner of equal draw, sorted. None if more than half of
/// either arm's runs would be left out for want of one, or there are fewer than two pairs.
fn paired(of: &Sample, against: &Sample) -> Option<Vec<f64>> {
    let partners: HashMap<Draw, f64> = against
        .draws
        .iter()
        .copied()
        .zip(against.values.iter().copied())
        .collect();
    let runs = of.draws.iter().zip(&of.values);
    let mut differences: Vec<f64> = runs
        .filter_map(|(draw, value)| Some(value - partners.get(draw)?))
        .collect();
    differences.sort_unstable_by(f64::total_cmp);
    let enough = 2 * differences.len() >= of.values.len().max(against.values.len());
    (enough && differences.len() >= 2).then_some(differences)
}

impl Difference {
    /// The arm that is compared, with its cell.
    #[must_use]
    pub fn arm(&self) -> String {
        match self.cell.is_empty() {
            true => self.of.clone(),
            false => format!("{}, {}", self.of, self.cell),
        }
    }

    /// How the difference was estimated, as in `differences.csv`.
    #[must_use]
    pub fn estimate(&self) -> &'static str {
        match self.pairs {
            Some(_) => "paired",
            None => "unpaired",
        }
    }

    /// Whether the interval holds zero, so that neither arm was shown to lie above the other. None
    /// without an interval.
    #[must_use]
    pub fn is_open(&self) -> Option<bool> {
        self.ci95.map(|(low, high)| low <= 0.0 && high >= 0.0)
    }

    /// The size of the difference, its direction as a word, and its interval: `5.26 s earlier
    /// [5.25, 5.27]`; with `perhaps` before it if it may as well be none.
    #[must_use]
    pub fn in_words(&self) -> String {
        let largest = self.ci95.map_or(self.difference.abs(), |(low, high)| {
            low.abs().max(high.abs())
        });
        let digits = if largest < 100.0 { 2 } else { 1 };
        // Adding 0 makes -0 into 0.
        let rounded = |v: f64| format!("{:.digits$}", v + 0.0);
        let (less, more, unit) = self.metric.comparatives();
        if self.difference == 0.0 && self.ci95.is_none_or(|c| c == (0.0, 0.0)) {
            return "equal".to_owned();
        }
        let (word, sign) = match self.difference < 0.0 {
            true => (less, -1.0),
            false => (more, 1.0),
        };
        let size = rounded(sign * self.difference);
        let space = if unit.is_empty() { "" } else { " " };
        match self.ci95 {
            None => format!("{size}{space}{unit} {word}"),
            Some((low, high)) => {
                let (a, b) = (sign * low, sign * high);
                let (low, high) = (rounded(a.min(b)), rounded(a.max(b)));
                let perhaps = if self.is_open() == Some(true) {
                    "perhaps "
                } else {
                    ""
                };
                format!("{perhaps}{size}{space}{unit} {word} [{low}, {high}]")
            }
        }
    }

    /// Where a run of `of` lies among those of `against`: what follows on "a run of tcpr is".
    #[must_use]
    pub fn overlap(&self) -> String {
        let against = &self.against;
        let delta = self.dominance.delta;
        let side = if delta < 0.0 { "below" } else { "above" };
        if self.tests.mann_whitney_p.is_none() {
            return format!("as every run of {against}");
        }
        if delta.abs() == 1.0 {
            return format!("{side} every run of {against}");
        }
        if delta == 0.0 {
            return format!("as often above as below one of {against}");
        }
        // Of ties a half is on either side; and what is not always so is not 100 %.
        let share = (f64::midpoint(delta.abs(), 1.0) * 100.0).clamp(51.0, 99.0);
        format!("{side} one of {against} in {share:.0} % of cases")
    }

    /// Whether chance alone would do it, as a reader in a hurry wants it: the adjusted p-value of
    /// Mann and Whitney's test.
    #[must_use]
    pub fn chance(&self) -> String {
        match self.tests.mann_whitney_p_holm {
            None => "-".to_owned(),
            Some(p) if p < 0.001 => "< 0.001".to_owned(),
            Some(p) => format!("{p:.3}"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, against, .. } = self;
        let (difference, overlap) = (self.in_words(), self.overlap());
        let name = self.metric.name();
        write!(
            f,
            "{of} against {against}, {name}: {difference}; a run of {of} is {overlap}"
        )
    }
}
