//! Waiting for a goal, and what is made of the signals meanwhile.

use std::io::ErrorKind;
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use results::{EventKind, FindingKind, Phase, Severity};
use topologies::Span;

use super::{Lab, LabError, session_detail};
use crate::clock;
use crate::process::last_lines;
use crate::protocol::Stage;
use crate::record::write_failed;
use crate::signal::Signal;
use crate::watch::Goal;

/// Interval between samples of the wall clock.
const CLOCK_SAMPLES: Duration = Duration::from_secs(5);

/// Ticks when the wall clock is to be sampled, first after one interval.
pub(super) fn clock_samples() -> tokio::time::Interval {
    let first = tokio::time::Instant::now() + CLOCK_SAMPLES;
    tokio::time::interval_at(first, CLOCK_SAMPLES)
}

impl Lab {
    /// Waits until the goal is reached. A deadline that passes is a finding and an error.
    pub(super) async fn reach(&mut self, goal: Goal, deadline: Span) -> Result<(), LabError> {
        let began_ns = clock::monotonic_ns();
        let deadline_ns = began_ns + deadline.as_duration().as_nanos() as u64;
        let mut samples = clock_samples();
        loop {
            while let Ok(signal) = self.inbox.try_recv() {
                self.take(signal)?;
            }
            let now_ns = clock::monotonic_ns();
            let at_ns = self.watch.reached_at(goal);
            if at_ns.is_some_and(|at| at <= now_ns) {
                self.confirm(goal, now_ns);
                return Ok(());
            }
            if now_ns >= deadline_ns {
                return Err(self.deadline_passed(goal, deadline));
            }
            let wake_ns = at_ns.unwrap_or(deadline_ns).min(deadline_ns);
            tokio::select! {
                Some(signal) = self.inbox.recv() => self.take(signal)?,
                _ = samples.tick() => {
                    self.sample_clock();
                    self.look_for_room()?;
                }
                () = tokio::time::sleep(Duration::from_nanos(wake_ns - now_ns)) => {}
            }
        }
    }

    /// Whether the records have room. A recorder may not notice for long: what it appends to a page that it
    /// has is written. And a router that cannot write its log tells nobody that its sessions are up.
    fn look_for_room(&mut self) -> Result<(), LabError> {
        let path = self.run.path();
        if !statvfs(path).is_ok_and(|disk| disk.blocks() > 0 && disk.blocks_available() == 0) {
            return Ok(());
        }
        let full = write_failed(path, &ErrorKind::StorageFull.into());
        self.take(Signal::Found(full))
    }

    /// Keeps a lab that is left up: takes signals until dropped.
    pub(crate) async fn stay(&mut self) -> LabError {
        loop {
            // The lab holds a sender itself, so the channel never ends.
            if let Some(signal) = self.inbox.recv().await
                && let Err(error) = self.take(signal)
            {
                return error;
            }
        }
    }

    fn confirm(&mut self, goal: Goal, now_ns: u64) {
        match goal {
            Goal::Established => {
                self.journal
                    .event(EventKind::Lab, Phase::Confirmed, now_ns, "bring-up");
            }
            Goal::Settled | Goal::Reachable => {
                self.journal
                    .event(EventKind::Settled, Phase::Confirmed, now_ns, "lab");
            }
            Goal::Quiet => self
                .journal
                .event(EventKind::Quiet, Phase::Confirmed, now_ns, "lab"),
        }
    }

    fn deadline_passed(&mut self, goal: Goal, deadline: Span) -> LabError {
        let (kind, what) = match goal {
            Goal::Established => (FindingKind::NotEstablished, "not all sessions came up"),
            Goal::Settled => (FindingKind::NotSettled, "the network did not settle"),
            Goal::Reachable => (
                FindingKind::NotSettled,
                "not every router had the destination",
            ),
            Goal::Quiet => (FindingKind::NotQuiet, "the network was not quiet again"),
        };
        let missing = self.watch.missing(goal);
        let deadline_s = deadline.as_secs_f64();
        let message = format!(
            "{what} within {deadline_s} s: {missing}; look at the routers' logs, or give it more time (`deadlines` in \
             the scenario)"
        );
        self.find(kind, Severity::Invalidating, "lab", message);
        LabError::Deadline {
            what,
            deadline_s,
            missing,
        }
    }

    /// Makes what is to be made of a signal.
    pub(super) fn take(&mut self, signal: Signal) -> Result<(), LabError> {
        self.watch.note(&signal);
        self.look_for_confirmation(&signal);
        match signal {
            Signal::Session {
                t_mono_ns,
                node,
                peer,
                up,
                text,
            } => {
                let detail = session_detail(up, &text);
                let target = format!("{node} with {peer}");
                self.journal.event_with(
                    EventKind::Session,
                    Phase::Confirmed,
                    t_mono_ns,
                    &target,
                    detail,
                );
                self.guard_session(&target, peer, up, &text);
                if up && !self.guarding_sessions {
                    let (n, of) = (self.watch.sessions_up(), self.watch.sessions());
                    self.tell(Stage::Establish, format!("{n} of {of} session ends"));
                }
            }
            Signal::EndOfRib {
                t_mono_ns,
                src,
                dst,
            } => {
                if self.is_injector(src) {
                    let target = format!("{src} to {dst}");
                    self.journal
                        .event(EventKind::Eor, Phase::Confirmed, t_mono_ns, &target);
                    self.guard_transfer(src, t_mono_ns);
                }
            }
            Signal::Exited { process, status } => {
                self.ended.insert(process.pid, clock::monotonic_ns());
                if self.tcpr_process.as_ref() == Some(&process) {
                    self.tcpr_process = None;
                }
                if !self.expected_to_end.contains(&process.pid) {
                    let last = last_lines(&process.log);
                    let log = process
                        .log
                        .strip_prefix(self.home.path())
                        .unwrap_or(&process.log);
                    let log = log.display().to_string();
                    let (node, name) = (process.node, process.name);
                    let message = format!("{name} ended unexpectedly ({status}); see {log}");
                    self.find(
                        FindingKind::DaemonDied,
                        Severity::Invalidating,
                        &node,
                        message,
                    );
                    return Err(LabError::Died {
                        node,
                        name,
                        status,
                        log,
                        last,
                    });
                }
            }
            Signal::Found(finding) => {
                let fatal = finding.kind == FindingKind::RecordWrite;
                let message = format!("{}: {}", finding.place, finding.message);
                self.journal.finding(finding);
                if fatal {
                    return Err(LabError::Recording(message));
                }
            }
            Signal::LetGo { peer, reason, .. } => self.guard_recovery(peer, &reason),
            Signal::Recovered { .. }
            | Signal::Route { .. }
            | Signal::Update { .. }
            | Signal::RuleCounted => {}
        }
        Ok(())
    }
}
