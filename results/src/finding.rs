//! Findings: what makes a run's figures doubtful. One JSON object per line of `findings.jsonl`.

use serde::{Deserialize, Serialize};

/// What a finding does to the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Check before you trust this result.
    Warning,
    /// The run is kept and shown, and left out of the statistics.
    Invalidating,
}

/// What was found. docs/findings.md explains each, with its limit and remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// The kernel dropped netlink messages (ENOBUFS) before the recorder read them.
    NetlinkOverrun,
    /// The kernel or the interface dropped packets before the recorder read them.
    PacketDrop,
    /// The receive buffer of a netlink recorder is smaller than wanted.
    SmallReceiveBuffer,
    /// The wall clock stepped against CLOCK_MONOTONIC.
    ClockStep,
    /// A router's or injector's process ended when nobody ended it.
    DaemonDied,
    /// A session came up or went down outside the failure.
    SessionFlap,
    /// A session never came up before the deadline.
    NotEstablished,
    /// The network did not settle before the deadline.
    NotSettled,
    /// The network was not quiet before the deadline.
    NotQuiet,
    /// A router was still disconnected from the destination when the run ended.
    StillDisconnected,
    /// The second actuator of a failure acted more than 1 ms after the first.
    FailureSkew,
    /// The first table transfer was over before the failure that was to come within it.
    TransferOver,
    /// The failure was applied and its effect never seen.
    NotConfirmed,
    /// A record could not be written (disk full, permission).
    RecordWrite,
    /// A record is cut short or damaged.
    RecordDamaged,
    /// A router installed more than one next hop for the destination.
    Multipath,
    /// The CPU was short while the run was measured.
    CpuPressure,
    /// Processes of the lab could have run and had no CPU.
    RunQueueDelay,
    /// A timer of the lab woke its thread late.
    SchedulingDelay,
    /// Programs that are no part of this flaplab used the machine's CPUs.
    ForeignCpu,
    /// A log has lines that are not expected.
    UnexpectedLog,
    /// An octet stream of a BGP session has a gap: an update may be missing from the counts.
    CaptureGap,
    /// The data-plane probe was late, or lost packets to its own machinery.
    ProbeImpaired,
    /// The data-plane probe and the routing tables tell different disconnections of a router.
    ProbeDisagrees,
    /// The run failed, was aborted, or is still under way.
    Incomplete,
    /// Another valid attempt at the same run counts.
    Repeated,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was found.
    pub kind: FindingKind,
    /// What it does to the run.
    pub severity: Severity,
    /// Node, session or file it was found at.
    pub place: String,
    /// What happened, with figures, and what to do about it.
    pub message: String,
}
