//! Which configurations are explored, and what has to come of each.
//!
//! *Assumes* that each has its file in `tcpr/spec`.
//! *Guarantees* that no check here can only succeed: for every one that holds there are others, which
//! differ in one place, and have to be rejected.

use super::{Configuration, Module, Outcome};

/// What has to come of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It holds, and has so many states.
    States(usize),
    /// It has a state or a step that must not be.
    Rejected,
    /// What is looked for is reached.
    Reached,
    /// It is not, for something is wrong that stops all progress.
    Stalled,
}

impl Expected {
    /// Whether it has.
    pub fn is_met_by(self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Expected::States(expected), Outcome::Holds { states, .. }) => expected == *states,
            (Expected::Stalled, Outcome::Holds { .. })
            | (Expected::Rejected | Expected::Reached, Outcome::Violated { .. }) => true,
            _ => false,
        }
    }
}

impl Configuration {
    const fn new(module: Module, name: &'static str, expected: Expected) -> Configuration {
        Configuration {
            name,
            module,
            fault: None,
            goal: None,
            expected,
        }
    }

    const fn recovery(name: &'static str, states: usize) -> Configuration {
        Configuration::new(Module::RecConnection, name, Expected::States(states))
    }

    /// That `goal`, a predicate that says that something has not happened yet, is violated.
    const fn reaches(module: Module, name: &'static str, goal: &'static str) -> Configuration {
        Configuration {
            goal: Some(goal),
            ..Configuration::new(module, name, Expected::Reached)
        }
    }

    const fn wrong(name: &'static str, fault: &'static str) -> Configuration {
        Configuration {
            fault: Some(fault),
            ..Configuration::new(Module::RecConnection, name, Expected::Rejected)
        }
    }
}

/// Those of a few seconds, all of which hold.
pub fn small() -> Vec<Configuration> {
    vec![
        Configuration::new(
            Module::ConnectionJudged,
            "connection",
            Expected::States(1034),
        ),
        Configuration::new(
            Module::ConnectionJudged,
            "connection-free",
            Expected::States(2168),
        ),
        Configuration::new(
            Module::Connection,
            "connection-abort",
            Expected::States(334),
        ),
        Configuration::new(Module::Connection, "connection-open", Expected::States(921)),
        Configuration::recovery("recovery", 2332),
        Configuration::recovery("recovery-passive", 315),
        Configuration::recovery("recovery-narrow", 301),
        Configuration::recovery("recovery-reordering", 720),
        Configuration::recovery("recovery-dying", 1179),
        Configuration::recovery("recovery-loss", 1813),
        Configuration::recovery("recovery-abort", 567),
    ]
}

/// Those of minutes, all of which hold.
pub fn larger() -> Vec<Configuration> {
    vec![
        Configuration::new(
            Module::Connection,
            "connection-pieces",
            Expected::States(129_470),
        ),
        Configuration::recovery("recovery-closing", 2825),
        Configuration::recovery("recovery-whole", 7131),
        Configuration::recovery("recovery-urgent", 6892),
        Configuration::recovery("recovery-twice", 28_723),
        Configuration::recovery("recovery-pieces", 6676),
        Configuration::recovery("recovery-passive-input", 2429),
        Configuration::recovery("recovery-abort-input", 7254),
        Configuration::recovery("recovery-dying-input", 21_400),
        Configuration::recovery("recovery-loss-input", 33_535),
        Configuration::recovery("recovery-everything", 17_381),
    ]
}

/// That a specification has the behaviours that it is about: what is looked for is reached.
pub fn goals() -> Vec<Configuration> {
    let connection = Module::Connection;
    let recovery = Module::RecConnection;
    vec![
        Configuration::reaches(connection, "connection", "NotFinished"),
        Configuration::reaches(connection, "connection-abort", "NotReset"),
        Configuration::reaches(recovery, "recovery", "NotFinished"),
        Configuration::reaches(recovery, "recovery-closing", "NotFinished"),
        Configuration::reaches(recovery, "recovery-passive", "NotFinished"),
        Configuration::reaches(recovery, "recovery-narrow", "NotFinished"),
        Configuration::reaches(recovery, "recovery-dying", "NotFinished"),
        Configuration::reaches(recovery, "recovery-loss", "NotFinished"),
        Configuration::reaches(recovery, "recovery-abort", "NotReset"),
    ]
}

/// The middleware wrong in one place, each of which has to be noticed.
pub fn faults() -> Vec<Configuration> {
    vec![
        Configuration::wrong("recovery", "acknowledgment-not-delayed"),
        Configuration::wrong("recovery", "acknowledgment-plus-one"),
        Configuration::wrong("recovery", "acknowledgment-flag-not-set"),
        Configuration::wrong("recovery", "window-not-given-back"),
        Configuration::wrong("recovery", "window-inflated"),
        Configuration::wrong("recovery", "delta-plus-one"),
        Configuration::wrong("recovery", "delta-minus-one"),
        Configuration::wrong("recovery", "delta-stale"),
        Configuration::wrong("recovery", "shift-by-one-less"),
        Configuration::wrong("recovery", "offset-read-too-late"),
        Configuration::wrong("recovery", "offset-read-too-early"),
        Configuration::wrong("recovery", "syn-forwarded"),
        Configuration::wrong("recovery", "syn-ack-sequence"),
        Configuration::wrong("recovery", "acknowledgment-not-clamped"),
        Configuration::wrong("recovery-closing", "fin-spliced-behind"),
        Configuration::wrong("recovery-passive", "guard-on-receive-acknowledgment"),
        Configuration::wrong("recovery-narrow", "recovery-window-absolute"),
        Configuration::wrong("recovery-reordering", "acknowledged-moved-back"),
        Configuration::wrong("recovery-reordering", "window-order"),
        Configuration::wrong("recovery-dying", "rst-forwarded"),
        Configuration::wrong("recovery-dying", "fin-forwarded"),
        Configuration::wrong("recovery-dying", "done-writing-not-cleared"),
        Configuration::wrong("recovery-dying", "fence-missing"),
        stalled("recovery-narrow", "delta-missing-inbound"),
        stalled("recovery-narrow", "syn-ack-without-syn"),
    ]
}

/// A fault that does nothing wrong, and nothing any more.
const fn stalled(name: &'static str, fault: &'static str) -> Configuration {
    Configuration {
        name,
        module: Module::RecConnection,
        fault: Some(fault),
        goal: Some("NotFinished"),
        expected: Expected::Stalled,
    }
}
