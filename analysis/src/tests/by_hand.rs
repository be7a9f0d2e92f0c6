//! Runs small enough to be worked out on paper. Seconds throughout, after the failure; each run
//! ends at 10 s unless it says otherwise.

use results::{FindingKind, Severity, Status};

use super::network::{Story, by_way_of, clique, ns};
use crate::frame::{Install, RouteKind, TableRecord, Update};
use crate::metrics::{RouterMetrics, RunMetrics, is_valid, measure};

/// `(last change, no route, loop, blackhole)` of each router, seconds.
fn figures(run: &RunMetrics) -> Vec<(f64, f64, f64, f64)> {
    let s = |n: u64| n as f64 / 1e9;
    run.routers
        .iter()
        .map(|r| {
            (
                s(r.last_change_ns),
                s(r.no_route_ns),
                s(r.loop_ns),
                s(r.blackhole_ns),
            )
        })
        .collect()
}

/// The figures of a run in which nothing is found.
fn clean(story: &Story) -> RunMetrics {
    let (run, findings) = measure(&story.frame);
    assert_eq!(findings, [], "nothing is doubtful");
    run
}

#[test]
fn a_run_without_change_has_zeros_only() {
    let run = clean(&Story::settled(clique(3, false)));
    assert_eq!(run.convergence_ns, 0);
    assert_eq!(figures(&run), [(0.0, 0.0, 0.0, 0.0); 3]);
}

#[test]
fn a_loop_of_two_catches_those_behind_it_and_ends_in_a_blackhole() {
    let mut story = Story::settled(clique(3, false));
    story
        .turn(1.0, "r1", "r2") // r1 and r2 point at each other, r3 at r1
        .delete(3.0, "r2", "r1") // r2 has no route: r1's and r3's packets die there
        .turn(4.0, "r1", "injector") // r1 and r3 are back
        .add(
            5.0,
            "r2",
            by_way_of(&clique(3, false), "r2", "r1"),
            Install::First,
        );
    let run = clean(&story);
    assert_eq!(run.convergence_ns, ns(5.0));
    assert_eq!(
        figures(&run),
        [
            (4.0, 0.0, 2.0, 1.0),
            (5.0, 2.0, 2.0, 0.0),
            (0.0, 0.0, 2.0, 1.0),
        ]
    );
    let disconnected: Vec<u64> = run
        .routers
        .iter()
        .map(RouterMetrics::disconnected_ns)
        .collect();
    assert_eq!(disconnected, [ns(3.0), ns(4.0), ns(3.0)]);
}

#[test]
fn a_router_without_route_is_a_blackhole_to_those_behind_it() {
    let mut story = Story::settled(clique(3, false));
    story
        .delete(2.0, "r1", "injector")
        .turn(2.25, "r1", "injector");
    assert_eq!(
        figures(&clean(&story)),
        [
            (2.25, 0.25, 0.0, 0.0),
            (0.0, 0.0, 0.0, 0.25),
            (0.0, 0.0, 0.0, 0.25),
        ]
    );
}

#[test]
fn changes_of_one_instant_count_together_in_any_order() {
    // r1 turns to r2 at the instant at which r2 turns to the backup: no loop is ever seen.
    let mut story = Story::settled(clique(3, true));
    story.turn(1.0, "r1", "r2").turn(1.0, "r2", "injector");
    let expected = [
        (1.0, 0.0, 0.0, 0.0),
        (1.0, 0.0, 0.0, 0.0),
        (0.0, 0.0, 0.0, 0.0),
    ];
    assert_eq!(figures(&clean(&story)), expected);

    let last = story.frame.records.len() - 1;
    story.frame.records.swap(last, last - 1);
    assert_eq!(figures(&clean(&story)), expected);

    // A microsecond apart, it is seen for that microsecond.
    story.frame.records[last].t_ns += 1_000;
    assert_eq!(
        figures(&clean(&story))[0],
        (1.000_001, 0.0, 0.0, 0.0),
        "r2 turned first: r1 always had a way"
    );
    story.frame.records.swap(last, last - 1);
    story.frame.records[last - 1].t_ns -= 1_000;
    story.frame.records[last].t_ns += 1_000;
    assert_eq!(figures(&clean(&story))[2], (0.0, 0.0, 0.000_001, 0.0));
}

