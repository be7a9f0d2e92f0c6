//! SYNs and what they agree upon.

use tcpr_check::Ending;

use crate::script::{ALL, ANY, COMPLETE, Script, Seg, seg};

fn syn(tsval: u32) -> Seg {
    seg(0, 0).syn().ts(tsval, 0)
}

#[test]
fn syns_may_be_repeated_and_cross() {
    let mut script = Script::new(ALL);
    script.b(syn(500)).b(syn(510)).a(syn(100)).b(syn(520));
    script.a(seg(0, 0).syn().flags("SA").ack(0).ts(101, 520));
    script.b(seg(0, 0).syn().flags("SA").ack(0).ts(521, 100));
    script.a(seg(0, 0).ack(0).ts(102, 521));
    script.b(seg(0, 10).ack(0).ts(522, 102));
    script.a(seg(0, 0).ack(10).ts(103, 522).win(998));
    let verdict = script.finish();
    assert_eq!(verdict.connections.len(), 1);
    assert_eq!(crate::script::said(&verdict), "");
}

#[test]
fn another_syn_amid_a_connection_that_goes_on_is_found() {
    let intrude = |settings, goes_on: bool| {
        let mut script = Script::opened(settings);
        script.a(seg(0, 10).ack(0).ts(101, 501));
        let initial = script.initial;
        script.initial.0 = 77_777;
        script.a(syn(9000));
        script.initial = initial;
        script.b(seg(0, 0).ack(10).ts(502, 101));
        if goes_on {
            script.a(seg(10, 10).ack(0).ts(102, 502));
        }
        script.found()
    };
    assert_eq!(intrude(COMPLETE, true), "syn-in-connection in 5");
    assert_eq!(intrude(COMPLETE, false), "syn-in-connection in 5");
    assert_eq!(intrude(ANY, true), "syn-in-connection in 5");
    assert_eq!(
        intrude(ANY, false),
        "not-seen-to-end? in 5",
        "the end of the connection may be missing"
    );
}

#[test]
fn a_connection_that_is_accepted_anew_is_another() {
    let mut script = Script::opened(COMPLETE);
    script.b(seg(0, 10).ack(0).ts(502, 100));
    script.initial = (5, 6);
    script.open();
    script.b(seg(0, 10).ack(0).ts(502, 100));
    script.a(seg(0, 0).ack(10).ts(101, 502));
    let verdict = script.finish();
    assert_eq!(crate::script::said(&verdict), "not-seen-to-end? in 5");
    let seen = verdict.connections.iter().map(|course| course.first_packet);
    assert_eq!(seen.collect::<Vec<_>>(), [1, 5]);
}

#[test]
fn ports_are_used_again_after_the_end_of_a_connection() {
    let mut script = Script::opened(ALL);
    script.a(seg(0, 0).flags("F").ack(0).ts(101, 501));
    script.b(seg(0, 0).flags("F").ack(1).ts(502, 101));
    script.a(seg(1, 0).ack(1).ts(102, 502));
    script.initial = (1 << 30, 1 << 31);
    script.open();
    script.a(seg(0, 0).flags("R").ack(0).ts(103, 501));
    script.initial = (17, 18);
    script.open();
    let verdict = script.finish();
    assert_eq!(crate::script::said(&verdict), "");
    let endings = verdict.connections.iter().map(|course| course.ending);
    assert_eq!(
        endings.collect::<Vec<_>>(),
        [Ending::Closed, Ending::Reset(script.a), Ending::Open]
    );
}

#[test]
fn a_connection_after_another_is_known_without_its_beginning() {
    let mut script = Script::opened(ANY);
    script.a(seg(0, 0).flags("R").ack(0).ts(101, 501));
    script.initial = (1 << 29, 1 << 28);
    script.b(seg(100, 10).ack(200).ts(9, 9));
    script.a(seg(200, 10).ack(110).ts(9, 9));
    let verdict = script.finish();
    assert_eq!(crate::script::said(&verdict), "");
    assert_eq!(verdict.connections.len(), 2);
    assert!(!verdict.connections[1].ends[0].from_syn);
}

#[test]
fn timestamps_are_on_every_segment_or_on_none() {
    let mut script = Script::opened(ANY);
    script.a(seg(0, 10).ack(0));
    script.a(seg(10, 0).flags("R"));
    assert_eq!(script.found(), "timestamp-missing in 4");

    let mut script = Script::opened_plain(ANY);
    script.a(seg(0, 10).ack(0).ts(101, 501));
    assert_eq!(script.found(), "option-not-agreed in 4");
}

#[test]
fn selective_acknowledgments_must_have_been_permitted() {
    let mut script = Script::new(ANY);
    let mut plain = seg(0, 0).syn();
    plain.sackok = false;
    script.b(plain).a(seg(0, 0).syn().flags("SA").ack(0));
    script.b(seg(0, 0).ack(0)).b(seg(10, 10).ack(0));
    script.a(seg(0, 0).ack(0).sack(10, 20));
    assert_eq!(script.found(), "option-not-agreed in 5");
}

#[test]
fn a_syn_repeated_with_other_options_leaves_open_what_was_agreed() {
    let mut script = Script::new(ALL);
    script.b(syn(500)).b(seg(0, 0).syn());
    script.a(seg(0, 0).syn().flags("SA").ack(0).ts(101, 500));
    script.b(seg(0, 0).ack(0));
    script.a(seg(0, 10).ack(0));
    assert_eq!(script.found(), "");
}

#[test]
fn every_connection_is_judged_for_itself() {
    let mut one = Script::opened(ALL);
    one.a(seg(0, 10).ack(0).ts(101, 501));
    one.a = "10.0.0.2:180".parse().unwrap();
    one.initial = (1, 2);
    one.open();
    one.a(seg(0, 10).ack(0).ts(101, 501));
    one.a(seg(2, 0).ack(3).ts(101, 501));
    let verdict = one.finish();
    assert_eq!(verdict.connections[0].violations, 0);
    assert_eq!(verdict.connections[1].violations, 1);
}

#[test]
fn ipv6_is_judged_alike() {
    let summed = tcpr_check::Settings {
        checksums: true,
        ..ALL
    };
    let mut script = Script::between(summed, "[fd00::2]:179", "[fd00::9]:4000");
    script.open();
    script.a(seg(0, 10).ack(0).ts(101, 501));
    script.a_with(seg(0, 10).ack(0).ts(102, 501), &[7; 10]);
    assert_eq!(script.found(), "checksum-wrong in 5");
    let mut script = Script::between(COMPLETE, "[fd00::2]:179", "[fd00::9]:4000");
    script.open();
    script.a(seg(0, 10).ack(0).ts(101, 501));
    script.a_with(seg(0, 10).ack(0).ts(102, 501), &[7; 10]);
    assert_eq!(script.found(), "octets-changed in 5");
}
