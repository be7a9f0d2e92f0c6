//! Ctrl-C: once to end in order, twice to end at once.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use results::{Status, pcapfile};

use super::campaign::Campaign;
use super::processes::{Process, descendants, naming};
use super::program::{RUN_LIMIT, Running, SHORT_LIMIT, run_once, shipped, until, workspace};

#[test]
fn an_interrupt_closes_the_records_and_the_run_is_aborted() {
    let dir = workspace();
    let out = dir.path().join("campaign");
    let mut run = run_once(&shipped("clique4-control.yaml"), &out);
    let flaplab = Running::start(run.args(["--strategy", "none"]));
    flaplab.wait_for(" settles: ", RUN_LIMIT);
    let lab = descendants(flaplab.pid());
    flaplab.signal(Signal::SIGINT);
    let finished = flaplab.end(SHORT_LIMIT).exits_with(130);
    finished.says(&[
        "stopping: closing the records of the labs that are up",
        "stopped: 0 of 1 runs are complete; what was recorded is in",
        out.to_str().unwrap(),
    ]);
    assert_eq!(lab.iter().find(|p| p.lives()), None);

    let run = Campaign::at(&out).run("none");
    let manifest = run.manifest().unwrap();
    assert_eq!(manifest.status, Status::Aborted);
    assert!(manifest.ended_at.is_some() && manifest.error.is_some());
    assert!(run.is_sealed());
    assert_eq!(run.events().unwrap().broken, []);
    for (node, stats) in &manifest.recorders {
        let capture = pcapfile::read(&run.bgp_pcap(node)).unwrap();
        let packets: Result<Vec<_>, _> = capture.packets().collect();
        assert_eq!(packets.unwrap().len() as u64, stats.packets, "{node}");
        let routes = std::fs::read(run.routes_rtmon(node)).unwrap();
        let records: Result<Vec<_>, _> = results::rtmon::Reader::new(&routes).collect();
        assert!(!records.unwrap().is_empty(), "{node}");
    }
    assert_eq!(manifest.recorders.len(), 5);
}

#[test]
fn a_second_interrupt_ends_flaplab_at_once() {
    let dir = workspace();
    let out = dir.path().join("campaign");
    let mut run = run_once(&shipped("clique4-control.yaml"), &out);
    let flaplab = Running::start(run.args(["--strategy", "none"]));
    flaplab.wait_for(" establishes: ", RUN_LIMIT);
    let lab = descendants(flaplab.pid());
    // A lab that does not close its records: its agent stands still.
    let agent = agent(&lab, flaplab.pid());
    kill(Pid::from_raw(agent.pid), Signal::SIGSTOP).unwrap();
    flaplab.signal(Signal::SIGINT);
    flaplab.wait_for("once more to stop at once", SHORT_LIMIT);
    flaplab.signal(Signal::SIGINT);
    flaplab.end(Duration::from_secs(2)).exits_with(130);
    until(
        Duration::from_secs(2),
        "the end of every process of the lab",
        || lab.iter().all(|p| !p.lives()).then_some(()),
        || format!("{:?}", naming(dir.path())),
    );
    let run = Campaign::at(&out).run("none");
    assert_eq!(run.manifest().unwrap().status, Status::Running);
}

/// The agent: the child of process 1, which is the child of the entrance, which is flaplab's.
fn agent(lab: &[Process], flaplab: i32) -> Process {
    let only_child = |pid: i32| {
        let all = descendants(pid);
        // The first one is the child; the others are its descendants.
        *all.first()
            .unwrap_or_else(|| panic!("{pid} has a child among {lab:?}"))
    };
    only_child(only_child(only_child(flaplab).pid).pid)
}
