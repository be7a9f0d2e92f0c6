//! What programs that are no part of this flaplab take of the machine's CPUs.
//!
//! *Assumes* to be in flaplab's own process, outside of every capsule, where /proc shows the labs'
//! processes and those of others. *Guarantees* that the labs of this flaplab are never taken for
//! foreign, however many begin or end meanwhile, and that a share which cannot be had is none. What the
//! kernel's threads do is not foreign where they are seen; in a container they are not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::{SysconfVar, sysconf};
use results::{Finding, FindingKind, RunDir, Severity};
use tokio::task::JoinHandle;

use crate::clock;
use crate::protocol::Outcome;

/// Share of the time of all CPUs from which on the figures are doubtful.
const LIMIT: f64 = 0.25;
/// How long processes of our own may come to their end while a snapshot is tried.
const DEADLINE: Duration = Duration::from_secs(5);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);
/// PF_KTHREAD, of the flags in /proc/PID/stat (the kernel's include/linux/sched.h).
const KERNEL_THREAD: u64 = 0x0020_0000;

/// What /proc/PID/stat tells of a process (proc_pid_stat(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Process {
    name: String,
    parent: i32,
    kernel: bool,
    /// Its own CPU time, clock ticks.
    own: u64,
    /// That of its children that ended and were waited for, and of theirs, clock ticks.
    children: u64,
    /// Clock ticks from boot to its start: with its number, who it is.
    started: u64,
}

impl Process {
    fn parse(text: &str) -> Option<Process> {
        // The name may have spaces and brackets in it.
        let (head, tail) = text.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        // The first of these is the file's third.
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Process {
            name: name.to_owned(),
            parent: fields.get(1)?.parse().ok()?,
            kernel: number(9)? & KERNEL_THREAD != 0,
            own: number(14)? + number(15)?,
            children: number(16)? + number(17)?,
            started: number(22)?,
        })
    }
}

type Processes = BTreeMap<i32, Process>;

/// Every process there is, parents before their children unless numbers have gone round.
fn processes(proc: &Path) -> Processes {
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    let pids: BTreeSet<i32> = entries
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .collect();
    let read = |pid: i32| {
        let text = fs::read_to_string(proc.join(pid.to_string()).join("stat")).ok()?;
        Some((pid, Process::parse(&text)?))
    };
    pids.into_iter().filter_map(read).collect()
}

/// A process and its descendants.
fn family(processes: &Processes, of: i32) -> BTreeSet<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (pid, process) in processes {
        children.entry(process.parent).or_default().push(*pid);
    }
    let mut family = BTreeSet::new();
    let mut next: Vec<i32> = processes
        .contains_key(&of)
        .then_some(of)
        .into_iter()
        .collect();
    while let Some(pid) = next.pop() {
        if family.insert(pid) {
            next.extend(children.get(&pid).into_iter().flatten());
        }
    }
    family
}

/// The CPU time of the machine, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    at_mono_ns: u64,
    /// Number of CPUs.
    cpus: u64,
    /// Time that they were idle, all together, clock ticks.
    idle: u64,
    /// CPU time of this flaplab, of its labs, and of those that have ended, clock ticks.
    ours: u64,
    /// The same of the kernel's threads, as far as they are seen.
    kernel: u64,
    /// Every other process.
    others: BTreeMap<(i32, u64), (String, u64)>,
}

impl Snapshot {
    /// Takes one; none, if this machine does not tell, or labs went on ending.
    #[must_use]
    pub fn take() -> Option<Snapshot> {
        let us = i32::try_from(std::process::id()).ok()?;
        let proc = Path::new("/proc");
        let deadline = Instant::now() + DEADLINE;
        let mut before = processes(proc);
        loop {
            let now = processes(proc);
            let (family_before, family) = (family(&before, us), family(&now, us));
            // What a process of ours used goes over to its parent when it is waited for: it may be
            // missed, or counted twice, while that happens.
            if !family.is_empty() && family_before.is_subset(&family) {
                let stat = fs::read_to_string(proc.join("stat")).ok()?;
                let (cpus, idle) = parse_idle(&stat)?;
                return Some(Snapshot::of(&now, us, cpus, idle, clock::monotonic_ns()));
            }
            if family.is_empty() || Instant::now() >= deadline {
                return None;
            }
            before = now;
            thread::sleep(PAUSE);
        }
    }

    fn of(processes: &Processes, us: i32, cpus: u64, idle: u64, at_mono_ns: u64) -> Snapshot {
        let family = family(processes, us);
        let mut snapshot = Snapshot {
            at_mono_ns,
            cpus,
            idle,
            ours: 0,
            kernel: 0,
            others: BTreeMap::new(),
        };
        for (pid, process) in processes {
            if family.contains(pid) {
                snapshot.ours += process.own + process.children;
            } else if process.kernel {
                snapshot.kernel += process.own;
            } else {
                let who = (*pid, process.started);
                let what = (process.name.clone(), process.own);
                snapshot.others.insert(who, what);
            }
        }
        snapshot
    }

