//! A whole study: its campaigns and benchmarks, from their records to figures 7 to 9, 11 to 13 and
//! 21 to 25 and the table of study against measured.
//!
//! *Assumes* a study's directory in the format of docs/reproduction.md, whole or in part.
//! *Guarantees* that everything is computed anew from what is there, and that a part which is missing
//! or not whole is said to be so, and stands for nothing.

use std::fmt;
use std::path::PathBuf;

use results::benchmark::{BenchmarkInfo, Samples};
use results::realised::{RealisedMrai, Spread};
use results::study::{BENCHMARKS, StudyDir};

use crate::arms::Arm;
use crate::benchmarks::{self, BENCHMARK_FIGURES};
use crate::comparison::{self, Row};
use crate::figures::{self, FIGURES, Figure};
use crate::{AnalyzeError, Report, analyze, sheets, write_whole};

/// The campaigns of a study, by the name of their folder.
pub const CAMPAIGNS: [&str; 2] = ["control", "correlated"];
/// The folder of the MRAI probe.
pub const PROBE: &str = "mrai-probe";

/// A benchmark that is whole.
#[derive(Debug, Clone)]
pub struct Benchmark {
    /// Every value.
    pub samples: Samples,
    /// Where it was measured.
    pub info: BenchmarkInfo,
}

/// What a study has shown.
#[derive(Debug, Clone)]
pub struct StudyReport {
    /// Its directory.
    pub path: PathBuf,
    /// Its campaigns, those that have runs.
    pub campaigns: Vec<Report>,
    /// Its benchmarks, those that are whole.
    pub benchmarks: Vec<Benchmark>,
    /// What MRAI the routers realise, in words, if it was measured.
    pub realised_mrai: Option<String>,
    /// Study against measured.
    pub rows: Vec<Row>,
    /// Parts that are missing.
    pub missing: Vec<String>,
}

impl StudyReport {
    /// Whether every run in the campaigns counts.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.campaigns.iter().all(|c| c.valid_runs() == c.runs)
    }

    /// All arms of all campaigns.
    pub fn arms(&self) -> impl Iterator<Item = &Arm> {
        self.campaigns.iter().flat_map(|c| &c.arms)
    }
}

/// Computes everything anew from what a study recorded, and writes figures and tables.
///
/// # Errors
/// If a part cannot be read, or a result cannot be written.
pub fn analyze_study(study: &StudyDir) -> Result<StudyReport, AnalyzeError> {
    let mut report = StudyReport {
        path: study.path().to_owned(),
        campaigns: Vec::new(),
        benchmarks: Vec::new(),
        realised_mrai: realised_mrai(study),
        rows: Vec::new(),
        missing: Vec::new(),
    };
    if report.realised_mrai.is_none() {
        report.missing.push(PROBE.to_owned());
    }
    for name in CAMPAIGNS {
        let campaign = study.campaign(name)?;
        match campaign.map(|c| Ok::<_, AnalyzeError>((c.runs()?.is_empty(), c))) {
            None => report.missing.push(name.to_owned()),
            Some(Ok((true, _))) => report.missing.push(name.to_owned()),
            Some(Ok((false, campaign))) => {
                let campaign = analyze(campaign.path())?;
                let mrai = report.realised_mrai.as_deref();
                report
                    .rows
                    .extend(comparison::of_campaign(&campaign.arms, mrai));
                report.campaigns.push(campaign);
            }
            Some(Err(e)) => return Err(e),
        }
    }
    for name in BENCHMARKS {
        let files = study.benchmark(name);
        if !files.are_whole() {
            report.missing.push(format!("tcpr/{name}"));
            continue;
        }
        let (samples, info) = files.read()?;
        report.rows.extend(comparison::of_benchmark(&samples));
        report.benchmarks.push(Benchmark { samples, info });
    }
    report.rows.sort_by_key(|r| r.figure);
    write(study, &report)?;
    Ok(report)
}

/// What the probe's manifests say. Of a probe that is not there, or has not ended well, nothing.
pub(crate) fn realised_mrai(study: &StudyDir) -> Option<String> {
    let campaign = study.campaign(PROBE).ok()??;
    let runs = campaign.runs().ok()?;
    let mrai = runs.iter().find_map(|r| r.manifest().ok()?.realised_mrai)?;
    Some(realised_in_words(&mrai))
}

