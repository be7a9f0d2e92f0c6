//! Making the lab fail, as scheduled.

use std::io;
use std::time::Duration;

use injectors::{
    Action, ActuatorError, AnnouncerCommand, DropRule, Fired, Interval, Schedule, Start, Trigger,
};
use results::{EventKind, FindingKind, Phase, Severity};
use serde_json::Map;
use tokio::sync::oneshot;

use super::confirmation::Unconfirmed;
use super::waiting::clock_samples;
use super::{Lab, LabError, detail};
use crate::clock;
use crate::pressure::Pressure;

/// Time that arming may take; the failure is planned no earlier than this from now.
const ARMING: Duration = Duration::from_millis(50);
/// The second actuator must act this soon after the first, nanoseconds.
const SKEW_LIMIT_NS: u64 = 1_000_000;

impl Lab {
    /// Carries out the schedule from planning to the last planned action.
    pub(super) async fn carry_out_failure(&mut self, schedule: &Schedule) -> Result<(), LabError> {
        let planned_ns =
            clock::monotonic_ns() + schedule.phase.as_nanos() as u64 + ARMING.as_nanos() as u64;
        let failure = self.scenario.failure.kind.to_string();
        let primary = self.scenario.topology.primary().clone();
        let target = format!("{} and its link to {}", primary.a, primary.b);
        let phase = detail([("phase_s", schedule.phase.as_secs_f64().into())]);
        self.journal.failure(
            Phase::Planned,
            planned_ns,
            &target,
            &failure,
            self.dead_link(),
            phase,
        );

        let fired = self.fire(schedule, planned_ns).await?;
        // At once: the restart must not wait for anything.
        let restarted = match schedule.has(Action::RestartInjector) {
            true => Some(self.start_injector(Start::Restart)?),
            false => None,
        };
        self.guard(&fired);
        self.note_applied(&failure, &fired);
        if let Some(at) = restarted {
            self.journal
                .event(EventKind::Restart, Phase::Applied, at, "injector");
        }
        self.expect_effects(schedule);
        self.withdraw_if_planned(schedule, &fired).await
    }

    /// Waits for the planned instant and fires, on a thread inside the injector's namespace.
    async fn fire(&mut self, schedule: &Schedule, planned_ns: u64) -> Result<Fired, LabError> {
        let topology = &self.scenario.topology;
        let rule = schedule.has(Action::DropDestination).then(|| DropRule {
            device: topology.primary().a_dev.clone(),
            network: topology.destination.network(),
            mask: topology.destination.netmask(),
        });
        let pid = self.injector_process.as_ref().map(|p| p.pid);
        let pid = pid.filter(|_| schedule.has(Action::KillInjector));
        // Its end is expected from now on; before the signal nothing else would end it.
        self.expected_to_end.extend(pid);
        let namespace = self.namespaces[&topology.injector().name].clone();
        let (tx, mut fired) = oneshot::channel();
        namespace.spawn(move || {
            let result = Trigger::arm(rule.as_ref(), pid).and_then(|t| t.fire_at(planned_ns));
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

    /// Begins to look at what the failure brings.
    fn guard(&mut self, fired: &Fired) {
        self.pressure = Pressure::begin();
        if let Some(t0) = applied_at(fired) {
            self.watch.disturb(t0);
        }
        if fired.kill.is_some() {
            self.watch.injector_killed();
        }
        if let (Some(first), Some(second)) = (fired.drop, fired.kill) {
            let skew_ns = second.done_mono_ns.abs_diff(first.done_mono_ns);
            if skew_ns > SKEW_LIMIT_NS {
                self.find(
                    FindingKind::FailureSkew,
                    Severity::Warning,
                    "failure",
                    format!(
                        "the kill came {:.3} ms after the drop (limit 1 ms): the machine was too busy",
                        skew_ns as f64 / 1e6
                    ),
                );
            }
        }
    }

    fn note_applied(&mut self, failure: &str, fired: &Fired) {
        let parts = [("drop rule", fired.drop), ("injector", fired.kill)];
        for (target, interval) in parts {
            if let Some(Interval {
                began_mono_ns,
                done_mono_ns,
            }) = interval
            {
                let took = detail([("took_ns", (done_mono_ns - began_mono_ns).into())]);
                let dead = self.dead_link();
                self.journal
                    .failure(Phase::Applied, done_mono_ns, target, failure, dead, took);
            }
        }
    }

    /// Notes what must be seen before the run may be quiet.
    fn expect_effects(&mut self, schedule: &Schedule) {
        let primary = self.scenario.topology.primary().clone();
        let (node, peer) = (primary.b.clone(), primary.a_addr);
        if schedule.has(Action::KillInjector) {
            self.unconfirmed.push(Unconfirmed::SessionDown {
                node: node.clone(),
                peer,
            });
            self.unconfirmed.push(Unconfirmed::SessionUp { node, peer });
        }
        if schedule.has(Action::DropDestination) {
            self.unconfirmed.push(Unconfirmed::RuleCounted);
            self.probe_drop_rule();
        }
        if schedule.has(Action::WithdrawDestination) {
            self.unconfirmed.push(Unconfirmed::Withdrawn {
                src: primary.a_addr,
            });
        }
        self.await_effects();
    }

    /// `forwarding`: the living injector notices, and withdraws.
    async fn withdraw_if_planned(
        &mut self,
        schedule: &Schedule,
        fired: &Fired,
    ) -> Result<(), LabError> {
        let planned = schedule
            .steps
            .iter()
            .find(|s| s.action == Action::WithdrawDestination);
        let (Some(step), Some(t0)) = (planned, applied_at(fired)) else {
            return Ok(());
        };
        let due_ns = t0 + step.after.as_nanos() as u64;
        self.journal
            .event(EventKind::Withdraw, Phase::Planned, due_ns, "destination");
        loop {
            let left = due_ns.saturating_sub(clock::monotonic_ns());
            if left == 0 {
                break;
            }
            tokio::select! {
                Some(signal) = self.inbox.recv() => self.take(signal)?,
                () = tokio::time::sleep(Duration::from_nanos(left)) => {}
            }
        }
        let command = AnnouncerCommand::Withdraw {
            peer: self.scenario.topology.primary().b_addr,
            prefix: self.scenario.topology.destination.to_string(),
        };
        let socket = self
            .injector
            .control_socket(Start::First, &super::lab_dir());
        let failed = |source| LabError::System {
            doing: format!("tell the injector to withdraw ({})", socket.display()),
            source,
        };
        let text = serde_json::to_vec(&command).map_err(|e| failed(e.into()))?;
        std::os::unix::net::UnixDatagram::unbound()
            .and_then(|s| s.send_to(&text, &socket))
            .map_err(failed)?;
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

/// The failure's instant: when the first actuator was done.
fn applied_at(fired: &Fired) -> Option<u64> {
    [fired.drop, fired.kill]
        .into_iter()
        .flatten()
        .map(|i| i.done_mono_ns)
        .min()
}
