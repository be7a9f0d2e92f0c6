//! The lab: one running topology inside its capsule.
//!
//! *Assumes* to be inside a capsule, with the run directory at hand. *Guarantees* that the
//! recorders run before the first daemon starts, and that whatever daemon dies unbidden ends the
//! run with its last words.

mod bring_up;
mod confirmation;
mod drop_probe;
mod effect;
mod failure;
mod guard;
mod logs;
mod machine;
mod mrai_probe;
mod probe;
mod reuse;
mod waiting;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use injectors::flaplab::tcpr_socket;
use injectors::{ProcessSpec, RouteInjector, Schedule, Start};
use results::realised::RealisedMrai;
use results::{
    Clock, DirError, EventKind, Finding, FindingKind, Machine, Phase, RecorderStats, RunDir,
    Severity,
};
use thiserror::Error;
use tokio::sync::mpsc::UnboundedReceiver;
use topologies::{FailureKind, FailureTime, ResolvedScenario};

use crate::capsule::LAB_DIR;
use crate::clock::{self, StepWatch};
use crate::journal::Journal;
use crate::machine::{MachineWatch, Name};
use crate::network::{Namespaces, NetworkError};
use crate::order;
use crate::process::{Process, ProcessError};
use crate::protocol::Stage;
use crate::record::{NodeRecorder, RecordError, judge_buffers, write_failed};
use crate::router::Router;
use crate::signal::{Signal, Signals};
use crate::tcpr;
use crate::watch::{Goal, Watch};

/// Why a run failed.
#[derive(Debug, Error)]
pub(crate) enum LabError {
    /// The network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A recorder.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The data-plane probe.
    #[error(transparent)]
    Probe(#[from] crate::probe::ProbeError),
    /// A process could not be started.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The run directory.
    #[error(transparent)]
    Dir(#[from] DirError),
    /// The failure could not be made to happen.
    #[error(transparent)]
    Actuator(#[from] injectors::ActuatorError),
    /// Something else of the system.
    #[error("cannot {doing}: {source}")]
    System {
        /// What was tried.
        doing: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A process ended that nobody ended.
    #[error("{name} at {node} ended unexpectedly ({status}); the last lines of {log}:\n{last}")]
    Died {
        /// The node.
        node: String,
        /// The process.
        name: String,
        /// How it ended.
        status: String,
        /// Its log, within the run directory.
        log: String,
        /// The log's last lines.
        last: String,
    },
    /// A process did not become ready.
    #[error(
        "{name} at {node} was not ready {deadline_s} s after its start: {path} is not there; see its log"
    )]
    NotReady {
        /// The node.
        node: String,
        /// The process.
        name: String,
        /// How long was waited, seconds.
        deadline_s: f64,
        /// What was waited for.
        path: PathBuf,
    },
    /// A deadline passed.
    #[error("{what} within {deadline_s} s: {missing}")]
    Deadline {
        /// What did not happen.
        what: &'static str,
        /// The deadline, seconds.
        deadline_s: f64,
        /// What is missing.
        missing: String,
    },
    /// A record could not be written.
    #[error("{0}")]
    Recording(String),
}

/// One running topology.
pub(crate) struct Lab {
    scenario: ResolvedScenario,
    run: RunDir,
    /// Where configuration and logs are written: into the run's directory, or elsewhere if the lab
    /// outlives the run.
    home: RunDir,
    /// What of the logs is in the directories of earlier runs.
    kept: reuse::Kept,
    clock: Clock,
    router: Arc<dyn Router>,
    injector: Arc<dyn RouteInjector>,
    namespaces: Namespaces,
    recorders: Vec<NodeRecorder>,
    injector_process: Option<Process>,
    /// Until it has ended.
    tcpr_process: Option<Process>,
    /// Processes that were ended on purpose.
    expected_to_end: Vec<i32>,
    /// When processes were seen to have ended, by their number: CLOCK_MONOTONIC, nanoseconds.
    ended: BTreeMap<i32, u64>,
    /// Node and name of every process that was started, by its number.
    names: BTreeMap<i32, Name>,
    journal: Journal,
    signals: Signals,
    inbox: UnboundedReceiver<Signal>,
    watch: Watch,
    steps: StepWatch,
    /// From here on a session that goes down outside of the failure is a finding.
    guarding_sessions: bool,
    /// The failure's instant, CLOCK_MONOTONIC: when the first actuator was done.
    failed_at_ns: Option<u64>,
    /// Whether a withdrawal of the destination was, or is, waited for.
    withdrawal_expected: bool,
    /// What still has to be seen of the failure.
    unconfirmed: Vec<effect::Unconfirmed>,
    machine_watch: Option<MachineWatch>,
    /// How busy the machine was, once the run is over.
    machine: Option<Machine>,
    /// The data-plane probe, if the scenario wants one.
    probe: Option<probe::Probe>,
    /// What an MRAI probe measured.
    realised_mrai: Option<RealisedMrai>,
    progress: Box<dyn Fn(Stage, String)>,
}

/// What is left of a lab.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Closed {
    /// Everything found.
    pub findings: Vec<Finding>,
    /// What the recorders wrote and lost, by node.
    pub recorders: BTreeMap<String, RecorderStats>,
    /// What an MRAI probe measured.
    pub realised_mrai: Option<RealisedMrai>,
    /// How busy the machine was, if the run came to its failure.
    pub machine: Option<Machine>,
}

impl Lab {
    /// A lab that is yet to be brought up, its records at `run`, its configuration and its logs at
    /// `home`, which may be the same. `progress` is told of each stage.
    ///
    /// # Errors
    /// If the run directory cannot be written.
    pub(crate) fn new(
        scenario: ResolvedScenario,
        run: RunDir,
        home: RunDir,
        clock: Clock,
        progress: Box<dyn Fn(Stage, String)>,
    ) -> Result<Self, LabError> {
        let journal = Journal::open(&run, clock)?;
        let (signals, inbox) = Signals::channel();
        Ok(Lab {
            router: Arc::from(crate::router::router(&scenario.router)),
            injector: Arc::from(injectors::route_injector(scenario.injector.kind)),
            watch: Watch::new(&scenario, clock::monotonic_ns()),
            steps: StepWatch::new(clock),
            scenario,
            run,
            home,
            kept: reuse::Kept::default(),
            clock,
            namespaces: Namespaces::new(),
            recorders: Vec::new(),
            injector_process: None,
            tcpr_process: None,
            expected_to_end: Vec::new(),
            ended: BTreeMap::new(),
            names: BTreeMap::new(),
            journal,
            signals,
            inbox,
            guarding_sessions: false,
            failed_at_ns: None,
            withdrawal_expected: false,
            unconfirmed: Vec::new(),
            machine_watch: None,
            machine: None,
            probe: None,
            realised_mrai: None,
            progress,
        })
    }

