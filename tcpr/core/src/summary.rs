//! What can be seen of a connection.
//!
//! *Assumes* and *guarantees* nothing: it is a copy.

use core::fmt;
use core::time::Duration;

use crate::{Ending, Flow, Hard};

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Phase {
    /// Its handshake is under way.
    New,
    /// Established, with a local TCP.
    Live,
    /// The local TCP has failed; the peer is answered, and does not know.
    Failed,
    /// The application is recovering.
    Recovering,
    /// The application's FIN was sent.
    Closing,
    /// It has ended; late segments are still met.
    Done,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Phase::New => "new",
            Phase::Live => "live",
            Phase::Failed => "failed",
            Phase::Recovering => "recovering",
            Phase::Closing => "closing",
            Phase::Done => "done",
        })
    }
}

/// A connection, as it stands. Offsets are octets since the beginning; a FIN counts one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Summary {
    /// The connection.
    pub flow: Flow,
    /// Where it stands.
    pub phase: Phase,
    /// For how long.
    pub phase_age: Duration,
    /// Whether an application has registered it.
    pub registered: bool,
    /// Hard state.
    pub hard: Hard,
    /// Highest offset sent to the peer.
    pub sent: u64,
    /// Output acknowledged by the peer.
    pub acked: u64,
    /// Highest offset of the peer seen.
    pub received: u64,
    /// What the local TCP has acknowledged.
    pub local_ack: u64,
    /// Window last told to the peer, in octets.
    pub window: u32,
    /// The peer's window, in octets.
    pub peer_window: u32,
    /// Whether segments of the peer are held.
    pub held: bool,
    /// How it ended, if it has.
    pub ending: Option<Ending>,
}
