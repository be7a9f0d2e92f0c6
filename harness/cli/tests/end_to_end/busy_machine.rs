//! Runs beside something that wants the CPU, and logs that complain: the findings say whom it hit.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use results::{Finding, FindingKind, RunDir, Severity};

use super::campaign::{Campaign, finding};
use super::processes::{Process, descendants};
use super::program::{Finished, RUN_LIMIT, Running, run_once, shipped, workspace};

/// Does nothing but use a CPU.
const BURN: &str = "while :; do :; done";
/// How long the lab stands still.
const STANDSTILL: Duration = Duration::from_millis(600);

/// Programs that want one CPU. They end with their owner.
struct Burners(Vec<Child>);

impl Burners {
    /// Two of them, and a third in the lab at the node of a process.
    fn around(process: Process, cpu: usize) -> Burners {
        let pinned = ["taskset", "--cpu-list", &cpu.to_string(), "sh", "-c", BURN];
        let enter = format!("--target={}", process.pid);
        let inside = ["nsenter", &enter, "--user", "--preserve-credentials"];
        let inside = [&inside[..], &["--net", "--pid", "--"], &pinned].concat();
        let start = |words: &[&str]| {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]).stdin(Stdio::null());
            command.spawn().unwrap()
        };
        Burners([&pinned[..], &pinned, &inside].map(start).into())
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        // The one in the lab has ended with it.
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The first CPU that this process may use.
fn a_cpu() -> usize {
    let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap();
    let is_allowed = |cpu: &usize| allowed.is_set(*cpu).unwrap();
    (0..CpuSet::count()).find(is_allowed).unwrap()
}

fn is_bgpd_of_r3(process: &&Process) -> bool {
    let words = process.arguments();
    words[0].ends_with("/bgpd") && words.windows(2).any(|w| w[0] == "-N" && w[1] == "r3")
}

/// The last of the capsule's own three processes, from the outermost to the innermost.
fn agent(lab: &[Process]) -> Pid {
    let is_capsules = |p: &&Process| p.arguments().contains(&"__capsule".to_owned());
    Pid::from_raw(lab.iter().rfind(is_capsules).unwrap().pid)
}

/// Carries out a run of the arm `none` of four routers. When it has told of `stage`, `disturb` is called with
/// all of its processes and the run; what that gives is kept to the end.
fn disturbed<T>(
    out: &Path,
    stage: &str,
    disturb: impl FnOnce(Vec<Process>, &RunDir) -> T,
) -> (Finished, RunDir) {
    let mut run = run_once(&shipped("clique4-control.yaml"), out);
    let flaplab = Running::start(run.args(["--strategy", "none"]));
    flaplab.wait_for(stage, RUN_LIMIT);
    let run = Campaign::at(out).run("none");
    let kept = disturb(descendants(flaplab.pid()), &run);
    let finished = flaplab.end(RUN_LIMIT);
    drop(kept);
    (finished, run)
}

#[test]
fn a_process_without_cpu_is_named_and_so_are_the_programs_that_took_it() {
    let dir = workspace();
    let (finished, run) = disturbed(&dir.path().join("campaign"), " settles: ", |lab, _| {
        Burners::around(*lab.iter().find(is_bgpd_of_r3).unwrap(), a_cpu())
    });
    let machine = run.manifest().unwrap().machine.unwrap();
    let run_queue = machine.run_queue.unwrap();
    for delayed in [&run_queue.worst, &run_queue.most] {
        let name = (delayed.node.as_str(), delayed.process.as_str());
        assert_eq!(name, ("r3", "sh"), "{run_queue:?}");
        assert!(delayed.delay_s <= run_queue.delay_s, "{run_queue:?}");
    }
    // It wanted the CPU always, and had a third of it at most. How often it had, and so how much of its
    // waiting is believed, is up to what else the machine does.
    assert!(run_queue.most.delay_s > 0.2 * machine.measured_s);
    let found = finding(&run, FindingKind::RunQueueDelay).unwrap();
    assert_eq!(found.place, "r3");
    assert!(found.message.starts_with("sh "), "{}", found.message);
    finished.says(&["finding at r3: sh could have run"]);

    let cpus = run.manifest().unwrap().host.cpus as f64;
    let share = machine.foreign_cpu_share.unwrap();
    assert!(share > 0.8 / cpus, "{share} of {cpus} CPUs");
    let found = finding(&run, FindingKind::ForeignCpu);
    assert_eq!(found.is_some(), share > 0.25, "{share}");
    let findings = run.manifest().unwrap().findings;
    assert_eq!(findings, run.findings().unwrap().items);
}

