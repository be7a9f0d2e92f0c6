//! Two campaigns, arm by arm: two routers, two versions, two days.
//!
//! *Assumes* two campaign directories; reads both, and writes into neither. *Guarantees* that only
//! arms of the same experiment are set beside each other (failure, graph, number of routers, strategy),
//! that what was left out is said with its reason, and that no difference stands without what differs
//! in how the two were made.

use std::fs;
use std::path::{Path, PathBuf};

use results::CampaignDir;
use topologies::FailureKind;

use crate::AnalyzeError;
use crate::arms::{self, Arm, Metric};
use crate::differences::{self, Comparison, Difference};
use crate::making::{self, Made, Making};
use crate::measure_runs;

/// What is compared if nobody says otherwise.
pub const METRICS: [Metric; 3] = [Metric::Convergence, Metric::Disconnected, Metric::Updates];

/// Why two campaigns could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum ContrastError {
    /// One of them could not be analysed.
    #[error("{campaign}: {source}")]
    Campaign {
        /// `A` or `B`.
        campaign: &'static str,
        /// Why.
        source: AnalyzeError,
    },
    /// It is one campaign.
    #[error(
        "A and B are one campaign, {}: name two; the arms of one are compared by `flaplab analyze`", path.display()
    )]
    Same {
        /// Its directory.
        path: PathBuf,
    },
    /// They have no arm in common.
    #[error(
        "nothing in these campaigns can be compared:\n{}\ncompare campaigns of one failure, graph, number of routers and strategy", reasons.join("\n")
    )]
    Nothing {
        /// Why not, of each arm.
        reasons: Vec<String>,
    },
}

/// One of the two.
#[derive(Debug, Clone)]
pub struct Side {
    /// Its directory.
    pub path: PathBuf,
    /// Its arms.
    pub arms: Vec<Arm>,
    /// What it was made with.
    pub making: Making,
}

/// An arm that both have.
#[derive(Debug, Clone)]
pub struct ComparedArm {
    /// What it is called: the strategy, with the scenario if there are several.
    pub name: String,
    /// The arm of the first campaign.
    pub a: Arm,
    /// The arm of the second.
    pub b: Arm,
    /// What lies between them: the second against the first.
    pub differences: Vec<Difference>,
}

/// Two campaigns beside each other.
#[derive(Debug, Clone)]
pub struct Contrast {
    /// The first, which the other is held against.
    pub a: Side,
    /// The second.
    pub b: Side,
    /// What both were made with.
    pub made: Vec<Made>,
    /// The metrics that were compared.
    pub metrics: Vec<Metric>,
    /// The arms that both have.
    pub arms: Vec<ComparedArm>,
    /// Arms that are not compared, each with the reason.
    pub left_out: Vec<String>,
}

/// Compares two campaigns in these metrics; without any, in those of the report, and in those of the
/// data-plane probe if both have it.
///
/// # Errors
/// If one is no campaign or has no readable run, if they are one, or nothing in them can be compared.
pub fn contrast(a: &Path, b: &Path, metrics: &[Metric]) -> Result<Contrast, ContrastError> {
    let same = fs::canonicalize(a).ok().zip(fs::canonicalize(b).ok());
    if let Some((path, _)) = same.filter(|(a, b)| a == b) {
        return Err(ContrastError::Same { path });
    }
    let a = Side::read(a).map_err(|source| ContrastError::Campaign {
        campaign: "A",
        source,
    })?;
    let b = Side::read(b).map_err(|source| ContrastError::Campaign {
        campaign: "B",
        source,
    })?;
    let (pairs, left_out) = matched(&a.arms, &b.arms);
    if pairs.is_empty() {
        return Err(ContrastError::Nothing { reasons: left_out });
    }
    let metrics = chosen(metrics, &pairs);
    let compared: Vec<Comparison<'_>> = pairs
        .iter()
        .map(|(_, a, b)| Comparison {
            of: ("B", b),
            against: ("A", a),
        })
        .collect();
    let mut each = differences::families(&compared, &metrics).into_iter();
    let arms = pairs
        .iter()
        .map(|(name, a, b)| ComparedArm {
            name: name.clone(),
            a: (*a).clone(),
            b: (*b).clone(),
            differences: each.next().unwrap_or_default(),
        })
        .collect();
    Ok(Contrast {
        made: making::compare(&a.making, &b.making),
        metrics,
        arms,
        left_out,
        a,
        b,
    })
}

