//! The network that an author asked for: graph, injector's peers, destination.
//!
//! *Assumes* the shape that [`super::authored`] gives. *Guarantees* a connected graph that the
//! address plan has room for, peers that exist, and a destination that no lab address falls into.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_saphyr::Location;

use super::authored::{At, AuthoredTopology, Edge};
use super::refusal::Flaw;
use crate::addressing::{FILLER_RANGE, LINK_RANGE, MAX_LINKS};
use crate::graph::{Graph, MAX_SIZE, router_index, router_name};
use crate::kinds::TopologyKind;

/// What the injector announces unless the author says otherwise: TEST-NET-2 (RFC 5737).
const DESTINATION: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(198, 51, 100, 0), 24);

#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) graph: Graph,
    pub(crate) primary: usize,
    pub(crate) backup: Option<usize>,
    pub(crate) shuffle: bool,
}

pub(crate) fn network(
    topology: At<AuthoredTopology>,
    primary: Option<At<String>>,
    backup: Option<At<String>>,
) -> Result<Network, Flaw> {
    let kind = topology.value.kind.value;
    let place = topology
        .value
        .size
        .as_ref()
        .map_or(topology.place, |s| s.place);
    let graph = match (&topology.value.edges, kind) {
        (Some(edges), TopologyKind::Edges) => edge_list(edges, topology.value.size.as_ref())?,
        (Some(edges), _) => {
            return Err(Flaw::new(
                edges.place,
                format!("`edges` means nothing in a {kind}: its edges follow from its size"),
                "remove `edges`, or write `kind: edges`",
            ));
        }
        (None, TopologyKind::Edges) => {
            return Err(Flaw::new(
                topology.value.kind.place,
                "topology `edges` has no edges",
                "add `edges: [[r1, r2], [r2, r3]]`",
            ));
        }
        (None, _) => generated(kind, topology.value.size.as_ref(), topology.place)?,
    };

    let size = graph.size();
    let find = |at: &At<String>| {
        router_index(&at.value)
            .filter(|i| *i < size)
            .ok_or_else(|| no_such_router(at, size))
    };
    let primary_index = primary.as_ref().map_or(Ok(0), find)?;
    let backup_index = match &backup {
        Some(at) => Some(find(at)?),
        // The second router, or the first if the author made the second one the primary.
        None if kind == TopologyKind::BClique => Some(usize::from(primary_index != 1)),
        None => None,
    };
    if let Some(at) = backup
        && backup_index == Some(primary_index)
    {
        return Err(Flaw::new(
            at.place,
            format!("the backup is the primary itself, `{}`", at.value),
            "name another router: the backup is a second way to the destination",
        ));
    }
    let links = graph.edges().len() + 1 + usize::from(backup_index.is_some());
    if links > MAX_LINKS {
        return Err(Flaw::new(
            place,
            format!(
                "this {kind} of {size} has {links} links, and {LINK_RANGE} has room for {MAX_LINKS}"
            ),
            "write a smaller size (359 is the largest clique)",
        ));
    }
    Ok(Network {
        graph,
        primary: primary_index,
        backup: backup_index,
        shuffle: topology.value.shuffle.unwrap_or(false),
    })
}

/// A name that is no router's.
pub(crate) fn no_such_router(at: &At<String>, size: usize) -> Flaw {
    Flaw::new(
        at.place,
        format!("there is no router `{}` here", at.value),
        format!(
            "the routers of this topology are `r1` to `{}`",
            router_name(size - 1)
        ),
    )
}

/// A name that could be no router's.
fn unnamed(at: &At<String>) -> Flaw {
    Flaw::new(
        at.place,
        format!("`{}` is no name of a router", at.value),
        format!(
            "routers are named `r1`, `r2`, … up to `{}`",
            router_name(MAX_SIZE - 1)
        ),
    )
}

fn generated(
    kind: TopologyKind,
    size: Option<&At<i64>>,
    topology: Location,
) -> Result<Graph, Flaw> {
    let Some(size) = size else {
        return Err(Flaw::new(
            topology,
            format!("a {kind} needs a `size`"),
            "add `size: 16`, the number of routers without the injector",
        ));
    };
    let n = checked_size(kind, size)?;
    Ok(match kind {
        TopologyKind::Chain => Graph::chain(n),
        TopologyKind::Ring => Graph::ring(n),
        TopologyKind::Star => Graph::star(n),
        TopologyKind::Clique | TopologyKind::BClique | TopologyKind::Edges => Graph::clique(n),
    })
}

