//! The data-plane probe in the life of a lab.
//!
//! *Assumes* the network of the topology. *Guarantees* that the receiver is bound before the first
//! probe is sent, that probes are sent from before the failure to the quiet, and that both records
//! are complete once the lab is closed, or a finding says why not.

use std::net::SocketAddrV4;
use std::time::Duration;

use injectors::ProcessSpec;
use injectors::announcer::PROGRAM;
use nix::sys::inotify::AddWatchFlags;
use nix::sys::signal::{Signal as UnixSignal, kill};
use nix::unistd::Pid;
use results::{Finding, FindingKind, Severity};
use tokio::time::{Instant, timeout_at};

use super::{Lab, LabError};
use crate::file_events::FileEvents;
use crate::probe::{PORT, ProbeSender, ProbeSocket, SUBCOMMAND, open_sockets};
use crate::process::{self, Process};
use crate::signal::Signal;

/// Name of the receiving process, and of its log.
pub(super) const RECEIVER: &str = "probe-receiver";

/// How long the receiver may take to be ready, and to end.
const RECEIVER_DEADLINE: Duration = Duration::from_secs(10);

/// The probe of a lab that has one.
pub(super) struct Probe {
    receiver: Process,
    sending: Sending,
}

/// The sending end.
enum Sending {
    NotYet(Vec<ProbeSocket>),
    UnderWay(ProbeSender),
    Over,
}

impl Lab {
    /// Starts the receiver and opens the sockets, if the scenario wants a probe.
    pub(super) async fn prepare_probe(&mut self) -> Result<(), LabError> {
        if !self.scenario.data_plane_probe {
            return Ok(());
        }
        let topology = &self.scenario.topology;
        let node = topology.injector().name.clone();
        let record = self.run.probe_received(&node);
        let address = SocketAddrV4::new(topology.destination_address(), PORT);
        let sockets = open_sockets(topology, &self.namespaces)?;
        let spec = ProcessSpec {
            name: RECEIVER.to_owned(),
            program: PROGRAM.to_owned(),
            args: vec![
                SUBCOMMAND.to_owned(),
                address.to_string(),
                record.display().to_string(),
            ],
            env: Vec::new(),
        };
        let unwatched = |source| LabError::System {
            doing: "watch for the probe's record".to_owned(),
            source,
        };
        let created = FileEvents::new().map_err(unwatched)?;
        created
            .add(&self.run.node_dir(&node), AddWatchFlags::IN_MOVED_TO)
            .map_err(unwatched)?;
        let receiver = self.start_process(&node, &spec)?;
        let deadline = Instant::now() + RECEIVER_DEADLINE;
        while !record.exists() {
            tokio::select! {
                events = created.next() => {
                    events.map_err(unwatched)?;
                }
                Some(signal) = self.inbox.recv() => self.take(signal)?,
                () = tokio::time::sleep_until(deadline) => {
                    return Err(LabError::NotReady {
                        node,
                        name: spec.name,
                        deadline_s: RECEIVER_DEADLINE.as_secs_f64(),
                        path: record,
                    });
                }
            }
        }
        self.probe = Some(Probe {
            receiver,
            sending: Sending::NotYet(sockets),
        });
        Ok(())
    }

    /// Begins to send, if there is a probe.
    pub(super) fn start_probing(&mut self) -> Result<(), LabError> {
        let Some(probe) = &mut self.probe else {
            return Ok(());
        };
        if let Sending::NotYet(sockets) = std::mem::replace(&mut probe.sending, Sending::Over) {
            let destination = self.scenario.topology.destination_address();
            let path = self.run.probe_sent();
            let sender = ProbeSender::start(sockets, destination, path, self.signals.clone())?;
            probe.sending = Sending::UnderWay(sender);
        }
        Ok(())
    }

    /// Sends no more.
    pub(super) fn stop_probing(&mut self) {
        let Some(probe) = &mut self.probe else {
            return;
        };
        if let Sending::UnderWay(sender) = std::mem::replace(&mut probe.sending, Sending::Over)
            && let Some(finding) = sender.stop()
        {
            self.journal.finding(finding);
        }
    }

    /// Ends the probe: first the sender, then the receiver, which takes what is under way.
    pub(super) async fn end_probe(&mut self) {
        self.stop_probing();
        let Some(Probe { receiver, .. }) = self.probe.take() else {
            return;
        };
        // A receiver that died unbidden has ended the run, and its number is not given anew so
        // soon: numbers of a PID namespace go round.
        let told = kill(Pid::from_raw(receiver.pid), UnixSignal::SIGTERM);
        if told.is_err() {
            return;
        }
        let deadline = Instant::now() + RECEIVER_DEADLINE;
        let problem = loop {
            match timeout_at(deadline, self.inbox.recv()).await {
                Ok(Some(Signal::Exited { process, status })) if process == receiver => {
                    let log = process::last_lines(&receiver.log);
                    break (!status.ends_with(": 0"))
                        .then(|| format!("it ended with {status}: {log}"));
                }
                Ok(Some(Signal::Found(finding))) => self.journal.finding(finding),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => {
                    let deadline_s = RECEIVER_DEADLINE.as_secs();
                    break Some(format!("it had not ended {deadline_s} s after SIGTERM"));
                }
            }
        };
        if let Some(problem) = problem {
            let message =
                format!("the probe's receiver did not complete its record: {problem}; run again");
            self.journal.finding(Finding {
                kind: FindingKind::RecordWrite,
                severity: Severity::Warning,
                place: self
                    .run
                    .probe_received(&receiver.node)
                    .display()
                    .to_string(),
                message,
            });
        }
    }
}
