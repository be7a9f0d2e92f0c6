//! A connection while its local TCP lives.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod trace;

use trace::{Trace, seg};

#[test]
fn a_handshake_passes_but_for_options_that_nobody_could_keep() {
    let mut trace = Trace::new();
    let mut syn = seg(0, 0).syn();
    // MSS 1460, SACK permitted, an option of unknown kind 254, and fast open (34).
    syn.raw = vec![2, 4, 5, 180, 4, 2, 254, 4, 1, 2, 34, 2];
    assert_eq!(trace.peer(syn), "app gets S -1+0 win 1000 mss 1460 sackok");
    assert_eq!(
        trace.app(seg(0, 0).syn().flags("SA").ack(0)),
        "peer gets S -1+0 ack 0 win 1000 mss 1460 ws 2 sackok"
    );
    assert_eq!(
        trace.peer(seg(0, 0).ack(0)),
        "app gets 0+0 ack 0 win 1000; established"
    );
}

#[test]
fn connections_that_nobody_protects_pass_untouched() {
    let mut trace = Trace::between("10.0.0.2:180", "10.0.0.9:4000");
    trace
        .tcpr
        .unprotect(&tcpr_core::Pattern::Local(trace.flow.local));
    assert_eq!(
        trace.peer(seg(0, 0).syn()),
        "app gets S -1+0 win 1000 mss 1460 ws 2 sackok"
    );
    assert_eq!(
        trace.app(seg(5, 10).ack(3)),
        "peer gets 5+10 ack 3 win 1000"
    );
    assert_eq!(
        trace.app(seg(5, 0).ack(3).flags("R")),
        "peer gets R 5+0 ack 3 win 1000"
    );
    assert_eq!(trace.tcpr.list(trace.now).count(), 0);
}

#[test]
fn the_unspecified_address_stands_for_every_one_of_its_family() {
    let flow = Trace::new().flow;
    let covers = |pattern: tcpr_core::Pattern| pattern.covers(&flow);
    assert!(covers(tcpr_core::Pattern::Local(
        "0.0.0.0:179".parse().unwrap()
    )));
    assert!(!covers(tcpr_core::Pattern::Local(
        "0.0.0.0:180".parse().unwrap()
    )));
    assert!(!covers(tcpr_core::Pattern::Local(
        "[::]:179".parse().unwrap()
    )));
    assert!(covers(tcpr_core::Pattern::Remote(
        "10.0.0.9:4000".parse().unwrap()
    )));
    assert!(!covers(tcpr_core::Pattern::Remote(flow.local)));
}

#[test]
fn a_simultaneous_open_is_followed() {
    let mut trace = Trace::new();
    trace.app(seg(0, 0).syn());
    trace.peer(seg(0, 0).syn());
    trace.app(seg(0, 0).syn().flags("SA").ack(0));
    trace.peer(seg(0, 0).syn().flags("SA").ack(0));
    assert_eq!(
        trace.app(seg(0, 0).ack(0)),
        "peer gets 0+0 ack 0 win 1000; established"
    );
    assert!(trace.tcpr.register(trace.now, &trace.flow).is_ok());
}

#[test]
fn an_acknowledgment_is_pulled_back_to_the_checkpoint_and_the_window_given_back() {
    let mut trace = Trace::live();
    trace.app(seg(0, 0).ack(0).ts(101, 501));
    assert_eq!(
        trace.peer(seg(0, 400).ack(0).ts(502, 101)),
        "app gets 0+400 ack 0 win 1000 ts 502 101"
    );
    // The local TCP offers 40 scale units less than it acknowledges: the right edge moves.
    assert_eq!(
        trace.app(seg(0, 0).ack(400).win(940).ts(102, 502)),
        "peer gets 0+0 ack 0 win 1040 ts 102 502"
    );
    assert_eq!(
        trace.checkpoint(200),
        "ok; peer is sent 0+0 ack 200 win 990 ts 102 502"
    );
    assert_eq!(
        trace.checkpoint(400),
        "ok; peer is sent 0+0 ack 400 win 940 ts 102 502"
    );
}

#[test]
fn the_window_given_back_is_rounded_down_and_never_more_than_can_be_written() {
    let mut trace = Trace::live();
    trace.peer(seg(0, 3).ack(0).ts(502, 101));
    assert_eq!(
        trace.app(seg(0, 0).ack(3).win(1000).ts(102, 502)),
        "peer gets 0+0 ack 0 win 1000 ts 102 502"
    );
    assert_eq!(
        trace.app(seg(0, 0).ack(3).win(65535).ts(103, 502)),
        "peer gets 0+0 ack 0 win 65535 ts 103 502"
    );
}

