//! A new local TCP in the place of the old one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod trace;

use tcpr_core::{Actions, Pattern, Refusal};
use trace::{Seg, Trace, seg};

/// The peer has 40 of 100 octets; the application has checkpointed 30 of 50.
fn busy() -> Trace {
    let mut trace = Trace::live();
    trace.app(seg(0, 100).ack(0).ts(102, 501));
    trace.peer(seg(0, 50).ack(40).ts(502, 102));
    trace.app(seg(100, 0).ack(50).win(988).ts(102, 502));
    trace.checkpoint(30);
    trace
}

fn failed() -> Trace {
    let mut trace = busy();
    trace.app(seg(100, 0).ack(50).flags("R"));
    trace
}

fn syn() -> Seg {
    seg(0, 0).syn().ts(9000, 0)
}

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
fn a_repeated_syn_gets_the_same_answer_and_changes_nothing() {
    let mut trace = failed();
    trace.recover();
    trace.inside = 7777;
    let first = trace.app(syn());
    assert_eq!(trace.app(syn()), first);
    trace.app(seg(0, 0).ack(30).ts(9001, 502));
    assert_eq!(trace.app(syn()), first, "late, too");
    assert_eq!(
        trace.app(seg(0, 5).ack(30).ts(9002, 502)),
        "peer gets 40+5 ack 30 win 1000 ts 104 502"
    );
    assert_eq!(trace.tcpr.counters().recoveries, 1);
}

