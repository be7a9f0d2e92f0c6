//! Who reaches the destination when: the next hops followed through all tables.
//!
//! *Assumes* the records of a [`Frame`] in the order of time. *Guarantees* for each router a
//! [`Timeline`] that partitions the time from the failure to the end of the run: at each instant
//! exactly one [`Reach`] holds. Records of one instant are applied together.
//!
//! The walk is the data plane's without TTL and without delay: "analysis of the global collection
//! of the routing tables at each instant" (Surton 2014, section 3.2).

use std::collections::HashMap;
use std::net::Ipv4Addr;

use topologies::{NodeRole, Topology};

use crate::frame::{Dated, Frame, Hop, TableRecord};
use crate::tables::{Best, Table};

/// Where the walk from a router ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// At the injector.
    Reached,
    /// The router itself has no route.
    NoRoute,
    /// Nowhere: it comes to a router for the second time.
    Loop,
    /// Elsewhere: at another router without a route, at a route that drops silently, on a link
    /// that is down or dead, at a gateway that no neighbour has.
    Blackhole,
}

/// A span of time in which one state holds: from `from_ns` up to, not including, `to_ns`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// Its start, nanoseconds after the failure.
    pub from_ns: u64,
    /// Its end, nanoseconds after the failure.
    pub to_ns: u64,
    /// What holds.
    pub reach: Reach,
}

/// How a router stands to the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stand {
    /// Where the walk from it ends.
    pub reach: Reach,
    /// The neighbour that its table sends packets to, over whatever link: index of the node in
    /// [`Topology::nodes`]. None without a route, or with one that leads to no neighbour.
    pub next: Option<usize>,
}

/// A router comes to stand otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// When, nanoseconds after the failure.
    pub t_ns: u64,
    /// How it stands from then on.
    pub stand: Stand,
}

/// What holds for one router from the failure to the end of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// Spans of time without gap or overlap; neighbours differ in state, none is empty.
    pub intervals: Vec<Interval>,
    /// Where the walk ended just before the failure.
    pub before: Reach,
    /// The next hop just before the failure, as in [`Stand::next`].
    pub next_before: Option<usize>,
    /// Every change of where the walk ends or of the next hop, in the order of time.
    pub turns: Vec<Turn>,
    /// Where the walk ended when the run did.
    pub at_end: Reach,
    /// The last change of the router's table for the destination, nanoseconds after the failure;
    /// none if it never changed.
    pub last_change_ns: Option<u64>,
    /// Number of changes of the router's table for the destination after the failure.
    pub changes: u32,
    /// When the table first had more than one next hop, nanoseconds after the failure (0: at it).
    pub multipath_ns: Option<u64>,
    /// A device that the table used and that no link record told of.
    pub unknown_device: Option<u32>,
}

impl Timeline {
    /// Time for which `reach` held, nanoseconds.
    #[must_use]
    pub fn total_ns(&self, reach: Reach) -> u64 {
        self.intervals
            .iter()
            .filter(|i| i.reach == reach)
            .map(|i| i.to_ns - i.from_ns)
            .sum()
    }
}

/// Follows the next hops from every router at every instant from the failure to the end.
/// One timeline per router, in the order of [`Topology::routers`].
#[must_use]
pub fn follow(frame: &Frame) -> Vec<Timeline> {
    let mut net = Network::new(&frame.topology);
    let mut records = frame.records.as_slice();
    while let Some(group) = next_group(&mut records, |t| t < 0) {
        net.apply(group);
    }
    let before = net.walk();

    net.dead_link = frame.dead_link;
    net.refresh_all();
    let mut trace = Trace::new(&net, &before);
    // Records of the very instant of the failure belong to what it caused.
    trace.advance(0, &net);
    let end_ns = i64::try_from(frame.end_ns).unwrap_or(i64::MAX);
    while let Some(group) = next_group(&mut records, |t| t <= end_ns) {
        let t_ns = group[0].t_ns.unsigned_abs();
        net.apply(group);
        trace.advance(t_ns, &net);
    }
    trace.finish(frame.end_ns)
}

/// The records of the next instant, if it is one that is `wanted`.
fn next_group<'a>(records: &mut &'a [Dated], wanted: impl Fn(i64) -> bool) -> Option<&'a [Dated]> {
    let t_ns = records.first().map(|r| r.t_ns).filter(|&t| wanted(t))?;
    let n = records.iter().take_while(|r| r.t_ns == t_ns).count();
    let (group, rest) = records.split_at(n);
    *records = rest;
    Some(group)
}

