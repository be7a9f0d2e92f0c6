//! What the daemons of a lab complained of in their logs.
//!
//! *Assumes* that what a process prints is in `nodes/NODE/log/PROCESS.log`. *Guarantees* that every line
//! of every log is looked at once, when the lab is closed, and that one finding at most is made of a
//! log, however much it complains.

use std::fs;
use std::path::Path;

use injectors::Complaint;
use results::{Finding, FindingKind, Severity};
use topologies::{Node, NodeRole};

use super::Lab;
use crate::tcpr;

/// How much of a line is quoted.
const QUOTED: usize = 240;

/// Complaints of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Complaints {
    gravest: Complaint,
    /// The first line of the gravest kind.
    line: String,
    lines: usize,
}

impl Complaints {
    fn of(text: &str, complaint: impl Fn(&str) -> Option<Complaint>) -> Option<Complaints> {
        let mut found: Option<Complaints> = None;
        for line in text.lines() {
            let Some(complaint) = complaint(line) else {
                continue;
            };
            let lines = found.as_ref().map_or(0, |f| f.lines) + 1;
            match &mut found {
                Some(before) if complaint <= before.gravest => before.lines = lines,
                _ => {
                    found = Some(Complaints {
                        gravest: complaint,
                        line: line.trim().to_owned(),
                        lines,
                    });
                }
            }
        }
        found
    }

    fn finding(&self, place: String) -> Finding {
        let (severity, what) = match self.gravest {
            Complaint::Warning => (Severity::Note, "a warning"),
            Complaint::Error => (Severity::Warning, "an error"),
            Complaint::Fatal => (
                Severity::Invalidating,
                "a daemon that stood still, or lost what it was told",
            ),
        };
        let lines = match self.lines {
            1 => "a line that is not expected tells".to_owned(),
            n => format!("{n} lines that are not expected; the gravest tells"),
        };
        let quoted: String = self.line.chars().take(QUOTED).collect();
        Finding {
            kind: FindingKind::UnexpectedLog,
            severity,
            place,
            message: format!("{lines} of {what}: `{quoted}`; read the log around it"),
        }
    }
}

impl Lab {
    /// Findings of all logs.
    pub(super) fn unexpected_lines(&self) -> Vec<Finding> {
        let nodes = self.scenario.topology.nodes.iter();
        nodes.flat_map(|node| self.of_node(node)).collect()
    }

    fn of_node(&self, node: &Node) -> Vec<Finding> {
        let entries = fs::read_dir(self.run.log_dir(&node.name));
        let mut logs: Vec<_> = entries.into_iter().flatten().flatten().collect();
        logs.sort_by_key(fs::DirEntry::path);
        logs.iter()
            .filter_map(|log| self.of_log(node, &log.path()))
            .collect()
    }

    /// A log that cannot be read complains of nothing: whoever wrote it could not write it either,
    /// and that is told.
    fn of_log(&self, node: &Node, log: &Path) -> Option<Finding> {
        let octets = fs::read(log).ok()?;
        let text = String::from_utf8_lossy(&octets);
        let process = log.file_stem()?.to_str()?;
        let found = Complaints::of(&text, |line| match (node.role, process) {
            (NodeRole::Router, _) => self.router.complaint(line),
            (NodeRole::Injector, tcpr::PROCESS) => tcpr::complaint(line),
            (NodeRole::Injector, super::probe::RECEIVER) => injectors::complaint::of_tracing(line),
            (NodeRole::Injector, _) => self.injector.complaint(line),
        })?;
        let place = log.strip_prefix(self.run.path()).unwrap_or(log);
        Some(found.finding(place.display().to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(text: &str) -> Option<Complaints> {
        Complaints::of(text, |line| match line {
            "warns" => Some(Complaint::Warning),
            "fails" | "fails anew" => Some(Complaint::Error),
            _ => None,
        })
    }

    #[test]
    fn the_first_of_the_gravest_lines_is_quoted_and_all_are_counted() {
        let found = complaints("well\nwarns\nfails\nwell\nfails anew\nwarns\n");
        let expected = Complaints {
            gravest: Complaint::Error,
            line: "fails".to_owned(),
            lines: 4,
        };
        assert_eq!(found, Some(expected));
        assert_eq!(complaints("well\nwell\n"), None);
    }

    #[test]
    fn what_a_daemon_says_of_itself_is_the_severity() {
        for (gravest, severity) in [
            (Complaint::Warning, Severity::Note),
            (Complaint::Error, Severity::Warning),
            (Complaint::Fatal, Severity::Invalidating),
        ] {
            let found = Complaints {
                gravest,
                line: "x".repeat(1000),
                lines: 3,
            };
            let finding = found.finding("nodes/r1/log/bgpd.log".to_owned());
            assert_eq!(finding.severity, severity);
            assert!(
                finding.message.starts_with("3 lines"),
                "{}",
                finding.message
            );
            assert!(finding.message.len() < 500, "{}", finding.message);
        }
    }
}
