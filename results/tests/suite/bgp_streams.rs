//! What packets can do to a stream of messages, and what must come of it.

use results::bgp::{Body, Decoder, LinkType, Message};

use crate::speaker::{
    DATA, FIN, Listener, PEER, RST, SPEAKER, SYN, datagram, frame, keepalive, nth_update,
};

const SECOND: u64 = 1_000_000_000;

/// The third octets of the 10.x.y.0/24 prefixes announced, as the number given to `nth_update`;
/// `-1` for a gap, `-2` for a cut message.
pub(crate) fn numbers(messages: &[Message]) -> Vec<i64> {
    messages
        .iter()
        .filter_map(|m| match &m.body {
            Body::Update(u) => Some(i64::from(
                (u32::from(u.announced[0].addr()) & 0x00ff_ffff) >> 8,
            )),
            Body::Gap { .. } => Some(-1),
            Body::Cut { .. } => Some(-2),
            Body::Keepalive => None,
            other => panic!("unexpected {other:?}"),
        })
        .collect()
}

pub(crate) fn updates(range: std::ops::Range<u32>) -> Vec<u8> {
    range.flat_map(nth_update).collect()
}

#[test]
fn a_message_in_pieces_has_the_time_of_its_last_piece() {
    let octets = updates(0..1);
    let mut l = Listener::default();
    l.hear(1, 99, SYN, &[]);
    for (i, octet) in octets.iter().enumerate() {
        l.hear(10 + i as u64, 100 + i as u32, DATA, &[*octet]);
    }
    let heard = l.finish();
    assert_eq!(numbers(&heard), [0]);
    assert_eq!(heard[0].t_ns, 10 + octets.len() as u64 - 1);
    assert_eq!((heard[0].src, heard[0].dst), (SPEAKER, PEER));
}

#[test]
fn a_retransmission_is_not_a_second_message() {
    let mut l = Listener::default();
    l.hear(1, 99, SYN, &[]);
    l.hear(2, 100, DATA, &updates(0..2));
    l.hear(3, 100, DATA, &updates(0..2));
    l.hear(4, 100, DATA, &updates(0..3));
    assert_eq!(numbers(&l.finish()), [0, 1, 2]);
}

#[test]
fn a_syn_sent_again_after_data_does_not_begin_anew() {
    let mut l = Listener::default();
    l.hear(1, 99, SYN, &[]);
    l.hear(2, 99, SYN, &[]);
    l.hear(3, 100, DATA, &updates(0..2));
    l.hear(4, 99, SYN, &[]);
    l.hear(5, 100, DATA, &updates(0..2));
    assert_eq!(numbers(&l.finish()), [0, 1]);
}

#[test]
fn a_new_connection_of_the_same_ports_begins_anew() {
    let mut l = Listener::default();
    l.hear(1, 99, SYN, &[]);
    l.hear(2, 100, DATA, &updates(0..2));
    // Killed in the middle of a message, and back at once with another initial number.
    l.hear(
        3,
        100 + updates(0..2).len() as u32,
        DATA,
        &updates(2..3)[..30],
    );
    l.hear(4, 5, SYN, &[]);
    l.hear(5, 6, DATA, &updates(7..9));
    assert_eq!(numbers(&l.finish()), [0, 1, -2, 7, 8]);
}

#[test]
fn the_end_of_a_connection_within_a_message_is_told_once() {
    for end in [FIN, RST] {
        let mut l = Listener::default();
        l.hear(1, 99, SYN, &[]);
        l.hear(2, 100, DATA, &updates(0..1)[..30]);
        l.hear(3, 130, end, &[]);
        l.hear(4, 130, end, &[]);
        let heard = l.finish();
        assert_eq!(
            heard.iter().map(|m| &m.body).collect::<Vec<_>>(),
            [&Body::Cut { octets: 30 }],
            "{end:?}"
        );
    }
}

#[test]
fn a_fin_with_the_last_octets_ends_a_whole_stream_quietly() {
    let mut l = Listener::default();
    l.hear(1, 99, SYN, &[]);
    l.hear(2, 100, FIN, &updates(0..2));
    assert_eq!(numbers(&l.finish()), [0, 1]);
}

#[test]
fn a_fin_that_overtakes_data_waits_for_them() {
    let octets = updates(0..2);
    let mut l = Listener::default();
    l.hear(1, 99, SYN, &[]);
    l.hear(2, 100, DATA, &octets[..20]);
    l.hear(3, 100 + octets.len() as u32, FIN, &[]);
    l.hear(4, 120, DATA, &octets[20..]);
    assert_eq!(numbers(&l.finish()), [0, 1]);
}

