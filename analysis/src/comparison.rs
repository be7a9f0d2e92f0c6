//! The study against what was measured: a row for each figure and case, with the reason for a
//! difference.
//!
//! *Assumes* the arms of the study's campaigns and the samples of its benchmarks. *Guarantees* that
//! no number of ours stands without the number of runs or rounds behind it, and that what the study
//! did not measure is said to be so.

use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use polars::prelude::{DataFrame, PolarsError, df};
use results::benchmark::Samples;
use results::reference::{self, PublishedValue, Relation, surton2014};
use topologies::{FailureKind, Strategy};

use crate::arms::{Arm, Metric};
use crate::benchmarks::{self, BENCHMARK_FIGURES, BenchmarkFigure};
use crate::statistics::Figures;

/// Within this share of a published number, ours is said to agree.
const AGREES: f64 = 0.1;

/// One published figure and case, and ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Number of the figure in the study.
    pub figure: u32,
    /// What was done: the failure, or the benchmark.
    pub experiment: String,
    /// The arm, or how TCPR stood to it.
    pub case: String,
    /// What was measured.
    pub metric: String,
    /// Its unit.
    pub unit: String,
    /// The study's number, as it states it.
    pub study: Option<String>,
    /// The number alone.
    pub study_value: Option<f64>,
    /// Its standard deviation, if the study gives it.
    pub study_deviation: Option<f64>,
    /// Ours; none without a valid run.
    pub measured: Option<Figures>,
    /// Number of runs, or of rounds.
    pub n: usize,
    /// What is to be said of the difference.
    pub reason: String,
}

/// The figure of the study that shows a metric of a failure.
#[must_use]
pub fn figure_of(failure: FailureKind, metric: Metric) -> Option<u32> {
    let first = match failure {
        FailureKind::Control => 7,
        FailureKind::Correlated => 11,
        _ => return None,
    };
    match metric {
        Metric::Convergence => Some(first),
        Metric::Disconnected => Some(first + 1),
        Metric::Updates => Some(first + 2),
        _ => None,
    }
}

/// The rows of a campaign. `mrai` is what the routers realise, in words, if it was measured.
#[must_use]
pub fn of_campaign(arms: &[Arm], mrai: Option<&str>) -> Vec<Row> {
    let metrics = [
        (Metric::Convergence, reference::Metric::ConvergenceS),
        (Metric::Disconnected, reference::Metric::DisconnectedS),
        (Metric::Updates, reference::Metric::UpdatesSent),
    ];
    let mut rows = Vec::new();
    for (metric, published) in metrics {
        for arm in arms {
            let failure = arm.manifest.failure;
            let Some(figure) = figure_of(failure, metric) else {
                continue;
            };
            let study = surton2014().value(failure, arm.strategy, published);
            let summary = arm.sample(metric).summary;
            let base = study.and_then(|s| mean_of(arms, s.relative_to?, metric));
            rows.push(Row {
                figure,
                experiment: failure.to_string(),
                case: arm.strategy.to_string(),
                metric: metric.name().to_owned(),
                unit: metric.unit().to_owned(),
                study: study.map(PublishedValue::stated),
                study_value: study.map(|s| s.value),
                study_deviation: None,
                measured: summary.figures,
                n: summary.n,
                reason: campaign_reason(arm, study, summary.figures, base, mrai),
            });
        }
    }
    rows
}

fn mean_of(arms: &[Arm], strategy: Strategy, metric: Metric) -> Option<f64> {
    let arm = arms.iter().find(|a| a.strategy == strategy)?;
    Some(arm.sample(metric).summary.figures?.mean)
}

fn campaign_reason(
    arm: &Arm,
    study: Option<&PublishedValue>,
    ours: Option<Figures>,
    base: Option<f64>,
    mrai: Option<&str>,
) -> String {
    let Some(ours) = ours else {
        return "no valid run".to_owned();
    };
    let Some(study) = study else {
        return match arm.strategy {
            Strategy::Tcpr => "the study measured TCPR by microbenchmarks only (figures 21 to 25)",
            Strategy::GracefulRestart => "the study's text gives no number here",
            _ => "the study did not measure this",
        }
        .to_owned();
    };
    if study.relative_to.is_some() {
        let more = base.map_or("-".to_owned(), |b| number(ours.mean - b));
        return format!(
            "ours is none + {more}: what is added is the duration of the filler's transfer, which \
             the experimenter chooses; 100 s here as there"
        );
    }
    if !(study.unit == "s" || study.unit.starts_with("updates per router")) {
        return format!(
            "counted otherwise: the study gives {} {}, we count the updates that a router sends",
            study.value, study.unit
        );
    }
    let agrees = match study.relation {
        Relation::MoreThan => {
            ours.mean >= study.value && ours.mean <= study.value * (1.0 + 2.0 * AGREES)
        }
        Relation::About | Relation::Exactly => near(ours.mean, study.value),
    };
    if agrees {
        return "agrees".to_owned();
    }
    let router = arm
        .routers
        .iter()
        .map(|(router, version, _)| format!("{router} {version}"))
        .collect::<Vec<_>>()
        .join(", ");
    let mrai = mrai.map_or("not measured here".to_owned(), str::to_owned);
    format!(
        "another router: {router} instead of {}, which has another MRAI at the same setting \
         (realised: {mrai}); another machine",
        surton2014().setup.router
    )
}