#[test]
fn the_dead_primary_is_a_blackhole_from_the_failure_on() {
    let topology = clique(3, true);
    let mut story = Story::settled(topology.clone());
    story.frame.dead_link = Some(0);
    story
        .turn(0.5, "r2", "injector") // over the backup
        .turn(2.0, "r3", "r2")
        .turn(3.0, "r1", "r2");
    let run = clean(&story);
    assert_eq!(run.convergence_ns, ns(3.0));
    assert_eq!(
        figures(&run),
        [
            (3.0, 0.0, 0.0, 3.0),
            (0.5, 0.0, 0.0, 0.5),
            (2.0, 0.0, 0.0, 2.0),
        ]
    );
}

#[test]
fn the_primary_was_alive_before_the_failure() {
    let mut story = Story::settled(clique(2, true));
    story.frame.dead_link = Some(0);
    let (_, findings) = measure(&story.frame);
    assert!(
        findings.iter().all(|f| f.kind != FindingKind::NotSettled),
        "before the failure all reached the destination: {findings:?}"
    );
}

#[test]
fn routes_vanish_with_their_carrier_without_a_delroute() {
    let mut story = Story::settled(clique(3, false));
    story
        .link(2.0, "r1", "injector", false)
        .link(2.5, "r1", "injector", true) // the carrier alone brings no route back
        .add(
            3.0,
            "r1",
            by_way_of(&clique(3, false), "r1", "injector"),
            Install::First,
        );
    assert_eq!(
        figures(&clean(&story)),
        [
            (3.0, 1.0, 0.0, 0.0),
            (0.0, 0.0, 0.0, 1.0),
            (0.0, 0.0, 0.0, 1.0),
        ]
    );
}

#[test]
fn a_route_that_outlives_its_carrier_leads_nowhere_until_it_is_back() {
    let topology = clique(2, false);
    let mut plain = by_way_of(&topology, "r1", "injector");
    plain.nhid = None;
    let mut story = Story::settled(topology);
    story
        .add(0.5, "r1", plain, Install::Replace)
        .link(2.0, "r1", "injector", false)
        .link(2.5, "r1", "injector", true);
    assert_eq!(
        figures(&clean(&story)),
        [(0.0, 0.0, 0.0, 0.5), (0.0, 0.0, 0.0, 0.5)]
    );
}

#[test]
fn a_link_that_is_down_at_its_far_end_carries_nothing() {
    let mut story = Story::settled(clique(2, false));
    story
        .link(1.0, "r1", "r2", false)
        .link(1.5, "r1", "r2", true);
    assert_eq!(
        figures(&clean(&story)),
        [(0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.5)],
        "r2 still has its route by way of r1, over a link whose other end is down"
    );
}

#[test]
fn routes_vanish_with_their_device_and_with_their_nexthop_object() {
    let topology = clique(2, false);
    let mut story = Story::settled(topology.clone());
    let device = super::network::hop(&topology, "r2", "r1").device.unwrap();
    story
        .record(1.0, "r2", TableRecord::DeviceRemoved { index: device })
        .link(1.5, "r2", "r1", true)
        .turn(2.0, "r2", "r1")
        .record(4.0, "r2", TableRecord::NexthopRemoved { id: 8 }) // another's
        .record(5.0, "r2", TableRecord::NexthopRemoved { id: 7 })
        .turn(5.25, "r2", "r1");
    assert_eq!(figures(&clean(&story))[1], (5.25, 1.25, 0.0, 0.0));
}