#[test]
fn octets_missing_before_a_fin_are_a_gap() {
    let octets = updates(0..2);
    let mut l = Listener::default();
    l.hear(1, 99, SYN, &[]);
    l.hear(2, 100, DATA, &octets[..octets.len() / 2]);
    l.hear(3, 100 + octets.len() as u32, FIN, &[]);
    assert_eq!(numbers(&l.finish()), [0, -1]);
}

#[test]
fn a_capture_that_begins_within_a_connection_says_so_and_finds_the_next_message() {
    let octets = updates(0..3);
    let mut l = Listener::default();
    l.hear(2, 777, DATA, &octets[25..]);
    let heard = l.finish();
    assert_eq!(heard[0].body, Body::Gap { octets: None });
    assert_eq!(numbers(&heard), [-1, 1, 2]);
}

#[test]
fn octets_that_never_come_are_a_gap_of_their_number() {
    let octets = updates(0..40);
    let one = octets.len() / 40;
    // From within the fifth message to within the tenth.
    let (from, to) = (one * 4 + 10, one * 9 + 10);
    let mut l = Listener::default();
    l.hear(1, 99, SYN, &[]);
    l.hear(2, 100, DATA, &octets[..from]);
    l.hear(3, 100 + to as u32, DATA, &octets[to..]);
    let heard = l.finish();
    let expected: Vec<i64> = (0..4).chain([-1]).chain(10..40).collect();
    assert_eq!(numbers(&heard), expected);
    assert!(heard.iter().any(|m| m.body
        == Body::Gap {
            octets: Some((to - from) as u64)
        }));
}

#[test]
fn a_hole_older_than_any_retransmission_is_a_gap_while_the_capture_goes_on() {
    let octets = updates(0..2);
    let mut l = Listener::default();
    l.hear(SECOND, 99, SYN, &[]);
    l.hear(2 * SECOND, 100 + 500, DATA, &octets);
    l.hear(6 * SECOND, 100 + 500 + octets.len() as u32, DATA, &[]);
    assert_eq!(
        numbers(&l.heard),
        [] as [i64; 0],
        "a hole of 4 s may be filled yet"
    );
    l.hear(8 * SECOND, 100 + 500 + octets.len() as u32, DATA, &[]);
    assert_eq!(numbers(&l.heard), [-1, 0, 1]);
    // They were sent when they were sent, not when the hole was given up.
    assert!(l.heard.iter().all(|m| m.t_ns == 2 * SECOND));
}

#[test]
fn a_hole_with_much_behind_it_is_a_gap() {
    let mut l = Listener::default();
    l.hear(1, 99, SYN, &[]);
    let mut at = 100 + 19;
    let octets: Vec<u8> = keepalive().repeat(3000);
    for t in 0..10 {
        l.hear(2 + t, at, DATA, &octets);
        at += octets.len() as u32;
    }
    assert_eq!(l.heard[0].body, Body::Gap { octets: Some(19) });
    assert_eq!(l.finish().len(), 1 + 30_000);
}

#[test]
fn garbage_within_a_stream_is_told_and_passed_over() {
    let mut octets = updates(0..1);
    octets.extend([0xab; 50]);
    octets.extend(updates(1..3));
    let mut l = Listener::default();
    l.hear(1, 99, SYN, &[]);
    l.hear(2, 100, DATA, &octets);
    let heard = l.finish();
    assert!(matches!(heard[1].body, Body::Malformed { .. }));
    assert_eq!(heard.len(), 4);
}

#[test]
fn every_link_type_and_a_vlan_tag_lead_to_the_same_message() {
    let datagram = datagram(SPEAKER, PEER, 100, DATA, &updates(3..4));
    let mut frames: Vec<_> = [
        LinkType::Raw,
        LinkType::Ethernet,
        LinkType::LinuxSll,
        LinkType::LinuxSll2,
    ]
    .map(|l| (l, frame(l, &datagram)))
    .to_vec();
    let mut tagged = vec![2; 12];
    tagged.extend([0x81, 0x00, 0, 7, 0x08, 0x00]);
    tagged.extend_from_slice(&datagram);
    frames.push((LinkType::Ethernet, tagged));
    // A frame is at least 60 octets: what fills it up is not part of the stream.
    let mut padded = frames[1].1.clone();
    padded.extend([0; 20]);
    frames.push((LinkType::Ethernet, padded));
    for (link_type, packet) in frames {
        let mut heard = Vec::new();
        let mut decoder = Decoder::new();
        let syn = frame(
            link_type,
            &crate::speaker::datagram(SPEAKER, PEER, 99, SYN, &[]),
        );
        decoder.push(1, link_type, &syn, &mut heard);
        decoder.push(2, link_type, &packet, &mut heard);
        decoder.finish(&mut heard);
        assert_eq!(numbers(&heard), [3], "{link_type:?}");
    }
}

