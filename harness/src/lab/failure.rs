//! Making the lab fail, as scheduled.

use std::io;
use std::time::Duration;

use injectors::{
    Action, ActuatorError, Command, DropRule, Fired, Schedule, Start, Target, Trigger,
};
use results::{EventKind, FindingKind, Phase, Severity};
use serde_json::Map;
use tokio::sync::oneshot;

use super::waiting::clock_samples;
use super::{Lab, LabError, detail};
use crate::clock;

/// Time that arming may take; the failure is planned no earlier than this from now.
const ARMING: Duration = Duration::from_millis(50);
/// The last actuator must act this soon after the first, nanoseconds.
const SKEW_LIMIT_NS: u64 = 1_000_000;
/// Time in which a killed process must be gone.
const DYING: Duration = Duration::from_secs(10);

impl Lab {
    /// Carries out the schedule from planning to the last planned action.
    pub(super) async fn carry_out_failure(&mut self, schedule: &Schedule) -> Result<(), LabError> {
        self.watch_machine()?;
        let planned_ns = clock::monotonic_ns() + nanos(schedule.phase + ARMING);
        self.note_planned(schedule, planned_ns);
        // What follows the failure is counted from when it was applied, not from when it was due.
        let mut t0_ns = planned_ns;
        for (after, actions) in schedule.instants() {
            let due_ns = t0_ns + nanos(after);
            if actions.contains(&Action::WithdrawDestination) {
                self.journal
                    .event(EventKind::Withdraw, Phase::Planned, due_ns, "destination");
            }
            let fired = self.fire(&actions, due_ns).await?;
            let first = fired.iter().map(Fired::at_mono_ns).min();
            t0_ns = *self.failed_at_ns.get_or_insert(first.unwrap_or(due_ns));
            self.expect_effects(&fired);
            // At once: the restart must wait for nothing but the end of what it replaces.
            let restarted = self.restart(&actions).await?;
            self.note_applied(&fired, &restarted);
            if actions.contains(&Action::WithdrawDestination) {
                self.withdraw()?;
            }
        }
        Ok(())
    }

    fn note_planned(&mut self, schedule: &Schedule, planned_ns: u64) {
        let primary = self.scenario.topology.primary();
        let target = format!("{} and its link to {}", primary.a, primary.b);
        let phase = detail([("phase_s", schedule.phase.as_secs_f64().into())]);
        let (failure, dead_link) = (self.scenario.failure.kind.to_string(), self.dead_link());
        self.journal.failure(
            Phase::Planned,
            planned_ns,
            &target,
            &failure,
            dead_link,
            phase,
        );
    }

    /// Waits for an instant and fires what is to be fired then, on a thread inside the injector's
    /// namespace. Armed anew each time: a process that was restarted is another one.
    async fn fire(&mut self, actions: &[Action], due_ns: u64) -> Result<Vec<Fired>, LabError> {
        let targets: Vec<(Action, Target)> = actions
            .iter()
            .filter_map(|action| Some((*action, self.target(*action)?)))
            .collect();
        // Their end is expected from now on; before the signal nothing else would end them.
        for (_, target) in &targets {
            if let Target::Process(pid) = target {
                self.expected_to_end.push(*pid);
            }
        }
        let namespace = self.namespaces[&self.scenario.topology.injector().name].clone();
        let (tx, mut fired) = oneshot::channel();
        namespace.spawn(move || {
            let result = Trigger::arm(&targets).and_then(|t| t.fire_at(due_ns));
            // If the agent no longer waits, the run was stopped.
            let _ = tx.send(result);
        });
        let mut samples = clock_samples();
        loop {
            tokio::select! {
                biased;
                result = &mut fired => {
                    let gone = |_| LabError::System {
                        doing: "enter the injector's namespace to make it fail".to_owned(),
                        source: io::Error::other("the thread ended"),
                    };
                    return Ok(result.map_err(gone)?.map_err(|e: ActuatorError| e)?);
                }
                Some(signal) = self.inbox.recv() => self.take(signal)?,
                _ = samples.tick() => self.sample_clock(),
            }
        }
    }