#[test]
fn an_acknowledgment_that_only_repeats_is_dropped_lest_it_read_as_a_loss() {
    let mut trace = Trace::live();
    trace.app(seg(0, 0).ack(0).ts(101, 501));
    for at in 0..4 {
        trace.peer(seg(at * 100, 100).ack(0).ts(502, 101));
        let same_edge = 1000 - (at as u16 + 1) * 25;
        assert_eq!(
            trace.app(seg(0, 0).ack((at + 1) * 100).win(same_edge).ts(102, 502)),
            "dropped"
        );
    }
    assert_eq!(trace.tcpr.counters().acks_dropped, 4);
}

#[test]
fn an_acknowledgment_with_data_a_fin_sack_or_another_window_is_never_dropped() {
    let mut trace = Trace::live();
    trace.app(seg(0, 0).ack(0).ts(101, 501));
    assert_eq!(
        trace.app(seg(0, 0).ack(0).win(1001).ts(102, 501)),
        "peer gets 0+0 ack 0 win 1001 ts 102 501"
    );
    assert_eq!(
        trace.app(seg(0, 0).ack(0).win(1001).ts(102, 501).sack(50, 60)),
        "peer gets 0+0 ack 0 win 1001 ts 102 501 sack 50-60"
    );
    assert_eq!(
        trace.app(seg(0, 1).ack(0).win(1001).ts(102, 501)),
        "peer gets 0+1 ack 0 win 1001 ts 102 501"
    );
    trace.done_writing(1);
    assert_eq!(
        trace.app(seg(1, 0).ack(0).win(1001).flags("F").ts(103, 501)),
        "peer gets F 1+0 ack 0 win 1001 ts 103 501"
    );
}

#[test]
fn keepalives_and_window_probes_of_the_local_tcp_are_never_dropped() {
    let mut trace = Trace::live();
    trace.app(seg(0, 10).ack(0).ts(101, 501));
    trace.peer(seg(0, 0).ack(10).ts(502, 101));
    trace.app(seg(10, 0).ack(0).ts(102, 502));
    assert_eq!(
        trace.app(seg(9, 0).ack(0).ts(103, 502)),
        "peer gets 9+0 ack 0 win 1000 ts 103 502"
    );
}

#[test]
fn a_retransmission_a_keepalive_and_a_hole_get_their_answer() {
    let mut trace = Trace::live();
    trace.peer(seg(0, 100).ack(0).ts(502, 101));
    trace.app(seg(0, 0).ack(100).win(975).ts(102, 502));
    let again = "peer gets 0+0 ack 0 win 1000 ts 103 503";
    // Not checkpointed, so the peer sends it again.
    trace.peer(seg(0, 100).ack(0).ts(503, 101));
    assert_eq!(trace.app(seg(0, 0).ack(100).win(975).ts(103, 503)), again);
    assert_eq!(
        trace.app(seg(0, 0).ack(100).win(975).ts(103, 503)),
        "dropped"
    );
    // A keepalive.
    trace.peer(seg(99, 0).ack(0).ts(503, 101));
    assert_eq!(trace.app(seg(0, 0).ack(100).win(975).ts(103, 503)), again);
    // Behind a hole: each segment asks for a repeated acknowledgment.
    trace.peer(seg(200, 100).ack(0).ts(503, 101));
    trace.peer(seg(300, 100).ack(0).ts(503, 101));
    for expected in [again, again, "dropped"] {
        assert_eq!(
            trace.app(seg(0, 0).ack(100).win(975).ts(103, 503)),
            expected
        );
    }
}

#[test]
fn a_selective_acknowledgment_that_the_checkpoint_has_passed_is_erased() {
    let overtaken = |data| {
        let mut trace = Trace::live();
        trace.peer(seg(0, 50).ack(0).ts(502, 100));
        trace.peer(seg(60, 40).ack(0).ts(502, 100));
        // While our answer waits to be judged, the hole is filled, and all is read and checkpointed.
        trace.peer(seg(50, 10).ack(0).ts(503, 100));
        trace.checkpoint(100);
        trace.app(seg(0, data).ack(50).win(988).ts(102, 502).sack(60, 100))
    };
    // The peer would take a block before the acknowledgment for octets that came twice.
    assert_eq!(overtaken(10), "peer gets 0+10 ack 100 win 975 ts 102 502");
    assert_eq!(overtaken(0), "peer gets 0+0 ack 100 win 975 ts 102 502");
}

