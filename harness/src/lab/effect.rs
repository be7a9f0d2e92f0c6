//! The effects of a failure, and what shows them.
//!
//! *Assumes* signals with their times. *Guarantees* a pure answer: whether a signal shows an
//! effect, and since when.

use std::net::Ipv4Addr;

use crate::clock;
use crate::signal::Signal;

/// A session of a router with the injector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    /// The router.
    pub node: String,
    /// The router's address.
    pub node_addr: Ipv4Addr,
    /// The injector's address.
    pub peer: Ipv4Addr,
}

/// An effect that is still to be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unconfirmed {
    /// The router logs the session Down.
    SessionDown(Session),
    /// The router logs the session Up.
    SessionUp {
        /// The session.
        session: Session,
        /// Not by what was logged before, nanoseconds.
        since_ns: u64,
    },
    /// The restarted injector carries the session on, or a new one is up after all.
    Recovered {
        /// The session.
        session: Session,
        /// Not by what was told before, nanoseconds.
        since_ns: u64,
    },
    /// The process ends that was killed. Where sessions outlive it, nothing else tells.
    Ended {
        /// Its number.
        pid: i32,
        /// What it is.
        name: &'static str,
    },
    /// The drop rule counts a packet.
    RuleCounted,
    /// The withdrawal is on the wire.
    Withdrawn {
        /// The injector's address.
        src: Ipv4Addr,
    },
}

impl Unconfirmed {
    /// When a signal shows the effect: since when.
    pub(super) fn shown_by(&self, signal: &Signal) -> Option<u64> {
        match (self, signal) {
            (
                Unconfirmed::SessionDown(session),
                Signal::Session {
                    t_mono_ns,
                    node,
                    peer,
                    up: false,
                    ..
                },
            ) => (session.node == *node && session.peer == *peer).then_some(*t_mono_ns),
            (
                Unconfirmed::SessionUp { session, since_ns }
                | Unconfirmed::Recovered { session, since_ns },
                Signal::Session {
                    t_mono_ns,
                    node,
                    peer,
                    up: true,
                    ..
                },
            ) => (session.node == *node && session.peer == *peer && t_mono_ns >= since_ns)
                .then_some(*t_mono_ns),
            // A session may have come up that the log has not told of when the kill came.
            (
                Unconfirmed::SessionUp { session, since_ns }
                | Unconfirmed::Recovered { session, since_ns },
                Signal::Recovered { t_mono_ns, peer },
            ) => (session.node_addr == *peer && t_mono_ns >= since_ns).then_some(*t_mono_ns),
            (Unconfirmed::Ended { pid, .. }, Signal::Exited { process, .. }) => {
                (process.pid == *pid).then(clock::monotonic_ns)
            }
            (Unconfirmed::RuleCounted, Signal::RuleCounted) => Some(clock::monotonic_ns()),
            (
                Unconfirmed::Withdrawn { src },
                Signal::Update {
                    t_mono_ns,
                    src: s,
                    withdraws: true,
                    ..
                },
            ) if src == s => Some(*t_mono_ns),
            _ => None,
        }
    }

    pub(super) fn target(&self) -> String {
        match self {
            Unconfirmed::SessionDown(session)
            | Unconfirmed::SessionUp { session, .. }
            | Unconfirmed::Recovered { session, .. } => {
                format!("{} with {}", session.node, session.peer)
            }
            Unconfirmed::Ended { name, .. } => (*name).to_owned(),
            Unconfirmed::RuleCounted => "drop rule".to_owned(),
            Unconfirmed::Withdrawn { src } => format!("destination from {src}"),
        }
    }

    /// Whether it is about a session, and so overtaken by the next kill.
    pub(super) fn is_of_a_session(&self) -> bool {
        matches!(
            self,
            Unconfirmed::SessionDown(_)
                | Unconfirmed::SessionUp { .. }
                | Unconfirmed::Recovered { .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
    const INJECTOR: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);

    fn session() -> Session {
        Session {
            node: "r1".to_owned(),
            node_addr: ROUTER,
            peer: INJECTOR,
        }
    }

    fn logged(t_mono_ns: u64, up: bool) -> Signal {
        Signal::Session {
            t_mono_ns,
            node: "r1".to_owned(),
            peer: INJECTOR,
            up,
            text: String::new(),
        }
    }

    #[test]
    fn what_was_logged_before_the_kill_confirms_no_restart() {
        let back = Unconfirmed::SessionUp {
            session: session(),
            since_ns: 10,
        };
        assert_eq!(back.shown_by(&logged(9, true)), None);
        assert_eq!(back.shown_by(&logged(12, false)), None);
        assert_eq!(back.shown_by(&logged(12, true)), Some(12));
    }

    #[test]
    fn a_recovery_is_confirmed_by_the_injector_of_its_own_session_or_by_a_new_one() {
        let recovery = Unconfirmed::Recovered {
            session: session(),
            since_ns: 10,
        };
        let recovered = |t_mono_ns, peer| Signal::Recovered { t_mono_ns, peer };
        assert_eq!(recovery.shown_by(&recovered(12, ROUTER)), Some(12));
        assert_eq!(
            recovery.shown_by(&recovered(9, ROUTER)),
            None,
            "an earlier one"
        );
        let other = Ipv4Addr::new(198, 18, 0, 3);
        assert_eq!(recovery.shown_by(&recovered(12, other)), None);
        assert_eq!(recovery.shown_by(&logged(13, true)), Some(13));
    }

    #[test]
    fn a_withdrawal_is_confirmed_on_the_wire_of_its_own_session() {
        let withdrawn = Unconfirmed::Withdrawn { src: INJECTOR };
        let update = |src, withdraws| Signal::Update {
            t_mono_ns: 5,
            src,
            dst: ROUTER,
            withdraws,
        };
        assert_eq!(withdrawn.shown_by(&update(INJECTOR, true)), Some(5));
        assert_eq!(withdrawn.shown_by(&update(INJECTOR, false)), None);
        assert_eq!(withdrawn.shown_by(&update(ROUTER, true)), None);
    }
}
