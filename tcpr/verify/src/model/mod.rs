//! A model of two endpoints, network, failures and application around the real core: every state that
//! can be reached is visited, and judged.
//!
//! *Assumes* that the bounds of a [`Config`] hold: so many octets, so many failures, so many segments
//! on their way at a time. Within them the network loses, doubles and reorders as it likes, and
//! everything that can happen happens in every order. What the core is shown are octets, and numbers
//! wrap in the middle of the transfer.
//! *Guarantees*, where [`check`] finds no violation:
//!
//! - What is delivered is a prefix of what was sent, each way.
//! - The peer is told no acknowledgment beyond what the application has persisted; it sees no RST, no
//!   SYN and no FIN that the application did not mean, and nothing that no local TCP has sent; and
//!   neither acknowledgment nor right edge of the window goes back, but for the edge after a
//!   recovery, to where the new local TCP's own edge is.
//! - The peer is told of a checkpoint at once, and answered while there is no local TCP.
//! - The local TCP is told no acknowledgment of what it has not sent, no window that the peer has not
//!   offered, and the peer's MSS; and it is not reset while the application uses it.
//! - The application is told to begin where its log of output does, or later; and that the connection
//!   has ended when it has, for both.
//! - From every state that can be reached the transfer can come to its end.
//!
//! What a middleware that takes the place of a lost one cannot know is excepted until it has heard the
//! local TCP, or for good: what was promised as a window, what of the output the present local TCP has
//! sent itself, and whether the peer has closed. Such a middleware may not tell the application of the
//! end, and may count the FIN of an earlier life as output.
//!
//! Not in the model: timestamps, SACK, window scales, ECN, urgent data, IPv6, segments of several
//! octets, TIME-WAIT, a peer that fails, and time. A zombie sends and does not receive.

mod application;
mod config;
mod engine;
mod local;
mod network;
mod peer;
mod requests;
mod search;
mod segment;
mod state;
mod step;
mod turn;
mod violation;
mod wire;

use stateright::Property;

pub use config::{Config, Death, Opening, catching, larger, small};
pub use local::Speech;
pub use state::State;
pub use step::{Fate, Step};
pub use violation::{Violation, Wrong};

use crate::Mutant;

/// A configuration with a core, as stateright takes it.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// What is explored.
    pub config: Config,
    /// How the core conducts itself.
    pub conduct: Mutant,
}

impl stateright::Model for Model {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(&self.config, self.conduct)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Step>) {
        step::steps(&self.config, state, actions);
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        Some(turn::after(&self.config, self.conduct, state, step))
    }

    fn properties(&self) -> Vec<Property<Model>> {
        vec![Property::always("nothing is wrong", |_, state: &State| {
            state.wrong.is_none()
        })]
    }
}

impl search::Judged for Model {
    fn fingerprint(&self, state: &State) -> u64 {
        state::fingerprint(state)
    }

    fn is_wrong(&self, state: &State) -> bool {
        state.wrong.is_some()
    }

    fn is_done(&self, state: &State) -> bool {
        state.is_done(&self.config)
    }
}

/// What came of an exploration.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// States that can be reached: all of them, if nothing is wrong.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// Steps to the farthest of them.
    pub depth: usize,
    /// States in which the transfer has come to its end.
    pub ends: usize,
    /// What is wrong, if anything is.
    pub violation: Option<Violation>,
}

/// Explores a configuration, with a core of this conduct, up to the first violation.
#[must_use]
pub fn check(config: &Config, conduct: Mutant) -> Outcome {
    let model = Model {
        config: *config,
        conduct,
    };
    let found = search::search(&model);
    Outcome {
        states: found.states,
        steps: found.steps,
        depth: found.depth,
        ends: found.ends,
        violation: found.bad.map(|path| replay(&model, &path)),
    }
}

/// Walks a path of fingerprints again, and writes down what happens.
fn replay(model: &Model, fingerprints: &[u64]) -> Violation {
    let mut state = State::new(&model.config, model.conduct);
    let mut path = Vec::new();
    for &fingerprint in fingerprints.iter().skip(1) {
        let mut steps = Vec::new();
        step::steps(&model.config, &state, &mut steps);
        let taken = steps.into_iter().find_map(|step| {
            let (next, notes) = turn::told(&model.config, model.conduct, &state, step);
            (state::fingerprint(&next) == fingerprint).then_some((step, next, notes))
        });
        let Some((step, next, notes)) = taken else {
            break;
        };
        let separator = if notes.is_empty() { "" } else { ": " };
        path.push(format!("{step}{separator}{}", notes.join("; ")));
        state = next;
    }
    Violation {
        wrong: state.wrong.unwrap_or(Wrong::Stuck),
        path,
    }
}
