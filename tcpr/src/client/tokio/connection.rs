//! A connection and its recovery, as their application holds them.
//!
//! *Assumes* that its record is stored before its first octet is written or checkpointed.
//! *Guarantees* that a handle of a connection that has ended never means a later one between the
//! same addresses and ports, and that a recovered stream is given back only when TCPR has put it in
//! place of the old one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tcpr_core::{Ending, Flow, Hard, Refusal};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use super::Client;
use crate::client::blocking::{ASK, PATIENCE};
use crate::client::session::Session;
use crate::client::{ClientError, ConnectError, Record, Tracked, recovery};
use crate::protocol::Request;

/// A connection that this application is in charge of, to be cloned and shared between tasks.
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
        let mut exchange = shared.lock();
        exchange
            .session
            .mark(&self.held.flow, self.held.generation, mark)?;
        shared.send(&mut exchange);
        Ok(())
    }

    /// No more input is wanted: what the local TCP acknowledges is checkpointed.
    ///
    /// # Errors
    ///
    /// If TCPR refuses it, or cannot be reached.
    pub async fn done_reading(&self) -> Result<(), ClientError> {
        self.call(Request::DoneReading {
            flow: self.held.flow,
        })
        .await
    }

    /// The output ends after so many octets since the beginning. Call it before the socket is shut
    /// down: only then the FIN is meant.
    ///
    /// # Errors
    ///
    /// If TCPR refuses it, or cannot be reached.
    pub async fn done_writing(&self, written: u64) -> Result<(), ClientError> {
        self.call(Request::DoneWriting {
            flow: self.held.flow,
            written,
        })
        .await
    }

    /// Forgets a connection that has ended. Its record can be removed then.
    ///
    /// # Errors
    ///
    /// If TCPR refuses it, or cannot be reached.
    pub async fn done(&self) -> Result<(), ClientError> {
        self.call(Request::Done {
            flow: self.held.flow,
        })
        .await
    }

    /// Resets the connection, and forgets it.
    ///
    /// # Errors
    ///
    /// If TCPR refuses it, or cannot be reached.
    pub async fn abort(&self) -> Result<(), ClientError> {
        self.call(Request::Abort {
            flow: self.held.flow,
        })
        .await
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
    pub async fn wait_acked(&self, offset: u64, timeout: Duration) -> Result<u64, ClientError> {
        let look = |tracked: &Tracked| (tracked.hard.acked >= offset).then_some(tracked.hard.acked);
        self.wait("acked", timeout, look).await
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
    pub async fn wait_closed(&self, timeout: Duration) -> Result<Ending, ClientError> {
        self.wait("closed", timeout, |tracked| tracked.ended).await
    }

    async fn call(&self, request: Request) -> Result<(), ClientError> {
        self.held
            .client
            .shared
            .call(request, PATIENCE)
            .await?
            .done()
    }

    fn ours<'a>(&self, session: &'a Session) -> Option<&'a Tracked> {
        session
            .connection(&self.held.flow)
            .filter(|tracked| tracked.generation == self.held.generation)
    }

    fn look<T>(&self, what: impl FnOnce(&Tracked) -> T) -> Option<T> {
        self.ours(&self.held.client.shared.lock().session).map(what)
    }

    async fn wait<T>(
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
            if let Some(found) = found.await {
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
            let _ = shared
                .call(Request::Show { flow }, left.min(PATIENCE))
                .await;
        }
    }
}

/// A recovery that TCPR is ready for: connect next.
#[derive(Debug)]
pub struct Recovery {
    /// Output is to be sent again from this octet on.
    pub base: u64,
    /// Input goes on from this octet on.
    pub checkpoint: u64,
    /// The peer has sent its FIN already.
    pub peer_eof: bool,
    pub(super) hard: Hard,
    pub(super) connection: Connection,
}

impl Recovery {
    /// The connection.
    #[must_use]
    pub fn flow(&self) -> Flow {
        self.hard.flow
    }

    /// Opens the new socket, and waits until it is in place of the old one.
    ///
    /// # Errors
    ///
    /// If the socket cannot be bound or connected, or TCPR does not let it through, in time.
    pub async fn connect(self, timeout: Duration) -> Result<(TcpStream, Connection), ConnectError> {
        self.connect_with(timeout, |_| Ok(())).await
    }

    /// The same, with options set on the socket before it is bound.
    ///
    /// # Errors
    ///
    /// As of [`Recovery::connect`], and what `prepare` fails with.
    pub async fn connect_with(
        self,
        timeout: Duration,
        prepare: impl FnOnce(&socket2::Socket) -> io::Result<()>,
    ) -> Result<(TcpStream, Connection), ConnectError> {
        let until = Instant::now() + timeout;
        let flow = self.hard.flow;
        let refused = match self.connection.look(|tracked| tracked.refused) {
            Some(refused) => refused,
            None => Some(Refusal::RecoverAgain),
        };
        if let Some(refusal) = refused {
            return Err(ClientError::Refused {
                what: "connect",
                flow,
                refusal,
            }
            .into());
        }
        let socket = recovery::bind(&self.hard, prepare)?;
        let explain = |source| recovery::explain(&self.hard, source, "connect to");
        socket.set_nonblocking(true).map_err(explain)?;
        let connecting = TcpSocket::from_std_stream(socket.into()).connect(flow.remote);
        let stream = match tokio::time::timeout_at(until, connecting).await {
            Ok(connected) => connected.map_err(explain)?,
            Err(_) => return Err(explain(io::ErrorKind::TimedOut.into())),
        };
        let left = until.saturating_duration_since(Instant::now());
        self.connection
            .wait("spliced", left, |tracked| {
                tracked.is_spliced().then_some(())
            })
            .await?;
        Ok((stream, self.connection))
    }
}
