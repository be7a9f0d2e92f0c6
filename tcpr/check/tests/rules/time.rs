//! Timestamps, and time.

use crate::script::{A, ALL, ANY, B, COMPLETE, Script, at, seg};

#[test]
fn a_timestamp_that_goes_back_is_found_where_it_was_sent() {
    let back = |settings| {
        let mut script = Script::opened(settings);
        script.a(seg(0, 10).ack(0).ts(110, 501));
        script.a(seg(10, 10).ack(0).ts(109, 501));
        script.found()
    };
    assert_eq!(back(at(A, ANY)), "timestamp-regressed in 5");
    assert_eq!(back(at(B, COMPLETE)), "", "it may have been overtaken");
}

#[test]
fn an_earlier_timestamp_with_a_higher_acknowledgment_contradicts_itself() {
    let mut script = Script::opened(at(B, ANY));
    script.b(seg(0, 50).ack(0).ts(502, 100));
    script.a(seg(0, 0).ack(20).ts(110, 502));
    script.a(seg(0, 0).ack(20).ts(109, 502));
    script.a(seg(0, 0).ack(50).ts(109, 502).win(993));
    assert_eq!(script.found(), "timestamp-regressed in 7");
}

#[test]
fn timestamps_pass_their_wrap() {
    let mut script = Script::new(ALL);
    script.b(seg(0, 0).syn().ts(500, 0));
    script.a(seg(0, 0).syn().flags("SA").ack(0).ts(u32::MAX - 1, 500));
    script.b(seg(0, 0).ack(0).ts(501, u32::MAX - 1));
    script.a(seg(0, 10).ack(0).ts(u32::MAX, 501));
    script.a(seg(10, 10).ack(0).ts(3, 501));
    script.b(seg(0, 0).ack(20).ts(502, 3));
    assert_eq!(script.found(), "");
}

#[test]
fn only_timestamps_that_were_sent_are_echoed() {
    let echo = |settings, tsecr| {
        let mut script = Script::opened(settings);
        script.b(seg(0, 10).ack(0).ts(510, 100));
        script.a(seg(0, 0).ack(10).ts(102, tsecr));
        script.found()
    };
    assert_eq!(echo(COMPLETE, 510), "");
    assert_eq!(echo(COMPLETE, 511), "echo-unsent in 5");
    assert_eq!(echo(COMPLETE, 499), "echo-unsent? in 5");
    assert_eq!(echo(ANY, 511), "echo-unsent? in 5");
}

#[test]
fn a_long_silence_is_told() {
    let wait = |milliseconds| {
        let mut script = Script::opened(ALL);
        script.b(seg(0, 10).ack(0).ts(510, 100));
        script.after(milliseconds);
        script.b(seg(0, 10).ack(0).ts(600, 100));
        script.a(seg(0, 0).ack(10).ts(102, 600));
        script.found()
    };
    assert_eq!(wait(2900), "");
    assert_eq!(wait(3100), "silence? in 6");
}

#[test]
fn octets_without_acknowledgment_are_told_at_the_end() {
    let mut script = Script::opened(ALL);
    script.b(seg(0, 10).ack(0).ts(510, 100));
    script.a(seg(0, 10).ack(0).ts(102, 510));
    script.after(2000).a(seg(10, 10).ack(0).ts(2102, 510));
    script.after(2000).a(seg(20, 10).ack(0).ts(4102, 510));
    script.b(seg(10, 0).ack(30).ts(4500, 4102));
    assert_eq!(script.found(), "unacknowledged? in 4; silence? in 8");
}

#[test]
fn time_without_data_is_no_silence() {
    let mut script = Script::opened(ALL);
    script.b(seg(0, 10).ack(0).ts(510, 100));
    script.a(seg(0, 0).ack(10).ts(102, 510));
    script
        .after(3_600_000)
        .b(seg(9, 0).ack(0).ts(3_600_000, 102));
    script.after(5000).a(seg(0, 0).ack(10).ts(3_600_300, 510));
    script
        .after(100_000)
        .b(seg(10, 1).ack(0).ts(3_700_000, 102));
    script.a(seg(0, 0).ack(11).ts(3_700_300, 3_700_000));
    assert_eq!(script.found(), "");
}
