//! Failures that lose the path and not only the process: `correlated` and `forwarding`, in a
//! b-clique of four.

use std::net::Ipv4Addr;

use results::{EventKind, FindingKind, Phase, RunDir};

use super::campaign::{Campaign, events, figure, finding, instants};
use super::program::{RUN_LIMIT, finish, run_once, shipped, workspace};
use super::wire::{messages, must_hold_what_the_node_sent, tshark, updates};

/// What the filler of bclique4-correlated takes: 100 routes at 20 per second, the first at once.
const FILLER_S: f64 = 99.0 / 20.0;
const FILLER_ROUTES: usize = 100;
const SECOND_NS: u64 = 1_000_000_000;

#[test]
fn a_correlated_failure_costs_graceful_restart_the_time_of_the_filler() {
    let dir = workspace();
    let out = dir.path().join("campaign");
    let scenario = shipped("bclique4-correlated.yaml");
    finish(&mut run_once(&scenario, &out), RUN_LIMIT).exits_with(0);
    let campaign = Campaign::at(&out);
    campaign.must_keep_the_interface(&["none", "graceful-restart"], 4);

    let convergence_s = |arm| figure(&campaign.metrics(arm)[0], "convergence_s");
    let (none_s, graceful_s) = (convergence_s("none"), convergence_s("graceful-restart"));
    assert!(none_s > 0.0 && none_s < FILLER_S, "none: {none_s} s");
    let longer_s = graceful_s - none_s;
    assert!(
        (longer_s - FILLER_S).abs() < 1.5,
        "graceful-restart took {longer_s} s longer than none, the filler {FILLER_S} s"
    );
    for arm in ["none", "graceful-restart"] {
        let run = campaign.run(arm);
        both_parts_fail_at_once(&run);
        the_backup_alone_announces_after_the_failure(&run);
        end_of_rib_follows_the_filler(&run);
        must_hold_what_the_node_sent(&run, "injector");
    }
}

fn both_parts_fail_at_once(run: &RunDir) {
    let applied = instants(run, EventKind::Failure, Phase::Applied);
    assert_eq!(applied.len(), 2, "the drop rule and the kill");
    let skew_ns = applied[1] - applied[0];
    let told = finding(run, FindingKind::FailureSkew);
    assert!(
        skew_ns <= 1_000_000 || told.is_some(),
        "{skew_ns} ns apart, and no finding"
    );
    let planned = instants(run, EventKind::Failure, Phase::Planned);
    assert!(planned[0] <= applied[0], "not before its time");
    let dead: Vec<_> = events(run)
        .into_iter()
        .filter(|e| e.kind == EventKind::Failure)
        .map(|e| e.dead_link.map(|l| (l.a, l.b)))
        .collect();
    let primary = Some(("injector".to_owned(), "r1".to_owned()));
    assert!(dead.iter().all(|d| *d == primary), "{dead:?}");
    // Down at r1 and r2, and the rule counted a packet: two parts, each seen.
    assert_eq!(instants(run, EventKind::Failure, Phase::Confirmed).len(), 2);
    assert_eq!(instants(run, EventKind::Restart, Phase::Confirmed).len(), 1);
}

/// The failure's instant, on the wall-clock base of the captures.
fn failed_at(run: &RunDir) -> u64 {
    let applied = instants(run, EventKind::Failure, Phase::Applied);
    run.manifest().unwrap().clock.wall_ns(applied[0])
}

/// The injector's addresses on the primary link and on the backup.
fn injectors_ends(run: &RunDir) -> (Ipv4Addr, Ipv4Addr) {
    let topology = run.topology().unwrap();
    let backup = topology.backup().unwrap().a_addr;
    (topology.primary().a_addr, backup)
}

