//! A connection whose handshake is not complete.
//!
//! *Assumes* that it is shown every segment of the connection since the first SYN.
//! *Guarantees* that what both sides agreed upon is known when the connection is established,
//! whoever opened it, simultaneous open included (RFC 9293, 3.5). A crash before that is outside of
//! what can be recovered.

use core::net::SocketAddr;
use core::time::Duration;

use crate::number::ahead;
use crate::packet::{Flags, Packet};
use crate::{Flow, Hard, Scales, Stream};

/// What a SYN says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Syn {
    pub(crate) number: u32,
    pub(crate) window: u16,
    pub(crate) mss: Option<u16>,
    pub(crate) scale: Option<u8>,
    pub(crate) sack: bool,
    /// TSval.
    pub(crate) timestamp: Option<u32>,
    /// Asks for ECN, or as an answer grants it (RFC 3168, 6.1.1).
    pub(crate) ecn: bool,
}

impl Syn {
    pub(crate) fn read(packet: &Packet<'_>) -> Syn {
        let options = packet.options();
        let flags = packet.flags();
        let (echo, reduced) = (flags.contains(Flags::ECE), flags.contains(Flags::CWR));
        Syn {
            number: packet.sequence(),
            window: packet.window(),
            mss: options.mss,
            scale: options.window_scale,
            sack: options.sack_permitted,
            timestamp: options.timestamps.map(|timestamps| timestamps.value),
            ecn: echo && (reduced != flags.contains(Flags::ACK)),
        }
    }
}

/// A connection that is being opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Handshake {
    pub(crate) since: Duration,
    pub(crate) ours: Option<Syn>,
    pub(crate) peers: Option<Syn>,
}

/// A handshake that has seen both SYNs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Agreed {
    pub(crate) ours: Syn,
    pub(crate) peers: Syn,
}

impl Handshake {
    pub(crate) fn new(since: Duration) -> Handshake {
        Handshake {
            since,
            ours: None,
            peers: None,
        }
    }

    /// Whether a RST is one that its receiver believes: it has the number that is expected, or
    /// acknowledges the SYN (RFC 9293, 3.10.7.3 and 3.10.7.4).
    pub(crate) fn refused_by(&self, outbound: bool, packet: &Packet<'_>) -> bool {
        let (from, to) = if outbound {
            (self.ours, self.peers)
        } else {
            (self.peers, self.ours)
        };
        let next = |syn: Option<Syn>| syn.map(|syn| syn.number.wrapping_add(1));
        next(from) == Some(packet.sequence())
            || (packet.flags().contains(Flags::ACK) && next(to) == Some(packet.acknowledgment()))
    }

    pub(crate) fn agreed(&self) -> Option<Agreed> {
        Some(Agreed {
            ours: self.ours?,
            peers: self.peers?,
        })
    }
}

impl Agreed {
    /// Whether a segment without SYN shows that the connection is established: it acknowledges the
    /// SYN of the other side.
    pub(crate) fn completed_by(&self, outbound: bool, packet: &Packet<'_>) -> bool {
        let (from, to) = if outbound {
            (self.ours, self.peers)
        } else {
            (self.peers, self.ours)
        };
        packet.flags().contains(Flags::ACK)
            && ahead(packet.acknowledgment(), to.number) > 0
            && ahead(packet.sequence(), from.number) > 0
    }

    /// Hard state of the connection agreed upon, at octet 0.
    pub(crate) fn hard(&self, flow: Flow) -> Hard {
        let scales = self.ours.scale.zip(self.peers.scale);
        let stream = |syn: Syn| Stream {
            initial: syn.number,
        };
        let begun = Hard::begin(flow, stream(self.ours), stream(self.peers));
        Hard {
            peer_mss: self.peers.mss.unwrap_or(begun.peer_mss),
            scales: scales.map(|(ours, peers)| Scales {
                ours,
                peers,
                inside: ours,
            }),
            sack: self.ours.sack && self.peers.sack,
            timestamps: self.ours.timestamp.is_some() && self.peers.timestamp.is_some(),
            ecn: self.ours.ecn && self.peers.ecn,
            ..begun
        }
    }
}

/// Of a TCP that does not say how much it takes (RFC 9293, 3.7.1).
pub(crate) fn default_mss(socket: &SocketAddr) -> u16 {
    if socket.is_ipv4() { 536 } else { 1220 }
}
