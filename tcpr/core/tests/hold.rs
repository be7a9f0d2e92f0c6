//! What is held of one connection, and how it is given back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod trace;

use std::ops::Range;

use tcpr_core::packet::{Flags, Packet};
use tcpr_core::{Flow, Hard, HoldQueue, Stream, Verdict};
use trace::{Seg, build, seg};

/// Numbers wrap soon after octet 0.
const STREAM: Stream = Stream {
    initial: u32::MAX - 1000,
};
const OURS: Stream = Stream { initial: 0 };
const UNLIMITED: usize = usize::MAX;

fn flow() -> Flow {
    Flow {
        local: "198.18.0.1:179".parse().unwrap(),
        remote: "198.18.0.2:4000".parse().unwrap(),
    }
}

/// A segment of the peer.
fn of_peer(seg: &Seg) -> Vec<u8> {
    let Flow { local, remote } = flow();
    build(remote, local, STREAM.initial, OURS.initial, seg)
}

/// The octets that `seg` has there.
fn octets(range: Range<usize>) -> Vec<u8> {
    range.map(|at| at as u8).collect()
}

fn hold_within(queue: &mut HoldQueue, range: Range<usize>, limit: usize) -> bool {
    let mut octets = of_peer(&seg(range.start as i64, range.len()).ack(0));
    queue.hold(&Packet::parse(&mut octets).unwrap(), limit)
}

fn hold(queue: &mut HoldQueue, range: Range<usize>) {
    assert!(hold_within(queue, range, UNLIMITED));
}

