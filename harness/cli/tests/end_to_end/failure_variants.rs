//! Failures that come late, again, within the transfer, or to the link: in the arms of every
//! injector.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use results::{Event, EventKind, FindingKind, Phase, RunDir, Severity};
use tempfile::TempDir;

use super::campaign::{Campaign, events, figure, finding, instants};
use super::program::{RUN_LIMIT, finish, run_once, workspace};

const ARMS: [&str; 2] = ["none", "graceful-restart"];

/// A campaign of one run of each arm, and the directory that goes with it.
pub(crate) struct Carried {
    pub(crate) campaign: Campaign,
    _dir: TempDir,
}

/// Runs a scenario of these lines once in each of its arms.
pub(crate) fn carry_out(name: &str, lines: &str, status: i32) -> Carried {
    let dir = workspace();
    let scenario: PathBuf = dir.path().join("scenario.yaml");
    let text = format!("schema: 1\nname: {name}\nruns: 1\n{lines}");
    std::fs::write(&scenario, text).unwrap();
    let out = dir.path().join("campaign");
    finish(&mut run_once(&scenario, &out), RUN_LIMIT).exits_with(status);
    let campaign = Campaign::at(&out);
    for run in campaign.runs() {
        must_be_valid(&run);
    }
    Carried {
        campaign,
        _dir: dir,
    }
}

#[track_caller]
pub(crate) fn must_be_valid(run: &RunDir) {
    let found = run.findings().unwrap().items;
    let bad = |f: &&results::Finding| f.severity == Severity::Invalidating;
    assert_eq!(found.iter().find(bad), None, "{}", run.run_id());
}

/// Seconds after the failure, of each event of a kind and phase.
pub(crate) fn after_s(run: &RunDir, kind: EventKind, phase: Phase) -> Vec<f64> {
    let t0 = instants(run, EventKind::Failure, Phase::Applied)[0];
    instants(run, kind, phase)
        .into_iter()
        .map(|t| (t as f64 - t0 as f64) / 1e9)
        .collect()
}

/// What a router's log told of its session with the injector from the failure on: up or down.
pub(crate) fn changes(run: &RunDir, node: &str, peer: Ipv4Addr) -> Vec<(f64, bool)> {
    let t0 = instants(run, EventKind::Failure, Phase::Applied)[0];
    let about = format!("{node} with {peer}");
    let of_session = |e: &Event| e.kind == EventKind::Session && e.target == about;
    events(run)
        .into_iter()
        .filter(|e| of_session(e) && e.t_mono_ns >= t0)
        .map(|e| ((e.t_mono_ns - t0) as f64 / 1e9, e.detail["up"] == true))
        .collect()
}

/// The injector's address on the primary link.
pub(crate) fn primary(run: &RunDir) -> Ipv4Addr {
    run.topology().unwrap().primary().a_addr
}

#[test]
fn a_restart_that_is_delayed_comes_when_it_is_due_and_not_before() {
    let lines = "topology: {kind: clique, size: 3}\nrouter: {mrai: 1s}\ninjector: {kind: exabgp}\n\
                 failure: {kind: control, restart_delay: 3s}\n";
    let carried = carry_out("delayed", lines, 0);
    for arm in ARMS {
        let run = carried.campaign.run(arm);
        let restarted = after_s(&run, EventKind::Restart, Phase::Applied);
        assert_eq!(restarted.len(), 1);
        assert!((3.0..3.5).contains(&restarted[0]), "{arm}: {restarted:?}");
        let back = after_s(&run, EventKind::Restart, Phase::Confirmed);
        assert!(back[0] > restarted[0], "{arm}: {back:?}");
        let disconnected_s = figure(&carried.campaign.metrics(arm)[0], "disconnected_s");
        match arm {
            "none" => assert!(disconnected_s > 3.0, "{disconnected_s}"),
            _ => assert_eq!(disconnected_s, 0.0, "the routes are kept meanwhile"),
        }
    }
}

