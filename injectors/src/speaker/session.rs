//! The finite state machine of BGP (RFC 4271, section 8), without I/O.
//!
//! *Assumes* a caller that has one connection to the peer, does what [`Session::poll`] says in that
//! order, and tells nothing more of a connection after [`Output::Disconnect`]. It calls
//! [`Session::handle`] with [`Input::Timer`] once [`Session::deadline`] has passed, and polls after
//! each input until there is nothing left. *Guarantees* the states and transitions of RFC 4271,
//! section 8.2.2, for its mandatory session attributes, with AllowAutomaticStart and
//! PassiveTcpEstablishment, and the errors of section 6.
//!
//! What is different, and why:
//!
//! - Either we connect or the peer does, never both, so that connections cannot collide (section
//!   6.8). Who waits does not connect in Active either: its ConnectRetryTimer does not run.
//! - In Idle after an error it begins anew after ConnectRetryTime. That is not doubled from one
//!   error to the next: DampPeerOscillations (section 8.1.1) is not there, nor is DelayOpen.
//! - A NOTIFICATION is not answered, whatever the state: its sender has closed the connection
//!   (section 4.5). Section 8.2.2 would have a Finite State Machine Error in OpenSent.
//! - A broken header is answered as section 6.1 says in Established too, where section 8.2.2 would
//!   have a Finite State Machine Error.
//! - ConnectRetryTime is how long a failed attempt keeps the next one waiting. An attempt itself may
//!   take [`ATTEMPT`], if that is more: what the caller does first (protection) counts too, and an
//!   attempt that is dropped only to be made again may never come to its end.
//! - Timers have no jitter (section 10): there are few sessions, and measurements repeat.

mod acceptance;
mod interface;
mod reason;
mod settings;
mod timers;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::message::notification::{
    ADMINISTRATIVE_SHUTDOWN, CEASE, FSM_ERROR, HOLD_TIMER_EXPIRED, UNSPECIFIC,
};
use super::message::{self, Message, Notification, Open};
pub use interface::{Input, Output, State};
pub use reason::Reason;
pub use settings::{Negotiated, Settings};
use timers::Timers;

/// HoldTime until the peer's OPEN is there: "a large value", four minutes (RFC 4271, section 8.2.2).
const LARGE_HOLD_TIME: Duration = Duration::from_secs(240);

/// How long an attempt to connect may take at least, whatever ConnectRetryTime is.
pub const ATTEMPT: Duration = Duration::from_secs(10);

/// A session with one peer.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    state: State,
    timers: Timers,
    negotiated: Option<Negotiated>,
    outputs: VecDeque<Output>,
    /// Octets of an incomplete message.
    incomplete: Vec<u8>,
    received: u64,
    connect_retry_counter: u32,
}