    /// What there was between two snapshots.
    #[must_use]
    pub fn until(&self, later: &Snapshot) -> Option<Foreign> {
        let hz = sysconf(SysconfVar::CLK_TCK).ok()??;
        self.until_in(later, hz as f64)
    }

    fn until_in(&self, later: &Snapshot, ticks_per_s: f64) -> Option<Foreign> {
        let elapsed_ns = later.at_mono_ns.checked_sub(self.at_mono_ns)?;
        let all = later.cpus as f64 * elapsed_ns as f64 / 1e9 * ticks_per_s;
        let since = |now: u64, then: u64| now.saturating_sub(then) as f64;
        let used = all - since(later.idle, self.idle);
        let known = since(later.ours, self.ours) + since(later.kernel, self.kernel);
        let mut by_name: BTreeMap<&str, u64> = BTreeMap::new();
        for (who, (name, ticks)) in &later.others {
            let before = self.others.get(who).map_or(0, |(_, ticks)| *ticks);
            *by_name.entry(name).or_default() += ticks.saturating_sub(before);
        }
        let most = by_name.into_iter().max_by_key(|(_, ticks)| *ticks);
        let most = most.filter(|(_, ticks)| *ticks > 0);
        (all > 0.0).then(|| Foreign {
            share: ((used - known) / all).clamp(0.0, 1.0),
            cpus: later.cpus,
            most: most.map(|(name, ticks)| (name.to_owned(), ticks as f64 / all)),
        })
    }
}

/// Number of CPUs, and clock ticks that they were idle or waited for a disk, of /proc/stat
/// (proc_stat(5)).
fn parse_idle(text: &str) -> Option<(u64, u64)> {
    let all = text.lines().find(|l| l.starts_with("cpu "))?;
    let numbers: Vec<u64> = all
        .split_whitespace()
        .filter_map(|w| w.parse().ok())
        .collect();
    let is_one = |l: &&str| {
        let number = l.strip_prefix("cpu").and_then(|l| l.chars().next());
        number.is_some_and(|c| c.is_ascii_digit())
    };
    let cpus = text.lines().filter(is_one).count();
    Some((cpus as u64, numbers.get(3)? + numbers.get(4)?))
}

/// CPU time that was foreign.
#[derive(Debug, Clone, PartialEq)]
pub struct Foreign {
    /// Share of the time of all CPUs.
    pub share: f64,
    /// Number of CPUs.
    pub cpus: u64,
    /// Name and share of the program that used most, of those that are still there.
    pub most: Option<(String, f64)>,
}

/// What there is to say about it.
#[must_use]
pub fn judge(foreign: &Foreign) -> Option<Finding> {
    let Foreign { share, cpus, most } = foreign;
    let most = most.as_ref().map_or_else(String::new, |(name, share)| {
        format!(
            ", most of what still runs by `{name}` ({:.0} %)",
            share * 100.0
        )
    });
    (*share > LIMIT).then(|| Finding {
        kind: FindingKind::ForeignCpu,
        severity: Severity::Warning,
        place: "machine".to_owned(),
        message: format!(
            "programs that are no part of this flaplab used {:.0} % of the machine's {cpus} CPUs from the failure to \
             the quiet (limit {:.0} %){most}: free the machine of them",
            share * 100.0,
            LIMIT * 100.0,
        ),
    })
}

/// The watch on one run, from outside of its capsule. Snapshots are taken on other threads: they take
/// some milliseconds for a thousand processes.
#[derive(Debug, Default)]
pub struct Watch {
    begun: Option<JoinHandle<Option<Snapshot>>>,
    ended: Option<JoinHandle<Option<Snapshot>>>,
}

impl Watch {
    /// The failure is being prepared. The first time it is said counts.
    pub fn begin(&mut self) {
        let take = || tokio::task::spawn_blocking(Snapshot::take);
        self.begun.get_or_insert_with(take);
    }

    /// The run is over. The first time it is said counts.
    pub fn end(&mut self) {
        let take = || tokio::task::spawn_blocking(Snapshot::take);
        self.ended.get_or_insert_with(take);
    }

    /// Adds what was foreign meanwhile to what the lab itself has measured, and to its findings.
    pub async fn tell(self, run: &RunDir, outcome: &mut Outcome) {
        let Some(machine) = &mut outcome.machine else {
            return;
        };
        let Some((begun, ended)) = self.begun.zip(self.ended) else {
            return;
        };
        let (begun, ended) = (begun.await.ok().flatten(), ended.await.ok().flatten());
        let Some(foreign) = begun.zip(ended).and_then(|(b, e)| b.until(&e)) else {
            return;
        };
        machine.foreign_cpu_share = Some(foreign.share);
        let Some(finding) = judge(&foreign) else {
            return;
        };
        // The lab's own journal is closed.
        let written = run.finding_log().and_then(|mut log| log.append(&finding));
        outcome.findings.push(finding);
        outcome.findings.extend(written.err().map(|e| Finding {
            kind: FindingKind::RecordWrite,
            severity: Severity::Invalidating,
            place: run.findings_path().display().to_string(),
            message: format!("findings are missing from the record: {e}"),
        }));
    }
}

#[cfg(test)]
mod tests;
