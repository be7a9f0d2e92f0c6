//! What fails when, and who announces the routes.
//!
//! *Assumes* that the harness has made the namespaces and starts the processes. *Guarantees* that
//! the schedule of a failure is a pure function of the resolved scenario, and that every actuator
//! reports, on CLOCK_MONOTONIC, when it began and when it was done.

pub mod actuator;
pub mod announcer;
pub mod complaint;
pub mod exabgp;
pub mod flaplab;
pub mod pidfd;
pub mod plan;
pub mod schedule;
pub mod speaker;

pub use actuator::{ActuatorError, DropRule, Fired, Target, Trigger};
pub use complaint::Complaint;
pub use plan::{Command, Route};
pub use schedule::{Action, Schedule, Step};

use std::io;
use std::path::Path;

use topologies::ResolvedScenario;

/// Which start of the injector a configuration is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The start before the failure.
    First,
    /// The start after the failure.
    Restart,
}

impl Start {
    /// Stem of the files that belong to this start.
    #[must_use]
    pub fn stem(self) -> &'static str {
        match self {
            Start::First => "first",
            Start::Restart => "restart",
        }
    }
}

/// A file that an injector or a router reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// Name within the node's `config/` directory.
    pub name: String,
    /// Contents.
    pub text: String,
}

/// A process to start: program, arguments and environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessSpec {
    /// Short name, for the log file and for messages.
    pub name: String,
    /// Program, by absolute path.
    pub program: String,
    /// Arguments.
    pub args: Vec<String>,
    /// Environment, added to a minimal one.
    pub env: Vec<(String, String)>,
}

/// The first of these programs that is installed, or else the first: its absence is told when it
/// is started.
#[must_use]
pub fn first_installed(candidates: &[String]) -> String {
    let found = candidates.iter().find(|c| Path::new(c).exists());
    found.or(candidates.first()).cloned().unwrap_or_default()
}

/// A BGP speaker outside the clique that announces the destination.
pub trait RouteInjector: Send + Sync {
    /// Everything it reads for one start. `config_dir` is where the files will lie and
    /// `run_dir` where its sockets may lie.
    fn configure(
        &self,
        scenario: &ResolvedScenario,
        start: Start,
        config_dir: &Path,
        run_dir: &Path,
    ) -> Vec<ConfigFile>;

    /// The process of one start.
    fn process(&self, start: Start, config_dir: &Path) -> ProcessSpec;

    /// What a line of its log tells of its sessions; nothing, for an injector that tells no such
    /// thing.
    fn parse_log_line(&self, line: &str) -> Option<speaker::Event>;

    /// What a line of its log complains of; nothing, if it is expected.
    fn complaint(&self, line: &str) -> Option<Complaint>;

    /// Gives a command to the injector of one start while it runs.
    ///
    /// # Errors
    /// If it does not take it.
    fn command(&self, command: &Command, start: Start, run_dir: &Path) -> io::Result<()>;
}

/// The implementation that the scenario asks for.
#[must_use]
pub fn route_injector(kind: topologies::InjectorKind) -> Box<dyn RouteInjector> {
    match kind {
        topologies::InjectorKind::Flaplab => Box::new(flaplab::Flaplab),
        topologies::InjectorKind::Exabgp => Box::new(exabgp::ExaBgp),
    }
}
