//! The schedule of a failure: which actions, at which instants after it.
//!
//! *Assumes* a resolved scenario. *Guarantees* a pure result: steps in order of time, the first
//! of them at the failure's instant, and a process started again only after it was killed.

use std::time::Duration;

use topologies::{FailureKind, ResolvedScenario, Strategy, TcprFate};

/// Something that is done to the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Traffic for the destination that arrives over the primary link is dropped from now on.
    DropDestination,
    /// The injector's end of the primary link is set down, so that the router's end loses its
    /// carrier.
    LoseCarrier,
    /// The injector's process gets SIGKILL.
    KillInjector,
    /// The process of TCPR gets SIGKILL.
    KillTcpr,
    /// TCPR is started again.
    RestartTcpr,
    /// The injector is started again.
    RestartInjector,
    /// The living injector withdraws the destination on the primary session.
    WithdrawDestination,
}

impl Action {
    /// Whether it is an actuator's, fired to the microsecond ([`crate::Trigger`]).
    #[must_use]
    pub const fn is_fired(self) -> bool {
        matches!(
            self,
            Self::DropDestination | Self::LoseCarrier | Self::KillInjector | Self::KillTcpr
        )
    }
}

/// An action and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Time after the failure.
    pub after: Duration,
    /// What is done.
    pub action: Action,
}

/// All that happens to the lab in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// From the settled lab to the failure.
    pub phase: Duration,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

impl Schedule {
    /// Whether the schedule holds an action.
    #[must_use]
    pub fn has(&self, action: Action) -> bool {
        self.steps.iter().any(|s| s.action == action)
    }

    /// The instants at which something is done, and what, in order.
    pub fn instants(&self) -> impl Iterator<Item = (Duration, Vec<Action>)> {
        let same = |a: &Step, b: &Step| a.after == b.after;
        self.steps
            .chunk_by(same)
            .map(|steps| (steps[0].after, steps.iter().map(|s| s.action).collect()))
    }
}

/// Plans the failure of a scenario.
///
/// The drop comes before the kill because it is the slower of the two: what follows the
/// transaction's end by microseconds is then as good as simultaneous. TCPR is started before the
/// injector, which asks for it first of all.
#[must_use]
pub fn plan(scenario: &ResolvedScenario) -> Schedule {
    let failure = &scenario.failure;
    let now = |action| Step {
        after: Duration::ZERO,
        action,
    };
    let mut steps = match failure.kind {
        FailureKind::Control => kills(scenario),
        FailureKind::Forwarding => vec![
            now(Action::DropDestination),
            Step {
                after: failure.detect_delay.as_duration(),
                action: Action::WithdrawDestination,
            },
        ],
        FailureKind::Correlated => [vec![now(Action::DropDestination)], kills(scenario)].concat(),
        FailureKind::Link => vec![now(Action::LoseCarrier)],
        FailureKind::MraiProbe => Vec::new(),
    };
    // A stable sort: what happens at one instant keeps its order.
    steps.sort_by_key(|s| s.after);
    Schedule {
        phase: failure.phase.as_duration(),
        steps,
    }
}

/// Each kill, and the restart that follows it.
fn kills(scenario: &ResolvedScenario) -> Vec<Step> {
    let failure = &scenario.failure;
    let with_tcpr = scenario.strategy == Strategy::Tcpr && failure.tcpr == TcprFate::Dies;
    let one = |n: u32| {
        let killed = failure.kill_interval.as_duration() * n;
        let restarted = killed + failure.restart_delay.as_duration();
        let all = [
            (killed, Action::KillInjector, true),
            (killed, Action::KillTcpr, with_tcpr),
            (restarted, Action::RestartTcpr, with_tcpr),
            (restarted, Action::RestartInjector, true),
        ];
        all.into_iter()
            .filter(|(_, _, planned)| *planned)
            .map(|(after, action, _)| Step { after, action })
    };
    (0..failure.kills).flat_map(one).collect()
}

#[cfg(test)]
mod tests {
    use topologies::Scenario;

    use super::*;

