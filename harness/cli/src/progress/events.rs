//! A campaign as JSON lines: the interface of `--json`, docs/live-view.md.
//!
//! *Assumes* a model that has taken note of what is told. *Guarantees* one object a line, each written at
//! once; that a reader who goes away ends the telling and nothing else; and that a line which could not
//! be written for another reason is told in the end.

use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use harness::campaign::{CampaignEvent, Tally};
use harness::protocol::Stage;
use serde::Serialize;
use serde_json::{Value, json};

use super::model::Model;
use super::run_end::RunEnd;

/// Version of the interface.
pub(crate) const VERSION: u32 = 1;

/// A line; what it is comes first, for people.
#[derive(Serialize)]
struct Line<'a> {
    event: &'a str,
    t_s: f64,
    #[serde(flatten)]
    told: Value,
}

/// Where the lines go.
#[derive(Debug)]
pub(crate) struct Events<W> {
    out: W,
    /// What the first write said that failed; nothing is written after it.
    failed: Option<io::Error>,
}

impl<W: Write> Events<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, failed: None }
    }

    /// Writes one event.
    pub(crate) fn tell(&mut self, event: &str, now: Duration, told: Value) {
        if self.failed.is_some() {
            return;
        }
        let t_s = thousandths(now);
        let line = serde_json::to_string(&Line { event, t_s, told }).map_err(io::Error::from);
        let written = line.and_then(|line| self.out.write_all(format!("{line}\n").as_bytes()));
        self.failed = written.and_then(|()| self.out.flush()).err();
    }

    /// Why not everything could be told. A reader that has seen enough (`| head`) is no fault.
    pub(crate) fn fault(self) -> Option<io::Error> {
        self.failed.filter(|e| e.kind() != ErrorKind::BrokenPipe)
    }
}

/// A time in seconds, to the millisecond.
fn thousandths(time: Duration) -> f64 {
    time.as_millis() as f64 / 1000.0
}

/// A campaign begins.
pub(crate) fn campaign_begun(model: &Model) -> Value {
    let plan = model.plan();
    json!({
        "version": VERSION,
        "tool_version": env!("CARGO_PKG_VERSION"),
        "scenario": plan.name,
        "path": plan.path.display().to_string(),
        "arms": plan.arms,
        "runs": plan.runs.len(),
        "jobs": plan.jobs,
    })
}

/// An event of the campaign: its name, and what is told of it. A run's end is told when it is measured.
pub(crate) fn of_event(event: &CampaignEvent, model: &Model) -> Option<(&'static str, Value)> {
    Some(match event {
        CampaignEvent::Resumed {
            there,
            abandoned,
            spent,
            otherwise,
        } => (
            "campaign-resumed",
            json!({"there": there, "abandoned": abandoned, "spent": spent, "otherwise": otherwise}),
        ),
        CampaignEvent::Jobs(decision) => {
            ("jobs", json!({"labs": decision.labs, "why": decision.why}))
        }
        CampaignEvent::Begun { run_id, .. } => (
            "run-begun",
            json!({"run": run_id, "arm": model.arm(run_id)}),
        ),
        CampaignEvent::Progress {
            run_id,
            stage,
            text,
        } => (
            "run-phase",
            json!({"run": run_id, "arm": model.arm(run_id), "phase": phase(*stage), "text": text}),
        ),
        CampaignEvent::Kept { run_id, error, .. } => (
            "run-kept",
            json!({"run": run_id, "arm": model.arm(run_id), "error": error}),
        ),
        CampaignEvent::Ended { .. } => return None,
    })
}

/// A run that has ended, or was there, and what its records have shown.
pub(crate) fn run_ended(end: &RunEnd, model: &Model, now: Duration) -> Value {
    let path = model.plan().path.join("runs").join(&end.run_id);
    // By the names that `metrics.csv` and `summary.csv` have.
    let metrics = end.metrics.iter();
    let metrics = metrics.map(|(m, value)| (m.name().to_owned(), (*value).into()));
    let metrics = (!end.metrics.is_empty()).then(|| Value::Object(metrics.collect()));
    let mut told = json!({
        "run": end.run_id,
        "arm": model.arm(&end.run_id),
        "path": path.display().to_string(),
        "status": end.status,
        "valid": end.valid,
        "again": end.again,
        "error": end.error,
        "findings": end.findings,
        "metrics": metrics,
    });
    add_counts(&mut told, model, now);
    told
}

/// All runs of a campaign have ended, or it was stopped.
pub(crate) fn campaign_ended(tally: Tally, model: &Model, now: Duration) -> Value {
    let mut told = json!({
        "scenario": model.plan().name,
        "path": model.plan().path.display().to_string(),
        "tally": {
            "there": tally.there,
            "spent": tally.spent,
            "complete": tally.complete,
            "invalid": tally.invalid,
            "failed": tally.failed,
            "aborted": tally.aborted,
            "left": tally.left,
        },
    });
    add_counts(&mut told, model, now);
    told
}

fn add_counts(told: &mut Value, model: &Model, now: Duration) {
    let counts = model.counts();
    told["runs"] = json!({
        "planned": counts.planned,
        "valid": counts.valid,
        "invalid": counts.invalid,
        "failed": counts.failed,
        "aborted": counts.aborted,
        "left": counts.planned.saturating_sub(model.done()),
    });
    told["left_s"] = model.left(now).map(thousandths).into();
}

fn phase(stage: Stage) -> &'static str {
    match stage {
        Stage::BringUp => "bring-up",
        Stage::Establish => "establish",
        Stage::Settle => "settle",
        Stage::Fail => "fail",
        Stage::Converge => "converge",
        Stage::Up => "up",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
