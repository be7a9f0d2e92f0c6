//! Several runs in one lab, one after the other.

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use results::{EventKind, FindingKind, Phase, RunDir, Severity, SharedLab, Status};
use topologies::{Scenario, Strategy};

use super::campaign::{Campaign, figure, finding, instants, must_have_every_file};
use super::outside::Outside;
use super::processes::{Process, descendants};
use super::program::{RUN_LIMIT, Running, SHORT_LIMIT, finish, flaplab, workspace};

const SCENARIO: &str = "\
name: reused
topology: {kind: clique, size: 4}
router: {mrai: 1s}
failure: {kind: control}
strategies: [none]
runs: 3
fresh: false
";

fn shared_lab(run: &RunDir) -> SharedLab {
    run.manifest().unwrap().shared_lab.unwrap()
}

/// Copies one run into a campaign of its own, and analyses that.
fn measured_alone(run: &RunDir, scenario: &Path, into: &Path) -> Campaign {
    let copy = into.join("runs").join(run.run_id());
    for entry in walk(run.path()) {
        let to = copy.join(entry.strip_prefix(run.path()).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&entry, to).unwrap();
    }
    fs::copy(scenario, into.join("scenario.yaml")).unwrap();
    finish(flaplab().arg("analyze").arg(into), SHORT_LIMIT).exits_with(0);
    Campaign::at(into)
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => walk(&path),
            false => vec![path],
        })
        .collect()
}

#[test]
fn a_lab_carries_three_runs_and_each_is_whole_by_itself() {
    let dir = workspace();
    let before = Outside::now();
    let scenario = dir.path().join("scenario.yaml");
    fs::write(&scenario, SCENARIO).unwrap();
    let out = dir.path().join("campaign");
    let command = || {
        let mut run = flaplab();
        run.args(["run", "--repeats", "0", "--jobs", "2"]);
        run.arg(&scenario).arg("--out").arg(&out);
        run
    };
    let finished = finish(&mut command(), RUN_LIMIT).exits_with(0);
    let told = "none: 2 of 3 valid runs were made in a lab that had carried others";
    assert!(finished.stdout.contains(told), "{}", finished.stdout);

    let runs = Campaign::at(&out).runs();
    let first = runs[0].run_id();
    let mut quiet_before = 0;
    for (i, run) in runs.iter().enumerate() {
        let manifest = run.manifest().unwrap();
        assert_eq!(manifest.status, Status::Complete);
        assert!(run.is_sealed());
        let lab = shared_lab(run);
        assert_eq!(
            (lab.first_run.as_str(), lab.number as usize),
            (first.as_str(), i + 1)
        );
        let grave = |f: &&results::Finding| f.severity == Severity::Invalidating;
        assert_eq!(manifest.findings.iter().find(grave), None);
        must_have_every_file(run, 4);
        let made = instants(run, EventKind::Lab, Phase::Planned).len();
        assert_eq!(made, usize::from(i == 0), "the lab is brought up once");
        // What one run has logged and recorded is in no other.
        let failures = instants(run, EventKind::Failure, Phase::Applied);
        assert_eq!(failures.len(), 1);
        assert!(failures[0] > quiet_before);
        quiet_before = instants(run, EventKind::Quiet, Phase::Confirmed)[0];
        let log = fs::read_to_string(run.log_dir("r1").join("bgpd.log")).unwrap();
        let (ups, downs) = (log.matches(" Up").count(), log.matches(" Down").count());
        if i == 0 {
            assert!(
                ups >= 5 && downs >= 1,
                "four sessions, and one of them twice: {log}"
            );
        } else {
            assert_eq!((ups, downs), (1, 1), "{log}");
        }

        let alone = measured_alone(run, &scenario, &dir.path().join(format!("alone-{i}")));
        let rows = alone.metrics("none");
        assert_eq!(rows.len(), 4);
        for row in rows {
            assert_eq!(row["valid"], "true");
            assert_eq!(row["run_in_lab"], (i + 1).to_string());
            assert!(figure(&row, "convergence_s") > 0.0, "{row:?}");
            assert!(figure(&row, "updates_sent") > 0.0, "{row:?}");
            assert!(figure(&row, "disconnected_s") > 0.0, "{row:?}");
            assert!(figure(&row, "table_changes") >= 2.0, "{row:?}");
        }
    }
    assert_eq!(Outside::now().more_than(&before), Vec::<String>::new());

    // A run that is missing is made again, in a lab of its own time.
    fs::remove_dir_all(runs[1].path()).unwrap();
    let again = Running::start(&mut command());
    again.wait_for("goes on: 2 of 3 runs are complete already", SHORT_LIMIT);
    again.end(RUN_LIMIT).exits_with(0);
    let lab = shared_lab(&Campaign::at(&out).runs()[1]);
    assert_eq!((lab.first_run, lab.number), (runs[1].run_id(), 1));
    assert_eq!(shared_lab(&runs[2]).number, 3, "it stays as it was");
}

#[test]
fn a_run_that_fails_ends_its_lab_and_the_next_attempt_has_a_fresh_one() {
    let dir = workspace();
    let scenario = dir.path().join("scenario.yaml");
    fs::write(&scenario, SCENARIO).unwrap();
    let runs = Scenario::parse(SCENARIO, "scenario.yaml").unwrap();
    let runs = [0, 1, 2].map(|i| runs.resolve(Strategy::None, i).run_id());
    let out = dir.path().join("campaign");
    let mut run = flaplab();
    run.args(["run", "--repeats", "1", "--jobs", "2"]);
    run.arg(&scenario).arg("--out").arg(&out);
    let flaplab = Running::start(&mut run);
    flaplab.wait_for(&format!("{} converges", runs[1]), RUN_LIMIT);
    let is_bgpd_of_r3 = |p: &Process| {
        let words = p.arguments();
        words[0].ends_with("/bgpd") && words.windows(2).any(|w| w[0] == "-N" && w[1] == "r3")
    };
    let mut lab = descendants(flaplab.pid());
    lab.retain(is_bgpd_of_r3);
    assert_eq!(lab.len(), 1, "{lab:?}");
    kill(Pid::from_raw(lab[0].pid), Signal::SIGKILL).unwrap();
    flaplab
        .end(RUN_LIMIT)
        .exits_with(0)
        .says(&["bgpd at r3 ended unexpectedly", "nodes/r3/log/bgpd.log"]);

    let made = Campaign::at(&out).runs();
    let again = format!("{}.2", runs[1]);
    let (fresh, second) = (runs[0].as_str(), again.as_str());
    let expected = [
        (fresh, Status::Complete, fresh, 1),
        (runs[1].as_str(), Status::Failed, fresh, 2),
        (second, Status::Complete, second, 1),
        (runs[2].as_str(), Status::Complete, second, 2),
    ];
    assert_eq!(made.len(), expected.len());
    for (run, (run_id, status, first_run, number)) in made.iter().zip(expected) {
        let lab = shared_lab(run);
        assert_eq!(
            (run.run_id(), run.manifest().unwrap().status),
            (run_id.to_owned(), status)
        );
        assert_eq!(
            (lab.first_run.as_str(), lab.number),
            (first_run, number),
            "{run_id}"
        );
        must_have_every_file(run, 4);
        let died = finding(run, FindingKind::DaemonDied).is_some();
        assert_eq!(died, status == Status::Failed);
    }
}
