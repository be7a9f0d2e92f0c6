//! What the tasks of a client share: the session, and the task that reads its socket.
//!
//! *Assumes* that [`run`] is one task's, as long as there is a client.
//! *Guarantees* that nobody holds the session while it waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tcpr_core::Flow;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::client::error::{Replied, name};
use crate::client::exchange::Exchange;
use crate::client::link::Socket;
use crate::client::session::Ticket;
use crate::client::{ClientError, Endpoint};
use crate::protocol::Request;

pub(super) struct Shared {
    pub(super) endpoint: Endpoint,
    pub(super) exchange: Mutex<Exchange>,
    /// Something has come.
    pub(super) changed: Notify,
    /// The task has something to see to.
    pub(super) wake: Notify,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Exchange> {
        // A panic elsewhere leaves nothing half done here: a session changes in single steps.
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn unanswered(&self, what: &'static str, waited: Duration) -> ClientError {
        ClientError::Unanswered {
            endpoint: self.endpoint.to_string(),
            what,
            waited,
        }
    }

    pub(super) fn send(&self, exchange: &mut Exchange) {
        if exchange.send() {
            self.wake.notify_one();
        }
    }

    pub(super) fn ask(&self, request: Request) -> Ticket {
        let mut exchange = self.lock();
        let ticket = exchange.session.request(request);
        self.send(&mut exchange);
        ticket
    }

    pub(super) async fn call(
        &self,
        request: Request,
        patience: Duration,
    ) -> Result<Replied, ClientError> {
        let (what, flow) = (name(&request), request.flow());
        let ticket = self.ask(request);
        self.answer(ticket, what, flow, patience).await
    }

    pub(super) async fn answer(
        &self,
        ticket: Ticket,
        what: &'static str,
        flow: Option<Flow>,
        patience: Duration,
    ) -> Result<Replied, ClientError> {
        // Also if this future is dropped.
        let _forgotten = Forgotten {
            shared: self,
            ticket,
        };
        let reply = self
            .settle(Instant::now() + patience, |exchange| {
                exchange.session.reply(ticket)
            })
            .await;
        reply
            .map(|reply| Replied { what, flow, reply })
            .ok_or_else(|| self.unanswered(what, patience))
    }

    /// Waits until something is found in the session.
    pub(super) async fn settle<T>(
        &self,
        until: Instant,
        mut find: impl FnMut(&mut Exchange) -> Option<T>,
    ) -> Option<T> {
        loop {
            let changed = self.changed.notified();
            if let Some(found) = find(&mut self.lock()) {
                return Some(found);
            }
            // A future of `notified` gets what is told from its making on.
            if tokio::time::timeout_at(until, changed).await.is_err() {
                return find(&mut self.lock());
            }
        }
    }
}

/// Lets the session forget a request, however its call ends.
struct Forgotten<'a> {
    shared: &'a Shared,
    ticket: Ticket,
}

impl Drop for Forgotten<'_> {
    fn drop(&mut self) {
        self.shared.lock().session.forget(self.ticket);
    }
}

/// Takes what comes, repeats what is due, and opens a lost channel again.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut polled: Option<(Arc<Socket>, AsyncFd<Arc<Socket>>)> = None;
    loop {
        let (socket, due) = {
            let mut exchange = shared.lock();
            exchange.turn();
            let due = exchange
                .deadline()
                .map(|deadline| deadline.saturating_sub(exchange.now()));
            (exchange.socket(), due)
        };
        shared.changed.notify_waiters();
        let due = due.unwrap_or(Duration::from_secs(3600));
        let blocked = socket.as_ref().is_some_and(|(_, blocked)| *blocked);
        if !matches!((&polled, &socket), (Some((known, _)), Some((new, _))) if Arc::ptr_eq(known, new))
        {
            polled = socket.and_then(|(socket, _)| {
                // SAFETY: the `Arc` keeps the socket open, its descriptor never changes, and nothing
                // but this task registers it.
                let registered = unsafe { AsyncFd::register(Arc::clone(&socket)) };
                Some((socket, registered.ok()?))
            });
        }
        let ready = async {
            match &polled {
                None => std::future::pending().await,
                // What is there was taken until the socket had no more: it is told of anew.
                Some((_, socket)) if blocked => {
                    tokio::select! {
                        ready = socket.readable() => ready.map(|mut ready| ready.clear_ready()),
                        ready = socket.writable() => ready.map(|mut ready| ready.clear_ready()),
                    }
                }
                Some((_, socket)) => socket.readable().await.map(|mut ready| ready.clear_ready()),
            }
        };
        tokio::select! {
            _ = ready => {}
            () = shared.wake.notified() => {}
            () = tokio::time::sleep(due) => {}
        }
    }
}
