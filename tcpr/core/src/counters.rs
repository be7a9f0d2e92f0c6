//! What was done, counted.
//!
//! *Assumes* and *guarantees* nothing: numbers that only grow.

/// Counters since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
pub struct Counters {
    /// Segments of protected connections, from the local TCP.
    pub outbound: u64,
    /// Segments of protected connections, from the peer.
    pub inbound: u64,
    /// Connections established.
    pub established: u64,
    /// SYNs answered in the peer's place.
    pub recoveries: u64,
    /// SYNs refused.
    pub refused_syns: u64,
    /// Requests refused.
    pub refused_requests: u64,
    /// RSTs of the local TCP kept from the peer.
    pub resets_masked: u64,
    /// FINs of the local TCP that were not meant.
    pub fins_masked: u64,
    /// RSTs of the peer that did not have the right number.
    pub resets_refused: u64,
    /// Segments of an old local TCP that were dropped.
    pub fenced: u64,
    /// Acknowledgments that would have repeated the last one.
    pub acks_dropped: u64,
    /// Segments held while there was no local TCP.
    pub held: u64,
    /// Segments dropped because their connection is not known, and may be a predecessor's.
    pub quarantined: u64,
    /// Handshakes thrown away because there were too many.
    pub half_open_evicted: u64,
    /// SYNs dropped because there are too many connections.
    pub full: u64,
    /// Connections that are signed (TCP-MD5, TCP-AO) and therefore not protected.
    pub signed: u64,
    /// Connections whose application did not come back in time.
    pub expired: u64,
}