impl Side {
    fn read(path: &Path) -> Result<Self, AnalyzeError> {
        let campaign = CampaignDir::open(path)?;
        let (runs, _) = measure_runs(&campaign)?;
        Ok(Self {
            path: path.to_owned(),
            making: Making::of(&campaign, &runs),
            arms: arms::group(&runs),
        })
    }

    /// Number of runs in arms, and of those whose figures count.
    #[must_use]
    pub fn runs(&self) -> (usize, usize) {
        let of = |n: fn(&Arm) -> usize| self.arms.iter().map(n).sum();
        (of(|a| a.total), of(|a| a.valid))
    }
}

type Matched<'a> = (String, &'a Arm, &'a Arm);

/// The arms that stand for one experiment, and why the others do not.
fn matched<'a>(a: &'a [Arm], b: &'a [Arm]) -> (Vec<Matched<'a>>, Vec<String>) {
    let scenarios = |arms: &[Arm]| arms.chunk_by(|x, y| x.scenario == y.scenario).count();
    // Two routers are often two scenarios; with one on either side it is clear which is meant.
    let by_strategy = scenarios(a) == 1 && scenarios(b) == 1;
    let name = |arm: &Arm| match by_strategy {
        true => arm.label(),
        false => format!("{}, {}", arm.scenario, arm.label()),
    };
    let partners = |x: &Arm, y: &Arm| {
        x.strategy == y.strategy && x.cell == y.cell && (by_strategy || x.scenario == y.scenario)
    };
    let mut pairs = Vec::new();
    let mut left_out = Vec::new();
    for arm in a {
        let Some(other) = b.iter().find(|other| partners(arm, other)) else {
            left_out.push(format!("{}: B has no such arm", name(arm)));
            continue;
        };
        match obstacle(arm, other) {
            Some(reason) => left_out.push(format!("{}: {reason}", name(arm))),
            None => pairs.push((name(arm), arm, other)),
        }
    }
    for arm in b {
        if !a.iter().any(|other| partners(other, arm)) {
            left_out.push(format!("{}: A has no such arm", name(arm)));
        }
    }
    (pairs, left_out)
}

/// Why two arms of one name cannot be compared.
fn obstacle(a: &Arm, b: &Arm) -> Option<String> {
    let (m, o) = (&a.manifest, &b.manifest);
    if m.failure == FailureKind::MraiProbe && o.failure == FailureKind::MraiProbe {
        return Some("it measures the MRAI, and has no failure".to_owned());
    }
    let differ = |what: &str, a: String, b: String| {
        (a != b).then(|| format!("another experiment: its {what} is {a} in A and {b} in B"))
    };
    differ("failure", m.failure.to_string(), o.failure.to_string())
        .or_else(|| differ("graph", m.topology.clone(), o.topology.clone()))
        .or_else(|| differ("number of routers", m.size.to_string(), o.size.to_string()))
        .or_else(|| {
            let side = match (a.valid, b.valid) {
                (0, 0) => "neither A nor B has",
                (0, _) => "A does not have",
                (_, 0) => "B does not have",
                _ => return None,
            };
            Some(format!("{side} a valid run of it"))
        })
}

fn chosen(metrics: &[Metric], pairs: &[Matched<'_>]) -> Vec<Metric> {
    if !metrics.is_empty() {
        // Named twice, it is compared once: it would count twice among the comparisons.
        let mut once = Vec::new();
        for metric in metrics {
            if !once.contains(metric) {
                once.push(*metric);
            }
        }
        return once;
    }
    let mut all = METRICS.to_vec();
    let probed = |arm: &Arm| arm.sample(Metric::ProbeDisconnected).summary.n > 0;
    if pairs.iter().any(|(_, a, b)| probed(a) && probed(b)) {
        all.push(Metric::ProbeDisconnected);
    }
    all
}
