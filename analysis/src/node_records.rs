//! What one node's recorders wrote, reduced to what bears on the destination.
//!
//! *Assumes* the files of one `nodes/NODE/`. *Guarantees* that a file that is damaged gives what
//! is whole and a finding; that a router's file that is not there is told apart from an empty
//! one; and that a file with fewer records than its recorder wrote does not pass for whole.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

use results::bgp::{Body, Decoder, Message};
use results::rtmon::{self, Op, Reader, Record};
use results::{Finding, FindingKind, Manifest, RunDir, Severity, Status, pcapfile};
use topologies::{Node, NodeRole, Topology};

use crate::arms::is_reused;
use crate::course::Course;
use crate::frame::{Dated, Hop, Install, Route, RouteKind, TableRecord, Update};
use crate::load::damaged;

/// The kernel's number of the main routing table (`RT_TABLE_MAIN`).
const MAIN_TABLE: u32 = 254;
/// `NLM_F_EXCL`: in a route notification, that no route of the same key was there.
const NLM_F_EXCL: u16 = 0x200;

/// The records of one node.
#[derive(Debug, Default)]
pub(crate) struct NodeRecords {
    /// Whether every file that figures need could be opened.
    pub(crate) is_there: bool,
    /// What its kernel said, in its order; times do not go back.
    pub(crate) records: Vec<Dated>,
    /// What it sent about the destination.
    pub(crate) updates: Vec<Update>,
    /// Time of its last record of any kind, nanoseconds after the failure.
    pub(crate) last_ns: i64,
    /// What is wrong with the files.
    pub(crate) findings: Vec<Finding>,
}

/// Reads the files of the node with index `node`.
pub(crate) fn load(
    dir: &RunDir,
    manifest: &Manifest,
    topology: &Topology,
    node: usize,
    course: &Course,
) -> NodeRecords {
    let mut loader = Loader {
        dir,
        manifest,
        topology,
        node,
        course,
        out: NodeRecords {
            is_there: true,
            ..NodeRecords::default()
        },
    };
    loader.read_routes();
    // What the injector sends is the failure's doing, and enters no figure.
    if loader.this().role == NodeRole::Router {
        loader.read_packets();
    }
    loader.out
}

struct Loader<'a> {
    dir: &'a RunDir,
    manifest: &'a Manifest,
    topology: &'a Topology,
    node: usize,
    course: &'a Course,
    out: NodeRecords,
}

