//! What sessions negotiate, refuse and say, beyond the table.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use injectors::speaker::config::{Config, GracefulRestart, PeerConfig};
use injectors::speaker::message::{Open, keepalive};
use injectors::speaker::session::State::*;
use injectors::speaker::session::{ATTEMPT, Input, Negotiated, Output, Reason, Session, Settings};
use rustbgpd_wire as codec;

use crate::Event::*;
use crate::{
    HOLD_TIME_S, KEEPALIVE_S, LARGE_HOLD_TIME_S, framed, happen, in_words, oracle, outputs,
    peer_open, session_in, settings,
};

#[test]
fn settings_are_those_of_the_configuration() {
    let graceful_restart = Some(GracefulRestart {
        restart_time_s: 120,
        restarted: false,
        forwarding: true,
        notification: false,
    });
    let peer = PeerConfig {
        address: Ipv4Addr::new(198, 51, 100, 2),
        port: 179,
        local_address: None,
        asn: 64513,
        passive: true,
        hold_time_s: 90,
        connect_retry_ms: 15_000,
        connect_delay_ms: 0,
        graceful_restart,
        announce: vec![],
    };
    let config = Config {
        asn: 64512,
        router_id: Ipv4Addr::new(192, 0, 2, 1),
        control: None,
        tcpr: None,
        peers: vec![peer],
    };
    let expected = Settings {
        graceful_restart,
        ..settings(true)
    };
    assert_eq!(Settings::new(&config, &config.peers[0]), expected);
}

#[test]
fn the_first_attempt_waits_for_the_connect_delay_and_the_next_do_not() {
    let began = Instant::now();
    let delayed = Settings {
        connect_delay_ms: 130,
        ..settings(false)
    };
    let retry = Duration::from_millis(delayed.connect_retry_ms.into());
    let first = began + Duration::from_millis(130);
    let mut session = Session::new(delayed);
    session.handle(Input::Start, began);
    assert_eq!(outputs(&mut session), []);
    assert_eq!((session.state(), session.deadline()), (Active, Some(first)));
    session.handle(Input::Timer, first);
    assert_eq!(outputs(&mut session), [Output::Connect]);
    session.handle(Input::ConnectionFailed, first);
    assert_eq!(session.deadline(), Some(first + retry));
    session.handle(Input::Timer, first + retry);
    assert_eq!(outputs(&mut session), [Output::Connect]);
}

#[test]
fn an_attempt_outlives_a_short_connect_retry_time() {
    let began = Instant::now();
    let impatient = Settings {
        connect_retry_ms: 100,
        ..settings(false)
    };
    let mut session = Session::new(impatient);
    session.handle(Input::Start, began);
    assert_eq!(outputs(&mut session), [Output::Connect]);
    assert_eq!(session.deadline(), Some(began + ATTEMPT));
    // What has failed is tried again soon.
    session.handle(Input::ConnectionFailed, began);
    let soon = began + Duration::from_millis(100);
    assert_eq!(session.deadline(), Some(soon));
}

#[test]
fn a_stopped_session_stays_idle() {
    let now = Instant::now();
    for state in [Idle, Connect, Active, OpenSent, OpenConfirm, Established] {
        let mut session = session_in(state, false, now);
        session.handle(Input::Stop, now);
        assert_eq!((session.state(), session.deadline()), (Idle, None));
    }
}

/// The reason of a session's end, and the octets that went before it.
fn end(session: &mut Session) -> (Option<Vec<u8>>, Reason) {
    let mut sent = None;
    for output in outputs(session) {
        match output {
            Output::Send(octets) => sent = Some(octets),
            Output::Ended(reason) => return (sent, reason),
            _ => {}
        }
    }
    panic!("the session has not ended, but is in {:?}", session.state());
}

/// What is said to an OPEN that is like an acceptable one but for this.
fn answer_to(
    change: impl FnOnce(&mut Open),
    settings: Settings,
) -> (codec::NotificationMessage, String) {
    let now = Instant::now();
    let mut session = Session::new(settings);
    session.handle(Input::Start, now);
    session.handle(Input::ConnectionUp, now);
    outputs(&mut session);
    let mut open = peer_open();
    change(&mut open);
    session.handle(Input::Octets(&open.to_octets()), now);
    let (sent, reason) = end(&mut session);
    match oracle(&sent.unwrap()) {
        codec::Message::Notification(notification) => (notification, reason.to_string()),
        other => panic!("{other:?}"),
    }
}

/// What is not acceptable of an OPEN, to whom, the subcode that answers it, and the words.
type Case<'a> = (&'a dyn Fn(&mut Open), Settings, u8, &'a str);