fn near(ours: f64, study: f64) -> bool {
    (ours - study).abs() <= AGREES * study.abs()
}

/// The rows of a benchmark.
#[must_use]
pub fn of_benchmark(samples: &Samples) -> Vec<Row> {
    BENCHMARK_FIGURES
        .iter()
        .filter(|f| f.benchmark == samples.benchmark)
        .flat_map(|figure| figure.cases.iter().map(move |case| (figure, *case)))
        .filter_map(|(figure, case)| benchmark_row(figure, case, samples))
        .collect()
}

fn benchmark_row(figure: &BenchmarkFigure, case: &str, samples: &Samples) -> Option<Row> {
    let series = samples.series(figure.course, case)?;
    let study = benchmarks::published(figure, case);
    let summary = benchmarks::measured(figure, case, samples);
    let reason = match (study, summary.figures) {
        (_, None) => "nothing was measured",
        (None, _) => "the study did not measure this",
        (Some(s), Some(_)) if !s.same_measure && figure.number == 25 => {
            "another measure: ours begins with the question to TCPR and ends with its answer; the \
             study's is socket, bind and connect once the state is there"
        }
        (Some(s), Some(_)) if !s.same_measure => {
            "another measure: ours is a round trip of one octet on one machine; the study's is from \
             data to its acknowledgment in traces of bulk transfers over Ethernet"
        }
        (Some(s), Some(ours)) if near(ours.mean, s.value) => "agrees",
        _ => {
            "another machine: both hosts in one kernel, on a wire shaped to the study's 1 Gbit/s; \
             compare the ratio to unprotected TCP"
        }
    };
    Some(Row {
        figure: figure.number,
        experiment: format!("tcpr bench {}", figure.benchmark),
        case: benchmarks::in_words(case).to_owned(),
        metric: figure.course.to_owned(),
        unit: series.unit.clone(),
        study: study.map(|s| format!("{} ± {}", s.value, s.deviation)),
        study_value: study.map(|s| s.value),
        study_deviation: study.map(|s| s.deviation),
        measured: summary.figures,
        n: summary.n,
        reason: reason.to_owned(),
    })
}

/// Digits enough to compare by.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        0.0..100.0 => format!("{value:.2}"),
        _ => format!("{value:.1}"),
    }
}

/// The rows as a table in Markdown, reasons by number below.
#[must_use]
pub fn to_markdown(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header([
        "figure",
        "experiment",
        "case",
        "metric",
        "unit",
        "study",
        "measured [95 % CI]",
        "n",
        "see",
    ]);
    let mut reasons: Vec<&str> = Vec::new();
    for row in rows {
        let at = reasons.iter().position(|r| *r == row.reason);
        let at = at.unwrap_or_else(|| {
            reasons.push(&row.reason);
            reasons.len() - 1
        });
        let ours = row.measured.map_or("-".to_owned(), |f| match f.ci95 {
            None => number(f.mean),
            Some((low, high)) => {
                format!("{} [{}, {}]", number(f.mean), number(low), number(high))
            }
        });
        table.add_row([
            row.figure.to_string(),
            row.experiment.clone(),
            row.case.clone(),
            row.metric.clone(),
            row.unit.clone(),
            row.study.clone().unwrap_or_else(|| "-".to_owned()),
            ours,
            row.n.to_string(),
            format!("({})", at + 1),
        ]);
    }
    let mut text: String = table
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect();
    text.push('\n');
    for (i, reason) in reasons.iter().enumerate() {
        text += &format!("- ({}) {reason}\n", i + 1);
    }
    text
}

/// The rows as `study.csv`.
///
/// # Errors
/// If polars refuses the columns.
pub fn to_sheet(rows: &[Row]) -> Result<DataFrame, PolarsError> {
    let ours = |of: fn(&Figures) -> Option<f64>| -> Vec<Option<f64>> {
        rows.iter()
            .map(|r| r.measured.as_ref().and_then(of))
            .collect()
    };
    df!(
        "figure" => rows.iter().map(|r| r.figure).collect::<Vec<_>>(),
        "experiment" => rows.iter().map(|r| r.experiment.as_str()).collect::<Vec<_>>(),
        "case" => rows.iter().map(|r| r.case.as_str()).collect::<Vec<_>>(),
        "metric" => rows.iter().map(|r| r.metric.as_str()).collect::<Vec<_>>(),
        "unit" => rows.iter().map(|r| r.unit.as_str()).collect::<Vec<_>>(),
        "study" => rows.iter().map(|r| r.study.as_deref()).collect::<Vec<_>>(),
        "study_value" => rows.iter().map(|r| r.study_value).collect::<Vec<_>>(),
        "study_deviation" => rows.iter().map(|r| r.study_deviation).collect::<Vec<_>>(),
        "mean" => ours(|f| Some(f.mean)),
        "ci95_low" => ours(|f| f.ci95.map(|c| c.0)),
        "ci95_high" => ours(|f| f.ci95.map(|c| c.1)),
        "n" => rows.iter().map(|r| r.n as u64).collect::<Vec<_>>(),
        "reason" => rows.iter().map(|r| r.reason.as_str()).collect::<Vec<_>>(),
    )
}