    /// What an actuator acts upon; none, for what no actuator does.
    fn target(&self, action: Action) -> Option<Target> {
        let topology = &self.scenario.topology;
        match action {
            Action::DropDestination => Some(Target::Traffic(DropRule {
                device: topology.primary().a_dev.clone(),
                network: topology.destination.network(),
                mask: topology.destination.netmask(),
            })),
            Action::LoseCarrier => Some(Target::Carrier(topology.primary().a_dev.clone())),
            Action::KillInjector => Some(Target::Process(self.injector_process.as_ref()?.pid)),
            Action::KillTcpr => Some(Target::Process(self.tcpr_process.as_ref()?.pid)),
            Action::RestartTcpr | Action::RestartInjector | Action::WithdrawDestination => None,
        }
    }

    /// Starts again what is due. Gives what was started, and when.
    async fn restart(&mut self, actions: &[Action]) -> Result<Vec<(&'static str, u64)>, LabError> {
        let mut restarted = Vec::new();
        if actions.contains(&Action::RestartTcpr) {
            // A server that is still dying keeps the queues and the socket from the next one.
            self.until_tcpr_has_gone().await?;
            restarted.push(("tcpr", self.start_tcpr()?));
        }
        if actions.contains(&Action::RestartInjector) {
            restarted.push(("injector", self.start_injector(Start::Restart)?));
        }
        Ok(restarted)
    }

    async fn until_tcpr_has_gone(&mut self) -> Result<(), LabError> {
        let deadline = tokio::time::Instant::now() + DYING;
        while let Some(pid) = self.tcpr_process.as_ref().map(|p| p.pid) {
            tokio::select! {
                Some(signal) = self.inbox.recv() => self.take(signal)?,
                () = tokio::time::sleep_until(deadline) => {
                    return Err(LabError::System {
                        doing: "start TCPR again".to_owned(),
                        source: io::Error::other(format!(
                            "process {pid} was killed {} s ago and has not ended",
                            DYING.as_secs()
                        )),
                    });
                }
            }
        }
        Ok(())
    }

    /// Writes down what was done, and looks at how well.
    fn note_applied(&mut self, fired: &[Fired], restarted: &[(&'static str, u64)]) {
        if let Some((machine, failed_at_ns)) = self.machine_watch.as_mut().zip(self.failed_at_ns) {
            machine.failed(failed_at_ns);
        }
        let (failure, dead_link) = (self.scenario.failure.kind.to_string(), self.dead_link());
        for one in fired {
            let took = detail([("took_ns", (one.done_mono_ns - one.began_mono_ns).into())]);
            self.journal.failure(
                Phase::Applied,
                one.at_mono_ns(),
                name(one.action),
                &failure,
                dead_link.clone(),
                took,
            );
        }
        for (target, at) in restarted {
            self.journal
                .event(EventKind::Restart, Phase::Applied, *at, target);
        }
        if let Some((first, last)) = fired.first().zip(fired.last()) {
            self.judge_skew(first, last);
        }
    }

    fn judge_skew(&mut self, first: &Fired, last: &Fired) {
        let skew_ns = last.at_mono_ns().saturating_sub(first.at_mono_ns());
        if skew_ns > SKEW_LIMIT_NS {
            self.find(
                FindingKind::FailureSkew,
                Severity::Warning,
                "failure",
                format!(
                    "{} failed {:.3} ms after {} (limit 1 ms): the machine was too busy",
                    name(last.action),
                    skew_ns as f64 / 1e6,
                    name(first.action)
                ),
            );
        }
    }

    /// `forwarding`: the living injector has noticed, and withdraws.
    fn withdraw(&mut self) -> Result<(), LabError> {
        let command = Command::Withdraw {
            peer: self.scenario.topology.primary().b_addr,
            prefix: self.scenario.topology.destination,
        };
        self.expect_withdrawal();
        self.injector
            .command(&command, Start::First, &super::lab_dir())
            .map_err(|source| LabError::System {
                doing: "tell the injector to withdraw".to_owned(),
                source,
            })?;
        let now = clock::monotonic_ns();
        self.journal.event_with(
            EventKind::Withdraw,
            Phase::Applied,
            now,
            "destination",
            Map::new(),
        );
        Ok(())
    }
}

/// What an action is done to, as events tell it.
fn name(action: Action) -> &'static str {
    match action {
        Action::DropDestination => "drop rule",
        Action::LoseCarrier => "primary link",
        Action::KillTcpr | Action::RestartTcpr => "tcpr",
        Action::KillInjector | Action::RestartInjector => "injector",
        Action::WithdrawDestination => "destination",
    }
}

fn nanos(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}