#[test]
fn repeated_kills_each_take_the_session_down_and_the_last_restart_brings_it_back() {
    let lines = "topology: {kind: clique, size: 3}\nrouter: {mrai: 1s}\ninjector: {kind: exabgp}\n\
                 failure: {kind: control, restart_delay: 100ms, repeat: {kills: 3, interval: 2s}}\n";
    let carried = carry_out("repeated", lines, 0);
    for arm in ARMS {
        let run = carried.campaign.run(arm);
        let killed = after_s(&run, EventKind::Failure, Phase::Applied);
        let restarted = after_s(&run, EventKind::Restart, Phase::Applied);
        assert_eq!((killed.len(), restarted.len()), (3, 3), "{arm}");
        for (n, (kill, restart)) in killed.iter().zip(&restarted).enumerate() {
            let due = n as f64 * 2.0;
            assert!((due..due + 0.5).contains(kill), "{arm}: {killed:?}");
            assert!((due + 0.1..due + 0.6).contains(restart), "{restarted:?}");
        }
        let changes = changes(&run, "r1", primary(&run));
        let last = changes.last().unwrap();
        assert!(last.1 && last.0 > restarted[2], "{arm}: {changes:?}");
        assert!(changes.iter().filter(|c| !c.1).count() >= 2, "{changes:?}");
    }
}

#[test]
fn kills_that_leave_a_session_no_time_to_come_back_are_no_reason_to_wait() {
    let lines = "topology: {kind: clique, size: 3}\nrouter: {mrai: 1s}\ninjector: {kind: exabgp}\n\
                 failure: {kind: control, restart_delay: 10ms, repeat: {kills: 4, interval: 1500ms}}\n\
                 strategies: [none]\n";
    let carried = carry_out("hurried", lines, 0);
    let run = carried.campaign.run("none");
    let killed = after_s(&run, EventKind::Failure, Phase::Applied);
    assert_eq!(killed.len(), 4);
    let quiet = after_s(&run, EventKind::Quiet, Phase::Confirmed);
    assert!(quiet[0] < 30.0, "{quiet:?}");
}

#[test]
fn a_link_without_carrier_takes_the_session_down_at_once_whatever_the_arm() {
    let lines = "topology: {kind: b-clique, size: 3}\nrouter: {mrai: 1s}\ninjector: {kind: exabgp}\n\
                 failure: {kind: link}\n";
    let carried = carry_out("link", lines, 0);
    for arm in ARMS {
        let run = carried.campaign.run(arm);
        // The kernel may hold the news of a carrier back for a second (linkwatch).
        let changes = changes(&run, "r1", primary(&run));
        assert_eq!(changes.len(), 1, "{arm}: for good: {changes:?}");
        assert!(changes[0].0 < 1.5 && !changes[0].1, "{arm}: {changes:?}");
        assert_eq!(instants(&run, EventKind::Restart, Phase::Applied), [0; 0]);
        let failure = events(&run)
            .into_iter()
            .find(|e| e.kind == EventKind::Failure && e.phase == Phase::Applied)
            .unwrap();
        assert_eq!(failure.target, "primary link");
        assert_eq!(failure.dead_link.unwrap().b, "r1");
        let convergence_s = figure(&carried.campaign.metrics(arm)[0], "convergence_s");
        assert!(
            convergence_s < 10.0,
            "{arm}: {convergence_s} s: nothing stale is kept"
        );
        let disconnected_s = figure(&carried.campaign.metrics(arm)[0], "disconnected_s");
        assert!(disconnected_s > 0.0, "{arm}");
    }
}

#[test]
fn a_failure_within_the_transfer_comes_after_the_destination_and_before_end_of_rib() {
    let lines = "topology: {kind: b-clique, size: 3}\nrouter: {mrai: 1s}\n\
                 injector: {kind: exabgp, filler: {count: 200, rate: 20}}\n\
                 failure: {kind: correlated, when: initial-transfer}\n";
    let carried = carry_out("transfer", lines, 0);
    for arm in ARMS {
        let run = carried.campaign.run(arm);
        let about = format!("{} to ", primary(&run));
        let t0 = instants(&run, EventKind::Failure, Phase::Applied)[0];
        let of_primary = |e: &Event| e.kind == EventKind::Eor && e.target.starts_with(&about);
        let eor: Vec<f64> = events(&run)
            .into_iter()
            .filter(of_primary)
            .map(|e| (e.t_mono_ns as f64 - t0 as f64) / 1e9)
            .collect();
        assert_eq!(eor.len(), 1, "{arm}: that of the first start never came");
        assert!((9.5..12.0).contains(&eor[0]), "{arm}: {eor:?}");
        let convergence_s = figure(&carried.campaign.metrics(arm)[0], "convergence_s");
        match arm {
            "none" => assert!(convergence_s < 9.0, "{convergence_s}"),
            _ => assert!(convergence_s > eor[0], "{convergence_s}: {eor:?}"),
        }
        assert_eq!(finding(&run, FindingKind::TransferOver), None);
    }
}
