//! What an end says of the other's stream.

use crate::script::{A, ALL, ANY, B, COMPLETE, Script, at, seg};

#[test]
fn an_acknowledgment_that_goes_back_is_found_where_it_was_sent() {
    let back = |settings| {
        let mut script = Script::opened_plain(settings);
        script.b(seg(0, 50).ack(0));
        script.a(seg(0, 0).ack(50));
        script.a(seg(0, 10).ack(40).win(1003));
        script.found()
    };
    assert_eq!(back(at(A, ANY)), "acknowledgment-regressed in 6");
    assert_eq!(
        back(at(B, COMPLETE)),
        "acknowledgment-regressed? in 6",
        "it may have been overtaken"
    );
    let in_order = tcpr_check::Settings {
        in_order: true,
        ..at(B, COMPLETE)
    };
    assert_eq!(back(in_order), "acknowledgment-regressed in 6");
}

#[test]
fn timestamps_tell_a_step_back_from_a_packet_that_was_overtaken() {
    let back = |tsval| {
        let mut script = Script::opened(at(B, ANY));
        script.b(seg(0, 50).ack(0).ts(502, 100));
        script.a(seg(0, 0).ack(50).ts(103, 502));
        script.a(seg(0, 10).ack(40).ts(tsval, 502).win(1003));
        script.found()
    };
    assert_eq!(back(104), "acknowledgment-regressed in 6");
    assert_eq!(back(103), "acknowledgment-regressed? in 6");
    assert_eq!(back(102), "acknowledgment-regressed? in 6");
}

#[test]
fn an_acknowledgment_of_what_was_not_sent_is_found() {
    let acknowledge = |settings, ack| {
        let mut script = Script::opened(settings);
        script.b(seg(0, 50).ack(0).ts(502, 100));
        script.a(seg(0, 0).ack(ack).ts(102, 502).win(1000 - 13));
        script.found()
    };
    assert_eq!(acknowledge(COMPLETE, 50), "");
    assert_eq!(acknowledge(COMPLETE, 51), "acknowledges-unsent in 5");
    assert_eq!(acknowledge(ANY, 51), "acknowledges-unsent? in 5");
}

#[test]
fn an_acknowledgment_across_a_hole_is_found_if_no_packet_is_missing() {
    let hole = |settings| {
        let mut script = Script::opened(settings);
        script.b(seg(0, 50).ack(0).ts(502, 100));
        script.b(seg(60, 40).ack(0).ts(502, 100));
        script.a(seg(0, 0).ack(50).sack(60, 100).ts(102, 502));
        script.a(seg(0, 0).ack(100).ts(103, 502));
        script.found()
    };
    assert_eq!(hole(COMPLETE), "acknowledges-unsent in 7");
    assert_eq!(hole(ANY), "");
}

#[test]
fn what_was_on_the_way_when_the_trace_begins_may_be_acknowledged() {
    let mut script = Script::new(at(B, COMPLETE));
    script.b(seg(100, 50).ack(0).ts(502, 100));
    script.a(seg(0, 0).ack(120).ts(102, 502));
    script.a(seg(0, 0).ack(300).ts(103, 502));
    assert_eq!(script.found(), "acknowledges-unsent? in 3");
}

#[test]
fn blocks_lie_beyond_the_acknowledgment_but_for_the_first() {
    let mut script = Script::opened(COMPLETE);
    script.b(seg(0, 50).ack(0).ts(502, 100));
    script.b(seg(60, 40).ack(0).ts(503, 100));
    // Octets that came twice (RFC 2883, 4.1).
    script.a(seg(0, 0).ack(50).sack(0, 20).sack(60, 100).ts(102, 502));
    assert_eq!(script.found(), "");

    let mut script = Script::opened(COMPLETE);
    script.b(seg(0, 50).ack(0).ts(502, 100));
    script.b(seg(60, 40).ack(0).ts(503, 100));
    script.a(seg(0, 0).ack(50).sack(60, 100).sack(0, 20).ts(102, 502));
    script.a(seg(0, 0).ack(50).sack(60, 60).ts(103, 502));
    script.a(seg(0, 0).ack(50).sack(60, 101).ts(104, 502));
    assert_eq!(
        script.found(),
        "sack-out-of-place in 6; sack-out-of-place in 7; sack-out-of-place in 8"
    );
}

#[test]
fn the_right_edge_goes_back_by_no_more_than_scaling_rounds_off() {
    let edge = |window| {
        let mut script = Script::opened(at(A, ANY));
        script.b(seg(0, 50).ack(0).ts(502, 100));
        script.a(seg(0, 0).ack(0).ts(102, 502).win(1000));
        script.a(seg(0, 0).ack(50).ts(102, 502).win(window));
        script.found()
    };
    assert_eq!(edge(988), "", "50 is 12.5 units");
    assert_eq!(edge(987), "", "two octets less than one unit");
    assert_eq!(edge(986), "window-shrunk? in 6");
}

#[test]
fn a_smaller_window_that_was_overtaken_is_none_that_shrinks() {
    let mut script = Script::opened(at(B, ANY));
    script.b(seg(0, 50).ack(0).ts(502, 100));
    script.a(seg(0, 0).ack(0).ts(102, 502).win(2000));
    script.a(seg(0, 0).ack(0).ts(102, 502).win(1000));
    script.a(seg(0, 0).ack(0).ts(101, 502).win(1000));
    assert_eq!(script.found(), "");
    let mut script = Script::opened(at(B, ANY));
    script.b(seg(0, 50).ack(0).ts(502, 100));
    script.a(seg(0, 0).ack(0).ts(102, 502).win(2000));
    script.a(seg(0, 0).ack(50).ts(102, 502).win(1000));
    assert_eq!(script.found(), "window-shrunk? in 6");
}

#[test]
fn an_exact_copy_says_nothing_of_order() {
    // Captured on every device, a packet is seen twice.
    let mut script = Script::opened(ALL);
    script.b(seg(0, 50).ack(0).ts(502, 100));
    script.a(seg(0, 0).ack(20).ts(102, 502).win(995));
    script.a(seg(0, 0).ack(50).ts(103, 502).win(988));
    script.a(seg(0, 0).ack(20).ts(102, 502).win(995));
    script.a(seg(0, 0).ack(50).ts(103, 502).win(988));
    assert_eq!(script.found(), "");
}

#[test]
fn every_segment_behind_the_syn_acknowledges() {
    let mut script = Script::opened(ANY);
    script.a(seg(0, 10).ack(0).ts(101, 501));
    script.a(seg(10, 0).ts(102, 501));
    script.a(seg(10, 0).flags("R"));
    assert_eq!(script.found(), "no-acknowledgment in 5");
}
