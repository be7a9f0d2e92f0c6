//! The timers of a session (RFC 4271, section 10).
//!
//! *Assumes* instants that do not go back. *Guarantees* that HoldTimer and KeepaliveTimer do not
//! run if the negotiated HoldTime is zero.

use std::time::{Duration, Instant};

use super::Negotiated;

/// When each expires; one that is not there does not run.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// ConnectRetryTimer.
    pub(super) connect_retry: Option<Instant>,
    /// HoldTimer.
    pub(super) hold: Option<Instant>,
    /// KeepaliveTimer.
    pub(super) keepalive: Option<Instant>,
    /// IdleHoldTimer: until the automatic start.
    pub(super) idle_hold: Option<Instant>,
}

impl Timers {
    pub(super) fn deadline(&self) -> Option<Instant> {
        [
            self.connect_retry,
            self.hold,
            self.keepalive,
            self.idle_hold,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whether a timer has expired. It does not run then.
    pub(super) fn take(timer: &mut Option<Instant>, now: Instant) -> bool {
        timer.take_if(|at| *at <= now).is_some()
    }

    /// Those of a session whose OPENs are exchanged.
    pub(super) fn negotiated(&mut self, negotiated: &Negotiated, now: Instant) {
        *self = Timers::default();
        self.hold(negotiated, now);
        self.keepalive(negotiated, now);
    }

    /// Restarts HoldTimer.
    pub(super) fn hold(&mut self, negotiated: &Negotiated, now: Instant) {
        self.hold = after(negotiated.hold_time_s, now);
    }

    /// Restarts KeepaliveTimer.
    pub(super) fn keepalive(&mut self, negotiated: &Negotiated, now: Instant) {
        self.keepalive = after(negotiated.keepalive_s, now);
    }
}

fn after(seconds: u16, now: Instant) -> Option<Instant> {
    (seconds > 0).then(|| now + Duration::from_secs(seconds.into()))
}
