//! The report: what was measured, beside what was published, and what makes it doubtful.
//!
//! *Assumes* the arms and runs of one campaign. *Guarantees* that no figure stands without the
//! router that it was measured on and the number of runs behind it, and that every finding is
//! counted. Displayed as text for a terminal.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};
use results::{FindingKind, Manifest, Severity};
use topologies::FailureKind;

use crate::arms::{Arm, MeasuredRun, Metric};
use crate::differences::Difference;
use crate::needed;
use crate::published;
use crate::realised::{self, Realised};
use crate::sheets::word;

/// The metrics of the report's table.
const COLUMNS: [(Metric, &str); 3] = [
    (Metric::Convergence, "convergence, s"),
    (Metric::Disconnected, "disconnected, s"),
    (Metric::Updates, "updates / router"),
];
/// Those that follow where an arm has a data-plane probe.
const PROBE_COLUMNS: [(Metric, &str); 2] = [
    (Metric::ProbeDisconnected, "disconnected by probe, s"),
    (Metric::ProbesLost, "probes lost / run"),
];

/// How often something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FindingCount {
    /// What it does to a run.
    pub severity: Severity,
    /// What was found.
    pub kind: FindingKind,
    /// How often.
    pub findings: usize,
    /// In how many runs.
    pub runs: usize,
}

/// What a campaign has shown.
#[derive(Debug, Clone)]
pub struct Report {
    /// The campaign directory.
    pub campaign: PathBuf,
    /// Its arms with their statistics.
    pub arms: Vec<Arm>,
    /// What lies between them, in each metric.
    pub differences: Vec<Difference>,
    /// What MRAI the routers realised, of each run that measured it.
    pub realised: Vec<Realised>,
    /// Number of runs, each counted once, unreadable ones included.
    pub runs: usize,
    /// Number of attempts at them: run directories.
    pub attempts: usize,
    /// Number of runs whose manifest cannot be read, and that therefore belong to no arm.
    pub unreadable: usize,
    /// What was found, the gravest first.
    pub findings: Vec<FindingCount>,
}

impl Report {
    pub(crate) fn new(
        campaign: &Path,
        arms: Vec<Arm>,
        differences: Vec<Difference>,
        runs: &[MeasuredRun],
    ) -> Self {
        let mut counts: BTreeMap<(Severity, FindingKind), (usize, usize)> = BTreeMap::new();
        for run in runs {
            let mut seen = Vec::new();
            for finding in &run.findings {
                let key = (finding.severity, finding.kind);
                let count = counts.entry(key).or_default();
                count.0 += 1;
                if !seen.contains(&key) {
                    seen.push(key);
                    count.1 += 1;
                }
            }
        }
        let unreadable = runs.iter().filter(|r| r.manifest.is_none()).count();
        Self {
            campaign: campaign.to_owned(),
            realised: realised::of(runs),
            runs: arms.iter().map(|a| a.total).sum::<usize>() + unreadable,
            attempts: runs.len(),
            arms,
            differences,
            unreadable,
            findings: counts
                .into_iter()
                .rev()
                .map(|((severity, kind), (findings, runs))| FindingCount {
                    severity,
                    kind,
                    findings,
                    runs,
                })
                .collect(),
        }
    }

    /// Number of runs whose figures count.
    #[must_use]
    pub fn valid_runs(&self) -> usize {
        self.arms.iter().map(|a| a.valid).sum()
    }

    /// The table of one scenario.
    fn table(arms: &[Arm]) -> Table {
        let mut columns = COLUMNS.to_vec();
        let probed = |arm: &Arm| arm.sample(Metric::ProbeDisconnected).summary.n > 0;
        if arms.iter().any(probed) {
            columns.extend(PROBE_COLUMNS);
        }
        let mut table = Table::new();
        table
            .load_style(UTF8_FULL_CONDENSED)
            .set_content_arrangement(ContentArrangement::Disabled);
        let mut header = vec!["strategy", "router", "valid runs"];
        header.extend(columns.iter().map(|(_, title)| title));
        table.set_header(header);
        for arm in arms {
            let mut row = vec![
                Cell::new(arm.label()),
                Cell::new(routers(arm)),
                right(format!("{} of {}", arm.valid, arm.total)),
            ];
            row.extend(
                columns
                    .iter()
                    .map(|&(metric, _)| right(figure(arm, metric))),
            );
            table.add_row(row);
            if let Some(study) = published::beside(arm) {
                let mut row = vec![
                    Cell::new("  Surton (2014)"),
                    Cell::new(&study.router),
                    right(study.runs.clone()),
                ];
                row.extend(
                    columns
                        .iter()
                        .map(|&(metric, _)| right(study.figure(metric))),
                );
                table.add_row(row);
            }
        }
        table
    }

    /// What lies between the first arm of one scenario and its others, in the metrics of the table.
    fn write_differences(&self, arms: &[Arm], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = arms.iter().find(|a| a.valid > 0) else {
            return Ok(());
        };
        let first = first.strategy.to_string();
        let shown: Vec<&Difference> = self
            .differences
            .iter()
            .filter(|d| d.scenario == arms[0].scenario && d.against == first)
            .filter(|d| COLUMNS.iter().any(|(m, _)| *m == d.metric))
            .collect();
        let Some(comparisons) = shown.first().map(|d| d.tests.comparisons) else {
            return Ok(());
        };
        writeln!(f, "{}", differences_table(&shown, &first))?;
        let paired = shown.iter().filter(|d| d.pairs.is_some()).count();
        let pairs = match paired {
            0 => "runs are not paired",
            n if n == shown.len() => "runs of equal draws are compared in pairs",
            _ => "runs of equal draws are compared in pairs where there are enough",
        };
        writeln!(
            f,
            "Differences of means [95 % confidence interval]; {pairs}. p: Mann-Whitney, adjusted for {comparisons} \
             comparisons (Holm).\n"
        )
    }

