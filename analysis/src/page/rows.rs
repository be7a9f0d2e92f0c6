//! The page's tables, row by row, as its template takes them.
//!
//! *Assumes* the arms and runs of one campaign. *Guarantees* the words and digits of the printed report
//! ([`crate::report`]): no figure without the router it was measured on and the number of runs behind it,
//! no finding that is not counted.

use std::collections::BTreeSet;

use results::realised::Spread;
use results::{Finding, Manifest, Severity};
use serde::Serialize;
use topologies::{FailureKind, Strategy};

use crate::arms::{Arm, MeasuredRun, Metric};
use crate::published;
use crate::realised;
use crate::report;
use crate::sheets::word;

/// The metrics of the table at the top.
pub(super) const COLUMNS: [(Metric, &str); 3] = [
    (Metric::Convergence, "Convergence (s)"),
    (Metric::Disconnected, "Disconnected (s)"),
    (Metric::Updates, "Updates per router"),
];
/// More findings than this are in `findings.csv` alone.
const MOST_FINDINGS: usize = 2000;
/// Pens that differ in colour; see `style.css`.
const PENS: usize = 8;

/// What the page is called.
pub(super) fn title(arms: &[Arm]) -> String {
    let mut names: Vec<&str> = arms.iter().map(|a| a.scenario.as_str()).collect();
    names.dedup();
    names.join(", ")
}

/// What an arm is called among those of its campaign.
pub(super) fn label(arm: &Arm, arms: &[Arm]) -> String {
    if arms.iter().all(|a| a.scenario == arm.scenario) {
        arm.label()
    } else {
        format!("{}, {}", arm.scenario, arm.label())
    }
}

/// The number of the arm that a run belongs to.
pub(super) fn arm_of(arms: &[Arm], run: &MeasuredRun) -> Option<usize> {
    let m = run.manifest.as_ref()?;
    let key = (&m.scenario, &m.cell, m.strategy);
    arms.iter()
        .position(|a| (&a.scenario, &a.cell, a.strategy) == key)
}

/// The pen of an arm: its strategy's, as in the figures, while that tells the arms apart.
pub(super) fn pen(index: usize, arms: &[Arm]) -> usize {
    let strategy = |arm: &Arm| match arm.strategy {
        Strategy::None => 0,
        Strategy::GracefulRestart => 1,
        Strategy::GracefulRestartF0 => 2,
        Strategy::GracefulRestartWithdraw => 3,
        Strategy::Tcpr => 4,
    };
    let twice = |arm: &Arm| arms.iter().filter(|a| a.strategy == arm.strategy).count() > 1;
    if arms.iter().any(twice) {
        index
    } else {
        strategy(&arms[index])
    }
}

/// The arms of one scenario.
#[derive(Debug, Serialize)]
pub(super) struct ScenarioRows {
    name: String,
    about: String,
    arms: Vec<ArmRow>,
}

/// An arm's row, and the study's below it.
#[derive(Debug, Serialize)]
struct ArmRow {
    label: String,
    pen: usize,
    dash: usize,
    routers: Vec<String>,
    valid: usize,
    total: usize,
    cells: Vec<Vec<String>>,
    study: Option<StudyRow>,
}

#[derive(Debug, Serialize)]
struct StudyRow {
    router: String,
    runs: String,
    cells: Vec<Vec<String>>,
}

