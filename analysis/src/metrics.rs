//! The figures of one run. Every definition stands, with its source, in docs/metrics.md.
//!
//! *Assumes* a [`Frame`] whose times are relative to the failure. *Guarantees* integer
//! nanoseconds throughout, so that no route, loop and blackhole sum to the disconnection exactly;
//! and a finding wherever a figure is not what it seems.

use results::{Finding, FindingKind, Severity, Status};

use crate::frame::Frame;
use crate::probe::{self, ProbeMetrics};
use crate::reach::{self, Reach, Timeline};

/// What one router sent to one peer about the destination, from the failure to the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionLoad {
    /// Name of the peer.
    pub peer: String,
    /// Advertisements of the destination.
    pub advertisements: u64,
    /// Withdrawals of the destination.
    pub withdrawals: u64,
}

/// The figures of one router in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterMetrics {
    /// Name of the router.
    pub node: String,
    /// Last change of its table for the destination, after the failure; 0 if none.
    pub last_change_ns: u64,
    /// Number of changes of its table for the destination, after the failure.
    pub changes: u32,
    /// Time for which it had no route.
    pub no_route_ns: u64,
    /// Time for which its packets went round in a loop.
    pub loop_ns: u64,
    /// Time for which its packets were lost elsewhere.
    pub blackhole_ns: u64,
    /// What it sent, by session, in the order of the topology's links.
    pub sessions: Vec<SessionLoad>,
    /// What its probes met, if the run has a probe.
    pub probe: Option<ProbeMetrics>,
}

impl RouterMetrics {
    /// Time for which the router was disconnected from the destination.
    #[must_use]
    pub fn disconnected_ns(&self) -> u64 {
        self.no_route_ns + self.loop_ns + self.blackhole_ns
    }

    /// Advertisements of the destination sent to all peers.
    #[must_use]
    pub fn advertisements(&self) -> u64 {
        self.sessions.iter().map(|s| s.advertisements).sum()
    }

    /// Withdrawals of the destination sent to all peers.
    #[must_use]
    pub fn withdrawals(&self) -> u64 {
        self.sessions.iter().map(|s| s.withdrawals).sum()
    }

    /// Advertisements and withdrawals of the destination sent to all peers.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.advertisements() + self.withdrawals()
    }
}

/// The figures of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunMetrics {
    /// The last change at any router, after the failure; 0 if none.
    pub convergence_ns: u64,
    /// The routers, in the order of the topology.
    pub routers: Vec<RouterMetrics>,
}

/// Computes the figures of one run, and what makes them doubtful beyond the frame's own findings.
#[must_use]
pub fn measure(frame: &Frame) -> (RunMetrics, Vec<Finding>) {
    measure_along(frame, &reach::follow(frame))
}

/// The same, along timelines that are there already.
pub(crate) fn measure_along(frame: &Frame, timelines: &[Timeline]) -> (RunMetrics, Vec<Finding>) {
    let mut routers: Vec<RouterMetrics> = frame
        .topology
        .routers()
        .zip(timelines)
        .enumerate()
        .map(|(index, (node, t))| RouterMetrics {
            node: node.name.clone(),
            last_change_ns: t.last_change_ns.unwrap_or(0),
            changes: t.changes,
            no_route_ns: t.total_ns(Reach::NoRoute),
            loop_ns: t.total_ns(Reach::Loop),
            blackhole_ns: t.total_ns(Reach::Blackhole),
            sessions: frame
                .topology
                .ends(&node.name)
                .map(|end| SessionLoad {
                    peer: end.peer.to_owned(),
                    advertisements: 0,
                    withdrawals: 0,
                })
                .collect(),
            probe: frame
                .probes
                .as_ref()
                .map(|p| p.measure(index, frame.end_ns)),
        })
        .collect();
    count_updates(frame, &mut routers);
    let findings = routers
        .iter()
        .zip(timelines)
        .flat_map(|(r, t)| {
            let probe = r.probe.as_ref();
            let disagreement =
                probe.and_then(|p| probe::disagreement(&r.node, t, r.disconnected_ns(), p));
            doubts(&r.node, t, frame).into_iter().chain(disagreement)
        })
        .collect();
    let run = RunMetrics {
        convergence_ns: routers.iter().map(|r| r.last_change_ns).max().unwrap_or(0),
        routers,
    };
    (run, findings)
}

/// Whether the figures of a run may enter the statistics.
#[must_use]
pub fn is_valid(status: Status, findings: &[Finding]) -> bool {
    status == Status::Complete
        && !findings
            .iter()
            .any(|f| f.severity == Severity::Invalidating)
}

fn count_updates(frame: &Frame, routers: &mut [RouterMetrics]) {
    let in_run = |t_ns: i64| u64::try_from(t_ns).is_ok_and(|t| t <= frame.end_ns);
    for update in frame.updates.iter().filter(|u| in_run(u.t_ns)) {
        let nodes = &frame.topology.nodes;
        let (from, to) = (&nodes[update.from].name, &nodes[update.to].name);
        // What the injector sends is the failure's doing, not the network's.
        let session = routers
            .iter_mut()
            .find(|r| r.node == *from)
            .and_then(|r| r.sessions.iter_mut().find(|s| s.peer == *to));
        if let Some(session) = session {
            session.advertisements += u64::from(update.advertisements);
            session.withdrawals += u64::from(update.withdrawals);
        }
    }
}

fn doubts(node: &str, t: &Timeline, frame: &Frame) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |kind, severity, message| {
        findings.push(Finding {
            kind,
            severity,
            place: node.to_owned(),
            message,
        });
    };
    if t.before != Reach::Reached {
        find(
            FindingKind::NotSettled,
            Severity::Invalidating,
            format!(
                "{node} did not reach the destination when the failure came ({}): what is counted \
                 as disconnection began before it; see that the run settles, and that \
                 routes.rtmon begins with the tables as they stood",
                phrase(t.before)
            ),
        );
    }
    if t.at_end != Reach::Reached {
        find(
            FindingKind::StillDisconnected,
            Severity::Warning,
            format!(
                "{node} did not reach the destination when the run ended, {:.3} s after the \
                 failure ({}): its disconnection is counted up to there and is a lower bound",
                seconds(frame.end_ns),
                phrase(t.at_end)
            ),
        );
    }
    if let Some(t_ns) = t.multipath_ns {
        find(
            FindingKind::Multipath,
            Severity::Invalidating,
            format!(
                "{node} had more than one next hop for the destination, first {:.6} s after the \
                 failure: the walk through the tables is not defined; switch multipath off \
                 (FRR: `maximum-paths 1`)",
                seconds(t_ns)
            ),
        );
    }
    if let Some(device) = t.unknown_device {
        find(
            FindingKind::RecordDamaged,
            Severity::Invalidating,
            format!(
                "{node} routes over device {device}, which no link record of its routes.rtmon \
                 tells of: a lost carrier would go unseen; the recorder must begin with the links"
            ),
        );
    }
    findings
}

fn phrase(reach: Reach) -> &'static str {
    match reach {
        Reach::Reached => "reached",
        Reach::NoRoute => "it had no route",
        Reach::Loop => "its packets went round in a loop",
        Reach::Blackhole => "its packets were lost on the way",
    }
}

/// Nanoseconds as seconds: exact to the nanosecond for any run shorter than 50 days.
#[must_use]
pub fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
