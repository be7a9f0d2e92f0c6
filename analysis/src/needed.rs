//! How many runs a mean needs for a 95 % interval as narrow as is wanted.
//!
//! *Assumes* that the runs made so far are like those to come, and that means of so many runs are
//! about normal. *Guarantees* that the number takes into account how uncertain the spread of few
//! runs is: with Student's quantile of the runs so far, the interval after so many runs covers the
//! mean at least as often as it says, whatever the spread (Stein 1945).

use std::fmt;
use std::str::FromStr;

use crate::arms::{Arm, Metric};
use crate::statistics::{student, variance};

/// An interval of which half is wider than this share of the mean is said to be wide.
const WIDE: f64 = 0.1;

/// How narrow an interval is wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum HalfWidth {
    /// In the metric's unit, to either side.
    Absolute(f64),
    /// As a share of the mean, to either side.
    OfMean(f64),
}

/// A metric and how narrow its interval is wanted: `convergence_s=0.1`, `updates_sent=5%`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wanted {
    /// The metric.
    pub metric: Metric,
    /// Half the width.
    pub half_width: HalfWidth,
}

/// Why a wanted interval was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WantedError {
    /// There is no `=`.
    #[error(
        "`{0}` does not say how narrow: write METRIC=HALF_WIDTH, for instance `convergence_s=0.1` or `convergence_s=2%`"
    )]
    NoWidth(String),
    /// There is no such metric.
    #[error(transparent)]
    Metric(#[from] UnknownMetric),
    /// The width is no positive number.
    #[error(
        "`{0}` is no half width: a number above 0 in the metric's unit, or one with `%` for a share of the mean"
    )]
    Width(String),
}

/// A name that is no metric's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no metric: {}", Metric::ALL.map(Metric::name).join(", "))]
pub struct UnknownMetric {
    /// The name.
    pub name: String,
}

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(name: &str) -> Result<Self, UnknownMetric> {
        let known = Self::ALL.into_iter().find(|m| m.name() == name);
        known.ok_or_else(|| UnknownMetric {
            name: name.to_owned(),
        })
    }
}

impl FromStr for Wanted {
    type Err = WantedError;

    fn from_str(text: &str) -> Result<Self, WantedError> {
        let (metric, width) = text
            .split_once('=')
            .ok_or_else(|| WantedError::NoWidth(text.to_owned()))?;
        let metric = metric.parse()?;
        let (number, share) = match width.strip_suffix('%') {
            Some(percent) => (percent.trim_end(), true),
            None => (width, false),
        };
        let number: f64 = number
            .parse()
            .ok()
            .filter(|n: &f64| n.is_finite() && *n > 0.0)
            .ok_or_else(|| WantedError::Width(width.to_owned()))?;
        let half_width = match share {
            true => HalfWidth::OfMean(number / 100.0),
            false => HalfWidth::Absolute(number),
        };
        Ok(Self { metric, half_width })
    }
}

/// Number of runs, those of the sample included, for an interval of that half width. None for fewer
/// than two runs, which tell nothing of the spread.
#[must_use]
pub fn runs_needed(values: &[f64], half_width: f64) -> Option<u64> {
    if values.len() < 2 {
        return None;
    }
    let runs = student(values.len() as f64 - 1.0).powi(2) * variance(values) / half_width.powi(2);
    Some((runs.ceil() as u64).max(values.len() as u64))
}

/// What an arm needs for a wanted interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Needed {
    /// The arm, with its scenario where there are several.
    pub arm: String,
    /// What is wanted.
    pub wanted: Wanted,
    /// Number of valid runs so far.
    pub runs: usize,
    /// Their mean; none without a run.
    pub mean: Option<f64>,
    /// Half the width of its interval so far.
    pub half_width: Option<f64>,
    /// Half the width that is wanted, in the metric's unit; none if it is a share of a mean of 0.
    pub wanted_half_width: Option<f64>,
    /// Number of runs for the wanted one.
    pub needed: Option<u64>,
}

impl Needed {
    fn of(arm: &Arm, name: String, wanted: Wanted) -> Self {
        let sample = arm.sample(wanted.metric);
        let figures = sample.summary.figures;
        let wanted_half_width = match wanted.half_width {
            HalfWidth::Absolute(width) => Some(width),
            HalfWidth::OfMean(share) => figures
                .map(|f| share * f.mean.abs())
                .filter(|width| *width > 0.0),
        };
        let half_width = figures
            .and_then(|f| f.ci95)
            .map(|(low, high)| (high - low) / 2.0);
        let runs = sample.values.len();
        let needed = wanted_half_width.zip(half_width).and_then(|(wanted, is)| {
            // The interval is the bootstrap's, which may be a little off Student's.
            if is <= wanted {
                return Some(runs as u64);
            }
            runs_needed(&sample.values, wanted).map(|n| n.max(runs as u64 + 1))
        });
        Self {
            arm: name,
            wanted,
            runs,
            mean: figures.map(|f| f.mean),
            half_width,
            wanted_half_width,
            needed,
        }
    }
}

/// What each arm needs for each wanted interval.
#[must_use]
pub fn needed(arms: &[Arm], wanted: &[Wanted]) -> Vec<Needed> {
    let each = wanted
        .iter()
        .flat_map(|w| arms.iter().map(move |a| (a, *w)));
    each.map(|(arm, wanted)| Needed::of(arm, name(arm, arms), wanted))
        .collect()
}

/// The intervals of these metrics that are wide, and what they would need not to be.
pub(crate) fn wide(arms: &[Arm], metrics: &[Metric]) -> Vec<Needed> {
    let wanted = |metric: &Metric| Wanted {
        metric: *metric,
        half_width: HalfWidth::OfMean(WIDE),
    };
    let wanted: Vec<Wanted> = metrics.iter().map(wanted).collect();
    let mut wide = needed(arms, &wanted);
    wide.retain(|n| match (n.half_width, n.wanted_half_width) {
        (Some(is), Some(wanted)) => is > wanted,
        _ => false,
    });
    wide
}

fn name(arm: &Arm, arms: &[Arm]) -> String {
    if arms.iter().all(|a| a.scenario == arm.scenario) {
        arm.label()
    } else {
        format!("{}, {}", arm.scenario, arm.label())
    }
}

impl fmt::Display for Needed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metric = self.wanted.metric;
        write!(f, "{}, {}: ", self.arm, metric.name())?;
        let (Some(mean), Some(is)) = (self.mean, self.half_width) else {
            return match self.runs {
                0 => write!(f, "no valid run, so nothing is known of the spread"),
                _ => write!(
                    f,
                    "a single run tells nothing of the spread: make a few more"
                ),
            };
        };
        let runs = self.runs;
        let digits = |v: f64| match v {
            10.0.. => 1,
            0.1.. => 2,
            _ => 4,
        };
        write!(f, "{mean:.*} ± {is:.*}", digits(is), digits(is))?;
        match (self.wanted_half_width, self.needed) {
            (Some(wanted), Some(needed)) => {
                write!(f, " with {runs} runs; ± {wanted:.*}", digits(wanted))?;
                if let HalfWidth::OfMean(share) = self.wanted.half_width {
                    write!(f, " ({} %)", (share * 1e4).round() / 100.0)?;
                }
                if needed <= runs as u64 {
                    write!(f, " is reached")
                } else {
                    write!(f, " needs about {needed}")
                }
            }
            _ => write!(
                f,
                " with {runs} runs; no share of a mean of 0 can be wanted"
            ),
        }
    }
}