impl<'a> Loader<'a> {
    fn this(&self) -> &'a Node {
        &self.topology.nodes[self.node]
    }

    fn place(&self, file: &str) -> String {
        format!("nodes/{}/{file}", self.this().name)
    }

    /// A wall time of the records as nanoseconds after the failure.
    fn since_failure(&mut self, wall_ns: u64) -> i64 {
        let mono_ns = self.manifest.clock.mono_ns(wall_ns);
        let t0_ns = self.course.t0_mono_ns;
        // A time centuries away is damage; it must not wrap into the run.
        let far = if mono_ns < t0_ns { i64::MIN } else { i64::MAX };
        let t_ns = mono_ns.checked_signed_diff(t0_ns).unwrap_or(far);
        self.out.last_ns = self.out.last_ns.max(t_ns);
        t_ns
    }

    fn damaged(&mut self, file: &str, message: String) {
        let place = self.place(file);
        self.out.findings.push(damaged(place, message));
    }

    /// A file that cannot be opened at all. The injector's tables matter only for the state of
    /// its links, which the routers' ends tell as well.
    fn missing(&mut self, file: &str, message: String) {
        if self.this().role == NodeRole::Router {
            self.out.is_there = false;
            self.damaged(
                file,
                format!("{message}; the run has no figures without it"),
            );
        } else {
            self.warn(FindingKind::RecordDamaged, file, message);
        }
    }

    fn warn(&mut self, kind: FindingKind, file: &str, message: String) {
        let place = self.place(file);
        self.out.findings.push(Finding {
            kind,
            severity: Severity::Warning,
            place,
            message,
        });
    }

    /// Compares the number of records read with the number that the recorder says it wrote: a
    /// file cut between two records looks whole otherwise.
    fn check_count(&mut self, file: &str, what: &str, read: u64, written: Option<u64>) {
        let Some(written) = written.filter(|_| self.manifest.status == Status::Complete) else {
            return;
        };
        if read < written {
            self.damaged(
                file,
                format!("it holds {read} {what}, and its recorder wrote {written}: some are lost"),
            );
        }
    }

    fn read_routes(&mut self) {
        const FILE: &str = "routes.rtmon";
        let bytes = match rtmon::read(&self.dir.routes_rtmon(&self.this().name)) {
            Ok(bytes) => bytes,
            Err(e) => return self.missing(FILE, e.to_string()),
        };
        let mut damage = Damage::default();
        let mut read = 0;
        let mut latest_ns = i64::MIN;
        let mut back_ns = 0;
        let mut without_hop = false;
        let destination = self.topology.destination_address();
        for item in Reader::new(&bytes) {
            let (wall_ns, record) = match item {
                Ok(r) => r,
                Err(e) => {
                    damage.note(e.to_string());
                    continue;
                }
            };
            read += 1;
            let t_ns = self.since_failure(wall_ns);
            back_ns = back_ns.max(latest_ns.saturating_sub(t_ns));
            // The kernel's order is the order of the file, whatever the clock did.
            latest_ns = latest_ns.max(t_ns);
            if let Some(record) = table_record(record, destination) {
                without_hop |= matches!(&record, TableRecord::RouteAdded(r, _)
                    if r.kind == RouteKind::Forward && r.hops.is_empty());
                self.out.records.push(Dated {
                    t_ns: latest_ns,
                    node: self.node,
                    record,
                });
            }
        }
        if let Some(message) = damage.message() {
            self.damaged(FILE, message);
        }
        if back_ns > 0 {
            self.damaged(
                FILE,
                format!(
                    "its times go back by {} us: they are not of one clock",
                    back_ns / 1000
                ),
            );
        }
        if without_hop {
            self.damaged(
                FILE,
                "a route for the destination has no next hop: nexthop objects are resolved only \
                 while net.ipv4.nexthop_compat_mode is 1"
                    .to_owned(),
            );
        }
        let recorder = self.manifest.recorders.get(&self.this().name);
        let written = recorder.map(|r| r.netlink_messages);
        self.check_count(FILE, "netlink messages", read + damage.count, written);
    }

    fn read_packets(&mut self) {
        const FILE: &str = "bgp.pcap";
        let capture = match pcapfile::read(&self.dir.bgp_pcap(&self.this().name)) {
            Ok(c) => c,
            Err(e) => return self.missing(FILE, e.to_string()),
        };
        // In a lab that is reused the sessions are older than the capture.
        let mut decoder = match is_reused(self.manifest) {
            true => Decoder::joining(),
            false => Decoder::new(),
        };
        let mut messages = Vec::new();
        let mut damage = Damage::default();
        let mut read = 0;
        for item in capture.packets() {
            match item {
                Ok(packet) => {
                    read += 1;
                    decoder.push(packet.t_ns, capture.link_type(), packet.data, &mut messages);
                }
                Err(e) => damage.note(e.to_string()),
            }
        }
        decoder.finish(&mut messages);
        if let Some(message) = damage.message() {
            self.damaged(FILE, message);
        }
        let recorder = self.manifest.recorders.get(&self.this().name);
        let written = recorder.map(|r| r.packets);
        self.check_count(FILE, "packets", read + damage.count, written);
        self.count(FILE, &messages);
    }

    fn count(&mut self, file: &str, messages: &[Message]) {
        let topology = self.topology;
        let peers: HashMap<(Ipv4Addr, Ipv4Addr), usize> = topology
            .ends(&self.this().name)
            .filter_map(|e| {
                let peer = topology.nodes.iter().position(|n| n.name == e.peer)?;
                Some(((e.addr, e.peer_addr), peer))
            })
            .collect();
        let mut strangers: BTreeMap<(Ipv4Addr, Ipv4Addr), usize> = BTreeMap::new();
        let mut gaps = 0;
        let mut malformed = Damage::default();
        // What the end of the lab does to its streams is no damage.
        let end_ns = self.course.quiet_ns.unwrap_or(u64::MAX);
        let in_run = |t_ns: i64| u64::try_from(t_ns).is_ok_and(|t| t <= end_ns);
        for message in messages {
            let t_ns = self.since_failure(message.t_ns);
            let ends = (*message.src.ip(), *message.dst.ip());
            match &message.body {
                Body::Gap { .. } if in_run(t_ns) => gaps += 1,
                Body::Malformed { reason } if in_run(t_ns) => malformed.note(reason.clone()),
                Body::Update(update) if update.concerns(&topology.destination) => {
                    let Some(&to) = peers.get(&ends) else {
                        *strangers.entry(ends).or_default() += 1;
                        continue;
                    };
                    let times = |list: &[ipnet::Ipv4Net]| {
                        let n = list.iter().filter(|p| **p == topology.destination).count();
                        u32::try_from(n).unwrap_or(u32::MAX)
                    };
                    self.out.updates.push(Update {
                        t_ns,
                        from: self.node,
                        to,
                        advertisements: times(&update.announced),
                        withdrawals: times(&update.withdrawn),
                    });
                }
                _ => {}
            }
        }
        if gaps > 0 {
            let place = self.place(file);
            self.out.findings.push(Finding {
                kind: FindingKind::CaptureGap,
                severity: Severity::Invalidating,
                place,
                message: format!(
                    "{gaps} gaps in the octet streams after the failure: updates may be missing \
                     from the counts; fewer labs side by side (--jobs) drop fewer packets"
                ),
            });
        }
        if let Some(message) = malformed.message() {
            self.damaged(file, message);
        }
        for ((src, dst), n) in strangers {
            self.warn(
                FindingKind::RecordDamaged,
                file,
                format!(
                    "{n} updates for the destination from {src} to {dst}, which is no session of \
                     this node: they are not counted"
                ),
            );
        }
    }
}

