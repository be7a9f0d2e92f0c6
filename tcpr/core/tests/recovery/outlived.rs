//! TCPR is lost, and the local TCP lives on: what the hard state and both ends tell its successor.

use tcpr_core::Hard;

use crate::trace::{Trace, seg};
use crate::{busy, failed, hard_of, syn};

/// A TCPR in the place of one that was lost, while the application and its TCP live on.
fn resumed(hard: Hard) -> Trace {
    let mut trace = Trace::new();
    assert_eq!(trace.tcpr.resume(trace.now, hard), Ok(hard));
    trace
}

#[test]
fn tcpr_that_was_lost_while_the_application_lives_goes_on_with_its_hard_state() {
    let mut known = failed();
    known.recovered(7777, 9000);
    known.app(seg(0, 20).ack(30).ts(9002, 502));
    let hard = hard_of(&known);
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
fn tcpr_that_was_lost_believes_a_checkpoint_of_what_it_has_not_seen_until_it_hears_the_local_tcp() {
    // The peer has sent 50 octets before TCPR was lost.
    let known = busy();
    let hard = hard_of(&known);
    let mut trace = resumed(hard);
    // It sends some of them again, for their acknowledgment is missing.
    trace.peer(seg(30, 10).ack(40).ts(700, 102));
    assert_eq!(trace.checkpoint(45), "ok");
    trace.app(seg(100, 0).ack(50).win(988).ts(110, 502));
    assert!(trace.checkpoint(50).starts_with("ok"));
    // Some octets may lie behind a hole, but none beyond the window.
    assert!(
        trace
            .checkpoint(1 << 20)
            .starts_with("refused: checkpoint 1048576")
    );
}

#[test]
fn tcpr_that_was_lost_learns_from_the_peer_what_timestamps_it_was_told() {
    let known = busy();
    let mut hard = hard_of(&known);
    let mut trace = resumed(hard);
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
        "held; peer is sent 60+0 ack 40 win 16381 ts 210 700"
    );
    assert_eq!(
        trace.peer(seg(50, 20).ack(60).ts(702, 208)),
        "held; peer is sent 60+0 ack 40 win 16381 ts 210 700"
    );
    hard.incarnation = 1;
    hard.checkpoint = 40;
    assert_eq!(trace.recover_as(hard), "base 60");
    trace.hard = Some(hard);
    trace.inside = 7777;
    trace.app(syn());
    let said = trace.app(seg(0, 5).ack(40).ts(9001, 700));
    assert!(
        said.starts_with("peer gets 60+5 ack 40 win 1000 ts 131283 700"),
        "{said}"
    );
}

#[test]
fn a_late_segment_does_not_tell_a_new_tcpr_how_much_the_local_tcp_has_received() {
    let known = busy();
    let hard = hard_of(&known);
    let mut trace = resumed(hard);
    trace.hard = Some(hard);
    trace.peer(seg(30, 5).ack(40).ts(502, 102));
    assert_eq!(
        trace.checkpoint(50),
        "ok",
        "it was delivered before TCPR was lost"
    );
    // Windows are in units of 4 octets. What came behind a hole is within the window, or a FIN.
    trace.app(seg(100, 0).ack(50).win(100).ts(103, 502));
    assert!(trace.checkpoint(452).starts_with("refused"));
    assert!(trace.checkpoint(451).starts_with("ok"));
}

#[test]
fn what_the_local_tcp_had_behind_a_hole_when_tcpr_was_lost_it_may_acknowledge() {
    let known = busy();
    let hard = hard_of(&known);
    let mut trace = resumed(hard);
    trace.app(seg(100, 0).ack(50).win(1000).ts(103, 502));
    trace.peer(seg(50, 10).ack(40).ts(503, 103));
    // It had 60 to 80 already.
    assert_eq!(
        trace.app(seg(100, 5).ack(80).win(1000).ts(104, 503)),
        "peer gets 100+5 ack 30 win 1012 ts 104 503"
    );
}

