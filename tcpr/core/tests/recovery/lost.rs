//! TCPR is lost, and the local TCP with it or before it: what the hard state and the peer tell its
//! successor.

use tcpr_core::{Pattern, Refusal};

use crate::trace::{Trace, seg};
use crate::{busy, failed, hard_of, syn};

#[test]
fn tcpr_that_was_lost_with_the_application_asks_the_peer() {
    let known = busy();
    let mut hard = hard_of(&known);
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
    let asked = 102 + i32::MAX as u32 - (1 << 24);
    assert_eq!(
        trace.recover_as(hard),
        format!("asks the peer; peer is sent {wrapped}+1 ack 30 win 0 ts {asked} 0"),
        "one octet far outside of its window, and not older than what was told since the record"
    );
    // Nor is it old to a peer that takes timestamps of segments in order only (RFC 7323, 4.3), and
    // had not taken that of the record.
    for taken in [102_u32, 101, 102_u32.wrapping_sub(1_000_000)] {
        assert!(taken.wrapping_sub(asked) as i32 <= 0, "{taken}");
    }
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
        "peer gets 95+5 ack 30 win 1000 ts 131175 800; spliced",
        "segments that the peer has not taken the timestamps of had later ones than 102"
    );
}

#[test]
fn a_late_syn_does_not_open_a_connection_of_a_tcpr_that_was_lost() {
    let mut trace = Trace::new();
    trace.tcpr.quarantine(std::time::Duration::from_secs(100));
    // Of the connection that there is: the network has doubled it.
    trace.peer(seg(0, 0).syn().ts(500, 0));
    assert_eq!(trace.peer(seg(0, 10).ack(0).ts(501, 100)), "dropped");
    assert_eq!(trace.app(seg(0, 0).ack(10).ts(101, 501)), "dropped");
    for ack in [0, 10] {
        assert_eq!(trace.app(seg(0, 0).ack(ack).flags("R")), "dropped");
    }
}

#[test]
fn a_late_answer_of_the_peer_does_not_bound_what_it_may_acknowledge() {
    let known = busy();
    let mut hard = hard_of(&known);
    hard.incarnation = 1;
    let mut trace = Trace::new();
    trace.recover_as(hard);
    trace.hard = Some(hard);
    trace.inside = 7777;
    // It was sent long ago, when the peer had 40 octets and room for 8.
    trace.peer(seg(50, 0).ack(40).win(2).ts(503, 102));
    trace.app(syn());
    trace.app(seg(0, 0).ack(30).ts(9001, 503));
    assert_eq!(
        trace.peer(seg(50, 0).ack(100).win(1000).ts(800, 103)),
        "app gets 50+0 ack 0 win 1000 ts 800 9000; acked 100"
    );
    assert_eq!(
        trace.app(seg(0, 20).ack(30).ts(9001, 503)),
        "peer gets 40+20 ack 30 win 1000 ts 131175 503"
    );
}

#[test]
fn a_silent_peer_is_asked_again_and_given_up() {
    let known = busy();
    let mut hard = hard_of(&known);
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
    let mut hard = hard_of(&known);
    hard.incarnation = 1;
    let mut trace = Trace::new();
    trace.recover_as(hard);
    assert_eq!(
        trace.peer(seg(30, 0).flags("R")),
        "dropped; refused: the connection has ended; closed ResetByPeer"
    );
}

#[test]
fn a_late_echo_is_made_up_for_when_the_peer_echoes_what_it_had_been_told() {
    let known = busy();
    let mut hard = hard_of(&known);
    hard.incarnation = 1;
    let mut trace = Trace::new();
    trace.recover_as(hard);
    trace.hard = Some(hard);
    trace.inside = 7777;
    // It was on its way when the peer was told 200000.
    trace.peer(seg(50, 0).ack(60).ts(700, 110));
    trace.app(syn());
    trace.app(seg(0, 0).ack(30).ts(9000, 700));
    trace.peer(seg(50, 5).ack(60).ts(701, 200_000));
    assert_eq!(
        trace.app(seg(0, 5).ack(55).ts(9001, 701)),
        "peer gets 60+5 ack 30 win 1006 ts 331072 701"
    );
}

#[test]
fn a_fin_that_a_late_answer_does_not_acknowledge_is_known_when_the_peer_acknowledges_it() {
    let mut known = Trace::live();
    known.done_writing(10);
    known.app(seg(0, 10).ack(0).flags("F").ts(101, 501));
    let mut hard = hard_of(&known);
    hard.incarnation = 1;
    let mut trace = Trace::new();
    trace.recover_as(hard);
    trace.hard = Some(hard);
    // Sent before the FIN had come.
    trace.peer(seg(0, 0).ack(10).ts(502, 101));
    assert!(
        trace
            .peer(seg(0, 0).ack(11).ts(503, 101))
            .ends_with("dropped")
    );
    trace.inside = 7777;
    trace.app(syn());
    trace.app(seg(0, 0).ack(0).ts(9001, 503));
    assert_eq!(trace.done_writing(10), "ok");
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
fn a_syn_repeated_while_tcpr_was_lost_does_not_reach_the_peer_of_a_connection_opened_from_here() {
    let mut trace = Trace::new();
    let pattern = Pattern::Flow(trace.flow);
    trace.tcpr.protect(pattern);
    trace.tcpr.quarantine(std::time::Duration::from_secs(100));
    trace.inside = 7777;
    assert_eq!(trace.app(syn()), "dropped", "it may be a recovery's");
    // Somebody opens connections anew, and has said so.
    trace.tcpr.protect(pattern);
    assert!(trace.app(syn()).starts_with("peer gets S"));
}

#[test]
fn a_recovery_that_was_given_up_can_be_asked_for_again() {
    let known = busy();
    let mut hard = hard_of(&known);
    hard.incarnation = 1;
    let mut trace = Trace::new();
    trace.recover_as(hard);
    for _ in 0..20 {
        trace.after(1000);
        trace.tick();
    }
    assert!(trace.recover_as(hard).starts_with("asks the peer"));
    trace.inside = 7777;
    trace.app(syn());
    let said = trace.peer(seg(70, 0).ack(95).ts(800, 102));
    assert!(
        said.contains("recovered at base 95; app is sent S 29+0"),
        "{said}"
    );
}