    fn tell(&self, stage: Stage, text: impl Into<String>) {
        (self.progress)(stage, text.into());
    }

    fn find(&mut self, kind: FindingKind, severity: Severity, place: &str, message: String) {
        self.journal.finding(Finding {
            kind,
            severity,
            place: place.to_owned(),
            message,
        });
    }

    /// Starts the injector. Returns when, CLOCK_MONOTONIC.
    fn start_injector(&mut self, start: Start) -> Result<u64, LabError> {
        let config_dir = self
            .home
            .config_dir(&self.scenario.topology.injector().name);
        let spec = self.injector.process(start, &config_dir);
        let process = self.start_at_injector(&spec)?;
        let at = clock::monotonic_ns();
        self.injector_process = Some(process);
        Ok(at)
    }

    /// Starts TCPR. Returns when, CLOCK_MONOTONIC.
    fn start_tcpr(&mut self) -> Result<u64, LabError> {
        let spec = tcpr::process(&tcpr_socket(&lab_dir()), self.scenario.router.hold_time);
        let process = self.start_at_injector(&spec)?;
        let at = clock::monotonic_ns();
        self.tcpr_process = Some(process);
        Ok(at)
    }

    fn start_at_injector(&mut self, spec: &ProcessSpec) -> Result<Process, ProcessError> {
        let node = self.scenario.topology.injector().name.clone();
        self.start_process(&node, spec)
    }

    fn start_process(&mut self, node: &str, spec: &ProcessSpec) -> Result<Process, ProcessError> {
        let log_dir = self.home.log_dir(node);
        let process = crate::process::start(spec, &self.namespaces[node], &log_dir, &self.signals)?;
        let name = Name {
            node: process.node.clone(),
            process: process.name.clone(),
        };
        self.names.insert(process.pid, name);
        Ok(process)
    }