#[test]
fn the_application_can_tell_a_new_tcpr_that_the_peers_fin_has_passed() {
    let mut known = Trace::live();
    known.done_writing(0);
    known.app(seg(0, 0).ack(0).flags("F").ts(101, 501));
    known.peer(seg(0, 0).ack(0).flags("F").ts(502, 100));
    let mut hard = hard_of(&known);
    hard.peer_fin = None;
    let mut trace = resumed(hard);
    trace.app(seg(1, 0).ack(1).ts(102, 502));
    // It reads to the end, and says so.
    hard.peer_fin = Some(0);
    assert!(trace.tcpr.resume(trace.now, hard).is_ok());
    trace.hard = Some(hard);
    trace.checkpoint(1);
    let said = trace.peer(seg(1, 0).ack(1).ts(503, 101));
    assert!(said.ends_with("closed Finished"), "{said}");
}

#[test]
fn tcpr_that_was_lost_after_the_fin_learns_of_it_from_the_peer() {
    let mut known = Trace::live();
    known.done_writing(10);
    known.app(seg(0, 10).ack(0).flags("F").ts(101, 501));
    let hard = hard_of(&known);
    let mut trace = resumed(hard);
    trace.hard = Some(hard);
    assert_eq!(
        trace.peer(seg(0, 0).ack(11).ts(502, 101)),
        "app gets 0+0 ack 11 win 1000 ts 502 101; acked 10",
        "the FIN is no output"
    );
    trace.peer(seg(0, 0).ack(11).flags("F").ts(503, 101));
    trace.app(seg(11, 0).ack(1).ts(102, 503));
    assert!(
        trace.checkpoint(1).ends_with("closed Finished"),
        "it need not be sent again for the connection to end"
    );
}

#[test]
fn tcpr_that_was_lost_takes_any_timestamp_of_the_peer_rather_than_none() {
    let known = busy();
    let mut hard = hard_of(&known);
    let mut trace = resumed(hard);
    // Behind a hole: the local TCP takes it for the latest only when the hole is filled.
    trace.peer(seg(70, 20).ack(60).ts(3_000_000_000, 102));
    trace.app(seg(60, 0).ack(50).flags("R"));
    hard.incarnation = 1;
    trace.recover_as(hard);
    trace.hard = Some(hard);
    trace.inside = 7777;
    let said = trace.app(syn());
    assert!(said.ends_with("ts 3000000000 9000"), "{said}");
}

#[test]
fn a_late_acknowledgment_is_passed_on_with_a_timestamp_that_the_local_tcp_knows() {
    let known = busy();
    let hard = hard_of(&known);
    let mut trace = resumed(hard);
    trace.app(seg(100, 0).ack(50).win(5).ts(103, 502));
    // Beyond the local TCP's window, and older than what is known to be acknowledged.
    let said = trace.peer(seg(90, 0).ack(20).ts(3_000_000_000, 102));
    assert!(said.contains("ts 502 102"), "{said}");
}

#[test]
fn the_peer_is_echoed_what_the_local_tcp_has_taken_of_it_before_tcpr_was_lost() {
    let known = busy();
    let hard = hard_of(&known);
    let mut trace = resumed(hard);
    trace.hard = Some(hard);
    trace.app(seg(100, 0).ack(50).win(5).ts(103, 502));
    let said = trace.checkpoint(50);
    assert!(said.ends_with("ts 103 502"), "{said}");
}

#[test]
fn what_is_acknowledged_beyond_the_end_of_the_output_was_the_fin() {
    let mut known = Trace::live();
    known.done_writing(10);
    known.app(seg(0, 10).ack(0).flags("F").ts(101, 501));
    known.app(seg(11, 0).ack(0).flags("R"));
    known.recovered(7777, 9000);
    let hard = hard_of(&known);
    assert_eq!(hard.done_writing, None, "not announced again yet");
    let mut trace = resumed(hard);
    trace.inside = 7777;
    trace.hard = Some(hard);
    trace.app(seg(0, 10).ack(0).ts(9001, 501));
    trace.peer(seg(0, 0).ack(11).ts(502, 102));
    assert!(trace.done_writing(9).starts_with("refused"));
    assert_eq!(trace.done_writing(10), "ok");
}

