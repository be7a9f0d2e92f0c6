//! A session and its link, as both clients use them.
//!
//! *Assumes* that one thread at a time has it.
//! *Guarantees* that nothing in it waits, and that a lost link is told to the session.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Endpoint;
use super::link::{Link, Socket};
use super::session::{Medium, Session};
use crate::protocol::Fault;

/// First time between two attempts to reach TCPR; each next one is twice as long.
const SOONEST: Duration = Duration::from_millis(2);
const LATEST: Duration = Duration::from_millis(200);

pub(super) struct Exchange {
    pub(super) session: Session,
    endpoint: Endpoint,
    link: Option<Link>,
    start: Instant,
    pause: Duration,
    /// No attempt before.
    again: Duration,
    blocked: bool,
}

impl Exchange {
    pub(super) fn new(endpoint: &Endpoint) -> Exchange {
        let medium = if endpoint.is_datagram() {
            Medium::Datagram
        } else {
            Medium::Stream
        };
        Exchange {
            session: Session::new(medium),
            endpoint: endpoint.clone(),
            link: None,
            start: Instant::now(),
            pause: SOONEST,
            again: Duration::ZERO,
            blocked: false,
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// What is to be polled, and whether for writing too.
    pub(super) fn socket(&self) -> Option<(Arc<Socket>, bool)> {
        self.link.as_ref().map(|link| (link.socket(), self.blocked))
    }

    pub(super) fn open(&mut self) -> io::Result<()> {
        let now = self.now();
        match Link::open(&self.endpoint, now, &mut self.session) {
            Ok(link) => {
                self.link = Some(link);
                self.send();
                Ok(())
            }
            Err(error) => {
                self.lose();
                Err(error)
            }
        }
    }

    /// Sends what there is. True: somebody has to poll for it.
    pub(super) fn send(&mut self) -> bool {
        let now = self.now();
        let Some(link) = &mut self.link else {
            return true;
        };
        match link.transmit(now, &mut self.session) {
            Ok(blocked) => {
                self.blocked = blocked;
                blocked || self.session.medium() == Medium::Datagram
            }
            Err(error) => {
                tracing::debug!(endpoint = %self.endpoint, %error, "the channel to TCPR is lost");
                self.lose();
                true
            }
        }
    }

    /// Takes what has come, does what is due, and sends what comes of it; opens a lost link again
    /// when it is time.
    pub(super) fn turn(&mut self) {
        let now = self.now();
        if self.link.is_none() {
            if now >= self.again
                && let Err(error) = self.open()
            {
                tracing::trace!(endpoint = %self.endpoint, %error, "TCPR is not back yet");
            }
            return;
        }
        let Some(link) = &mut self.link else { return };
        let session = &mut self.session;
        let result = link
            .receive(now, session)
            .and_then(|()| Ok(link.tick(now, session)?));
        if let Err(error) = result {
            tracing::debug!(endpoint = %self.endpoint, %error, "the channel to TCPR is lost");
            self.lose();
            return;
        }
        if self.session.is_open() {
            self.pause = SOONEST;
        }
        if self.session.fault().is_some() {
            // It may be replaced by a server that we understand, but not soon.
            self.pause = LATEST;
            self.lose_politely();
            return;
        }
        self.send();
    }

    /// When [`Exchange::turn`] is to be called, if nothing comes before.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match &self.link {
            None => Some(self.again),
            Some(link) => link.deadline(&self.session),
        }
    }

    /// Why there is no session, if it is known: the server does not want us.
    pub(super) fn fault(&self) -> Option<Fault> {
        let sealed = self.link.as_ref().and_then(Link::other_version).map(|given| Fault::Malformed {
            detail: format!("TCPR seals datagrams in version {given}: use a client and a `tcpr serve` of the same release"),
        });
        sealed.or_else(|| self.session.fault().cloned())
    }

    fn lose(&mut self) {
        self.session.disconnected();
        self.lose_politely();
    }

    fn lose_politely(&mut self) {
        self.link = None;
        self.blocked = false;
        self.again = self.now() + self.pause;
        self.pause = (self.pause * 2).min(LATEST);
    }
}
