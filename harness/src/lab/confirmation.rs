//! Seeing the failure's effect: what was applied is confirmed by what the lab then shows.

use injectors::{Action, Fired};
use results::{EventKind, FindingKind, LinkRef, Phase, Severity};
use serde_json::Map;
use topologies::{FailureKind, Strategy};

use super::effect::{Session, Unconfirmed};
use super::{Lab, drop_probe};
use crate::signal::Signal;

impl Lab {
    /// Notes what must be seen, now that this was fired, before the run may be quiet.
    pub(super) fn expect_effects(&mut self, fired: &[Fired]) {
        for one in fired {
            let t_ns = one.at_mono_ns();
            self.watch.disturb(t_ns);
            match one.action {
                Action::DropDestination => {
                    self.unconfirmed.push(Unconfirmed::RuleCounted);
                    self.probe_drop_rule();
                }
                Action::LoseCarrier => self.expect_dead_link(),
                Action::KillInjector => self.expect_restart(t_ns),
                Action::KillTcpr => {
                    let pid = self.tcpr_process.as_ref().map(|p| p.pid);
                    self.expect_end("tcpr", pid);
                }
                Action::RestartTcpr | Action::RestartInjector | Action::WithdrawDestination => {}
            }
        }
        self.await_effects();
    }

    /// Carrier loss: the session over the link goes down, and does not come back.
    fn expect_dead_link(&mut self) {
        let lost = self.primary_session();
        self.watch.link_lost(lost.peer);
        self.unconfirmed.push(Unconfirmed::SessionDown(lost));
    }

    /// The injector was killed: its sessions are lost and come back, or are recovered.
    fn expect_restart(&mut self, t_ns: u64) {
        // What an earlier kill has left to be seen may never be, and need not.
        self.unconfirmed.retain(|u| !u.is_of_a_session());
        if self.scenario.strategy == Strategy::Tcpr {
            let pid = self.injector_process.as_ref().map(|p| p.pid);
            self.expect_end("injector", pid);
            for session in self.injectors_sessions() {
                self.unconfirmed.push(Unconfirmed::Recovered {
                    session,
                    since_ns: t_ns,
                });
            }
        } else {
            let primary = self.primary_session();
            if self.watch.is_up(&primary.node, primary.peer) {
                self.unconfirmed
                    .push(Unconfirmed::SessionDown(primary.clone()));
            }
            self.watch.sessions_lost(t_ns);
            self.unconfirmed.push(Unconfirmed::SessionUp {
                session: primary,
                since_ns: t_ns,
            });
        }
        if self.withdraws_after_the_restart() && !self.withdrawal_expected {
            self.expect_withdrawal();
        }
    }

    /// Whether the restarted injector withdraws the destination from a router that has it still.
    fn withdraws_after_the_restart(&self) -> bool {
        let tells = matches!(
            self.scenario.strategy,
            Strategy::Tcpr | Strategy::GracefulRestartWithdraw
        );
        tells && self.scenario.failure.kind == FailureKind::Correlated
    }

    fn expect_end(&mut self, name: &'static str, pid: Option<i32>) {
        let Some(pid) = pid else { return };
        // Its end may have been told while the trigger's own report was still under way.
        match self.ended.get(&pid) {
            Some(t_mono_ns) => self.confirm_failure(*t_mono_ns, name),
            None => self.unconfirmed.push(Unconfirmed::Ended { pid, name }),
        }
    }

    fn confirm_failure(&mut self, t_mono_ns: u64, target: &str) {
        let failure = self.scenario.failure.kind.to_string();
        let dead_link = self.dead_link();
        self.journal.failure(
            Phase::Confirmed,
            t_mono_ns,
            target,
            &failure,
            dead_link,
            Map::new(),
        );
    }

    /// Once a run: a destination that was withdrawn is not withdrawn again.
    pub(super) fn expect_withdrawal(&mut self) {
        self.withdrawal_expected = true;
        let src = self.scenario.topology.primary().a_addr;
        self.unconfirmed.push(Unconfirmed::Withdrawn { src });
        self.await_effects();
    }

