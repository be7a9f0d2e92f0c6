//! flaplab's own BGP speaker: it announces routes, and its sessions survive its process.
//!
//! *Assumes* peers that speak BGP-4 (RFC 4271) over TCP, one session to each. *Guarantees* the
//! finite state machine of RFC 4271, section 8; what its configuration announces, in its order,
//! then End-of-RIB; and, where TCPR protects its connections, that after a SIGKILL at any instant
//! a new process carries on in the middle of each session: no OPEN is sent, no route is announced
//! again, and what the new configuration no longer announces is withdrawn.
//!
//! It is no router: it selects nothing, and forgets every route that it is told.

pub mod checkpoint;
pub mod config;
pub mod control;
pub mod event;
pub mod message;
mod peer;
pub mod rib;
pub mod run;
pub mod session;
pub mod source;
pub mod transfer;
pub mod update;

pub use config::Config;
pub use event::{Event, Happening};
pub use peer::Status;
pub use run::{RunError, run};
