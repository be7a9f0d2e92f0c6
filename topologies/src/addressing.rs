//! The plan of addresses, AS numbers and router ids.
//!
//! | what | from | why |
//! |---|---|---|
//! | links, one /31 each (RFC 3021) | 198.18.0.0/15 without its last /21 | benchmarking range (RFC 2544, appendix C.2.2) |
//! | router ids | 198.19.248.0/21 | the last /21 of the same range: never an address of a link |
//! | filler routes, a /24 each | 10.0.0.0/8 | 65,536 of them, private (RFC 1918) |
//! | AS numbers | 65000 injector, 65001… routers | private (RFC 6996) |
//!
//! *Assumes* a graph within [`MAX_LINKS`] and [`crate::graph::MAX_SIZE`]. *Guarantees* that
//! addresses and router ids are unique and disjoint, and that names, roles and AS numbers depend
//! on no seed: shuffling permutes router ids among the routers, and the /31s among the links.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::graph::{Graph, router_name};
use crate::resolved::Filler;
use crate::seed::{self, Purpose};
use crate::topology::{Link, LinkRole, Node, NodeRole, Topology};

/// Name of the injector.
pub const INJECTOR: &str = "injector";

/// The range that the links' addresses and the router ids are taken from.
pub const LINK_RANGE: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15);

/// The part of [`LINK_RANGE`] that the router ids are taken from.
pub const ROUTER_ID_RANGE: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(198, 19, 248, 0), 21);

/// The range that the filler's prefixes are taken from.
pub const FILLER_RANGE: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8);

/// Most links that a topology may have: the /31s of [`LINK_RANGE`] below [`ROUTER_ID_RANGE`].
pub const MAX_LINKS: usize = (1 << 16) - (1 << 10);

/// Most prefixes that a filler may have: the /24s of [`FILLER_RANGE`].
pub const MAX_FILLER: u32 = 1 << 16;

/// AS number of the injector; router `r{n}` has this plus `n`.
pub const INJECTOR_ASN: u32 = 65_000;

impl Filler {
    /// The prefixes to announce, in order: /24s of [`FILLER_RANGE`].
    pub fn prefixes(&self) -> impl Iterator<Item = Ipv4Net> + use<> {
        let base = u32::from(FILLER_RANGE.network());
        (0..self.count.min(MAX_FILLER))
            .map(move |i| Ipv4Net::new_assert(Ipv4Addr::from(base | (i << 8)), 24))
    }
}

/// The network over a graph: `primary` and `backup` are the routers that peer with the injector.
pub(crate) fn allocate(
    graph: &Graph,
    primary: usize,
    backup: Option<usize>,
    destination: Ipv4Net,
    shuffle_seed: Option<u64>,
) -> Topology {
    let ends = link_ends(graph, primary, backup);
    let order = |purpose, n| match shuffle_seed {
        Some(seed) => seed::permutation(&mut seed::stream(purpose, seed, 0), n),
        None => (0..n).collect(),
    };
    let slots = order(Purpose::Addresses, ends.len());
    let ids = order(Purpose::RouterIds, graph.size());

    let links: Vec<Link> = ends
        .into_iter()
        .zip(&slots)
        .map(|((a, b, role), &slot)| {
            let [a_addr, b_addr] = pair(slot);
            Link {
                a_dev: format!("to-{b}"),
                b_dev: format!("to-{a}"),
                a,
                b,
                a_addr,
                b_addr,
                role,
            }
        })
        .collect();

    let routers = (0..graph.size()).map(|i| Node {
        name: router_name(i),
        role: NodeRole::Router,
        asn: INJECTOR_ASN + 1 + nth(i),
        router_id: router_id(1 + ids[i]),
        addresses: Vec::new(),
    });
    let injector = Node {
        name: INJECTOR.to_owned(),
        role: NodeRole::Injector,
        asn: INJECTOR_ASN,
        // Its number decides no tie among routers: it stays where it is.
        router_id: router_id(0),
        addresses: Vec::new(),
    };
    let mut topology = Topology {
        destination,
        nodes: routers.chain([injector]).collect(),
        links,
    };
    list_addresses(&mut topology);
    topology
}

/// The links in order: primary, backup, peerings; each with its two names and its role.
fn link_ends(
    graph: &Graph,
    primary: usize,
    backup: Option<usize>,
) -> Vec<(String, String, LinkRole)> {
    let from_injector = |i, role| (INJECTOR.to_owned(), router_name(i), role);
    let peerings = graph
        .edges()
        .iter()
        .map(|&(i, j)| (router_name(i), router_name(j), LinkRole::Peering));
    [from_injector(primary, LinkRole::Primary)]
        .into_iter()
        .chain(backup.map(|i| from_injector(i, LinkRole::Backup)))
        .chain(peerings)
        .collect()
}

fn list_addresses(topology: &mut Topology) {
    let index: std::collections::HashMap<String, usize> = topology
        .nodes
        .iter()
        .enumerate()
        .map(|(i, n)| (n.name.clone(), i))
        .collect();
    for link in &topology.links {
        topology.nodes[index[&link.a]].addresses.push(link.a_addr);
        topology.nodes[index[&link.b]].addresses.push(link.b_addr);
    }
    let own = topology.destination_address();
    topology.nodes[index[INJECTOR]].addresses.push(own);
}

/// The two addresses of the /31 of that number.
fn pair(slot: usize) -> [Ipv4Addr; 2] {
    let even = u32::from(LINK_RANGE.network()) + 2 * nth(slot);
    [Ipv4Addr::from(even), Ipv4Addr::from(even + 1)]
}

/// The router id of that number: from the range's second address on, so that none ends in .0.
fn router_id(number: usize) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(ROUTER_ID_RANGE.network()) + 1 + nth(number))
}

fn nth(i: usize) -> u32 {
    u32::try_from(i).expect("sizes are limited far below 2^32")
}
