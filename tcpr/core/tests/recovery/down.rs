//! While the application is down: what is answered, held and released, and how it ends.

use crate::trace::{OURS, Trace, seg};
use crate::{busy, failed, syn};

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
fn a_retransmission_that_has_grown_is_answered() {
    let mut trace = failed();
    assert_eq!(trace.peer(seg(50, 7).ack(40).ts(503, 102)), "held");
    assert_eq!(
        trace.peer(seg(50, 20).ack(40).ts(603, 102)),
        "held; peer is sent 100+0 ack 30 win 993 ts 102 502"
    );
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

/// All is done but for an acknowledgment of our FIN, and the local TCP fails.
fn failed_in_last_ack() -> Trace {
    let mut trace = Trace::last_ack();
    trace.app(seg(6, 0).ack(11).flags("R"));
    trace
}

#[test]
fn a_peer_that_has_finished_and_forgotten_does_not_reset_a_new_tcp() {
    let mut trace = failed_in_last_ack();
    assert_eq!(trace.recover(), "base 5");
    trace.inside = 7777;
    trace.app(syn());
    trace.app(seg(0, 0).ack(10).ts(9001, 503));
    trace.done_writing(5);
    assert_eq!(
        trace.peer(seg(11, 0).flags("R")),
        "dropped; closed Finished"
    );
    assert_eq!(
        trace.app(seg(0, 0).ack(11).flags("F").ts(9002, 503)),
        "dropped; app is sent 11+0 ack 1 win 1000 ts 503 9002"
    );
}

#[test]
fn the_end_that_a_forgetful_peer_tells_of_waits_for_a_new_tcp() {
    for before in [true, false] {
        let mut trace = failed_in_last_ack();
        if before {
            assert_eq!(trace.peer(seg(11, 0).flags("R")), "dropped");
        }
        assert_eq!(trace.recover(), "base 5");
        if !before {
            assert_eq!(trace.peer(seg(11, 0).flags("R")), "dropped");
        }
        trace.inside = 7777;
        assert!(trace.app(syn()).starts_with("dropped; app is sent S"));
        let said = trace.app(seg(0, 0).ack(10).ts(9001, 503));
        assert!(said.contains("spliced"), "{said}");
        assert!(said.ends_with("closed Finished"), "{said}");
    }
}

#[test]
fn a_new_tcp_that_repeats_its_output_to_a_peer_that_has_finished_is_answered() {
    let mut trace = Trace::live();
    trace.done_writing(10);
    trace.app(seg(0, 10).ack(0).flags("F").ts(101, 501));
    trace.app(seg(11, 0).ack(0).flags("R"));
    assert_eq!(trace.recover(), "base 0");
    trace.inside = 7777;
    trace.app(syn());
    trace.app(seg(0, 4).ack(0).ts(9001, 501));
    // All of it has arrived before the local TCP failed, and the peer closes too.
    trace.peer(seg(0, 0).ack(11).flags("F").ts(502, 101));
    trace.app(seg(4, 0).ack(1).ts(9002, 502));
    assert!(trace.checkpoint(1).ends_with("closed Finished"));
    assert_eq!(
        trace.app(seg(4, 4).ack(1).ts(9003, 502)),
        "dropped; app is sent 1+0 ack 8 win 1001 ts 502 9003",
        "and up to where the peer has offered, in units of 4 octets"
    );
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
    trace.inside = OURS;
    let said = trace.app(seg(0, 0).syn().ts(7, 0));
    assert!(
        said.starts_with("peer gets S -1+0"),
        "it is no recovery: {said}"
    );
}
