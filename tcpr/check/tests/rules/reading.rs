//! Packets as captures have them.

use std::time::Duration;

use tcpr_check::{Captured, Rule, Settings, Trace, Way};

use crate::script::packets::build;
use crate::script::{ALL, ANY, Script, seg};

#[test]
fn packets_that_were_cut_are_judged_without_their_octets() {
    let mut script = Script::opened(ALL);
    script.spoil = |octets| octets.truncate(52 + 10);
    script.a(seg(0, 100).ack(0).ts(101, 501));
    script.a_with(seg(0, 100).ack(0).ts(102, 501), &[9; 100]);
    script.b(seg(0, 0).ack(100).ts(502, 102));
    let verdict = script.finish();
    // The first ten octets are there.
    assert_eq!(crate::script::said(&verdict), "octets-changed in 5");
    assert_eq!(verdict.connections[0].ends[1].cut, 2);
}

#[test]
fn what_is_no_whole_tcp_is_counted_and_numbers_agree() {
    let mut script = Script::opened(ANY);
    script.trace.pass_over();
    script.octets(vec![0x45, 0, 0, 40], Way::Unknown);
    script.spoil = |octets| octets[9] = 17;
    script.a(seg(0, 1).ack(0));
    script.spoil = |octets| octets[6] = 0x20;
    script.a(seg(0, 1).ack(0));
    script.spoil = |_| {};
    script.a(seg(0, 9).ack(0));
    let verdict = script.finish();
    assert_eq!(crate::script::said(&verdict), "timestamp-missing in 8");
    let uncounted = verdict.uncounted;
    assert_eq!(
        (uncounted.other, uncounted.fragments, uncounted.damaged),
        (2, 1, 1)
    );
}

#[test]
fn checksums_are_judged_when_asked_for() {
    let spoilt = |settings| {
        let mut script = Script::opened(settings);
        script.spoil = |octets| octets[36] ^= 1;
        script.a(seg(0, 9).ack(0).ts(101, 501));
        script.found()
    };
    assert_eq!(spoilt(ANY), "");
    let asked = Settings {
        checksums: true,
        ..ANY
    };
    assert_eq!(spoilt(asked), "checksum-wrong in 4");
}

#[test]
fn a_capture_that_tells_the_way_of_packets_tells_where_it_was_made() {
    // An acknowledgment that goes back, with timestamps that do not tell.
    let tell = |of_a, of_b| {
        let mut script = Script::new(ANY);
        let mut send = |from_a: bool, segment: crate::script::Seg| {
            let (a, b) = (script.a, script.b);
            let (ours, peers) = script.initial;
            match from_a {
                true => script.octets(build(a, b, ours, peers, &segment), of_a),
                false => script.octets(build(b, a, peers, ours, &segment), of_b),
            };
        };
        send(false, seg(0, 0).syn());
        send(true, seg(0, 0).syn().flags("SA").ack(0));
        send(false, seg(0, 50).ack(0));
        send(true, seg(0, 0).ack(50).win(988));
        send(true, seg(0, 10).ack(0));
        script.found()
    };
    assert_eq!(tell(Way::Out, Way::In), "acknowledgment-regressed in 5");
    let note = "acknowledgment-regressed? in 5";
    assert_eq!(tell(Way::In, Way::Out), note);
    assert_eq!(tell(Way::Out, Way::Out), note, "passed on");
}

#[test]
fn a_packet_larger_than_its_header_can_say_has_the_length_of_the_capture() {
    let script = Script::new(ANY);
    let mut octets = build(script.a, script.b, 1, 2, &seg(0, 60_000).ack(0));
    octets[2..4].fill(0);
    let mut trace = Trace::new(ANY);
    trace.captured(Captured {
        time: Duration::ZERO,
        octets: &octets[..100],
        length: octets.len(),
        way: Way::Unknown,
    });
    let verdict = trace.finish();
    assert_eq!(verdict.connections[0].ends[0].octets, 60_000);
}

#[test]
fn octets_of_any_kind_are_read_without_a_panic() {
    let script = Script::new(ANY);
    let whole = build(
        script.a,
        script.b,
        1,
        2,
        &seg(0, 20).ack(0).ts(1, 2).sack(3, 4),
    );
    for length in 0..whole.len() {
        for at in 0..length {
            let mut octets = whole[..length].to_vec();
            octets[at] ^= 0xff;
            let mut trace = Trace::new(ALL);
            trace.packet(Duration::ZERO, &octets);
            trace.packet(Duration::ZERO, &whole);
            assert_eq!(trace.finish().packets, 2);
        }
    }
}

#[test]
fn every_rule_is_explained_where_users_look() {
    let text = include_str!("../../../../docs/check.md");
    for rule in Rule::ALL {
        let row = format!("| `{rule}` | ");
        let explained = text.lines().find(|line| line.starts_with(&row));
        let explained = explained.unwrap_or_else(|| panic!("{rule} is missing from docs/check.md"));
        assert!(explained.contains(rule.clause()), "{explained}");
    }
}
