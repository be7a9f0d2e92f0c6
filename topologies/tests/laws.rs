//! Laws of graphs, addresses and draws, over sizes and seeds.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeSet, HashSet};

use proptest::prelude::*;
use topologies::addressing::{FILLER_RANGE, INJECTOR_ASN, LINK_RANGE, ROUTER_ID_RANGE};
use topologies::{
    Filler, Graph, LinkRole, NodeRole, ResolvedScenario, Scenario, Span, Strategy as Arm, Topology,
};

const KINDS: [&str; 5] = ["clique", "b-clique", "chain", "ring", "star"];

fn scenario(kind: &str, size: usize, seed: u64, shuffle: bool) -> Scenario {
    let text = format!(
        "name: law\ntopology: {{kind: {kind}, size: {size}, shuffle: {shuffle}}}\n\
         failure: {{kind: control}}\nseed: {seed}\n"
    );
    Scenario::parse(&text, "law.yaml").unwrap()
}

fn any_scenario() -> impl Strategy<Value = Scenario> {
    (0..KINDS.len(), 3usize..40, any::<u64>(), any::<bool>())
        .prop_map(|(kind, size, seed, shuffle)| scenario(KINDS[kind], size, seed, shuffle))
}

fn run(scenario: &Scenario, index: u32) -> ResolvedScenario {
    scenario.resolve(Arm::None, index)
}

fn ends(t: &Topology) -> Vec<(String, String, LinkRole)> {
    t.links
        .iter()
        .map(|l| (l.a.clone(), l.b.clone(), l.role))
        .collect()
}

#[test]
fn each_graph_has_the_edges_of_its_definition() {
    for n in 3..30 {
        assert_eq!(Graph::clique(n).edges().len(), n * (n - 1) / 2);
        assert_eq!(Graph::chain(n).edges().len(), n - 1);
        assert_eq!(Graph::ring(n).edges().len(), n);
        assert_eq!(Graph::star(n).edges().len(), n - 1);
    }
    assert_eq!(Graph::chain(4).edges(), [(0, 1), (1, 2), (2, 3)]);
    assert_eq!(Graph::ring(4).edges(), [(0, 1), (0, 3), (1, 2), (2, 3)]);
    assert_eq!(Graph::star(4).edges(), [(0, 1), (0, 2), (0, 3)]);
}

#[test]
fn a_graph_in_pieces_names_the_first_router_left_out() {
    assert_eq!(
        Graph::from_pairs(4, [(0, 1), (2, 3)]).unreachable(),
        Some(2)
    );
    assert_eq!(Graph::from_pairs(3, [(0, 2)]).unreachable(), Some(1));
    assert_eq!(Graph::from_pairs(3, [(2, 0), (2, 1)]).unreachable(), None);
}

#[test]
fn the_dissertations_networks_have_its_links() {
    let clique = run(&scenario("clique", 16, 1, true), 0).topology;
    assert_eq!(clique.nodes.len(), 17);
    assert_eq!(clique.links.len(), 121);
    assert_eq!(clique.router_session_ends(), 241);
    assert!(clique.backup().is_none());
    let b_clique = run(&scenario("b-clique", 16, 1, true), 0);
    assert_eq!(b_clique.topology.links.len(), 122);
    assert_eq!(b_clique.topology.backup().unwrap().b, "r2");
    assert_eq!(b_clique.injector.backup_path_length, 17);
}

#[test]
fn a_b_clique_whose_primary_is_the_second_router_has_the_first_as_backup() {
    let text = "name: a\ntopology: {kind: b-clique, size: 4}\nfailure: {kind: control}\n\
                injector: {primary: r2}\n";
    let t = run(&Scenario::parse(text, "a").unwrap(), 0).topology;
    assert_eq!(
        (t.primary().b.as_str(), t.backup().unwrap().b.as_str()),
        ("r2", "r1")
    );
}

#[test]
fn an_edge_list_is_the_graph_it_says() {
    let text = "name: a\nfailure: {kind: correlated}\ninjector: {primary: r3, backup: r1}\n\
                topology: {kind: edges, edges: [[r3, r2], [r1, r2], [r4, r1]]}\n";
    let t = run(&Scenario::parse(text, "a").unwrap(), 0).topology;
    let pairs: Vec<_> = t
        .links
        .iter()
        .map(|l| (l.a.as_str(), l.b.as_str()))
        .collect();
    assert_eq!(
        pairs,
        [
            ("injector", "r3"),
            ("injector", "r1"),
            ("r1", "r2"),
            ("r1", "r4"),
            ("r2", "r3")
        ]
    );
}

