//! Networks that cannot be: sizes, edges, peers, destinations.

use topologies::Scenario;

use crate::{b_clique4, clique4, refused, with_topology};

#[test]
fn impossible_sizes_are_refused() {
    refused(
        &with_topology("{kind: clique, size: 501}"),
        (2, 32),
        "there is no clique of 501",
        "write a size from 2 to 500",
    );
    refused(
        &with_topology("{kind: chain, size: -3}"),
        (2, 31),
        "there is no chain of -3",
        "write a size from 2 to 500",
    );
    refused(
        &with_topology("{kind: ring, size: 2}"),
        (2, 30),
        "there is no ring of 2",
        "write a size from 3 to 500",
    );
    refused(
        &with_topology("{kind: clique}"),
        (2, 11),
        "a clique needs a `size`",
        "add `size: 16`, the number of routers without the injector",
    );
}

#[test]
fn a_clique_beyond_the_address_plan_is_refused_and_the_largest_is_not() {
    refused(
        &with_topology("{kind: clique, size: 360}"),
        (2, 32),
        "this clique of 360 has 64621 links, and 198.18.0.0/15 has room for 64512",
        "write a smaller size (359 is the largest clique)",
    );
    Scenario::parse(&with_topology("{kind: clique, size: 359}"), "s.yaml").unwrap();
    Scenario::parse(&with_topology("{kind: b-clique, size: 359}"), "s.yaml").unwrap();
}

#[test]
fn nodes_that_do_not_exist_are_refused_wherever_they_are_named() {
    let remedy = "the routers of this topology are `r1` to `r4`";
    for (more, place, name) in [
        ("injector: {primary: r5}", (4, 21), "r5"),
        ("injector: {backup: r0}", (4, 20), "r0"),
        ("injector: {backup: r02}", (4, 20), "r02"),
        ("injector: {primary: injector}", (4, 21), "injector"),
        (
            "router:\n  extra_config:\n    r1: [a]\n    r5: [b]",
            (7, 5),
            "r5",
        ),
        (
            "router:\n  extra_config:\n    injector: [b]",
            (6, 5),
            "injector",
        ),
    ] {
        let problem = format!("there is no router `{name}` here");
        refused(&clique4(more), place, &problem, remedy);
    }
    refused(
        &with_topology("{kind: edges, size: 3, edges: [[r1, r2], [r2, r9]]}"),
        (2, 57),
        "there is no router `r9` here",
        "the routers of this topology are `r1` to `r3`",
    );
    refused(
        &with_topology("{kind: edges, edges: [[r1, core]]}"),
        (2, 38),
        "`core` is no name of a router",
        "routers are named `r1`, `r2`, … up to `r500`",
    );
}

#[test]
fn edge_lists_that_make_no_network_are_refused() {
    let with = |edges: &str| with_topology(&format!("{{kind: edges, edges: {edges}}}"));
    refused(
        &with("[[r1, r2], [r2, r2]]"),
        (2, 43),
        "an edge from `r2` to itself",
        "name two different routers",
    );
    refused(
        &with("[[r1, r2], [r2, r1]]"),
        (2, 43),
        "`r2` and `r1` are joined a second time (first in line 2)",
        "list each edge once, in either direction",
    );
    refused(
        &with("[[r1, r2], [r3, r4]]"),
        (2, 32),
        "the network is in pieces: no path joins `r1` and `r3`",
        "add an edge that joins them; routers are numbered from r1 to r4 without a gap",
    );
    refused(
        &with("[[r1, r3]]"),
        (2, 32),
        "the network is in pieces: no path joins `r1` and `r2`",
        "add an edge that joins them; routers are numbered from r1 to r3 without a gap",
    );
    for (edges, n, column) in [("[[r1, r2], [r2]]", 1, 43), ("[[r1, r2, r3]]", 3, 33)] {
        refused(
            &with(edges),
            (2, column),
            &format!("an edge of {n} routers"),
            "an edge names two routers, such as `[r1, r2]`",
        );
    }
    refused(
        &with("[]"),
        (2, 32),
        "the list of edges is empty",
        "list the pairs of routers that peer, such as `[[r1, r2], [r2, r3]]`",
    );
    refused(
        &with_topology("{kind: edges, size: 4}"),
        (2, 18),
        "topology `edges` has no edges",
        "add `edges: [[r1, r2], [r2, r3]]`",
    );
    refused(
        &with_topology("{kind: ring, size: 4, edges: [[r1, r2]]}"),
        (2, 40),
        "`edges` means nothing in a ring: its edges follow from its size",
        "remove `edges`, or write `kind: edges`",
    );
}

#[test]
fn a_backup_that_is_the_primary_is_refused() {
    refused(
        &b_clique4("{kind: control}", "injector: {primary: r3, backup: r3}"),
        (4, 33),
        "the backup is the primary itself, `r3`",
        "name another router: the backup is a second way to the destination",
    );
    refused(
        &b_clique4("{kind: control}", "injector: {backup: r1}"),
        (4, 20),
        "the backup is the primary itself, `r1`",
        "name another router: the backup is a second way to the destination",
    );
}

#[test]
fn losing_the_only_way_to_the_destination_is_refused() {
    for kind in ["forwarding", "correlated"] {
        refused(
            &format!("name: a\ntopology: {{kind: clique, size: 4}}\nfailure: {{kind: {kind}}}\n"),
            (3, 17),
            &format!(
                "failure `{kind}` loses the primary link for good, and this clique has no backup: \
                 the destination could never be reached again"
            ),
            "give `injector: {backup: r2}`, or use topology `b-clique`, or failure `control`",
        );
    }
}

#[test]
fn destinations_that_cannot_be_announced_are_refused() {
    let default = "write an address and a prefix length, such as `198.51.100.0/24`";
    let other = "write another prefix, such as `198.51.100.0/24`";
    let unicast = "write a unicast prefix, such as `198.51.100.0/24`";
    for (written, problem, remedy) in [
        (
            "198.51.100.0",
            "`198.51.100.0` is not an IPv4 prefix",
            default,
        ),
        (
            "198.51.100.0/33",
            "`198.51.100.0/33` is not an IPv4 prefix",
            default,
        ),
        (
            "2001:db8::/32",
            "`2001:db8::/32` is not an IPv4 prefix",
            default,
        ),
        ("here", "`here` is not an IPv4 prefix", default),
        (
            "198.51.100.1/24",
            "`198.51.100.1/24` has bits set beyond its prefix length",
            "write `198.51.100.0/24`",
        ),
        (
            "198.18.4.0/24",
            "`198.18.4.0/24` overlaps 198.18.0.0/15, which the lab's links are numbered from",
            other,
        ),
        (
            "0.0.0.0/0",
            "`0.0.0.0/0` overlaps 198.18.0.0/15, which the lab's links are numbered from",
            other,
        ),
        (
            "10.1.0.0/16",
            "`10.1.0.0/16` overlaps 10.0.0.0/8, which filler routes are taken from",
            other,
        ),
        (
            "224.1.0.0/16",
            "`224.1.0.0/16` is no prefix that traffic is routed to",
            unicast,
        ),
        (
            "127.0.0.0/8",
            "`127.0.0.0/8` is no prefix that traffic is routed to",
            unicast,
        ),
    ] {
        let text = clique4(&format!("destination: {written}"));
        refused(&text, (4, 14), problem, remedy);
    }
}