#[test]
fn a_packet_above_the_mtu_is_one_segment() {
    let octets = updates(0..1000);
    assert!(octets.len() > 50_000);
    let mut l = Listener::default();
    l.hear(1, 99, SYN, &[]);
    l.hear(2, 100, DATA, &octets);
    assert_eq!(numbers(&l.finish()), (0..1000).collect::<Vec<_>>());
}

#[test]
fn a_datagram_that_gives_no_length_ends_with_its_packet() {
    let octets = updates(0..5);
    let mut packet = datagram(SPEAKER, PEER, 100, DATA, &octets);
    packet[2..4].fill(0);
    let mut l = Listener::default();
    l.hear(1, 99, SYN, &[]);
    l.decoder.push(2, LinkType::Raw, &packet, &mut l.heard);
    assert_eq!(numbers(&l.finish()), [0, 1, 2, 3, 4]);
}

#[test]
fn octets_beyond_the_snapshot_length_are_a_gap() {
    let octets = updates(0..5);
    let one = octets.len() / 5;
    let whole = datagram(SPEAKER, PEER, 100, DATA, &octets);
    let mut l = Listener::default();
    l.hear(1, 99, SYN, &[]);
    let short = &whole[..whole.len() - one - 10];
    l.decoder.push(2, LinkType::Raw, short, &mut l.heard);
    l.hear(3, 100 + octets.len() as u32, DATA, &updates(5..7));
    let heard = l.finish();
    assert_eq!(numbers(&heard), [0, 1, 2, -1, 5, 6]);
    assert_eq!(
        heard[3].body,
        Body::Gap {
            octets: Some(one as u64 + 10)
        }
    );
}

#[test]
fn two_directions_and_two_connections_do_not_mix() {
    let mut other = SPEAKER;
    other.set_port(40_001);
    let octets = updates(0..2);
    let mut decoder = Decoder::new();
    let mut heard = Vec::new();
    for (src, dst) in [(SPEAKER, PEER), (PEER, SPEAKER), (other, PEER)] {
        let p = datagram(src, dst, 99, SYN, &[]);
        decoder.push(1, LinkType::Raw, &p, &mut heard);
    }
    for part in [&octets[..30], &octets[30..]] {
        let seq = if part.len() == 30 { 100 } else { 130 };
        for (src, dst) in [(SPEAKER, PEER), (PEER, SPEAKER), (other, PEER)] {
            let p = datagram(src, dst, seq, DATA, part);
            decoder.push(2, LinkType::Raw, &p, &mut heard);
        }
    }
    assert_eq!(numbers(&heard), [0, 1, 0, 1, 0, 1]);
    assert_eq!(heard[2].src, PEER);
    assert_eq!(heard[4].src, other);
}

#[test]
fn other_ports_are_passed_over() {
    let mut elsewhere = PEER;
    elsewhere.set_port(180);
    let mut decoder = Decoder::new();
    let mut heard = Vec::new();
    let p = datagram(SPEAKER, elsewhere, 100, DATA, &updates(0..1));
    decoder.push(1, LinkType::Raw, &p, &mut heard);
    decoder.finish(&mut heard);
    assert_eq!(heard, []);
}

#[test]
fn what_was_sent_before_a_capture_that_joins_is_no_gap_and_what_it_misses_later_is_one() {
    let one = nth_update(0).len();
    let octets = updates(0..6);
    let mut decoder = Decoder::joining();
    let mut heard = Vec::new();
    let mut hear = |t: u64, from: usize, to: usize| {
        let seq = 100 + from as u32;
        let p = datagram(SPEAKER, PEER, seq, DATA, &octets[from..to]);
        decoder.push(t, LinkType::Raw, &p, &mut heard);
    };
    // The tail of a message whose beginning nobody saw, then whole ones; the fourth is missing.
    hear(1, 10, 3 * one);
    hear(2, 4 * one, 5 * one);
    hear(2 + 6 * SECOND, 5 * one, 6 * one);
    decoder.finish(&mut heard);
    assert_eq!(numbers(&heard), [1, 2, -1, 4, 5]);
}

#[test]
fn a_second_connection_of_the_same_ends_is_joined_by_nobody() {
    let mut decoder = Decoder::joining();
    let mut heard = Vec::new();
    for (seq, n) in [(100, 0), (100 + (1 << 30), 1)] {
        let p = datagram(SPEAKER, PEER, seq, DATA, &nth_update(n));
        decoder.push(1, LinkType::Raw, &p, &mut heard);
    }
    assert_eq!(numbers(&heard), [0, -1, 1]);
}
