//! A replay as the page holds it: small, and read by `replay.js`.
//!
//! *Assumes* replays of one campaign. *Guarantees* that what is decoded is what was encoded, to the
//! microsecond (updates: to the millisecond), and that a network which several runs share is held once.
//!
//! Numbers are written as differences, several to an entry, in one array: of a 16-clique that explores
//! paths for a minute this makes some kilobytes. The shapes stand at the fields.

use serde::Serialize;
use topologies::render::{Layout, Point};
use topologies::{LinkRole, NodeRole, Topology, TopologyKind};

use super::moments::{self, Told};
use crate::reach::{Reach, Stand};
use crate::replay::{BURST_NS, Replay};

/// Kinds of [`Reach`], for the packing of a [`Stand`].
const STATES: usize = 4;

/// Indices of both ends, role (`primary`, `backup`, `peering`) and, if it is bent, where to.
type DrawnLink = (usize, usize, LinkRole, Option<Point>);

/// A network, drawn.
#[derive(Debug, Serialize)]
pub(super) struct Network {
    /// Name, place, AS number; the routers first, the injector last.
    nodes: Vec<(String, f64, f64, u32)>,
    links: Vec<DrawnLink>,
    destination: String,
    width: f64,
    height: f64,
}

impl Network {
    /// Draws a network; none of one that has no primary link to draw it by.
    pub(super) fn of(topology: &Topology, kind: &str) -> Option<Self> {
        topology
            .links
            .iter()
            .find(|l| l.role == LinkRole::Primary)?;
        let layout = Layout::of(topology, kind == TopologyKind::Star.to_string());
        let order = order(topology);
        let mut nodes = Vec::new();
        for &i in &order {
            let node = &topology.nodes[i];
            let (x, y) = *layout.at.get(&node.name)?;
            nodes.push((node.name.clone(), tenth(x), tenth(y), node.asn));
        }
        let index = |name: &str| order.iter().position(|&i| topology.nodes[i].name == name);
        let mut links = Vec::new();
        for link in &topology.links {
            let bend = layout.bend(link).map(|(x, y)| (tenth(x), tenth(y)));
            links.push((index(&link.a)?, index(&link.b)?, link.role, bend));
        }
        Some(Self {
            nodes,
            links,
            destination: topology.destination.to_string(),
            width: tenth(layout.width),
            height: tenth(layout.height),
        })
    }
}

/// The routers, in the topology's order, and then the injector: how the page numbers nodes.
fn order(topology: &Topology) -> Vec<usize> {
    let (routers, injectors): (Vec<usize>, Vec<usize>) =
        (0..topology.nodes.len()).partition(|&i| topology.nodes[i].role == NodeRole::Router);
    routers.into_iter().chain(injectors).collect()
}

fn tenth(x: f64) -> f64 {
    (x * 10.0).round() / 10.0
}

/// A replay, for `replay.js`. Times are microseconds after the failure.
#[derive(Debug, Serialize)]
pub(crate) struct Encoded {
    /// Number of its network.
    network: usize,
    end_us: u64,
    /// Number of the dead link.
    dead: Option<usize>,
    /// A packed stand per router.
    before: Vec<usize>,
    /// Two numbers to an entry: microseconds since the last one; packed stand x number of routers + router.
    turns: Vec<u64>,
    /// Three to an entry: microseconds after the failure (not a difference); link; 1 if it is down.
    links: Vec<i64>,
    /// By router, three to an entry: milliseconds since the last one; advertisements; withdrawals.
    updates: Vec<Vec<u64>>,
    moments: Vec<Told>,
}

impl Encoded {
    pub(crate) fn of(replay: &Replay, network: usize) -> Self {
        let order = order(&replay.topology);
        let number = |node: usize| order.iter().position(|&i| i == node);
        let pack = |s: Stand| pack(s.reach, s.next.and_then(number));
        let routers = replay.before.len() as u64;
        let mut turns = Vec::with_capacity(2 * replay.turns.len());
        let mut last_us = 0;
        for turn in &replay.turns {
            let t_us = turn.t_ns / 1000;
            turns.push(t_us - last_us);
            turns.push(pack(turn.stand) as u64 * routers + turn.router as u64);
            last_us = t_us;
        }
        let updates = replay.bursts.iter().map(|bursts| {
            let mut flat = Vec::with_capacity(3 * bursts.len());
            let mut last_ms = 0;
            for burst in bursts {
                let t_ms = burst.t_ns / BURST_NS;
                flat.push(t_ms - last_ms);
                flat.extend([burst.advertisements, burst.withdrawals].map(u64::from));
                last_ms = t_ms;
            }
            flat
        });
        let links = replay.links.iter().flat_map(|l| {
            let link = i64::try_from(l.link).unwrap_or(i64::MAX);
            [l.t_ns.div_euclid(1000), link, i64::from(l.down)]
        });
        Self {
            network,
            end_us: replay.end_ns / 1000,
            dead: replay.dead_link,
            before: replay.before.iter().map(|&s| pack(s)).collect(),
            turns,
            links: links.collect(),
            updates: updates.collect(),
            moments: moments::tell(&replay.moments, &replay.topology),
        }
    }
}

/// A stand as one number: the state, and 4 x (1 + number of the next hop), 0 for none.
fn pack(reach: Reach, next: Option<usize>) -> usize {
    let state = match reach {
        Reach::Reached => 0,
        Reach::NoRoute => 1,
        Reach::Loop => 2,
        Reach::Blackhole => 3,
    };
    state + STATES * next.map_or(0, |n| n + 1)
}