    /// Checks a signal against what is still to be seen.
    pub(super) fn look_for_confirmation(&mut self, signal: &Signal) {
        self.give_up_recovery(signal);
        let seen = |(i, u): (usize, &Unconfirmed)| u.shown_by(signal).map(|t| (i, t));
        let Some((index, t_mono_ns)) = self.unconfirmed.iter().enumerate().find_map(seen) else {
            return;
        };
        let effect = self.unconfirmed.remove(index);
        let target = effect.target();
        match effect {
            Unconfirmed::SessionDown(_) | Unconfirmed::Ended { .. } | Unconfirmed::RuleCounted => {
                self.confirm_failure(t_mono_ns, &target);
            }
            Unconfirmed::Withdrawn { .. } => {
                self.journal
                    .event(EventKind::Withdraw, Phase::Confirmed, t_mono_ns, &target);
            }
            Unconfirmed::SessionUp { .. } | Unconfirmed::Recovered { .. } => {
                self.journal
                    .event(EventKind::Restart, Phase::Confirmed, t_mono_ns, &target);
            }
        }
        self.await_effects();
    }

    /// Arm `tcpr`: a session that was not recovered goes down and comes back as in the other arms,
    /// and on the new one there is nothing to withdraw.
    fn give_up_recovery(&mut self, signal: &Signal) {
        if self.scenario.strategy != Strategy::Tcpr || self.failed_at_ns.is_none() {
            return;
        }
        let (lost, still_up) = match signal {
            Signal::LetGo { peer, .. } => {
                let of_peer = |s: &Session| s.node_addr == *peer;
                let Some(lost) = self.injectors_sessions().into_iter().find(of_peer) else {
                    return;
                };
                let up = self.watch.is_up(&lost.node, lost.peer);
                (lost, up)
            }
            Signal::Session {
                node,
                peer,
                up: false,
                ..
            } => {
                let of_peer = |s: &Session| s.node == *node && s.peer == *peer;
                let Some(lost) = self.injectors_sessions().into_iter().find(of_peer) else {
                    return;
                };
                (lost, false)
            }
            _ => return,
        };
        let src = lost.peer;
        self.unconfirmed
            .retain(|u| *u != Unconfirmed::Withdrawn { src });
        let waiting = |u: &mut Unconfirmed| match u {
            Unconfirmed::Recovered { session, since_ns } if *session == lost => Some(*since_ns),
            _ => None,
        };
        if let Some(since_ns) = self.unconfirmed.iter_mut().find_map(waiting) {
            self.unconfirmed.retain(
                |u| !matches!(u, Unconfirmed::Recovered { session, .. } if *session == lost),
            );
            if still_up {
                self.unconfirmed
                    .push(Unconfirmed::SessionDown(lost.clone()));
            }
            self.unconfirmed.push(Unconfirmed::SessionUp {
                session: lost,
                since_ns,
            });
        }
        self.await_effects();
    }

    /// Lets the quiet wait for what is still to be seen; not for the drop rule's counter, whose
    /// probe has a deadline of its own.
    pub(super) fn await_effects(&mut self) {
        let gates = |u: &Unconfirmed| *u != Unconfirmed::RuleCounted;
        self.watch.set_pending(self.unconfirmed.iter().any(gates));
    }

    /// What was never seen becomes a finding.
    pub(super) fn report_unconfirmed(&mut self) {
        for effect in std::mem::take(&mut self.unconfirmed) {
            let message = format!("the effect of the failure was never seen: {effect:?}");
            self.find(
                FindingKind::NotConfirmed,
                Severity::Invalidating,
                &effect.target(),
                message,
            );
        }
    }

    /// The link whose traffic for the destination the failure loses.
    pub(super) fn dead_link(&self) -> Option<LinkRef> {
        let link = self.scenario.topology.primary();
        let loses = self.scenario.failure.kind.loses_the_primary_link();
        loses.then(|| LinkRef {
            a: link.a.clone(),
            b: link.b.clone(),
        })
    }

    /// The sessions that routers have with the injector, the primary's first.
    pub(super) fn injectors_sessions(&self) -> Vec<Session> {
        let topology = &self.scenario.topology;
        let ends = topology.ends(&topology.injector().name);
        ends.map(|end| Session {
            node: end.peer.to_owned(),
            node_addr: end.peer_addr,
            peer: end.addr,
        })
        .collect()
    }

    fn primary_session(&self) -> Session {
        let primary = self.scenario.topology.primary();
        Session {
            node: primary.b.clone(),
            node_addr: primary.b_addr,
            peer: primary.a_addr,
        }
    }

    /// Sends packets for the destination over the primary link, whatever the routes say, until the
    /// drop rule has counted one.
    fn probe_drop_rule(&self) {
        let topology = &self.scenario.topology;
        let primary = topology.primary();
        drop_probe::start(
            self.namespaces[&primary.b].clone(),
            self.namespaces[&primary.a].clone(),
            primary.b_dev.clone(),
            topology.destination_address(),
            self.signals.clone(),
        );
    }
}
