//! A campaign that was killed, again and again, and gone on with by the same command.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use results::Status;

use super::campaign::Campaign;
use super::outside::names;
use super::program::{
    RUN_LIMIT, Running, SHORT_LIMIT, finish, flaplab, run_once, shipped, workspace,
};

const ARMS: [&str; 2] = ["none", "graceful-restart"];

/// When each run that is complete ended: a run that is made again has another time.
fn complete(out: &Path) -> BTreeMap<String, String> {
    let runs = Campaign::at(out).runs().into_iter();
    runs.filter_map(|run| Some((run.run_id(), run.manifest().ok()?)))
        .filter(|(_, m)| m.status == Status::Complete)
        .map(|(id, m)| (id, m.ended_at.unwrap()))
        .collect()
}

#[test]
fn a_campaign_killed_at_several_instants_ends_with_every_run_once() {
    let dir = workspace();
    let out = dir.path().join("campaign");
    let scenario = shipped("clique4-control.yaml");
    let command = || {
        let mut run = flaplab();
        run.arg("run").arg(&scenario).arg("--out").arg(&out);
        run.args(["--runs", "1", "--jobs", "1"]);
        for arm in ARMS {
            run.args(["--strategy", arm]);
        }
        run
    };
    let mut before = BTreeMap::new();
    for line in [" begins", " establishes: ", " converges: ", " complete ("] {
        let flaplab = Running::start(&mut command());
        flaplab.wait_for(line, RUN_LIMIT);
        flaplab.signal(Signal::SIGKILL);
        flaplab.end(SHORT_LIMIT);
        let now = complete(&out);
        assert!(before.iter().all(|(id, at)| now.get(id) == Some(at)));
        before = now;
    }
    assert_eq!(before.len(), 1, "the first run was complete");

    let first = Running::start(&mut command());
    first.wait_for("goes on: 1 of 2 runs are complete already", SHORT_LIMIT);
    finish(&mut command(), SHORT_LIMIT)
        .exits_with(1)
        .says_one_error(&["another flaplab is at work in", out.to_str().unwrap()]);
    first.end(RUN_LIMIT).exits_with(0);
    let after = complete(&out);
    assert_eq!(after.len(), 2);
    assert!(before.iter().all(|(id, at)| after.get(id) == Some(at)));
    let campaign = Campaign::at(&out);
    assert_eq!(campaign.runs().len(), 2);
    assert!(campaign.runs().iter().all(results::RunDir::is_sealed));
    let summary = fs::read_to_string(out.join("summary.csv")).unwrap();
    assert_eq!(summary.matches(",convergence_s,s,1,").count(), 2);
    // Killed at three instants of the first run, and perhaps at the first one of the second.
    let aside: Vec<String> = names(&out.join("abandoned")).collect();
    let of_first = aside.iter().filter(|n| n.starts_with("none-0000-")).count();
    assert_eq!(of_first, 3, "{aside:?}");

    // There is nothing left to do, and nothing is done but the analysis.
    finish(&mut command(), SHORT_LIMIT).exits_with(0);
    assert_eq!(complete(&out), after);
}

#[test]
fn a_campaign_of_another_scenario_is_refused_with_what_differs() {
    let dir = workspace();
    let out = dir.path().join("campaign");
    let mut run = run_once(&shipped("clique4-control.yaml"), &out);
    let flaplab = Running::start(run.args(["--strategy", "none"]));
    flaplab.wait_for(" begins", RUN_LIMIT);
    flaplab.signal(Signal::SIGKILL);
    flaplab.end(SHORT_LIMIT);
    let other = dir.path().join("other.yaml");
    let text = fs::read_to_string(shipped("clique4-control.yaml")).unwrap();
    fs::write(&other, text.replace("mrai: 1s", "mrai: 2s")).unwrap();
    finish(&mut run_once(&other, &out), SHORT_LIMIT)
        .exits_with(1)
        .says_one_error(&[
            "another scenario",
            "router.mrai",
            "\"1s\"",
            "\"2s\"",
            "--out",
        ]);
    assert!(!out.join("abandoned").exists());
}
