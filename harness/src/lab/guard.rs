//! What must not happen in a run, or not yet.

use std::net::Ipv4Addr;

use results::{FindingKind, Severity};
use topologies::{FailureKind, FailureTime, ResolvedScenario, Strategy};

use super::Lab;
use super::effect::Session;

impl Lab {
    pub(super) fn is_injector(&self, address: Ipv4Addr) -> bool {
        self.scenario
            .topology
            .injector()
            .addresses
            .contains(&address)
    }

    /// A session that goes down is a finding unless it is one that the failure takes down.
    pub(super) fn guard_session(&mut self, target: &str, peer: Ipv4Addr, up: bool, text: &str) {
        if !self.guarding_sessions || up {
            return;
        }
        if !self.is_hit(peer) {
            self.find(
                FindingKind::SessionFlap,
                Severity::Invalidating,
                target,
                format!("the session went down outside of the failure: {text}"),
            );
        } else if recovers(&self.scenario) {
            self.find_lost_recovery(
                target,
                &format!("the session went down though TCPR stood for the injector: {text}"),
            );
        }
    }

    /// A session that the injector gives up is a finding unless its time was over.
    pub(super) fn guard_recovery(&mut self, router: Ipv4Addr, reason: &str) {
        let of_router = |s: &Session| s.node_addr == router;
        let session = self.injectors_sessions().into_iter().find(of_router);
        if let Some(session) = session
            && recovers(&self.scenario)
        {
            let target = format!("{} with {}", session.node, session.peer);
            let message = format!("the injector could not carry the session on: {reason}");
            self.find_lost_recovery(&target, &message);
        }
    }

    /// What the arm `tcpr` is to show did not happen. That is a result, and no flaw of the run: it
    /// counts, and says what broke it.
    fn find_lost_recovery(&mut self, target: &str, message: &str) {
        let outage = self.scenario.failure.restart_delay;
        let hold_time = self.scenario.router.hold_time;
        self.find(
            FindingKind::SessionFlap,
            Severity::Warning,
            target,
            format!(
                "{message} (restart delay {outage}, hold time {hold_time}); see the logs of the injector and of tcpr"
            ),
        );
    }

    /// Whether the failure reaches the session with this address of the injector.
    fn is_hit(&self, peer: Ipv4Addr) -> bool {
        match self.scenario.failure.kind {
            FailureKind::Link => {
                self.failed_at_ns.is_some() && peer == self.scenario.topology.primary().a_addr
            }
            _ => self.is_injector(peer) && !self.expected_to_end.is_empty(),
        }
    }

    /// A failure within the first transfer is none once the transfer is over.
    pub(super) fn guard_transfer(&mut self, src: Ipv4Addr, t_mono_ns: u64) {
        let over = self.failed_at_ns.is_none_or(|t0| t_mono_ns < t0);
        let within_transfer = self.scenario.failure.when == FailureTime::InitialTransfer;
        if within_transfer && over && src == self.scenario.topology.primary().a_addr {
            self.find(
                FindingKind::TransferOver,
                Severity::Invalidating,
                "injector",
                "End-of-RIB was sent before the failure, which was to come within the first transfer; give the \
                 filler more prefixes or a lower rate"
                    .to_owned(),
            );
        }
    }
}

/// Whether sessions are to outlive the kill: in the arm `tcpr`, if the injector is back before its
/// peers' hold timers expire. These began when it last sent a KEEPALIVE, at most a third of the
/// hold time before the kill (RFC 4271, section 4.4).
fn recovers(scenario: &ResolvedScenario) -> bool {
    let hold_time = scenario.router.hold_time.as_duration();
    let outage = scenario.failure.restart_delay.as_duration();
    scenario.strategy == Strategy::Tcpr
        && scenario.failure.kind.kills_the_injector()
        && outage + hold_time / 3 < hold_time
}

#[cfg(test)]
mod tests {
    use topologies::Scenario;

    use super::*;

    fn scenario(strategy: Strategy, failure: &str) -> ResolvedScenario {
        let text = format!(
            "schema: 1\nname: x\ntopology: {{kind: b-clique, size: 3}}\nrouter: {{hold_time: 30s}}\n\
             failure: {failure}\nstrategies: [{strategy}]\n"
        );
        Scenario::parse(&text, "x.yaml")
            .expect("it is valid")
            .resolve(strategy, 0)
    }

    #[test]
    fn sessions_must_be_recovered_if_the_injector_is_back_before_a_hold_timer_can_expire() {
        for (failure, recovered) in [
            ("{kind: control}", true),
            ("{kind: correlated, restart_delay: 19s}", true),
            ("{kind: control, restart_delay: 20s}", false),
            ("{kind: control, restart_delay: 60s}", false),
            ("{kind: link}", false),
            ("{kind: forwarding}", false),
        ] {
            let in_arm = |strategy| recovers(&scenario(strategy, failure));
            assert_eq!(in_arm(Strategy::Tcpr), recovered, "{failure}");
            assert!(!in_arm(Strategy::None), "{failure}");
        }
    }
}