#[test]
fn a_checkpoint_beyond_a_delayed_acknowledgment_is_told_at_once() {
    let mut trace = Trace::live();
    trace.app(seg(0, 0).ack(0).ts(101, 501));
    trace.peer(seg(0, 100).ack(0).ts(502, 101));
    // The application has read what its TCP has not acknowledged yet.
    assert_eq!(
        trace.checkpoint(100),
        "ok; peer is sent 0+0 ack 100 win 975 ts 101 502"
    );
    assert_eq!(
        trace.app(seg(0, 0).ack(100).win(975).ts(140, 502)),
        "dropped",
        "the delayed acknowledgment says nothing new"
    );
}

#[test]
fn a_checkpoint_that_goes_back_or_beyond_the_input_is_refused_and_changes_nothing() {
    let mut trace = Trace::live();
    trace.peer(seg(0, 100).ack(0).ts(502, 101));
    trace.app(seg(0, 0).ack(100).win(975).ts(102, 502));
    trace.checkpoint(60);
    assert_eq!(
        trace.checkpoint(59),
        "refused: checkpoint 59 lies before 60, which the peer has been told"
    );
    assert_eq!(
        trace.checkpoint(101),
        "refused: checkpoint 101 lies beyond 100, the end of what the peer has sent"
    );
    assert_eq!(
        trace.checkpoint(u64::MAX),
        "refused: checkpoint 18446744073709551615 lies beyond 100, the end of what the peer has sent"
    );
    assert_eq!(
        trace.checkpoint(60),
        "ok",
        "the same again is no error, and nothing to tell"
    );
    assert_eq!(trace.tcpr.counters().refused_requests, 3);
}

#[test]
fn a_segment_that_begins_within_the_window_is_input_to_its_end() {
    let mut trace = Trace::live();
    trace.app(seg(0, 0).ack(0).win(100).ts(101, 501));
    trace.peer(seg(0, 450).ack(0).ts(502, 101));
    assert!(trace.checkpoint(450).starts_with("ok"));
}

#[test]
fn done_reading_lets_the_local_tcp_acknowledge() {
    let mut trace = Trace::live();
    trace.peer(seg(0, 100).ack(0).ts(502, 101));
    trace.app(seg(0, 0).ack(100).win(975).ts(102, 502));
    assert_eq!(
        trace.done_reading(),
        "ok; peer is sent 0+0 ack 100 win 975 ts 102 502"
    );
    trace.peer(seg(100, 100).ack(0).ts(503, 102));
    assert_eq!(
        trace.app(seg(0, 0).ack(200).win(950).ts(103, 503)),
        "peer gets 0+0 ack 200 win 950 ts 103 503"
    );
}

#[test]
fn a_late_old_acknowledgment_moves_nothing_back() {
    let mut trace = Trace::live();
    trace.app(seg(0, 100).ack(0).ts(101, 501));
    assert_eq!(
        trace.peer(seg(0, 0).ack(80).ts(503, 101)),
        "app gets 0+0 ack 80 win 1000 ts 503 101; acked 80"
    );
    assert_eq!(
        trace.peer(seg(0, 0).ack(40).ts(502, 101)),
        "app gets 0+0 ack 40 win 1000 ts 502 101"
    );
    assert_eq!(trace.recover(), "base 80");
}

#[test]
fn a_reset_of_the_local_tcp_never_reaches_the_peer() {
    let mut trace = Trace::live();
    trace.app(seg(0, 100).ack(0).ts(101, 501));
    assert_eq!(trace.app(seg(100, 0).ack(0).flags("R")), "dropped; failed");
    assert_eq!(trace.tcpr.counters().resets_masked, 1);
}

#[test]
fn a_reset_outside_of_the_window_does_not_even_mean_failure() {
    let mut trace = Trace::live();
    trace.app(seg(0, 100).ack(0).ts(101, 501));
    assert_eq!(trace.app(seg(90_000, 0).ack(0).flags("R")), "dropped");
    assert_eq!(trace.tcpr.counters().fenced, 1);
    assert_eq!(
        trace.app(seg(100, 10).ack(0).ts(102, 501)),
        "peer gets 100+10 ack 0 win 1000 ts 102 501"
    );
}

#[test]
fn a_fin_that_is_not_meant_is_met_with_a_reset_of_exactly_its_acknowledgment() {
    let mut trace = Trace::live();
    trace.peer(seg(0, 30).ack(0).ts(502, 101));
    assert_eq!(
        trace.app(seg(0, 10).ack(30).flags("F").ts(103, 502)),
        "peer gets 0+10 ack 0 win 1007 ts 103 502; app is sent R 30+0 win 0; failed",
        "the data in front of it is the application's, and goes on"
    );
    assert_eq!(trace.tcpr.counters().fins_masked, 1);
}

