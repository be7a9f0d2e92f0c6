//! The life of a lab: capsule, network, routers, recorders, and the order of a run.
//!
//! *Assumes* Linux with user namespaces, FRR and an injector installed (`flaplab doctor` tells).
//! *Guarantees* that what a run leaves is its run directory and nothing else, and that nothing
//! here computes a figure.

pub mod agent;
pub mod campaign;
pub mod capsule;
pub mod clock;
pub mod doctor;
mod file_events;
pub mod jobs;
mod journal;
pub mod judge;
mod lab;
mod logtail;
pub mod machine;
mod netns;
pub mod network;
pub mod order;
pub mod probe;
mod process;
pub mod protocol;
mod record;
pub mod resume;
pub mod router;
mod signal;
pub mod standing;
pub mod tcpr;
pub mod versions;
mod watch;