/// A connection whose FIN was sent when TCPR was lost, and its hard state then.
fn closing() -> Hard {
    let mut known = Trace::live();
    known.done_writing(10);
    known.app(seg(0, 10).ack(0).flags("F").ts(101, 501));
    known.peer(seg(0, 0).ack(10).ts(502, 101));
    let hard = hard_of(&known);
    assert_eq!((hard.acked, hard.done_writing), (10, Some(10)));
    hard
}

#[test]
fn a_fin_that_was_sent_before_tcpr_was_lost_is_no_output_and_ends_the_connection() {
    let hard = closing();
    let mut trace = resumed(hard);
    trace.hard = Some(hard);
    assert_eq!(
        trace.peer(seg(0, 0).ack(11).flags("F").ts(503, 102)),
        "app gets F 0+0 ack 11 win 1000 ts 503 102"
    );
    trace.app(seg(11, 0).ack(1).ts(103, 503));
    let said = trace.checkpoint(1);
    assert!(said.ends_with("closed Finished"), "{said}");
}

#[test]
fn a_fin_that_was_on_its_way_when_tcpr_was_lost_can_be_announced_again() {
    let mut hard = closing();
    let mut trace = resumed(hard);
    // The application dies before its TCP has said anything.
    hard.incarnation = 1;
    trace.recover_as(hard);
    trace.hard = Some(hard);
    let said = trace.peer(seg(0, 0).ack(10).ts(503, 102));
    assert!(said.contains("recovered at base 10"), "{said}");
    assert_eq!(
        trace.peer(seg(0, 0).ack(11).ts(504, 102)),
        "dropped",
        "the FIN arrived late, and is no output"
    );
    trace.inside = 7777;
    trace.app(syn());
    trace.app(seg(0, 0).ack(0).ts(9001, 504));
    assert_eq!(trace.done_writing(10), "ok");
}

#[test]
fn a_fin_that_was_acknowledged_in_an_earlier_life_can_be_announced_to_the_next_tcpr() {
    let mut hard = closing();
    // What a recovery after the FIN was acknowledged leaves behind.
    hard.acked = 11;
    hard.done_writing = None;
    let mut trace = resumed(hard);
    assert_eq!(
        trace.done_writing(9),
        "refused: the output cannot end at 9: 11 octets of it have been sent"
    );
    assert_eq!(trace.done_writing(10), "ok");
}

#[test]
fn what_the_local_tcp_received_before_tcpr_was_lost_may_be_checkpointed() {
    let known = busy();
    let mut hard = hard_of(&known);
    let mut trace = resumed(hard);
    // The peer sends again what it has no acknowledgment of, and the local TCP dies unheard.
    trace.peer(seg(30, 10).ack(60).ts(700, 102));
    hard.incarnation = 1;
    hard.checkpoint = 50;
    assert_eq!(trace.recover_as(hard), "base 60");
    trace.hard = Some(hard);
    trace.inside = 7777;
    trace.app(syn());
    assert_eq!(
        trace.app(seg(0, 5).ack(50).ts(9001, 700)),
        "peer gets 60+5 ack 50 win 1000 ts 131175 700; spliced"
    );
}

#[test]
fn what_a_fin_that_is_not_meant_acknowledges_may_be_checkpointed() {
    let known = busy();
    let mut hard = hard_of(&known);
    let mut trace = resumed(hard);
    assert_eq!(
        trace.app(seg(100, 0).ack(50).flags("F").ts(103, 502)),
        "dropped; app is sent R 50+0 win 0; failed"
    );
    hard.incarnation = 1;
    hard.checkpoint = 50;
    let said = trace.recover_as(hard);
    assert!(said.starts_with("asks the peer"), "{said}");
}

#[test]
fn what_an_earlier_local_tcp_has_sent_is_not_acknowledged_to_one_that_tcpr_was_lost_with() {
    let mut known = failed();
    known.recovered(7777, 9000);
    let hard = hard_of(&known);
    let mut trace = resumed(hard);
    trace.inside = 7777;
    // The first local TCP has sent up to 100, the present one from 40 on, and now up to 45.
    trace.app(seg(0, 5).ack(30).ts(9002, 502));
    assert_eq!(
        trace.peer(seg(50, 10).ack(100).ts(600, 103)),
        "app gets 50+10 ack 5 win 1000 ts 600 9001; acked 100"
    );
    // What it sends then, it may be told of.
    trace.app(seg(5, 35).ack(30).ts(9002, 502));
    assert_eq!(
        trace.peer(seg(60, 0).ack(100).ts(601, 103)),
        "app gets 60+0 ack 40 win 1000 ts 601 9001"
    );
}

