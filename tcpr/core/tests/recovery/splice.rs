//! Both streams across a recovery: numbers, windows, options, addresses.

use tcpr_core::{Actions, Pattern};

use crate::trace::{OURS, PEERS, Trace, build, seg};
use crate::{busy, failed, syn};

#[test]
fn a_recovery_is_answered_locally_spliced_and_given_what_was_held() {
    let mut trace = busy();
    assert_eq!(trace.app(seg(100, 0).ack(50).flags("R")), "dropped; failed");
    assert_eq!(trace.peer(seg(50, 20).ack(40).ts(503, 102)), "held");
    assert_eq!(
        trace.peer(seg(30, 20).ack(40).ts(703, 102)),
        "held; peer is sent 100+0 ack 30 win 993 ts 102 502",
        "a retransmission is answered with the checkpoint"
    );
    assert_eq!(trace.recover(), "base 40");
    trace.inside = 7777;
    assert_eq!(
        trace.app(syn()),
        "dropped; app is sent S 29+0 ack 0 win 4000 mss 1460 ws 2 sackok ts 503 9000",
        "it begins before the checkpoint, with the smallest timestamp that is held"
    );
    assert_eq!(
        trace.app(seg(0, 0).ack(30).win(2000).ts(9001, 503)),
        "peer gets 40+0 ack 30 win 2000 ts 103 503; spliced; replay until 8030; \
         app gets 50+20 ack 0 win 1000 ts 503 9000; app gets 30+20 ack 0 win 1000 ts 503 9000",
        "with one timestamp: in order of their numbers, those of retransmissions would go back"
    );
    assert_eq!(
        trace.app(seg(0, 60).ack(70).win(1990).ts(9002, 703)),
        "peer gets 40+60 ack 30 win 2000 ts 104 703"
    );
    assert_eq!(
        trace.peer(seg(70, 5).ack(100).ts(710, 104)),
        "app gets 70+5 ack 60 win 1000 ts 710 9002; acked 100"
    );
}

#[test]
fn the_peer_gets_its_own_timestamps_back_and_not_those_lowered_for_held_segments() {
    let mut trace = failed();
    trace.peer(seg(50, 20).ack(40).ts(503, 102));
    trace.peer(seg(30, 20).ack(40).ts(30_703, 102));
    trace.recovered(7777, 9000);
    // The local TCP echoes what it was told: to the peer that were a round trip of 30 seconds.
    assert_eq!(
        trace.app(seg(0, 60).ack(70).win(1990).ts(9002, 503)),
        "peer gets 40+60 ack 30 win 2000 ts 104 30703"
    );
    // From then on it echoes what the peer has sent.
    trace.peer(seg(70, 5).ack(100).ts(30_800, 104));
    assert_eq!(
        trace.app(seg(60, 1).ack(75).win(1990).ts(9003, 30_800)),
        "peer gets 100+1 ack 30 win 2001 ts 105 30800"
    );
}

#[test]
fn the_peer_may_acknowledge_what_the_new_tcp_has_not_sent_yet() {
    let mut trace = failed();
    trace.recovered(7777, 9000);
    assert_eq!(
        trace.peer(seg(50, 0).ack(100).ts(600, 102)),
        "app gets 50+0 ack 0 win 1000 ts 600 9000; acked 100"
    );
    trace.app(seg(0, 10).ack(30).ts(9002, 502));
    assert_eq!(
        trace.peer(seg(50, 0).ack(100).ts(601, 102)),
        "app gets 50+0 ack 10 win 1000 ts 601 9000"
    );
}

#[test]
fn an_acknowledgment_raised_to_the_base_does_not_widen_the_window() {
    let mut trace = busy();
    trace.app(seg(100, 0).ack(50).flags("R"));
    assert_eq!(trace.peer(seg(50, 4).ack(0).ts(503, 102)), "held");
    trace.recover();
    trace.inside = 7777;
    trace.app(syn());
    let said = trace.app(seg(0, 0).ack(30).ts(9001, 503));
    assert!(
        said.ends_with("app gets 50+4 ack 0 win 990 ts 503 9000"),
        "{said}"
    );
}

#[test]
fn selective_acknowledgments_are_shifted_and_those_of_octets_unsent_erased() {
    let mut trace = failed();
    trace.recovered(7777, 9000);
    trace.app(seg(0, 50).ack(30).ts(9002, 502));
    assert_eq!(
        trace.peer(seg(50, 0).ack(40).ts(600, 104).sack(60, 80)),
        "app gets 50+0 ack 0 win 1000 ts 600 9002 sack 20-40"
    );
    assert_eq!(
        trace.peer(seg(50, 0).ack(40).ts(600, 104).sack(60, 100)),
        "app gets 50+0 ack 0 win 1000 ts 600 9002"
    );
}