/// The table at the top: the arms of each scenario in which something fails.
pub(super) fn scenarios(arms: &[Arm]) -> Vec<ScenarioRows> {
    let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let row = |(index, arm): (usize, &Arm)| ArmRow {
        label: label(arm, arms),
        pen: pen(index, arms) % PENS,
        dash: pen(index, arms) / PENS,
        routers: lines(report::routers(arm)),
        valid: arm.valid,
        total: arm.total,
        cells: COLUMNS
            .iter()
            .map(|&(m, _)| lines(report::figure(arm, m)))
            .collect(),
        study: published::beside(arm).map(|study| StudyRow {
            cells: COLUMNS
                .iter()
                .map(|&(m, _)| lines(study.figure(m)))
                .collect(),
            router: study.router,
            runs: study.runs,
        }),
    };
    let indexed: Vec<(usize, &Arm)> = arms.iter().enumerate().collect();
    indexed
        .chunk_by(|a, b| a.1.scenario == b.1.scenario)
        .map(|arms| {
            let all = |of: &dyn Fn(&Manifest) -> String| {
                report::each(arms.iter().map(|(_, arm)| *arm), of)
            };
            let failing =
                |(_, arm): &&(usize, &Arm)| arm.manifest.failure != FailureKind::MraiProbe;
            ScenarioRows {
                name: arms[0].1.scenario.clone(),
                about: format!(
                    "failure “{}”, {}",
                    all(&|m| m.failure.to_string()),
                    all(&|m| format!("{} of {} routers", m.topology, m.size))
                ),
                arms: arms.iter().filter(failing).copied().map(row).collect(),
            }
        })
        .collect()
}

/// A run's row.
#[derive(Debug, Serialize)]
pub(super) struct RunRow {
    id: String,
    arm: String,
    valid: bool,
    status: String,
    values: Vec<String>,
    /// Labs of the campaign on the machine at the failure.
    labs: String,
    /// Share of the measured time in which some task of the machine waited for a CPU.
    waited: String,
    findings: usize,
    replay: bool,
}

/// All runs, those without figures too.
pub(super) fn runs(arms: &[Arm], runs: &[MeasuredRun], kept: &BTreeSet<usize>) -> Vec<RunRow> {
    let value = |run: &MeasuredRun, metric: Metric| {
        let value = run.metrics.as_ref().and_then(|m| metric.of(m));
        value.map_or(String::new(), |v| format!("{v:.3}"))
    };
    runs.iter()
        .enumerate()
        .map(|(i, run)| RunRow {
            id: run.run_id.clone(),
            arm: arm_of(arms, run).map_or(String::new(), |a| label(&arms[a], arms)),
            valid: run.valid,
            status: run
                .manifest
                .as_ref()
                .map_or_else(|| "unreadable".to_owned(), |m| word(&m.status)),
            values: COLUMNS.iter().map(|&(m, _)| value(run, m)).collect(),
            labs: labs(run).map_or(String::new(), |n| n.to_string()),
            waited: waited(run).map_or(String::new(), |s| format!("{:.0} %", 100.0 * s)),
            findings: run.findings.len(),
            replay: kept.contains(&i),
        })
        .collect()
}

fn labs(run: &MeasuredRun) -> Option<usize> {
    run.manifest.as_ref()?.jobs?.at_failure
}

fn waited(run: &MeasuredRun) -> Option<f64> {
    run.manifest.as_ref()?.machine.as_ref()?.cpu_pressure_share
}

/// Findings, the gravest first.
#[derive(Debug, Serialize)]
pub(super) struct FindingRows {
    rows: Vec<FindingRow>,
    /// How many there are beyond those.
    more: usize,
}

#[derive(Debug, Serialize)]
struct FindingRow {
    run: String,
    arm: String,
    severity: String,
    kind: String,
    place: String,
    message: String,
    replay: bool,
}

pub(super) fn findings(arms: &[Arm], runs: &[MeasuredRun], kept: &BTreeSet<usize>) -> FindingRows {
    let mut all: Vec<(usize, &MeasuredRun, &Finding)> = runs
        .iter()
        .enumerate()
        .flat_map(|(i, run)| run.findings.iter().map(move |f| (i, run, f)))
        .collect();
    all.sort_by_key(|(i, _, f)| (std::cmp::Reverse(f.severity), *i));
    FindingRows {
        more: all.len().saturating_sub(MOST_FINDINGS),
        rows: all
            .into_iter()
            .take(MOST_FINDINGS)
            .map(|(i, run, f)| FindingRow {
                run: run.run_id.clone(),
                arm: arm_of(arms, run).map_or(String::new(), |a| label(&arms[a], arms)),
                severity: word(&f.severity),
                kind: word(&f.kind),
                place: f.place.clone(),
                message: f.message.clone(),
                replay: kept.contains(&i),
            })
            .collect(),
    }
}

