//! The report on a capture.
//!
//! *Assumes* that its reader has the capture open in Wireshark beside it.
//! *Guarantees* that what was not judged is said, and that the last line says how it is.

use std::io::{self, Write};
use std::path::PathBuf;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::json;
use tcpr_check::{Course, Ending, Finding, Place, Settings, Severity, Verdict};

use super::capture::Stop;

/// A verdict, and what it is about.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) file: PathBuf,
    pub(super) stop: Option<Stop>,
    pub(super) settings: Settings,
    pub(super) verdict: Verdict,
}

impl Report {
    pub(super) fn print_json(&self) -> io::Result<()> {
        let at = match self.settings.place {
            Place::Host(address) => Some(address),
            Place::Unknown | Place::Both => None,
        };
        let object = json!({
            "file": self.file.display().to_string(),
            "clean": self.verdict.is_clean(),
            "violations": self.verdict.violations(),
            "notes": self.verdict.notes(),
            "stopped": self.stop,
            "settings": {
                "at": at,
                "complete": self.settings.complete,
                "in_order": self.settings.in_order,
                "whole_segments": self.settings.whole_segments,
                "checksums": self.settings.checksums,
            },
            "verdict": self.verdict,
        });
        let text = serde_json::to_string_pretty(&object)? + "\n";
        io::stdout().write_all(text.as_bytes())
    }

    pub(super) fn print(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        write!(out, "{}", table(&self.verdict.connections))?;
        for course in &self.verdict.connections {
            for finding in &course.findings {
                writeln!(out, "\n{}", self.finding(finding))?;
            }
            let kept = course.findings.len() as u64;
            let more = course.violations + course.notes - kept;
            if more > 0 {
                let [one, other] = course.ends.map(|end| end.address);
                writeln!(out, "\nand {more} more of these between {one} and {other}")?;
            }
        }
        writeln!(out)?;
        for remark in self.remarks() {
            writeln!(out, "{remark}")?;
        }
        writeln!(out, "{}", self.conclusion())
    }

    fn finding(&self, finding: &Finding) -> String {
        let severity = match finding.severity {
            Severity::Violation => "",
            Severity::Note => " (note)",
        };
        let since = finding.time.saturating_sub(self.verdict.began);
        format!(
            "packet {}  {:.6} s  {}  {}{severity}\n    seen      {}\n    expected  {}\n    {} {}",
            finding.packet,
            since.as_secs_f64(),
            finding.sender,
            finding.rule,
            finding.seen,
            finding.expected,
            finding.rule.meaning(),
            finding.rule.clause(),
        )
    }

    /// What was not judged.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        match self.stop {
            Some(Stop::CutShort(at)) => remarks.push(format!(
                "the file ends inside what begins at octet {at}: the {} packets before were judged",
                self.verdict.packets
            )),
            Some(Stop::Damaged(at)) => remarks.push(format!(
                "the file makes no sense from octet {at} on: the {} packets before were judged",
                self.verdict.packets
            )),
            None => {}
        }
        let counts = [
            (
                self.verdict.uncounted.damaged,
                "damaged packets were not judged",
            ),
            (
                self.verdict.uncounted.fragments,
                "fragments were not judged",
            ),
            (
                self.ends().map(|end| end.cut).sum(),
                "segments were captured without all of their octets, which were not compared \
                 (capture with `-s 0`)",
            ),
        ];
        let counted = counts.iter().filter(|(count, _)| *count > 0);
        remarks.extend(counted.map(|(count, what)| format!("{count} {what}")));
        if !self.ends().all(|end| end.from_syn) {
            remarks.push(
                "connections whose beginning is not in the capture were judged without what their \
                 SYNs agree upon"
                    .to_owned(),
            );
        }
        remarks
    }

    fn ends(&self) -> impl Iterator<Item = &tcpr_check::End> {
        self.verdict
            .connections
            .iter()
            .flat_map(|course| &course.ends)
    }

    fn conclusion(&self) -> String {
        let connections = counted(self.verdict.connections.len() as u64, "connection");
        let notes = match self.verdict.notes() {
            0 => String::new(),
            notes => format!(" ({})", counted(notes, "note")),
        };
        match self.verdict.violations() {
            0 => format!(
                "clean: in {connections} nothing was seen that TCPs which never failed could not \
                 have sent{notes}"
            ),
            violations => format!(
                "not clean: {} in {connections}, which no one TCP that never failed can have \
                 sent{notes}",
                counted(violations, "violation")
            ),
        }
    }
}

fn table(connections: &[Course]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "A",
        "B",
        "PACKETS A",
        "OCTETS A",
        "PACKETS B",
        "OCTETS B",
        "LASTED",
        "ENDED",
        "VERDICT",
    ]);
    for course in connections {
        let [one, other] = &course.ends;
        table.add_row([
            one.address.to_string(),
            other.address.to_string(),
            one.packets.to_string(),
            one.octets.to_string(),
            other.packets.to_string(),
            other.octets.to_string(),
            format!("{:.3}s", course.lasted.as_secs_f64()),
            ended(course),
            sentence(course),
        ]);
    }
    for column in 2..7 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned() + "\n");
    lines.collect()
}

fn ended(course: &Course) -> String {
    match course.ending {
        Ending::Open => "no".to_owned(),
        Ending::Closed => "closed".to_owned(),
        Ending::Reset(address) if address == course.ends[0].address => "reset by A".to_owned(),
        Ending::Reset(_) => "reset by B".to_owned(),
    }
}

fn sentence(course: &Course) -> String {
    let violations = match course.violations {
        0 => "clean".to_owned(),
        violations => counted(violations, "violation"),
    };
    match course.notes {
        0 => violations,
        notes => format!("{violations}, {}", counted(notes, "note")),
    }
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