#[test]
fn another_window_scale_is_translated_rounding_down() {
    let mut trace = failed();
    trace.recover();
    trace.inside = 7777;
    let mut syn = syn();
    syn.ws = Some(0);
    trace.app(syn);
    assert_eq!(
        trace.app(seg(0, 0).ack(30).win(4003).ts(9001, 502)),
        "peer gets 40+0 ack 30 win 1000 ts 103 502; spliced"
    );
    assert_eq!(
        trace.app(seg(0, 1).ack(30).win(3999).ts(9001, 502)),
        "peer gets 40+1 ack 30 win 999 ts 103 502"
    );
}

#[test]
fn a_window_below_one_unit_of_the_peers_scale_is_rounded_up_and_what_exceeds_it_held() {
    let mut trace = Trace::new();
    let mut wide = seg(0, 0).syn();
    wide.ws = Some(14);
    trace.peer(seg(0, 0).syn());
    trace.app(wide.flags("SA").ack(0));
    trace.peer(seg(0, 0).ack(0));
    trace.hard = Some(trace.tcpr.register(trace.now, &trace.flow).unwrap());
    trace.app(seg(0, 0).ack(0).win(4).flags("R"));
    trace.recover();
    trace.inside = 7777;
    let mut narrow = seg(0, 0).syn();
    narrow.ws = Some(0);
    trace.app(narrow);
    // It offers 3000 octets, the peer reads units of 16384.
    assert_eq!(
        trace.app(seg(0, 0).ack(0).win(3000)),
        "peer gets 0+0 ack 0 win 1; spliced"
    );
    trace.app(seg(0, 10).ack(0).win(3000));
    assert_eq!(
        trace.peer(seg(0, 1448).ack(0)),
        "app gets 0+1448 ack 0 win 1000"
    );
    trace.app(seg(10, 0).ack(1448).win(1552));
    assert_eq!(
        trace.peer(seg(1448, 1448).ack(10)),
        "app gets 1448+1448 ack 10 win 1000; acked 10"
    );
    // The third does not fit into what is left: only what it acknowledges is passed on.
    assert_eq!(
        trace.peer(seg(2896, 1448).ack(10)),
        "held; app is sent 1448+0 ack 10 win 1000; replay until 3000".replace("1448+0", "2896+0")
    );
    // The application has read: the local TCP offers more.
    let said = trace.app(seg(10, 0).ack(2896).win(3000));
    assert!(
        said.contains("replay until 5896; app gets 2896+1448 ack 10"),
        "{said}"
    );
}

#[test]
fn a_bare_acknowledgment_beyond_the_local_edge_is_passed_on_and_not_held() {
    let mut trace = failed();
    trace.recovered(7777, 9000);
    // Room for 20 octets, where the peer was promised more.
    trace.app(seg(0, 30).ack(30).win(5).ts(9002, 502));
    assert_eq!(
        trace.peer(seg(90, 0).ack(60).ts(601, 103)),
        "dropped; acked 60; app is sent 30+0 ack 20 win 1000 ts 502 9001"
    );
    assert_eq!(
        trace.peer(seg(30, 20).ack(60).ts(602, 103)),
        "app gets 30+20 ack 20 win 1000 ts 602 9001",
        "nothing is held that makes this older"
    );
}

#[test]
fn an_acknowledgment_passed_on_for_what_is_held_does_not_widen_the_window() {
    let mut trace = failed();
    trace.recovered(7777, 9000);
    trace.app(seg(0, 30).ack(30).win(5).ts(9002, 502));
    // Late: it acknowledges 20 octets less than the new local TCP began with.
    assert_eq!(
        trace.peer(seg(90, 10).ack(20).ts(601, 103)),
        "held; app is sent 30+0 ack 0 win 995 ts 601 9001; replay until 50"
    );
}

#[test]
fn what_is_held_makes_nothing_older_than_what_the_local_tcp_was_given() {
    let mut trace = failed();
    trace.recovered(7777, 9000);
    trace.app(seg(0, 30).ack(30).win(5).ts(9002, 502));
    trace.peer(seg(30, 10).ack(60).ts(602, 103));
    // It was overtaken on its way.
    assert!(
        trace
            .peer(seg(90, 10).ack(60).ts(601, 103))
            .starts_with("held")
    );
    assert_eq!(
        trace.peer(seg(40, 10).ack(60).ts(603, 103)),
        "app gets 40+10 ack 20 win 1000 ts 602 9001"
    );
}

#[test]
fn an_acknowledgment_that_is_sent_late_is_brought_up_to_date() {
    let mut trace = Trace::live();
    trace.app(seg(0, 0).ack(0).ts(101, 501));
    trace.peer(seg(0, 100).ack(0).ts(502, 101));
    let mut actions = Actions::new();
    let answer = trace
        .tcpr
        .checkpoint(trace.now, &trace.flow, 100, &mut actions);
    assert!(answer.is_ok());
    let Some(tcpr_core::Action::Inject { mut segment, .. }) = actions.pop() else {
        panic!("nothing is sent");
    };
    // Before it is, a segment of the local TCP passes.
    trace.app(seg(0, 10).ack(100).ts(105, 502));
    trace.tcpr.renew(&mut segment);
    assert_eq!(segment.timestamps.unwrap().value, 105);
    assert_eq!(segment.sequence, OURS.wrapping_add(11));
}