#[test]
fn what_was_acknowledged_before_tcpr_was_lost_the_present_local_tcp_need_not_have_sent() {
    let mut known = failed();
    known.recovered(7777, 9000);
    // The first local TCP has sent up to 100, the present one from 40 on.
    known.peer(seg(50, 0).ack(100).ts(600, 102));
    let hard = hard_of(&known);
    assert_eq!(hard.acked, 100);
    let mut trace = resumed(hard);
    trace.inside = 7777;
    trace.app(seg(0, 5).ack(30).ts(9002, 502));
    assert_eq!(
        trace.peer(seg(50, 10).ack(100).ts(601, 103)),
        "app gets 50+10 ack 5 win 1000 ts 601 9001"
    );
}

#[test]
fn a_late_window_does_not_fence_off_a_local_tcp_that_has_heard_of_a_larger_one() {
    let known = busy();
    let hard = hard_of(&known);
    let mut trace = resumed(hard);
    trace.hard = Some(hard);
    // It was on its way when the peer offered 400 octets more.
    trace.peer(seg(50, 0).ack(100).win(10).ts(503, 102));
    assert_eq!(
        trace.app(seg(100, 300).ack(50).ts(110, 502)),
        "peer gets 100+300 ack 30 win 1005 ts 110 502"
    );
}

#[test]
fn a_local_tcp_learns_from_a_new_tcpr_that_it_may_send_the_fin_that_the_peer_has_had() {
    let mut hard = closing();
    // An earlier local TCP has sent all of it, and both ends have closed.
    hard.incarnation = 1;
    hard.spliced = 1;
    hard.acked = 11;
    hard.peer_fin = Some(0);
    hard.checkpoint = 1;
    hard.done_writing = None;
    let mut trace = resumed(hard);
    assert_eq!(trace.done_writing(10), "ok");
    let said = trace.app(seg(0, 0).ack(1).ts(9002, 502));
    assert!(said.ends_with("closed Finished"), "{said}");
    // The peer was not heard, and what it offers is not known; but what it has taken it has offered.
    assert_eq!(
        trace.app(seg(0, 10).ack(1).ts(9003, 502)),
        "dropped; app is sent 1+0 ack 10 win 1 ts 502 9003"
    );
}

#[test]
fn a_fin_beyond_a_full_window_may_be_checkpointed_and_acknowledged_when_tcpr_was_lost() {
    let mut known = Trace::live();
    known.peer(seg(0, 10).ack(0).flags("F").ts(502, 101));
    let mut trace = resumed(hard_of(&known));
    // What the local TCP has said before it took the FIN: all of its buffer is full.
    trace.app(seg(0, 0).ack(10).win(0).ts(102, 502));
    let said = trace.checkpoint(11);
    assert!(!said.contains("refused"), "{said}");
    let said = trace.app(seg(0, 5).ack(11).win(0).ts(103, 502));
    assert_eq!(said, "peer gets 0+5 ack 11 win 0 ts 103 502");
}

#[test]
fn a_peer_that_has_finished_and_forgotten_does_not_reset_a_local_tcp_that_has_outlived_tcpr() {
    let known = Trace::last_ack();
    let hard = hard_of(&known);
    let finished = |mut trace: Trace| {
        assert_eq!(
            trace.peer(seg(11, 0).flags("R")),
            "dropped; closed Finished"
        );
    };
    // Whether the FIN was sent it does not know.
    finished(resumed(hard));
    // That the FIN has arrived it does, and not whether the peer was told of all its octets.
    let mut heard = resumed(hard);
    heard.peer(seg(11, 0).ack(6).ts(503, 103));
    finished(heard);
    // Octets that are not acknowledged are lost.
    let mut lost = resumed(Hard { acked: 3, ..hard });
    let said = lost.peer(seg(11, 0).flags("R"));
    assert!(said.ends_with("closed ResetByPeer"), "{said}");
}
