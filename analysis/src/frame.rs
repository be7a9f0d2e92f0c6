//! One run, reduced to what its figures are computed from.
//!
//! *Assumes* that times are nanoseconds after the failure on the run's one time base, negative
//! before it, and that the records of one node stand in the order in which its kernel sent them.
//! *Guarantees* plain data: everything behind a [`Frame`] is a pure function of it.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use results::{EventKind, Phase};
use topologies::Topology;

use crate::probe::Probes;

/// What a route does with a packet for the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RouteKind {
    /// Sends it to a next hop.
    Forward,
    /// Answers as if there were no route (`unreachable`, `prohibit`, `throw`).
    Refuse,
    /// Drops it silently (`blackhole`, and every type that ends at the router itself).
    Discard,
}

/// A next hop as the kernel has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hop {
    /// Address of the next router; none on a directly connected network.
    pub gateway: Option<Ipv4Addr>,
    /// Index of the network device.
    pub device: Option<u32>,
}

/// A route of the main table whose prefix covers the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its prefix.
    pub prefix: Ipv4Net,
    /// Its metric; the lowest of one prefix is used.
    pub priority: u32,
    /// What it does with a packet.
    pub kind: RouteKind,
    /// Where to.
    pub hops: Vec<Hop>,
    /// The kernel's nexthop object that it goes through.
    pub nhid: Option<u32>,
}

/// How a route was put into the table, from the flags of its netlink message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Install {
    /// NLM_F_REPLACE: in place of the first route of its prefix and priority.
    Replace,
    /// NLM_F_EXCL: the kernel found no route of that prefix and priority.
    First,
    /// Neither: beside the routes of that prefix and priority (NLM_F_APPEND), or read from a dump.
    Beside,
}

/// One record of a node's kernel that may bear on the way to the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableRecord {
    /// A route came.
    RouteAdded(Route, Install),
    /// A route went.
    RouteRemoved(Route),
    /// A nexthop object went; the kernel drops the routes through it without a message.
    NexthopRemoved {
        /// Its number.
        id: u32,
    },
    /// A network device came or changed.
    Device {
        /// Its index.
        index: u32,
        /// Its name.
        name: String,
        /// IFF_UP: somebody set it up.
        up: bool,
        /// IFF_RUNNING: it has its carrier.
        running: bool,
    },
    /// A network device went.
    DeviceRemoved {
        /// Its index.
        index: u32,
    },
}

/// A record, where and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dated {
    /// Nanoseconds after the failure.
    pub t_ns: i64,
    /// Index of the node in [`Topology::nodes`].
    pub node: usize,
    /// What its kernel said.
    pub record: TableRecord,
}

/// A BGP UPDATE that says something of the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Update {
    /// Nanoseconds after the failure.
    pub t_ns: i64,
    /// Index of the node that sent it.
    pub from: usize,
    /// Index of the node that it was sent to.
    pub to: usize,
    /// Times that it announces the destination.
    pub advertisements: u32,
    /// Times that it withdraws the destination.
    pub withdrawals: u32,
}

/// Something that the harness did or saw, as `events.jsonl` tells it. No figure is computed from it
/// but through [`Frame::end_ns`] and [`Frame::dead_link`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds after the failure.
    pub t_ns: i64,
    /// What it is about.
    pub kind: EventKind,
    /// How far it has come.
    pub phase: Phase,
    /// What it was done to.
    pub target: String,
    /// Of a session: whether it came up.
    pub up: Option<bool>,
}

/// One run, from before its failure to its end.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The network.
    pub topology: Topology,
    /// Index in [`Topology::links`] of the link whose traffic for the destination is lost from
    /// the failure on.
    pub dead_link: Option<usize>,
    /// When the run ended, nanoseconds after the failure: confirmed quiet, or the last record.
    pub end_ns: u64,
    /// Records of all nodes, in the order of time; those of one node in its kernel's order.
    pub records: Vec<Dated>,
    /// Updates of all nodes that concern the destination.
    pub updates: Vec<Update>,
    /// What the harness did and saw, in the order of time.
    pub moments: Vec<Moment>,
    /// What became of the data-plane probe's packets, if the run has them.
    pub probes: Option<Probes>,
}
