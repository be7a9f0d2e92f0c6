//! Checks of TCPR's core, each of which looks at it from another side: a specification in TLA+
//! that recovering refines not failing, a model of two endpoints around the core, and a simulation
//! of the core between two other TCPs.
//!
//! *Assumes* nothing of the core but its interface: it is the one that ships.
//! *Guarantees* that whatever a check finds can be repeated from what it prints, and that each check
//! is seen to fail: every [`Mutation`](tcpr_core::Mutation) of the core is caught by one of them.

#![forbid(unsafe_code)]

mod mutant;

pub mod model;
pub mod mutants;
pub mod simulation;
pub mod spec;

pub use mutant::Mutant;