#[test]
fn timestamps_never_go_back_for_the_peer() {
    let mut trace = failed();
    // The new host's clock is far behind.
    trace.recovered(7777, 3);
    assert_eq!(
        trace.app(seg(0, 1).ack(30).ts(5, 502)),
        "peer gets 40+1 ack 30 win 1000 ts 104 502"
    );
    assert_eq!(
        trace.app(seg(1, 1).ack(30).ts(2, 502)),
        "peer gets 41+1 ack 30 win 1000 ts 104 502",
        "not even when the local TCP's do"
    );
    assert_eq!(
        trace.peer(seg(50, 0).ack(42).ts(600, 104)),
        "app gets 50+0 ack 2 win 1000 ts 600 5; acked 42"
    );
}

#[test]
fn a_connection_can_be_recovered_again_and_again() {
    let mut trace = failed();
    for round in 1..50_u32 {
        trace.recovered(round.wrapping_mul(0x9e37_79b9), 9000 * round);
        let base = 40 + i64::from(round - 1) * 10;
        assert_eq!(
            trace.app(seg(0, 10).ack(30).ts(9000 * round, 502)),
            format!("peer gets {base}+10 ack 30 win 1000 ts 102 502")
        );
        trace.peer(seg(50, 0).ack(base + 10).ts(503, 102));
    }
    assert_eq!(trace.tcpr.counters().recoveries, 49);
}

#[test]
fn done_writing_is_unset_by_a_recovery() {
    let mut trace = Trace::live();
    trace.app(seg(0, 10).ack(0).ts(101, 501));
    trace.done_writing(10);
    trace.app(seg(10, 0).ack(0).flags("R"));
    trace.recovered(7777, 9000);
    let said = trace.app(seg(0, 10).ack(0).flags("F").ts(9002, 501));
    assert!(said.ends_with("app is sent R 0+0 win 0; failed"), "{said}");
}

#[test]
fn the_new_tcp_may_have_another_port_than_the_peer_sees() {
    let mut trace = failed();
    let mut hard = trace.hard.unwrap();
    hard.incarnation = 1;
    hard.inside_port = Some(1790);
    assert_eq!(trace.recover_as(hard), "base 40");
    trace.inside = 7777;
    trace.port = 1790;
    assert!(
        trace
            .app(syn())
            .starts_with("dropped; app is sent S 29+0 ack 0")
    );
    assert_eq!(
        trace.app(seg(0, 3).ack(30).ts(9001, 502)),
        "peer gets 40+3 ack 30 win 1000 ts 103 502; spliced"
    );
    let direction = tcpr_core::Direction::Inbound;
    let mut octets = build(
        trace.flow.remote,
        trace.flow.local,
        PEERS,
        OURS,
        &seg(50, 5).ack(43).ts(600, 103),
    );
    let mut packet = tcpr_core::packet::Packet::parse(&mut octets).unwrap();
    let _ = trace
        .tcpr
        .segment(trace.now, direction, &mut packet, &mut Actions::new());
    assert_eq!(packet.destination().port(), 1790);
}

#[test]
fn connections_to_a_peer_are_protected_from_this_side_too() {
    let mut trace = Trace::between("10.0.0.2:50000", "10.0.0.9:179");
    trace.tcpr.protect(Pattern::Remote(trace.flow.remote));
    trace.app(seg(0, 0).syn().ts(100, 0));
    trace.peer(seg(0, 0).syn().flags("SA").ack(0).ts(500, 100));
    // connect() has returned, and the acknowledgment is still on its way.
    trace.hard = Some(trace.tcpr.register(trace.now, &trace.flow).unwrap());
    assert_eq!(
        trace.app(seg(0, 0).ack(0).ts(101, 500)),
        "peer gets 0+0 ack 0 win 1000 ts 101 500"
    );
    trace.app(seg(0, 0).ack(0).flags("R"));
    assert_eq!(trace.recover(), "base 0");
}

#[test]
fn icmp_errors_about_our_segments_are_translated() {
    let mut trace = failed();
    trace.recovered(7777, 9000);
    let local = trace.flow.local;
    let embedded = build(local, trace.flow.remote, OURS, PEERS, &seg(40, 0).ack(30));
    // RFC 792: type 3, code 4, then the header and 8 octets of what was sent.
    let octets = etherparse::PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).icmpv4(
        etherparse::Icmpv4Type::DestinationUnreachable(
            etherparse::icmpv4::DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: 1000 },
        ),
    );
    let mut packet = Vec::new();
    octets.write(&mut packet, &embedded[..28]).unwrap();
    let mut error = tcpr_core::packet::IcmpError::parse(&mut packet).unwrap();
    assert_eq!(
        trace.tcpr.icmp(&mut error),
        tcpr_core::Verdict::Forward { edited: true }
    );
    assert_eq!(error.sequence(), 7778, "in the numbers of the local TCP");
}