#[test]
fn a_reinstall_through_another_nexthop_object_is_no_change() {
    let topology = clique(2, false);
    let mut story = Story::settled(topology.clone());
    let mut route = by_way_of(&topology, "r2", "r1");
    route.nhid = Some(99);
    story.add(1.0, "r2", route, Install::Replace);
    assert_eq!(clean(&story).convergence_ns, 0);
}

#[test]
fn a_change_and_its_undoing_at_one_instant_are_no_change() {
    let mut story = Story::settled(clique(3, false));
    story.turn(1.0, "r2", "r3").turn(1.0, "r2", "r1");
    assert_eq!(clean(&story).convergence_ns, 0);
}

#[test]
fn changes_before_the_failure_and_after_the_end_do_not_count() {
    let mut story = Story::settled(clique(3, false));
    story
        .turn(-2.0, "r2", "r3")
        .turn(-1.0, "r2", "r1")
        .delete(10.5, "r1", "injector"); // the lab is torn down
    let run = clean(&story);
    assert_eq!(figures(&run), [(0.0, 0.0, 0.0, 0.0); 3]);
}

#[test]
fn a_change_at_the_very_instant_of_the_failure_counts() {
    let mut story = Story::settled(clique(3, true));
    story.turn(0.0, "r2", "injector").turn(0.0, "r3", "r2");
    let (run, _) = measure(&story.frame);
    let timelines = crate::reach::follow(&story.frame);
    assert_eq!(run.convergence_ns, 0, "it took no time");
    assert_eq!(timelines[2].changes, 1);
}

#[test]
fn a_router_still_disconnected_counts_to_the_end_and_is_found() {
    let mut story = Story::settled(clique(3, false));
    story.delete(8.0, "r3", "r1");
    let (run, findings) = measure(&story.frame);
    assert_eq!(figures(&run)[2], (8.0, 2.0, 0.0, 0.0));
    let [finding] = findings.as_slice() else {
        panic!("one finding: {findings:?}");
    };
    assert_eq!(finding.kind, FindingKind::StillDisconnected);
    assert_eq!(finding.severity, Severity::Warning);
    assert_eq!(finding.place, "r3");
    assert!(is_valid(Status::Complete, &findings));
}

#[test]
fn multipath_is_refused_however_it_comes() {
    let topology = clique(3, true);
    let beside = by_way_of(&topology, "r2", "injector");
    let mut several = by_way_of(&topology, "r2", "r1");
    several.hops.extend(&beside.hops);
    for (route, install) in [(beside, Install::Beside), (several, Install::Replace)] {
        let mut story = Story::settled(topology.clone());
        story.add(1.0, "r2", route, install);
        let (_, findings) = measure(&story.frame);
        let [finding] = findings.as_slice() else {
            panic!("one finding: {findings:?}");
        };
        assert_eq!(finding.kind, FindingKind::Multipath);
        assert_eq!(finding.place, "r2");
        assert!(!is_valid(Status::Complete, &findings));
    }
}

#[test]
fn refusing_routes_are_no_route_and_discarding_ones_a_blackhole() {
    let topology = clique(2, false);
    for (kind, expected) in [
        (RouteKind::Refuse, (1.0, 9.0, 0.0, 0.0)),
        (RouteKind::Discard, (1.0, 0.0, 0.0, 9.0)),
    ] {
        let mut story = Story::settled(topology.clone());
        let mut route = by_way_of(&topology, "r1", "injector");
        route.kind = kind;
        route.hops.clear();
        story.add(1.0, "r1", route, Install::Replace);
        let (run, _) = measure(&story.frame);
        assert_eq!(figures(&run)[0], expected);
        assert_eq!(figures(&run)[1], (0.0, 0.0, 0.0, 9.0), "to those behind it");
    }
}

