//! What the data-plane probe says of a router's disconnection, beside its routing tables.
//!
//! *Assumes* probes that cover the run, from before the failure to its end. *Guarantees* that the
//! probes of a router partition the time of the run, so that what is measured is the time of the
//! run but for at most one interval a transition; and a finding wherever probes and routing tables
//! differ by more.

use results::probe::INTERVAL_NS;
use results::{Finding, FindingKind, Severity};

use crate::reach::{Reach, Timeline};

/// FIB-derived and probe-measured disconnection may differ so much in any run, nanoseconds:
/// what a routing-table change takes from the router's decision to the recorder's clock, on a
/// busy machine.
pub const ALLOWANCE_NS: u64 = 50_000_000;

/// What became of one probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It came to the destination.
    Received,
    /// It was sent, and did not.
    Lost,
    /// The router had no way to send it.
    Refused,
}

/// All probes of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probes {
    /// When the first tick was due, nanoseconds after the failure; the others follow, one every
    /// [`INTERVAL_NS`].
    pub first_ns: i64,
    /// The fates of each router's probes, one per tick, in the order of
    /// [`topologies::Topology::routers`].
    pub fates: Vec<Vec<Fate>>,
}

/// What the probe says of one router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeMetrics {
    /// Time in the run that probes stand for which did not arrive.
    pub disconnected_ns: u64,
    /// Number of these probes.
    pub lost: u64,
    /// Probes that did not arrive although they stand for a time before the failure only.
    pub lost_before: u64,
}

impl Probes {
    /// Measures the router with index `router` in a run that ends at `end_ns`. A probe stands for
    /// the time from when it was due until the next one was: together they partition the time.
    #[must_use]
    pub fn measure(&self, router: usize, end_ns: u64) -> ProbeMetrics {
        let mut metrics = ProbeMetrics {
            disconnected_ns: 0,
            lost: 0,
            lost_before: 0,
        };
        let end_ns = i64::try_from(end_ns).unwrap_or(i64::MAX);
        for (i, fate) in self.fates[router].iter().enumerate() {
            let from_ns = self.due_ns(i);
            if *fate == Fate::Received || from_ns >= end_ns {
                continue;
            }
            let to_ns = self.due_ns(i + 1).min(end_ns);
            if to_ns <= 0 {
                metrics.lost_before += 1;
            } else {
                metrics.lost += 1;
                metrics.disconnected_ns += to_ns.abs_diff(from_ns.max(0));
            }
        }
        metrics
    }

    fn due_ns(&self, tick: usize) -> i64 {
        self.first_ns
            .saturating_add_unsigned(tick as u64 * INTERVAL_NS)
    }
}

/// How often the router came to reach the destination, or ceased to.
#[must_use]
pub fn transitions(timeline: &Timeline) -> u64 {
    let mut reached = timeline.before == Reach::Reached;
    let mut count = 0;
    for interval in &timeline.intervals {
        let now = interval.reach == Reach::Reached;
        count += u64::from(now != reached);
        reached = now;
    }
    count
}

/// What there is to say of a router whose probes and routing tables do not tell the same.
#[must_use]
pub fn disagreement(
    node: &str,
    timeline: &Timeline,
    fib_ns: u64,
    probe: &ProbeMetrics,
) -> Option<Finding> {
    let transitions = transitions(timeline);
    let allowed_ns = ALLOWANCE_NS.max(INTERVAL_NS.saturating_mul(transitions));
    let apart_ns = fib_ns.abs_diff(probe.disconnected_ns);
    let before = match (timeline.before, probe.lost_before) {
        (Reach::Reached, lost @ 1..) => {
            format!("; {lost} of its probes were lost before the failure, when it had a way")
        }
        _ => String::new(),
    };
    if apart_ns <= allowed_ns && before.is_empty() {
        return None;
    }
    let ms = |ns: u64| ns as f64 / 1e6;
    Some(Finding {
        kind: FindingKind::ProbeDisagrees,
        severity: Severity::Warning,
        place: node.to_owned(),
        message: format!(
            "{node} was disconnected for {:.3} ms by the routing tables, and for {:.3} ms by its \
             probes ({} of them lost): {:.3} ms apart, where {:.0} ms are allowed for {transitions} \
             transitions{before}; the data plane did not do what the tables say, or the machine \
             was too busy to tell",
            ms(fib_ns),
            ms(probe.disconnected_ns),
            probe.lost,
            ms(apart_ns),
            ms(allowed_ns),
        ),
    })
}