/// How many runs there are, and what was found in them.
#[derive(Debug, Serialize)]
pub(super) struct Tally {
    runs: usize,
    valid: usize,
    notes: usize,
    warnings: usize,
    invalidating: usize,
}

impl Tally {
    pub(super) fn of(arms: &[Arm], runs: &[MeasuredRun]) -> Self {
        let count = |severity: Severity| {
            let findings = runs.iter().flat_map(|r| &r.findings);
            findings.filter(|f| f.severity == severity).count()
        };
        Self {
            runs: arms.iter().map(|a| a.total).sum::<usize>()
                + runs.iter().filter(|r| r.manifest.is_none()).count(),
            valid: arms.iter().map(|a| a.valid).sum(),
            notes: count(Severity::Note),
            warnings: count(Severity::Warning),
            invalidating: count(Severity::Invalidating),
        }
    }
}

/// What MRAI was realised in one run.
#[derive(Debug, Serialize)]
pub(super) struct RealisedRows {
    about: String,
    valid: bool,
    rows: Vec<(&'static str, [String; 3])>,
}

pub(super) fn realised(runs: &[MeasuredRun]) -> Vec<RealisedRows> {
    realised::of(runs)
        .into_iter()
        .map(|r| RealisedRows {
            about: format!(
                "{}: {}, told an MRAI of {} s; {} to {}, {} rounds",
                r.run_id, r.implementation, r.mrai_s, r.mrai.router, r.mrai.peer, r.mrai.rounds
            ),
            valid: r.valid,
            rows: realised::spreads(&r.mrai)
                .map(|(name, spread)| {
                    let Spread {
                        min_s,
                        median_s,
                        max_s,
                    } = spread;
                    (name, [min_s, median_s, max_s].map(|s| format!("{s:.3}")))
                })
                .into(),
        })
        .collect()
}

/// What the runs were made with: names and values, several if the arms differ.
pub(super) fn settings(arms: &[Arm], runs: &[MeasuredRun]) -> Vec<(&'static str, String)> {
    let manifests: Vec<_> = runs.iter().filter_map(|r| r.manifest.as_ref()).collect();
    let all = |of: &dyn Fn(&results::Manifest) -> String| {
        let mut values: Vec<String> = Vec::new();
        for value in manifests.iter().map(|m| of(m)) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        values.join("; ")
    };
    let mut tools: Vec<&str> = arms
        .iter()
        .flat_map(|a| a.tools.iter().map(String::as_str))
        .collect();
    tools.sort_unstable();
    tools.dedup();
    let first = manifests.iter().map(|m| m.started_at.as_str()).min();
    let last = manifests.iter().filter_map(|m| m.ended_at.as_deref()).max();
    vec![
        ("Failure", all(&|m| m.failure.to_string())),
        (
            "Network",
            all(&|m| format!("{} of {} routers", m.topology, m.size)),
        ),
        (
            "Routers",
            all(&|m| format!("{} {}", m.router, m.router_version)),
        ),
        ("Configured MRAI", all(&|m| format!("{} s", m.mrai_s))),
        (
            "Injector",
            all(&|m| format!("{} {}", m.injector, m.injector_version)),
        ),
        ("Made by", tools.join("; ")),
        (
            "Machine",
            all(&|m| {
                let host = &m.host;
                format!(
                    "{} CPUs, {} MiB, Linux {}",
                    host.cpus, host.memory_mib, host.kernel
                )
            }),
        ),
        (
            "Made between",
            format!(
                "{} and {}",
                first.map_or("?".to_owned(), to_the_second),
                last.map_or("?".to_owned(), to_the_second)
            ),
        ),
        (
            "Sysctls",
            all(&|m| {
                let pairs = m.sysctls.iter().map(|(k, v)| format!("{k} = {v}"));
                pairs.collect::<Vec<_>>().join(", ")
            }),
        ),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .collect()
}

/// A time of RFC 3339 without the fraction of its second.
fn to_the_second(time: &str) -> String {
    match time.split_once('.') {
        Some((second, _)) => format!("{second}Z"),
        None => time.to_owned(),
    }
}
