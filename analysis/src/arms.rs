//! Runs grouped into the arms of their scenario's cells, with statistics per metric.
//!
//! *Assumes* measured runs. *Guarantees* that only valid runs enter a statistic, one value each, however
//! often a run was attempted; and that those without a valid attempt are counted beside them.

use std::collections::{BTreeMap, BTreeSet};

use results::{Finding, FindingKind, Manifest, Severity, SharedLab};
use topologies::{Cell, Strategy};

use crate::metrics::{RouterMetrics, RunMetrics, seconds};
use crate::statistics::{Summary, mean, summarize};

/// A run with its figures, if it has any.
#[derive(Debug, Clone)]
pub struct MeasuredRun {
    /// Name of the run, as its directory.
    pub run_id: String,
    /// What the harness says of it; none if its manifest cannot be read.
    pub manifest: Option<Manifest>,
    /// The figures; none if the records do not allow them.
    pub metrics: Option<RunMetrics>,
    /// What the harness found and what the analysis found.
    pub findings: Vec<Finding>,
    /// Whether its figures enter the statistics.
    pub valid: bool,
}

/// What is computed of each run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// From the failure to the last change at any router.
    Convergence,
    /// Mean over routers of the time without a way to the destination.
    Disconnected,
    /// The part of it without a route.
    NoRoute,
    /// The part of it in a loop.
    Loop,
    /// The part of it lost elsewhere.
    Blackhole,
    /// Mean over routers of the advertisements sent.
    Advertisements,
    /// Mean over routers of the withdrawals sent.
    Withdrawals,
    /// Mean over routers of both.
    Updates,
    /// Mean over routers of the time that lost probes stand for.
    ProbeDisconnected,
    /// The probes of all routers that were lost.
    ProbesLost,
}

impl Metric {
    /// All of them, in the order of `summary.csv`.
    pub const ALL: [Self; 10] = [
        Self::Convergence,
        Self::Disconnected,
        Self::NoRoute,
        Self::Loop,
        Self::Blackhole,
        Self::Advertisements,
        Self::Withdrawals,
        Self::Updates,
        Self::ProbeDisconnected,
        Self::ProbesLost,
    ];

    /// Its name: a column of `metrics.csv`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Convergence => "convergence_s",
            Self::Disconnected => "disconnected_s",
            Self::NoRoute => "no_route_s",
            Self::Loop => "loop_s",
            Self::Blackhole => "blackhole_s",
            Self::Advertisements => "advertisements_sent",
            Self::Withdrawals => "withdrawals_sent",
            Self::Updates => "updates_sent",
            Self::ProbeDisconnected => "probe_disconnected_s",
            Self::ProbesLost => "probes_lost",
        }
    }

    /// Its unit, as in `summary.csv`.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Convergence
            | Self::Disconnected
            | Self::NoRoute
            | Self::Loop
            | Self::Blackhole
            | Self::ProbeDisconnected => "s",
            Self::Advertisements | Self::Withdrawals | Self::Updates => "per router",
            Self::ProbesLost => "per run",
        }
    }

    /// What less of it and more of it is called, and its unit in a sentence.
    #[must_use]
    pub const fn comparatives(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Convergence => ("earlier", "later", "s"),
            Self::Disconnected
            | Self::NoRoute
            | Self::Loop
            | Self::Blackhole
            | Self::ProbeDisconnected => ("shorter", "longer", "s"),
            Self::Advertisements | Self::Withdrawals | Self::Updates | Self::ProbesLost => {
                ("fewer", "more", "")
            }
        }
    }

    /// Its value for one run, in [`Metric::unit`]: the mean over the routers, but for the
    /// convergence and the probes lost, which are the run's. None for what the probe measures, if
    /// the run had none.
    #[must_use]
    pub fn of(self, run: &RunMetrics) -> Option<f64> {
        let over_routers = |value: fn(&RouterMetrics) -> f64| {
            mean(&run.routers.iter().map(value).collect::<Vec<_>>())
        };
        let probes = || {
            let probes = run.routers.iter().map(|r| r.probe);
            probes.collect::<Option<Vec<_>>>()
        };
        Some(match self {
            Self::Convergence => seconds(run.convergence_ns),
            Self::Disconnected => over_routers(|r| seconds(r.disconnected_ns())),
            Self::NoRoute => over_routers(|r| seconds(r.no_route_ns)),
            Self::Loop => over_routers(|r| seconds(r.loop_ns)),
            Self::Blackhole => over_routers(|r| seconds(r.blackhole_ns)),
            Self::Advertisements => over_routers(|r| r.advertisements() as f64),
            Self::Withdrawals => over_routers(|r| r.withdrawals() as f64),
            Self::Updates => over_routers(|r| r.updates() as f64),
            Self::ProbeDisconnected => {
                let probes = probes()?;
                mean(
                    &probes
                        .iter()
                        .map(|p| seconds(p.disconnected_ns))
                        .collect::<Vec<_>>(),
                )
            }
            Self::ProbesLost => probes()?.iter().map(|p| p.lost as f64).sum(),
        })
    }
}

