//! From packets to BGP messages, one packet at a time.
//!
//! *Assumes* IPv4, TCP port 179, and timestamps that do not go back; a capture may hold one
//! direction of a connection only. *Guarantees* that each message is given once, in the order
//! of its octet stream, whatever the packets do (retransmission, reordering, overlap, sequence
//! wrap, a reused 4-tuple, packets above the MTU); that octets which never come are reported as
//! a [`Body::Gap`] instead of being passed over; and that no input makes it panic. The harness
//! uses it live and the analysis afterwards, so that both see the same messages.
//!
//! The message formats are netgauze-bgp-pkt's; framing and reassembly are here.

mod segment;
mod stream;
mod wire;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use ipnet::Ipv4Net;

pub use segment::LinkType;
use segment::Segment;
use stream::Stream;

/// TCP port of BGP (RFC 4271, section 2).
pub const BGP_PORT: u16 = 179;

/// Something that one BGP speaker sent to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Time of the packet that made it whole, in the capture's time base, nanoseconds.
    pub t_ns: u64,
    /// Who sent it.
    pub src: SocketAddrV4,
    /// To whom.
    pub dst: SocketAddrV4,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// OPEN (RFC 4271, section 4.2).
    Open(Open),
    /// UPDATE (RFC 4271, section 4.3).
    Update(Update),
    /// NOTIFICATION (RFC 4271, section 4.5).
    Notification {
        /// Error code.
        code: u8,
        /// Error subcode.
        subcode: u8,
    },
    /// KEEPALIVE (RFC 4271, section 4.4).
    Keepalive,
    /// ROUTE-REFRESH (RFC 2918).
    RouteRefresh,
    /// A whole message, or what stands where one should begin, that cannot be understood.
    Malformed {
        /// Why.
        reason: String,
    },
    /// The capture lacks octets of the stream: messages may be missing here.
    Gap {
        /// How many; unknown if the capture began within the connection.
        octets: Option<u64>,
    },
    /// The connection ended within a message, which its receiver therefore never got.
    Cut {
        /// How much of the message was sent.
        octets: usize,
    },
}

/// What an OPEN says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The sender's AS number, from the four-octet capability if it is there (RFC 6793).
    pub asn: u32,
    /// Proposed Hold Time, seconds.
    pub hold_time_s: u16,
    /// BGP Identifier.
    pub router_id: Ipv4Addr,
    /// Graceful Restart capability, if offered (RFC 4724, section 3).
    pub graceful_restart: Option<GracefulRestart>,
    /// Whether four-octet AS numbers are offered (RFC 6793).
    pub four_octet_as: bool,
}

/// A Graceful Restart capability (RFC 4724, section 3; RFC 8538, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GracefulRestart {
    /// Restart Time, seconds.
    pub restart_time_s: u16,
    /// R bit: the sender has restarted.
    pub restarting: bool,
    /// N bit: it keeps routes after a NOTIFICATION too.
    pub notification: bool,
    /// It is offered for IPv4 unicast routes.
    pub ipv4_unicast: bool,
    /// F bit of IPv4 unicast: forwarding state was preserved.
    pub forwarding: bool,
}

/// What an UPDATE says about IPv4 unicast.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Update {
    /// Prefixes announced, in NLRI and MP_REACH_NLRI (RFC 4760).
    pub announced: Vec<Ipv4Net>,
    /// Prefixes withdrawn, in Withdrawn Routes and MP_UNREACH_NLRI.
    pub withdrawn: Vec<Ipv4Net>,
    /// Length of AS_PATH as route selection counts it: an AS_SET counts as one (RFC 4271,
    /// section 9.1.2.2). None without the attribute.
    pub as_path_len: Option<usize>,
    /// End-of-RIB of IPv4 unicast (RFC 4724, section 2).
    pub end_of_rib: bool,
}

impl Update {
    /// Whether it announces or withdraws this very prefix.
    #[must_use]
    pub fn concerns(&self, prefix: &Ipv4Net) -> bool {
        self.announced.contains(prefix) || self.withdrawn.contains(prefix)
    }
}

/// Decodes packets. Keep one per capture.
#[derive(Debug, Default)]
pub struct Decoder {
    streams: HashMap<(SocketAddrV4, SocketAddrV4), Stream>,
    /// The capture began within connections.
    joins: bool,
    wire: wire::Wire,
}

impl Decoder {
    /// A decoder that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A decoder of a capture that was begun when connections stood already: what was sent on them
    /// before is no gap.
    #[must_use]
    pub fn joining() -> Self {
        Self {
            joins: true,
            ..Self::default()
        }
    }

    /// Takes in one packet, from its link-layer header on, captured at `t_ns`, and appends to
    /// `out` every message that is now whole. Packets that are not BGP over IPv4 are passed
    /// over.
    pub fn push(&mut self, t_ns: u64, link_type: LinkType, packet: &[u8], out: &mut Vec<Message>) {
        let Some(segment) = Segment::parse(link_type, packet) else {
            return;
        };
        if segment.src.port() != BGP_PORT && segment.dst.port() != BGP_PORT {
            return;
        }
        self.streams
            .entry((segment.src, segment.dst))
            .or_insert_with(|| Stream::new(self.joins))
            .push(t_ns, &segment, &mut self.wire, out);
    }

    /// Declares that no more packets come: what is held back for want of octets in between is
    /// given, each time after a [`Body::Gap`].
    pub fn finish(&mut self, out: &mut Vec<Message>) {
        let mut streams: Vec<_> = self.streams.drain().collect();
        streams.sort_unstable_by_key(|(key, _)| *key);
        for ((src, dst), mut stream) in streams {
            stream.finish(src, dst, &mut self.wire, out);
        }
    }
}
