//! Segments of our own making, and pieces of the segments of others.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod packet_build;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use packet_build::{number, plan, see};
use proptest::prelude::*;
use tcpr_core::packet::{Flags, Options, Packet, Segment, Timestamps, TooSmall, cut};

fn segment() -> impl Strategy<Value = Segment> {
    let addresses = prop_oneof![
        (any::<Ipv4Addr>(), any::<Ipv4Addr>()).prop_map(|(from, to)| (from.into(), to.into())),
        (any::<Ipv6Addr>(), any::<Ipv6Addr>()).prop_map(|(from, to)| (from.into(), to.into())),
    ];
    let fixed = (
        any::<(u16, u16)>(),
        number(),
        number(),
        any::<u8>(),
        any::<u16>(),
    );
    let mss = prop::option::of(1..=u16::MAX);
    let options = (mss, prop::option::of(0..=14_u8), any::<bool>());
    let timestamps = prop::option::of((number(), number()));
    (addresses, fixed, options, timestamps, any::<bool>()).prop_map(
        |(
            (from, to),
            (ports, sequence, acknowledgment, bits, window),
            options,
            timestamps,
            octet,
        )| {
            Segment {
                source: SocketAddr::new(from, ports.0),
                destination: SocketAddr::new(to, ports.1),
                sequence,
                acknowledgment,
                flags: Flags::from_bits(bits),
                window,
                mss: options.0,
                window_scale: options.1,
                sack_permitted: options.2,
                timestamps: timestamps.map(|(value, echo)| Timestamps { value, echo }),
                octet,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn what_is_emitted_is_read_again(segment in segment()) {
        // What was in the buffer before is no matter.
        let mut out = [0xa5; Segment::MAX_LEN];
        let length = segment.emit(&mut out);
        let octets = &mut out[..length];
        let seen = see(octets);
        let packet = Packet::parse(octets).unwrap();
        prop_assert!(packet.is_whole() && packet.checksum_is_right());
        prop_assert_eq!(packet.source(), segment.source);
        prop_assert_eq!(packet.destination(), segment.destination);
        prop_assert_eq!(packet.sequence(), segment.sequence);
        prop_assert_eq!(packet.acknowledgment(), segment.acknowledgment);
        prop_assert_eq!(packet.flags(), segment.flags);
        prop_assert_eq!(packet.window(), segment.window);
        prop_assert_eq!(packet.payload(), &[0][..usize::from(segment.octet)]);
        let expected = Options {
            mss: segment.mss,
            window_scale: segment.window_scale,
            sack_permitted: segment.sack_permitted,
            timestamps: segment.timestamps,
            ..Options::default()
        };
        prop_assert_eq!(packet.options(), expected);

        prop_assert_eq!(seen.header.sequence_number, segment.sequence);
        prop_assert_eq!(seen.header.acknowledgment_number, segment.acknowledgment);
        prop_assert_eq!(seen.header.window_size, segment.window);
        prop_assert_eq!((seen.header.urgent_pointer, seen.header.ns), (0, false));
        for element in seen.header.options_iterator() {
            prop_assert!(element.is_ok(), "{:?}", element);
        }
        if let Some(ip) = seen.ipv4 {
            prop_assert_eq!((ip.time_to_live, ip.dont_fragment, ip.identification), (64, true, 0));
            prop_assert_eq!((ip.dscp.value(), ip.ecn.value()), (0, 0));
        }
        if let Some(ip) = seen.ipv6 {
            prop_assert_eq!((ip.hop_limit, ip.flow_label.value(), ip.traffic_class), (64, 0, 0));
        }
    }

    #[test]
    fn pieces_say_together_what_the_segment_says(plan in plan(), most in 1..1500_usize) {
        let mut octets = plan.build();
        let packet = Packet::parse(&mut octets).unwrap();
        let flags = packet.flags();
        let once = Flags::SYN.union(Flags::FIN).union(Flags::PSH).union(Flags::CWR).union(Flags::URG);
        let mut out = vec![0xa5; plan.before_data() + most];
        let mut joined: Vec<u8> = Vec::new();
        let mut next = plan.sequence;
        loop {
            let from = joined.len();
            let length = cut(&packet, from, most, &mut out).unwrap();
            let seen = see(&out[..length]);
            joined.extend(&seen.payload);
            let piece = Packet::parse(&mut out[..length]).unwrap();
            prop_assert!(piece.is_whole() && piece.checksum_is_right());
            prop_assert_eq!(piece.source(), packet.source());
            prop_assert_eq!(piece.destination(), packet.destination());
            prop_assert_eq!(piece.acknowledgment(), packet.acknowledgment());
            prop_assert_eq!(piece.window(), packet.window());
            prop_assert_eq!(piece.options(), packet.options());
            prop_assert_eq!(seen.header.ns, plan.accurate_ecn);
            prop_assert_eq!(piece.sequence(), next);
            next = next.wrapping_add(piece.segment_len());

            let (first, last) = (from == 0, joined.len() == plan.payload.len());
            let mut expected = flags;
            expected.remove(once);
            let urgent = usize::from(plan.urgent) > from || first;
            let kept = [
                (Flags::SYN, first),
                (Flags::CWR, first),
                (Flags::FIN, last),
                (Flags::PSH, last),
                (Flags::URG, urgent),
            ];
            for (flag, stays) in kept {
                if stays && flags.contains(flag) {
                    expected.insert(flag);
                }
            }
            prop_assert_eq!(piece.flags(), expected);
            if piece.flags().contains(Flags::URG) {
                let pointer = usize::from(seen.header.urgent_pointer);
                prop_assert_eq!(pointer, usize::from(plan.urgent) - from);
            }
            if last {
                break;
            }
        }
        prop_assert_eq!(joined, plan.payload);
        // The pieces take the numbers that the segment takes.
        prop_assert_eq!(next, plan.sequence.wrapping_add(packet.segment_len()));
    }

    #[test]
    fn pieces_of_a_truncated_segment_never_have_its_end(
        plan in plan(),
        keep in any::<prop::sample::Index>(),
    ) {
        let mut octets = plan.build();
        prop_assume!(!plan.payload.is_empty());
        let there = keep.index(plan.payload.len());
        let packet = Packet::parse(&mut octets[..plan.before_data() + there]).unwrap();
        let mut out = vec![0; 4096];
        let length = cut(&packet, 0, usize::MAX, &mut out).unwrap();
        let seen = see(&out[..length]);
        prop_assert!(!seen.header.fin && !seen.header.psh);
        prop_assert_eq!(&seen.payload, &plan.payload[..there]);
    }

    #[test]
    fn a_piece_that_finds_no_room_is_refused(plan in plan(), short in 1..40_usize) {
        let mut octets = plan.build();
        let needed = octets.len();
        let packet = Packet::parse(&mut octets).unwrap();
        let room = needed - short.min(needed);
        let refused = cut(&packet, 0, usize::MAX, &mut vec![0; room]);
        prop_assert_eq!(refused, Err(TooSmall { needed, room }));
        prop_assert_eq!(cut(&packet, 0, usize::MAX, &mut vec![0; needed]), Ok(needed));
    }
}

#[test]
fn the_largest_segment_fills_its_room() {
    let segment = Segment {
        source: "[fd00::2]:179".parse().unwrap(),
        destination: "[fd00::9]:4000".parse().unwrap(),
        sequence: 1,
        acknowledgment: 2,
        flags: Flags::SYN,
        window: 3,
        mss: Some(1440),
        window_scale: Some(7),
        sack_permitted: true,
        timestamps: Some(Timestamps { value: 4, echo: 5 }),
        octet: true,
    };
    let mut out = [0; Segment::MAX_LEN];
    assert_eq!(segment.emit(&mut out), Segment::MAX_LEN);
}

#[test]
fn addresses_of_two_families_make_no_packet() {
    let segment = Segment {
        source: "10.0.0.2:179".parse().unwrap(),
        destination: "[fd00::9]:4000".parse().unwrap(),
        sequence: 0,
        acknowledgment: 0,
        flags: Flags::ACK,
        window: 0,
        mss: None,
        window_scale: None,
        sack_permitted: false,
        timestamps: None,
        octet: false,
    };
    assert_eq!(segment.emit(&mut [0; Segment::MAX_LEN]), 0);
}