/// The part of a record that bears on the destination, if any.
pub(crate) fn table_record(record: Record, destination: Ipv4Addr) -> Option<TableRecord> {
    match record {
        Record::Route(r) => {
            // Traffic for the destination has no type of service set.
            if r.table != MAIN_TABLE || r.tos != 0 || !r.dst.contains(&destination) {
                return None;
            }
            let install = match r.op {
                Op::New { replace: true, .. } => Some(Install::Replace),
                Op::New { append: false, .. } if r.flags & NLM_F_EXCL != 0 => Some(Install::First),
                Op::New { .. } => Some(Install::Beside),
                Op::Del => None,
            };
            let route = route(r);
            Some(match install {
                Some(install) => TableRecord::RouteAdded(route, install),
                None => TableRecord::RouteRemoved(route),
            })
        }
        Record::Link(l) if l.op.is_new() => Some(TableRecord::Device {
            index: l.index,
            name: l.name,
            up: l.up,
            running: l.running,
        }),
        Record::Link(l) => Some(TableRecord::DeviceRemoved { index: l.index }),
        Record::Nexthop(n) if !n.op.is_new() => Some(TableRecord::NexthopRemoved { id: n.id }),
        Record::Nexthop(_) | Record::Address(_) | Record::Other(_) => None,
    }
}

fn route(r: rtmon::Route) -> Route {
    let mut hops: Vec<Hop> = r
        .nexthops
        .iter()
        .map(|h| Hop {
            gateway: h.gateway,
            device: h.oif,
        })
        .collect();
    hops.sort_unstable();
    hops.dedup();
    Route {
        prefix: r.dst.trunc(),
        priority: r.priority,
        kind: match r.kind {
            rtmon::RouteKind::Unicast => RouteKind::Forward,
            rtmon::RouteKind::Unreachable
            | rtmon::RouteKind::Prohibit
            | rtmon::RouteKind::Throw => RouteKind::Refuse,
            _ => RouteKind::Discard,
        },
        hops,
        nhid: r.nhid,
    }
}

/// What is wrong with a file: the first error, and how many there are.
#[derive(Debug, Default)]
struct Damage {
    first: Option<String>,
    count: u64,
}

impl Damage {
    fn note(&mut self, error: String) {
        self.count += 1;
        self.first.get_or_insert(error);
    }

    fn message(&self) -> Option<String> {
        let first = self.first.as_ref()?;
        Some(match self.count {
            1 => first.clone(),
            n => format!("{first}; and {} more like it", n - 1),
        })
    }
}
