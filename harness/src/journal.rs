//! What the agent writes down of a run: events and findings.
//!
//! *Assumes* to be the only writer of `events.jsonl` and `findings.jsonl` while the lab is up.
//! *Guarantees* that a line is in the file before the next thing happens, and that a full disk is
//! itself told once.

use results::{
    Clock, DirError, Event, EventKind, EventLog, Finding, FindingLog, LinkRef, Phase, RunDir,
};
use serde_json::{Map, Value};

/// Events and findings of one run.
pub(crate) struct Journal {
    clock: Clock,
    events: EventLog,
    finding_log: FindingLog,
    findings: Vec<Finding>,
    broken: Option<String>,
}

impl Journal {
    /// Opens both files.
    ///
    /// # Errors
    /// If they cannot be opened.
    pub(crate) fn open(run: &RunDir, clock: Clock) -> Result<Self, DirError> {
        Ok(Journal {
            clock,
            events: run.event_log()?,
            finding_log: run.finding_log()?,
            findings: Vec::new(),
            broken: None,
        })
    }

    /// Writes an event of that kind and phase, at `t_mono_ns`, about `target`.
    pub(crate) fn event(&mut self, kind: EventKind, phase: Phase, t_mono_ns: u64, target: &str) {
        self.write(self.blank(kind, phase, t_mono_ns, target));
    }

    /// Writes an event with further detail.
    pub(crate) fn event_with(
        &mut self,
        kind: EventKind,
        phase: Phase,
        t_mono_ns: u64,
        target: &str,
        detail: Map<String, Value>,
    ) {
        let event = Event {
            detail,
            ..self.blank(kind, phase, t_mono_ns, target)
        };
        self.write(event);
    }

    /// Writes an event of the failure: what fails, and the link that is dead from then on.
    pub(crate) fn failure(
        &mut self,
        phase: Phase,
        t_mono_ns: u64,
        target: &str,
        failure: &str,
        dead_link: Option<LinkRef>,
        detail: Map<String, Value>,
    ) {
        let event = Event {
            failure: Some(failure.to_owned()),
            dead_link,
            detail,
            ..self.blank(EventKind::Failure, phase, t_mono_ns, target)
        };
        self.write(event);
    }

    /// Writes a finding.
    pub(crate) fn finding(&mut self, finding: Finding) {
        if let Err(e) = self.finding_log.append(&finding) {
            self.broken.get_or_insert(e.to_string());
        }
        self.findings.push(finding);
    }

    /// The first write that failed, if any did.
    #[must_use]
    pub(crate) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// All findings so far.
    #[must_use]
    pub(crate) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn blank(&self, kind: EventKind, phase: Phase, t_mono_ns: u64, target: &str) -> Event {
        Event {
            kind,
            phase,
            t_mono_ns,
            t_wall_ns: self.clock.wall_ns(t_mono_ns),
            target: target.to_owned(),
            failure: None,
            dead_link: None,
            detail: Map::new(),
        }
    }

    fn write(&mut self, event: Event) {
        if let Err(e) = self.events.append(&event) {
            self.broken.get_or_insert(e.to_string());
        }
    }
}
