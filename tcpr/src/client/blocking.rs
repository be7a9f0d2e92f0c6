//! The client of a program with threads.
//!
//! *Assumes* that the process is not forked without exec while a client lives.
//! *Guarantees* that every call but [`Connection::checkpoint`] returns with TCPR's answer or an
//! error in bounded time, and that `checkpoint` never waits. A call is written, and its answer
//! read, by the thread that makes it; what comes between calls is a background thread's.

mod connection;
mod recovery;
mod shared;

use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::eventfd::{EfdFlags, EventFd};
use tcpr_core::{Flow, Hard, Pattern, Refusal, Summary};

use self::connection::Held;
use self::shared::{Shared, State};
use super::error::Figures;
use super::exchange::Exchange;
use super::session::Ticket;
use super::{ClientError, ConnectError, Endpoint, Record, recovery as recovering};
use crate::protocol::{DATAGRAM_PAGE, Notice, PAGE, Request};

pub use connection::Connection;
pub use recovery::Recovery;

/// How long an answer is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How long a new channel may take.
pub(super) const GREETED: Duration = Duration::from_secs(5);
/// `recover` may have to wait until the peer has answered TCPR.
pub(super) const RECOVER: Duration = Duration::from_secs(30);
/// How long a connection may take to be established, as TCPR sees it, after the application's
/// `accept` or `connect` has returned.
pub(super) const ESTABLISHED: Duration = Duration::from_secs(5);
/// What notices tell is asked for so often too: over UDP they may be lost.
pub(super) const ASK: Duration = Duration::from_millis(250);

/// A channel to TCPR, to be cloned and shared between threads.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    _background: Arc<Background>,
}

/// Ends the background thread with the last client.
struct Background {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    /// Opens a channel to TCPR.
    ///
    /// # Errors
    ///
    /// If TCPR is not there, does not answer, or speaks another version.
    pub fn connect(endpoint: &Endpoint) -> Result<Client, ClientError> {
        let wake = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let wake = wake.map_err(|error| ClientError::Start(error.into()))?;
        let mut exchange = Exchange::new(endpoint);
        exchange.open().map_err(|source| ClientError::Unreachable {
            endpoint: endpoint.to_string(),
            source,
        })?;
        let state = Mutex::new(State {
            exchange,
            reading: false,
            closing: false,
        });
        let shared = Arc::new(Shared {
            endpoint: endpoint.clone(),
            state,
            changed: Condvar::new(),
            wake,
        });
        let background = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("tcpr-client".into())
            .spawn(move || background.run())
            .map_err(ClientError::Start)?;
        let background = Arc::new(Background {
            shared: Arc::clone(&shared),
            thread: Some(thread),
        });
        let client = Client {
            shared,
            _background: background,
        };
        client.shared.greeted()?;
        Ok(client)
    }

    /// Protects connections, from their first segment on.
    ///
    /// # Errors
    ///
    /// If TCPR cannot do it, or cannot be reached.
    pub fn protect(&self, pattern: Pattern) -> Result<(), ClientError> {
        self.shared
            .call(Request::Protect { pattern }, PATIENCE)?
            .done()
    }

    /// Protects no further connections of this pattern.
    ///
    /// # Errors
    ///
    /// If TCPR cannot do it, or cannot be reached.
    pub fn unprotect(&self, pattern: Pattern) -> Result<(), ClientError> {
        self.shared
            .call(Request::Unprotect { pattern }, PATIENCE)?
            .done()
    }

    /// Every connection that TCPR protects.
    ///
    /// # Errors
    ///
    /// If TCPR cannot be reached.
    pub fn list(&self) -> Result<Vec<Summary>, ClientError> {
        let limit = if self.shared.endpoint.is_datagram() {
            DATAGRAM_PAGE
        } else {
            PAGE
        };
        let mut all: Vec<Summary> = Vec::new();
        loop {
            let after = all.last().map(|last| last.flow);
            let (page, more) = self
                .shared
                .call(Request::List { after, limit }, PATIENCE)?
                .listed()?;
            let more = more && !page.is_empty();
            all.extend(page);
            if !more {
                return Ok(all);
            }
        }
    }

