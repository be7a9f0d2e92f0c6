//! What an end sends.

use crate::script::{A, ALL, ANY, B, COMPLETE, Script, at, seg};

#[test]
fn octets_sent_again_with_other_boundaries_are_the_same() {
    let mut script = Script::opened(ALL);
    script.a(seg(0, 50).ack(0).ts(101, 501));
    script.a(seg(50, 50).ack(0).ts(102, 501));
    script.a(seg(30, 60).ack(0).ts(103, 501));
    script.a(seg(0, 120).ack(0).ts(104, 501));
    script.b(seg(0, 0).ack(120).ts(502, 104));
    script.a(seg(90, 40).ack(0).ts(105, 502));
    assert_eq!(script.found(), "");
}

#[test]
fn another_octet_at_the_same_position_is_found_wherever_the_capture_was_made() {
    let mut script = Script::opened(ANY);
    script.a(seg(0, 50).ack(0).ts(101, 501));
    script.a_with(seg(40, 20).ack(0).ts(102, 501), &[7; 20]);
    let verdict = script.finish();
    let finding = verdict.findings().next().unwrap();
    assert_eq!(finding.rule.name(), "octets-changed");
    assert_eq!((finding.packet, finding.sender), (5, A.parse().unwrap()));
    assert_eq!(finding.seen, "octet 41 is 0x07");
    assert_eq!(finding.expected, "0x28, as before");
    assert_eq!(verdict.violations(), 1);
}

#[test]
fn a_stream_shifted_by_one_octet_is_found() {
    // As a delta that is one too low has it: 50 to 99 are sent again as 51 to 100.
    let mut script = Script::opened(ANY);
    script.a(seg(0, 100).ack(0).ts(101, 501));
    script.b(seg(0, 0).ack(50).ts(502, 101));
    let shifted: Vec<u8> = (50..100).collect();
    script.a_with(seg(51, 50).ack(0).ts(102, 502), &shifted);
    assert_eq!(script.found(), "octets-changed in 6");
}

#[test]
fn a_keepalive_may_have_any_octet_and_a_probe_the_next_one() {
    let mut script = Script::opened(ALL);
    script.a(seg(0, 50).ack(0).ts(101, 501));
    script.b(seg(0, 0).ack(50).ts(502, 101).win(0));
    script.a(seg(49, 0).ack(0).ts(102, 502));
    script.a_with(seg(49, 1).ack(0).ts(103, 502), &[0xff]);
    script.b(seg(0, 0).ack(50).ts(503, 103).win(0));
    script.a(seg(50, 1).ack(0).ts(104, 503));
    script.b(seg(0, 0).ack(50).ts(504, 104).win(0));
    script.a(seg(50, 1).ack(0).ts(105, 504));
    let found = script.found();
    assert_eq!(found, "window-shrunk? in 5");
}

#[test]
fn a_keepalive_behind_a_fin_repeats_its_position() {
    let mut script = Script::opened(ALL);
    script.a(seg(0, 10).flags("F").ack(0).ts(101, 501));
    script.b(seg(0, 0).ack(11).ts(502, 101));
    script.a_with(seg(10, 1).ack(0).ts(103, 502), &[9]);
    assert_eq!(script.found(), "");
}

#[test]
fn nothing_is_sent_beyond_a_fin() {
    let mut script = Script::opened(ANY);
    script.a(seg(0, 10).flags("F").ack(0).ts(101, 501));
    script.a(seg(0, 10).flags("F").ack(0).ts(102, 501));
    script.a(seg(11, 0).ack(0).ts(103, 501));
    script.a(seg(10, 5).ack(0).ts(104, 501));
    assert_eq!(script.found(), "beyond-fin in 7");
}

#[test]
fn a_fin_stands_behind_what_was_sent_and_does_not_move() {
    let mut script = Script::opened(ANY);
    script.a(seg(0, 10).ack(0).ts(101, 501));
    script.a(seg(5, 0).flags("F").ack(0).ts(102, 501));
    script.a(seg(10, 0).flags("F").ack(0).ts(103, 501));
    assert_eq!(script.found(), "beyond-fin in 5; fin-moved in 6");
}

#[test]
fn a_number_that_skips_octets_is_found_where_it_was_sent_and_only_there() {
    let skip = |settings| {
        let mut script = Script::opened(settings);
        script.a(seg(0, 10).ack(0).ts(101, 501));
        script.a(seg(11, 10).ack(0).ts(102, 501));
        script.a(seg(10, 11).ack(0).ts(103, 501));
        script.b(seg(0, 0).ack(21).ts(502, 103));
        script.found()
    };
    assert_eq!(skip(at(A, COMPLETE)), "sequence-skipped in 5");
    assert_eq!(skip(at(B, COMPLETE)), "", "a packet was lost before");
    assert_eq!(skip(at(A, ANY)), "", "a packet is missing from the trace");
}

#[test]
fn data_lies_within_the_window_but_for_one_octet() {
    let fill = |settings, last: usize| {
        let mut script = Script::opened(settings);
        // B has offered 1000 << 2.
        script.a(seg(0, 3000).ack(0).ts(101, 501));
        script.a(seg(3000, last).ack(0).ts(102, 501));
        script.found()
    };
    let large = |settings| tcpr_check::Settings {
        whole_segments: false,
        ..settings
    };
    assert_eq!(fill(large(ALL), 1000), "");
    assert_eq!(fill(large(ALL), 1001), "beyond-window in 5");
    assert_eq!(fill(ANY, 1001), "beyond-window? in 5");
    let mut script = Script::opened(COMPLETE);
    script.a(seg(0, 4000).ack(0).ts(101, 501));
    script.a(seg(4000, 1).ack(0).ts(102, 501));
    assert_eq!(script.found(), "", "a probe");
}

#[test]
fn the_window_of_a_connection_whose_beginning_is_missing_is_not_known() {
    let mut script = Script::new(COMPLETE);
    script.b(seg(0, 0).ack(0).ts(501, 100));
    script.a(seg(0, 3000).ack(0).ts(101, 501));
    assert_eq!(script.found(), "");
}

#[test]
fn the_mss_is_judged_if_segments_are_those_of_the_wire() {
    let send = |settings| {
        let mut script = Script::opened(settings);
        script.a(seg(0, 1460).ack(0).ts(101, 501));
        script.a(seg(1460, 1461).ack(0).ts(102, 501));
        script.found()
    };
    assert_eq!(send(COMPLETE), "");
    assert_eq!(send(ALL), "segment-too-large in 5");
}
