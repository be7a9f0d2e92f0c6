//! The data-plane probe's two records, put together.
//!
//! *Assumes* the files of docs/run-directory.md. *Guarantees* that records which are damaged, or
//! do not cover the run, give a finding and no figure: a row that is missing must not pass for a
//! probe that was lost.

use std::collections::HashMap;

use results::probe::{Arrival, INTERVAL_NS, Record, Row, Tick};
use results::{DirError, Finding, FindingKind, RunDir, Severity};
use topologies::{NodeRole, Topology};

use crate::probe::{Fate, Probes};

/// The answers of a kernel that has no way (ip-route(8)): none or `unreachable`, `prohibit`,
/// `blackhole`; a device that is down.
const NO_WAY: [&str; 5] = [
    "ENETUNREACH",
    "EHOSTUNREACH",
    "EACCES",
    "EINVAL",
    "ENETDOWN",
];

/// Reads the records of a run whose failure was at `t0_mono_ns` and that ended `end_ns` later;
/// none if the run has no probe, or its records do not do for a figure.
pub(crate) fn load(
    dir: &RunDir,
    topology: &Topology,
    t0_mono_ns: u64,
    end_ns: u64,
    findings: &mut Vec<Finding>,
) -> Option<Probes> {
    let injector = &topology.injector().name;
    let paths = [dir.probe_sent(), dir.probe_received(injector)];
    let wanted = || dir.scenario().is_ok_and(|s| s.data_plane_probe);
    if !paths.iter().any(|p| p.exists()) && !wanted() {
        return None;
    }
    let places = [
        "probe-sent.csv".to_owned(),
        format!("nodes/{injector}/probe-received.csv"),
    ];
    let ticks = whole::<Tick>(results::probe::read(&paths[0]), &places[0], findings);
    let arrivals = whole::<Arrival>(results::probe::read(&paths[1]), &places[1], findings);
    let (ticks, arrivals) = (ticks?, arrivals?);
    for (place, message) in impairments(&ticks, &arrivals, &places) {
        findings.push(Finding {
            kind: FindingKind::ProbeImpaired,
            severity: Severity::Warning,
            place: place.to_owned(),
            message,
        });
    }
    match assemble(topology, t0_mono_ns, end_ns, &ticks.rows, &arrivals.rows) {
        Ok(probes) => Some(probes),
        Err(why) => {
            findings.push(left_out(&places[0], &why));
            None
        }
    }
}

/// A record in which every row is, or else a finding.
fn whole<R: Row>(
    read: Result<Record<R>, DirError>,
    place: &str,
    findings: &mut Vec<Finding>,
) -> Option<Record<R>> {
    let problem = match &read {
        Err(e) => e.to_string(),
        Ok(record) => match (record.broken.first(), record.end) {
            (Some(line), _) => format!("line {}: {}", line.number, line.reason),
            (None, None) => "it has no last line: it was cut short".to_owned(),
            (None, Some(end)) if end.rows != record.rows.len() as u64 => {
                let n = record.rows.len();
                format!("it holds {n} rows, and its writer wrote {}", end.rows)
            }
            (None, Some(_)) => return read.ok(),
        },
    };
    findings.push(left_out(place, &problem));
    None
}

/// The run's other figures do not hang on the probe.
fn left_out(place: &str, problem: &str) -> Finding {
    Finding {
        kind: FindingKind::RecordDamaged,
        severity: Severity::Warning,
        place: place.to_owned(),
        message: format!("{problem}; the run has no probe-measured figures"),
    }
}

