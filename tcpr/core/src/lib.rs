//! The state machine of TCPR, application-driven recovery of TCP connections (Surton 2014,
//! chapter 4): it stands between an application's TCP and its peer, and lets the application put
//! a connection whose local TCP has died into a new one, while the peer sees one TCP that never
//! failed.
//!
//! *Assumes* that every segment of a protected connection passes through it once in each
//! direction, as IPv4 or IPv6 packets, and that `now` never goes back.
//! *Guarantees* that it touches nothing else: no socket, no clock, no allocation per packet. What
//! is to be done with a segment is its answer; what is to be sent or told beside it is added to a
//! list of [`Action`]s that the caller carries out in order. Only a [`HoldQueue`], in which a caller
//! can keep what is to be held, allocates for each segment put into it.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod packet;

mod action;
mod conduct;
mod connection;
mod counters;
mod flow;
mod handshake;
mod hard;
mod hold;
mod number;
mod summary;
mod table;

pub use action::{Action, Actions, Direction, Ending, Refusal, SynOption, Verdict};
pub use conduct::{Conduct, Mutation, Sound};
pub use counters::Counters;
pub use flow::{Flow, Pattern};
pub use hard::{Hard, Scales};
pub use hold::HoldQueue;
pub use number::Stream;
pub use summary::{Phase, Summary};
pub use table::{Config, Recovery, Tcpr};
