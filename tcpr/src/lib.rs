//! Application-driven recovery of TCP connections.
//!
//! *Assumes* that `tcpr serve` stands between the application's TCP and its peer.
//! *Guarantees* to an application that checkpoints its input and can repeat its output that its
//! connections survive it, and that their peers notice nothing.

pub use tcpr_core as core;
