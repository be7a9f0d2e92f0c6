//! The finite state machine against RFC 4271, section 8.2.2: for each state what each event does.
//!
//! What is sent is read by rustbgpd-wire, which shares no code with the speaker.
#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use injectors::speaker::message::{Notification, Open, keepalive};
use injectors::speaker::session::{Input, Output, Session, Settings, State};
use rustbgpd_wire as codec;

mod properties;
mod sessions;
mod table;

use Event::*;
use State::*;

pub(crate) const CONNECT_RETRY_S: u64 = 15;
pub(crate) const HOLD_TIME_S: u64 = 90;
pub(crate) const LARGE_HOLD_TIME_S: u64 = 240;
pub(crate) const KEEPALIVE_S: u64 = 30;

/// Events of section 8.1, as they come in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Event {
    /// 1 and 4: ManualStart.
    Start,
    /// 2: ManualStop.
    Stop,
    /// 9: ConnectRetryTimer_Expires; IdleHoldTimer_Expires (13) takes as long.
    ConnectRetryTimer,
    /// 10: HoldTimer_Expires.
    HoldTimer,
    /// 11: KeepaliveTimer_Expires.
    KeepaliveTimer,
    /// 16 and 17: Tcp_CR_Acked, TcpConnectionConfirmed.
    Up,
    /// 18: TcpConnectionFails, an attempt.
    Failed,
    /// 18: TcpConnectionFails.
    Closed,
    /// 19: BGPOpen.
    GoodOpen,
    /// 21: BGPHeaderErr.
    BadHeader,
    /// 22: BGPOpenMsgErr.
    BadOpen,
    /// 24: NotifMsgVerErr.
    VersionNotification,
    /// 25: NotifMsg.
    OtherNotification,
    /// 26: KeepAliveMsg.
    Keepalive,
    /// 27: UpdateMsg.
    GoodUpdate,
    /// 28: UpdateMsgErr.
    BadUpdate,
    /// Not in RFC 4271: ROUTE-REFRESH (RFC 2918), which we do not offer.
    RouteRefresh,
}

/// All of them.
#[rustfmt::skip]
pub(crate) const EVENTS: &[Event] = &[
    Start, Stop, ConnectRetryTimer, HoldTimer, KeepaliveTimer, Up, Failed, Closed,
    GoodOpen, BadHeader, BadOpen, VersionNotification, OtherNotification,
    Keepalive, GoodUpdate, BadUpdate, RouteRefresh,
];

pub(crate) fn settings(passive: bool) -> Settings {
    Settings {
        asn: 64512,
        router_id: Ipv4Addr::new(192, 0, 2, 1),
        peer_asn: 64513,
        hold_time_s: 90,
        connect_retry_ms: 15_000,
        connect_delay_ms: 0,
        passive,
        graceful_restart: None,
    }
}

pub(crate) fn peer_open() -> Open {
    Open {
        asn: 64513,
        hold_time_s: 180,
        router_id: Ipv4Addr::new(192, 0, 2, 2),
        four_octet_as: true,
        ipv4_unicast: true,
        graceful_restart: None,
    }
}

/// A message of this type and body.
pub(crate) fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut octets = vec![0xff; 16];
    octets.extend((19 + body.len() as u16).to_be_bytes());
    octets.push(kind);
    octets.extend(body);
    octets
}

/// What the peer sends, where the event is a message.
pub(crate) fn octets_of(event: Event) -> Option<Vec<u8>> {
    Some(match event {
        GoodOpen => peer_open().to_octets(),
        BadHeader => vec![0; 19],
        BadOpen => {
            let mut open = peer_open().to_octets();
            open[19] = 3;
            open
        }
        VersionNotification => Notification::new(2, 1).to_octets(),
        OtherNotification => Notification::new(6, 4).to_octets(),
        Keepalive => keepalive(),
        // Withdraws 198.51.100.0/24.
        GoodUpdate => framed(2, &[0, 4, 24, 198, 51, 100, 0, 0]),
        // Withdraws a prefix of 33 bits.
        BadUpdate => framed(2, &[0, 6, 33, 198, 51, 100, 0, 0, 0, 0]),
        RouteRefresh => framed(5, &[0, 1, 0, 1]),
        _ => return None,
    })
}

pub(crate) fn happen(session: &mut Session, event: Event, now: Instant) {
    let later = |s| now + Duration::from_secs(s);
    if let Some(octets) = octets_of(event) {
        return session.handle(Input::Octets(&octets), now);
    }
    match event {
        Start => session.handle(Input::Start, now),
        Stop => session.handle(Input::Stop, now),
        Up => session.handle(Input::ConnectionUp, now),
        Failed => session.handle(Input::ConnectionFailed, now),
        Closed => session.handle(Input::ConnectionClosed, now),
        ConnectRetryTimer => session.handle(Input::Timer, later(CONNECT_RETRY_S)),
        KeepaliveTimer => session.handle(Input::Timer, later(KEEPALIVE_S)),
        HoldTimer => {
            let wait = if session.state() == OpenSent {
                LARGE_HOLD_TIME_S
            } else {
                HOLD_TIME_S
            };
            session.handle(Input::Timer, later(wait));
        }
        _ => unreachable!("it is a message"),
    }
}

/// A session that has lost one connection before, and is in this state now.
pub(crate) fn session_in(state: State, passive: bool, now: Instant) -> Session {
    let mut session = Session::new(settings(passive));
    for event in [Start, Up, GoodOpen, Closed] {
        happen(&mut session, event, now);
    }
    assert_eq!(
        (session.state(), session.connect_retry_counter()),
        (Idle, 1)
    );
    // Its next start is automatic, and so the counter stays.
    let way: &[Event] = match state {
        Idle => &[],
        Connect => &[ConnectRetryTimer],
        Active if passive => &[ConnectRetryTimer],
        Active => &[ConnectRetryTimer, Up, Closed],
        OpenSent => &[ConnectRetryTimer, Up],
        OpenConfirm => &[ConnectRetryTimer, Up, GoodOpen],
        Established => &[ConnectRetryTimer, Up, GoodOpen, Keepalive],
    };
    for event in way {
        happen(&mut session, *event, now);
    }
    assert_eq!(
        (session.state(), session.connect_retry_counter()),
        (state, 1)
    );
    // The attempt began when the timer expired, the rest at `now`.
    outputs(&mut session);
    session
}

pub(crate) fn outputs(session: &mut Session) -> Vec<Output> {
    std::iter::from_fn(|| session.poll()).collect()
}

/// In few words, what is sent as the oracle reads it.
pub(crate) fn in_words(outputs: &[Output]) -> String {
    let words: Vec<String> = outputs
        .iter()
        .map(|output| match output {
            Output::Connect => "connect".into(),
            Output::Disconnect => "disconnect".into(),
            Output::OpenReceived(_) => "open received".into(),
            Output::Established => "established".into(),
            Output::Ended(_) => "ended".into(),
            Output::Update(_) => "update".into(),
            Output::Send(octets) => match oracle(octets) {
                codec::Message::Open(_) => "OPEN".into(),
                codec::Message::Keepalive => "KEEPALIVE".into(),
                codec::Message::Notification(n) => {
                    format!("NOTIFICATION {}/{}", n.code.as_u8(), n.subcode)
                }
                other => format!("{other:?}"),
            },
        })
        .collect();
    words.join(", ")
}

pub(crate) fn oracle(octets: &[u8]) -> codec::Message {
    let mut octets = octets.to_vec().into();
    let message = codec::decode_message(&mut octets, 4096).unwrap();
    assert!(octets.is_empty(), "octets after the message: {octets:?}");
    message
}
