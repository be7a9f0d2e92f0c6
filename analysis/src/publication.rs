//! From a study to the small set that is published of it.
//!
//! *Assumes* a study that was computed. *Guarantees* that every point of its distributions is in the
//! set: of campaigns each run's value, of benchmarks, which have ten thousands, their percentiles.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use results::publication::{self, PublishedArm, PublishedBenchmarkRun, PublishedSet};
use results::study::StudyDir;

use crate::AnalyzeError;
use crate::comparison::figure_of;
use crate::figures::FIGURES;
use crate::statistics::quantile;
use crate::study::StudyReport;

/// Writes the set of a study. What it wrote there before it replaces.
///
/// # Errors
/// If a file of the study cannot be read, or one of the set cannot be written.
pub fn publish(report: &StudyReport, to: &Path) -> Result<(), AnalyzeError> {
    let study = StudyDir::find(&report.path)?;
    let mut files = vec![
        (
            "distributions.csv".to_owned(),
            distributions(report).into_bytes(),
        ),
        (
            "benchmarks.csv".to_owned(),
            percentiles(report).into_bytes(),
        ),
    ];
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| AnalyzeError::Read {
            path: path.to_owned(),
            source,
        })
    };
    if let Some(study) = study {
        for (name, path) in [
            ("study.md", study.study_md()),
            ("study.csv", study.study_csv()),
        ] {
            files.push((name.to_owned(), read(&path)?));
        }
        for number in [7, 8, 9, 11, 12, 13, 21, 22, 23, 24, 25] {
            let name = format!("figure-{number:02}.svg");
            let path = study.figures_dir().join(&name);
            if path.exists() {
                files.push((format!("figures/{name}"), read(&path)?));
            }
        }
    }
    publication::write(to, manifest(report), &files)?;
    Ok(())
}

fn manifest(report: &StudyReport) -> PublishedSet {
    let mut hosts = Vec::new();
    for arm in report.arms() {
        if !hosts.contains(&arm.manifest.host) {
            hosts.push(arm.manifest.host.clone());
        }
    }
    let of_arms = |of: fn(&results::Manifest) -> String| -> Vec<String> {
        let all: BTreeSet<String> = report.arms().map(|a| of(&a.manifest)).collect();
        all.into_iter().collect()
    };
    PublishedSet {
        schema_version: 1,
        study: "surton2014".to_owned(),
        tools: report
            .arms()
            .flat_map(|a| a.tools.clone())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
        hosts,
        routers: of_arms(|m| format!("{} {}", m.router, m.router_version)),
        injectors: of_arms(|m| format!("{} {}", m.injector, m.injector_version)),
        realised_mrai: report.realised_mrai.clone(),
        measured_at: of_arms(|m| m.started_at.clone()).pop().unwrap_or_default(),
        arms: report
            .arms()
            .map(|a| PublishedArm {
                scenario: a.scenario.clone(),
                strategy: a.strategy.to_string(),
                runs: a.total,
                valid: a.valid,
            })
            .collect(),
        benchmarks: report
            .benchmarks
            .iter()
            .map(|b| PublishedBenchmarkRun {
                benchmark: b.samples.benchmark.clone(),
                version: b.info.setting.version.clone(),
                warnings: b.info.warnings.clone(),
            })
            .collect(),
        files: Vec::new(),
    }
}

/// The value of every valid run, ascending, for each figure and arm.
fn distributions(report: &StudyReport) -> String {
    let mut text = "figure,scenario,strategy,metric,unit,value\n".to_owned();
    for arm in report.arms() {
        for metric in FIGURES.map(|f| f.metric) {
            let Some(figure) = figure_of(arm.manifest.failure, metric) else {
                continue;
            };
            for value in &arm.sample(metric).values {
                // Writing to a string cannot fail.
                let _ = writeln!(
                    text,
                    "{figure},{},{},{},{},{value}",
                    arm.scenario,
                    arm.strategy,
                    metric.name(),
                    metric.unit()
                );
            }
        }
    }
    text
}

/// The percentiles of every series of every benchmark.
fn percentiles(report: &StudyReport) -> String {
    let mut text = "benchmark,course,case,unit,n,percentile,value\n".to_owned();
    for benchmark in &report.benchmarks {
        for series in &benchmark.samples.series {
            let values = series.sorted();
            for percentile in (0..=100).filter(|_| !values.is_empty()) {
                let value = quantile(&values, f64::from(percentile) / 100.0);
                // A nanosecond; a kilobit a second: finer than anything that was measured.
                let value = (value * 1e3).round() / 1e3;
                let _ = writeln!(
                    text,
                    "{},{},{},{},{},{percentile},{value}",
                    benchmark.samples.benchmark,
                    series.course,
                    series.case,
                    series.unit,
                    values.len()
                );
            }
        }
    }
    text
}
