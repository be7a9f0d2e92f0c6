//! Small networks and the records of their kernels, written by hand.

use std::net::Ipv4Addr;

use topologies::{Link, LinkRole, Node, NodeRole, Topology};

use crate::frame::{Dated, Frame, Hop, Install, Route, RouteKind, TableRecord, Update};

/// Nanoseconds of `s` seconds.
pub(crate) fn ns(s: f64) -> u64 {
    (s * 1e9).round() as u64
}

/// A clique of `n` routers; the injector peers with r1 and, if there is a `backup`, with r2.
pub(crate) fn clique(n: usize, backup: bool) -> Topology {
    let router = |i: usize| format!("r{}", i + 1);
    let mut ends = vec![("injector".to_owned(), router(0), LinkRole::Primary)];
    if backup {
        ends.push(("injector".to_owned(), router(1), LinkRole::Backup));
    }
    for i in 0..n {
        for j in i + 1..n {
            ends.push((router(i), router(j), LinkRole::Peering));
        }
    }
    let links: Vec<Link> = ends
        .into_iter()
        .enumerate()
        .map(|(i, (a, b, role))| {
            let base = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + 2 * i as u32;
            Link {
                a_addr: base.into(),
                b_addr: (base + 1).into(),
                a_dev: format!("to-{b}"),
                b_dev: format!("to-{a}"),
                a,
                b,
                role,
            }
        })
        .collect();
    let node = |(i, name): (usize, String)| Node {
        role: if name == "injector" {
            NodeRole::Injector
        } else {
            NodeRole::Router
        },
        asn: 65_000 + i as u32,
        router_id: Ipv4Addr::new(192, 0, 2, i as u8 + 1),
        addresses: Vec::new(),
        name,
    };
    Topology {
        destination: "198.51.100.0/24".parse().unwrap(),
        nodes: (0..n)
            .map(router)
            .chain(["injector".to_owned()])
            .enumerate()
            .map(node)
            .collect(),
        links,
    }
}

/// Index of the node of that name.
pub(crate) fn index(topology: &Topology, node: &str) -> usize {
    topology.nodes.iter().position(|n| n.name == node).unwrap()
}

/// The next hop of `node` that is `peer`, as the node's kernel has it. Device 1 is `lo`, the
/// links follow in the topology's order.
pub(crate) fn hop(topology: &Topology, node: &str, peer: &str) -> Hop {
    let (i, end) = topology
        .ends(node)
        .enumerate()
        .find(|(_, e)| e.peer == peer)
        .unwrap();
    Hop {
        gateway: Some(end.peer_addr),
        device: Some(i as u32 + 2),
    }
}

/// A route to the destination by way of `peer`.
pub(crate) fn by_way_of(topology: &Topology, node: &str, peer: &str) -> Route {
    Route {
        prefix: topology.destination,
        priority: 20,
        kind: RouteKind::Forward,
        hops: vec![hop(topology, node, peer)],
        nhid: Some(7),
    }
}

/// A run in the making: times are seconds after the failure.
pub(crate) struct Story {
    pub(crate) frame: Frame,
}

impl Story {
    /// All links up since ten seconds, and every router on its direct way: r1 to the injector,
    /// the others to r1. The run ends ten seconds after the failure.
    pub(crate) fn settled(topology: Topology) -> Self {
        let mut story = Self {
            frame: Frame {
                topology: topology.clone(),
                dead_link: None,
                end_ns: ns(10.0),
                records: Vec::new(),
                updates: Vec::new(),
                moments: Vec::new(),
                probes: None,
            },
        };
        for node in &topology.nodes {
            for end in topology.ends(&node.name) {
                story.link(-10.0, &node.name, end.peer, true);
            }
        }
        for router in topology.routers() {
            let peer = if router.name == "r1" {
                "injector"
            } else {
                "r1"
            };
            story.add(
                -9.0,
                &router.name,
                by_way_of(&topology, &router.name, peer),
                Install::First,
            );
        }
        story
    }

    pub(crate) fn record(&mut self, t_s: f64, node: &str, record: TableRecord) -> &mut Self {
        self.frame.records.push(Dated {
            t_ns: (t_s * 1e9).round() as i64,
            node: index(&self.frame.topology, node),
            record,
        });
        self
    }

    pub(crate) fn add(
        &mut self,
        t_s: f64,
        node: &str,
        route: Route,
        install: Install,
    ) -> &mut Self {
        self.record(t_s, node, TableRecord::RouteAdded(route, install))
    }

    /// The router's route is replaced by one by way of `peer`.
    pub(crate) fn turn(&mut self, t_s: f64, node: &str, peer: &str) -> &mut Self {
        let route = by_way_of(&self.frame.topology, node, peer);
        self.add(t_s, node, route, Install::Replace)
    }

    /// The router's route by way of `peer` is deleted.
    pub(crate) fn delete(&mut self, t_s: f64, node: &str, peer: &str) -> &mut Self {
        let route = by_way_of(&self.frame.topology, node, peer);
        self.record(t_s, node, TableRecord::RouteRemoved(route))
    }

    /// The node's device towards `peer` comes, or its carrier comes or goes.
    pub(crate) fn link(&mut self, t_s: f64, node: &str, peer: &str, running: bool) -> &mut Self {
        let index = hop(&self.frame.topology, node, peer).device.unwrap();
        let name = format!("to-{peer}");
        self.record(
            t_s,
            node,
            TableRecord::Device {
                index,
                name,
                up: true,
                running,
            },
        )
    }
}

/// A loop of two, r1 and r2, from 1 s to 3 s, seen by r3 too; updates of r1 and r2.
pub(crate) fn eventful() -> Frame {
    let mut story = Story::settled(clique(3, false));
    story.turn(1.0, "r1", "r2").turn(3.0, "r1", "injector");
    for (t_s, from, to, advertisements, withdrawals) in [
        (-1.0, 0, 1, 1, 0),
        (0.5, 0, 1, 0, 1),
        (0.5, 0, 2, 0, 1),
        (3.0, 0, 1, 1, 0),
        (3.0, 0, 2, 1, 0),
        (3.5, 1, 2, 1, 1),
        (11.0, 1, 2, 1, 0),
    ] {
        story.frame.updates.push(Update {
            t_ns: (t_s * 1e9) as i64,
            from,
            to,
            advertisements,
            withdrawals,
        });
    }
    story.frame.records.sort_by_key(|r| r.t_ns);
    story.frame
}