    /// Samples the wall clock into the journal.
    fn sample_clock(&mut self) {
        let now = clock::monotonic_ns();
        let offset = clock::wall_minus_mono_ns();
        let detail = detail([("offset_ns", (offset - self.clock.wall_minus_mono_ns).into())]);
        self.journal.event_with(
            EventKind::Clock,
            Phase::Confirmed,
            now,
            "wall clock",
            detail,
        );
        if let Some(step) = self.steps.sample(offset) {
            self.find(
                FindingKind::ClockStep,
                Severity::Warning,
                "wall clock",
                format!(
                    "the wall clock stepped by {:.3} s; all times here are of CLOCK_MONOTONIC, but packets within \
                     a few milliseconds of the step may be dated wrongly",
                    step as f64 / 1e9
                ),
            );
        }
    }
}

/// Further detail of an event.
fn detail<const N: usize>(
    pairs: [(&str, serde_json::Value); N],
) -> serde_json::Map<String, serde_json::Value> {
    pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}

impl order::Lab for Lab {
    type Error = LabError;
    type Closed = Closed;

    async fn bring_up(&mut self) -> Result<(), LabError> {
        self.make().await
    }

    async fn record_anew(&mut self) -> Result<(), LabError> {
        self.begin_again()
    }

    async fn established(&mut self) -> Result<(), LabError> {
        let sessions = self.watch.sessions();
        self.tell(Stage::Establish, format!("{sessions} session ends"));
        self.reach(Goal::Established, self.scenario.deadlines.established)
            .await
    }

    async fn settled(&mut self) -> Result<(), LabError> {
        let (goal, text) = match self.scenario.failure.when {
            FailureTime::Settled => {
                let quiet = self.scenario.quiet_period();
                (Goal::Settled, format!("quiet for {quiet}"))
            }
            FailureTime::InitialTransfer => {
                let text = "every router has the destination".to_owned();
                (Goal::Reachable, text)
            }
        };
        self.tell(Stage::Settle, text);
        self.reach(goal, self.scenario.deadlines.settled).await?;
        self.guarding_sessions = true;
        Ok(())
    }

    async fn fail(&mut self, schedule: &Schedule) -> Result<(), LabError> {
        if self.scenario.failure.kind == FailureKind::MraiProbe {
            return self.probe_mrai().await;
        }
        self.tell(
            Stage::Fail,
            format!(
                "{} in {:.1} s",
                self.scenario.failure.kind,
                schedule.phase.as_secs_f64()
            ),
        );
        self.start_probing()?;
        self.carry_out_failure(schedule).await
    }

    async fn quiet(&mut self) -> Result<(), LabError> {
        self.tell(
            Stage::Converge,
            format!("until quiet for {}", self.scenario.quiet_period()),
        );
        let reached = self.reach(Goal::Quiet, self.scenario.deadlines.quiet).await;
        self.stop_probing();
        self.judge_machine();
        match reached {
            // The figures up to here stand, but nobody knows what would have followed.
            Err(LabError::Deadline { .. }) => {}
            other => other?,
        }
        self.report_unconfirmed();
        Ok(())
    }

    async fn close(&mut self) -> Closed {
        self.judge_machine();
        self.end_probe().await;
        while let Ok(signal) = self.inbox.try_recv() {
            if let Signal::Found(finding) = signal {
                self.journal.finding(finding);
            }
        }
        self.sample_clock();
        let mut recorders = BTreeMap::new();
        for (node, stats, findings) in NodeRecorder::stop_all(std::mem::take(&mut self.recorders)) {
            recorders.insert(node, stats);
            for finding in findings {
                if !self.journal.findings().contains(&finding) {
                    self.journal.finding(finding);
                }
            }
        }
        if let Some(finding) = judge_buffers(recorders.values()) {
            self.journal.finding(finding);
        }
        if let Err(error) = self.keep_logs() {
            let place = self.run.nodes_dir();
            self.journal.finding(write_failed(&place, &error));
        }
        for finding in self.unexpected_lines() {
            self.journal.finding(finding);
        }
        if let Some(error) = self.journal.broken().map(str::to_owned) {
            let path = self.run.events_path().display().to_string();
            let message = format!("events or findings are missing from the record: {error}");
            self.find(
                FindingKind::RecordWrite,
                Severity::Invalidating,
                &path,
                message,
            );
        }
        Closed {
            findings: self.journal.findings().to_vec(),
            recorders,
            realised_mrai: self.realised_mrai.take(),
            machine: self.machine.take(),
        }
    }
}

/// The directory of sockets and the like, inside a capsule.
fn lab_dir() -> PathBuf {
    PathBuf::from(LAB_DIR)
}

/// An event that tells of a session, as the journal keeps it.
fn session_detail(up: bool, text: &str) -> serde_json::Map<String, serde_json::Value> {
    detail([("up", up.into()), ("text", text.into())])
}
