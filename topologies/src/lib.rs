//! Scenario schema, graph generators, and the address and AS-number plan of flaplab.
//!
//! *Assumes* only a scenario's text. *Guarantees* that parsing and resolving never depend on the
//! machine: no socket, process or clock is touched here, and no router's dialect is known.

pub mod address;
pub mod addressing;
pub mod cell;
pub mod graph;
pub mod kinds;
pub mod render;
pub mod resolved;
pub mod scenario;
pub mod schema;
mod seed;
pub mod topology;
pub mod units;

pub use address::Address;
pub use cell::{Cell, Magnitude, Setting};
pub use graph::Graph;
pub use kinds::{
    FailureKind, FailureTime, InjectorKind, RouterKind, Strategy, TcprFate, TopologyKind,
};
pub use resolved::{
    Deadlines, FailureSettings, Filler, InjectorSettings, ResolvedScenario, RouterSettings,
};
pub use scenario::{Refusal, Scenario, ScenarioError, UnsupportedStrategy};
pub use topology::{Link, LinkEnd, LinkRole, Node, NodeRole, Topology};
pub use units::Span;
