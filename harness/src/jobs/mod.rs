//! How many labs are up at a time.
//!
//! *Assumes* that a lab holds its [`Slot`] from before its capsule is made until its last run is over
//! (what is being closed is in nobody's way but for its memory, and that is looked at), and that only labs whose turn it is to come up ask for one. *Guarantees* that with
//! [`Jobs::Auto`] the number follows what labs were seen to cost and to do to one another
//! ([`controller`]), that no lab but the first begins without memory for it, and that a slot is
//! given back however its lab ends.

pub mod controller;
pub mod machine;

use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use results::Finding;
use results::manifest::{LabCost, LabsAtATime};
use tokio::sync::Notify;
use topologies::ResolvedScenario;

use controller::{Controller, Decision, ExpectedCost};

/// Memory that others give back is not told: this often it is looked for.
const LOOKS: Duration = Duration::from_secs(1);

/// How many labs at a time, as wished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jobs {
    /// As many as this machine carries without distorting them.
    Auto,
    /// So many.
    Fixed(NonZeroUsize),
}

impl FromStr for Jobs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let number = text.parse().map(Self::Fixed);
        number.map_err(|_| "labs at a time are `auto` or a number from 1".to_owned())
    }
}

impl std::fmt::Display for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.pad("auto"),
            Self::Fixed(n) => n.fmt(f),
        }
    }
}

/// The places for labs.
#[derive(Debug)]
pub(crate) struct Slots {
    state: Mutex<State>,
    /// A lab has ended, or more of them may be up.
    changed: Notify,
    bring_ups: usize,
}

#[derive(Debug)]
struct State {
    up: usize,
    limit: Limit,
    /// The generation in which a lab's memory was last looked at.
    weighed: Option<u64>,
}

#[derive(Debug)]
enum Limit {
    Fixed(usize),
    Controlled(Box<Controller>),
}

impl State {
    fn allowed(&self) -> usize {
        match &self.limit {
            Limit::Fixed(n) => *n,
            Limit::Controlled(controller) => controller.labs(),
        }
    }

    fn generation(&self) -> u64 {
        match &self.limit {
            Limit::Fixed(_) => 0,
            Limit::Controlled(controller) => controller.generation(),
        }
    }

    fn admits(&mut self) -> bool {
        match &mut self.limit {
            Limit::Fixed(n) => self.up < *n,
            Limit::Controlled(controller) => controller.admits(self.up, machine::available_bytes()),
        }
    }
}

impl Slots {
    /// For runs like this one.
    pub(crate) fn new(jobs: Jobs, like: &ResolvedScenario) -> Self {
        let machine = machine::machine();
        let limit = match jobs {
            Jobs::Fixed(n) => Limit::Fixed(n.get()),
            Jobs::Auto => {
                let cost = ExpectedCost::estimate(like, machine.cpus);
                let controller = Controller::new(cost, machine, machine::available_bytes());
                Limit::Controlled(Box::new(controller))
            }
        };
        Self {
            state: Mutex::new(State {
                up: 0,
                limit,
                weighed: None,
            }),
            changed: Notify::new(),
            bring_ups: machine.bring_ups(),
        }
    }

    /// Labs that may come up at the same time.
    pub(crate) fn bring_ups(&self) -> usize {
        self.bring_ups
    }

    /// What holds at the beginning, if that was not the user's own choice.
    pub(crate) fn decision(&self) -> Option<Decision> {
        match &self.state().limit {
            Limit::Fixed(_) => None,
            Limit::Controlled(controller) => {
                Some(controller.decision("what the scenario lets expect"))
            }
        }
    }

    /// Waits for a place, and takes it.
    pub(crate) async fn take(&self) -> Slot<'_> {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.state();
                if state.admits() {
                    state.up += 1;
                    return Slot::new(self, &state);
                }
            }
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(LOOKS) => {}
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Numbers only: whoever panicked left them whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place for a lab, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot<'a> {
    slots: &'a Slots,
    /// When the run began.
    began: Instant,
    /// CPU time of the lab's earlier runs, seconds.
    spent_s: f64,
    generation: u64,
    labs: LabsAtATime,
    cost: LabCost,
    decision: Option<Decision>,
    is_free: bool,
}

impl<'a> Slot<'a> {
    fn new(slots: &'a Slots, state: &State) -> Self {
        Self {
            slots,
            began: Instant::now(),
            spent_s: 0.0,
            generation: state.generation(),
            labs: LabsAtATime {
                allowed: state.allowed(),
                at_failure: None,
            },
            cost: LabCost::default(),
            decision: None,
            is_free: false,
        }
    }

    /// The lab has come up, and the next one may begin.
    pub(crate) fn came_up(&mut self, init_pid: i32) -> Option<Decision> {
        let took_s = self.began.elapsed().as_secs_f64();
        let mut state = self.slots.state();
        // Looking at it takes some milliseconds, and labs of a campaign are alike.
        let memory_bytes = if state.weighed < Some(self.generation) {
            state.weighed = Some(self.generation);
            machine::memory_bytes(init_pid)
        } else {
            None
        };
        self.cost.memory_mib = memory_bytes.map(|bytes| bytes >> 20);
        let decision = match &mut state.limit {
            Limit::Fixed(_) => None,
            Limit::Controlled(controller) => controller.came_up(took_s, memory_bytes),
        };
        drop(state);
        self.slots.changed.notify_waiters();
        decision
    }

