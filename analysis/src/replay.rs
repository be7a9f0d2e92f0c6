//! The course of one run for the eye: how each router stood when, which links were down, who sent
//! updates, what was done and seen.
//!
//! *Assumes* a [`Frame`] and the timelines that [`crate::reach::follow`] makes of it. *Guarantees* plain
//! data that says at every instant what the timelines say, and nothing else: no figure is computed here.

use std::collections::HashMap;

use results::{EventKind, Phase};
use topologies::{NodeRole, Topology};

use crate::frame::{Frame, Moment, TableRecord};
use crate::reach::{Stand, Timeline};

/// Moments earlier than this are the bring-up's, nanoseconds before the failure.
const LEAD_NS: i64 = 3_000_000_000;
/// Updates are gathered over this time, nanoseconds.
pub const BURST_NS: u64 = 1_000_000;

/// A router comes to stand otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouterTurn {
    /// When, nanoseconds after the failure.
    pub t_ns: u64,
    /// Which router, in the order of [`Topology::routers`].
    pub router: usize,
    /// How it stands from then on.
    pub stand: Stand,
}

/// A link goes down, or comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkTurn {
    /// When, nanoseconds after the failure; negative if it was so when the failure came.
    pub t_ns: i64,
    /// Which, as index in [`Topology::links`].
    pub link: usize,
    /// Whether it is down from then on, at either end.
    pub down: bool,
}

/// Updates about the destination that a router sent within [`BURST_NS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Burst {
    /// Start of that time: a multiple of [`BURST_NS`] after the failure.
    pub t_ns: u64,
    /// Advertisements, to all peers.
    pub advertisements: u32,
    /// Withdrawals, to all peers.
    pub withdrawals: u32,
}

/// The course of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// The network.
    pub topology: Topology,
    /// The link whose traffic for the destination is lost from the failure on.
    pub dead_link: Option<usize>,
    /// When the run ended, nanoseconds after the failure.
    pub end_ns: u64,
    /// How the routers stood just before the failure, in the order of [`Topology::routers`].
    pub before: Vec<Stand>,
    /// What changed of that, in the order of time.
    pub turns: Vec<RouterTurn>,
    /// Which links were down, in the order of time.
    pub links: Vec<LinkTurn>,
    /// By router: what it sent from the failure to the end, in the order of time.
    pub bursts: Vec<Vec<Burst>>,
    /// What was done and seen, in the order of time, from shortly before the failure on.
    pub moments: Vec<Moment>,
}

impl Replay {
    /// The course of a run along its timelines, one per router.
    #[must_use]
    pub fn of(frame: &Frame, timelines: &[Timeline]) -> Self {
        let before = timelines.iter().map(|t| Stand {
            reach: t.before,
            next: t.next_before,
        });
        let mut turns: Vec<RouterTurn> = timelines
            .iter()
            .enumerate()
            .flat_map(|(router, timeline)| {
                timeline.turns.iter().map(move |turn| RouterTurn {
                    t_ns: turn.t_ns,
                    router,
                    stand: turn.stand,
                })
            })
            .collect();
        turns.sort_by_key(|t| (t.t_ns, t.router));
        Self {
            topology: frame.topology.clone(),
            dead_link: frame.dead_link,
            end_ns: frame.end_ns,
            before: before.collect(),
            turns,
            links: link_turns(frame),
            bursts: bursts(frame),
            moments: frame
                .moments
                .iter()
                .filter(|m| is_of_the_run(m))
                .cloned()
                .collect(),
        }
    }
}

/// Whether a moment is to be seen: the sessions of the bring-up are not, nor what only begins a wait.
fn is_of_the_run(moment: &Moment) -> bool {
    match moment.kind {
        EventKind::Lab | EventKind::Clock => false,
        EventKind::Session | EventKind::Eor => moment.t_ns >= 0,
        EventKind::Settled | EventKind::Quiet => {
            moment.phase == Phase::Confirmed && moment.t_ns >= -LEAD_NS
        }
        EventKind::Failure | EventKind::Restart | EventKind::Withdraw => moment.t_ns >= -LEAD_NS,
    }
}

