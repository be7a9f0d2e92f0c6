//! The course of a run, from its events: when it failed, what died, when it was quiet.
//!
//! *Assumes* that `t_mono_ns` of all events is of one clock. *Guarantees* that the failure is the
//! first actuator's `applied`, and that a run without one has no course.

use results::{Event, EventKind, Finding, Manifest, Phase, RunDir, Status};
use topologies::{FailureKind, Topology};

use crate::frame::Moment;
use crate::load::damaged;

/// The instants and the link that a run's figures hang on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Course {
    /// The failure, CLOCK_MONOTONIC.
    pub(crate) t0_mono_ns: u64,
    /// Index in [`Topology::links`] of the link whose traffic for the destination is lost.
    pub(crate) dead_link: Option<usize>,
    /// Confirmed quiet, nanoseconds after the failure.
    pub(crate) quiet_ns: Option<u64>,
    /// All that was done and seen, but for samples of the clock, in the order of time.
    pub(crate) moments: Vec<Moment>,
}

/// Reads the course of a run; none, and a finding why, if it never came to its failure.
pub(crate) fn read(
    dir: &RunDir,
    manifest: &Manifest,
    topology: &Topology,
    findings: &mut Vec<Finding>,
) -> Option<Course> {
    let place = "events.jsonl";
    let lines = match dir.events() {
        Ok(lines) => lines,
        Err(e) => {
            findings.push(damaged(place, e.to_string()));
            return None;
        }
    };
    for line in lines.broken {
        findings.push(damaged(
            place,
            format!("line {} cannot be read: {}", line.number, line.reason),
        ));
    }
    let events = lines.items;
    let Some(t0_mono_ns) = events
        .iter()
        .filter(|e| e.kind == EventKind::Failure && e.phase == Phase::Applied)
        .map(|e| e.t_mono_ns)
        .min()
    else {
        // A run that did not get that far is told as what it is.
        // An MRAI probe has no failure: its result is in the manifest.
        let probe = manifest.failure == FailureKind::MraiProbe && manifest.realised_mrai.is_some();
        if manifest.status == Status::Complete && !probe {
            let message = "no `failure` event of phase `applied`: there is nothing to measure from";
            findings.push(damaged(place, message.to_owned()));
        }
        return None;
    };
    let dead_link = match dead_link(&events, manifest.failure, topology) {
        Ok(link) => link,
        Err(message) => {
            findings.push(damaged(place, message));
            return None;
        }
    };
    let quiet_ns = events
        .iter()
        .filter(|e| e.kind == EventKind::Quiet && e.phase == Phase::Confirmed)
        .filter_map(|e| e.t_mono_ns.checked_sub(t0_mono_ns))
        .min();
    Some(Course {
        t0_mono_ns,
        dead_link,
        quiet_ns,
        moments: moments(events, t0_mono_ns),
    })
}

fn moments(events: Vec<Event>, t0_mono_ns: u64) -> Vec<Moment> {
    let mut moments: Vec<Moment> = events
        .into_iter()
        .filter(|e| e.kind != EventKind::Clock)
        .map(|e| Moment {
            t_ns: since(e.t_mono_ns, t0_mono_ns),
            kind: e.kind,
            phase: e.phase,
            up: e.detail.get("up").and_then(serde_json::Value::as_bool),
            target: e.target,
        })
        .collect();
    moments.sort_by_key(|m| m.t_ns);
    moments
}

/// Nanoseconds from one time to another, negative if it is the later one.
fn since(t_mono_ns: u64, t0_mono_ns: u64) -> i64 {
    let after = |a: u64, b: u64| i64::try_from(a.saturating_sub(b)).unwrap_or(i64::MAX);
    after(t_mono_ns, t0_mono_ns) - after(t0_mono_ns, t_mono_ns)
}

/// The dead link that the failure's events name. One that fits neither the failure nor the
/// topology makes every walk through the tables wrong: no figure then.
fn dead_link(
    events: &[Event],
    failure: FailureKind,
    topology: &Topology,
) -> Result<Option<usize>, String> {
    let named = events
        .iter()
        .filter(|e| e.kind == EventKind::Failure)
        .find_map(|e| e.dead_link.as_ref());
    match (named, failure) {
        (None, kind) if !kind.loses_the_primary_link() => Ok(None),
        (None, _) => Err(format!(
            "the failure is `{failure}` and no failure event names the dead link"
        )),
        (Some(link), _) => topology
            .links
            .iter()
            .position(|l| (l.a == link.a && l.b == link.b) || (l.a == link.b && l.b == link.a))
            .map(Some)
            .ok_or_else(|| {
                format!(
                    "the dead link {}-{} is not a link of the topology",
                    link.a, link.b
                )
            }),
    }
}
