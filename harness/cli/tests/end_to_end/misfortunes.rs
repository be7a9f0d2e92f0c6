//! Runs that go wrong: each says what happened, where, and what to do, and keeps what it has.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use results::{FindingKind, RunDir, Severity, Status, pcapfile};
use topologies::{Scenario, Strategy};

use super::campaign::{Campaign, finding};
use super::processes::{Process, descendants};
use super::program::{RUN_LIMIT, Running, finish, run_once, shipped, workspace};
use super::surroundings::Surroundings;

#[test]
fn a_router_that_crashes_fails_the_run_with_its_last_words() {
    let dir = workspace();
    let out = dir.path().join("campaign");
    let mut run = run_once(&shipped("clique4-control.yaml"), &out);
    let flaplab = Running::start(run.args(["--strategy", "none"]));
    flaplab.wait_for(" settles: ", RUN_LIMIT);
    let is_bgpd_of_r3 = |p: &Process| {
        let words = p.arguments();
        words[0].ends_with("/bgpd") && words.windows(2).any(|w| w[0] == "-N" && w[1] == "r3")
    };
    let mut lab = descendants(flaplab.pid());
    lab.retain(is_bgpd_of_r3);
    assert_eq!(lab.len(), 1, "{lab:?}");
    kill(Pid::from_raw(lab[0].pid), Signal::SIGKILL).unwrap();
    let finished = flaplab.end(RUN_LIMIT).exits_with(3);
    finished.says(&[
        "FAILED",
        "bgpd at r3 ended unexpectedly",
        "nodes/r3/log/bgpd.log",
    ]);

    let run = Campaign::at(&out).run("none");
    let manifest = run.manifest().unwrap();
    assert_eq!(manifest.status, Status::Failed);
    let log = std::fs::read_to_string(run.log_dir("r3").join("bgpd.log")).unwrap();
    let last = log.lines().last().unwrap();
    for text in [finished.stderr.as_str(), &manifest.error.unwrap()] {
        assert!(text.contains(last), "no `{last}` in:\n{text}");
    }
    let found = finding(&run, FindingKind::DaemonDied).unwrap();
    assert_eq!(found.severity, Severity::Invalidating);
    assert_eq!(found.place, "r3");
    assert!(found.message.contains("signal: 9"), "{}", found.message);
}

#[test]
fn a_session_that_never_comes_up_is_named() {
    let plain = "name: never-up\ntopology: {kind: clique, size: 4}\nfailure: {kind: control}\n\
                 strategies: [none]\ndeadlines: {established: 5s}\n";
    let topology = Scenario::parse(plain, "plain")
        .unwrap()
        .resolve(Strategy::None, 0)
        .topology;
    let end = topology.ends("r2").find(|e| e.peer == "r4").unwrap();
    let asn = topology.node("r2").unwrap().asn;
    let shut = format!(
        "{plain}router: {{extra_config: {{r2: [router bgp {asn}, \" neighbor {} shutdown\"]}}}}\n",
        end.peer_addr
    );
    let dir = workspace();
    let (scenario, out) = (
        dir.path().join("never-up.yaml"),
        dir.path().join("campaign"),
    );
    std::fs::write(&scenario, shut).unwrap();
    let finished = finish(&mut run_once(&scenario, &out), RUN_LIMIT).exits_with(3);

    let run = Campaign::at(&out).run("none");
    assert_eq!(run.manifest().unwrap().status, Status::Failed);
    let found = finding(&run, FindingKind::NotEstablished).unwrap();
    assert_eq!(found.severity, Severity::Invalidating);
    for (node, peer) in [("r2", end.peer_addr), ("r4", end.addr)] {
        let session = format!("{node} with {peer}");
        assert!(found.message.contains(&session), "{}", found.message);
        finished.says(&["within 5 s", &session]);
    }
    assert!(found.message.contains("deadlines"), "{}", found.message);
    let other = topology.ends("r1").find(|e| e.peer == "r3").unwrap();
    let well = format!("r1 with {}", other.peer_addr);
    assert!(!found.message.contains(&well), "{}", found.message);
}