/// Else what a lab has used would be foreign to those beside it once it has ended.
#[test]
fn the_cpu_time_of_a_lab_that_has_ended_is_flaplabs() {
    let dir = workspace();
    let out = dir.path().join("campaign");
    let mut run = run_once(&shipped("clique4-control.yaml"), &out);
    run.args(["--strategy", "none"]);
    let mut command = Command::new("sh");
    // What the shell has waited for is on the second line: its own is on the first (POSIX, times).
    command.args(["-c", "\"$@\" && times", "sh"]);
    command.arg(run.get_program()).args(run.get_args());
    let finished = Running::start(&mut command).end(RUN_LIMIT).exits_with(0);
    let times = finished.stdout.lines().next_back().unwrap();
    let seconds = |time: &str| {
        let (minutes, seconds) = time.trim_end_matches('s').split_once('m')?;
        Some(60.0 * minutes.parse::<f64>().ok()? + seconds.parse::<f64>().ok()?)
    };
    let known_s: f64 = times.split(' ').map(|t| seconds(t).unwrap()).sum();
    let cost = Campaign::at(&out).run("none").manifest().unwrap().lab_cost;
    let lab_s = cost.unwrap().cpu_s.unwrap();
    assert!(
        known_s >= lab_s,
        "{known_s} s are known of, and the lab used {lab_s} s"
    );
}

#[test]
fn a_machine_that_stands_still_is_found() {
    let dir = workspace();
    let (finished, run) = disturbed(&dir.path().join("campaign"), " converges: ", |lab, _| {
        let agent = agent(&lab);
        kill(agent, Signal::SIGSTOP).unwrap();
        std::thread::sleep(STANDSTILL);
        kill(agent, Signal::SIGCONT).unwrap();
    });
    let lateness = run.manifest().unwrap().machine.unwrap().lateness.unwrap();
    let least_s = STANDSTILL.as_secs_f64() - 0.01;
    assert!(lateness.max_s >= least_s, "{lateness:?}");
    assert!(lateness.p99_s <= lateness.max_s, "{lateness:?}");
    let found = finding(&run, FindingKind::SchedulingDelay).unwrap();
    assert_eq!(found.severity, Severity::Invalidating);
    finished.exits_with(3);
}

#[test]
fn lines_that_are_not_expected_are_found_in_every_log_by_what_they_say() {
    let at = "2026/01/02 03:04:05.678901";
    let planted = [
        (
            "r1",
            "bgpd",
            format!("{at} errors: BGP: [X-Y] a planted error"),
        ),
        (
            "r2",
            "zebra",
            format!("{at} warnings: ZEBRA: [X-Y] a planted warning"),
        ),
        ("injector", "injector-first", "a planted panic".to_owned()),
        (
            "r3",
            "bgpd",
            format!("{at} warnings: BGP: [X-Y][EC 1] STARVATION: task x ran for 6000ms"),
        ),
    ];
    let dir = workspace();
    let (finished, run) = disturbed(&dir.path().join("campaign"), " settles: ", |_, run| {
        for (node, process, line) in &planted {
            let log = run.log_dir(node).join(format!("{process}.log"));
            let mut log = OpenOptions::new().append(true).open(log).unwrap();
            writeln!(log, "{line}").unwrap();
        }
    });
    let mut found = run.manifest().unwrap().findings;
    found.retain(|f| f.kind == FindingKind::UnexpectedLog);
    let severities = found.iter().map(|f| (f.place.as_str(), f.severity));
    assert_eq!(
        severities.collect::<Vec<_>>(),
        [
            ("nodes/r1/log/bgpd.log", Severity::Warning),
            ("nodes/r2/log/zebra.log", Severity::Note),
            ("nodes/r3/log/bgpd.log", Severity::Invalidating),
            ("nodes/injector/log/injector-first.log", Severity::Warning),
        ],
        "{found:#?}"
    );
    for (_, _, line) in &planted {
        let quotes = |f: &Finding| f.message.contains(line);
        assert!(found.iter().any(quotes), "no `{line}` in {found:#?}");
    }
    finished.exits_with(3);
}
