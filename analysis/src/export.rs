//! A campaign as the folder that goes with a paper: figures, data, tables, and how each is redrawn.
//!
//! *Assumes* a campaign directory, which is only read. *Guarantees* that everything in the folder
//! is computed from the records anew, that the folder is new, and that the same records give the
//! same octets.

use std::path::{Path, PathBuf};

use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};
use results::publication::PublishedFile;
use results::{CampaignDir, Host};
use serde::Serialize;

use crate::AnalyzeError;
use crate::arms::{self, Arm, MeasuredRun};
use crate::differences::{self, Difference};
use crate::figures::{self, FIGURES, Figure, FigureError};
use crate::folder::{Folder, FolderError, refuse_existing};
use crate::latex;
use crate::measure_runs;
use crate::paper::Paper;
use crate::pgfplots;
use crate::sheets;
use crate::trends::trends;

const README: &str = include_str!("../assets/export/README.md");
const PREVIEW: &str = include_str!("../assets/export/preview.tex");

/// Why a campaign could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It could not be analysed, or the folder not be written.
    #[error(transparent)]
    Analyze(#[from] AnalyzeError),
    /// It has no figures.
    #[error(
        "no run in {} is valid, so there is nothing to draw: `flaplab analyze` tells what was found", path.display()
    )]
    NoValidRun {
        /// The campaign.
        path: PathBuf,
    },
    /// The folder would be taken for a run.
    #[error(
        "{} lies among the runs of the campaign, where it would be taken for one: name a folder elsewhere", path.display()
    )]
    AmongRuns {
        /// The folder.
        path: PathBuf,
    },
}

/// `manifest.json` of the folder.
#[derive(Debug, Serialize)]
struct Manifest<'a> {
    schema_version: u32,
    campaign: String,
    scenarios: Vec<&'a str>,
    tools: Vec<&'a str>,
    routers: Vec<String>,
    injectors: Vec<String>,
    hosts: Vec<&'a Host>,
    arms: Vec<ExportedArm<'a>>,
    runs: Vec<ExportedRun<'a>>,
    files: Vec<PublishedFile>,
}

#[derive(Debug, Serialize)]
struct ExportedArm<'a> {
    scenario: &'a str,
    strategy: String,
    /// Values of the matrix; empty without one.
    cell: String,
    topology: &'a str,
    size: usize,
    failure: String,
    mrai_s: f64,
    runs: usize,
    valid: usize,
}

#[derive(Debug, Serialize)]
struct ExportedRun<'a> {
    run_id: &'a str,
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<&'a str>,
}

/// Writes the folder of a campaign. Returns the names of its files.
///
/// # Errors
/// If the folder is there already or cannot be written, if the directory is no campaign, or if it
/// has no valid run.
pub fn export(campaign: &Path, to: &Path) -> Result<Vec<String>, ExportError> {
    refuse_existing(to).map_err(AnalyzeError::from)?;
    let campaign = CampaignDir::open(campaign).map_err(AnalyzeError::from)?;
    refuse_among_runs(&campaign, to)?;
    let (runs, _) = measure_runs(&campaign)?;
    let arms = arms::group(&runs);
    if arms.iter().all(|a| a.valid == 0) {
        return Err(ExportError::NoValidRun {
            path: campaign.path().to_owned(),
        });
    }
    let differences = differences::between_arms(&arms);
    let mut folder = Folder::default();
    add_figures(&mut folder, &arms).map_err(AnalyzeError::from)?;
    let mut drawn = Vec::new();
    for figure in FIGURES {
        for sheet in figures::sheets(&arms) {
            drawn.push(pgfplots::add(&mut folder, figure, &sheet, &arms));
        }
    }
    folder.add("tables/summary.tex", latex::summary(&arms));
    folder.add("tables/differences.tex", latex::differences(&differences));
    add_data(&mut folder, &runs, &arms, &differences)?;
    let scenario = campaign.scenario_text().map_err(AnalyzeError::from)?;
    folder.add("scenario.yaml", scenario);
    let inputs = drawn
        .iter()
        .map(|name| format!("\\input{{{name}}}\\hfill\n"));
    let preview = PREVIEW.replace("%FIGURES%\n", &inputs.collect::<String>());
    folder.add("preview.tex", preview);
    folder.add("README.md", readme(&campaign, &runs, &arms));
    let manifest = manifest(&campaign, &runs, &arms, &folder);
    folder.add("manifest.json", manifest);
    folder.write(to).map_err(AnalyzeError::from)?;
    Ok(folder.files().map(|(name, _)| name.to_owned()).collect())
}

/// What lies among the runs is taken for a run by every analysis after this one.
fn refuse_among_runs(campaign: &CampaignDir, to: &Path) -> Result<(), ExportError> {
    let parent = match to.parent() {
        Some(p) if p != Path::new("") => p,
        _ => Path::new("."),
    };
    let place = parent.canonicalize().ok();
    let runs = campaign.runs_dir().canonicalize().ok();
    match place.zip(runs) {
        Some((place, runs)) if place.starts_with(&runs) => Err(ExportError::AmongRuns {
            path: to.to_owned(),
        }),
        _ => Ok(()),
    }
}

