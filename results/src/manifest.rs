//! The manifest of a run: who, what, when, where, and how it ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use topologies::{Address, Cell, FailureKind, Strategy};

use crate::finding::Finding;
use crate::machine::Machine;
use crate::realised::RealisedMrai;

/// Version of the run-directory format; see docs/run-directory.md.
pub const SCHEMA_VERSION: u32 = 3;
/// The oldest version that can still be read: what came later has a default.
pub const OLDEST_SCHEMA_VERSION: u32 = 1;

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It is under way, or was when its machine stopped.
    Running,
    /// It ended as planned.
    Complete,
    /// It could not be carried out.
    Failed,
    /// Somebody stopped it.
    Aborted,
}

/// The run's time base. Every timestamp in the run directory, wall or monotonic, is a reading of
/// CLOCK_MONOTONIC; `wall = monotonic + wall_minus_mono_ns`. A step of the machine's wall clock
/// therefore moves no record against another; it is a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// CLOCK_REALTIME minus CLOCK_MONOTONIC when the run began, nanoseconds.
    pub wall_minus_mono_ns: i64,
}

impl Clock {
    /// The wall time of a monotonic one, nanoseconds since the epoch.
    #[must_use]
    pub fn wall_ns(self, mono_ns: u64) -> u64 {
        mono_ns.saturating_add_signed(self.wall_minus_mono_ns)
    }

    /// The monotonic time of a wall time of this run's records.
    #[must_use]
    pub fn mono_ns(self, wall_ns: u64) -> u64 {
        wall_ns.saturating_add_signed(-self.wall_minus_mono_ns)
    }
}

/// The machine a run was made on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Host name.
    pub name: String,
    /// Kernel release.
    pub kernel: String,
    /// Number of CPUs available.
    pub cpus: usize,
    /// Memory, MiB.
    pub memory_mib: u64,
}

/// Everything recorded of one recorder set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecorderStats {
    /// Netlink messages written to `routes.rtmon`.
    pub netlink_messages: u64,
    /// Times that the kernel reported an overrun.
    pub netlink_overruns: u64,
    /// Receive buffer that the kernel gave, octets.
    pub netlink_buffer_bytes: u64,
    /// Packets written to `bgp.pcap`.
    pub packets: u64,
    /// Packets dropped by the kernel for want of buffer, or by the interface.
    pub packets_dropped: u64,
}

/// How many labs there were on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabsAtATime {
    /// How many the campaign allowed when the run began.
    pub allowed: usize,
    /// How many of the campaign's labs there were at the failure, this one included: coming up,
    /// measured, and going. None, if it never came to the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_failure: Option<usize>,
}

/// What a lab took of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LabCost {
    /// Memory of its processes (PSS) when its sessions were up, MiB; of some labs of a campaign
    /// only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// CPU time of its processes from the beginning to the end of the run, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_s: Option<f64>,
}

/// Which run of a lab that carries several one of them is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedLab {
    /// Name of the lab's first run: the runs of one lab have the same.
    pub first_run: String,
    /// Which run of the lab it is, from 1. From 2 on, the lab was brought up by another run, and the
    /// records begin with what stood by then.
    pub number: u32,
}

impl SharedLab {
    /// Whether runs were made in the lab before.
    #[must_use]
    pub fn is_reused(&self) -> bool {
        self.number > 1
    }
}

// Before there were others.
const fn first() -> u32 {
    1
}

/// `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the format.
    pub schema_version: u32,
    /// Name of the run, as its directory.
    pub run_id: String,
    /// What the run is known by everywhere; none before version 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// Which attempt at the run this is, from 1.
    #[serde(default = "first")]
    pub attempt: u32,
    /// Name of the scenario.
    pub scenario: String,
    /// The values of the scenario's matrix; none without a matrix.
    #[serde(default)]
    pub cell: Cell,
    /// Graph: `clique`, `b-clique`, ...
    pub topology: String,
    /// Number of routers.
    pub size: usize,
    /// What fails.
    pub failure: FailureKind,
    /// How it is survived.
    pub strategy: Strategy,
    /// Number of the run within its arm, from 0.
    pub run_index: u32,
    /// Seed of the run.
    pub seed: u64,
    /// From the settled lab to the failure, drawn from the seed, seconds.
    pub failure_phase_s: f64,
    /// Implementation of the routers.
    pub router: String,
    /// Its version, as it says itself.
    pub router_version: String,
    /// Implementation of the injector.
    pub injector: String,
    /// Its version, as it says itself.
    pub injector_version: String,
    /// Configured MRAI, seconds.
    pub mrai_s: f64,
    /// What MRAI the routers realised, if the run was to measure that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realised_mrai: Option<RealisedMrai>,
    /// Version of flaplab.
    pub tool_version: String,
    /// Commit that flaplab was built from; `unknown` outside a checkout.
    pub tool_commit: String,
    /// The machine.
    pub host: Host,
    /// How many labs there were at a time; none in records from before it was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<LabsAtATime>,
    /// What the lab cost; none in records from before it was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lab_cost: Option<LabCost>,
    /// Which run of its lab it is; none: it had the lab for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_lab: Option<SharedLab>,
    /// The time base.
    pub clock: Clock,
    /// Sysctls set in every namespace of the lab.
    pub sysctls: BTreeMap<String, String>,
    /// How far the run has come.
    pub status: Status,
    /// Why it failed or was aborted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it began, RFC 3339, UTC.
    pub started_at: String,
    /// When it ended, RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// What the recorders of each node wrote and lost.
    pub recorders: BTreeMap<String, RecorderStats>,
    /// How busy the machine was; absent, if the run did not come to its failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    /// Everything found.
    pub findings: Vec<Finding>,
}