/// What chance gave a run: equal in two arms, the runs are a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Draw {
    /// Number of the run within its arm.
    pub run_index: u32,
    /// Seed of the run.
    pub seed: u64,
}

/// The values of one metric over the valid runs of one arm.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// What was measured.
    pub metric: Metric,
    /// One value per valid run that has one, ascending, in the metric's unit.
    pub values: Vec<f64>,
    /// Of each of these values, the run's draw.
    pub draws: Vec<Draw>,
    /// Their statistics.
    pub summary: Summary,
}

/// The runs of one cell of a scenario with one strategy.
#[derive(Debug, Clone)]
pub struct Arm {
    /// Name of the scenario.
    pub scenario: String,
    /// The values of the scenario's matrix; none without a matrix.
    pub cell: Cell,
    /// How the failure was survived.
    pub strategy: Strategy,
    /// A manifest of the arm: the settings, which all its runs share.
    pub manifest: Manifest,
    /// What the routers of the arm's runs called themselves, and their MRAI: one, if all is well.
    pub routers: Vec<(String, String, f64)>,
    /// Versions and commits of flaplab that the arm's runs were made by: one, if all is well.
    pub tools: Vec<String>,
    /// Number of runs, each counted once, however often it was attempted.
    pub total: usize,
    /// Number of attempts at them.
    pub attempts: usize,
    /// Number of runs whose figures count.
    pub valid: usize,
    /// Number of these that were made in a lab which had carried other runs before.
    pub reused: usize,
    /// The metrics, in the order of [`Metric::ALL`].
    pub samples: Vec<Sample>,
}

impl Draw {
    fn of(manifest: &Manifest) -> Self {
        Self {
            run_index: manifest.run_index,
            seed: manifest.seed,
        }
    }
}

impl Arm {
    /// What the arm is called among those of its scenario: `tcpr`, or `tcpr, mrai=1s`.
    #[must_use]
    pub fn label(&self) -> String {
        label(self.strategy, &self.cell)
    }

    /// The sample of one metric.
    ///
    /// # Panics
    /// Never: an arm has a sample of every metric.
    #[must_use]
    pub fn sample(&self, metric: Metric) -> &Sample {
        self.samples
            .iter()
            .find(|s| s.metric == metric)
            .expect("an arm has a sample of every metric")
    }
}

/// What an arm is called among those of its scenario.
#[must_use]
pub fn label(strategy: Strategy, cell: &Cell) -> String {
    match cell.is_empty() {
        true => strategy.to_string(),
        false => format!("{strategy}, {cell}"),
    }
}

/// What tells the attempts at one run from those at others.
type RunKey<'a> = (&'a str, &'a Cell, Strategy, u32);

fn run_key(m: &Manifest) -> RunKey<'_> {
    (&m.scenario, &m.cell, m.strategy, m.run_index)
}

