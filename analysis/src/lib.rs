//! From sealed run directories to figures: frames, metrics, statistics, plots, report.
//!
//! *Assumes* a campaign directory in the format of docs/run-directory.md; no root, no live lab,
//! no router. *Guarantees* that run directories are only read, that every figure is a pure
//! function of the records in them (docs/metrics.md defines each), and that what makes a figure
//! doubtful is a finding beside it.
//!
//! The way of the data: [`load`] reads a run directory into a [`frame::Frame`]; [`tables`] replays
//! each node's routing table, [`reach`] follows the next hops through them, [`probe`] holds what
//! packets met against that, [`metrics`] makes the figures of a run, [`replay`] its course for the eye; [`arms`] and [`statistics`]
//! the figures of a campaign, [`differences`] and [`effects`] those between its arms, [`needed`] how many runs are still missing;
//! [`sheets`], [`figures`], [`report`] and the page (`page/`) are what a reader sees.

pub mod arms;
mod bands;
pub mod benchmarks;
pub mod comparison;
pub mod contrast;
mod contrast_files;
mod contrast_report;
pub mod cost;
mod course;
pub mod differences;
mod drawing;
pub mod effects;
pub mod export;
pub mod figures;
pub mod folder;
pub mod frame;
mod latex;
pub mod load;
pub mod making;
pub mod metrics;
pub mod needed;
mod node_records;
mod page;
mod paper;
mod pens;
mod pgfplots;
mod plot;
pub mod probe;
mod probe_records;
pub mod publication;
mod published;
pub mod reach;
pub mod realised;
pub mod replay;
pub mod report;
pub mod sheets;
pub mod statistics;
pub mod study;
pub mod tables;
mod trends;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use polars::prelude::PolarsError;
use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};
use results::storage::DirError;
use results::{CampaignDir, RunDir};

use crate::arms::MeasuredRun;
use crate::differences::Difference;
use crate::figures::{FIGURES, FigureError, Paper};
use crate::folder::FolderError;
pub use crate::page::PageError;
use crate::replay::Replay;
pub use crate::report::Report;
use crate::trends::{Trend, trends};

