//! The table of RFC 4271, section 8.2.2.

use std::time::{Duration, Instant};

use injectors::speaker::session::State::{self, *};

use crate::Event::{self, *};
use crate::{CONNECT_RETRY_S, EVENTS, happen, in_words, outputs, session_in};

/// A row: what happens, the state after it, what is put out, and ConnectRetryCounter, which was 1.
type Row = (Event, State, &'static str, u32);

const NO_CHANGE: &str = "";

#[rustfmt::skip]
const IDLE: &[Row] = &[
    (Start, Connect, "connect", 0),
    (Stop, Idle, NO_CHANGE, 0),
    (HoldTimer, Connect, "connect", 1),
    (ConnectRetryTimer, Connect, "connect", 1),
    (KeepaliveTimer, Connect, "connect", 1),
    (Up, Idle, "disconnect", 1),
    (Failed, Idle, NO_CHANGE, 1),
    (Closed, Idle, NO_CHANGE, 1),
    (GoodOpen, Idle, NO_CHANGE, 1),
    (BadHeader, Idle, NO_CHANGE, 1),
    (BadOpen, Idle, NO_CHANGE, 1),
    (VersionNotification, Idle, NO_CHANGE, 1),
    (OtherNotification, Idle, NO_CHANGE, 1),
    (Keepalive, Idle, NO_CHANGE, 1),
    (GoodUpdate, Idle, NO_CHANGE, 1),
    (BadUpdate, Idle, NO_CHANGE, 1),
    (RouteRefresh, Idle, NO_CHANGE, 1),
];

// Octets need a connection: their rows in Connect and Active say that those of a connection which
// is closed already do nothing. The other timers do not run: only ConnectRetryTimer expires.
#[rustfmt::skip]
const CONNECT: &[Row] = &[
    (Start, Connect, NO_CHANGE, 1),
    (Stop, Idle, "disconnect", 0),
    (ConnectRetryTimer, Connect, "disconnect, connect", 1),
    (HoldTimer, Connect, "disconnect, connect", 1),
    (KeepaliveTimer, Connect, "disconnect, connect", 1),
    (Up, OpenSent, "OPEN", 1),
    (Failed, Idle, NO_CHANGE, 1),
    (Closed, Idle, NO_CHANGE, 1),
    (GoodOpen, Connect, NO_CHANGE, 1),
    (BadHeader, Connect, NO_CHANGE, 1),
    (BadOpen, Connect, NO_CHANGE, 1),
    (VersionNotification, Connect, NO_CHANGE, 1),
    (OtherNotification, Connect, NO_CHANGE, 1),
    (Keepalive, Connect, NO_CHANGE, 1),
    (GoodUpdate, Connect, NO_CHANGE, 1),
    (BadUpdate, Connect, NO_CHANGE, 1),
    (RouteRefresh, Connect, NO_CHANGE, 1),
];

#[rustfmt::skip]
const ACTIVE: &[Row] = &[
    (Start, Active, NO_CHANGE, 1),
    (Stop, Idle, NO_CHANGE, 0),
    (ConnectRetryTimer, Connect, "connect", 1),
    (HoldTimer, Connect, "connect", 1),
    (KeepaliveTimer, Connect, "connect", 1),
    (Up, OpenSent, "OPEN", 1),
    (Failed, Idle, NO_CHANGE, 2),
    (Closed, Idle, NO_CHANGE, 2),
    (GoodOpen, Active, NO_CHANGE, 1),
    (BadHeader, Active, NO_CHANGE, 1),
    (BadOpen, Active, NO_CHANGE, 1),
    (VersionNotification, Active, NO_CHANGE, 1),
    (OtherNotification, Active, NO_CHANGE, 1),
    (Keepalive, Active, NO_CHANGE, 1),
    (GoodUpdate, Active, NO_CHANGE, 1),
    (BadUpdate, Active, NO_CHANGE, 1),
    (RouteRefresh, Active, NO_CHANGE, 1),
];

#[rustfmt::skip]
const OPEN_SENT: &[Row] = &[
    (Start, OpenSent, NO_CHANGE, 1),
    (Stop, Idle, "NOTIFICATION 6/2, disconnect, ended", 0),
    (ConnectRetryTimer, OpenSent, NO_CHANGE, 1),
    (HoldTimer, Idle, "NOTIFICATION 4/0, disconnect, ended", 2),
    (KeepaliveTimer, OpenSent, NO_CHANGE, 1),
    (Up, OpenSent, NO_CHANGE, 1),
    (Failed, Active, "disconnect, ended", 1),
    (Closed, Active, "disconnect, ended", 1),
    (GoodOpen, OpenConfirm, "KEEPALIVE, open received", 1),
    (BadHeader, Idle, "NOTIFICATION 1/1, disconnect, ended", 2),
    (BadOpen, Idle, "NOTIFICATION 2/1, disconnect, ended", 2),
    (VersionNotification, Idle, "disconnect, ended", 2),
    (OtherNotification, Idle, "disconnect, ended", 2),
    (Keepalive, Idle, "NOTIFICATION 5/1, disconnect, ended", 2),
    (GoodUpdate, Idle, "NOTIFICATION 5/1, disconnect, ended", 2),
    (BadUpdate, Idle, "NOTIFICATION 5/1, disconnect, ended", 2),
    (RouteRefresh, Idle, "NOTIFICATION 5/1, disconnect, ended", 2),
];

#[rustfmt::skip]
const OPEN_CONFIRM: &[Row] = &[
    (Start, OpenConfirm, NO_CHANGE, 1),
    (Stop, Idle, "NOTIFICATION 6/2, disconnect, ended", 0),
    (ConnectRetryTimer, OpenConfirm, NO_CHANGE, 1),
    (HoldTimer, Idle, "NOTIFICATION 4/0, disconnect, ended", 2),
    (KeepaliveTimer, OpenConfirm, "KEEPALIVE", 1),
    (Up, OpenConfirm, NO_CHANGE, 1),
    (Failed, Idle, "disconnect, ended", 2),
    (Closed, Idle, "disconnect, ended", 2),
    (GoodOpen, Idle, "NOTIFICATION 5/2, disconnect, ended", 2),
    (BadHeader, Idle, "NOTIFICATION 1/1, disconnect, ended", 2),
    (BadOpen, Idle, "NOTIFICATION 2/1, disconnect, ended", 2),
    (VersionNotification, Idle, "disconnect, ended", 2),
    (OtherNotification, Idle, "disconnect, ended", 2),
    (Keepalive, Established, "established", 1),
    (GoodUpdate, Idle, "NOTIFICATION 5/2, disconnect, ended", 2),
    (BadUpdate, Idle, "NOTIFICATION 5/2, disconnect, ended", 2),
    (RouteRefresh, Idle, "NOTIFICATION 5/2, disconnect, ended", 2),
];

#[rustfmt::skip]
const ESTABLISHED: &[Row] = &[
    (Start, Established, NO_CHANGE, 1),
    (Stop, Idle, "NOTIFICATION 6/2, disconnect, ended", 0),
    (ConnectRetryTimer, Established, NO_CHANGE, 1),
    (HoldTimer, Idle, "NOTIFICATION 4/0, disconnect, ended", 2),
    (KeepaliveTimer, Established, "KEEPALIVE", 1),
    (Up, Established, NO_CHANGE, 1),
    (Failed, Idle, "disconnect, ended", 2),
    (Closed, Idle, "disconnect, ended", 2),
    (GoodOpen, Idle, "NOTIFICATION 5/3, disconnect, ended", 2),
    (BadHeader, Idle, "NOTIFICATION 1/1, disconnect, ended", 2),
    (BadOpen, Idle, "NOTIFICATION 5/3, disconnect, ended", 2),
    (VersionNotification, Idle, "disconnect, ended", 2),
    (OtherNotification, Idle, "disconnect, ended", 2),
    (Keepalive, Established, NO_CHANGE, 1),
    (GoodUpdate, Established, "update", 1),
    (BadUpdate, Idle, "NOTIFICATION 3/10, disconnect, ended", 2),
    (RouteRefresh, Established, NO_CHANGE, 1),
];

/// Rows of the peer that connects which differ from those of the one that we connect to.
const PASSIVE: &[(State, Row)] = &[
    (Idle, (Start, Active, NO_CHANGE, 0)),
    (Idle, (ConnectRetryTimer, Active, NO_CHANGE, 1)),
    (Active, (ConnectRetryTimer, Active, NO_CHANGE, 1)),
    (Active, (Up, OpenSent, "OPEN", 1)),
    (OpenSent, (Closed, Active, "disconnect, ended", 1)),
    (Established, (Closed, Idle, "disconnect, ended", 2)),
];

fn check(state: State, passive: bool, (event, next, words, counter): &Row) {
    let now = Instant::now();
    let mut session = session_in(state, passive, now);
    // ConnectRetryTimer of Connect was started when that of Idle expired.
    let now = if state == Connect {
        now + Duration::from_secs(CONNECT_RETRY_S)
    } else {
        now
    };
    happen(&mut session, *event, now);
    let outputs = outputs(&mut session);
    let got = (
        session.state(),
        in_words(&outputs),
        session.connect_retry_counter(),
    );
    assert_eq!(
        got,
        (*next, (*words).to_string(), *counter),
        "{event:?} in {state:?}, passive: {passive}"
    );
}

fn check_all(state: State, rows: &[Row]) {
    let told: Vec<_> = EVENTS
        .iter()
        .map(|event| rows.iter().filter(|row| row.0 == *event).count())
        .collect();
    assert_eq!(told, [1; 17], "each event has one row in {state:?}");
    for row in rows {
        check(state, false, row);
    }
}

#[test]
fn idle_refuses_connections_and_waits_for_a_start() {
    check_all(Idle, IDLE);
}

#[test]
fn connect_waits_for_its_connection() {
    check_all(Connect, CONNECT);
}

#[test]
fn active_waits_for_the_next_attempt() {
    check_all(Active, ACTIVE);
}

#[test]
fn open_sent_waits_for_an_open() {
    check_all(OpenSent, OPEN_SENT);
}

#[test]
fn open_confirm_waits_for_a_keepalive() {
    check_all(OpenConfirm, OPEN_CONFIRM);
}

#[test]
fn established_lives_on_keepalives_and_updates() {
    check_all(Established, ESTABLISHED);
}

#[test]
fn a_passive_session_never_connects() {
    for (state, row) in PASSIVE {
        check(*state, true, row);
    }
}
