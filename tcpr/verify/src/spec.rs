//! The specification in TLA+, checked.
//!
//! *Assumes* that the modules of `tcpr/spec` are where the source of this crate is.
//! *Guarantees* that a configuration is explored wholly or said not to be, and that whoever asks for
//! the refinement gets it checked: every initial state and every step of the recovering connection.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tla_checker::ast::{State, Value};
use tla_checker::checker::{
    CheckResult, CheckStats, check as explore, format_eval_error, format_trace_with_actions,
};
use tla_checker::load::{Prepared, prepare_from_path};

pub mod configurations;
pub mod tlc;

pub use configurations::{Expected, faults, goals, larger, small};

/// A module and the constants that make it finite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// What it is called: the name of its file in `tcpr/spec`, without `.cfg`.
    pub name: &'static str,
    /// The module that it is for.
    pub module: Module,
    /// Where the middleware is wrong: a value of the constant `Fault`.
    pub fault: Option<&'static str>,
    /// What is looked for instead of faults: a predicate that says that it has not happened yet.
    pub goal: Option<&'static str>,
    /// What has to come of it.
    pub expected: Expected,
}

/// A module that can be explored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Module {
    /// The connection that does not fail, against its invariants.
    Connection,
    /// The same, and that every step that is found would be allowed if it were given: the two ways
    /// in which the specification writes a step agree.
    ConnectionJudged,
    /// The connection that recovers, against its invariants and as a refinement of the other.
    RecConnection,
}

impl Module {
    /// Its name, and that of its file.
    pub fn name(self) -> &'static str {
        match self {
            Module::Connection => "Connection",
            Module::ConnectionJudged => "ConnectionJudged",
            Module::RecConnection => "RecConnection",
        }
    }

    /// The instance that it has to refine.
    pub fn refines(self) -> Option<&'static str> {
        match self {
            Module::Connection => None,
            Module::ConnectionJudged => Some("Same"),
            Module::RecConnection => Some("NotFailing"),
        }
    }
}

/// What came of exploring a configuration.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Every reachable state and step is as it should be.
    Holds {
        /// How many states were reached.
        states: usize,
        /// How many steps there are between them.
        steps: usize,
        /// How long it took.
        seconds: f64,
    },
    /// One is not.
    Violated {
        /// What it violates.
        violation: Violation,
        /// The steps that lead there, one variable per line.
        trace: String,
        /// How many states were reached before.
        states: usize,
    },
}

/// What a state or step may violate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// The invariant of this name.
    Invariant(String),
    /// The specification that is to be refined.
    Refinement,
}

impl Violation {
    /// As a table says it.
    pub fn name(&self) -> &str {
        match self {
            Violation::Invariant(name) => name,
            Violation::Refinement => "refinement",
        }
    }
}

/// Why a configuration was not explored wholly.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The module or the configuration cannot be read.
    #[error("cannot read {module} with {}: {reason}", file.display())]
    Unreadable {
        /// The module.
        module: &'static str,
        /// The configuration.
        file: PathBuf,
        /// What the checker says.
        reason: String,
    },
    /// The specification means nothing in some state.
    #[error("{name} cannot be evaluated: {reason}")]
    Meaningless {
        /// The configuration.
        name: &'static str,
        /// What the checker says.
        reason: String,
    },
    /// The checker gave up.
    #[error("{name} has more than {states} states: raise MOST_STATES or lower its constants")]
    TooLarge {
        /// The configuration.
        name: &'static str,
        /// How many were explored.
        states: usize,
    },
}

/// Beyond this, memory rather than time would be what ends.
const MOST_STATES: usize = 4_000_000;

/// Longer than any behaviour without a repeated state here.
const MOST_STEPS: usize = 10_000;

/// Where the modules are.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec")
}

/// Explores a configuration.
pub fn check(configuration: &Configuration) -> Result<Outcome, SpecError> {
    let prepared = prepare(configuration)?;
    let result = explore(&prepared.spec, &prepared.domains, &prepared.checker_config);
    let name = configuration.name;
    let trace = |states: &[State], actions: &[Option<Arc<str>>]| {
        format_trace_with_actions(states, actions, &prepared.spec.vars)
    };
    match result {
        CheckResult::Ok(stats) => Ok(Outcome::Holds {
            states: stats.states_explored,
            steps: stats.transitions,
            seconds: stats.elapsed_secs,
        }),
        CheckResult::InvariantViolation(found, stats) => Ok(Outcome::Violated {
            violation: Violation::Invariant(
                prepared.spec.invariant_names[found.violated_invariant]
                    .as_deref()
                    .unwrap_or("without a name")
                    .to_owned(),
            ),
            trace: trace(&found.trace, &found.actions),
            states: stats.states_explored,
        }),
        CheckResult::RefinementViolation(found, stats) => Ok(Outcome::Violated {
            violation: Violation::Refinement,
            trace: trace(&found.trace, &found.actions),
            states: stats.states_explored,
        }),
        CheckResult::MaxStatesExceeded(CheckStats {
            states_explored, ..
        })
        | CheckResult::MaxDepthExceeded(CheckStats {
            states_explored, ..
        }) => Err(SpecError::TooLarge {
            name,
            states: states_explored,
        }),
        CheckResult::InitError(error)
        | CheckResult::NextError(error, ..)
        | CheckResult::InvariantError(error, ..) => Err(SpecError::Meaningless {
            name,
            reason: format_eval_error(&error),
        }),
        other => Err(SpecError::Meaningless {
            name,
            reason: format!("{other:?}"),
        }),
    }
}

fn prepare(configuration: &Configuration) -> Result<Prepared, SpecError> {
    let module = configuration.module.name();
    let file = directory().join(format!("{}.cfg", configuration.name));
    let constants: Vec<(Arc<str>, Value)> = configuration
        .fault
        .map(|fault| (Arc::from("Fault"), Value::Str(Arc::from(fault))))
        .into_iter()
        .collect();
    let source = directory().join(format!("{module}.tla"));
    let unreadable = |reason: String| SpecError::Unreadable {
        module,
        file: file.clone(),
        reason,
    };
    let mut prepared = prepare_from_path(&source, Some(&file), &constants)
        .map_err(|error| unreadable(error.to_string()))?;
    if let Some(goal) = configuration.goal {
        let name: Arc<str> = Arc::from(goal);
        let (_, body) = prepared
            .spec
            .definitions
            .get(&name)
            .ok_or_else(|| unreadable(format!("it defines no {goal}")))?;
        prepared.spec.invariants = vec![(**body).clone()];
        prepared.spec.invariant_names = vec![Some(name)];
    }
    let config = &mut prepared.checker_config;
    config.max_states = MOST_STATES;
    config.max_depth = MOST_STEPS;
    // A goal is to be reached, whatever else is wrong.
    if configuration.goal.is_none() {
        config.check_refinement = configuration.module.refines().map(Arc::from);
    }
    Ok(prepared)
}
