//! What is counted beside the connections: on the side channel, and on the way of the packets.
//!
//! *Assumes* nothing.
//! *Guarantees* that whatever was refused or lost can be seen.

use serde::{Deserialize, Serialize};

/// Counted on the side channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChannelCounters {
    /// Requests carried out.
    pub requests: u64,
    /// Requests refused with a reason.
    pub refused: u64,
    /// Lines and datagrams that are no messages.
    pub malformed: u64,
    /// Messages of another version.
    pub other_version: u64,
    /// Datagrams whose seal is not made with our key.
    pub wrong_key: u64,
    /// Datagrams seen before, or too old to tell.
    pub replayed: u64,
    /// Datagrams of a session that is not known (any more).
    pub unknown_session: u64,
    /// Sessions refused because there are too many.
    pub full: u64,
    /// Notices that a slow reader did not get.
    pub notices_lost: u64,
}

/// Counted on the way of the packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataplaneCounters {
    /// Packets that were looked at.
    pub packets: u64,
    /// Packets that were changed.
    pub edited: u64,
    /// Packets that were dropped.
    pub dropped: u64,
    /// Packets that were held for later.
    pub held: u64,
    /// Packets of our own making.
    pub injected: u64,
    /// Packets that had to be asked for again with all their octets.
    pub whole: u64,
    /// Packets that the kernel could not queue.
    pub lost: u64,
    /// Packets that are no TCP segments one can read.
    pub malformed: u64,
    /// Packets that were dropped since there was no room to hold them.
    pub hold_refused: u64,
    /// Octets that all packets held now take.
    pub hold_octets: u64,
    /// Packets of our own making that the kernel did not take.
    pub inject_failed: u64,
}