#[test]
fn an_unacceptable_open_is_answered_with_its_error() {
    let ours = || settings(false);
    let within = || Settings {
        peer_asn: 64512,
        ..ours()
    };
    let cases: [Case; 6] = [
        (
            &|o| o.asn = 64999,
            ours(),
            2,
            "the peer was told OPEN Message Error, Bad Peer AS (2/2): it says it is of AS 64999, \
             configured is AS 64513",
        ),
        (
            &|o| o.router_id = Ipv4Addr::UNSPECIFIED,
            ours(),
            3,
            "the peer was told OPEN Message Error, Bad BGP Identifier (2/3): its BGP Identifier is \
             0.0.0.0",
        ),
        (
            &|o| (o.asn, o.router_id) = (64512, Ipv4Addr::new(192, 0, 2, 1)),
            within(),
            3,
            "the peer was told OPEN Message Error, Bad BGP Identifier (2/3): its BGP Identifier \
             192.0.2.1 is ours too, within one AS",
        ),
        (
            &|o| o.hold_time_s = 1,
            ours(),
            6,
            "the peer was told OPEN Message Error, Unacceptable Hold Time (2/6): it proposes a \
             HoldTime of 1 s; 0 or at least 3 s are allowed",
        ),
        (
            &|o| o.hold_time_s = 2,
            ours(),
            6,
            "the peer was told OPEN Message Error, Unacceptable Hold Time (2/6): it proposes a \
             HoldTime of 2 s; 0 or at least 3 s are allowed",
        ),
        (
            &|o| o.asn = 0,
            ours(),
            2,
            "the peer was told OPEN Message Error, Bad Peer AS (2/2): it says it is of AS 0, \
             configured is AS 64513",
        ),
    ];
    for (change, settings, subcode, words) in cases {
        let (notification, reason) = answer_to(change, settings);
        assert_eq!(
            (notification.code.as_u8(), notification.subcode),
            (2, subcode)
        );
        assert_eq!(reason, words);
    }
}

#[test]
fn a_peer_without_ipv4_unicast_is_told_what_it_lacks() {
    let now = Instant::now();
    let mut session = session_in(OpenSent, false, now);
    // Multiprotocol IPv6 unicast, and nothing else.
    let open = framed(
        1,
        &[4, 0xfc, 1, 0, 90, 192, 0, 2, 2, 8, 2, 6, 1, 4, 0, 2, 0, 1],
    );
    session.handle(Input::Octets(&open), now);
    let (sent, reason) = end(&mut session);
    let codec::Message::Notification(notification) = oracle(&sent.unwrap()) else {
        panic!("no NOTIFICATION");
    };
    assert_eq!((notification.code.as_u8(), notification.subcode), (2, 7));
    assert_eq!(&notification.data[..], [1, 4, 0, 1, 0, 1]);
    assert!(reason.to_string().contains("does not offer IPv4 unicast"));
}

#[test]
fn the_same_identifier_in_another_as_is_acceptable() {
    let now = Instant::now();
    let mut session = session_in(OpenSent, false, now);
    let mut open = peer_open();
    open.router_id = Ipv4Addr::new(192, 0, 2, 1);
    session.handle(Input::Octets(&open.to_octets()), now);
    assert_eq!(session.state(), OpenConfirm);
}

#[test]
fn what_is_negotiated_is_what_both_offer() {
    for (ours, theirs, hold_time_s, keepalive_s) in [
        (90, 180, 90, 30),
        (180, 10, 10, 3),
        (90, 3, 3, 1),
        (0, 90, 0, 0),
        (90, 0, 0, 0),
    ] {
        let now = Instant::now();
        let mut session = Session::new(Settings {
            hold_time_s: ours,
            ..settings(false)
        });
        session.handle(Input::Start, now);
        session.handle(Input::ConnectionUp, now);
        let graceful_restart = Some(GracefulRestart {
            restart_time_s: 120,
            restarted: true,
            forwarding: true,
            notification: true,
        });
        let open = Open {
            hold_time_s: theirs,
            four_octet_as: false,
            graceful_restart,
            ..peer_open()
        };
        session.handle(Input::Octets(&open.to_octets()), now);
        let negotiated = Negotiated {
            peer_asn: 64513,
            peer_router_id: Ipv4Addr::new(192, 0, 2, 2),
            hold_time_s,
            keepalive_s,
            four_octet_as: false,
            peer_graceful_restart: graceful_restart,
        };
        assert_eq!(session.negotiated(), Some(&negotiated));
        assert!(outputs(&mut session).contains(&Output::OpenReceived(negotiated.clone())));
        let json = serde_json::to_string(&negotiated).unwrap();
        assert_eq!(
            serde_json::from_str::<Negotiated>(&json).unwrap(),
            negotiated
        );
        // No HoldTime: no timers.
        assert_eq!(session.deadline().is_none(), hold_time_s == 0);
    }
}

