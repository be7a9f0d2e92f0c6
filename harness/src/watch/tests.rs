//! What is seen of a lab of two routers, and what follows from it.

use topologies::{Scenario, Strategy};

use super::*;

const SECOND: u64 = 1_000_000_000;
const QUIET: u64 = 11 * SECOND + LATENCY_NS;

fn scenario() -> ResolvedScenario {
    let text = "schema: 1\nname: two\ntopology: {kind: chain, size: 2}\nfailure: {kind: control}\n\
                router: {kind: frr, mrai: 5s}\n";
    Scenario::parse(text, "two.yaml")
        .expect("it is valid")
        .resolve(Strategy::GracefulRestart, 0)
}

/// Brings up all sessions at once, at `t`.
fn establish(watch: &mut Watch, t: u64) {
    let keys: Vec<_> = watch.sessions.keys().cloned().collect();
    for (node, peer) in keys {
        watch.note(&Signal::Session {
            t_mono_ns: t,
            node,
            peer,
            up: true,
            text: String::new(),
        });
    }
}

fn route(t: u64, node: &str, present: bool) -> Signal {
    Signal::Route {
        t_mono_ns: t,
        node: node.to_owned(),
        present,
        stood: false,
    }
}

/// A route that stood when the recorder began.
fn standing(t: u64, node: &str) -> Signal {
    Signal::Route {
        t_mono_ns: t,
        node: node.to_owned(),
        present: true,
        stood: true,
    }
}

fn end_of_rib(scenario: &ResolvedScenario, t: u64) -> Signal {
    let primary = scenario.topology.primary();
    Signal::EndOfRib {
        t_mono_ns: t,
        src: primary.a_addr,
        dst: primary.b_addr,
    }
}

#[test]
fn established_needs_every_session_end() {
    let mut watch = Watch::new(&scenario(), 0);
    assert_eq!(watch.sessions(), 3);
    assert_eq!(watch.reached_at(Goal::Established), None);
    assert!(
        watch
            .missing(Goal::Established)
            .starts_with("0 of 3 session ends are Established")
    );
    establish(&mut watch, SECOND);
    assert_eq!(watch.reached_at(Goal::Established), Some(0));
}

#[test]
fn settled_needs_the_destination_at_every_router_and_the_quiet_after_it() {
    let scenario = scenario();
    let mut watch = Watch::new(&scenario, 0);
    establish(&mut watch, SECOND);
    watch.note(&end_of_rib(&scenario, SECOND));
    watch.note(&route(2 * SECOND, "r1", true));
    assert_eq!(watch.reached_at(Goal::Settled), None);
    assert_eq!(
        watch.missing(Goal::Settled),
        "no route to the destination at r2"
    );
    watch.note(&route(7 * SECOND, "r2", true));
    assert_eq!(watch.reached_at(Goal::Settled), Some(7 * SECOND + QUIET));
}

#[test]
fn an_update_for_the_destination_begins_the_quiet_anew_though_no_table_changes() {
    let scenario = scenario();
    let mut watch = Watch::new(&scenario, 0);
    establish(&mut watch, SECOND);
    watch.note(&end_of_rib(&scenario, SECOND));
    let address = Ipv4Addr::new(198, 18, 0, 9);
    let update = Signal::Update {
        t_mono_ns: 9 * SECOND,
        src: address,
        dst: address,
        withdraws: false,
    };
    watch.note(&update);
    assert_eq!(watch.reached_at(Goal::Quiet), Some(9 * SECOND + QUIET));
}

#[test]
fn the_quiet_under_graceful_restart_begins_no_earlier_than_end_of_rib() {
    let scenario = scenario();
    let mut watch = Watch::new(&scenario, 0);
    establish(&mut watch, SECOND);
    watch.note(&end_of_rib(&scenario, SECOND));
    watch.disturb(50 * SECOND);
    watch.sessions_lost(50 * SECOND);
    assert_eq!(watch.reached_at(Goal::Quiet), None, "its session is down");
    establish(&mut watch, 51 * SECOND);
    // All is silent while the filler comes; only End-of-RIB lets the stale route go.
    let stale = 51 * SECOND + 360 * SECOND;
    assert_eq!(
        watch.reached_at(Goal::Quiet),
        Some(stale + QUIET),
        "or the stale-path time is over"
    );
    assert!(
        watch
            .missing(Goal::Quiet)
            .contains("no End-of-RIB from the injector to")
    );
    watch.note(&end_of_rib(&scenario, 150 * SECOND));
    assert_eq!(watch.reached_at(Goal::Quiet), Some(150 * SECOND + QUIET));
}