    fn planned_for(strategy: Strategy, topology: &str, failure: &str) -> Schedule {
        let text = format!(
            "schema: 1\nname: x\ntopology: {topology}\nfailure: {failure}\nstrategies: [{strategy}]\n"
        );
        plan(
            &Scenario::parse(&text, "x.yaml")
                .expect("it is valid")
                .resolve(strategy, 0),
        )
    }

    fn planned(topology: &str, failure: &str) -> Schedule {
        planned_for(Strategy::None, topology, failure)
    }

    fn actions(schedule: &Schedule) -> Vec<Action> {
        schedule.steps.iter().map(|s| s.action).collect()
    }

    #[test]
    fn a_control_failure_kills_and_restarts_the_injector_at_once() {
        let schedule = planned("{kind: clique, size: 4}", "{kind: control}");
        assert_eq!(
            actions(&schedule),
            [Action::KillInjector, Action::RestartInjector]
        );
        assert!(schedule.steps.iter().all(|s| s.after.is_zero()));
        assert!(schedule.phase < Duration::from_secs(5), "within one MRAI");
    }

    #[test]
    fn a_forwarding_failure_kills_nothing_and_withdraws_after_the_detection() {
        let schedule = planned(
            "{kind: b-clique, size: 4}",
            "{kind: forwarding, detect_delay: 300ms}",
        );
        assert_eq!(
            actions(&schedule),
            [Action::DropDestination, Action::WithdrawDestination]
        );
        assert_eq!(schedule.steps[1].after, Duration::from_millis(300));
    }

    #[test]
    fn a_correlated_failure_drops_and_kills_at_the_same_instant() {
        let schedule = planned("{kind: b-clique, size: 4}", "{kind: correlated}");
        let all = [
            Action::DropDestination,
            Action::KillInjector,
            Action::RestartInjector,
        ];
        assert_eq!(actions(&schedule), all);
        assert!(schedule.steps.iter().all(|s| s.after.is_zero()));
    }

    #[test]
    fn a_link_that_fails_kills_nothing_in_any_arm() {
        for strategy in Strategy::ALL {
            let schedule = planned_for(strategy, "{kind: b-clique, size: 4}", "{kind: link}");
            assert_eq!(actions(&schedule), [Action::LoseCarrier], "{strategy}");
        }
    }

    #[test]
    fn the_restart_comes_after_its_delay_and_so_is_another_instant() {
        let schedule = planned(
            "{kind: b-clique, size: 4}",
            "{kind: correlated, restart_delay: 10s}",
        );
        let instants: Vec<_> = schedule.instants().collect();
        assert_eq!(
            instants,
            [
                (
                    Duration::ZERO,
                    vec![Action::DropDestination, Action::KillInjector]
                ),
                (Duration::from_secs(10), vec![Action::RestartInjector]),
            ]
        );
    }

    #[test]
    fn repeated_kills_are_each_followed_by_their_restart_and_the_drop_comes_once() {
        let schedule = planned(
            "{kind: b-clique, size: 4}",
            "{kind: correlated, restart_delay: 1s, repeat: {kills: 3, interval: 5s}}",
        );
        let steps: Vec<(u64, Action)> = schedule
            .steps
            .iter()
            .map(|s| (s.after.as_secs(), s.action))
            .collect();
        let (kill, restart) = (Action::KillInjector, Action::RestartInjector);
        assert_eq!(
            steps,
            [
                (0, Action::DropDestination),
                (0, kill),
                (1, restart),
                (5, kill),
                (6, restart),
                (10, kill),
                (11, restart)
            ]
        );
    }

    #[test]
    fn tcpr_dies_and_comes_back_with_the_injector_in_its_own_arm_alone() {
        let failure = "{kind: control, tcpr: dies, restart_delay: 1s}";
        let schedule = planned_for(Strategy::Tcpr, "{kind: clique, size: 4}", failure);
        let instants: Vec<_> = schedule.instants().map(|(_, actions)| actions).collect();
        assert_eq!(
            instants,
            [
                [Action::KillInjector, Action::KillTcpr],
                [Action::RestartTcpr, Action::RestartInjector]
            ]
        );
        for failure in ["{kind: control}", "{kind: control, tcpr: survives}"] {
            let schedule = planned_for(Strategy::Tcpr, "{kind: clique, size: 4}", failure);
            assert!(!schedule.has(Action::KillTcpr), "{failure}");
        }
    }
}
