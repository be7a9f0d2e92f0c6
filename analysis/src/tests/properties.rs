//! What holds of every run, whatever its records are: the states partition time, and the figures
//! are those of a slow and simple walk done anew for every instant.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};
use proptest::sample::Index;
use topologies::{NodeRole, Topology};

use super::network::{Story, by_way_of, clique, hop};
use super::replay::Decoded;
use crate::frame::{Dated, Frame, Install, RouteKind, TableRecord};
use crate::metrics::measure;
use crate::reach::{Reach, Timeline, follow};
use crate::replay::Replay;

/// What happens at a node, by numbers that a topology gives a meaning.
#[derive(Debug, Clone)]
enum Act {
    Turn(Index),
    Delete,
    Carrier(Index, bool),
    Refuse,
    Discard,
}

fn act() -> impl Strategy<Value = Act> {
    prop::sample::select(vec![0, 0, 0, 0, 1, 1, 2, 3, 4]).prop_flat_map(|kind| {
        (any::<Index>(), any::<bool>()).prop_map(move |(i, b)| match kind {
            0 => Act::Turn(i),
            1 => Act::Delete,
            2 => Act::Carrier(i, b),
            3 => Act::Refuse,
            _ => Act::Discard,
        })
    })
}

/// Acts of any node, at few different instants, so that many coincide; some before the failure
/// and some after the end.
fn acts() -> impl Strategy<Value = Vec<(i64, Index, Act)>> {
    prop::collection::vec((-3i64..25, any::<Index>(), act()), 0..60)
}

fn frame(n: usize, backup: bool, dead: bool, acts: &[(i64, Index, Act)]) -> Frame {
    let topology = clique(n, backup);
    let mut story = Story::settled(topology.clone());
    story.frame.dead_link = dead.then_some(0);
    story.frame.end_ns = 20_000_000_000;
    let names: Vec<String> = topology.routers().map(|r| r.name.clone()).collect();
    for (t_s, node, act) in acts {
        let node = node.get(&names);
        let peers: Vec<&str> = topology.ends(node).map(|e| e.peer).collect();
        let t_s = *t_s as f64;
        let mut route = by_way_of(&topology, node, peers[0]);
        match act {
            Act::Turn(i) => {
                story.turn(t_s, node, peers[i.index(peers.len())]);
            }
            Act::Delete => {
                story.record(t_s, node, TableRecord::RouteRemoved(route));
            }
            Act::Carrier(i, running) => {
                story.link(t_s, node, peers[i.index(peers.len())], *running);
            }
            Act::Refuse | Act::Discard => {
                route.hops.clear();
                route.kind = if matches!(act, Act::Refuse) {
                    RouteKind::Refuse
                } else {
                    RouteKind::Discard
                };
                story.add(t_s, node, route, Install::Replace);
            }
        }
    }
    let mut frame = story.frame;
    frame.records.sort_by_key(|r| r.t_ns);
    frame
}

/// The records with those of one instant dealt out anew: any order between nodes, the kernel's
/// own within a node.
fn dealt(records: &[Dated], order: &[u64]) -> Vec<Dated> {
    let mut keyed: Vec<(i64, u64, usize, usize)> = records
        .iter()
        .enumerate()
        .map(|(i, r)| (r.t_ns, order[r.node % order.len()], r.node, i))
        .collect();
    keyed.sort_unstable();
    keyed.iter().map(|k| records[k.3].clone()).collect()
}

/// The state of the walk from `start` at `t_ns`, from nothing but the definitions: every record
/// up to then is replayed into plain maps.
fn walk_anew(frame: &Frame, start: usize, t_ns: i64) -> Reach {
    let topology = &frame.topology;
    let mut routes: BTreeMap<usize, (RouteKind, Option<String>)> = BTreeMap::new();
    let mut down: BTreeSet<(usize, String)> = BTreeSet::new();
    for r in frame.records.iter().filter(|r| r.t_ns <= t_ns) {
        match &r.record {
            TableRecord::RouteAdded(route, _) => {
                let peer = route
                    .hops
                    .first()
                    .map(|h| peer_of(topology, r.node, h.gateway));
                routes.insert(r.node, (route.kind, peer));
            }
            TableRecord::RouteRemoved(_) => {
                routes.remove(&r.node);
            }
            TableRecord::Device { name, running, .. } => {
                let peer = name.trim_start_matches("to-").to_owned();
                if *running {
                    down.remove(&(r.node, peer));
                } else {
                    if routes
                        .get(&r.node)
                        .is_some_and(|x| x.1.as_ref() == Some(&peer))
                    {
                        routes.remove(&r.node);
                    }
                    down.insert((r.node, peer));
                }
            }
            other => unreachable!("not made here: {other:?}"),
        }
    }
    let mut visited = BTreeSet::new();
    let mut at = start;
    loop {
        if topology.nodes[at].role == NodeRole::Injector {
            return Reach::Reached;
        }
        if !visited.insert(at) {
            return Reach::Loop;
        }
        let peer = match routes.get(&at) {
            None | Some((RouteKind::Refuse, _)) => {
                return if at == start {
                    Reach::NoRoute
                } else {
                    Reach::Blackhole
                };
            }
            Some((RouteKind::Forward, Some(peer))) => peer,
            Some(_) => return Reach::Blackhole,
        };
        let here = &topology.nodes[at].name;
        let next = topology.nodes.iter().position(|n| n.name == *peer).unwrap();
        let link = topology
            .links
            .iter()
            .position(|l| [&l.a, &l.b] == [here, peer] || [&l.b, &l.a] == [here, peer])
            .unwrap();
        let dead = frame.dead_link == Some(link) && t_ns >= 0;
        if dead || down.contains(&(at, peer.clone())) || down.contains(&(next, here.clone())) {
            return Reach::Blackhole;
        }
        at = next;
    }
}