#[test]
fn the_quiet_waits_for_an_action_that_is_pending() {
    let scenario = scenario();
    let mut watch = Watch::new(&scenario, 0);
    establish(&mut watch, SECOND);
    watch.note(&end_of_rib(&scenario, SECOND));
    watch.set_pending(true);
    assert_eq!(watch.reached_at(Goal::Quiet), None);
    watch.set_pending(false);
    assert!(watch.reached_at(Goal::Quiet).is_some());
}

#[test]
fn the_failure_within_the_transfer_waits_for_the_destination_and_neither_for_end_of_rib_nor_quiet()
{
    let scenario = scenario();
    let own = scenario.topology.primary().a_addr;
    let mut watch = Watch::new(&scenario, 0);
    establish(&mut watch, SECOND);
    watch.note(&route(2 * SECOND, "r1", true));
    assert_eq!(watch.reached_at(Goal::Reachable), None);
    assert_eq!(
        watch.missing(Goal::Reachable),
        "no route to the destination at r2"
    );
    watch.note(&route(2 * SECOND, "r2", true));
    assert_eq!(watch.reached_at(Goal::Reachable), Some(0));
    assert!(!watch.debts[&own].is_paid());
    watch.note(&end_of_rib(&scenario, 3 * SECOND));
    assert!(watch.debts[&own].is_paid());
}

#[test]
fn a_session_that_is_recovered_stays_up_and_owes_nothing_again() {
    let scenario = scenario();
    let mut watch = Watch::new(&scenario, 0);
    establish(&mut watch, SECOND);
    watch.note(&end_of_rib(&scenario, SECOND));
    watch.disturb(50 * SECOND);
    assert_eq!(watch.reached_at(Goal::Quiet), Some(50 * SECOND + QUIET));
}

#[test]
fn a_session_that_was_let_go_owes_end_of_rib_anew() {
    let scenario = scenario();
    let primary = scenario.topology.primary().clone();
    let session = |t, up| Signal::Session {
        t_mono_ns: t,
        node: primary.b.clone(),
        peer: primary.a_addr,
        up,
        text: String::new(),
    };
    let mut watch = Watch::new(&scenario, 0);
    establish(&mut watch, SECOND);
    watch.note(&end_of_rib(&scenario, SECOND));
    watch.note(&session(60 * SECOND, false));
    assert!(!watch.is_up(&primary.b, primary.a_addr));
    assert_eq!(watch.reached_at(Goal::Quiet), None);
    // The recorder of packets may be late, or the log: the times tell.
    watch.note(&end_of_rib(&scenario, 59 * SECOND));
    watch.note(&session(61 * SECOND, true));
    assert!(!watch.debts[&primary.a_addr].is_paid());
    watch.note(&end_of_rib(&scenario, 62 * SECOND));
    assert_eq!(watch.reached_at(Goal::Quiet), Some(62 * SECOND + QUIET));
}

#[test]
fn a_session_whose_link_is_dead_is_not_waited_for() {
    let scenario = scenario();
    let primary = scenario.topology.primary().clone();
    let mut watch = Watch::new(&scenario, 0);
    establish(&mut watch, SECOND);
    watch.link_lost(primary.a_addr);
    watch.note(&Signal::Session {
        t_mono_ns: 50 * SECOND,
        node: primary.b.clone(),
        peer: primary.a_addr,
        up: false,
        text: String::new(),
    });
    assert_eq!((watch.sessions_up(), watch.sessions()), (2, 2));
    watch.disturb(50 * SECOND);
    assert_eq!(watch.reached_at(Goal::Quiet), Some(50 * SECOND + QUIET));
}

#[test]
fn tables_that_are_looked_at_anew_break_no_silence_but_must_have_the_destination() {
    let scenario = scenario();
    let mut watch = Watch::new(&scenario, 0);
    establish(&mut watch, SECOND);
    watch.note(&end_of_rib(&scenario, SECOND));
    watch.note(&route(2 * SECOND, "r1", true));
    watch.note(&route(2 * SECOND, "r2", true));
    watch.look_anew();
    assert_eq!(watch.reached_at(Goal::Settled), None);
    watch.note(&standing(60 * SECOND, "r1"));
    assert_eq!(
        watch.missing(Goal::Settled),
        "no route to the destination at r2"
    );
    watch.note(&standing(60 * SECOND, "r2"));
    assert_eq!(watch.reached_at(Goal::Settled), Some(2 * SECOND + QUIET));
    watch.note(&route(61 * SECOND, "r2", true));
    assert_eq!(watch.reached_at(Goal::Settled), Some(61 * SECOND + QUIET));
}