/// What impaired the probe, and where it was seen.
fn impairments<'a>(
    ticks: &Record<Tick>,
    arrivals: &Record<Arrival>,
    places: &'a [String; 2],
) -> Vec<(&'a str, String)> {
    let mut found = Vec::new();
    let lag_ns = |t: &Tick| t.late_ns.saturating_add(t.took_ns);
    let late = ticks.rows.iter().filter(|t| lag_ns(t) > INTERVAL_NS);
    let count = late.clone().count();
    if let Some(worst_ns) = late.map(lag_ns).max() {
        found.push((
            places[0].as_str(),
            format!(
                "{count} of {} ticks were sent more than 10 ms late, the worst {:.1} ms: what \
                 happened meanwhile was seen late; free the machine of other load, or run fewer \
                 labs at once (--jobs)",
                ticks.rows.len(),
                worst_ns as f64 / 1e6
            ),
        ));
    }
    let refusals = ticks.rows.iter().flat_map(|t| &t.refused);
    let mut strange = refusals.filter(|r| !NO_WAY.contains(&r.errno.as_str()));
    if let Some(first) = strange.next() {
        found.push((
            places[0].as_str(),
            format!(
                "{} probes were not sent for another reason than the want of a route, the first \
                 for {}: they count as lost",
                1 + strange.count(),
                first.errno
            ),
        ));
    }
    let dropped = arrivals.end.map_or(0, |e| e.dropped);
    if dropped > 0 {
        found.push((
            places[1].as_str(),
            format!(
                "the kernel dropped {dropped} probes that had arrived, for want of buffer: they \
                 count as lost; run fewer labs at once (--jobs) or raise net.core.rmem_max"
            ),
        ));
    }
    found
}

/// Puts the two records together.
fn assemble(
    topology: &Topology,
    t0_mono_ns: u64,
    end_ns: u64,
    ticks: &[Tick],
    arrivals: &[Arrival],
) -> Result<Probes, String> {
    let (Some(first), Some(last)) = (ticks.first(), ticks.last()) else {
        return Err("no probe was sent".to_owned());
    };
    let due = |i: usize| first.due_mono_ns.saturating_add(i as u64 * INTERVAL_NS);
    let in_step = |(i, t): (usize, &Tick)| t.number as usize == i && t.due_mono_ns == due(i);
    if let Some(i) = ticks.iter().enumerate().position(|t| !in_step(t)) {
        return Err(format!("tick {i} is missing or out of step"));
    }
    let end_mono_ns = t0_mono_ns.saturating_add(end_ns);
    if first.due_mono_ns > t0_mono_ns || last.due_mono_ns + INTERVAL_NS < end_mono_ns {
        return Err("the probes do not cover the run from the failure to its end".to_owned());
    }
    // A time centuries away is damage, and is no first tick before the failure.
    let first_ns = first
        .due_mono_ns
        .checked_signed_diff(t0_mono_ns)
        .ok_or("its times are not of this run")?;
    let index: HashMap<u16, usize> = topology
        .nodes
        .iter()
        .zip(0u16..)
        .filter(|(n, _)| n.role == NodeRole::Router)
        .enumerate()
        .map(|(router, (_, node))| (node, router))
        .collect();
    let router = |node: u16| {
        let stranger = || format!("node {node} is no router of the topology");
        index.get(&node).copied().ok_or_else(stranger)
    };
    let mut fates = vec![vec![Fate::Lost; ticks.len()]; index.len()];
    for tick in ticks {
        for refusal in &tick.refused {
            fates[router(refusal.node)?][tick.number as usize] = Fate::Refused;
        }
    }
    for arrival in arrivals {
        let fate = fates[router(arrival.node)?].get_mut(arrival.number as usize);
        match fate {
            Some(fate @ Fate::Lost) => *fate = Fate::Received,
            // One path is taken, and nothing on it copies a packet.
            Some(Fate::Received) => {
                let Arrival { node, number, .. } = arrival;
                return Err(format!("probe {number} of node {node} was received twice"));
            }
            Some(Fate::Refused) | None => {
                let Arrival { node, number, .. } = arrival;
                return Err(format!(
                    "probe {number} of node {node} was received and never sent"
                ));
            }
        }
    }
    Ok(Probes { first_ns, fates })
}