fn peer_of(topology: &Topology, node: usize, gateway: Option<std::net::Ipv4Addr>) -> String {
    topology
        .ends(&topology.nodes[node].name)
        .find(|e| Some(e.peer_addr) == gateway)
        .unwrap()
        .peer
        .to_owned()
}

fn check_partition(timeline: &Timeline, end_ns: u64) -> Result<(), String> {
    let mut at = 0;
    for (i, interval) in timeline.intervals.iter().enumerate() {
        if interval.from_ns != at || interval.to_ns <= interval.from_ns {
            return Err(format!("gap, overlap or nothing at {at}: {interval:?}"));
        }
        if i > 0 && timeline.intervals[i - 1].reach == interval.reach {
            return Err(format!("no boundary at {at}"));
        }
        at = interval.to_ns;
    }
    if at != end_ns {
        return Err(format!("it ends at {at}, the run at {end_ns}"));
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_states_partition_time_and_sum_to_the_disconnection(
        n in 2usize..6, backup: bool, dead: bool, acts in acts(),
    ) {
        let frame = frame(n, backup, dead, &acts);
        let timelines = follow(&frame);
        let (run, _) = measure(&frame);
        prop_assert_eq!(timelines.len(), n);
        for (timeline, router) in timelines.iter().zip(&run.routers) {
            prop_assert_eq!(check_partition(timeline, frame.end_ns), Ok(()));
            let reached = timeline.total_ns(Reach::Reached);
            prop_assert_eq!(router.disconnected_ns() + reached, frame.end_ns);
            prop_assert!(router.last_change_ns <= run.convergence_ns);
        }
        prop_assert!(run.routers.iter().any(|r| r.last_change_ns == run.convergence_ns));
    }

    #[test]
    fn at_every_instant_the_state_is_that_of_a_walk_done_anew(
        n in 2usize..6, backup: bool, dead: bool, acts in acts(),
    ) {
        let frame = frame(n, backup, dead, &acts);
        for (router, timeline) in follow(&frame).iter().enumerate() {
            for interval in &timeline.intervals {
                for second in interval.from_ns / 1_000_000_000..interval.to_ns / 1_000_000_000 {
                    let t_ns = second as i64 * 1_000_000_000;
                    prop_assert_eq!(walk_anew(&frame, router, t_ns), interval.reach);
                }
            }
            prop_assert_eq!(walk_anew(&frame, router, -1), timeline.before);
        }
    }

    #[test]
    fn the_replay_as_the_page_has_it_says_what_the_timelines_say(
        n in 2usize..6, backup: bool, dead: bool, acts in acts(),
    ) {
        let frame = frame(n, backup, dead, &acts);
        let timelines = follow(&frame);
        let replay = Decoded::of(&Replay::of(&frame, &timelines));
        for (router, timeline) in timelines.iter().enumerate() {
            prop_assert_eq!(replay.stand(router, -1).0, timeline.before);
            for interval in &timeline.intervals {
                for t_ns in [interval.from_ns, interval.to_ns - 1] {
                    let t_us = (t_ns / 1000) as i64;
                    prop_assert_eq!(replay.stand(router, t_us).0, interval.reach);
                }
            }
        }
    }

    #[test]
    fn the_order_of_nodes_within_an_instant_changes_nothing(
        n in 2usize..6, backup: bool, dead: bool, acts in acts(),
        order in prop::collection::vec(any::<u64>(), 8),
    ) {
        let frame = frame(n, backup, dead, &acts);
        let mut other = frame.clone();
        other.records = dealt(&frame.records, &order);
        prop_assert_eq!(follow(&frame), follow(&other));
    }

    #[test]
    fn saying_a_thing_twice_changes_nothing(n in 2usize..5, acts in acts()) {
        let frame = frame(n, true, true, &acts);
        let mut other = frame.clone();
        other.records = frame.records.iter().flat_map(|r| [r.clone(), r.clone()]).collect();
        prop_assert_eq!(follow(&frame), follow(&other));
    }
}

#[test]
fn hops_of_the_test_networks_are_those_of_their_links() {
    let topology = clique(3, true);
    let hop = hop(&topology, "r2", "r1");
    assert_eq!(hop.gateway, Some("198.18.0.4".parse().unwrap()));
    assert_eq!(hop.device, Some(3), "lo, then the backup, then r1");
}
