//! Everything that can be done with octets that may be a packet. The fuzz target runs this, too.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    unreachable_pub
)]

use tcpr_core::packet::{Flags, IcmpError, Packet, Timestamps, cut};

/// Sum of octets modulo 65535. Every field that may be edited is covered by a checksum in the same
/// octets, so no edit changes it, and whatever was wrong stays as wrong.
pub fn residue(octets: &[u8]) -> u64 {
    let pairs = octets.chunks(2);
    let sum: u64 = pairs
        .map(|pair| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low)))
        .sum();
    sum % 65535
}

pub fn exercise(octets: &[u8]) {
    // The values to write come from the octets, so that a fuzzer chooses them.
    let value = octets
        .rchunks(4)
        .next()
        .and_then(|last| last.try_into().ok())
        .map_or(0x1234_ffff, u32::from_be_bytes);
    tcp(octets, value);
    icmp(octets, value);
}

type Edit = fn(&mut Packet<'_>, u32);

const EDITS: [Edit; 10] = [
    |packet, value| {
        packet.set_sequence(value);
        assert_eq!(packet.sequence(), value);
    },
    |packet, value| {
        packet.set_acknowledgment(value);
        assert_eq!(packet.acknowledgment(), value);
    },
    |packet, value| {
        packet.set_window(value as u16);
        assert_eq!(packet.window(), value as u16);
    },
    |packet, value| {
        packet.set_flags(Flags::from_bits(value as u8));
        assert_eq!(packet.flags().bits(), value as u8);
    },
    |packet, value| {
        let there = packet.options().timestamps.is_some();
        let timestamps = Timestamps {
            value,
            echo: !value,
        };
        packet.set_timestamps(timestamps);
        assert_eq!(packet.options().timestamps, there.then_some(timestamps));
    },
    |packet, value| {
        let shift = |edge: u32| edge.wrapping_add(value);
        let mut expected = packet.options().sack;
        for (left, right) in &mut expected {
            (*left, *right) = (shift(*left), shift(*right));
        }
        packet.shift_sack(value);
        assert_eq!(packet.options().sack, expected);
    },
    |packet, value| {
        packet.set_source_port(value as u16);
        assert_eq!(packet.source().port(), value as u16);
    },
    |packet, value| {
        packet.set_destination_port(value as u16);
        assert_eq!(packet.destination().port(), value as u16);
    },
    |packet, _| {
        let before = packet.options();
        packet.erase_sack();
        let mut expected = before;
        expected.sack.clear();
        assert_eq!(packet.options(), expected);
    },
    |packet, _| {
        let mut expected = packet.options();
        expected.sack.clear();
        expected.signed = false;
        packet.strip_unknown_options();
        assert_eq!(packet.options(), expected);
        assert!(!packet.strip_unknown_options(), "nothing is left to strip");
    },
];

fn tcp(octets: &[u8], value: u32) {
    let mut copy = octets.to_vec();
    let Ok(mut packet) = Packet::parse(&mut copy) else {
        return;
    };
    let (right, whole, data) = (
        packet.checksum_is_right(),
        packet.is_whole(),
        packet.payload_len(),
    );
    let (from, to) = (packet.source().ip(), packet.destination().ip());
    let before = residue(packet.bytes());
    let length = packet.bytes().len();
    let payload = packet.payload().to_vec();
    assert!(!right || whole);
    assert!(payload.len() == data || !whole);
    assert!(packet.segment_len() as usize - data <= 2);
    for edit in EDITS {
        edit(&mut packet, value);
        assert_eq!(residue(packet.bytes()), before);
        assert_eq!(packet.checksum_is_right(), right);
        assert_eq!(packet.payload(), payload);
        assert_eq!(
            (packet.source().ip(), packet.destination().ip()),
            (from, to)
        );
    }
    pieces(&packet, &payload, value as usize % 2000 + 1);
    packet.fill_checksum();
    assert_eq!(packet.checksum_is_right(), whole);
    assert_eq!(copy[length..], octets[length..], "octets behind the packet");
    assert_eq!(Packet::parse(&mut copy).unwrap().payload_len(), data);
}

fn pieces(packet: &Packet<'_>, payload: &[u8], most: usize) {
    let mut out = [0; 4096];
    let mut joined = Vec::new();
    while joined.len() < payload.len() {
        let Ok(length) = cut(packet, joined.len(), most, &mut out) else {
            // Extension headers may be of any length.
            return;
        };
        let piece = Packet::parse(&mut out[..length]).unwrap();
        assert!(piece.is_whole() && piece.checksum_is_right() && piece.payload_len() > 0);
        joined.extend_from_slice(piece.payload());
    }
    assert_eq!(joined, payload);
    // Behind the end there is nothing to copy.
    if let Ok(length) = cut(packet, usize::MAX, usize::MAX, &mut out) {
        assert_eq!(Packet::parse(&mut out[..length]).unwrap().payload_len(), 0);
    }
}

fn icmp(octets: &[u8], value: u32) {
    let mut copy = octets.to_vec();
    let Ok(mut error) = IcmpError::parse(&mut copy) else {
        return;
    };
    let before = residue(error.bytes());
    let (from, to) = (error.source(), error.destination());
    error.set_sequence(value);
    error.set_source_port(value as u16);
    assert_eq!(
        (error.sequence(), error.source().port()),
        (value, value as u16)
    );
    assert_eq!((error.source().ip(), error.destination()), (from.ip(), to));
    assert_eq!(residue(error.bytes()), before);
}
