//! Whether a recovery is granted: the new TCP, its options, its incarnation.

use tcpr_core::Refusal;

use crate::trace::{OURS, PEERS, Trace, seg};
use crate::{busy, failed, syn};

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
                &format!("{}+0", i64::from(0_u32.wrapping_sub(PEERS) as i32) - 1)
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
    trace.inside = OURS;
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
