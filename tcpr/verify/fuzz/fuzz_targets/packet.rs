//! Any octets as a packet: parsed, edited in every way, cut into pieces.
//!
//! *Assumes* nothing of the octets.
//! *Guarantees* that a panic, an endless loop, or an edit that does not keep the checksums is found:
//! the checks are those of the property tests.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../../core/tests/packet_exercise/mod.rs"]
mod packet_exercise;

use packet_exercise::exercise;

// Most octets are no packet. So they are also put behind an IP header that leads to them, whose
// length is right unless the first octet, which counts as protocol, says otherwise by its upper bit.
fuzz_target!(|octets: &[u8]| {
    exercise(octets);
    let Some((&first, rest)) = octets.split_first() else {
        return;
    };
    let told = rest.len() + if first & 0x80 == 0 { 0 } else { 9 };
    let protocol = match first & 0x7f {
        0x7f => 6,
        protocol => protocol,
    };
    exercise(&behind_ipv4(protocol, told, rest));
    exercise(&behind_ipv6(protocol, told, rest));
});

fn behind_ipv4(protocol: u8, told: usize, rest: &[u8]) -> Vec<u8> {
    let mut octets = vec![0; 20];
    octets[0] = 0x45;
    octets[2..4].copy_from_slice(&((20 + told) as u16).to_be_bytes());
    octets[9] = protocol;
    octets.extend_from_slice(rest);
    octets
}

fn behind_ipv6(protocol: u8, told: usize, rest: &[u8]) -> Vec<u8> {
    let mut octets = vec![0; 40];
    octets[0] = 0x60;
    octets[4..6].copy_from_slice(&(told as u16).to_be_bytes());
    octets[6] = protocol;
    octets.extend_from_slice(rest);
    octets
}
