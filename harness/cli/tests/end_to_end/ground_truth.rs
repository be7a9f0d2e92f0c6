//! The data-plane probe: what packets met, beside what the routing tables say.

use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use results::probe::{Arrival, Record, Tick, read};
use results::{EventKind, FindingKind, Phase, RunDir, Status};

use super::campaign::{Campaign, events, figure, finding, instants};
use super::processes::{Process, descendants};
use super::program::{RUN_LIMIT, Running, finish, run_once, workspace};

/// From one tick to the next, and what probes and tables may differ by, seconds.
const INTERVAL_S: f64 = 0.01;
const ALLOWANCE_S: f64 = 0.05;
const ROUTERS: usize = 4;

fn scenario(dir: &Path, topology: &str, failure: &str, strategy: &str) -> std::path::PathBuf {
    let injector = match strategy {
        "tcpr" => "flaplab",
        _ => "exabgp",
    };
    let path = dir.join("ground-truth.yaml");
    let text = format!(
        "name: ground-truth\ntopology: {{kind: {topology}, size: {ROUTERS}}}\nrouter: {{mrai: 1s}}\n\
         injector: {{kind: {injector}}}\nfailure: {{{failure}}}\nstrategies: [{strategy}]\n\
         data_plane_probe: true\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn sent(run: &RunDir) -> Record<Tick> {
    read(&run.probe_sent()).unwrap()
}

fn received(run: &RunDir) -> Record<Arrival> {
    read(&run.probe_received("injector")).unwrap()
}

/// Each record is whole, ends with its own count, and covers the time from before the failure to
/// the quiet.
fn must_be_complete(run: &RunDir) {
    let (sent, received) = (sent(run), received(run));
    assert_eq!((sent.broken, received.broken), (vec![], vec![]));
    assert_eq!(sent.end.unwrap().rows, sent.rows.len() as u64);
    let end = received.end.unwrap();
    assert_eq!((end.rows, end.dropped), (received.rows.len() as u64, 0));
    let failed_ns = instants(run, EventKind::Failure, Phase::Applied)[0];
    let settled_ns = instants(run, EventKind::Settled, Phase::Confirmed)[0];
    let quiet_ns = instants(run, EventKind::Quiet, Phase::Confirmed)[0];
    let (first, last) = (&sent.rows[0], &sent.rows[sent.rows.len() - 1]);
    assert!(settled_ns < first.due_mono_ns && first.due_mono_ns < failed_ns);
    assert!(last.due_mono_ns + 10_000_000 >= quiet_ns);
    for (i, tick) in sent.rows.iter().enumerate() {
        assert_eq!(tick.number as usize, i, "no tick is skipped");
    }
}

fn findings_of_the_analysis(campaign: &Campaign) -> String {
    std::fs::read_to_string(campaign.path().join("findings.csv")).unwrap()
}

fn is_receiver(process: &Process) -> bool {
    process.arguments().iter().any(|a| a == "__probe-receiver")
}

#[test]
fn probes_and_routing_tables_agree_on_who_was_cut_off() {
    let dir = workspace();
    let out = dir.path().join("campaign");
    let scenario = scenario(dir.path(), "b-clique", "kind: correlated", "none");
    let flaplab = Running::start(&mut run_once(&scenario, &out));
    flaplab.wait_for(" fails: ", RUN_LIMIT);
    let lab = descendants(flaplab.pid());
    let before: Vec<Process> = lab.into_iter().filter(is_receiver).collect();
    // By then the injector was killed and started again.
    flaplab.wait_for(" converges: ", RUN_LIMIT);
    let lab = descendants(flaplab.pid());
    let after: Vec<Process> = lab.into_iter().filter(is_receiver).collect();
    assert_eq!(before.len(), 1);
    assert_eq!(
        after, before,
        "one receiver, from before the kill to after it"
    );
    let finished = flaplab.end(RUN_LIMIT).exits_with(0);
    for words in ["disconnected by probe, s", "probes lost / run"] {
        assert!(finished.stdout.contains(words), "{}", finished.stdout);
    }

    let campaign = Campaign::at(&out);
    campaign.must_keep_the_interface(&["none"], ROUTERS);
    let run = campaign.run("none");
    must_be_complete(&run);
    let rows = campaign.metrics("none");
    for row in &rows {
        let by_table_s = figure(row, "disconnected_s");
        let by_probe_s = figure(row, "probe_disconnected_s");
        let lost = figure(row, "probes_lost");
        assert!(by_table_s > ALLOWANCE_S && lost > 0.0, "{row:?}");
        // No probe but one cut by the failure stands for less than its interval.
        assert!(
            (by_probe_s - lost * INTERVAL_S).abs() <= INTERVAL_S,
            "{row:?}"
        );
    }
    let findings = findings_of_the_analysis(&campaign);
    assert!(!findings.contains("probe-disagrees"), "{findings}");
    // Told apart: who had no route could not send, who had a wrong one sent in vain.
    let refused = sent(&run)
        .rows
        .iter()
        .map(|t| t.refused.len())
        .sum::<usize>();
    let lost: f64 = rows.iter().map(|r| figure(r, "probes_lost")).sum();
    assert!(
        refused > 0 && (refused as f64) < lost,
        "{refused} of {lost}"
    );
}

#[test]
fn graceful_restart_loses_not_one_probe_while_the_injector_is_away() {
    not_one_probe_is_lost("graceful-restart");
}

#[test]
fn tcpr_loses_not_one_probe_while_the_injector_is_away() {
    not_one_probe_is_lost("tcpr");
}

fn not_one_probe_is_lost(arm: &str) {
    let dir = workspace();
    let out = dir.path().join("campaign");
    let failure = "kind: control, restart_delay: 1s";
    let scenario = scenario(dir.path(), "clique", failure, arm);
    finish(&mut run_once(&scenario, &out), RUN_LIMIT).exits_with(0);
    let campaign = Campaign::at(&out);
    let run = campaign.run(arm);
    must_be_complete(&run);
    for row in campaign.metrics(arm) {
        assert_eq!(row["probes_lost"], "0", "{row:?}");
        assert_eq!(figure(&row, "probe_disconnected_s"), 0.0, "{row:?}");
    }
    let (sent, received) = (sent(&run).rows, received(&run).rows);
    assert_eq!(received.len(), ROUTERS * sent.len());
    assert!(sent.iter().all(|t| t.refused.is_empty()));

    // It was away, and probes arrived meanwhile.
    let down_ns = instants(&run, EventKind::Failure, Phase::Applied)[0];
    let up_ns = instants(&run, EventKind::Restart, Phase::Applied)[0];
    let meanwhile = |a: &&Arrival| (down_ns..up_ns).contains(&(a.sent_mono_ns + a.delay_ns));
    let expected = ROUTERS * 95;
    let arrived = received.iter().filter(meanwhile).count();
    assert!(arrived >= expected, "{arrived}: {:?}", events(&run));
    let findings = findings_of_the_analysis(&campaign);
    assert!(!findings.contains("probe-disagrees"), "{findings}");
}

#[test]
fn a_receiver_that_dies_fails_the_run_by_its_name() {
    let dir = workspace();
    let out = dir.path().join("campaign");
    let scenario = scenario(dir.path(), "clique", "kind: control", "none");
    let flaplab = Running::start(&mut run_once(&scenario, &out));
    flaplab.wait_for(" settles: ", RUN_LIMIT);
    let mut lab = descendants(flaplab.pid());
    lab.retain(is_receiver);
    assert_eq!(lab.len(), 1, "{lab:?}");
    kill(Pid::from_raw(lab[0].pid), Signal::SIGKILL).unwrap();
    let finished = flaplab.end(RUN_LIMIT).exits_with(3);
    finished.says(&["probe-receiver at injector ended unexpectedly"]);
    let run = Campaign::at(&out).run("none");
    assert_eq!(run.manifest().unwrap().status, Status::Failed);
    let found = finding(&run, FindingKind::DaemonDied).unwrap();
    assert_eq!(found.place, "injector");
}
