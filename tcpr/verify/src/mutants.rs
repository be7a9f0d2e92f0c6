//! Every wrong decision of the core, and the check that has to notice it.
//!
//! *Assumes* that a mutation is one place where the core decides wrongly, and everything else is the core that
//! ships.
//! *Guarantees* that each is hunted by the layer that it is assigned to, and by no other: a mutation that only
//! another layer would notice survives, and is reported.

use tcpr_core::Mutation;

use crate::simulation::Bounds;
use crate::{Mutant, model, simulation};

/// Who has to notice a mutation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// The model: it visits every state, so what it knows of it cannot miss.
    Model,
    /// The simulation: for what the model's segments leave out.
    Simulation,
}

impl Layer {
    /// The layer that a mutation is assigned to: the exact one, wherever it has what is decided upon.
    #[must_use]
    pub fn of(mutation: Mutation) -> Layer {
        match mutation {
            // The model's segments have no options but the MSS.
            Mutation::SackUnshifted => Layer::Simulation,
            _ => Layer::Model,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Layer::Model => "model",
            Layer::Simulation => "simulation",
        }
    }
}

/// What came of a hunt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunt {
    /// The mutation.
    pub mutation: Mutation,
    /// Who hunted it.
    pub layer: Layer,
    /// What was tried until then, in words.
    pub tried: String,
    /// What was noticed; none if the mutation survives.
    pub noticed: Option<String>,
}

/// Hunts a mutation with the layer that it is assigned to.
#[must_use]
pub fn hunt(mutation: Mutation) -> Hunt {
    let layer = Layer::of(mutation);
    let mutant = Mutant(Some(mutation));
    let (tried, noticed) = match layer {
        Layer::Model => match model::catching(mutation) {
            Some(config) => {
                let outcome = model::check(&config, mutant);
                let tried = format!("{} states of \"{}\"", outcome.states, config.name);
                (tried, outcome.violation.map(|v| v.wrong.to_string()))
            }
            None => ("no configuration".to_owned(), None),
        },
        Layer::Simulation => {
            let summary = simulation::sweep(&Bounds::mutants(), mutant);
            let tried = format!("{} runs", summary.runs);
            (tried, summary.failure.map(|f| f.fault.to_string()))
        }
    };
    Hunt {
        mutation,
        layer,
        tried,
        noticed,
    }
}
