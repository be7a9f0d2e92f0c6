//! kill -9 of flaplab, at any instant.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use results::rtmon::{Reader, Record, RtmonError};
use results::{EventKind, Phase, RunDir, Status};

use super::campaign::Campaign;
use super::outside::{Outside, names};
use super::processes::{descendants, naming, network_namespaces, still_entered};
use super::program::{
    RUN_LIMIT, Running, SHORT_LIMIT, finish, flaplab, run_once, shipped, until, workspace,
};
use super::wire::{messages, updates};

/// How soon nothing may be left.
const GONE: Duration = Duration::from_secs(2);

/// How far the run was when its flaplab was killed: which records must hold what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Instant {
    /// There may be nothing yet.
    Started,
    /// The run directory is there.
    Begun,
    /// The recorders have begun.
    Recorded,
    /// All sessions have come up.
    Established,
    /// Every router has the destination.
    Settled,
}

#[test]
fn flaplab_killed_while_the_lab_comes_up_leaves_nothing() {
    kill_at(None, Instant::Started);
    kill_at(Some(" begins"), Instant::Begun);
    kill_at(Some(" brings up: "), Instant::Begun);
    kill_at(Some(" establishes: "), Instant::Recorded);
    kill_at(Some(" settles: "), Instant::Established);
}

#[test]
fn flaplab_killed_while_the_network_converges_leaves_nothing_but_its_records() {
    kill_at(Some(" converges: "), Instant::Settled);
}

#[test]
fn flaplab_killed_just_before_the_failure_leaves_nothing_and_the_next_run_is_well() {
    kill_at(Some(" fails: "), Instant::Settled);
    let dir = workspace();
    let out = dir.path().join("campaign");
    let mut again = run_once(&shipped("clique4-control.yaml"), &out);
    again.args(["--strategy", "none"]);
    finish(&mut again, RUN_LIMIT).exits_with(0);
    Campaign::at(&out).must_keep_the_interface(&["none"], 4);
}

/// Kills flaplab once it has printed `line`, or at once; then looks what is left.
fn kill_at(line: Option<&str>, instant: Instant) {
    let dir = workspace();
    let out = dir.path().join("campaign");
    let temporary = dir.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let before = Outside::now();
    let mut run = run_once(&shipped("clique4-control.yaml"), &out);
    run.args(["--strategy", "none"]).env("TMPDIR", &temporary);
    let flaplab = Running::start(&mut run);
    if let Some(line) = line {
        flaplab.wait_for(line, RUN_LIMIT);
    }
    let lab = descendants(flaplab.pid());
    let namespaces = network_namespaces(&lab);
    if instant >= Instant::Recorded {
        // The entrance, process 1, the agent, two daemons per router, the injector.
        assert!(lab.len() >= 3 + 4 && namespaces.len() >= 5, "{lab:?}");
    }
    flaplab.signal(Signal::SIGKILL);
    let killed = flaplab.end(GONE);
    assert_eq!(killed.status.code(), None, "it did not end by itself");

    let left = || {
        let left: Vec<_> = lab.iter().filter(|p| p.lives()).collect();
        format!("{left:?} {:?}", naming(dir.path()))
    };
    until(
        GONE,
        "the end of every process of the lab",
        || (lab.iter().all(|p| !p.lives()) && naming(dir.path()).is_empty()).then_some(()),
        left,
    );
    until(
        GONE,
        "the end of the lab's network namespaces",
        || still_entered(&namespaces).is_empty().then_some(()),
        || format!("{:?}", still_entered(&namespaces)),
    );
    let more = || Outside::now().more_than(&before);
    until(
        GONE,
        "nothing outside of the run directory",
        || more().is_empty().then_some(()),
        || format!("{:?}", more()),
    );
    let made: BTreeSet<String> = names(dir.path()).collect();
    let allowed = BTreeSet::from(["campaign".to_owned(), "tmp".to_owned()]);
    assert!(made.is_subset(&allowed), "{made:?}");
    assert_eq!(names(&temporary).next(), None);
    what_was_recorded_is_readable(&out, instant);
}

fn what_was_recorded_is_readable(out: &Path, instant: Instant) {
    let campaign = Campaign::at(out);
    let runs = campaign.runs();
    if instant >= Instant::Begun {
        assert_eq!(runs.len(), 1);
    }
    for run in &runs {
        // Before that the manifest is not there at all; never half of it.
        if instant >= Instant::Begun || run.manifest_path().exists() {
            assert_eq!(run.manifest().unwrap().status, Status::Running);
        }
        assert!(!run.is_sealed());
        if instant >= Instant::Recorded {
            the_journal_is_whole_but_for_its_last_line(run, instant);
            routes_are_readable(run, instant);
            packets_are_readable(run, instant);
        }
    }
    if instant >= Instant::Recorded {
        let mut analyze = flaplab();
        analyze.arg("analyze").arg(out);
        let finished = finish(&mut analyze, SHORT_LIMIT).exits_with(0);
        assert!(finished.stdout.contains("0 of 1"), "{}", finished.stdout);
        assert!(
            finished.stdout.contains("incomplete"),
            "{}",
            finished.stdout
        );
    }
}

fn the_journal_is_whole_but_for_its_last_line(run: &RunDir, instant: Instant) {
    let events = run.events().unwrap();
    let last = events.items.len() + 1;
    assert!(events.broken.iter().all(|b| b.number == last));
    let has = |kind, phase| {
        events
            .items
            .iter()
            .any(|e| e.kind == kind && e.phase == phase)
    };
    assert!(has(EventKind::Lab, Phase::Planned));
    let established = has(EventKind::Lab, Phase::Confirmed);
    assert!(established || instant < Instant::Established);
    let settled = has(EventKind::Settled, Phase::Confirmed);
    assert!(settled || instant < Instant::Settled);
}

fn routes_are_readable(run: &RunDir, instant: Instant) {
    let destination = run.topology().unwrap().destination;
    for node in ["r1", "r2", "r3", "r4"] {
        let octets = std::fs::read(run.routes_rtmon(node)).unwrap();
        let mut reached = false;
        let mut records = 0;
        for record in Reader::new(&octets) {
            match record {
                Ok((_, record)) => {
                    records += 1;
                    reached |= matches!(record, Record::Route(r) if r.dst == destination);
                }
                // The last error that a reader gives: the writer was killed within a record.
                Err(RtmonError::CutShort { .. }) => {}
                Err(e) => panic!("{node}: {e}"),
            }
        }
        assert!(records > 0, "{node}");
        assert!(reached || instant < Instant::Settled, "{node}: no route");
    }
}

fn packets_are_readable(run: &RunDir, instant: Instant) {
    let destination = run.topology().unwrap().destination;
    for node in ["r1", "r2", "r3", "r4", "injector"] {
        let messages = messages(run, node);
        let told = updates(&messages).any(|(_, u)| u.announced.contains(&destination));
        // Before that, packets may have been on their way out of the kernel.
        assert!(
            told || instant < Instant::Settled,
            "{node}: the announcement is not on record"
        );
    }
}
