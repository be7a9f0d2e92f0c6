//! Findings: what breaks a rule, and where.
//!
//! *Assumes* that a finding is made where it is seen.
//! *Guarantees* that a trace that breaks a rule at every packet does not fill the memory: of each
//! rule and direction the first ones are kept and the others counted.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::rule::Rule;
use crate::settings::Settings;

/// How much a finding says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// No one TCP can have sent this.
    Violation,
    /// One TCP may have, though it is unusual; or the trace does not tell.
    Note,
}

/// A place where a rule is broken, or seems to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which rule.
    pub rule: Rule,
    /// How much it says.
    pub severity: Severity,
    /// Number of the packet, from 1, as Wireshark counts.
    pub packet: u64,
    /// When the packet was captured.
    #[serde(rename = "time_s", serialize_with = "seconds")]
    pub time: Duration,
    /// Who sent it.
    pub sender: SocketAddr,
    /// What was seen. Octets are numbered from the sender's SYN on, or from the first one in the
    /// trace: 1 is the first.
    pub seen: String,
    /// What would be right.
    pub expected: String,
}

pub(crate) fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// How many findings of one rule, severity and sender are kept.
const KEPT: u64 = 10;

/// All findings of a connection.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) kept: Vec<Finding>,
    counted: BTreeMap<(Rule, Severity, SocketAddr), u64>,
}

impl Findings {
    fn add(&mut self, finding: Finding) {
        let kind = (finding.rule, finding.severity, finding.sender);
        let count = self.counted.entry(kind).or_default();
        *count += 1;
        if *count <= KEPT {
            self.kept.push(finding);
        }
    }

    /// How many there were, kept or not.
    pub(crate) fn count(&self, severity: Severity) -> u64 {
        let of_it = self.counted.iter().filter(|((_, s, _), _)| *s == severity);
        of_it.map(|(_, count)| count).sum()
    }
}

/// Which packet is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// From 1.
    pub(crate) packet: u64,
    pub(crate) time: Duration,
}

/// Who judges a packet: with what is known of the trace, and where findings go.
#[derive(Debug)]
pub(crate) struct Judge<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) moment: Moment,
    pub(crate) sender: SocketAddr,
    /// The capture was made where the sender is: its packets are in the order of sending, and none
    /// was lost before it was seen.
    pub(crate) here: bool,
    /// Its packets are in the order of sending.
    pub(crate) ordered: bool,
    pub(crate) findings: &'a mut Findings,
}

impl Judge<'_> {
    pub(crate) fn violation(&mut self, rule: Rule, seen: String, expected: String) {
        self.find(rule, Severity::Violation, seen, expected);
    }

    pub(crate) fn note(&mut self, rule: Rule, seen: String, expected: String) {
        self.find(rule, Severity::Note, seen, expected);
    }

    /// A violation if no packet can be missing from the trace; else it may be for want of one.
    pub(crate) fn unless_missing(&mut self, rule: Rule, known: bool, seen: String, right: String) {
        if self.settings.complete && known {
            self.violation(rule, seen, right);
        } else {
            let right = format!("{right}, unless packets are missing from the trace");
            self.note(rule, seen, right);
        }
    }

    fn find(&mut self, rule: Rule, severity: Severity, seen: String, expected: String) {
        self.findings.add(Finding {
            rule,
            severity,
            packet: self.moment.packet,
            time: self.moment.time,
            sender: self.sender,
            seen,
            expected,
        });
    }
}