/// What an MRAI probe has measured.
pub(crate) fn realised_in_words(mrai: &RealisedMrai) -> String {
    let of = |spread: &Spread| {
        format!(
            "{} s ({} to {})",
            comparison::number(spread.median_s),
            comparison::number(spread.min_s),
            comparison::number(spread.max_s)
        )
    };
    format!(
        "first announcement after {}, second {} after it, withdrawal after {}, behind an announcement that is held back after {}; {} rounds",
        of(&mrai.first_announcement),
        of(&mrai.announcement_interval),
        of(&mrai.withdrawal),
        of(&mrai.withdrawal_behind_announcement),
        mrai.rounds
    )
}

/// The figure of a campaign under its number in the study.
fn numbered(campaign: &Report, figure: Figure) -> Option<Figure> {
    let failure = campaign.arms.first()?.manifest.failure;
    let name = match comparison::figure_of(failure, figure.metric)? {
        7 => "figure-07",
        8 => "figure-08",
        9 => "figure-09",
        11 => "figure-11",
        12 => "figure-12",
        13 => "figure-13",
        _ => return None,
    };
    Some(Figure { name, ..figure })
}

fn write(study: &StudyDir, report: &StudyReport) -> Result<(), AnalyzeError> {
    let folder = study.figures_dir();
    std::fs::create_dir_all(&folder).map_err(|source| AnalyzeError::Write {
        path: folder.clone(),
        source,
    })?;
    let both = |name: &str, svg: &str, pdf: &[u8]| {
        write_whole(&folder.join(format!("{name}.svg")), svg.as_bytes())?;
        write_whole(&folder.join(format!("{name}.pdf")), pdf)
    };
    for campaign in &report.campaigns {
        for figure in FIGURES.iter().filter_map(|f| numbered(campaign, *f)) {
            let svg = figures::to_svg(figure, &campaign.arms)?;
            let pdf = figures::to_pdf(figure, &svg)?;
            both(figure.name, &svg, &pdf)?;
        }
    }
    for benchmark in &report.benchmarks {
        let name = &benchmark.samples.benchmark;
        for figure in BENCHMARK_FIGURES.iter().filter(|f| f.benchmark == name) {
            let (svg, pdf) = benchmarks::draw(figure, &benchmark.samples)?;
            both(figure.name, &svg, &pdf)?;
        }
    }
    let table = |source| AnalyzeError::Table {
        file: "study.csv",
        source,
    };
    let mut sheet = comparison::to_sheet(&report.rows).map_err(table)?;
    let csv = sheets::to_csv(&mut sheet).map_err(table)?;
    write_whole(&study.study_csv(), &csv)?;
    write_whole(&study.study_md(), report.to_string().as_bytes())
}

impl fmt::Display for StudyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Surton (2014) against what was measured\n")?;
        for campaign in &self.campaigns {
            let Some(arm) = campaign.arms.first() else {
                continue;
            };
            let m = &arm.manifest;
            let mut tools: Vec<&str> = Vec::new();
            for tool in campaign.arms.iter().flat_map(|a| &a.tools) {
                if !tools.contains(&tool.as_str()) {
                    tools.push(tool);
                }
            }
            let arms = campaign
                .arms
                .iter()
                .map(|a| format!("{} {} of {} runs valid", a.strategy, a.valid, a.total));
            writeln!(
                f,
                "- {}: {} of {} routers ({} {}, MRAI {} s), injector {} {}; {}. {} CPUs, Linux {}; {}.",
                m.scenario,
                m.topology,
                m.size,
                m.router,
                m.router_version,
                m.mrai_s,
                m.injector,
                m.injector_version,
                arms.collect::<Vec<_>>().join(", "),
                m.host.cpus,
                m.host.kernel,
                tools.join(", ")
            )?;
        }
        if let Some(mrai) = &self.realised_mrai {
            writeln!(f, "- Realised MRAI: {mrai}.")?;
        }
        for Benchmark { samples, info } in &self.benchmarks {
            let s = &info.setting;
            writeln!(
                f,
                "- tcpr bench {}: tcpr {}, {} CPUs, Linux {}, {}{}.",
                samples.benchmark,
                s.version,
                s.cores,
                s.kernel,
                s.congestion_control,
                info.warnings
                    .iter()
                    .map(|w| format!("; warning: {w}"))
                    .collect::<String>()
            )?;
        }
        if !self.missing.is_empty() {
            writeln!(f, "- Not there, or not whole: {}.", self.missing.join(", "))?;
        }
        writeln!(f, "\n{}", comparison::to_markdown(&self.rows))?;
        writeln!(
            f,
            "Ours: mean over runs (of benchmarks, over rounds) and its 95 % confidence interval by \
             bootstrap. Links have no delay, in the study as here."
        )
    }
}
