//! Octets that nobody should send: nothing panics, everything ends, and what was wrong stays wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod packet_build;
mod packet_exercise;

use packet_build::plan;
use packet_exercise::exercise;
use proptest::collection::vec;
use proptest::prelude::*;
use tcpr_core::packet::{Malformed, Packet};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_octets_are_refused_or_followed(octets in vec(any::<u8>(), 0..200)) {
        exercise(&octets);
    }

    #[test]
    fn any_octets_behind_an_ip_header_are_refused_or_followed(
        version in prop_oneof![Just(0x45_u8), Just(0x60)],
        protocol in prop_oneof![Just(6_u8), Just(1), Just(58), Just(0), Just(43), Just(44), Just(60)],
        mut octets in vec(any::<u8>(), 60..250),
    ) {
        octets[0] = version;
        let length = octets.len() as u8;
        if version == 0x45 {
            octets[2..4].copy_from_slice(&[0, length]);
            octets[6..8].fill(0);
            octets[9] = protocol;
        } else {
            octets[4..6].copy_from_slice(&[0, length - 40]);
            octets[6] = protocol;
        }
        exercise(&octets);
    }

    #[test]
    fn a_packet_with_wrong_octets_in_its_headers_is_refused_or_followed(
        plan in plan(),
        wrong in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut octets = plan.build();
        let headers = plan.before_data();
        for (at, octet) in wrong {
            octets[at.index(headers)] = octet;
        }
        exercise(&octets);
    }

    #[test]
    fn any_options_are_followed(
        plan in plan(),
        options in vec(prop_oneof![any::<u8>(), 0..12_u8], 40),
    ) {
        let mut octets = plan.build();
        let (begin, end) = (plan.before_tcp() + 20, plan.before_data());
        octets[begin..end].copy_from_slice(&options[..end - begin]);
        exercise(&octets);
    }

    #[test]
    fn a_packet_cut_off_anywhere_in_its_headers_is_refused(
        plan in plan(),
        at in any::<prop::sample::Index>(),
    ) {
        let mut octets = plan.build();
        let present = at.index(plan.before_data());
        let refused = Packet::parse(&mut octets[..present]).unwrap_err();
        let truncated = matches!(
            refused,
            Malformed::Truncated { needed, present: told } if needed > told && told == present
        );
        prop_assert!(truncated, "{refused}");
    }

    #[test]
    fn a_header_longer_than_its_packet_is_refused(plan in plan(), words in 0..16_u8) {
        let mut octets = plan.build();
        let tcp = plan.before_tcp();
        octets[tcp + 12] = words << 4;
        let fits = usize::from(words) * 4 <= octets.len() - tcp;
        prop_assert_eq!(Packet::parse(&mut octets).is_ok(), words >= 5 && fits);
    }
}

#[test]
fn other_protocols_are_refused() {
    let mut udp = [0_u8; 48];
    udp[0] = 0x45;
    udp[3] = 48;
    udp[9] = 17;
    let refused = Packet::parse(&mut udp).unwrap_err();
    assert_eq!(refused, Malformed::Protocol { protocol: 17 });
    assert_eq!(
        Packet::parse(&mut []).unwrap_err(),
        Malformed::Truncated {
            needed: 1,
            present: 0
        }
    );
}
