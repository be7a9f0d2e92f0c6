//! What a lab must not leave outside of its capsule: files, mounts, links.
//!
//! *Assumes* that others use the machine meanwhile. *Guarantees* that only what a lab makes is
//! looked at: names that are a lab's, in the places where a lab would put them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Where FRR, ExaBGP, iproute2 and flaplab put files.
const PLACES: &[&str] = &[
    "/run",
    "/run/frr",
    "/run/netns",
    "/run/lock",
    "/var/run/frr",
    "/var/tmp",
    "/var/tmp/frr",
    "/var/lib/frr",
    "/etc/frr",
    "/tmp",
    "/dev/shm",
];
/// Names of what a lab makes inside its capsule, or of whom it makes it for.
const LABS_WORDS: &[&str] = &[
    "frr",
    "bgpd",
    "zebra",
    "zserv",
    "exabgp",
    "announcer",
    "netns",
];
/// Names of the nodes of a lab.
const NODES: &[&str] = &["r1", "r2", "r3", "r4", "injector"];

/// What there is outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outside {
    files: BTreeSet<String>,
    mounts: BTreeSet<String>,
    links: BTreeSet<String>,
}

impl Outside {
    /// Looks around.
    pub(crate) fn now() -> Outside {
        let files = PLACES
            .iter()
            .flat_map(|dir| names(Path::new(dir)).map(move |n| (dir, n)))
            .filter(|(_, name)| is_a_labs(name))
            .map(|(dir, name)| format!("{dir}/{name}"));
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mounts = table.lines().filter(|l| {
            [
                "nsfs",
                "/run/flaplab",
                "/run/netns",
                "/etc/frr",
                "flaplab-end-to-end-",
            ]
            .iter()
            .any(|w| l.contains(w))
        });
        let links = names(Path::new("/sys/class/net")).filter(|n| n.starts_with("to-"));
        Outside {
            files: files.collect(),
            mounts: mounts.map(str::to_owned).collect(),
            links: links.collect(),
        }
    }

    /// What was not there before.
    pub(crate) fn more_than(&self, before: &Outside) -> Vec<String> {
        let pairs = [
            (&self.files, &before.files),
            (&self.mounts, &before.mounts),
            (&self.links, &before.links),
        ];
        pairs
            .into_iter()
            .flat_map(|(now, then)| now.difference(then).cloned())
            .collect()
    }
}

/// Names in a directory; none if it is not there.
pub(crate) fn names(dir: &Path) -> impl Iterator<Item = String> {
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|e| Some(e.ok()?.file_name().to_string_lossy().into_owned()))
}

fn is_a_labs(name: &str) -> bool {
    NODES.contains(&name) || LABS_WORDS.iter().any(|w| name.contains(w))
}