/// Lets one valid attempt of each run count: the first. There is a second one only if the first was
/// taken for invalid when the run was made, by another flaplab or with other limits.
pub fn count_once(runs: &mut [MeasuredRun]) {
    let mut first: BTreeMap<RunKey<'_>, (u32, String)> = BTreeMap::new();
    for run in runs.iter().filter(|r| r.valid) {
        if let Some(m) = &run.manifest {
            let this = (m.attempt, run.run_id.clone());
            let kept = first.entry(run_key(m)).or_insert_with(|| this.clone());
            if this < *kept {
                *kept = this;
            }
        }
    }
    let counting = |m: &Manifest| first.get(&run_key(m)).map(|(_, run_id)| run_id.clone());
    let others: Vec<(usize, String)> = runs
        .iter()
        .enumerate()
        .filter(|(_, r)| r.valid)
        .filter_map(|(i, r)| Some((i, counting(r.manifest.as_ref()?)?)))
        .filter(|(i, counts)| runs[*i].run_id != *counts)
        .collect();
    for (i, counts) in others {
        runs[i].valid = false;
        runs[i].findings.push(Finding {
            kind: FindingKind::Repeated,
            severity: Severity::Invalidating,
            place: "manifest.json".to_owned(),
            message: format!(
                "{counts} is a valid attempt at the same run, and a run counts once; it must have \
                 been taken for invalid before: compare the two, if the limits were changed since"
            ),
        });
    }
}

/// Groups runs into arms, in the order of scenario, cell and strategy. Runs without a readable
/// manifest belong to none; their findings say so.
#[must_use]
pub fn group(runs: &[MeasuredRun]) -> Vec<Arm> {
    type Key<'a> = (&'a str, &'a Cell, Strategy);
    let mut by_arm: BTreeMap<Key<'_>, Vec<(&Manifest, &MeasuredRun)>> = BTreeMap::new();
    for run in runs {
        if let Some(manifest) = &run.manifest {
            by_arm
                .entry((&manifest.scenario, &manifest.cell, manifest.strategy))
                .or_default()
                .push((manifest, run));
        }
    }
    by_arm
        .into_iter()
        .map(|((scenario, cell, strategy), runs)| {
            let valid: Vec<(Draw, &RunMetrics)> = runs
                .iter()
                .filter(|(_, r)| r.valid)
                .filter_map(|(m, r)| Some((Draw::of(m), r.metrics.as_ref()?)))
                .collect();
            let mut tools: Vec<String> = Vec::new();
            let mut routers: Vec<(String, String, f64)> = Vec::new();
            for (m, _) in &runs {
                let router = (m.router.clone(), m.router_version.clone(), m.mrai_s);
                if !routers.contains(&router) {
                    routers.push(router);
                }
                let tool = format!("flaplab {} ({})", m.tool_version, m.tool_commit);
                if !tools.contains(&tool) {
                    tools.push(tool);
                }
            }
            Arm {
                scenario: scenario.to_owned(),
                cell: cell.clone(),
                strategy,
                manifest: runs[0].0.clone(),
                routers,
                tools,
                total: numbers(runs.iter()),
                attempts: runs.len(),
                valid: numbers(runs.iter().filter(|(_, r)| r.valid)),
                reused: numbers(runs.iter().filter(|(m, r)| r.valid && is_reused(m))),
                samples: Metric::ALL.map(|m| sample(m, &valid)).into(),
            }
        })
        .collect()
}

/// Whether its lab had carried another run before.
pub(crate) fn is_reused(manifest: &Manifest) -> bool {
    (manifest.shared_lab.as_ref()).is_some_and(SharedLab::is_reused)
}

/// How many runs there are attempts at.
fn numbers<'a>(runs: impl Iterator<Item = &'a (&'a Manifest, &'a MeasuredRun)>) -> usize {
    runs.map(|(m, _)| m.run_index)
        .collect::<BTreeSet<_>>()
        .len()
}

fn sample(metric: Metric, runs: &[(Draw, &RunMetrics)]) -> Sample {
    let mut by_run: Vec<(f64, Draw)> = runs
        .iter()
        .filter_map(|(draw, r)| Some((metric.of(r)?, *draw)))
        .collect();
    by_run.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let (values, draws): (Vec<f64>, Vec<Draw>) = by_run.into_iter().unzip();
    let summary = summarize(&values);
    Sample {
        metric,
        values,
        draws,
        summary,
    }
}