fn replay_to(
    queue: &mut HoldQueue,
    until: i64,
    mss: u16,
    offer: impl FnMut(&mut Packet<'_>) -> Verdict,
) -> bool {
    let hard = Hard::begin(flow(), OURS, STREAM);
    let left = queue.replay(&hard, until, mss, &mut Vec::new(), offer);
    assert_eq!(left, !queue.is_empty());
    assert_eq!(left, queue.cost() > 0);
    left
}

/// What is given back: where each piece begins, and its payload.
fn replay(queue: &mut HoldQueue, until: i64, mss: u16) -> (Vec<(i64, Vec<u8>)>, bool) {
    let mut pieces = Vec::new();
    let left = replay_to(queue, until, mss, |piece| {
        assert!(piece.checksum_is_right());
        let position = STREAM.position(0, piece.sequence());
        pieces.push((position, piece.payload().to_vec()));
        Verdict::Forward { edited: true }
    });
    (pieces, left)
}

fn joined(pieces: &[(i64, Vec<u8>)]) -> Vec<u8> {
    let mut got: Vec<u8> = Vec::new();
    for (position, payload) in pieces {
        let position = usize::try_from(*position).unwrap();
        assert!(position <= got.len(), "a gap before {position}");
        got.truncate(position);
        got.extend_from_slice(payload);
    }
    got
}

#[test]
fn what_came_in_any_order_and_many_times_goes_back_in_order_and_once() {
    let mut queue = HoldQueue::new();
    for range in [
        3000..4000,
        0..1000,
        500..1000,
        1000..3000,
        1000..2000,
        0..1000,
        2000..3500,
    ] {
        hold(&mut queue, range);
    }
    let (pieces, left) = replay(&mut queue, 10_000, 600);
    assert!(!left);
    assert!(joined(&pieces) == octets(0..4000));
    assert!(pieces.iter().all(|(_, payload)| payload.len() <= 600));
    let all: usize = pieces.iter().map(|(_, payload)| payload.len()).sum();
    assert!(all <= 4000 + 1500, "{all}: what is covered is kept once");
}

#[test]
fn a_longer_segment_takes_the_place_of_those_it_covers() {
    let mut queue = HoldQueue::new();
    for start in [0, 100, 200, 300] {
        hold(&mut queue, start..start + 100);
    }
    let before = queue.cost();
    hold(&mut queue, 100..400);
    assert!(queue.cost() < before);
    let (pieces, _) = replay(&mut queue, 10_000, 1460);
    assert_eq!(pieces, [(0, octets(0..100)), (100, octets(100..400))]);
}

#[test]
fn beyond_the_limit_nothing_is_kept_and_what_is_there_stays() {
    let mut queue = HoldQueue::new();
    assert!(hold_within(&mut queue, 0..1000, 3000));
    assert!(hold_within(&mut queue, 1000..2000, 3000));
    let full = queue.cost();
    assert!((2000..=3000).contains(&full));
    assert!(!hold_within(&mut queue, 2000..3000, 3000));
    assert!(hold_within(&mut queue, 500..1000, 0), "it is there already");
    assert_eq!(queue.cost(), full);
    // What it replaces makes room for it.
    assert!(hold_within(&mut queue, 1000..2200, full + 200));
    assert_eq!(queue.cost(), full + 200);
    let (pieces, left) = replay(&mut queue, 10_000, 1460);
    assert!(joined(&pieces) == octets(0..2200) && !left);
}

#[test]
fn what_is_not_whole_is_not_kept() {
    let mut octets = of_peer(&seg(0, 100).ack(0));
    let there = octets.len() - 1;
    let mut queue = HoldQueue::new();
    let packet = Packet::parse(&mut octets[..there]).unwrap();
    assert!(!queue.hold(&packet, UNLIMITED));
    assert!(queue.is_empty());
}

#[test]
fn no_more_is_given_back_than_there_is_room_for() {
    let mut queue = HoldQueue::new();
    hold(&mut queue, 0..3000);
    let (first, left) = replay(&mut queue, 2500, 1000);
    assert!(left && joined(&first) == octets(0..2000));
    // Less room than a piece: as much as fits, or nothing would ever come.
    let (second, left) = replay(&mut queue, 2500, 1000);
    assert!(left);
    assert_eq!(second, [(2000, octets(2000..2500))]);
    let (none, left) = replay(&mut queue, 2500, 1000);
    assert!(left && none.is_empty());
    let (third, left) = replay(&mut queue, 4000, 1000);
    assert!(!left);
    assert_eq!(third, [(2500, octets(2500..3000))]);
}

#[test]
fn what_is_to_be_held_further_comes_again_later() {
    let mut queue = HoldQueue::new();
    hold(&mut queue, 0..500);
    assert!(replay_to(&mut queue, 1000, 1460, |_| Verdict::Hold));
    let (pieces, left) = replay(&mut queue, 1000, 1460);
    assert!(!left);
    assert_eq!(pieces, [(0, octets(0..500))]);
}

#[test]
fn a_fin_goes_with_the_last_octet_or_alone() {
    let mut queue = HoldQueue::new();
    for fin in [seg(0, 100), seg(100, 0)] {
        let mut octets = of_peer(&fin.ack(0).flags("F"));
        assert!(queue.hold(&Packet::parse(&mut octets).unwrap(), UNLIMITED));
    }
    let mut fins = Vec::new();
    replay_to(&mut queue, 1000, 60, |piece| {
        fins.push(piece.flags().contains(Flags::FIN));
        Verdict::Forward { edited: true }
    });
    assert_eq!(fins, [false, true]);
}

#[test]
fn a_new_local_tcp_is_offered_what_an_earlier_one_has_taken_of_a_segment() {
    let mut queue = HoldQueue::new();
    hold(&mut queue, 0..300);
    // There was room for a part of it.
    assert_eq!(replay(&mut queue, 200, 1460).0, [(0, octets(0..200))]);
    let recovered = Hard {
        incarnation: 1,
        spliced: 1,
        ..Hard::begin(flow(), OURS, STREAM)
    };
    let mut pieces = Vec::new();
    let left = queue.replay(&recovered, 1000, 1460, &mut Vec::new(), |piece| {
        pieces.push((STREAM.position(0, piece.sequence()), piece.payload().len()));
        Verdict::Forward { edited: true }
    });
    assert!(!left);
    assert_eq!(pieces, [(0, 300)]);
}

#[test]
fn what_comes_again_is_offered_again() {
    let mut queue = HoldQueue::new();
    hold(&mut queue, 0..300);
    assert_eq!(replay(&mut queue, 200, 1460).0, [(0, octets(0..200))]);
    // It was lost on its way to the local TCP, and the peer repeats it.
    hold(&mut queue, 100..300);
    let (pieces, left) = replay(&mut queue, 1000, 1460);
    assert!(!left);
    assert_eq!(pieces, [(100, octets(100..300))]);
}