#[test]
fn a_fin_that_is_meant_goes_out_with_a_clamped_acknowledgment() {
    let mut trace = Trace::live();
    trace.peer(seg(0, 30).ack(0).ts(502, 101));
    assert_eq!(trace.done_writing(10), "ok");
    assert_eq!(
        trace.app(seg(0, 10).ack(30).flags("F").ts(103, 502)),
        "peer gets F 0+10 ack 0 win 1007 ts 103 502"
    );
}

#[test]
fn a_fin_before_the_end_that_was_announced_is_a_crash() {
    let mut trace = Trace::live();
    trace.done_writing(100);
    assert_eq!(
        trace.app(seg(0, 10).ack(0).flags("F").ts(103, 501)),
        "peer gets 0+10 ack 0 win 1000 ts 103 501; app is sent R 0+0 win 0; failed"
    );
}

#[test]
fn output_cannot_end_before_what_was_sent() {
    let mut trace = Trace::live();
    trace.app(seg(0, 10).ack(0).ts(103, 501));
    assert_eq!(
        trace.done_writing(9),
        "refused: the output cannot end at 9: 10 octets of it have been sent"
    );
}

#[test]
fn both_fins_acknowledged_end_the_connection() {
    let mut trace = Trace::live();
    trace.done_writing(10);
    trace.app(seg(0, 10).ack(0).flags("F").ts(101, 501));
    assert_eq!(
        trace.peer(seg(0, 5).ack(11).flags("F").ts(502, 101)),
        "app gets F 0+5 ack 11 win 1000 ts 502 101; acked 10",
        "a FIN is no output"
    );
    assert_eq!(
        trace.app(seg(11, 0).ack(6).win(999).ts(102, 502)),
        "dropped"
    );
    assert_eq!(
        trace.checkpoint(6),
        "ok; peer is sent 11+0 ack 6 win 999 ts 101 502; closed Finished",
        "the peer's FIN counts one"
    );
    // The peer has not got our last acknowledgment.
    assert_eq!(
        trace.peer(seg(5, 0).ack(11).flags("F").ts(600, 101)),
        "dropped; peer is sent 11+0 ack 6 win 999 ts 101 502"
    );
    assert!(trace.tcpr.done(&trace.flow).is_ok());
    trace.after(60_000);
    assert_eq!(trace.tick(), "removed");
}

#[test]
fn half_closed_each_way_goes_on_the_other_way() {
    let mut trace = Trace::live();
    trace.peer(seg(0, 0).ack(0).flags("F").ts(502, 100));
    assert_eq!(
        trace.app(seg(0, 100).ack(1).ts(102, 502)),
        "peer gets 0+100 ack 0 win 1000 ts 102 502"
    );
    let mut trace = Trace::live();
    trace.done_writing(0);
    trace.app(seg(0, 0).ack(0).flags("F").ts(101, 501));
    assert_eq!(
        trace.peer(seg(0, 100).ack(1).ts(502, 101)),
        "app gets 0+100 ack 1 win 1000 ts 502 101"
    );
}

#[test]
fn a_reset_of_the_peer_with_the_very_number_ends_the_connection() {
    let mut trace = Trace::live();
    trace.peer(seg(0, 100).ack(0).ts(502, 101));
    trace.app(seg(0, 0).ack(100).win(975).ts(102, 502));
    // The peer has lost the connection and answers what it was told: 0, not 100.
    assert_eq!(
        trace.peer(seg(0, 0).flags("R")),
        "app gets R 100+0 win 1000; closed ResetByPeer",
        "the local TCP believes only the number that it expects"
    );
    assert_eq!(trace.peer(seg(0, 0).flags("R")), "dropped");
}

#[test]
fn a_reset_where_only_the_acknowledgment_of_our_fin_lacks_ends_the_connection_well() {
    let mut trace = Trace::last_ack();
    // The peer has waited in TIME-WAIT, and its acknowledgments were lost.
    assert_eq!(
        trace.peer(seg(11, 0).flags("R")),
        "dropped; closed Finished"
    );
    assert_eq!(
        trace.app(seg(5, 0).ack(11).flags("F").ts(104, 503)),
        "dropped; app is sent 11+0 ack 6 win 1000 ts 503 104",
        "the local TCP is told what it waits for"
    );
}