impl Session {
    /// A session in Idle, that waits for [`Input::Start`].
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Session {
            settings,
            state: State::Idle,
            timers: Timers::default(),
            negotiated: None,
            outputs: VecDeque::new(),
            incomplete: Vec::new(),
            received: 0,
            connect_retry_counter: 0,
        }
    }

    /// A session that a predecessor has brought to Established, at the boundary of messages that is
    /// `received` octets into its input. The first that it sends is a KEEPALIVE: the peer's
    /// HoldTimer has run on meanwhile. Ours starts afresh. Without HoldTime it sends nothing.
    #[must_use]
    pub fn resume(
        settings: Settings,
        negotiated: Negotiated,
        received: u64,
        now: Instant,
    ) -> Session {
        let mut session = Session::new(settings);
        session.timers.negotiated(&negotiated, now);
        session.negotiated = Some(negotiated);
        session.received = received;
        session.state = State::Established;
        if session.timers.keepalive.is_some() {
            session.send(message::keepalive());
        }
        session
    }

    /// Takes in what happens.
    pub fn handle(&mut self, input: Input<'_>, now: Instant) {
        match input {
            Input::Start => self.start(now),
            Input::Stop => self.stop(),
            Input::ConnectionUp => self.connection_up(now),
            Input::ConnectionFailed | Input::ConnectionClosed => self.connection_lost(now),
            Input::Octets(octets) => self.octets(octets, now),
            Input::Timer => self.expired(now),
        }
    }

    /// When to call with [`Input::Timer`]; none if nothing is waited for.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.deadline()
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// What the OPENs of this connection made; none before the peer's.
    #[must_use]
    pub fn negotiated(&self) -> Option<&Negotiated> {
        self.negotiated.as_ref()
    }

    /// Octets of complete messages taken on this connection: what may be checkpointed.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Octets of an incomplete message after them.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.incomplete.len()
    }

    /// ConnectRetryCounter: connections lost since the last start or stop by hand.
    #[must_use]
    pub fn connect_retry_counter(&self) -> u32 {
        self.connect_retry_counter
    }

    /// Tells that an UPDATE was sent: it stands for a KEEPALIVE (RFC 4271, section 8.2.2,
    /// Established).
    pub fn update_sent(&mut self, now: Instant) {
        if let (State::Established, Some(negotiated)) = (self.state, &self.negotiated) {
            self.timers.keepalive(negotiated, now);
        }
    }

    /// Events 1 and 4.
    fn start(&mut self, now: Instant) {
        if self.state != State::Idle {
            return;
        }
        self.connect_retry_counter = 0;
        if self.settings.passive || self.settings.connect_delay().is_zero() {
            return self.begin(now);
        }
        // As if an attempt had been made before: the next one ends the delay.
        self.timers = Timers {
            connect_retry: Some(now + self.settings.connect_delay()),
            ..Timers::default()
        };
        self.state = State::Active;
    }

    /// From Idle to Connect or Active.
    fn begin(&mut self, now: Instant) {
        self.timers = Timers::default();
        if self.settings.passive {
            self.state = State::Active;
        } else {
            self.connect(now);
        }
    }

    fn connect(&mut self, now: Instant) {
        self.timers.connect_retry = Some(now + self.settings.connect_retry().max(ATTEMPT));
        self.state = State::Connect;
        self.outputs.push_back(Output::Connect);
    }

    /// Event 2.
    fn stop(&mut self) {
        match self.state {
            State::Idle | State::Active => {}
            State::Connect => self.outputs.push_back(Output::Disconnect),
            State::OpenSent | State::OpenConfirm | State::Established => {
                // RFC 4486: of Cease, the subcode.
                let cease = Notification::new(CEASE, ADMINISTRATIVE_SHUTDOWN);
                self.send(cease.to_octets());
                self.outputs.push_back(Output::Disconnect);
                self.outputs.push_back(Output::Ended(Reason::Stopped));
            }
        }
        self.state = State::Idle;
        self.timers = Timers::default();
        self.connect_retry_counter = 0;
        self.forget_connection();
    }

    /// Events 16 and 17.
    fn connection_up(&mut self, now: Instant) {
        match self.state {
            State::Connect | State::Active => {
                self.forget_connection();
                self.received = 0;
                self.timers = Timers {
                    hold: Some(now + LARGE_HOLD_TIME),
                    ..Timers::default()
                };
                self.send(self.settings.open().to_octets());
                self.state = State::OpenSent;
            }
            // Idle refuses connections.
            State::Idle => self.outputs.push_back(Output::Disconnect),
            // It would be a second one, which the caller does not make.
            State::OpenSent | State::OpenConfirm | State::Established => {}
        }
    }

    /// Event 18.
    fn connection_lost(&mut self, now: Instant) {
        let state = self.state;
        match state {
            State::Idle => {}
            State::Connect | State::Active => {
                self.connect_retry_counter += u32::from(state == State::Active);
                self.idle(now);
            }
            State::OpenSent => {
                self.outputs.push_back(Output::Disconnect);
                self.outputs
                    .push_back(Output::Ended(Reason::ConnectionClosed { state }));
                self.forget_connection();
                self.timers = Timers::default();
                if !self.settings.passive {
                    self.timers.connect_retry = Some(now + self.settings.connect_retry());
                }
                self.state = State::Active;
            }
            State::OpenConfirm | State::Established => {
                self.end(Reason::ConnectionClosed { state }, now);
            }
        }
    }

    /// Whatever timers have expired.
    fn expired(&mut self, now: Instant) {
        if Timers::take(&mut self.timers.idle_hold, now) {
            self.begin(now);
        }
        // Event 9.
        if Timers::take(&mut self.timers.connect_retry, now) {
            if self.state == State::Connect {
                self.outputs.push_back(Output::Disconnect);
            }
            self.connect(now);
        }
        // Event 10.
        if Timers::take(&mut self.timers.hold, now) {
            let waited_s = match (self.state, &self.negotiated) {
                (State::OpenConfirm | State::Established, Some(n)) => u64::from(n.hold_time_s),
                _ => LARGE_HOLD_TIME.as_secs(),
            };
            let expired = Notification::new(HOLD_TIMER_EXPIRED, UNSPECIFIC);
            self.refuse(expired, format!("heard nothing for {waited_s} s"), now);
        }
        // Event 11.
        if Timers::take(&mut self.timers.keepalive, now)
            && let Some(negotiated) = &self.negotiated
        {
            self.timers.keepalive(negotiated, now);
            self.send(message::keepalive());
        }
    }

    fn octets(&mut self, octets: &[u8], now: Instant) {
        if !self.connected() {
            return;
        }
        let mut incomplete = std::mem::take(&mut self.incomplete);
        let mut rest = if incomplete.is_empty() {
            octets
        } else {
            incomplete.extend(octets);
            &incomplete
        };
        while self.connected() {
            match message::complete(rest) {
                Ok(Some(length)) => {
                    let (message, after) = rest.split_at(length);
                    self.message(message, now);
                    rest = after;
                    // RFC 4271, section 6: what is refused was not taken.
                    if self.connected() {
                        self.received += length as u64;
                    }
                }
                Ok(None) => {
                    self.incomplete = rest.to_vec();
                    return;
                }
                // Event 21.
                Err(error) => self.refuse(error, "no BGP message begins here".into(), now),
            }
        }
    }

    /// One message whose header is sound.
    fn message(&mut self, message: &[u8], now: Instant) {
        let kind = message::kind(message);
        let expected = match self.state {
            State::OpenSent => kind == message::OPEN,
            State::OpenConfirm => matches!(kind, message::OPEN | message::KEEPALIVE),
            _ => kind != message::OPEN,
        };
        if !expected && kind != message::NOTIFICATION {
            return self.unexpected(kind, now);
        }
        let wide = self.negotiated.as_ref().is_some_and(|n| n.four_octet_as);
        match message::decode(message, wide) {
            Ok(Message::Open(open)) if self.state == State::OpenSent => self.open(&open, now),
            // A second OPEN on one connection: nothing collides.
            Ok(Message::Open(_)) => self.unexpected(kind, now),
            // Events 24 and 25.
            Ok(Message::Notification(notification)) => {
                self.end(Reason::Received(notification), now);
            }
            // Events 26 and 27.
            Ok(Message::Keepalive) => {
                self.restart_hold_timer(now);
                if self.state == State::OpenConfirm {
                    self.state = State::Established;
                    self.outputs.push_back(Output::Established);
                }
            }
            Ok(Message::Update(update)) => {
                self.restart_hold_timer(now);
                self.outputs.push_back(Output::Update(update));
            }
            // RFC 2918, section 4: without the capability it is ignored.
            Ok(Message::RouteRefresh) => {}
            // Events 22 and 28.
            Err(error) => self.refuse(error, "the message is malformed".into(), now),
        }
    }

    /// Events 19 and 22 in OpenSent.
    fn open(&mut self, open: &Open, now: Instant) {
        match acceptance::negotiate(&self.settings, open) {
            Ok(negotiated) => {
                self.send(message::keepalive());
                self.timers.negotiated(&negotiated, now);
                self.negotiated = Some(negotiated.clone());
                self.state = State::OpenConfirm;
                self.outputs.push_back(Output::OpenReceived(negotiated));
            }
            Err(unacceptable) => {
                self.refuse(unacceptable.notification(), unacceptable.to_string(), now);
            }
        }
    }

    /// A message that the state does not expect (RFC 6608).
    fn unexpected(&mut self, kind: u8, now: Instant) {
        let (subcode, state) = match self.state {
            State::OpenSent => (1, "OpenSent"),
            State::OpenConfirm => (2, "OpenConfirm"),
            _ => (3, "Established"),
        };
        let name = match kind {
            message::OPEN => "OPEN",
            message::UPDATE => "UPDATE",
            message::KEEPALIVE => "KEEPALIVE",
            _ => "ROUTE-REFRESH",
        };
        // RFC 6608, section 4: the data are the type of the message.
        let error = Notification {
            code: FSM_ERROR,
            subcode,
            data: vec![kind],
        };
        self.refuse(error, format!("{name} is not expected in {state}"), now);
    }

    /// Ends the session by an error of the peer.
    fn refuse(&mut self, notification: Notification, explanation: String, now: Instant) {
        self.send(notification.to_octets());
        let reason = Reason::Sent {
            notification,
            explanation,
        };
        self.end(reason, now);
    }

    fn end(&mut self, reason: Reason, now: Instant) {
        self.outputs.push_back(Output::Disconnect);
        self.outputs.push_back(Output::Ended(reason));
        self.connect_retry_counter += 1;
        self.idle(now);
    }

    /// To Idle, until the automatic start.
    fn idle(&mut self, now: Instant) {
        self.state = State::Idle;
        self.timers = Timers {
            idle_hold: Some(now + self.settings.connect_retry()),
            ..Timers::default()
        };
        self.forget_connection();
    }

    fn forget_connection(&mut self) {
        self.negotiated = None;
        self.incomplete.clear();
    }

    fn restart_hold_timer(&mut self, now: Instant) {
        if let Some(negotiated) = &self.negotiated {
            self.timers.hold(negotiated, now);
        }
    }

    fn connected(&self) -> bool {
        matches!(
            self.state,
            State::OpenSent | State::OpenConfirm | State::Established
        )
    }

    fn send(&mut self, octets: Vec<u8>) {
        self.outputs.push_back(Output::Send(octets));
    }
}
