//! From a run directory to a [`Frame`].
//!
//! *Assumes* a directory in the format of docs/run-directory.md, sealed or not, whole or not.
//! *Guarantees* that the directory is only read; that damage never passes in silence and never
//! ends the analysis of the other runs: it becomes a finding, and the run has a frame only if
//! every router's records are there.

use rayon::prelude::{IntoParallelIterator, ParallelIterator};
use results::{Finding, FindingKind, Manifest, RunDir, Severity, Status};
use topologies::{NodeRole, Topology};

use crate::course;
use crate::frame::Frame;
use crate::node_records::{self, NodeRecords};
use crate::probe_records;

/// A run as it was found on disk.
#[derive(Debug)]
pub struct Run {
    /// Name of the run: its directory.
    pub run_id: String,
    /// What the harness says of it; none if its manifest cannot be read.
    pub manifest: Option<Manifest>,
    /// What its figures are computed from; none if the records do not allow any.
    pub frame: Option<Frame>,
    /// What the harness found, and what was found on loading.
    pub findings: Vec<Finding>,
}

/// Reads one run directory. What cannot be read is a finding, not an error: the other runs of
/// the campaign are worth having.
#[must_use]
pub fn load(dir: &RunDir) -> Run {
    let mut run = Run {
        run_id: dir.run_id(),
        manifest: None,
        frame: None,
        findings: Vec::new(),
    };
    let manifest = match dir.manifest() {
        Ok(m) => m,
        Err(e) => {
            run.findings.push(damaged(
                "manifest.json",
                format!("the run is left out: {e}"),
            ));
            return run;
        }
    };
    run.findings = harness_findings(dir, &manifest);
    if manifest.status != Status::Complete {
        run.findings.push(incomplete(&manifest));
    }
    run.frame = load_frame(dir, &manifest, &mut run.findings);
    run.manifest = Some(manifest);
    run
}

/// A finding of damage that leaves the run out of the statistics.
pub(crate) fn damaged(place: impl Into<String>, message: String) -> Finding {
    Finding {
        kind: FindingKind::RecordDamaged,
        severity: Severity::Invalidating,
        place: place.into(),
        message,
    }
}

fn incomplete(manifest: &Manifest) -> Finding {
    let what = match manifest.status {
        Status::Complete => "is complete",
        Status::Running => "is still under way, or was when its machine stopped",
        Status::Failed => "failed",
        Status::Aborted => "was aborted",
    };
    let why = manifest
        .error
        .as_ref()
        .map_or(String::new(), |e| format!(": {e}"));
    Finding {
        kind: FindingKind::Incomplete,
        severity: Severity::Invalidating,
        place: "manifest.json".to_owned(),
        message: format!("the run {what}{why}; it is left out of the statistics"),
    }
}

/// What the harness found: in the manifest once the run is over, before that line by line.
fn harness_findings(dir: &RunDir, manifest: &Manifest) -> Vec<Finding> {
    let mut findings = manifest.findings.clone();
    if !dir.findings_path().exists() {
        return findings;
    }
    match dir.findings() {
        Ok(lines) => {
            for finding in lines.items {
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
            for line in lines.broken {
                findings.push(damaged(
                    "findings.jsonl",
                    format!(
                        "line {} cannot be read ({}): what it said of the run is lost",
                        line.number, line.reason
                    ),
                ));
            }
        }
        Err(e) => findings.push(damaged("findings.jsonl", e.to_string())),
    }
    findings
}

fn load_frame(dir: &RunDir, manifest: &Manifest, findings: &mut Vec<Finding>) -> Option<Frame> {
    let topology = match dir.topology().map_err(|e| e.to_string()).and_then(check) {
        Ok(t) => t,
        Err(e) => {
            findings.push(damaged("topology.json", e));
            return None;
        }
    };
    let mut course = course::read(dir, manifest, &topology, findings)?;
    let nodes: Vec<NodeRecords> = (0..topology.nodes.len())
        .into_par_iter()
        .map(|node| node_records::load(dir, manifest, &topology, node, &course))
        .collect();

    let mut frame = Frame {
        topology,
        dead_link: course.dead_link,
        end_ns: 0,
        records: Vec::new(),
        updates: Vec::new(),
        moments: std::mem::take(&mut course.moments),
        probes: None,
    };
    let mut last_ns = 0;
    let mut all_there = true;
    for mut node in nodes {
        last_ns = last_ns.max(node.last_ns);
        all_there &= node.is_there;
        frame.records.append(&mut node.records);
        frame.updates.append(&mut node.updates);
        findings.append(&mut node.findings);
    }
    // Stable: the records of one node keep their order.
    frame.records.sort_by_key(|r| r.t_ns);
    frame.end_ns = course
        .quiet_ns
        .unwrap_or_else(|| last_ns.max(0).unsigned_abs());
    frame.probes = probe_records::load(
        dir,
        &frame.topology,
        course.t0_mono_ns,
        frame.end_ns,
        findings,
    );
    let told = manifest
        .findings
        .iter()
        .any(|f| f.kind == FindingKind::NotQuiet);
    if course.quiet_ns.is_none() && manifest.status == Status::Complete && !told {
        findings.push(damaged(
            "events.jsonl",
            "no `quiet` event follows the failure: the run is taken to end with its last record"
                .to_owned(),
        ));
    }
    all_there.then_some(frame)
}

/// Refuses a topology whose links lead nowhere, or that lacks what every run has.
fn check(topology: Topology) -> Result<Topology, String> {
    let injectors = |n: &&topologies::Node| n.role == NodeRole::Injector;
    if topology.nodes.iter().filter(injectors).count() != 1 {
        return Err("it does not have exactly one injector".to_owned());
    }
    if topology.routers().next().is_none() {
        return Err("it has no router".to_owned());
    }
    for link in &topology.links {
        for end in [&link.a, &link.b] {
            if topology.node(end).is_none() {
                return Err(format!("a link ends at `{end}`, which is not a node"));
            }
        }
    }
    Ok(topology)
}
