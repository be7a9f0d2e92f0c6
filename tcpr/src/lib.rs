//! Application-driven recovery of TCP connections.
//!
//! *Assumes* that `tcpr serve` stands between the application's TCP and its peer.
//! *Guarantees* to an application that checkpoints its input and can repeat its output that its
//! connections survive it, and that their peers notice nothing.

pub mod client;
#[cfg(feature = "serve")]
pub mod dataplane;
pub mod protocol;
#[cfg(feature = "serve")]
pub mod serve;

#[cfg(feature = "tokio")]
pub use client::tokio;
pub use client::{
    Client, ClientError, ConnectError, Connection, Durability, Endpoint, Record, RecordError,
    Recovery,
};
pub use tcpr_core as core;
pub use tcpr_core::{Counters, Ending, Flow, Hard, Pattern, Phase, Refusal, Summary};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