fn link_turns(frame: &Frame) -> Vec<LinkTurn> {
    let mut links = Links::new(&frame.topology);
    let mut records = frame.records.iter().peekable();
    while let Some(r) = records.next_if(|r| r.t_ns < 0) {
        links.apply(r.node, &r.record);
    }
    let mut turns = Vec::new();
    for (link, ends) in links.down.iter().enumerate() {
        if ends[0] || ends[1] {
            let (t_ns, down) = (-1, true);
            turns.push(LinkTurn { t_ns, link, down });
        }
    }
    let end_ns = i64::try_from(frame.end_ns).unwrap_or(i64::MAX);
    while let Some(r) = records.next_if(|r| r.t_ns <= end_ns) {
        if let Some((link, down)) = links.apply(r.node, &r.record) {
            let t_ns = r.t_ns;
            turns.push(LinkTurn { t_ns, link, down });
        }
    }
    turns
}

/// Which links are down at which end.
struct Links<'a> {
    /// By node and device: the link, and its end there.
    ends: HashMap<(usize, &'a str), (usize, usize)>,
    /// By node and index: the device's name.
    names: HashMap<(usize, u32), &'a str>,
    down: Vec<[bool; 2]>,
}

impl<'a> Links<'a> {
    fn new(topology: &'a Topology) -> Self {
        let position = |name: &str| topology.nodes.iter().position(|n| n.name == name);
        let mut ends = HashMap::new();
        for (link, l) in topology.links.iter().enumerate() {
            for (end, (node, dev)) in [(&l.a, &l.a_dev), (&l.b, &l.b_dev)].into_iter().enumerate() {
                if let Some(node) = position(node) {
                    ends.insert((node, dev.as_str()), (link, end));
                }
            }
        }
        Self {
            ends,
            names: HashMap::new(),
            down: vec![[false; 2]; topology.links.len()],
        }
    }

    /// Takes in a record; the link that it takes down or brings back.
    fn apply(&mut self, node: usize, record: &'a TableRecord) -> Option<(usize, bool)> {
        let (name, down) = match record {
            TableRecord::Device {
                index,
                name,
                up,
                running,
            } => {
                self.names.insert((node, *index), name);
                (name.as_str(), !(*up && *running))
            }
            TableRecord::DeviceRemoved { index } => (self.names.remove(&(node, *index))?, true),
            _ => return None,
        };
        let &(link, end) = self.ends.get(&(node, name))?;
        let ends = &mut self.down[link];
        let was = ends[0] || ends[1];
        ends[end] = down;
        let is = ends[0] || ends[1];
        (was != is).then_some((link, is))
    }
}

fn bursts(frame: &Frame) -> Vec<Vec<Burst>> {
    let nodes = &frame.topology.nodes;
    // What the injector sends is the failure's doing, as in the update load.
    let mut by_node: Vec<Vec<Burst>> = vec![Vec::new(); nodes.len()];
    let mut updates: Vec<_> = frame
        .updates
        .iter()
        .filter_map(|u| Some((u64::try_from(u.t_ns).ok()?, u)))
        .filter(|(t_ns, _)| *t_ns <= frame.end_ns)
        .collect();
    updates.sort_by_key(|(t_ns, _)| *t_ns);
    for (t_ns, update) in updates {
        let t_ns = t_ns / BURST_NS * BURST_NS;
        let bursts = &mut by_node[update.from];
        match bursts.last_mut() {
            Some(burst) if burst.t_ns == t_ns => {
                burst.advertisements += update.advertisements;
                burst.withdrawals += update.withdrawals;
            }
            _ => bursts.push(Burst {
                t_ns,
                advertisements: update.advertisements,
                withdrawals: update.withdrawals,
            }),
        }
    }
    nodes
        .iter()
        .zip(by_node)
        .filter(|(node, _)| node.role == NodeRole::Router)
        .map(|(_, bursts)| bursts)
        .collect()
}
