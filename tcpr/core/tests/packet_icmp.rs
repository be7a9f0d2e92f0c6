//! ICMP errors about TCP segments.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod packet_build;
mod packet_exercise;

use etherparse::{Icmpv4Slice, Icmpv6Slice, NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use packet_build::{Plan, number, plan};
use packet_exercise::exercise;
use proptest::prelude::*;
use std::net::IpAddr;
use tcpr_core::packet::{IcmpError, Malformed};

/// The first `quoted` octets of a packet, in an ICMP message of another library.
fn error(plan: &Plan, kind: u8, quoted: usize) -> Vec<u8> {
    let octets = plan.build();
    let quoted = &octets[..quoted.min(octets.len())];
    let mut message = Vec::new();
    match plan.source.ip() {
        IpAddr::V4(to) => PacketBuilder::ipv4([198, 18, 0, 1], to.octets(), 64)
            .icmpv4_raw(kind, 4, [0, 0, 5, 0xdc])
            .write(&mut message, quoted)
            .unwrap(),
        IpAddr::V6(to) => PacketBuilder::ipv6([0xfd; 16], to.octets(), 64)
            .icmpv6_raw(kind, 0, [0, 0, 5, 0xdc])
            .write(&mut message, quoted)
            .unwrap(),
    }
    message
}

/// Checks the checksum of the message by another library, and returns what it quotes.
fn quoted(message: &[u8]) -> Vec<u8> {
    let sliced = SlicedPacket::from_ip(message).unwrap();
    match (sliced.net.unwrap(), sliced.transport.unwrap()) {
        (NetSlice::Ipv4(_), TransportSlice::Icmpv4(icmp)) => {
            let checksum = |icmp: &Icmpv4Slice<'_>| icmp.icmp_type().calc_checksum(icmp.payload());
            assert_eq!(icmp.checksum(), checksum(&icmp));
            icmp.payload().to_vec()
        }
        (NetSlice::Ipv6(ip), TransportSlice::Icmpv6(icmp)) => {
            let valid = |icmp: &Icmpv6Slice<'_>| {
                let header = ip.header();
                icmp.is_checksum_valid(header.source(), header.destination())
            };
            assert!(valid(&icmp));
            icmp.payload().to_vec()
        }
        _ => panic!("another decoder sees no ICMP"),
    }
}

fn kind(plan: &Plan, choice: usize) -> u8 {
    let kinds = if plan.source.is_ipv4() {
        [3, 4, 11, 12]
    } else {
        [1, 2, 3, 4]
    };
    kinds[choice]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn an_edited_error_quotes_what_would_have_been_built(
        mut plan in plan(),
        choice in 0..4_usize,
        more in 8..200_usize,
        sequence in number(),
        port in any::<u16>(),
    ) {
        let length = plan.before_tcp() + more;
        let mut octets = error(&plan, kind(&plan, choice), length);
        quoted(&octets);
        exercise(&octets);
        let mut error = IcmpError::parse(&mut octets).unwrap();
        prop_assert_eq!(error.source(), plan.source);
        prop_assert_eq!(error.destination(), plan.destination);
        prop_assert_eq!(error.sequence(), plan.sequence);
        error.set_sequence(sequence);
        error.set_source_port(port);
        plan.sequence = sequence;
        plan.source.set_port(port);
        prop_assert_eq!(error.sequence(), sequence);
        prop_assert_eq!(error.source(), plan.source);
        // With the quoted checksum, unless half of it is quoted.
        let mut expected = plan.build();
        expected.truncate(length);
        let mut quoted = quoted(error.bytes());
        if more == 17 {
            expected.pop();
            quoted.pop();
        }
        prop_assert_eq!(quoted, expected);
    }

    #[test]
    fn an_error_that_quotes_less_than_ports_and_number_is_refused(
        plan in plan(),
        quoted in any::<prop::sample::Index>(),
    ) {
        let quoted = quoted.index(plan.before_tcp() + 8);
        let mut octets = error(&plan, kind(&plan, 0), quoted);
        let refused = IcmpError::parse(&mut octets).unwrap_err();
        prop_assert!(matches!(refused, Malformed::Truncated { .. }), "{refused}");
    }

    #[test]
    fn a_message_that_is_no_error_is_refused(plan in plan(), kind in any::<u8>()) {
        let errors: &[u8] = if plan.source.is_ipv4() { &[3, 4, 11, 12] } else { &[1, 2, 3, 4] };
        let mut octets = error(&plan, kind, 200);
        let parsed = IcmpError::parse(&mut octets);
        if errors.contains(&kind) {
            prop_assert!(parsed.is_ok());
        } else {
            prop_assert_eq!(parsed.unwrap_err(), Malformed::NotAnError { kind });
        }
    }

    #[test]
    fn a_segment_is_no_error(plan in plan()) {
        let refused = IcmpError::parse(&mut plan.build()).unwrap_err();
        prop_assert_eq!(refused, Malformed::Protocol { protocol: 6 });
    }
}
