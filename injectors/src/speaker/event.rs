//! What the speaker tells of itself: one JSON object per line on standard output.
//!
//! *Assumes* a reader that may be killed. *Guarantees* that each line is written at once, after
//! what it tells has happened.

use std::io::Write as _;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, CLOCK_MONOTONIC, nanoseconds.
    pub t_mono_ns: u64,
    /// What.
    #[serde(flatten)]
    pub happening: Happening,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Happening {
    /// The process has read its configuration and its checkpoints, and begins.
    Started,
    /// A session is Established.
    Established {
        /// Address of the peer.
        peer: Ipv4Addr,
    },
    /// An attempt to connect has failed. That it fails again for the same reason is not told.
    ConnectFailed {
        /// Address of the peer.
        peer: Ipv4Addr,
        /// Why.
        reason: String,
    },
    /// A session is carried on that a predecessor has begun: the connection is usable again.
    Recovered {
        /// Address of the peer.
        peer: Ipv4Addr,
        /// Octets that the peer had not acknowledged and that were sent again.
        resent_octets: u64,
    },
    /// A session of a predecessor is given up, and begins anew: it cannot be carried on, or the
    /// peer turns out, after [`Happening::Recovered`], to have ended it meanwhile.
    LetGo {
        /// Address of the peer.
        peer: Ipv4Addr,
        /// Why.
        reason: String,
    },
    /// Everything that was configured has been announced, and End-of-RIB was sent.
    Transferred {
        /// Address of the peer.
        peer: Ipv4Addr,
    },
    /// A session has ended.
    Down {
        /// Address of the peer.
        peer: Ipv4Addr,
        /// Why.
        reason: String,
    },
}

impl Event {
    /// Something that happens now.
    #[must_use]
    pub fn now(happening: Happening) -> Event {
        Event {
            t_mono_ns: crate::actuator::monotonic_ns(),
            happening,
        }
    }

    /// Writes it to standard output: one line, in one write, at once.
    pub fn print(&self) {
        let mut line = serde_json::to_vec(self).expect("a plain structure");
        line.push(b'\n');
        let mut out = std::io::stdout().lock();
        // A reader that has gone is no reason to end sessions.
        let _ = out.write_all(&line).and_then(|()| out.flush());
    }
}