/// Why a campaign could not be analysed.
#[derive(Debug, thiserror::Error)]
pub enum AnalyzeError {
    /// The directory is not a campaign, or cannot be read.
    #[error(transparent)]
    Directory(#[from] DirError),
    /// The campaign has no run.
    #[error(
        "{} holds no run: nothing was measured yet; `flaplab run SCENARIO --out DIR` makes runs", path.display()
    )]
    NoRuns {
        /// The folder of the runs.
        path: PathBuf,
    },
    /// Not one of its runs can be read.
    #[error(
        "none of the {runs} runs in {} can be read; the first: {first}", path.display()
    )]
    NoReadableRun {
        /// The folder of the runs.
        path: PathBuf,
        /// How many there are.
        runs: usize,
        /// What is wrong with the first.
        first: String,
    },
    /// A table could not be made.
    #[error("cannot make the table {file}: {source}")]
    Table {
        /// Name of the table's file.
        file: &'static str,
        /// What polars said.
        source: PolarsError,
    },
    /// A figure could not be drawn.
    #[error(transparent)]
    Figure(#[from] FigureError),
    /// The page could not be made.
    #[error(transparent)]
    Page(#[from] PageError),
    /// A folder that was asked for could not be written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A result that is to be published could not be read.
    #[error("cannot read {}: {source}; `flaplab analyze` makes it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A result could not be written.
    #[error("cannot write {}: {source}; the records are untouched: free space or get the permission, and analyse again", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Computes everything anew from the runs of a campaign, writes the tables and figures beside
/// them, and returns the report. What it wrote before it replaces, each file at once; nothing
/// else is touched.
///
/// # Errors
/// If the directory is no campaign or has no readable run, or a result cannot be written. A run
/// that is damaged is no error: it is in the report with a finding.
pub fn analyze(campaign: &Path) -> Result<Report, AnalyzeError> {
    let campaign = CampaignDir::open(campaign)?;
    let (runs, replays) = measure_runs(&campaign)?;
    let arms = arms::group(&runs);
    let differences = differences::between_arms(&arms);
    write_sheets(&campaign, &runs, &arms, &differences)?;
    write_figures(&campaign, &arms)?;
    let page = page::render(&campaign, &arms, &runs, &replays)?;
    write_whole(&campaign.report_html(), page.as_bytes())?;
    Ok(Report::new(campaign.path(), arms, differences, &runs))
}

/// Reads and measures all runs of a campaign, several at a time, in the order of their names; beside
/// each, its replay if there is one.
pub(crate) fn measure_runs(
    campaign: &CampaignDir,
) -> Result<(Vec<MeasuredRun>, Vec<Option<Replay>>), AnalyzeError> {
    let dirs = campaign.runs()?;
    if dirs.is_empty() {
        return Err(AnalyzeError::NoRuns {
            path: campaign.runs_dir(),
        });
    }
    let (mut runs, replays): (Vec<MeasuredRun>, Vec<Option<Replay>>) =
        dirs.par_iter().map(measure_and_replay).unzip();
    arms::count_once(&mut runs);
    if runs.iter().all(|r| r.manifest.is_none()) {
        let finding = runs.iter().find_map(|r| r.findings.first());
        return Err(AnalyzeError::NoReadableRun {
            path: campaign.runs_dir(),
            runs: runs.len(),
            first: finding.map_or(String::new(), |f| f.message.clone()),
        });
    }
    Ok((runs, replays))
}

/// Reads and measures one run.
#[must_use]
pub fn measure_run(dir: &RunDir) -> MeasuredRun {
    measure_and_replay(dir).0
}

fn measure_and_replay(dir: &RunDir) -> (MeasuredRun, Option<Replay>) {
    let run = load::load(dir);
    let mut findings = run.findings;
    let mut replay = None;
    let metrics = run.frame.map(|frame| {
        let timelines = reach::follow(&frame);
        let (metrics, more) = metrics::measure_along(&frame, &timelines);
        replay = Some(Replay::of(&frame, &timelines));
        for finding in more {
            // The harness may have found the same, in its own words.
            if !findings.iter().any(|f| {
                f.kind == finding.kind && f.place == finding.place && f.severity >= finding.severity
            }) {
                findings.push(finding);
            }
        }
        metrics
    });
    // The result of an MRAI probe is not a figure of this crate's.
    let measured = metrics.is_some()
        || run
            .manifest
            .as_ref()
            .is_some_and(|m| m.realised_mrai.is_some());
    let valid = measured
        && run
            .manifest
            .as_ref()
            .is_some_and(|m| metrics::is_valid(m.status, &findings));
    let run = MeasuredRun {
        run_id: run.run_id,
        manifest: run.manifest,
        metrics,
        findings,
        valid,
    };
    (run, replay)
}

fn write_sheets(
    campaign: &CampaignDir,
    runs: &[MeasuredRun],
    arms: &[arms::Arm],
    differences: &[Difference],
) -> Result<(), AnalyzeError> {
    let table = |file| move |source| AnalyzeError::Table { file, source };
    let mut metrics = sheets::metrics(runs).map_err(table("metrics.csv"))?;
    let parquet = sheets::to_parquet(&mut metrics).map_err(table("metrics.parquet"))?;
    write_whole(&campaign.metrics_parquet(), &parquet)?;
    let csv = |mut sheet, file, path: PathBuf| {
        let bytes = sheets::to_csv(&mut sheet).map_err(table(file))?;
        write_whole(&path, &bytes)
    };
    csv(metrics, "metrics.csv", campaign.metrics_csv())?;
    let sheet = sheets::summary(arms).map_err(table("summary.csv"))?;
    csv(sheet, "summary.csv", campaign.summary_csv())?;
    let sheet = sheets::differences(differences).map_err(table("differences.csv"))?;
    csv(sheet, "differences.csv", campaign.differences_csv())?;
    let sheet = sheets::sessions(runs).map_err(table("sessions.csv"))?;
    csv(sheet, "sessions.csv", campaign.sessions_csv())?;
    let sheet = sheets::findings(runs).map_err(table("findings.csv"))?;
    csv(sheet, "findings.csv", campaign.findings_csv())
}

fn write_figures(campaign: &CampaignDir, arms: &[arms::Arm]) -> Result<(), AnalyzeError> {
    let folder = campaign.figures_dir();
    fs::create_dir_all(&folder).map_err(|source| AnalyzeError::Write {
        path: folder.clone(),
        source,
    })?;
    let sheets = figures::sheets(arms);
    let trends = trends(arms);
    FIGURES.par_iter().try_for_each(|&figure| {
        let at = |name: &str, ending| folder.join(format!("{}{name}.{ending}", figure.name));
        for sheet in &sheets {
            let svg = figures::sheet_to_svg(figure, sheet, arms)?;
            let pdf = figures::to_pdf(figure, &svg)?;
            write_whole(&at(&sheet.name, "svg"), svg.as_bytes())?;
            write_whole(&at(&sheet.name, "pdf"), &pdf)?;
        }
        for trend in &trends {
            let svg = trend.to_svg(Paper::PLAIN, figure)?;
            let pdf = figures::to_pdf(figure, &svg)?;
            write_whole(&at(&trend.name, "svg"), svg.as_bytes())?;
            write_whole(&at(&trend.name, "pdf"), &pdf)?;
        }
        // One of fewer arms, of before the campaign grew, would be taken for a current one.
        let no_sheet = sheets.iter().all(|s| !s.name.is_empty());
        let sheet = no_sheet.then(String::new);
        for name in sheet
            .into_iter()
            .chain(trends.iter().filter_map(Trend::outdated))
        {
            for ending in ["svg", "pdf"] {
                remove_outdated(&at(&name, ending))?;
            }
        }
        Ok(())
    })
}

fn remove_outdated(path: &Path) -> Result<(), AnalyzeError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(AnalyzeError::Write {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

/// Writes a file so that whoever reads it finds its old content or its new one.
fn write_whole(path: &Path, content: &[u8]) -> Result<(), AnalyzeError> {
    let mut temp = path.as_os_str().to_owned();
    temp.push(".tmp");
    let temp = PathBuf::from(temp);
    fs::write(&temp, content)
        .and_then(|()| fs::rename(&temp, path))
        .map_err(|source| {
            // What is half written helps nobody; the error that matters is the first.
            let _ = fs::remove_file(&temp);
            AnalyzeError::Write {
                path: path.to_owned(),
                source,
            }
        })
}

#[cfg(test)]
mod tests;
