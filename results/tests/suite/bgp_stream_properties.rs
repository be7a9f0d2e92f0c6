//! What holds of a stream of messages whatever the packets do.

use proptest::prelude::*;
use results::bgp::LinkType;

use crate::bgp_streams::{numbers, updates};
use crate::speaker::{DATA, FIN, Listener, SYN};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// However a stream is cut, repeated and shuffled, and wherever its numbers wrap, the
    /// messages are those that were sent, in their order.
    #[test]
    fn messages_survive_any_order_of_overlapping_segments(
        isn in prop_oneof![any::<u32>(), (u32::MAX - 3000)..=u32::MAX],
        count in 1u32..60,
        cuts in prop::collection::vec((0usize..6000, 1usize..900), 0..40),
        shuffle in any::<prop::sample::Index>(),
        seed in any::<u64>(),
    ) {
        let octets = updates(0..count);
        // Pieces that cover the stream, and others that overlap them.
        let mut pieces: Vec<(usize, usize)> = (0..octets.len())
            .step_by(300)
            .map(|at| (at, (at + 300).min(octets.len())))
            .collect();
        for (at, len) in cuts {
            let at = at % octets.len();
            pieces.push((at, (at + len).min(octets.len())));
        }
        let mut state = seed;
        for i in (1..pieces.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            pieces.swap(i, (state >> 33) as usize % (i + 1));
        }
        let again = pieces[shuffle.index(pieces.len())];
        pieces.push(again);
        let mut l = Listener::default();
        l.hear(0, isn, SYN, &[]);
        for (t, (from, to)) in pieces.into_iter().enumerate() {
            let seq = isn.wrapping_add(1).wrapping_add(from as u32);
            l.hear(t as u64, seq, DATA, &octets[from..to]);
        }
        let expected: Vec<i64> = (0..i64::from(count)).collect();
        prop_assert_eq!(numbers(&l.finish()), expected);
    }

    /// If any one segment is missing for good, every message that does not touch it is given,
    /// and the loss is told.
    #[test]
    fn one_lost_segment_costs_only_the_messages_it_touches(
        count in 2u32..60,
        size in 20usize..700,
        lost in any::<prop::sample::Index>(),
    ) {
        let octets = updates(0..count);
        let one = octets.len() / count as usize;
        let pieces: Vec<_> = (0..octets.len())
            .step_by(size)
            .map(|at| (at, (at + size).min(octets.len())))
            .collect();
        let (from, to) = pieces[lost.index(pieces.len())];
        let mut l = Listener::default();
        l.hear(0, 99, SYN, &[]);
        for (t, (a, b)) in pieces.into_iter().enumerate() {
            if a != from {
                l.hear(t as u64, 100 + a as u32, DATA, &octets[a..b]);
            }
        }
        l.hear(1_000_000, 100 + octets.len() as u32, FIN, &[]);
        let whole = (0..i64::from(count)).filter(|n| {
            let (a, b) = (*n as usize * one, (*n as usize + 1) * one);
            b <= from || a >= to
        });
        let heard = numbers(&l.finish());
        prop_assert_eq!(heard.iter().filter(|n| **n == -1).count(), 1);
        prop_assert_eq!(
            heard.into_iter().filter(|n| *n >= 0).collect::<Vec<_>>(),
            whole.collect::<Vec<_>>()
        );
    }

    /// Nothing on the wire makes the decoder panic or hold on to memory.
    #[test]
    fn no_input_makes_the_decoder_panic(
        packets in prop::collection::vec(
            (any::<u32>(), any::<(bool, bool, bool)>(), prop::collection::vec(
                prop_oneof![Just(0xffu8), any::<u8>()], 0..200)), 0..50),
        raw in prop::collection::vec(any::<u8>(), 0..100),
        link in 0usize..4,
    ) {
        let mut l = Listener::default();
        for (t, (seq, (syn, fin, rst), payload)) in packets.into_iter().enumerate() {
            l.hear(t as u64, seq % 4096, crate::speaker::Flags { syn, fin, rst }, &payload);
        }
        let link = [LinkType::Raw, LinkType::Ethernet, LinkType::LinuxSll, LinkType::LinuxSll2][link];
        l.decoder.push(99, link, &raw, &mut l.heard);
        l.finish();
    }

    /// A message whose octets were changed is a message, a malformed one, or lost; never a panic.
    #[test]
    fn no_damaged_message_makes_the_decoder_panic(
        mut octets in Just(updates(0..3)),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        for (at, value) in damage {
            let at = at.index(octets.len());
            octets[at] = value;
        }
        let mut l = Listener::default();
        l.hear(0, 99, SYN, &[]);
        l.hear(1, 100, DATA, &octets);
        l.finish();
    }
}