fn add_figures(folder: &mut Folder, arms: &[Arm]) -> Result<(), FigureError> {
    let sizes = [
        ("one-column", Paper::ONE_COLUMN),
        ("two-columns", Paper::TWO_COLUMNS),
    ];
    type Drawn = Result<Vec<(String, String, Vec<u8>)>, FigureError>;
    let file = |figure: &Figure, name: &str, width, svg: String| {
        let pdf = figures::to_pdf(*figure, &svg)?;
        Ok((format!("figures/{width}/{}{name}", figure.name), svg, pdf))
    };
    let sheets = figures::sheets(arms);
    let trends = trends(arms);
    let drawn = FIGURES.par_iter().map(|figure| -> Drawn {
        let mut drawn = Vec::new();
        for (width, paper) in sizes {
            for sheet in &sheets {
                let svg = figures::sheet_to_svg_on(paper, *figure, sheet, arms)?;
                drawn.push(file(figure, &sheet.name, width, svg)?);
            }
            for trend in &trends {
                let svg = trend.to_svg(paper, *figure)?;
                drawn.push(file(figure, &trend.name, width, svg)?);
            }
        }
        Ok(drawn)
    });
    let drawn = drawn.collect::<Result<Vec<_>, FigureError>>()?;
    for (name, svg, pdf) in drawn.into_iter().flatten() {
        folder.add(format!("{name}.pdf"), pdf);
        folder.add(format!("{name}.svg"), svg);
    }
    Ok(())
}

fn add_data(
    folder: &mut Folder,
    runs: &[MeasuredRun],
    arms: &[Arm],
    differences: &[Difference],
) -> Result<(), AnalyzeError> {
    let table = |file| move |source| AnalyzeError::Table { file, source };
    let mut metrics = sheets::metrics(runs).map_err(table("metrics.csv"))?;
    let parquet = sheets::to_parquet(&mut metrics).map_err(table("metrics.parquet"))?;
    folder.add("data/metrics.parquet", parquet);
    for (file, sheet) in [
        ("metrics.csv", Ok(metrics)),
        ("summary.csv", sheets::summary(arms)),
        ("differences.csv", sheets::differences(differences)),
        ("sessions.csv", sheets::sessions(runs)),
        ("findings.csv", sheets::findings(runs)),
    ] {
        let csv = sheet.and_then(|mut sheet| sheets::to_csv(&mut sheet));
        folder.add(format!("data/{file}"), csv.map_err(table(file))?);
    }
    Ok(())
}

/// Every value once, in the order in which it first occurs.
fn each<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut once = Vec::new();
    for value in values {
        if !once.contains(&value) {
            once.push(value);
        }
    }
    once
}

fn name(campaign: &CampaignDir) -> String {
    let path = campaign.path();
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    whole
        .file_name()
        .map_or_else(String::new, |n| n.to_string_lossy().into_owned())
}

fn readme(campaign: &CampaignDir, runs: &[MeasuredRun], arms: &[Arm]) -> String {
    let experiments = each(arms.iter().map(|a| {
        let m = &a.manifest;
        format!(
            "`{}`: failure `{}`, {} of {} routers ({} {}, MRAI {} s)",
            m.scenario, m.failure, m.topology, m.size, m.router, m.router_version, m.mrai_s
        )
    }));
    let tools = each(arms.iter().flat_map(|a| a.tools.iter().map(String::as_str)));
    let valid: usize = arms.iter().map(|a| a.valid).sum();
    README
        .replace("{{campaign}}", &name(campaign))
        .replace("{{experiments}}", &experiments.join("; "))
        .replace("{{tools}}", &tools.join(", "))
        .replace("{{valid}}", &valid.to_string())
        .replace("{{runs}}", &runs.len().to_string())
}

fn manifest(campaign: &CampaignDir, runs: &[MeasuredRun], arms: &[Arm], folder: &Folder) -> String {
    let manifests = || runs.iter().filter_map(|r| r.manifest.as_ref());
    let manifest = Manifest {
        schema_version: 1,
        campaign: name(campaign),
        scenarios: each(arms.iter().map(|a| a.scenario.as_str())),
        tools: each(arms.iter().flat_map(|a| a.tools.iter().map(String::as_str))),
        routers: each(manifests().map(|m| format!("{} {}", m.router, m.router_version))),
        injectors: each(manifests().map(|m| format!("{} {}", m.injector, m.injector_version))),
        hosts: each(manifests().map(|m| &m.host)),
        arms: arms
            .iter()
            .map(|a| ExportedArm {
                scenario: &a.scenario,
                strategy: a.strategy.to_string(),
                cell: a.cell.to_string(),
                topology: &a.manifest.topology,
                size: a.manifest.size,
                failure: a.manifest.failure.to_string(),
                mrai_s: a.manifest.mrai_s,
                runs: a.total,
                valid: a.valid,
            })
            .collect(),
        runs: runs
            .iter()
            .map(|r| ExportedRun {
                run_id: &r.run_id,
                valid: r.valid,
                run_index: r.manifest.as_ref().map(|m| m.run_index),
                seed: r.manifest.as_ref().map(|m| m.seed),
                started_at: r.manifest.as_ref().map(|m| m.started_at.as_str()),
            })
            .collect(),
        files: folder
            .files()
            .map(|(name, content)| PublishedFile::of(name, content))
            .collect(),
    };
    // Strings, numbers and lists of them: nothing that JSON lacks.
    let text = serde_json::to_string_pretty(&manifest).unwrap_or_default();
    text + "\n"
}

impl From<FolderError> for ExportError {
    fn from(error: FolderError) -> Self {
        Self::Analyze(error.into())
    }
}