    /// Runs of one lab are no independent draws, which every interval takes them for.
    fn write_reuse(arms: &[Arm], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for arm in arms.iter().filter(|a| a.reused > 0) {
            writeln!(
                f,
                "{}: {} of {} valid runs were made in a lab that had carried others (`fresh: false`): they depend on \
                 one another, and the intervals are too narrow (docs/reused-labs.md).",
                arm.label(),
                arm.reused,
                arm.valid
            )?;
        }
        Ok(())
    }

    fn write_findings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.findings.is_empty() {
            return writeln!(f, "Findings: none in {} runs.", self.attempts);
        }
        let again = self.attempts - self.runs;
        writeln!(
            f,
            "Findings (each with its place and remedy in findings.csv):"
        )?;
        for c in &self.findings {
            writeln!(
                f,
                "  {:<13} {:<22} {} in {} of {} {}",
                word(&c.severity),
                word(&c.kind),
                c.findings,
                c.runs,
                self.attempts,
                if again == 0 { "runs" } else { "attempts" }
            )?;
        }
        if self.unreadable > 0 {
            writeln!(
                f,
                "  {} runs have no readable manifest and stand in no arm.",
                self.unreadable
            )?;
        }
        if again > 0 {
            writeln!(
                f,
                "  {} runs were attempted {} times: one valid attempt of each counts, the others are \
                 kept in runs/ and left out.",
                self.runs, self.attempts
            )?;
        }
        if self.valid_runs() < self.runs {
            writeln!(
                f,
                "  {} of {} runs are left out of the figures above.",
                self.runs - self.valid_runs(),
                self.runs
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = |arm: &Arm| arm.manifest.failure != FailureKind::MraiProbe;
        for arms in self.arms.chunk_by(|a, b| a.scenario == b.scenario) {
            let m = &arms[0].manifest;
            writeln!(
                f,
                "{}: failure `{}`, {}",
                m.scenario,
                each(arms, |m| m.failure.to_string()),
                each(arms, |m| format!("{} of {} routers", m.topology, m.size))
            )?;
            if failed(&arms[0]) {
                writeln!(f, "{}", Self::table(arms))?;
                Self::write_reuse(arms, f)?;
                self.write_differences(arms, f)?;
            }
        }
        for realised in &self.realised {
            write!(f, "{realised}")?;
        }
        if self.arms.iter().any(failed) {
            writeln!(
                f,
                "Mean over runs [95 % confidence interval of the mean]; disconnection and updates are \
                 means over the routers of a run first."
            )?;
        }
        if self.arms.iter().any(|a| published::beside(a).is_some()) {
            writeln!(f, "{}", published::CAUTION)?;
        }
        let wide = needed::wide(&self.arms, &COLUMNS.map(|(m, _)| m));
        if !wide.is_empty() {
            writeln!(
                f,
                "\nWide intervals, and the runs that would make them narrower (docs/statistics.md):"
            )?;
        }
        for wide in wide {
            writeln!(f, "  {wide}")?;
        }
        writeln!(f)?;
        self.write_findings(f)?;
        writeln!(f)?;
        let at = self.campaign.display();
        writeln!(
            f,
            "Page:    {at}/report.html (curves, findings, each run's replay)"
        )?;
        writeln!(f, "Figures: {at}/figures/*.svg and *.pdf")?;
        writeln!(
            f,
            "Tables:  {at}/metrics.csv, metrics.parquet, summary.csv, differences.csv, sessions.csv, findings.csv"
        )
    }
}

/// A row per arm and metric.
fn differences_table(shown: &[&Difference], first: &str) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header([
            "arm",
            "in",
            &format!("against {first}"),
            "a run of it is",
            "p",
        ]);
    let mut last = String::new();
    for d in shown {
        // An arm is named once, above its metrics.
        let arm = d.arm();
        let name = if arm == last { "" } else { &arm };
        let title = COLUMNS.iter().find(|(m, _)| *m == d.metric);
        let title = title.map_or(d.metric.name(), |(_, t)| t.split(',').next().unwrap_or(t));
        table.add_row([
            Cell::new(name),
            Cell::new(title),
            Cell::new(d.in_words()),
            Cell::new(d.overlap()),
            right(d.chance()),
        ]);
        last = arm;
    }
    table
}

/// What all arms have, or all that there is if the matrix varies it.
pub(crate) fn each<'a>(
    arms: impl IntoIterator<Item = &'a Arm>,
    of: impl Fn(&Manifest) -> String,
) -> String {
    let mut all: Vec<String> = Vec::new();
    for arm in arms {
        let this = of(&arm.manifest);
        if !all.contains(&this) {
            all.push(this);
        }
    }
    all.join(", ")
}

fn right(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// The routers behind an arm's figures. All runs of an arm should agree; if not, it is shown.
pub(crate) fn routers(arm: &Arm) -> String {
    arm.routers
        .iter()
        .map(|(router, version, mrai_s)| format!("{router} {version}, MRAI {mrai_s} s"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Mean and interval, with digits enough to compare arms by; the rest is in summary.csv.
pub(crate) fn figure(arm: &Arm, metric: Metric) -> String {
    let Some(figures) = arm.sample(metric).summary.figures else {
        return "-".to_owned();
    };
    let digits = if figures.max < 100.0 { 2 } else { 1 };
    let mean = format!("{:.digits$}", figures.mean);
    match figures.ci95 {
        None => mean,
        Some((low, high)) => format!("{mean}\n[{low:.digits$}, {high:.digits$}]"),
    }
}
