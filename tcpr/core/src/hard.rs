//! The state of a connection that only its application can bring back.
//!
//! *Assumes* that the application keeps it where a crash does not reach.
//! *Guarantees* that it is small, constant in size, and enough to recover the connection when both
//! the application and TCPR have lost everything else (Surton 2014, 4.2 "Recovering TCPR").

use crate::handshake::default_mss;
use crate::{Flow, Stream};

/// Window scales in use on a connection that negotiated them (RFC 7323, 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Scales {
    /// What our side promised to the peer when the connection began: its windows are read with it
    /// for ever.
    pub ours: u8,
    /// What the peer promised.
    pub peers: u8,
    /// What the present local TCP uses, which may differ from `ours` after a recovery.
    pub inside: u8,
}

/// Hard state of a connection. Octet offsets count from 0 at the first octet after the SYN; a FIN
/// counts one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Hard {
    /// The connection, as the peer sees it.
    pub flow: Flow,
    /// The local TCP's own port, where it differs from the one that the peer sees.
    pub inside_port: Option<u16>,
    /// How often the connection was recovered. Each recovery has a higher one than the last.
    pub incarnation: u64,
    /// Our stream, in the numbers that the peer sees.
    pub ours: Stream,
    /// The peer's stream.
    pub peers: Stream,
    /// The largest segment that the peer takes, in octets (RFC 9293, 3.7.1).
    pub peer_mss: u16,
    /// The window scales, if both sides offered one.
    pub scales: Option<Scales>,
    /// Whether both sides permit selective acknowledgments (RFC 2018).
    pub sack: bool,
    /// Whether timestamps are in use (RFC 7323, 3); they then are on every segment.
    pub timestamps: bool,
    /// What is subtracted, modulo 2^32, from the local TCP's TSval before the peer sees it.
    pub timestamp_offset: u32,
    /// A TSval that the peer was told. May lag behind the last one by less than 2^31 - 2^24 (RFC 7323,
    /// 5.5: 24.6 days of a clock of 1 ms).
    #[cfg_attr(feature = "serde", serde(default))]
    pub tsval: u32,
    /// Whether explicit congestion notification is in use (RFC 3168).
    pub ecn: bool,
    /// Input up to here is the application's own: it is acknowledged to the peer, and will never
    /// be asked for again.
    pub checkpoint: u64,
    /// The application wants no more input: whatever the local TCP acknowledges is checkpointed.
    pub done_reading: bool,
    /// The application's output ends at this offset, and its FIN is meant.
    pub done_writing: Option<u64>,
    /// The peer's output ends at this offset, if it is known.
    pub peer_fin: Option<u64>,
    /// What is subtracted, modulo 2^32, from the local TCP's sequence numbers before the peer sees
    /// them.
    pub delta: u32,
    /// The incarnation that `delta`, `timestamp_offset` and `scales.inside` belong to: less than
    /// `incarnation` while a recovery has begun and no connection is there yet.
    pub spliced: u64,
    /// Output up to here is known to be acknowledged. May lag behind the truth by less than 2^30
    /// octets.
    pub acked: u64,
}

/// No connection comes near: at 1 Tbit/s it takes a year.
const OFFSETS: u64 = 1 << 62;
/// RFC 7323, 2.3.
const SCALES: u8 = 14;

impl Hard {
    /// A connection at octet 0 of both streams that has agreed upon no option.
    #[must_use]
    pub fn begin(flow: Flow, ours: Stream, peers: Stream) -> Hard {
        Hard {
            flow,
            inside_port: None,
            incarnation: 0,
            ours,
            peers,
            peer_mss: default_mss(&flow.remote),
            scales: None,
            sack: false,
            timestamps: false,
            timestamp_offset: 0,
            tsval: 0,
            ecn: false,
            checkpoint: 0,
            done_reading: false,
            done_writing: None,
            peer_fin: None,
            delta: 0,
            spliced: 0,
            acked: 0,
        }
    }

    /// Whether a connection can have this state. What comes from outside may hold anything.
    pub(crate) fn is_possible(&self) -> bool {
        let offsets = [
            Some(self.checkpoint),
            Some(self.acked),
            self.done_writing,
            self.peer_fin,
        ];
        let scales = self
            .scales
            .map(|scales| [scales.ours, scales.peers, scales.inside]);
        self.flow.local.is_ipv4() == self.flow.remote.is_ipv4()
            && offsets.into_iter().flatten().all(|offset| offset < OFFSETS)
            && scales.into_iter().flatten().all(|scale| scale <= SCALES)
    }
}