#[test]
fn a_gateway_that_no_neighbour_has_and_a_wrong_device_are_blackholes() {
    let topology = clique(3, false);
    let mut stranger = by_way_of(&topology, "r2", "r1");
    stranger.hops[0].gateway = Some("203.0.113.9".parse().unwrap());
    let mut astray = by_way_of(&topology, "r2", "r1");
    astray.hops[0].device = super::network::hop(&topology, "r2", "r3").device;
    for route in [stranger, astray] {
        let mut story = Story::settled(topology.clone());
        story
            .add(1.0, "r2", route, Install::Replace)
            .turn(1.5, "r2", "r1");
        assert_eq!(figures(&clean(&story))[1], (1.5, 0.0, 0.0, 0.5));
    }
}

#[test]
fn an_on_link_route_reaches_only_the_injector() {
    let topology = clique(2, false);
    let mut on_link = by_way_of(&topology, "r1", "injector");
    on_link.hops[0].gateway = None;
    let mut elsewhere = by_way_of(&topology, "r1", "r2");
    elsewhere.hops[0].gateway = None;
    let mut story = Story::settled(topology);
    story
        .add(1.0, "r1", on_link, Install::Replace)
        .add(2.0, "r1", elsewhere, Install::Replace)
        .turn(2.5, "r1", "injector");
    assert_eq!(figures(&clean(&story))[0], (2.5, 0.0, 0.0, 0.5));
}

#[test]
fn a_network_that_was_not_settled_is_refused() {
    let mut story = Story::settled(clique(3, false));
    story.delete(-1.0, "r3", "r1").turn(1.0, "r3", "r1");
    let (run, findings) = measure(&story.frame);
    assert_eq!(figures(&run)[2], (1.0, 1.0, 0.0, 0.0));
    assert_eq!(findings[0].kind, FindingKind::NotSettled);
    assert!(!is_valid(Status::Complete, &findings));
}

#[test]
fn a_route_over_a_device_of_which_nothing_is_known_is_refused() {
    let topology = clique(2, false);
    let mut story = Story::settled(topology.clone());
    let mut route = by_way_of(&topology, "r2", "r1");
    route.hops[0].device = Some(77);
    story.add(1.0, "r2", route, Install::Replace);
    let (_, findings) = measure(&story.frame);
    assert_eq!(findings[0].kind, FindingKind::RecordDamaged);
    assert!(!is_valid(Status::Complete, &findings));
}

#[test]
fn updates_are_counted_per_session_from_the_failure_to_the_end() {
    let mut story = Story::settled(clique(3, false));
    let (r1, r2, r3, injector) = (0, 1, 2, 3);
    let mut send = |t_s: f64, from, to, advertisements, withdrawals| {
        story.frame.updates.push(Update {
            t_ns: (t_s * 1e9) as i64,
            from,
            to,
            advertisements,
            withdrawals,
        });
    };
    send(-0.1, r1, r2, 1, 0); // before the failure
    send(0.0, r1, r2, 0, 1);
    send(1.0, r1, r2, 1, 0);
    send(1.0, r1, r3, 1, 0);
    send(2.0, r1, injector, 1, 1); // to the injector counts
    send(2.0, injector, r1, 1, 0); // from the injector does not
    send(10.0, r2, r3, 0, 1); // the end is part of the run
    send(10.1, r2, r3, 0, 1);
    let run = clean(&story);
    let counts: Vec<(u64, u64, u64)> = run
        .routers
        .iter()
        .map(|r| (r.advertisements(), r.withdrawals(), r.updates()))
        .collect();
    assert_eq!(counts, [(3, 2, 5), (0, 1, 1), (0, 0, 0)]);
    let sessions: Vec<(&str, u64, u64)> = run.routers[0]
        .sessions
        .iter()
        .map(|s| (s.peer.as_str(), s.advertisements, s.withdrawals))
        .collect();
    assert_eq!(sessions, [("injector", 1, 1), ("r2", 1, 1), ("r3", 1, 0)]);
}