#[test]
fn a_disk_that_is_full_to_the_end_is_told_and_what_was_recorded_stays() {
    let dir = workspace();
    let disk = SmallDisk::in_dir(dir.path());
    let out = disk.place.join("campaign");
    let mut run = run_once(&shipped("clique4-control.yaml"), &out);
    let run = run.args(["--strategy", "none"]);
    let flaplab = Running::start(&mut disk.surroundings.command(run));
    flaplab.wait_for(" settles: ", RUN_LIMIT);
    disk.fill();
    let finished = flaplab.end(RUN_LIMIT).exits_with(1);
    finished.says_one_error(&["No space left on device", "free space"]);

    let run = Campaign::at(disk.surroundings.path(&out)).run("none");
    // There was no room for the last manifest; that of the beginning is still there, whole.
    assert_eq!(run.manifest().unwrap().status, Status::Running);
    what_came_before_is_readable(&run, 10, 10);
}

#[test]
fn a_disk_that_fills_up_fails_the_run_with_a_finding() {
    let dir = workspace();
    let disk = SmallDisk::in_dir(dir.path());
    let out = disk.place.join("campaign");
    let mut run = run_once(&shipped("clique4-control.yaml"), &out);
    let run = run.args(["--strategy", "none", "--keep"]);
    let flaplab = Running::start(&mut disk.surroundings.command(run));
    flaplab.wait_for(" establishes: ", RUN_LIMIT);
    disk.fill();
    // The lab waits, so that there can be room again before the run is wound up.
    flaplab.wait_for("its lab is kept", RUN_LIMIT);
    disk.empty();
    let run = Campaign::at(disk.surroundings.path(&out)).run("none");
    let mut down = super::program::flaplab();
    down.args(["down", "--lab", &run.run_id()]);
    let flaplab = {
        let ended = std::thread::spawn(move || flaplab.end(RUN_LIMIT));
        finish(&mut disk.surroundings.command(&down), RUN_LIMIT).exits_with(0);
        ended.join().unwrap()
    };
    flaplab.exits_with(3).says(&["FAILED", "the disk is full"]);
    assert_eq!(run.manifest().unwrap().status, Status::Failed);
    assert!(run.is_sealed());
    let found = finding(&run, FindingKind::RecordWrite).unwrap();
    assert_eq!(found.severity, Severity::Invalidating);
    // It was full before the first packet, perhaps.
    what_came_before_is_readable(&run, 1, 0);
}

/// A file system of its own, with little room.
struct SmallDisk {
    surroundings: Surroundings,
    /// Where it is mounted, as seen there.
    place: PathBuf,
}

impl SmallDisk {
    fn in_dir(dir: &Path) -> SmallDisk {
        let place = dir.join("disk");
        std::fs::create_dir(&place).unwrap();
        let mount = format!(
            "mount -t tmpfs -o size=1m,mode=0755 none {}",
            place.display()
        );
        SmallDisk {
            surroundings: Surroundings::changed_by(&mount),
            place,
        }
    }

    fn other_file(&self) -> PathBuf {
        self.surroundings.path(&self.place).join("something-else")
    }

    /// Writes until there is no more room.
    fn fill(&self) {
        let mut file = std::fs::File::create_new(self.other_file()).unwrap();
        let full = loop {
            if let Err(e) = file.write(&[0; 512]) {
                break e;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }

    fn empty(&self) {
        std::fs::remove_file(self.other_file()).unwrap();
    }
}

fn what_came_before_is_readable(run: &RunDir, at_least: usize, packets_at_least: usize) {
    let events = run.events().unwrap();
    assert!(events.items.len() >= at_least, "{events:?}");
    for node in ["r1", "r2", "r3", "r4"] {
        let octets = std::fs::read(run.routes_rtmon(node)).unwrap();
        let records = results::rtmon::Reader::new(&octets);
        let records = records.take_while(Result::is_ok).count();
        assert!(records >= at_least, "{node}: {records} records");
        if packets_at_least == 0 && std::fs::metadata(run.bgp_pcap(node)).unwrap().len() == 0 {
            continue;
        }
        let capture = pcapfile::read(&run.bgp_pcap(node)).unwrap();
        let packets = capture.packets().take_while(Result::is_ok).count();
        assert!(packets >= packets_at_least, "{node}: {packets} packets");
    }
}