#[test]
fn the_base_that_was_given_is_the_one_that_is_used() {
    let mut trace = failed();
    assert_eq!(trace.recover(), "base 40");
    // A late acknowledgment comes in between.
    trace.peer(seg(50, 0).ack(90).ts(503, 102));
    trace.inside = 7777;
    trace.app(syn());
    trace.app(seg(0, 0).ack(30).ts(9001, 502));
    assert_eq!(
        trace.app(seg(0, 60).ack(30).ts(9002, 502)),
        "peer gets 40+60 ack 30 win 1000 ts 104 502"
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
    assert_eq!(segment.sequence, trace::OURS.wrapping_add(11));
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
fn without_timestamps_and_scaling_a_recovery_has_none_either() {
    let mut trace = Trace::new();
    let mut plain = seg(0, 0).syn();
    plain.ws = None;
    plain.sackok = false;
    trace.peer(plain.clone());
    trace.app(plain.flags("SA").ack(0));
    trace.peer(seg(0, 0).ack(0));
    trace.hard = Some(trace.tcpr.register(trace.now, &trace.flow).unwrap());
    trace.app(seg(0, 10).ack(0));
    trace.app(seg(10, 0).ack(0).flags("R"));
    trace.recover();
    trace.inside = 7777;
    assert_eq!(
        trace.app(syn()),
        "dropped; app is sent S -1+0 ack 0 win 1000 mss 1460"
    );
    assert_eq!(
        trace.app(seg(0, 10).ack(0).win(2000)),
        "peer gets 0+10 ack 0 win 2000; spliced"
    );
}

#[test]
fn a_syn_that_lacks_what_the_peer_relies_on_is_refused_with_the_reason() {
    let mut trace = failed();
    trace.recover();
    trace.inside = 7777;
    let mut bare = syn();
    bare.ws = None;
    assert_eq!(
        trace.app(bare),
        "dropped; app is sent R -31+0 ack 0 win 0; \
         refused: the new connection offers no window scale, and the peer relies on it"
            .replace(
                "-31+0",
                &format!(
                    "{}+0",
                    i64::from(0_u32.wrapping_sub(trace::PEERS) as i32) - 1
                )
            )
    );
    let mut bare = syn();
    bare.ts = None;
    let said = trace.app(bare);
    assert!(
        said.ends_with("offers no timestamps, and the peer relies on it"),
        "{said}"
    );
    // The recovery is not spoilt.
    assert!(
        trace
            .app(syn())
            .starts_with("dropped; app is sent S 29+0 ack 0")
    );
}

#[test]
fn data_in_the_syn_is_not_acknowledged() {
    let mut trace = failed();
    trace.recover();
    trace.inside = 7777;
    let mut fast_open = syn();
    fast_open.len = 20;
    fast_open.seq = -1;
    assert!(
        trace
            .app(fast_open)
            .starts_with("dropped; app is sent S 29+0 ack 0 ")
    );
}

#[test]
fn ecn_is_granted_only_if_asked_again() {
    let mut trace = Trace::new();
    trace.peer(seg(0, 0).syn().flags("SEC"));
    trace.app(seg(0, 0).syn().flags("SAE").ack(0));
    trace.peer(seg(0, 0).ack(0));
    let hard = trace.tcpr.register(trace.now, &trace.flow).unwrap();
    assert!(hard.ecn);
    trace.hard = Some(hard);
    trace.recover();
    trace.inside = 7777;
    assert!(trace.app(seg(0, 0).syn()).contains("app is sent S -1+0"));
    trace.recover();
    trace.inside = 8888;
    assert!(
        trace
            .app(seg(0, 0).syn().flags("SEC"))
            .contains("app is sent SE -1+0")
    );
}

#[test]
fn a_syn_without_recover_is_refused() {
    let mut trace = failed();
    trace.inside = 7777;
    let said = trace.app(syn());
    assert!(
        said.ends_with(
            "refused: the connection is there already: call recover before connecting again"
        ),
        "{said}"
    );
    assert_eq!(trace.recover(), "base 40", "and nothing is spoilt");
}

#[test]
fn the_old_tcp_is_fenced_off_from_the_moment_of_recover() {
    let mut trace = busy();
    trace.recover();
    assert_eq!(trace.app(seg(100, 10).ack(50).ts(110, 502)), "dropped");
    trace.recovered(7777, 9000);
    trace.inside = trace::OURS;
    assert_eq!(
        trace.app(seg(100, 10).ack(50).ts(111, 502)),
        "dropped",
        "a zombie goes on sending"
    );
    assert_eq!(
        trace.app(seg(110, 0).ack(50).flags("R")),
        "dropped",
        "or resets"
    );
    trace.inside = 7777;
    assert_eq!(
        trace.app(seg(0, 1).ack(30).ts(9003, 502)),
        "peer gets 40+1 ack 30 win 1000 ts 105 502"
    );
}

#[test]
fn the_same_incarnation_again_gets_the_same_answer_and_an_older_one_none() {
    let mut trace = failed();
    let older = trace.hard.unwrap();
    assert_eq!(trace.recover(), "base 40");
    let hard = trace.hard.unwrap();
    assert_eq!(trace.recover_as(hard), "base 40");
    assert_eq!(
        trace.recover_as(older),
        "refused: this is incarnation 0, and incarnation 1 is there already"
    );
    let mut other = hard;
    other.incarnation = 2;
    other.ours.initial += 1;
    assert_eq!(
        trace.recover_as(other),
        "refused: this state is of another connection between the same addresses and ports"
    );
    let mut lost = hard;
    lost.incarnation = 2;
    lost.checkpoint = 10;
    assert_eq!(
        trace.recover_as(lost),
        "refused: checkpoint 10 lies before 30, which the peer has been told"
    );
}

#[test]
fn state_that_no_connection_can_have_is_refused() {
    let mut trace = failed();
    let hard = trace.hard.unwrap();
    let scales = tcpr_core::Scales {
        ours: 200,
        peers: 2,
        inside: 2,
    };
    let impossible = [
        tcpr_core::Hard {
            acked: u64::MAX,
            ..hard
        },
        tcpr_core::Hard {
            checkpoint: u64::MAX,
            ..hard
        },
        tcpr_core::Hard {
            done_writing: Some(1 << 63),
            ..hard
        },
        tcpr_core::Hard {
            peer_fin: Some(u64::MAX),
            ..hard
        },
        tcpr_core::Hard {
            scales: Some(scales),
            ..hard
        },
        tcpr_core::Hard {
            flow: tcpr_core::Flow {
                remote: "[fd00::1]:1".parse().unwrap(),
                ..hard.flow
            },
            ..hard
        },
    ];
    for mut hard in impossible {
        hard.incarnation = 1;
        assert!(
            trace
                .recover_as(hard)
                .starts_with("refused: this state is of no connection")
        );
        assert_eq!(trace.tcpr.resume(trace.now, hard), Err(Refusal::Impossible));
    }
    assert_eq!(trace.recover(), "base 40");
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
fn the_peers_fin_is_held_and_given_to_the_new_tcp() {
    let mut trace = failed();
    assert_eq!(
        trace.peer(seg(50, 7).ack(40).flags("F").ts(503, 102)),
        "held"
    );
    trace.peer(seg(30, 20).ack(40).ts(504, 102));
    let said = trace.recovered(7777, 9000);
    assert!(said.contains("app gets F 50+7"), "{said}");
}

#[test]
fn a_new_tcp_sees_the_peers_fin_even_if_it_is_checkpointed() {
    let mut trace = busy();
    trace.peer(seg(50, 0).ack(40).flags("F").ts(503, 102));
    trace.app(seg(100, 0).ack(51).win(988).ts(103, 503));
    trace.checkpoint(51);
    trace.app(seg(100, 0).ack(51).flags("R"));
    let mut hard = trace.hard.unwrap();
    hard.incarnation += 1;
    hard.checkpoint = 51;
    assert_eq!(trace.recover_as(hard), "base 40");
    trace.inside = 7777;
    assert_eq!(
        trace.app(syn()),
        "dropped; app is sent S 49+0 ack 0 win 4000 mss 1460 ws 2 sackok ts 503 9000"
    );
    assert_eq!(
        trace.app(seg(0, 0).ack(50).win(988).ts(9001, 503)),
        "peer gets 40+0 ack 51 win 987 ts 103 503; spliced; app is sent F 50+0 ack 0 win 0 ts 503 9000"
    );
    assert_eq!(
        trace.app(seg(0, 0).ack(51).win(988).ts(9001, 503)),
        "peer gets 40+0 ack 51 win 988 ts 103 503"
    );
}

#[test]
fn after_an_acknowledged_fin_the_new_tcp_begins_with_the_fin() {
    let mut trace = Trace::live();
    trace.done_writing(10);
    trace.app(seg(0, 10).ack(0).flags("F").ts(101, 501));
    trace.peer(seg(0, 0).ack(11).ts(502, 101));
    trace.app(seg(11, 0).ack(0).flags("R"));
    assert_eq!(trace.recover(), "base 10");
    trace.inside = 7777;
    trace.app(syn());
    // done_writing is unset by a recovery: a FIN is spurious until it is said again.
    assert_eq!(
        trace.app(seg(0, 0).ack(0).ts(9001, 502)),
        "peer gets 10+0 ack 0 win 1000 ts 102 502; spliced"
    );
    trace.done_writing(10);
    assert_eq!(
        trace.app(seg(0, 0).ack(0).flags("F").ts(9002, 502)),
        "peer gets F 10+0 ack 0 win 1000 ts 103 502"
    );
    assert_eq!(
        trace.peer(seg(0, 0).ack(11).ts(503, 103)),
        "app gets 0+0 ack 1 win 1000 ts 503 9002"
    );
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
fn while_the_application_is_down_keepalives_and_window_probes_are_answered() {
    let mut trace = failed();
    let answer = "dropped; peer is sent 100+0 ack 30 win 993 ts 102 502";
    assert_eq!(
        trace.peer(seg(49, 0).ack(40).ts(600, 102)),
        answer,
        "a keepalive"
    );
    let probe = "held; peer is sent 100+0 ack 30 win 993 ts 102 502";
    assert_eq!(
        trace.peer(seg(49, 1).ack(40).ts(600, 102)),
        probe,
        "one with an octet"
    );
    assert_eq!(
        trace
            .peer(seg(30, 0).ack(41).ts(600, 102))
            .split("; ")
            .next(),
        Some("dropped"),
        "a bare acknowledgment needs no answer"
    );
    assert_eq!(
        trace.peer(seg(4002, 1).ack(40).ts(600, 102)),
        answer,
        "what lies beyond the window is answered, and not kept"
    );
}

#[test]
fn what_is_checkpointed_is_not_held_again() {
    let mut trace = failed();
    assert_eq!(
        trace.peer(seg(10, 20).ack(40).ts(600, 102)),
        "dropped; peer is sent 100+0 ack 30 win 993 ts 102 502"
    );
}

#[test]
fn held_segments_are_released_as_far_as_the_new_window_reaches() {
    let mut trace = failed();
    trace.peer(seg(50, 100).ack(40).ts(503, 102));
    trace.peer(seg(150, 100).ack(40).ts(503, 102));
    trace.peer(seg(30, 20).ack(40).ts(504, 102));
    trace.recover();
    trace.inside = 7777;
    trace.app(syn());
    // 33 units of 4 octets: 30 to 162.
    let said = trace.app(seg(0, 0).ack(30).win(33).ts(9001, 503));
    assert!(said.contains("replay until 162; app gets 50+100"), "{said}");
    assert!(!said.contains("150+100"), "{said}");
    let said = trace.app(seg(0, 0).ack(150).win(33).ts(9002, 503));
    assert!(said.contains("app gets 150+100 ack 0"), "{said}");
    assert_eq!(trace.held.len(), 0);
}

#[test]
fn a_failure_that_lasts_too_long_resets_the_peer_exactly() {
    let mut trace = failed();
    trace.after(119_000);
    assert_eq!(trace.tick(), "");
    trace.after(2_000);
    assert_eq!(
        trace.tick(),
        "peer is sent R 40+0 ack 30 win 0 ts 102 502; app is sent R 50+0 win 0; closed Expired"
    );
    // The peer had received more than it had told: the challenge is met with its very number.
    assert_eq!(
        trace.peer(seg(50, 0).ack(100).ts(900, 102)),
        "dropped; peer is sent R 100+0 ack 30 win 0 ts 102 502"
    );
    let mut late = trace.hard.unwrap();
    late.incarnation = 1;
    assert_eq!(trace.recover_as(late), "refused: the connection has ended");
    trace.after(61_000);
    assert_eq!(trace.tick(), "removed");
}

#[test]
fn an_abort_resets_both_sides() {
    let mut trace = busy();
    assert_eq!(
        trace.abort(),
        "ok; peer is sent R 40+0 ack 30 win 0 ts 102 502; app is sent R 50+0 win 0; closed Aborted"
    );
    assert_eq!(
        trace.app(seg(100, 5).ack(50).ts(120, 502)),
        "dropped; app is sent R 50+0 win 0",
        "a local TCP that goes on learns it too"
    );
}

#[test]
fn the_peers_reset_ends_a_failed_connection() {
    let mut trace = failed();
    assert_eq!(
        trace.peer(seg(30, 0).flags("R")),
        "dropped; closed ResetByPeer"
    );
}

#[test]
fn a_rebooted_peer_that_opens_anew_is_told_where_the_connection_stands() {
    let mut trace = failed();
    assert_eq!(
        trace.peer(seg(0, 0).syn().ts(1, 0)),
        "dropped; peer is sent 100+0 ack 30 win 993 ts 102 502"
    );
    assert_eq!(
        trace.peer(seg(30, 0).flags("R")),
        "dropped; closed ResetByPeer"
    );
    assert!(
        trace
            .peer(seg(0, 0).syn().ts(2, 0))
            .starts_with("app gets S"),
        "and then it may"
    );
}

#[test]
fn an_ended_connections_addresses_can_be_used_again_at_once() {
    let mut trace = busy();
    trace.abort();
    trace.inside = trace::OURS;
    let said = trace.app(seg(0, 0).syn().ts(7, 0));
    assert!(
        said.starts_with("peer gets S -1+0"),
        "it is no recovery: {said}"
    );
}

#[test]
fn tcpr_that_was_lost_with_the_application_asks_the_peer() {
    let known = busy();
    let mut hard = known.tcpr.summary(known.now, &known.flow).unwrap().hard;
    assert_eq!(hard.acked, 40);
    hard.incarnation = 1;
    let mut trace = Trace::new();
    trace.tcpr.quarantine(std::time::Duration::from_secs(100));
    assert_eq!(
        trace.peer(seg(50, 20).ack(60).ts(700, 102)),
        "dropped",
        "not known yet"
    );
    trace.inside = 6666;
    assert_eq!(
        trace.app(syn()),
        "dropped",
        "a SYN before recover must not reach the peer"
    );
    let far = 40_i64 + (1 << 31);
    let wrapped = i64::from(((far as u32).wrapping_add(1)) as i32) - 1;
    assert_eq!(
        trace.recover_as(hard),
        format!(
            "asks the peer; peer is sent {wrapped}+1 ack 30 win 0 ts {} 0",
            102 + i32::MAX as u32
        ),
        "one octet far outside of its window, and not older than what was told since the record"
    );
    trace.hard = Some(hard);
    trace.inside = 7777;
    assert_eq!(trace.app(syn()), "dropped", "too early: it is kept");
    // Its answer: it has received up to 95, it has sent up to 70, and our last TSval was 102.
    assert_eq!(
        trace.peer(seg(70, 0).ack(95).ts(800, 102)),
        "dropped; acked 95; recovered at base 95; \
         app is sent S 29+0 ack 0 win 4000 mss 1460 ws 2 sackok ts 800 9000"
    );
    assert_eq!(
        trace.app(seg(0, 5).ack(30).ts(9001, 800)),
        "peer gets 95+5 ack 30 win 1000 ts 103 800; spliced"
    );
}

#[test]
fn a_silent_peer_is_asked_again_and_given_up() {
    let known = busy();
    let mut hard = known.tcpr.summary(known.now, &known.flow).unwrap().hard;
    hard.incarnation = 1;
    let mut trace = Trace::new();
    trace.recover_as(hard);
    trace.after(60);
    assert!(trace.tick().starts_with("peer is sent"));
    for _ in 0..20 {
        trace.after(1000);
        let said = trace.tick();
        if said.contains("refused: the peer has not answered") {
            return;
        }
    }
    panic!("the peer is asked for ever");
}

#[test]
fn a_peer_that_has_lost_the_connection_says_so_when_asked() {
    let known = busy();
    let mut hard = known.tcpr.summary(known.now, &known.flow).unwrap().hard;
    hard.incarnation = 1;
    let mut trace = Trace::new();
    trace.recover_as(hard);
    assert_eq!(
        trace.peer(seg(30, 0).flags("R")),
        "dropped; refused: the connection has ended; closed ResetByPeer"
    );
}

#[test]
fn tcpr_that_was_lost_while_the_application_lives_goes_on_with_its_hard_state() {
    let mut known = failed();
    known.recovered(7777, 9000);
    known.app(seg(0, 20).ack(30).ts(9002, 502));
    let hard = known.tcpr.summary(known.now, &known.flow).unwrap().hard;
    let mut trace = Trace::new();
    trace.inside = 7777;
    trace.tcpr.quarantine(std::time::Duration::from_secs(100));
    assert_eq!(trace.app(seg(20, 5).ack(50).ts(9003, 502)), "dropped");
    assert_eq!(trace.tcpr.resume(trace.now, hard), Ok(hard));
    assert_eq!(
        trace.app(seg(20, 5).ack(50).win(995).ts(9003, 502)),
        "peer gets 60+5 ack 30 win 1000 ts 105 502"
    );
    assert_eq!(
        trace.peer(seg(50, 10).ack(65).ts(600, 105)),
        "app gets 50+10 ack 25 win 1000 ts 600 9003; acked 65"
    );
    trace.hard = Some(hard);
    assert!(
        trace
            .checkpoint(60)
            .starts_with("ok; peer is sent 65+0 ack 60")
    );
}

#[test]
fn tcpr_that_was_lost_learns_from_the_peer_what_timestamps_it_was_told() {
    let known = busy();
    let mut hard = known.tcpr.summary(known.now, &known.flow).unwrap().hard;
    let mut trace = Trace::new();
    assert_eq!(trace.tcpr.resume(trace.now, hard), Ok(hard));
    // The application dies before its TCP has said anything.
    assert_eq!(
        trace.app(seg(60, 0).ack(50).flags("R")),
        "dropped; failed",
        "of a reset nothing is learnt"
    );
    assert_eq!(
        trace.checkpoint(40),
        "ok",
        "there is no timestamp to say it with"
    );
    assert_eq!(
        trace.peer(seg(50, 20).ack(60).ts(700, 205)),
        "held; acked 60"
    );
    // The peer was told more before TCPR was lost than this segment of its knows.
    assert_eq!(
        trace.peer(seg(50, 20).ack(60).ts(701, 210)),
        "held; peer is sent 60+0 ack 40 win 16381 ts 210 0"
    );
    assert_eq!(
        trace.peer(seg(50, 20).ack(60).ts(702, 208)),
        "held; peer is sent 60+0 ack 40 win 16381 ts 210 0"
    );
    hard.incarnation = 1;
    hard.checkpoint = 40;
    assert_eq!(trace.recover_as(hard), "base 60");
    trace.hard = Some(hard);
    trace.inside = 7777;
    trace.app(syn());
    let said = trace.app(seg(0, 5).ack(40).ts(9001, 700));
    assert!(
        said.starts_with("peer gets 60+5 ack 40 win 1000 ts 211 700"),
        "{said}"
    );
}

#[test]
fn tcpr_that_was_lost_in_mid_recovery_wants_it_begun_again() {
    let mut known = failed();
    known.recover();
    let hard = known.hard.unwrap();
    let mut trace = Trace::new();
    assert_eq!(
        trace.tcpr.resume(trace.now, hard),
        Err(Refusal::RecoverAgain)
    );
}

#[test]
fn an_unregistered_connection_is_masked_and_can_be_recovered_from_octet_zero() {
    let mut trace = Trace::new();
    trace.peer(seg(0, 0).syn().ts(500, 0));
    trace.app(seg(0, 0).syn().flags("SA").ack(0).ts(100, 500));
    trace.peer(seg(0, 10).ack(0).ts(501, 100));
    assert_eq!(trace.app(seg(0, 0).ack(10).flags("R")), "dropped; failed");
    let listed = trace.tcpr.list(trace.now).next().unwrap();
    assert!(!listed.registered);
    trace.hard = Some(listed.hard);
    assert_eq!(trace.recover(), "base 0");
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
    let mut octets = trace::build(
        trace.flow.remote,
        trace.flow.local,
        trace::PEERS,
        trace::OURS,
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
    let embedded = trace::build(
        local,
        trace.flow.remote,
        trace::OURS,
        trace::PEERS,
        &seg(40, 0).ack(30),
    );
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
