//! The arm `tcpr`: what the routers see of an injector that is killed, which is nothing; and what
//! the better Graceful Restarts do beside it.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use results::{EventKind, FindingKind, Phase, RunDir};

use super::campaign::{Campaign, events, figure, finding, instants};
use super::failure_variants::{after_s, carry_out, changes, primary};
use super::wire::{messages, must_hold_what_the_node_sent, tshark, updates};

/// The filler of the b-cliques here: 100 routes at 20 per second, the first at once.
const FILLER_S: f64 = 99.0 / 20.0;
const FILLER: &str = "injector: {filler: {count: 100, rate: 20}}\n";

/// Fails unless all figures of an arm are zero.
fn must_show_nothing(campaign: &Campaign, arm: &str) {
    for row in campaign.metrics(arm) {
        for column in [
            "convergence_s",
            "last_change_s",
            "disconnected_s",
            "updates_sent",
        ] {
            assert_eq!(figure(&row, column), 0.0, "{column}: {row:?}");
        }
    }
}

/// Fails unless no session of any router changed from the failure on, and no connection of the
/// injector began or ended.
fn must_keep_its_sessions(run: &RunDir) {
    let t0 = instants(run, EventKind::Failure, Phase::Applied)[0];
    let changed = events(run)
        .into_iter()
        .find(|e| e.kind == EventKind::Session && e.t_mono_ns >= t0);
    assert_eq!(changed, None);
    assert_eq!(finding(run, FindingKind::SessionFlap), None);
    for node in ["injector", "r1"] {
        let t0 = run.manifest().unwrap().clock.wall_ns(t0);
        let filter = format!(
            "frame.time_epoch >= {}.{:09} && (tcp.flags.syn == 1 || tcp.flags.fin == 1 || \
             tcp.flags.reset == 1 || bgp.type == 1 || bgp.type == 3) && ip.addr == {}",
            t0 / 1_000_000_000,
            t0 % 1_000_000_000,
            primary(run)
        );
        let seen = tshark(&run.bgp_pcap(node), &filter, &["frame.number", "tcp.flags"]);
        // RFC 4271, section 4.1: OPEN is 1, NOTIFICATION 3.
        assert_eq!(seen, Vec::<Vec<String>>::new(), "{node} sent");
    }
    must_hold_what_the_node_sent(run, "injector");
}

/// How often the primary router was told of each prefix, before the failure and after it.
fn announcements(run: &RunDir) -> BTreeMap<Ipv4Net, (usize, usize)> {
    let t0 = instants(run, EventKind::Failure, Phase::Applied)[0];
    let t0 = run.manifest().unwrap().clock.wall_ns(t0);
    let own = primary(run);
    let messages = messages(run, "injector");
    let mut told = BTreeMap::<Ipv4Net, (usize, usize)>::new();
    for (message, update) in updates(&messages).filter(|(m, _)| *m.src.ip() == own) {
        for prefix in &update.announced {
            let count = told.entry(*prefix).or_default();
            if message.t_ns < t0 {
                count.0 += 1;
            } else {
                count.1 += 1;
            }
        }
    }
    told
}

#[test]
fn the_peers_of_an_injector_that_is_killed_under_tcpr_see_nothing() {
    let lines = "topology: {kind: clique, size: 3}\nrouter: {mrai: 1s}\nfailure: {kind: control}\n\
                 strategies: [tcpr]\n";
    let carried = carry_out("survives", lines, 0);
    must_show_nothing(&carried.campaign, "tcpr");
    let run = carried.campaign.run("tcpr");
    must_keep_its_sessions(&run);
    let killed = instants(&run, EventKind::Failure, Phase::Applied);
    assert_eq!(killed.len(), 1, "TCPR lives on");
    let back = after_s(&run, EventKind::Restart, Phase::Confirmed);
    assert_eq!(back.len(), 1, "the session is carried on");
    assert!(back[0] < 2.0, "{back:?}");
}

#[test]
fn the_peers_see_nothing_of_it_though_tcpr_dies_too() {
    let lines = "topology: {kind: clique, size: 3}\nrouter: {mrai: 1s}\n\
                 failure: {kind: control, tcpr: dies, restart_delay: 500ms}\nstrategies: [tcpr]\n";
    let carried = carry_out("dies", lines, 0);
    must_show_nothing(&carried.campaign, "tcpr");
    let run = carried.campaign.run("tcpr");
    must_keep_its_sessions(&run);
    let killed = instants(&run, EventKind::Failure, Phase::Applied);
    assert_eq!(killed.len(), 2, "the injector and TCPR");
    let skew_ns = killed[1] - killed[0];
    let told = finding(&run, FindingKind::FailureSkew);
    assert!(skew_ns <= 1_000_000 || told.is_some(), "{skew_ns} ns apart");
    assert_eq!(
        instants(&run, EventKind::Restart, Phase::Applied).len(),
        2,
        "both are back"
    );
}

#[test]
fn kills_one_after_another_are_each_recovered_from() {
    let lines = "topology: {kind: clique, size: 3}\nrouter: {mrai: 1s}\n\
                 failure: {kind: control, restart_delay: 100ms, repeat: {kills: 3, interval: 1500ms}}\n\
                 strategies: [tcpr]\n";
    let carried = carry_out("again", lines, 0);
    must_show_nothing(&carried.campaign, "tcpr");
    let run = carried.campaign.run("tcpr");
    must_keep_its_sessions(&run);
    let back = after_s(&run, EventKind::Restart, Phase::Confirmed);
    assert_eq!(back.len(), 3, "{back:?}");
}

