//! Segments, small: what a state of the model holds of them, and the octets that the core is shown.
//!
//! *Assumes* that nobody sends more than one octet of data at a time.
//! *Guarantees* that octets made of a segment have right checksums, and that what is read of octets
//! is what they say.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tcpr_core::packet::{Flags, Malformed, Packet, Segment};
use tcpr_core::{Direction, Flow, Stream};

use super::violation::Wrong;

/// The connection.
pub(super) const FLOW: Flow = Flow {
    local: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 179),
    remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 4000),
};
/// Numbers wrap between the first octet and what follows it, in both directions.
pub(super) const OURS: Stream = Stream {
    initial: u32::MAX - 1,
};
pub(super) const PEERS: Stream = Stream {
    initial: u32::MAX - 1,
};
/// The peer's MSS, which it says once, and which every later local TCP has to know.
pub(super) const PEER_MSS: u16 = 1000;
/// What a local TCP says: what is assumed of one that was not heard, too (RFC 9293, 3.7.1).
pub(super) const LOCAL_MSS: u16 = 536;

/// The stream of the `life`th local TCP, in its own numbers. They lie far from each other, as those
/// of RFC 9293, 3.4.1 do.
pub(super) fn inside(life: u8) -> Stream {
    const APART: u32 = 0x5fff_ffff;
    Stream {
        initial: OURS
            .initial
            .wrapping_add(APART.wrapping_mul(u32::from(life))),
    }
}

/// An octet of a stream, which tells whose it is and where it stands.
pub(super) fn octet(of_peer: bool, position: i64) -> u8 {
    (position as u8 & 0x3f) | if of_peer { 0x80 } else { 0x40 }
}

/// A segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Seg {
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: u8,
    pub(super) window: u16,
    pub(super) data: Option<u8>,
    pub(super) mss: Option<u16>,
}

impl Seg {
    pub(super) fn new(flags: Flags, seq: u32) -> Seg {
        Seg {
            seq,
            ack: 0,
            flags: flags.bits(),
            window: 0,
            data: None,
            mss: None,
        }
    }

    pub(super) fn has(&self, flag: Flags) -> bool {
        Flags::from_bits(self.flags).contains(flag)
    }

    /// Octets of data, and the FIN.
    pub(super) fn len(&self) -> i64 {
        i64::from(self.data.is_some()) + i64::from(self.has(Flags::FIN))
    }

    /// The packet, as it passes in this direction.
    pub(super) fn octets(&self, direction: Direction) -> Octets {
        let (source, destination) = match direction {
            Direction::Outbound => (FLOW.local, FLOW.remote),
            Direction::Inbound => (FLOW.remote, FLOW.local),
        };
        let whole = Segment {
            source,
            destination,
            sequence: self.seq,
            acknowledgment: self.ack,
            flags: Flags::from_bits(self.flags),
            window: self.window,
            mss: self.mss,
            window_scale: None,
            sack_permitted: false,
            timestamps: None,
            octet: self.data.is_some(),
        };
        let mut octets = Octets::of(&whole);
        if let Some(data) = self.data {
            octets.bytes[octets.length - 1] = data;
            if let Ok(mut packet) = octets.packet() {
                packet.fill_checksum();
            }
        }
        octets
    }

    /// What a packet says.
    pub(super) fn read(packet: &Packet<'_>) -> Result<Seg, Wrong> {
        if !packet.checksum_is_right() {
            return Err(Wrong::Checksum);
        }
        if packet.payload_len() > 1 {
            return Err(Wrong::Invented);
        }
        Ok(Seg {
            seq: packet.sequence(),
            ack: packet.acknowledgment(),
            flags: packet.flags().bits(),
            window: packet.window(),
            data: packet.payload().first().copied(),
            mss: packet.options().mss,
        })
    }

    /// Positions instead of numbers.
    pub(super) fn describe(&self, from: Stream, to: Stream) -> String {
        let mut said = String::new();
        for (flag, letter) in [(Flags::SYN, 'S'), (Flags::FIN, 'F'), (Flags::RST, 'R')] {
            if self.has(flag) {
                said.push(letter);
            }
        }
        if !said.is_empty() {
            said.push(' ');
        }
        let at = from.position(0, self.seq);
        let _ = write!(said, "{at}+{}", u8::from(self.data.is_some()));
        if self.has(Flags::ACK) {
            let _ = write!(said, " ack {}", to.position(0, self.ack));
        }
        let _ = write!(said, " win {}", self.window);
        said
    }
}

/// Octets of one packet.
pub(super) struct Octets {
    bytes: [u8; Segment::MAX_LEN],
    length: usize,
}

impl Octets {
    pub(super) fn of(segment: &Segment) -> Octets {
        let mut bytes = [0; Segment::MAX_LEN];
        let length = segment.emit(&mut bytes);
        Octets { bytes, length }
    }

    pub(super) fn packet(&mut self) -> Result<Packet<'_>, Malformed> {
        Packet::parse(&mut self.bytes[..self.length])
    }
}
