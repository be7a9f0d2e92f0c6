//! Resets, and what lies far outside.

use tcpr_check::Ending;

use crate::script::{A, ALL, ANY, B, COMPLETE, Script, at, seg};

#[test]
fn a_reset_ends_a_connection_and_nothing_follows_it() {
    let mut script = Script::opened(ALL);
    script.a(seg(0, 10).ack(0).ts(101, 501));
    script.a(seg(10, 0).flags("R").ack(0).ts(102, 501));
    script.b(seg(0, 10).ack(0).ts(502, 101));
    script.a(seg(0, 0).flags("R"));
    let verdict = script.finish();
    assert_eq!(crate::script::said(&verdict), "");
    assert_eq!(verdict.connections[0].ending, Ending::Reset(script.a));
}

#[test]
fn whoever_goes_on_behind_its_reset_is_found() {
    let go_on = |settings, tsval| {
        let mut script = Script::opened(settings);
        script.a(seg(0, 10).ack(0).ts(101, 501));
        script.a(seg(10, 0).flags("R").ack(0).ts(102, 501));
        script.a(seg(10, 10).ack(0).ts(tsval, 501));
        script.found()
    };
    assert_eq!(go_on(at(A, ANY), 102), "after-reset in 6");
    assert_eq!(
        go_on(at(B, ANY), 103),
        "after-reset in 6",
        "by its timestamp"
    );
    assert_eq!(
        go_on(at(B, ANY), 102),
        "after-reset? in 6",
        "the reset may have overtaken it"
    );
}

#[test]
fn a_reset_has_a_number_that_its_sender_can_have() {
    let reset = |settings, number| {
        let mut script = Script::opened(settings);
        script.a(seg(0, 10).ack(0).ts(101, 501));
        script.a(seg(number, 0).flags("R"));
        script.found()
    };
    assert_eq!(reset(at(A, COMPLETE), 10), "");
    assert_eq!(reset(at(A, COMPLETE), 0), "", "what was acknowledged");
    assert_eq!(reset(at(A, COMPLETE), 11), "reset-out-of-place in 5");
    assert_eq!(
        reset(at(B, COMPLETE), 11),
        "",
        "octets may be lost before it"
    );
    assert_eq!(reset(at(B, COMPLETE), 4002), "reset-out-of-place in 5");
}

#[test]
fn a_late_segment_of_a_closed_connection_is_answered_by_a_reset() {
    let mut script = Script::opened(ALL);
    script.a(seg(0, 10).flags("F").ack(0).ts(101, 501));
    script.b(seg(0, 0).flags("F").ack(11).ts(502, 101));
    script.a(seg(11, 0).ack(1).ts(102, 502));
    // The acknowledgment was lost, and A has forgotten the connection.
    script.b(seg(0, 0).flags("F").ack(11).ts(702, 101));
    script.a(seg(11, 0).flags("R"));
    let verdict = script.finish();
    assert_eq!(crate::script::said(&verdict), "");
    assert_eq!(verdict.connections[0].ending, Ending::Closed);
}

#[test]
fn an_opening_is_refused_and_repeated() {
    let mut script = Script::new(ALL);
    script.b(seg(0, 0).syn().ts(500, 0));
    // The answer to a segment without ACK (RFC 9293, 3.5.2): number 0.
    let mut refusal = seg(0, 0).flags("R").ack(0);
    refusal.seq = -1 - i64::from(script.initial.0);
    script.a(refusal);
    script.initial.1 = 99;
    script.open();
    let verdict = script.finish();
    assert_eq!(crate::script::said(&verdict), "");
    assert_eq!(verdict.connections.len(), 2);
    assert_eq!(verdict.connections[0].ending, Ending::Reset(script.a));
}

#[test]
fn a_segment_far_outside_of_the_window_is_noted_and_changes_nothing() {
    // TCPR asks so, when it has lost its state.
    let mut script = Script::opened(ALL);
    script.a(seg(0, 10).ack(0).ts(101, 501));
    script.a(seg(1 << 31, 1).ack(0).ts(101 + (1 << 30), 501));
    script.b(seg(0, 0).ack(10).ts(502, 101));
    script.a(seg(10, 10).ack(0).ts(103, 502));
    assert_eq!(script.found(), "far-outside? in 5");
}