#[test]
fn an_outage_past_the_hold_time_lets_the_session_go_and_begins_a_new_one() {
    let lines = "topology: {kind: clique, size: 3}\nrouter: {mrai: 1s, hold_time: 9s}\n\
                 failure: {kind: control, restart_delay: 12s}\nstrategies: [tcpr]\n";
    let carried = carry_out("let-go", lines, 0);
    let run = carried.campaign.run("tcpr");
    let changes = changes(&run, "r1", primary(&run));
    let [(down_s, false), (up_s, true)] = changes[..] else {
        panic!("down once and up once: {changes:?}");
    };
    // The router's timer began with the last KEEPALIVE, up to 3 s before the kill.
    assert!((5.5..11.0).contains(&down_s), "{changes:?}");
    assert!((12.0..20.0).contains(&up_s), "{changes:?}");
    assert_eq!(
        finding(&run, FindingKind::SessionFlap),
        None,
        "its time was over"
    );
    let disconnected_s = figure(&carried.campaign.metrics("tcpr")[0], "disconnected_s");
    assert!(disconnected_s > 1.0, "{disconnected_s}");
}

#[test]
fn a_link_without_carrier_is_lost_under_tcpr_too() {
    let lines = "topology: {kind: b-clique, size: 3}\nrouter: {mrai: 1s}\nfailure: {kind: link}\n\
                 strategies: [tcpr]\n";
    let carried = carry_out("link-tcpr", lines, 0);
    let run = carried.campaign.run("tcpr");
    let changes = changes(&run, "r1", primary(&run));
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(changes[0].0 < 1.5 && !changes[0].1, "{changes:?}");
}

#[test]
fn after_a_correlated_failure_tcpr_withdraws_at_once_and_sends_no_filler_again() {
    let lines = format!(
        "topology: {{kind: b-clique, size: 4}}\nrouter: {{mrai: 1s}}\n{FILLER}failure: {{kind: correlated}}\n\
         strategies: [none, graceful-restart, tcpr]\n"
    );
    let carried = carry_out("correlated", &lines, 0);
    let convergence_s = |arm| figure(&carried.campaign.metrics(arm)[0], "convergence_s");
    let (none_s, tcpr_s) = (convergence_s("none"), convergence_s("tcpr"));
    let graceful_s = convergence_s("graceful-restart");
    assert!(tcpr_s > 0.0 && tcpr_s < FILLER_S, "tcpr: {tcpr_s} s");
    assert!(
        (none_s - tcpr_s).abs() < 1.5,
        "none {none_s}, tcpr {tcpr_s}"
    );
    assert!(graceful_s > FILLER_S, "graceful-restart: {graceful_s} s");

    let run = carried.campaign.run("tcpr");
    must_keep_its_sessions(&run);
    let withdrawn = after_s(&run, EventKind::Withdraw, Phase::Confirmed);
    assert_eq!(withdrawn.len(), 1);
    assert!(withdrawn[0] < 2.0, "{withdrawn:?}");
    let told = announcements(&run);
    assert_eq!(told.len(), 101, "the filler and the destination");
    for (prefix, count) in &told {
        assert_eq!(*count, (1, 0), "{prefix}: before and after the failure");
    }
    // The arms before send it all again, each in its own start.
    let none = announcements(&carried.campaign.run("none"));
    assert_eq!(none.values().filter(|c| c.1 == 1).count(), 100);
}

#[test]
fn a_transfer_that_is_interrupted_goes_on_where_it_was() {
    let lines = "topology: {kind: clique, size: 3}\nrouter: {mrai: 1s}\n\
                 injector: {filler: {count: 200, rate: 20}}\n\
                 failure: {kind: control, when: initial-transfer}\nstrategies: [tcpr]\n";
    let carried = carry_out("transfer-tcpr", lines, 0);
    let run = carried.campaign.run("tcpr");
    must_keep_its_sessions(&run);
    let told = announcements(&run);
    assert_eq!(told.len(), 201);
    for (prefix, (before, after)) in &told {
        assert_eq!(before + after, 1, "{prefix}");
    }
    assert!(told.values().any(|c| c.0 == 1) && told.values().any(|c| c.1 == 1));
    let eor = after_s(&run, EventKind::Eor, Phase::Confirmed);
    assert_eq!(eor.iter().filter(|t| **t > 0.0).count(), 1, "{eor:?}");
}

#[test]
fn better_graceful_restarts_do_not_wait_for_the_filler() {
    let lines = format!(
        "topology: {{kind: b-clique, size: 4}}\nrouter: {{mrai: 1s}}\n{FILLER}failure: {{kind: correlated}}\n\
         strategies: [graceful-restart, graceful-restart-f0, graceful-restart-withdraw]\n"
    );
    let carried = carry_out("better", &lines, 0);
    let convergence_s = |arm| figure(&carried.campaign.metrics(arm)[0], "convergence_s");
    let plain_s = convergence_s("graceful-restart");
    assert!(plain_s > FILLER_S, "graceful-restart: {plain_s} s");
    for arm in ["graceful-restart-f0", "graceful-restart-withdraw"] {
        let better_s = convergence_s(arm);
        assert!(better_s > 0.0 && better_s < FILLER_S, "{arm}: {better_s} s");
    }
    let run = carried.campaign.run("graceful-restart-withdraw");
    let withdrawn = after_s(&run, EventKind::Withdraw, Phase::Confirmed);
    assert!(withdrawn[0] < 2.0, "{withdrawn:?}");
}