    /// One connection.
    ///
    /// # Errors
    ///
    /// If it is not protected, or TCPR cannot be reached.
    pub fn show(&self, flow: &Flow) -> Result<Summary, ClientError> {
        self.shared
            .call(Request::Show { flow: *flow }, PATIENCE)?
            .shown()
    }

    /// Takes charge of a connection that was accepted or opened. Store [`Connection::record`]
    /// before the first octet is written or checkpointed.
    ///
    /// # Errors
    ///
    /// If it is not protected, is not established in time, or TCPR cannot be reached.
    pub fn register(&self, flow: Flow) -> Result<Connection, ClientError> {
        let until = Instant::now() + ESTABLISHED;
        let mut pause = Duration::from_micros(200);
        loop {
            let ticket = self.shared.ask(Request::Register { flow, hard: None });
            let replied = self
                .shared
                .answer(ticket, "register", Some(flow), PATIENCE)?;
            match replied.registered() {
                // The segment that establishes it is still on its way through TCPR.
                Err(ClientError::Refused {
                    refusal: Refusal::NotEstablished,
                    ..
                }) if Instant::now() + pause < until => {
                    let _: Option<()> = self.shared.settle(Instant::now() + pause, |_| None);
                    pause = (pause * 2).min(Duration::from_millis(50));
                }
                result => return result.and_then(|()| self.connection(flow)),
            }
        }
    }

    /// Begins to recover a connection. `record`: [`Record::next`] of what was kept, stored before
    /// this is called. The same record again is answered the same.
    ///
    /// # Errors
    ///
    /// If TCPR refuses it, or cannot be reached.
    pub fn recover(&self, record: &Record) -> Result<Recovery, ClientError> {
        let ticket = self.shared.ask(Request::Recover {
            hard: Box::new(record.hard),
        });
        self.recovery(ticket, record.hard.flow)
    }

    /// Recovers a connection and connects, without waiting in between: about as quick as a new
    /// connection. The record's incarnation must be stored before this is called.
    ///
    /// What [`Recovery`] tells is told beside the stream. `prepare` sets options on the new socket
    /// before it is bound; it may be called twice.
    ///
    /// # Errors
    ///
    /// If TCPR refuses it or cannot be reached, or the socket cannot be bound or connected in time.
    pub fn reconnect(
        &self,
        record: &Record,
        timeout: Duration,
        prepare: impl Fn(&socket2::Socket) -> io::Result<()>,
    ) -> Result<(TcpStream, Recovery), ConnectError> {
        let hard = record.hard;
        let open = || {
            let socket = recovering::bind(&hard, &prepare)?;
            recovering::connect(&hard, &socket, timeout).map(|()| socket)
        };
        // A SYN that TCPR sees before the request would be taken for another connection's.
        self.shared.greeted()?;
        let ticket = self.shared.ask(Request::Recover {
            hard: Box::new(hard),
        });
        let first = open();
        let recovery = self.recovery(ticket, hard.flow)?;
        // An old socket may have been in the way until `recover` was answered, or the SYN have
        // overtaken the request.
        let socket = first.or_else(|_| open())?;
        Ok((socket.into(), recovery))
    }

    /// Recovers several connections and connects them, all at once: [`Client::reconnect`] of each,
    /// without waiting for one before the next.
    ///
    /// # Errors
    ///
    /// Of each connection by itself.
    pub fn reconnect_all(
        &self,
        records: &[Record],
        timeout: Duration,
        prepare: impl Fn(&socket2::Socket) -> io::Result<()>,
    ) -> Vec<Result<(TcpStream, Recovery), ConnectError>> {
        let until = Instant::now() + timeout;
        let requests = records.iter().map(|record| Request::Recover {
            hard: Box::new(record.hard),
        });
        let tickets = self.shared.ask_all(requests);
        let begin = |hard: &Hard| {
            let socket = recovering::bind(hard, &prepare)?;
            recovering::begin(hard, &socket).map(|()| socket)
        };
        let begun: Vec<_> = records.iter().map(|record| begin(&record.hard)).collect();
        let finish = |((record, ticket), begun): ((&Record, Ticket), Result<_, ConnectError>)| {
            let hard = &record.hard;
            let recovery = self.recovery(ticket, hard.flow)?;
            let complete = |socket| {
                recovering::complete(hard, &socket, until)?;
                Ok(socket)
            };
            // As for one alone, the first attempt may have come too early.
            let first = begun.and_then(complete);
            let socket = first.or_else(|_: ConnectError| begin(hard).and_then(complete))?;
            Ok((socket.into(), recovery))
        };
        let asked = records.iter().zip(tickets);
        asked.zip(begun).map(finish).collect()
    }

