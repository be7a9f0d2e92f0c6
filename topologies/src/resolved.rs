//! A scenario with everything drawn and decided: what one run does, and all that it needs.
//!
//! *Assumes* that it came from [`crate::Scenario::resolve`], or from a `scenario.resolved.yaml`
//! that did. *Guarantees* that no field is left to be guessed at: two runs of equal values are
//! the same experiment.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::kinds::{
    FailureKind, FailureTime, InjectorKind, RouterKind, Strategy, TcprFate, TopologyKind,
};
use crate::topology::Topology;
use crate::units::Span;

/// One run of a scenario in one arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResolvedScenario {
    /// Name of the scenario.
    pub scenario: String,
    /// The values of the scenario's matrix; none without a matrix.
    #[serde(default)]
    pub cell: Cell,
    /// Which graph the topology was generated from.
    pub topology_kind: TopologyKind,
    /// Number of routers, without the injector.
    pub size: usize,
    /// How the failure is survived.
    pub strategy: Strategy,
    /// Number of this run within its arm, from 0.
    pub run_index: u32,
    /// Seed of this run; equal for the runs of the same index in all arms, so that arms are
    /// compared on equal draws.
    pub seed: u64,
    /// Settings of every router.
    pub router: RouterSettings,
    /// Settings of the injector.
    pub injector: InjectorSettings,
    /// What fails, and when.
    pub failure: FailureSettings,
    /// How long a run may take.
    pub deadlines: Deadlines,
    /// Whether every router sends numbered packets to the destination, to see which arrive.
    #[serde(default)]
    pub data_plane_probe: bool,
    /// Whether the run has a lab of its own, and does not share one with the other runs of its cell
    /// and arm.
    #[serde(default = "fresh")]
    pub fresh: bool,
    /// The network.
    pub topology: Topology,
}

/// Settings that all routers share. The same in all arms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouterSettings {
    /// The implementation.
    pub kind: RouterKind,
    /// Folder of its daemons; none: where distributions keep them.
    pub path: Option<PathBuf>,
    /// Minimum Route Advertisement Interval (RFC 4271, section 9.2.1.1), whole seconds for FRR.
    pub mrai: Span,
    /// ConnectRetryTime (RFC 4271, section 10).
    pub connect_retry: Span,
    /// KeepaliveTime (RFC 4271, section 10).
    pub keepalive: Span,
    /// HoldTime (RFC 4271, section 10).
    pub hold_time: Span,
    /// Time for which routes of a restarting peer are kept once its session is back (RFC 4724,
    /// section 4.2).
    pub stale_path_time: Span,
    /// Further configuration lines, by router name.
    pub extra_config: BTreeMap<String, Vec<String>>,
}

/// Settings of the injector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InjectorSettings {
    /// The implementation.
    pub kind: InjectorKind,
    /// Restart Time that the injector advertises under Graceful Restart (RFC 4724, section 3).
    pub restart_time: Span,
    /// Number of ASNs in the AS path of the destination on the backup link.
    pub backup_path_length: usize,
    /// Further routes on the primary session, to make a table transfer last.
    pub filler: Option<Filler>,
}

/// Further prefixes that the injector announces on the primary session after the destination, and
/// that the primary router filters: a table whose transfer takes a set time whenever the session
/// is a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filler {
    /// Number of prefixes.
    pub count: u32,
    /// Prefixes announced per second after a restart.
    pub rate_per_s: u32,
    /// Prefixes announced per second by the first start: as fast as any injector can, unless it is
    /// this transfer that the failure interrupts. 0 in records from before there was such a transfer.
    #[serde(default)]
    pub initial_rate_per_s: u32,
}

impl Filler {
    /// Time that announcing all of it takes after a restart.
    #[must_use]
    pub fn duration(&self) -> Span {
        Span::from_secs_f64(f64::from(self.count) / f64::from(self.rate_per_s))
    }
}

/// What fails, and when.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FailureSettings {
    /// What fails.
    pub kind: FailureKind,
    /// Time to the failure from the settled lab, or, within the initial transfer, from when every
    /// router has the destination: drawn uniformly over one MRAI.
    pub phase: Span,
    /// `forwarding` only: time until the injector notices and withdraws the destination.
    pub detect_delay: Span,
    /// When it comes.
    #[serde(default = "settled")]
    pub when: FailureTime,
    /// From the kill to the new start of the injector.
    #[serde(default)]
    pub restart_delay: Span,
    /// How often the injector is killed, at least once.
    #[serde(default = "once")]
    pub kills: u32,
    /// From one kill to the next.
    #[serde(default)]
    pub kill_interval: Span,
    /// Arm `tcpr` only: whether TCPR is killed with the injector.
    #[serde(default = "survives")]
    pub tcpr: TcprFate,
    /// `mrai-probe` only: how often it is measured.
    #[serde(default = "once")]
    pub rounds: u32,
}

// What was so in records from before there was a choice.
const fn fresh() -> bool {
    true
}
const fn settled() -> FailureTime {
    FailureTime::Settled
}
const fn survives() -> TcprFate {
    TcprFate::Survives
}
const fn once() -> u32 {
    1
}

/// How long the phases of a run may take before that becomes a finding.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Deadlines {
    /// From the start of the daemons until all sessions are Established.
    pub established: Span,
    /// From Established to settled.
    pub settled: Span,
    /// From the failure to the new quiet.
    pub quiet: Span,
}

impl ResolvedScenario {
    /// Name of the run and of its directory: arm, number and the beginning of its address.
    #[must_use]
    pub fn run_id(&self) -> String {
        let Self {
            strategy,
            run_index,
            ..
        } = self;
        format!("{strategy}-{run_index:04}-{}", self.address().short())
    }

    /// The name that the run would have had in versions 1 and 2 of the run directory: arm, number
    /// and seed.
    #[must_use]
    pub fn seed_named_run_id(&self) -> String {
        format!("{}-{:04}-{:016x}", self.strategy, self.run_index, self.seed)
    }

    /// How long one round of an MRAI probe waits in the settled lab before its first change: drawn
    /// uniformly over one MRAI.
    #[must_use]
    pub fn probe_phase(&self, round: u32) -> Span {
        crate::seed::probe_phase(self.seed, round, self.router.mrai)
    }

    /// How long neither a table nor an UPDATE for the destination may change for the network to
    /// count as quiet: 2 x MRAI + 1 s, at least 4 s.
    #[must_use]
    pub fn quiet_period(&self) -> Span {
        quiet_period(self.router.mrai)
    }
}

/// The quiet period that belongs to an MRAI.
pub(crate) fn quiet_period(mrai: Span) -> Span {
    Span::from_secs_f64((2.0 * mrai.as_secs_f64() + 1.0).max(4.0))
}