#[test]
fn phases_are_spread_over_the_mrai() {
    let s = scenario("clique", 4, 7, false);
    let mut phases: Vec<f64> = (0..2_000)
        .map(|i| run(&s, i).failure.phase.as_secs_f64())
        .collect();
    phases.sort_by(f64::total_cmp);
    // Kolmogorov and Smirnov: 1.95 / sqrt(n) is exceeded once in a thousand; the seed is fixed.
    let n = phases.len() as f64;
    let furthest = phases
        .iter()
        .enumerate()
        .map(|(i, p)| (p / 5.0 - i as f64 / n).abs())
        .fold(0.0, f64::max);
    assert!(furthest < 1.95 / n.sqrt(), "{furthest}");
}

#[test]
fn without_an_mrai_there_is_no_phase() {
    let text = "name: a\ntopology: {kind: clique, size: 4}\nfailure: {kind: control}\n\
                router: {mrai: 0s}\n";
    let s = Scenario::parse(text, "a").unwrap();
    assert!((0..50).all(|i| run(&s, i).failure.phase == Span::ZERO));
    assert_eq!(run(&s, 0).quiet_period(), Span::from_secs(4));
}

#[test]
fn filler_prefixes_are_distinct_slash_24s_of_their_range() {
    let all: Vec<_> = Filler {
        count: 65_536,
        rate_per_s: 2_000,
        initial_rate_per_s: 2_000,
    }
    .prefixes()
    .collect();
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 65_536);
    assert!(
        all.iter()
            .all(|p| p.prefix_len() == 24 && FILLER_RANGE.contains(p))
    );
    assert_eq!(all[0].to_string(), "10.0.0.0/24");
    assert_eq!(all[257].to_string(), "10.1.1.0/24");
}

