//! What the threads of a client share: the session, and who reads its socket.
//!
//! *Assumes* nothing of how many threads there are.
//! *Guarantees* that at most one thread waits at the socket for an answer, that the others are told
//! when it has read something, and that the background thread takes over when it is done.

use std::os::fd::AsFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use tcpr_core::Flow;

use super::{GREETED, hello};
use crate::client::error::{Replied, name};
use crate::client::exchange::Exchange;
use crate::client::session::Ticket;
use crate::client::{ClientError, Endpoint};
use crate::protocol::Request;

pub(super) struct Shared {
    pub(super) endpoint: Endpoint,
    pub(super) state: Mutex<State>,
    pub(super) changed: Condvar,
    pub(super) wake: EventFd,
}

pub(super) struct State {
    pub(super) exchange: Exchange,
    /// A thread that waits for an answer reads the socket; the others wait for it.
    pub(super) reading: bool,
    pub(super) closing: bool,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves nothing half done here: a session changes in single steps.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn unanswered(&self, what: &'static str, waited: Duration) -> ClientError {
        ClientError::Unanswered {
            endpoint: self.endpoint.to_string(),
            what,
            waited,
        }
    }

    pub(super) fn greeted(&self) -> Result<(), ClientError> {
        let greeted = self.settle(Instant::now() + GREETED, |exchange| {
            match exchange.fault() {
                Some(fault) => Some(Err(ClientError::Fault {
                    what: "hello",
                    fault,
                })),
                None => exchange.session.is_open().then_some(Ok(())),
            }
        });
        greeted.unwrap_or_else(|| Err(self.unanswered(hello(&self.endpoint), GREETED)))
    }

    /// Sends what there is; the background thread is told if it has to see to the rest.
    pub(super) fn send(&self, state: &mut State) {
        if state.exchange.send() {
            // It only fails if it was told 2^64 times.
            let _ = self.wake.write(1);
        }
    }

    pub(super) fn ask(&self, request: Request) -> Ticket {
        let mut state = self.lock();
        let ticket = state.exchange.session.request(request);
        self.send(&mut state);
        ticket
    }

    pub(super) fn ask_all(&self, requests: impl Iterator<Item = Request>) -> Vec<Ticket> {
        let mut state = self.lock();
        let tickets = requests
            .map(|request| state.exchange.session.request(request))
            .collect();
        self.send(&mut state);
        tickets
    }

    pub(super) fn call(
        &self,
        request: Request,
        patience: Duration,
    ) -> Result<Replied, ClientError> {
        let (what, flow) = (name(&request), request.flow());
        let ticket = self.ask(request);
        self.answer(ticket, what, flow, patience)
    }

    pub(super) fn answer(
        &self,
        ticket: Ticket,
        what: &'static str,
        flow: Option<Flow>,
        patience: Duration,
    ) -> Result<Replied, ClientError> {
        let reply = self.settle(Instant::now() + patience, |exchange| {
            exchange.session.reply(ticket)
        });
        match reply {
            Some(reply) => Ok(Replied { what, flow, reply }),
            None => {
                self.lock().exchange.session.forget(ticket);
                Err(self.unanswered(what, patience))
            }
        }
    }

    /// Waits until something is found in the session.
    pub(super) fn settle<T>(
        &self,
        until: Instant,
        mut find: impl FnMut(&mut Exchange) -> Option<T>,
    ) -> Option<T> {
        let mut state = self.lock();
        let mut waited = false;
        let found = loop {
            let found = find(&mut state.exchange);
            if found.is_some() || Instant::now() >= until {
                break found;
            }
            waited = true;
            state = self.step(state, until);
        };
        // What this thread has seen to until now: times, room in the socket, a lost link.
        let rest = state.exchange.deadline().is_some()
            || state.exchange.socket().is_none_or(|(_, blocked)| blocked);
        if waited && rest {
            let _ = self.wake.write(1);
        }
        found
    }

    /// Reads the socket if no other thread does, and else waits until one has.
    fn step<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        until: Instant,
    ) -> MutexGuard<'a, State> {
        if state.reading || state.exchange.socket().is_none() {
            let left = until.saturating_duration_since(Instant::now());
            let waited = self.changed.wait_timeout(state, left);
            return waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.reading = true;
        state = self.turn(state, Some(until));
        state.reading = false;
        // Others may take over.
        self.changed.notify_all();
        state
    }

    /// Polls, and lets the session take and send what there is.
    fn turn<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        until: Option<Instant>,
    ) -> MutexGuard<'a, State> {
        let now = state.exchange.now();
        let due = state
            .exchange
            .deadline()
            .map(|deadline| deadline.saturating_sub(now));
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let wait = due.into_iter().chain(left).min();
        let socket = state.exchange.socket();
        drop(state);
        let mut polled = vec![PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
        if let Some((socket, blocked)) = &socket {
            let flags = if *blocked {
                PollFlags::POLLIN | PollFlags::POLLOUT
            } else {
                PollFlags::POLLIN
            };
            polled.push(PollFd::new(socket.as_fd(), flags));
        }
        // Rounded up, so that it is not polled again and again within the last millisecond.
        let wait = wait.map(|wait| wait.as_nanos().div_ceil(1_000_000));
        let wait = wait.map_or(PollTimeout::NONE, |wait| {
            PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)
        });
        let _ = poll(&mut polled, wait);
        if polled[0].any() == Some(true) {
            let _ = self.wake.read();
        }
        let mut state = self.lock();
        if until.is_none() {
            // The background thread leaves the socket to whoever waits for an answer.
            state = self.stand_back(state);
        }
        state.exchange.turn();
        while state.exchange.session.answered().is_some() {}
        if state.exchange.session.changed() {
            self.changed.notify_all();
        }
        state
    }

    fn stand_back<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        while state.reading && !state.closing {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    /// The background thread.
    pub(super) fn run(&self) {
        let mut state = self.lock();
        while !state.closing {
            state = self.stand_back(state);
            state = self.turn(state, None);
            self.changed.notify_all();
        }
    }
}