fn the_backup_alone_announces_after_the_failure(run: &RunDir) {
    let (primary, backup) = injectors_ends(run);
    let destination = run.topology().unwrap().destination;
    let t0 = failed_at(run);
    let messages = messages(run, "injector");
    let told = |src: Ipv4Addr, after: bool| {
        let about = updates(&messages).filter(|(_, u)| u.concerns(&destination));
        about
            .filter(|(m, _)| *m.src.ip() == src && (m.t_ns >= t0) == after)
            .count()
    };
    assert_eq!(told(primary, false), 1, "announced on the primary before");
    assert_eq!(told(primary, true), 0, "neither announced nor withdrawn");
    assert_eq!(told(backup, true), 1, "announced again on the backup");
    // The same in Wireshark's eyes.
    let (seconds, rest) = (t0 / SECOND_NS, t0 % SECOND_NS);
    let filter = format!(
        "ip.src == {primary} && frame.time_epoch >= {seconds}.{rest:09} && \
         (bgp.nlri_prefix == 198.51.100.0 || bgp.withdrawn_prefix == 198.51.100.0)"
    );
    let seen = tshark(&run.bgp_pcap("injector"), &filter, &["frame.number"]);
    assert_eq!(seen, Vec::<Vec<String>>::new());
}

fn end_of_rib_follows_the_filler(run: &RunDir) {
    let (primary, _) = injectors_ends(run);
    let t0 = failed_at(run);
    let messages = messages(run, "injector");
    let since: Vec<_> = updates(&messages)
        .filter(|(m, _)| *m.src.ip() == primary && m.t_ns >= t0)
        .collect();
    let filler: Vec<_> = since
        .iter()
        .filter(|(_, u)| !u.announced.is_empty())
        .collect();
    let routes: usize = filler.iter().map(|(_, u)| u.announced.len()).sum();
    assert_eq!(routes, FILLER_ROUTES);
    let took_s = (filler[filler.len() - 1].0.t_ns - filler[0].0.t_ns) as f64 / 1e9;
    assert!(
        (took_s - FILLER_S).abs() < 0.5,
        "the filler took {took_s} s"
    );
    let ends: Vec<usize> = (0..since.len())
        .filter(|i| since[*i].1.end_of_rib)
        .collect();
    assert_eq!(ends, [since.len() - 1], "End-of-RIB comes once, and last");
}

#[test]
fn a_forwarding_failure_is_withdrawn_by_the_living_injector() {
    let dir = workspace();
    let out = dir.path().join("campaign");
    let mut run = run_once(&shipped("bclique4-forwarding.yaml"), &out);
    run.args(["--strategy", "none"]);
    finish(&mut run, RUN_LIMIT).exits_with(0);
    let campaign = Campaign::at(&out);
    campaign.must_keep_the_interface(&["none"], 4);
    let run = campaign.run("none");
    let convergence_s = figure(&campaign.metrics("none")[0], "convergence_s");
    assert!(convergence_s > 1.0, "not before it is detected, 1 s after");

    let (primary, backup) = injectors_ends(&run);
    let destination = run.topology().unwrap().destination;
    let t0 = failed_at(&run);
    let messages = messages(&run, "injector");
    let since: Vec<_> = updates(&messages).filter(|(m, _)| m.t_ns >= t0).collect();
    assert_eq!(since.len(), 1, "the withdrawal and nothing else: {since:?}");
    let (message, update) = since[0];
    assert_eq!(*message.src.ip(), primary);
    assert_eq!(update.withdrawn, [destination]);
    let after_s = (message.t_ns - t0) as f64 / 1e9;
    assert!((1.0..1.5).contains(&after_s), "{after_s} s after");
    assert!(updates(&messages).any(|(m, _)| *m.src.ip() == backup));

    // It lives: it was never started again, and no connection of its own ended.
    assert_eq!(instants(&run, EventKind::Restart, Phase::Applied), [0; 0]);
    let down = events(&run).into_iter().find(|e| {
        e.kind == EventKind::Session && e.detail.get("up") == Some(&serde_json::Value::Bool(false))
    });
    assert_eq!(down, None);
    let ended = tshark(
        &run.bgp_pcap("injector"),
        "tcp.flags.fin == 1 || tcp.flags.reset == 1",
        &["frame.number"],
    );
    assert_eq!(ended, Vec::<Vec<String>>::new());
    assert!(!run.log_dir("injector").join("exabgp-restart.log").exists());
}
