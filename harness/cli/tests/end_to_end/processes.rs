//! The processes of one flaplab, by their numbers and parents: never by the names of others.
//!
//! *Assumes* /proc. *Guarantees* that a number that was given anew is not taken for the process
//! that had it before.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// When it began, in clock ticks since the machine did.
    began: u64,
}

struct Stat {
    process: Process,
    parent: i32,
    state: char,
}

/// What /proc/PID/stat says (proc(5)); nothing if the process has gone.
fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some(Stat {
        process: Process {
            pid,
            began: fields.get(19)?.parse().ok()?,
        },
        parent: fields.get(1)?.parse().ok()?,
        state: fields.first()?.chars().next()?,
    })
}

fn all() -> Vec<Stat> {
    let entries = fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|e| e.unwrap().file_name().to_str()?.parse().ok())
        .filter_map(stat)
        .collect()
}

/// The descendants of a process. Those of a capsule are all among them: process 1 of its PID
/// namespace takes the orphans.
pub(crate) fn descendants(pid: i32) -> Vec<Process> {
    let table = all();
    let mut found: Vec<Process> = Vec::new();
    let mut parents = BTreeSet::from([pid]);
    while !parents.is_empty() {
        let children = table.iter().filter(|s| parents.contains(&s.parent));
        let children: Vec<Process> = children.map(|s| s.process).collect();
        parents = children.iter().map(|p| p.pid).collect();
        found.extend(children);
    }
    found
}

impl Process {
    /// Whether it is still there. What has ended and merely was not waited for is not: that is up
    /// to whoever inherited it.
    pub(crate) fn lives(&self) -> bool {
        stat(self.pid).is_some_and(|s| s.process == *self && !matches!(s.state, 'Z' | 'X'))
    }

    /// Its command line.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let octets = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        octets
            .split(|&b| b == 0)
            .map(|a| String::from_utf8_lossy(a).into_owned())
            .collect()
    }

    /// Its network namespace, and those that it sees by name under /run/netns; as far as this
    /// user may know.
    fn network_namespaces(&self) -> BTreeSet<u64> {
        let own = fs::metadata(format!("/proc/{}/ns/net", self.pid));
        let named = fs::read_dir(format!("/proc/{}/root/run/netns", self.pid));
        let named = named
            .into_iter()
            .flatten()
            .filter_map(|e| e.ok()?.metadata().ok());
        own.into_iter().chain(named).map(|m| m.ino()).collect()
    }
}

/// The living processes whose command line names `path`. A capsule's own three do: they are
/// given the run directory, which no other lab has.
pub(crate) fn naming(path: &Path) -> Vec<Process> {
    let path = path.to_str().unwrap();
    all()
        .into_iter()
        .map(|s| s.process)
        .filter(|p| p.lives() && p.arguments().iter().any(|a| a.contains(path)))
        .collect()
}

/// The network namespaces of processes, but this one's own.
pub(crate) fn network_namespaces(processes: &[Process]) -> BTreeSet<u64> {
    let own = fs::metadata("/proc/self/ns/net").unwrap().ino();
    let mut found: BTreeSet<u64> = processes
        .iter()
        .flat_map(Process::network_namespaces)
        .collect();
    found.remove(&own);
    found
}

/// The network namespaces among `wanted` in which there still is a process.
pub(crate) fn still_entered(wanted: &BTreeSet<u64>) -> BTreeSet<u64> {
    all()
        .iter()
        .filter_map(|s| fs::metadata(format!("/proc/{}/ns/net", s.process.pid)).ok())
        .map(|m| m.ino())
        .filter(|i| wanted.contains(i))
        .collect()
}