    /// Begins to recover several connections at once: for all it takes hardly longer than for one.
    ///
    /// # Errors
    ///
    /// Of each connection by itself.
    pub fn recover_all(&self, records: &[Record]) -> Vec<Result<Recovery, ClientError>> {
        let requests = records.iter().map(|record| Request::Recover {
            hard: Box::new(record.hard),
        });
        let tickets = self.shared.ask_all(requests);
        let flows = records.iter().map(|record| record.hard.flow);
        tickets
            .into_iter()
            .zip(flows)
            .map(|(ticket, flow)| self.recovery(ticket, flow))
            .collect()
    }

    fn recovery(&self, ticket: Ticket, flow: Flow) -> Result<Recovery, ClientError> {
        let (hard, base) = self
            .shared
            .answer(ticket, "recover", Some(flow), RECOVER)?
            .recovered()?;
        let peer_eof = hard.peer_fin.is_some();
        let connection = self.connection(flow)?;
        Ok(Recovery {
            base,
            checkpoint: hard.checkpoint,
            peer_eof,
            hard,
            connection,
        })
    }

    fn connection(&self, flow: Flow) -> Result<Connection, ClientError> {
        let state = self.shared.lock();
        let Some(tracked) = state.exchange.session.connection(&flow) else {
            // Another thread is done with it already.
            return Err(ClientError::Refused {
                what: "register",
                flow,
                refusal: Refusal::Ended,
            });
        };
        let (generation, hard) = (tracked.generation, tracked.hard);
        drop(state);
        Ok(Connection {
            held: Arc::new(Held {
                client: self.clone(),
                flow,
                generation,
                hard,
            }),
        })
    }

    /// Resets a connection that nobody has a record of, and forgets it.
    ///
    /// # Errors
    ///
    /// If it is not protected, or TCPR cannot be reached.
    pub fn abort(&self, flow: &Flow) -> Result<(), ClientError> {
        self.shared
            .call(Request::Abort { flow: *flow }, PATIENCE)?
            .done()
    }

    /// What TCPR has counted.
    ///
    /// # Errors
    ///
    /// If TCPR cannot be reached.
    pub fn counters(&self) -> Result<Figures, ClientError> {
        self.shared.call(Request::Counters, PATIENCE)?.counted()
    }

    /// Asks for the notices of all connections.
    ///
    /// # Errors
    ///
    /// If TCPR cannot be reached.
    pub fn watch(&self) -> Result<Watch, ClientError> {
        self.shared.call(Request::Watch, PATIENCE)?.done()?;
        Ok(Watch {
            client: self.clone(),
        })
    }

    /// What the server calls itself.
    #[must_use]
    pub fn server(&self) -> String {
        self.shared
            .lock()
            .exchange
            .session
            .server()
            .unwrap_or_default()
            .into()
    }

    /// Whether TCPR can be reached at present.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.shared.lock().exchange.session.is_open()
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.shared.endpoint)
            .finish_non_exhaustive()
    }
}

/// The notices of all connections.
#[derive(Debug)]
pub struct Watch {
    client: Client,
}

impl Watch {
    /// The next notice; nothing if none came in time.
    #[must_use]
    pub fn next(&self, timeout: Duration) -> Option<Notice> {
        self.client
            .shared
            .settle(Instant::now() + timeout, |exchange| {
                exchange.session.notice()
            })
    }

    /// How many were thrown away because they were not taken.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.client.shared.lock().exchange.session.notices_lost()
    }
}

/// Whoever has not the key is not answered.
pub(super) fn hello(endpoint: &Endpoint) -> &'static str {
    if endpoint.is_datagram() {
        "hello (is it there, and has it the same key?)"
    } else {
        "hello"
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
        let _ = self.shared.wake.write(1);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