    /// The failure has come.
    pub(crate) fn failed(&mut self) {
        self.labs.at_failure = Some(self.slots.state().up);
    }

    /// The run is over with these findings; the lab's processes are still there.
    pub(crate) fn run_over(&mut self, init_pid: i32, findings: &[Finding]) {
        let took_s = self.began.elapsed().as_secs_f64();
        self.cost.cpu_s = machine::cpu_s(init_pid).map(|s| s - self.spent_s);
        self.decision = match &mut self.slots.state().limit {
            Limit::Fixed(_) => None,
            Limit::Controlled(controller) => {
                controller.ended(self.generation, took_s, self.cost.cpu_s, findings)
            }
        };
    }

    /// A further run begins in the same lab.
    pub(crate) fn next_run(&mut self) {
        let state = self.slots.state();
        self.began = Instant::now();
        self.spent_s += self.cost.cpu_s.unwrap_or(0.0);
        self.generation = state.generation();
        self.labs = LabsAtATime {
            allowed: state.allowed(),
            at_failure: None,
        };
        self.cost = LabCost::default();
    }

    /// What was decided as the run ended, once.
    pub(crate) fn decision(&mut self) -> Option<Decision> {
        self.decision.take()
    }

    /// The lab carries no further run: the place is free.
    pub(crate) fn free(&mut self) {
        if !std::mem::replace(&mut self.is_free, true) {
            self.slots.state().up -= 1;
            self.slots.changed.notify_waiters();
        }
    }

    /// How many labs there were, for the manifest.
    pub(crate) fn labs(&self) -> LabsAtATime {
        self.labs
    }

    /// What the lab cost, for the manifest.
    pub(crate) fn cost(&self) -> LabCost {
        self.cost
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.free();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use topologies::{Scenario, Strategy};

    use super::*;

    fn slots(jobs: &str) -> Slots {
        let text =
            "schema: 1\nname: x\ntopology: {kind: clique, size: 2}\nfailure: {kind: control}\n";
        let scenario = Scenario::parse(text, "x.yaml").unwrap();
        Slots::new(jobs.parse().unwrap(), &scenario.resolve(Strategy::None, 0))
    }

    fn own() -> i32 {
        i32::try_from(std::process::id()).unwrap()
    }

    /// Whether a place is free, without waiting.
    fn is_free(slots: &Slots) -> bool {
        slots.state().admits()
    }

    #[test]
    fn a_wish_is_auto_or_a_number_from_one() {
        assert_eq!("auto".parse(), Ok(Jobs::Auto));
        for text in ["1", "36"] {
            assert_eq!(text.parse::<Jobs>().unwrap().to_string(), text);
        }
        for text in ["0", "-1", "many", ""] {
            let refused = text.parse::<Jobs>().unwrap_err();
            assert!(refused.contains("`auto` or a number from 1"), "{refused}");
        }
    }

    #[tokio::test]
    async fn a_place_is_taken_once_and_free_again_when_its_lab_is_gone() {
        let slots = slots("2");
        let mut first = slots.take().await;
        let second = slots.take().await;
        assert!(!is_free(&slots));
        first.failed();
        assert_eq!(
            (first.labs().allowed, first.labs().at_failure),
            (2, Some(2))
        );
        // However it ends.
        drop(second);
        assert!(is_free(&slots));
        first.run_over(own(), &[]);
        assert_eq!(first.decision(), None);
        assert_eq!(slots.state().up, 1, "it may carry another run");
        first.free();
        assert_eq!(slots.state().up, 0);
        drop(first);
        assert_eq!(slots.state().up, 0, "once");
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_an_end() {
        let slots = slots("1");
        let first = slots.take().await;
        let mut second = Box::pin(slots.take());
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        assert!(futures::poll!(&mut second).is_ready());
    }

    #[tokio::test]
    async fn with_auto_the_first_lab_begins_at_once_and_tells_what_it_cost() {
        let slots = slots("auto");
        let decision = slots.decision().unwrap();
        assert!(decision.labs >= 1 && !decision.why.is_empty());
        let mut slot = slots.take().await;
        slot.came_up(own());
        slot.run_over(own(), &[]);
        slot.free();
        assert!(slot.cost().memory_mib.is_some() && slot.cost().cpu_s.is_some());
        let mut next = slots.take().await;
        next.came_up(own());
        assert_eq!(next.cost().memory_mib, None, "one of a kind is enough");
    }

    #[tokio::test]
    async fn a_further_run_in_a_lab_has_costs_of_its_own_and_the_place_that_the_lab_has() {
        let slots = slots("1");
        let mut slot = slots.take().await;
        slot.failed();
        slot.run_over(own(), &[]);
        let first_s = slot.cost().cpu_s.unwrap();
        slot.next_run();
        assert_eq!(slot.labs().at_failure, None);
        assert_eq!(slots.state().up, 1);
        slot.run_over(own(), &[]);
        let both_s = machine::cpu_s(own()).unwrap();
        let second_s = slot.cost().cpu_s.unwrap();
        assert!(second_s >= 0.0 && first_s + second_s <= both_s + 1e-6);
    }
}
