//! A connection, as its application holds it.
//!
//! *Assumes* that its record is stored before its first octet is written or checkpointed.
//! *Guarantees* that a handle of a connection that has ended never means a later one between the
//! same addresses and ports.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tcpr_core::{Ending, Flow, Hard, Refusal};

use super::{ASK, Client, PATIENCE};
use crate::client::session::Session;
use crate::client::{ClientError, Record, Tracked};
use crate::protocol::Request;

/// A connection that this application is in charge of, to be cloned and shared between threads.
#[derive(Debug, Clone)]
pub struct Connection {
    pub(super) held: Arc<Held>,
}

#[derive(Debug)]
pub(super) struct Held {
    pub(super) client: Client,
    pub(super) flow: Flow,
    pub(super) generation: u64,
    /// As it was when it was registered.
    pub(super) hard: Hard,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.client
            .shared
            .lock()
            .exchange
            .session
            .release(&self.flow, self.generation);
    }
}

impl Connection {
    /// What the application is to store.
    #[must_use]
    pub fn record(&self) -> Record {
        Record::new(self.look(|tracked| tracked.hard).unwrap_or(self.held.hard))
    }

    /// The connection.
    #[must_use]
    pub fn flow(&self) -> Flow {
        self.held.flow
    }

    /// Input up to here is the application's own: the peer is told so. Never waits.
    ///
    /// # Errors
    ///
    /// If it goes back, or an earlier one was refused meanwhile.
    pub fn checkpoint(&self, offset: u64) -> Result<(), ClientError> {
        self.mark(|session, flow| session.checkpoint(flow, offset))
    }

    /// The peer has closed after `end` octets, and all that is the application's own: its FIN, which
    /// counts one, is acknowledged. Never waits.
    ///
    /// # Errors
    ///
    /// As [`Connection::checkpoint`].
    pub fn checkpoint_end(&self, end: u64) -> Result<(), ClientError> {
        self.mark(|session, flow| session.checkpoint_end(flow, end))
    }

    fn mark(
        &self,
        mark: impl FnOnce(&mut Session, &Flow) -> Result<(), Refusal>,
    ) -> Result<(), ClientError> {
        let shared = &self.held.client.shared;
        let mut state = shared.lock();
        state
            .exchange
            .session
            .mark(&self.held.flow, self.held.generation, mark)?;
        shared.send(&mut state);
        Ok(())
    }

    /// No more input is wanted: what the local TCP acknowledges is checkpointed.
    ///
    /// # Errors
    ///
    /// If TCPR refuses it, or cannot be reached.
    pub fn done_reading(&self) -> Result<(), ClientError> {
        self.call(Request::DoneReading {
            flow: self.held.flow,
        })
    }

    /// The output ends after so many octets since the beginning. Call it before the socket is shut
    /// down: only then the FIN is meant.
    ///
    /// # Errors
    ///
    /// If TCPR refuses it, or cannot be reached.
    pub fn done_writing(&self, written: u64) -> Result<(), ClientError> {
        self.call(Request::DoneWriting {
            flow: self.held.flow,
            written,
        })
    }

    /// Forgets a connection that has ended. Its record can be removed then.
    ///
    /// # Errors
    ///
    /// If TCPR refuses it, or cannot be reached.
    pub fn done(&self) -> Result<(), ClientError> {
        self.call(Request::Done {
            flow: self.held.flow,
        })
    }

    /// Resets the connection, and forgets it.
    ///
    /// # Errors
    ///
    /// If TCPR refuses it, or cannot be reached.
    pub fn abort(&self) -> Result<(), ClientError> {
        self.call(Request::Abort {
            flow: self.held.flow,
        })
    }

    /// How much of the output the peer has acknowledged, as far as is known.
    #[must_use]
    pub fn acked(&self) -> u64 {
        self.look(|tracked| tracked.hard.acked)
            .unwrap_or(self.held.hard.acked)
    }

    /// Waits until the peer has acknowledged output up to here.
    ///
    /// # Errors
    ///
    /// If it has not in time, or never will.
    pub fn wait_acked(&self, offset: u64, timeout: Duration) -> Result<u64, ClientError> {
        self.wait("acked", timeout, |tracked| {
            (tracked.hard.acked >= offset).then_some(tracked.hard.acked)
        })
    }

    /// How the connection has ended for the peer, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<Ending> {
        self.look(|tracked| tracked.ended).flatten()
    }

    /// Waits until the connection has ended for the peer.
    ///
    /// # Errors
    ///
    /// If it has not in time, or TCPR does not know any more.
    pub fn wait_closed(&self, timeout: Duration) -> Result<Ending, ClientError> {
        self.wait("closed", timeout, |tracked| tracked.ended)
    }

    fn call(&self, request: Request) -> Result<(), ClientError> {
        self.held.client.shared.call(request, PATIENCE)?.done()
    }

    fn ours<'a>(&self, session: &'a Session) -> Option<&'a Tracked> {
        session
            .connection(&self.held.flow)
            .filter(|tracked| tracked.generation == self.held.generation)
    }

    pub(super) fn look<T>(&self, what: impl FnOnce(&Tracked) -> T) -> Option<T> {
        self.ours(&self.held.client.shared.lock().exchange.session)
            .map(what)
    }

    pub(super) fn wait<T>(
        &self,
        what: &'static str,
        timeout: Duration,
        look: impl Fn(&Tracked) -> Option<T>,
    ) -> Result<T, ClientError> {
        let (shared, flow) = (&self.held.client.shared, self.held.flow);
        let until = Instant::now() + timeout;
        loop {
            let slice = (Instant::now() + ASK).min(until);
            let found = shared.settle(slice, |exchange| match self.ours(&exchange.session) {
                None => Some(Err(Refusal::Ended)),
                Some(tracked) => tracked.settled(&look),
            });
            if let Some(found) = found {
                return found.map_err(|refusal| ClientError::Refused {
                    what,
                    flow,
                    refusal,
                });
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(shared.unanswered(what, timeout));
            }
            // The session learns from the answer.
            let _ = shared.call(Request::Show { flow }, left.min(PATIENCE));
        }
    }
}