#[test]
fn a_reset_within_the_window_is_challenged_and_one_outside_ignored() {
    let mut trace = Trace::live();
    trace.app(seg(0, 0).ack(0).ts(101, 501));
    assert_eq!(
        trace.peer(seg(7, 0).flags("R")),
        "dropped; peer is sent 0+0 ack 0 win 1000 ts 101 501"
    );
    assert_eq!(trace.peer(seg(100_000, 0).flags("R")), "dropped");
    assert_eq!(trace.peer(seg(-1000, 0).flags("R")), "dropped");
    assert_eq!(trace.tcpr.counters().resets_refused, 2);
}

#[test]
fn a_syn_of_the_peer_on_an_established_connection_is_challenged() {
    let mut trace = Trace::live();
    trace.app(seg(0, 0).ack(0).ts(101, 501));
    assert_eq!(
        trace.peer(seg(0, 0).syn().ts(9, 0)),
        "dropped; peer is sent 0+0 ack 0 win 1000 ts 101 501"
    );
}

#[test]
fn a_local_tcp_that_is_silent_is_answered_for() {
    let mut trace = Trace::live();
    trace.app(seg(0, 0).ack(0).ts(101, 501));
    trace.peer(seg(0, 100).ack(0).ts(502, 101));
    trace.after(1500);
    assert_eq!(
        trace.peer(seg(0, 100).ack(0).ts(902, 101)),
        "app gets 0+100 ack 0 win 1000 ts 902 101; peer is sent 0+0 ack 0 win 1000 ts 101 502"
    );
}

#[test]
fn a_signed_connection_passes_untouched_and_cannot_be_registered() {
    let mut trace = Trace::new();
    let mut syn = seg(0, 0).syn();
    syn.raw = [vec![19, 18], vec![7; 16], vec![1, 1]].concat();
    trace.peer(syn);
    assert_eq!(
        trace.app(seg(77, 3).ack(9)),
        "peer gets 77+3 ack 9 win 1000"
    );
    let refusal = trace.tcpr.register(trace.now, &trace.flow).unwrap_err();
    assert_eq!(refusal, tcpr_core::Refusal::Signed);
}

#[test]
fn a_flood_of_syns_evicts_handshakes_and_no_connection() {
    let mut trace = Trace::live();
    let mut actions = tcpr_core::Actions::new();
    for port in 0..10_000_u16 {
        let from = std::net::SocketAddr::new(trace.flow.remote.ip(), 10_000 + port);
        let mut octets = trace::build(from, trace.flow.local, 1, 0, &seg(0, 0).syn());
        let mut packet = tcpr_core::packet::Packet::parse(&mut octets).unwrap();
        let _ = trace.tcpr.segment(
            trace.now,
            tcpr_core::Direction::Inbound,
            &mut packet,
            &mut actions,
        );
        assert!(actions.is_empty());
    }
    assert_eq!(trace.tcpr.counters().half_open_evicted, 10_000 - 4096);
    assert_eq!(trace.tcpr.list(trace.now).count(), 1);
    trace.after(61_000);
    trace.tick();
    assert_eq!(trace.tcpr.deadline(), None, "handshakes expire");
}

#[test]
fn a_forged_reset_does_not_take_the_protection_from_a_handshake() {
    let mut trace = Trace::new();
    trace.peer(seg(0, 0).syn());
    trace.peer(seg(5000, 0).flags("R"));
    trace.app(seg(0, 0).syn().flags("SA").ack(0));
    assert_eq!(
        trace.peer(seg(0, 0).ack(0)),
        "app gets 0+0 ack 0 win 1000; established"
    );
}

#[test]
fn ipv6_is_protected_alike() {
    let mut trace = Trace::live_between(Trace::v6(), true);
    trace.peer(seg(0, 400).ack(0).ts(502, 101));
    assert_eq!(
        trace.app(seg(0, 7).ack(400).win(940).ts(102, 502)),
        "peer gets 0+7 ack 0 win 1040 ts 102 502"
    );
}

#[test]
fn a_bare_acknowledgment_does_not_tell_the_peer_of_octets_that_were_fenced_off() {
    let mut trace = Trace::live();
    trace.app(seg(0, 10).ack(0).ts(101, 501));
    // Beyond the window: it is dropped, and what the local TCP says next has its number.
    let said = trace.app(seg(10, 60_000).ack(0).ts(102, 501));
    assert_eq!(said, "dropped");
    trace.peer(seg(0, 10).ack(10).win(30_000).ts(502, 101));
    let said = trace.app(seg(60_010, 0).ack(10).ts(103, 502));
    assert!(said.starts_with("peer gets 10+0 ack 0"), "{said}");
    assert_eq!(trace.done_writing(10), "ok");
}
