//! Packets, as a capture would have them.
//!
//! *Assumes* nothing.
//! *Guarantees* that what was pushed comes back in order, and that a packet costs a copy of its
//! octets and no allocation of its own.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use tcpr_core::packet::{Flags, Packet};
use tcpr_core::{Direction, Stream};

/// Packets that were seen at one place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    octets: Vec<u8>,
    packets: Vec<(Duration, Direction, Range<usize>)>,
}

impl Trace {
    pub(super) fn push(&mut self, now: Duration, direction: Direction, octets: &[u8]) {
        let begin = self.octets.len();
        self.octets.extend_from_slice(octets);
        let range = begin..self.octets.len();
        self.packets.push((now, direction, range));
    }

    /// How many packets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Virtual time, direction and octets of each packet, from the IP header on.
    pub fn iter(&self) -> impl Iterator<Item = (Duration, Direction, &[u8])> {
        self.packets
            .iter()
            .map(|(time, direction, range)| (*time, *direction, &self.octets[range.clone()]))
    }
}

/// A packet in one line: flags, sequence number and length, acknowledgment, window and options;
/// numbers as positions in these streams, if they are known.
pub(super) fn describe(octets: &[u8], from: Option<Stream>, to: Option<Stream>) -> String {
    let mut copy = octets.to_vec();
    let Ok(packet) = Packet::parse(&mut copy) else {
        return "no packet".to_owned();
    };
    let position = |stream: Option<Stream>, number: u32| match stream {
        Some(stream) => stream.position(0, number).to_string(),
        None => format!("#{number}"),
    };
    let flags = packet.flags();
    let mut said = String::new();
    for (flag, letter) in [
        (Flags::SYN, 'S'),
        (Flags::FIN, 'F'),
        (Flags::RST, 'R'),
        (Flags::PSH, 'P'),
    ] {
        if flags.contains(flag) {
            said.push(letter);
        }
    }
    let begin = position(from, packet.sequence());
    // Writing to a string cannot fail.
    let _ = write!(said, " {begin}+{}", packet.payload_len());
    if flags.contains(Flags::ACK) {
        let _ = write!(said, " ack {}", position(to, packet.acknowledgment()));
    }
    let _ = write!(said, " win {}", packet.window());
    let options = packet.options();
    if let Some(mss) = options.mss {
        let _ = write!(said, " mss {mss}");
    }
    if let Some(scale) = options.window_scale {
        let _ = write!(said, " scale {scale}");
    }
    if options.sack_permitted {
        said.push_str(" sackok");
    }
    for (left, right) in &options.sack {
        let (left, right) = (position(to, *left), position(to, *right));
        let _ = write!(said, " sack {left}-{right}");
    }
    if let Some(stamps) = options.timestamps {
        let _ = write!(said, " ts {} {}", stamps.value, stamps.echo);
    }
    said.trim_start().to_owned()
}