#[test]
fn the_hold_timer_is_restarted_by_keepalives_and_updates_alone() {
    let start = Instant::now();
    for (event, restarts) in [(Keepalive, true), (GoodUpdate, true), (RouteRefresh, false)] {
        let mut session = session_in(Established, false, start);
        let later = start + Duration::from_secs(60);
        happen(&mut session, event, later);
        session.handle(Input::Timer, start + Duration::from_secs(HOLD_TIME_S));
        let next = if restarts { Established } else { Idle };
        assert_eq!(session.state(), next, "{event:?}");
    }
}

#[test]
fn the_hold_timer_is_of_four_minutes_until_the_open_is_there() {
    let now = Instant::now();
    let session = session_in(OpenSent, false, now);
    assert_eq!(
        session.deadline(),
        Some(now + Duration::from_secs(LARGE_HOLD_TIME_S))
    );
}

#[test]
fn keepalives_go_on_at_their_interval() {
    let start = Instant::now();
    let mut session = session_in(Established, false, start);
    for nth in 1..=10 {
        let due = start + Duration::from_secs(nth * KEEPALIVE_S);
        happen(&mut session, Keepalive, due - Duration::from_millis(2));
        session.handle(Input::Timer, due - Duration::from_millis(1));
        assert_eq!(outputs(&mut session), []);
        assert_eq!(session.deadline(), Some(due));
        session.handle(Input::Timer, due);
        assert_eq!(in_words(&outputs(&mut session)), "KEEPALIVE");
    }
}

#[test]
fn an_update_that_is_sent_stands_for_a_keepalive() {
    let start = Instant::now();
    let mut session = session_in(Established, false, start);
    session.update_sent(start + Duration::from_secs(20));
    assert_eq!(session.deadline(), Some(start + Duration::from_secs(50)));
    session.handle(Input::Timer, start + Duration::from_secs(30));
    assert_eq!(outputs(&mut session), []);
    session.handle(Input::Timer, start + Duration::from_secs(50));
    assert_eq!(in_words(&outputs(&mut session)), "KEEPALIVE");
}

#[test]
fn a_session_ends_with_clear_words() {
    let now = Instant::now();
    for (state, event, words) in [
        (
            Established,
            HoldTimer,
            "the peer was told Hold Timer Expired (4/0): heard nothing for 90 s",
        ),
        (
            OpenSent,
            HoldTimer,
            "the peer was told Hold Timer Expired (4/0): heard nothing for 240 s",
        ),
        (
            Established,
            OtherNotification,
            "the peer says Cease, Administrative Reset (6/4)",
        ),
        (
            OpenSent,
            Closed,
            "the connection was closed in OpenSent without a NOTIFICATION",
        ),
        (
            Established,
            Stop,
            "stopped here: the peer was told Cease, Administrative Shutdown (6/2)",
        ),
        (
            OpenConfirm,
            GoodUpdate,
            "the peer was told Finite State Machine Error, Receive Unexpected Message in \
             OpenConfirm State (5/2), data 02: UPDATE is not expected in OpenConfirm",
        ),
    ] {
        let mut session = session_in(state, false, now);
        happen(&mut session, event, now);
        assert_eq!(end(&mut session).1.to_string(), words);
    }
}

fn negotiated() -> Negotiated {
    let now = Instant::now();
    session_in(Established, false, now)
        .negotiated()
        .unwrap()
        .clone()
}

#[test]
fn a_resumed_session_is_established_and_sends_a_keepalive_but_no_open() {
    let now = Instant::now();
    let mut session = Session::resume(settings(false), negotiated(), 1234, now);
    assert_eq!((session.state(), session.received()), (Established, 1234));
    assert_eq!(in_words(&outputs(&mut session)), "KEEPALIVE");
    assert_eq!(session.deadline(), Some(now + Duration::from_secs(30)));
    happen(&mut session, GoodUpdate, now);
    assert_eq!(session.received(), 1234 + 27);
    assert_eq!(in_words(&outputs(&mut session)), "update");
    happen(&mut session, HoldTimer, now);
    assert_eq!(
        in_words(&outputs(&mut session)),
        "NOTIFICATION 4/0, disconnect, ended"
    );
}

#[test]
fn what_was_received_is_counted_anew_on_each_connection() {
    let now = Instant::now();
    let mut session = session_in(Established, false, now);
    let open = peer_open().to_octets().len() as u64;
    assert_eq!(session.received(), open + 19);
    session.handle(Input::Octets(&keepalive()[..7]), now);
    assert_eq!((session.received(), session.buffered()), (open + 19, 7));
    happen(&mut session, Closed, now);
    assert_eq!(session.buffered(), 0);
    happen(&mut session, ConnectRetryTimer, now);
    happen(&mut session, Up, now);
    assert_eq!(session.received(), 0);
}
