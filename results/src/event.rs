//! Events of a run: one JSON object per line of `events.jsonl`.
//!
//! *Assumes* that the writer's `t_mono_ns` comes from CLOCK_MONOTONIC. *Guarantees* that both
//! timestamps of an event, and those of the run's `routes.rtmon` and `bgp.pcap` files, lie on one
//! time base (see [`crate::Clock`]).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// The bring-up of the lab: `planned` when it begins, `applied` when all daemons are started,
    /// `confirmed` when all sessions are Established. Of a lab that carried a run before, `confirmed`
    /// alone: the records begin.
    Lab,
    /// The failure, or one part of it.
    Failure,
    /// The injector's new start.
    Restart,
    /// The injector withdraws the destination on the primary session (failure `forwarding`).
    Withdraw,
    /// End-of-RIB of the injector seen on the wire (RFC 4724, section 2).
    Eor,
    /// A BGP session came up or went down, from the router's own log.
    Session,
    /// All is settled: quiet, and every router has the destination.
    Settled,
    /// No table change and no UPDATE for the destination for the quiet period.
    Quiet,
    /// A sample of the wall clock against the time base.
    Clock,
}

/// How far an event has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// When it was meant to happen.
    Planned,
    /// When the harness had done it.
    Applied,
    /// When its effect was seen.
    Confirmed,
}

/// A link of the topology, by its two nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRef {
    /// Node at one end.
    pub a: String,
    /// Node at the other end.
    pub b: String,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What it is about.
    pub kind: EventKind,
    /// How far it has come.
    pub phase: Phase,
    /// CLOCK_MONOTONIC, nanoseconds.
    pub t_mono_ns: u64,
    /// `t_mono_ns` on the run's wall-clock base, nanoseconds since the epoch.
    pub t_wall_ns: u64,
    /// What it was done to: a node, a link, a process, a rule.
    pub target: String,
    /// Failure events only: what fails (`control`, `forwarding`, `correlated`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Failure events only: the link whose traffic for the destination is lost; null if none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_link: Option<LinkRef>,
    /// Whatever else is known.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub detail: Map<String, Value>,
}