/// Where one hop leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    NoRoute,
    /// Into nothing: the packet is lost at this node.
    Lost,
    Injector,
    Router(usize),
}

/// A link as the node at one end sees it.
#[derive(Debug)]
struct End<'a> {
    link: usize,
    dev: &'a str,
    peer: usize,
    peer_dev: &'a str,
}

/// All tables at one instant.
struct Network<'a> {
    topology: &'a Topology,
    /// By node: the link end behind each neighbour's address.
    ends: Vec<HashMap<Ipv4Addr, End<'a>>>,
    tables: Vec<Table>,
    best: Vec<Best>,
    steps: Vec<Step>,
    /// By node: the neighbour that its table names, reached or not.
    next: Vec<Option<usize>>,
    dead_link: Option<usize>,
}

impl<'a> Network<'a> {
    fn new(topology: &'a Topology) -> Self {
        let index: HashMap<&str, usize> = topology
            .nodes
            .iter()
            .enumerate()
            .map(|(i, n)| (n.name.as_str(), i))
            .collect();
        let mut ends: Vec<HashMap<Ipv4Addr, End<'a>>> = Vec::new();
        ends.resize_with(topology.nodes.len(), HashMap::new);
        for (link, l) in topology.links.iter().enumerate() {
            // A link to a node that does not exist is refused on loading.
            let (Some(&a), Some(&b)) = (index.get(l.a.as_str()), index.get(l.b.as_str())) else {
                continue;
            };
            let (a_dev, b_dev) = (l.a_dev.as_str(), l.b_dev.as_str());
            ends[a].insert(
                l.b_addr,
                End {
                    link,
                    dev: a_dev,
                    peer: b,
                    peer_dev: b_dev,
                },
            );
            ends[b].insert(
                l.a_addr,
                End {
                    link,
                    dev: b_dev,
                    peer: a,
                    peer_dev: a_dev,
                },
            );
        }
        let n = topology.nodes.len();
        Self {
            topology,
            ends,
            tables: vec![Table::default(); n],
            best: vec![Best::NoRoute; n],
            steps: vec![Step::NoRoute; n],
            next: vec![None; n],
            dead_link: None,
        }
    }

    /// Applies the records of one instant.
    fn apply(&mut self, group: &[Dated]) {
        let mut links_touched = false;
        for r in group {
            self.tables[r.node].apply(&r.record);
            links_touched |= matches!(
                r.record,
                TableRecord::Device { .. } | TableRecord::DeviceRemoved { .. }
            );
        }
        if links_touched {
            // A link's state matters at both of its ends.
            self.refresh_all();
        } else {
            for r in group {
                self.refresh(r.node);
            }
        }
    }

    fn refresh_all(&mut self) {
        for node in 0..self.tables.len() {
            self.refresh(node);
        }
    }

    fn refresh(&mut self, node: usize) {
        self.best[node] = self.tables[node].best();
        (self.steps[node], self.next[node]) = match &self.best[node] {
            Best::NoRoute => (Step::NoRoute, None),
            Best::Discard => (Step::Lost, None),
            // Multipath makes the run invalid; the first hop stands for all.
            Best::Forward(hops) => {
                let next = self.end(node, hops[0]).map(|e| e.peer);
                (self.step(node, hops[0]), next)
            }
        };
    }