#[test]
fn the_largest_clique_stays_within_its_ranges() {
    let t = run(&scenario("b-clique", 359, 3, true), 0).topology;
    let highest = t.links.iter().map(|l| l.b_addr).max().unwrap();
    assert!(
        LINK_RANGE.contains(&highest) && !ROUTER_ID_RANGE.contains(&highest),
        "{highest}"
    );
    let star = run(&scenario("star", 500, 3, true), 0).topology;
    assert!(
        star.nodes
            .iter()
            .all(|n| ROUTER_ID_RANGE.contains(&n.router_id))
    );
    assert!(
        star.nodes
            .iter()
            .all(|n| (64_512..=65_534).contains(&n.asn)),
        "RFC 6996"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_network_is_connected_and_every_link_joins_two_nodes(s in any_scenario()) {
        let t = run(&s, 0).topology;
        let names: BTreeSet<_> = t.nodes.iter().map(|n| n.name.as_str()).collect();
        prop_assert_eq!(names.len(), t.nodes.len());
        let mut reached = BTreeSet::from(["injector"]);
        for _ in 0..t.nodes.len() {
            for l in &t.links {
                if reached.contains(l.a.as_str()) || reached.contains(l.b.as_str()) {
                    reached.extend([l.a.as_str(), l.b.as_str()]);
                }
            }
        }
        prop_assert_eq!(reached, names);
    }

    #[test]
    fn addresses_and_router_ids_are_unique_and_disjoint(s in any_scenario(), i in 0u32..100) {
        let t = run(&s, i).topology;
        let mut seen = HashSet::new();
        for l in &t.links {
            prop_assert!(seen.insert(l.a_addr) && seen.insert(l.b_addr));
        }
        for n in &t.nodes {
            prop_assert!(seen.insert(n.router_id), "{}", n.router_id);
        }
    }

    #[test]
    fn the_two_ends_of_a_link_share_a_slash_31(s in any_scenario(), i in 0u32..100) {
        for l in run(&s, i).topology.links {
            prop_assert_eq!(u32::from(l.a_addr) ^ 1, u32::from(l.b_addr));
            prop_assert_eq!(u32::from(l.a_addr) & 1, 0);
            prop_assert!(LINK_RANGE.contains(&l.a_addr));
        }
    }

    #[test]
    fn nodes_list_the_addresses_of_their_links_in_order(s in any_scenario()) {
        let t = run(&s, 0).topology;
        for n in &t.nodes {
            let mut of_links: Vec<_> = t.ends(&n.name).map(|e| e.addr).collect();
            if n.role == NodeRole::Injector {
                of_links.push(t.destination_address());
            }
            prop_assert_eq!(&n.addresses, &of_links);
        }
    }

    #[test]
    fn devices_fit_the_kernel_and_are_unique_in_their_node(s in any_scenario()) {
        let t = run(&s, 0).topology;
        for n in &t.nodes {
            let devices: Vec<_> = t.ends(&n.name).map(|e| e.dev).collect();
            prop_assert!(devices.iter().all(|d| d.len() <= 15), "IFNAMSIZ is 16 with the NUL");
            prop_assert_eq!(devices.iter().collect::<HashSet<_>>().len(), devices.len());
        }
    }

    #[test]
    fn the_injector_is_last_and_its_links_come_first(s in any_scenario()) {
        let t = run(&s, 0).topology;
        prop_assert_eq!(&t.nodes.last().unwrap().name, "injector");
        prop_assert_eq!(t.links[0].role, LinkRole::Primary);
        for (i, l) in t.links.iter().enumerate() {
            prop_assert_eq!(l.a == "injector", l.role != LinkRole::Peering);
            prop_assert_eq!(l.role == LinkRole::Backup, i == 1 && t.backup().is_some());
        }
    }

    #[test]
    fn the_same_scenario_seed_and_run_give_the_same_value(s in any_scenario(), i in any::<u32>()) {
        let again = Scenario::parse(s.text(), "again.yaml").unwrap();
        prop_assert_eq!(run(&s, i), run(&again, i));
    }

    #[test]
    fn arms_differ_in_their_strategy_alone(s in any_scenario(), i in any::<u32>()) {
        let a = s.resolve(Arm::None, i);
        let mut b = s.resolve(Arm::GracefulRestart, i);
        prop_assert_ne!(a.run_id(), b.run_id());
        b.strategy = Arm::None;
        prop_assert_eq!(a, b);
    }

    #[test]
    fn shuffling_keeps_names_roles_as_numbers_and_links(s in any_scenario(), i in any::<u32>()) {
        let plain = scenario(&s.topology_kind().to_string(), s.size(), s.seed(), false);
        let shuffled = scenario(&s.topology_kind().to_string(), s.size(), s.seed(), true);
        let (a, b) = (run(&plain, i).topology, run(&shuffled, i).topology);
        prop_assert_eq!(ends(&a), ends(&b));
        for (n, m) in a.nodes.iter().zip(&b.nodes) {
            prop_assert_eq!((&n.name, n.role, n.asn), (&m.name, m.role, m.asn));
        }
        let ids = |t: &Topology| t.nodes.iter().map(|n| n.router_id).collect::<BTreeSet<_>>();
        let pairs = |t: &Topology| t.links.iter().map(|l| l.a_addr).collect::<BTreeSet<_>>();
        prop_assert_eq!(ids(&a), ids(&b), "the same ids, dealt out anew");
        prop_assert_eq!(pairs(&a), pairs(&b), "the same /31s, dealt out anew");
    }

    #[test]
    fn runs_differ_in_seed_and_shuffled_ones_in_their_deal(seed in any::<u64>(), i in 0u32..1_000_000) {
        let s = scenario("clique", 16, seed, true);
        let (a, b) = (run(&s, i), run(&s, i + 1));
        prop_assert_ne!(a.seed, b.seed);
        let deal = |r: &ResolvedScenario| {
            let ids: Vec<_> = r.topology.nodes.iter().map(|n| n.router_id).collect();
            let pairs: Vec<_> = r.topology.links.iter().map(|l| l.a_addr).collect();
            (ids, pairs)
        };
        // 16! deals of ids alone: equal ones do not happen by chance.
        prop_assert_ne!(deal(&a), deal(&b));
        prop_assert_ne!(deal(&a).0, deal(&run(&scenario("clique", 16, seed, false), i)).0);
    }

    #[test]
    fn the_phase_is_whole_microseconds_below_the_mrai(s in any_scenario(), i in any::<u32>()) {
        let phase = run(&s, i).failure.phase.as_duration();
        prop_assert!(phase < s.router().mrai.as_duration());
        prop_assert_eq!(phase.subsec_nanos() % 1_000, 0);
    }

    #[test]
    fn as_numbers_follow_the_names(s in any_scenario()) {
        for n in run(&s, 0).topology.routers() {
            let number: u32 = n.name[1..].parse().unwrap();
            prop_assert_eq!(n.asn, INJECTOR_ASN + number);
        }
    }
}