fn checked_size(kind: TopologyKind, size: &At<i64>) -> Result<usize, Flaw> {
    let min = kind.min_size();
    match usize::try_from(size.value) {
        Ok(n) if (min..=MAX_SIZE).contains(&n) => Ok(n),
        Ok(1) => Err(Flaw::new(
            size.place,
            format!("a {kind} of 1 has nobody to peer with"),
            format!("write a size from {min} to {MAX_SIZE}"),
        )),
        _ => Err(Flaw::new(
            size.place,
            format!("there is no {kind} of {}", size.value),
            format!("write a size from {min} to {MAX_SIZE}"),
        )),
    }
}

fn edge_list(edges: &At<Vec<At<Edge>>>, size: Option<&At<i64>>) -> Result<Graph, Flaw> {
    let size = size
        .map(|s| checked_size(TopologyKind::Edges, s))
        .transpose()?;
    let limit = size.unwrap_or(MAX_SIZE);
    let mut seen: BTreeMap<(usize, usize), u64> = BTreeMap::new();
    for edge in &edges.value {
        let (a, b) = &edge.value;
        let find = |at: &At<String>| {
            router_index(&at.value)
                .filter(|i| *i < limit)
                .ok_or_else(|| match size {
                    Some(size) => no_such_router(at, size),
                    None => unnamed(at),
                })
        };
        let (i, j) = (find(a)?, find(b)?);
        if i == j {
            return Err(Flaw::new(
                edge.place,
                format!("an edge from `{}` to itself", a.value),
                "name two different routers",
            ));
        }
        let line = edge.place.line();
        if let Some(first) = seen.insert((i.min(j), i.max(j)), line) {
            return Err(Flaw::new(
                edge.place,
                format!(
                    "`{}` and `{}` are joined a second time (first in line {first})",
                    a.value, b.value
                ),
                "list each edge once, in either direction",
            ));
        }
    }
    let Some(highest) = seen.keys().map(|&(_, j)| j).max() else {
        return Err(Flaw::new(
            edges.place,
            "the list of edges is empty",
            "list the pairs of routers that peer, such as `[[r1, r2], [r2, r3]]`",
        ));
    };
    let graph = Graph::from_pairs(size.unwrap_or(highest + 1), seen.into_keys());
    match graph.unreachable() {
        Some(i) => Err(Flaw::new(
            edges.place,
            format!(
                "the network is in pieces: no path joins `r1` and `{}`",
                router_name(i)
            ),
            format!(
                "add an edge that joins them; routers are numbered from r1 to r{} without a gap",
                graph.size()
            ),
        )),
        None => Ok(graph),
    }
}

/// Checks the destination.
pub(crate) fn destination(authored: Option<At<String>>) -> Result<Ipv4Net, Flaw> {
    let Some(at) = authored else {
        return Ok(DESTINATION);
    };
    let flaw = |problem: String, remedy: String| Err(Flaw::new(at.place, problem, remedy));
    let written = &at.value;
    let Ok(net) = written.parse::<Ipv4Net>() else {
        return flaw(
            format!("`{written}` is not an IPv4 prefix"),
            format!("write an address and a prefix length, such as `{DESTINATION}`"),
        );
    };
    if net.addr() != net.network() {
        return flaw(
            format!("`{written}` has bits set beyond its prefix length"),
            format!("write `{}`", net.trunc()),
        );
    }
    let overlaps = |other: &Ipv4Net| net.contains(other) || other.contains(&net);
    if overlaps(&LINK_RANGE) {
        return flaw(
            format!("`{net}` overlaps {LINK_RANGE}, which the lab's links are numbered from"),
            format!("write another prefix, such as `{DESTINATION}`"),
        );
    }
    if overlaps(&FILLER_RANGE) {
        return flaw(
            format!("`{net}` overlaps {FILLER_RANGE}, which filler routes are taken from"),
            format!("write another prefix, such as `{DESTINATION}`"),
        );
    }
    let special = [(0, 8), (127, 8), (224, 3)]
        .map(|(first, len)| Ipv4Net::new_assert(Ipv4Addr::new(first, 0, 0, 0), len));
    if special.iter().any(overlaps) {
        return flaw(
            format!("`{net}` is no prefix that traffic is routed to"),
            format!("write a unicast prefix, such as `{DESTINATION}`"),
        );
    }
    Ok(net)
}