    /// The link end that a hop goes to.
    fn end(&self, node: usize, hop: Hop) -> Option<&End<'a>> {
        match hop.gateway {
            Some(gateway) => self.ends[node].get(&gateway),
            // On-link: the destination itself must answer there, and only the injector owns it.
            None => {
                let device = hop.device.and_then(|i| self.tables[node].device(i))?;
                self.ends[node]
                    .values()
                    .find(|e| e.dev == device.name && self.is_injector(e.peer))
            }
        }
    }

    fn step(&self, node: usize, hop: Hop) -> Step {
        let device = hop.device.and_then(|i| self.tables[node].device(i));
        let Some(end) = self.end(node, hop) else {
            return Step::Lost;
        };
        let by_another_device = device.is_some_and(|d| d.name != end.dev);
        let down = [(node, end.dev), (end.peer, end.peer_dev)]
            .iter()
            .any(|&(n, dev)| self.tables[n].device_named(dev).is_some_and(|d| !d.usable));
        if by_another_device || down || self.dead_link == Some(end.link) {
            Step::Lost
        } else if self.is_injector(end.peer) {
            Step::Injector
        } else {
            Step::Router(end.peer)
        }
    }

    fn is_injector(&self, node: usize) -> bool {
        self.topology.nodes[node].role == NodeRole::Injector
    }

    /// Indices of the routers.
    fn routers(&self) -> impl Iterator<Item = usize> {
        (0..self.steps.len()).filter(|&n| !self.is_injector(n))
    }

    /// Where the walk from each node ends. Each node is visited once: what is known of the next
    /// hop holds for those that lead to it.
    fn walk(&self) -> Vec<Reach> {
        let mut known: Vec<Option<Reach>> = vec![None; self.steps.len()];
        // Number of the walk that last came by, to tell a loop.
        let mut seen = vec![usize::MAX; self.steps.len()];
        let mut path = Vec::new();
        for start in 0..self.steps.len() {
            let mut at = start;
            path.clear();
            let end = loop {
                if let Some(r) = known[at] {
                    // Another router's lack of a route is this one's blackhole.
                    break if r == Reach::NoRoute {
                        Reach::Blackhole
                    } else {
                        r
                    };
                }
                if seen[at] == start {
                    break Reach::Loop;
                }
                seen[at] = start;
                path.push(at);
                match self.steps[at] {
                    Step::Injector => break Reach::Reached,
                    Step::Lost => break Reach::Blackhole,
                    Step::NoRoute => {
                        known[at] = Some(Reach::NoRoute);
                        break Reach::Blackhole;
                    }
                    Step::Router(next) => at = next,
                }
            };
            for &node in &path {
                known[node].get_or_insert(end);
            }
        }
        known
            .into_iter()
            .map(|r| r.unwrap_or(Reach::NoRoute))
            .collect()
    }
}

/// Builds the timelines.
struct Trace {
    routers: Vec<usize>,
    best: Vec<Best>,
    /// State of each router and since when it holds.
    open: Vec<(Reach, u64)>,
    stands: Vec<Stand>,
    timelines: Vec<Timeline>,
}

impl Trace {
    fn new(net: &Network<'_>, before: &[Reach]) -> Self {
        let routers: Vec<usize> = net.routers().collect();
        Self {
            best: routers.iter().map(|&n| net.best[n].clone()).collect(),
            open: routers.iter().map(|&n| (before[n], 0)).collect(),
            stands: routers
                .iter()
                .map(|&n| Stand {
                    reach: before[n],
                    next: net.next[n],
                })
                .collect(),
            timelines: routers
                .iter()
                .map(|&n| Timeline {
                    intervals: Vec::new(),
                    before: before[n],
                    next_before: net.next[n],
                    turns: Vec::new(),
                    at_end: before[n],
                    last_change_ns: None,
                    changes: 0,
                    multipath_ns: None,
                    unknown_device: None,
                })
                .collect(),
            routers,
        }
    }

    /// Takes in the state of the network from `t_ns` on.
    fn advance(&mut self, t_ns: u64, net: &Network<'_>) {
        let reach = net.walk();
        for (i, &node) in self.routers.iter().enumerate() {
            let timeline = &mut self.timelines[i];
            let best = &net.best[node];
            if *best != self.best[i] {
                self.best[i] = best.clone();
                timeline.last_change_ns = Some(t_ns);
                timeline.changes += 1;
            }
            if best.is_multipath() {
                timeline.multipath_ns.get_or_insert(t_ns);
            }
            if let Best::Forward(hops) = best {
                let unknown = |h: &Hop| h.device.filter(|&d| net.tables[node].device(d).is_none());
                timeline.unknown_device = timeline
                    .unknown_device
                    .or_else(|| hops.iter().find_map(unknown));
            }
            let stand = Stand {
                reach: reach[node],
                next: net.next[node],
            };
            if stand != self.stands[i] {
                self.stands[i] = stand;
                timeline.turns.push(Turn { t_ns, stand });
            }
            if reach[node] != self.open[i].0 {
                timeline.close(self.open[i], t_ns);
                self.open[i] = (reach[node], t_ns);
            }
        }
    }

    fn finish(mut self, end_ns: u64) -> Vec<Timeline> {
        for (timeline, &open) in self.timelines.iter_mut().zip(&self.open) {
            timeline.close(open, end_ns);
            timeline.at_end = open.0;
        }
        self.timelines
    }
}

impl Timeline {
    fn close(&mut self, (reach, from_ns): (Reach, u64), to_ns: u64) {
        if from_ns < to_ns {
            self.intervals.push(Interval {
                from_ns,
                to_ns,
                reach,
            });
        }
    }
}
