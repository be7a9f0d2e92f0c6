//! The core between two stacks over a network that loses, doubles and reorders, with crashes: many runs.
//!
//! *Assumes* of smoltcp only that it is a TCP: it stalls by itself at times, so a run that does not
//! end counts only if the same one ends without TCPR and crash.
//! *Guarantees* that a run follows from its scenario, seed, crashes and mutation alone, with a time
//! and a chance of its own, and that a failure says how to see it again.

mod application;
mod bounds;
pub mod command;
mod content;
mod crash;
mod dice;
mod fault;
mod inside;
mod middle;
mod network;
mod outside;
mod peer;
mod scenario;
mod stack;
mod stamps;
mod story;
mod trace;
mod windows;
mod world;

pub use bounds::{Bounds, Failure, Summary, sweep};
pub use crash::{Crash, Death, KINDS, NoCrash};
pub use fault::{Fault, Watch};
pub use scenario::{Closing, Host, Offers, Pace, Scenario, Weather};
pub use trace::Trace;
pub use world::Outcome;

use story::Story;
use world::World;

use crate::Mutant;

/// One run with TCPR.
#[must_use]
pub fn run(scenario: &Scenario, seed: u64, crashes: &[Crash], mutant: Mutant) -> Outcome {
    let world = World::new(scenario, seed, crashes, Some(mutant), Story::default());
    world.run().0
}

/// The same run, with a line for each packet and each event.
#[must_use]
pub fn narrate(
    scenario: &Scenario,
    seed: u64,
    crashes: &[Crash],
    mutant: Mutant,
) -> (Outcome, Vec<String>) {
    World::new(scenario, seed, crashes, Some(mutant), Story::wanted()).run()
}

/// The same run without TCPR, and so without crashes: what smoltcp does by itself.
#[must_use]
pub fn control(scenario: &Scenario, seed: u64) -> Outcome {
    World::new(scenario, seed, &[], None, Story::default())
        .run()
        .0
}
