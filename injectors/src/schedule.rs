//! The schedule of a failure: which actions, at which instants after it.
//!
//! *Assumes* a resolved scenario. *Guarantees* a pure result: steps in order of time, the first
//! of them at the failure's instant.

use std::time::Duration;

use topologies::{FailureKind, ResolvedScenario};

/// Something that is done to the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Traffic for the destination that arrives over the primary link is dropped from now on.
    DropDestination,
    /// The injector's process gets SIGKILL.
    KillInjector,
    /// The injector is started again.
    RestartInjector,
    /// The living injector withdraws the destination on the primary session.
    WithdrawDestination,
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
}

/// Plans the failure of a scenario.
///
/// The drop comes before the kill because it is the slower of the two: what follows the
/// transaction's end by microseconds is then as good as simultaneous.
#[must_use]
pub fn plan(scenario: &ResolvedScenario) -> Schedule {
    let now = |action| Step {
        after: Duration::ZERO,
        action,
    };
    let steps = match scenario.failure.kind {
        FailureKind::Control => vec![now(Action::KillInjector), now(Action::RestartInjector)],
        FailureKind::Forwarding => vec![
            now(Action::DropDestination),
            Step {
                after: scenario.failure.detect_delay.as_duration(),
                action: Action::WithdrawDestination,
            },
        ],
        FailureKind::Correlated => vec![
            now(Action::DropDestination),
            now(Action::KillInjector),
            now(Action::RestartInjector),
        ],
    };
    Schedule {
        phase: scenario.failure.phase.as_duration(),
        steps,
    }
}

#[cfg(test)]
mod tests {
    use topologies::{Scenario, Strategy};

    use super::*;

    fn planned(topology: &str, failure: &str) -> Schedule {
        let text = format!("schema: 1\nname: x\ntopology: {topology}\nfailure: {failure}\n");
        plan(
            &Scenario::parse(&text, "x.yaml")
                .expect("it is valid")
                .resolve(Strategy::None, 0),
        )
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
}
