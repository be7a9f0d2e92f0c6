//! Router implementations.
//!
//! *Assumes* a resolved scenario. *Guarantees* that what differs between implementations (their
//! files, command lines, readiness and log lines) stays behind the trait [`Router`]: the lab
//! knows none of it.

pub mod frr;
pub mod quagga;
mod zebra;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use injectors::{Complaint, ConfigFile, ProcessSpec};
use topologies::{ResolvedScenario, RouterKind, RouterSettings};

/// What to do about a program that is not where the scenario says.
const OWN_BUILD: &str =
    "`router: {path: …}` must name the folder of your own zebra and bgpd (docs/routers.md)";

/// A session's change as a router's log tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionChange {
    /// The log's timestamp, nanoseconds since the epoch (UTC).
    pub t_wall_ns: u64,
    /// Address of the peer.
    pub peer: Ipv4Addr,
    /// Up, or down.
    pub up: bool,
    /// What the router says about it.
    pub text: String,
}

/// A process of a router, and what it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterProcess {
    /// How it is started.
    pub spec: ProcessSpec,
    /// Files (sockets) that must exist before it is started.
    pub after: Vec<PathBuf>,
}

/// A BGP router.
pub trait Router: Send + Sync {
    /// Name of the implementation, as in scenarios and results.
    fn name(&self) -> &'static str;

    /// The programs that must be there.
    fn programs(&self) -> Vec<String>;

    /// What to do if one of them is not.
    fn remedy(&self) -> String;

    /// Command (program and arguments) that prints the version.
    fn version_command(&self) -> (String, &'static [&'static str]);

    /// The version, from what the command printed.
    fn parse_version(&self, output: &str) -> Option<String>;

    /// The files of one node.
    fn configure(&self, scenario: &ResolvedScenario, node: &str) -> Vec<ConfigFile>;

    /// Directories that must exist inside the capsule before the processes start, and in which
    /// the files appear that processes wait for.
    fn directories(&self, node: &str) -> Vec<PathBuf>;

    /// The processes of one node, in the order of their start. `previous` is the router before
    /// it in the topology's order.
    fn processes(
        &self,
        node: &str,
        previous: Option<&str>,
        config_dir: &Path,
    ) -> Vec<RouterProcess>;

    /// Programs for `flaplab shell`, by name: shell scripts that know which node they are at
    /// from `$FLAPLAB_NODE`.
    fn shell_tools(&self) -> &'static [(&'static str, &'static str)];

    /// Name of the process whose log tells of sessions.
    fn session_log(&self) -> &'static str;

    /// A session's change, if a log line tells of one.
    fn parse_log_line(&self, line: &str) -> Option<SessionChange>;

    /// What a line of a log of any of its processes complains of; nothing, if it is expected.
    fn complaint(&self, line: &str) -> Option<Complaint>;
}

/// The implementation that a scenario asks for.
#[must_use]
pub fn router(settings: &RouterSettings) -> Box<dyn Router> {
    let folder = settings.path.clone();
    match settings.kind {
        RouterKind::Frr => Box::new(frr::Frr::new(folder)),
        RouterKind::Quagga => Box::new(quagga::Quagga::new(folder)),
    }
}
