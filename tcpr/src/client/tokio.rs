//! The client of a program on tokio.
//!
//! *Assumes* a tokio runtime with I/O and time, which lives as long as the client.
//! *Guarantees* what the blocking client does, and that no call blocks a thread of the runtime; a
//! call that is dropped before its answer has come may have been carried out.

mod connection;
mod shared;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tcpr_core::{Flow, Pattern, Refusal, Summary};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::connection::Held;
use self::shared::{Shared, run};
use super::blocking::{ESTABLISHED, GREETED, PATIENCE, RECOVER, hello};
use super::error::Figures;
use super::exchange::Exchange;
use super::session::Ticket;
use super::{ClientError, Endpoint, Record};
use crate::protocol::{DATAGRAM_PAGE, Notice, PAGE, Request};

pub use connection::{Connection, Recovery};

/// A channel to TCPR, to be cloned and shared between tasks.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    _task: Arc<Task>,
}

/// Ends the task with the last client.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Client {
    /// Opens a channel to TCPR.
    ///
    /// # Errors
    ///
    /// If TCPR is not there, does not answer, or speaks another version.
    pub async fn connect(endpoint: &Endpoint) -> Result<Client, ClientError> {
        let mut exchange = Exchange::new(endpoint);
        exchange.open().map_err(|source| ClientError::Unreachable {
            endpoint: endpoint.to_string(),
            source,
        })?;
        let shared = Arc::new(Shared {
            endpoint: endpoint.clone(),
            exchange: Mutex::new(exchange),
            changed: Notify::new(),
            wake: Notify::new(),
        });
        let task = tokio::spawn(run(Arc::clone(&shared)));
        let client = Client {
            shared,
            _task: Arc::new(Task(task)),
        };
        let until = Instant::now() + GREETED;
        let greeted = client
            .shared
            .settle(until, |exchange| match exchange.fault() {
                Some(fault) => Some(Err(ClientError::Fault {
                    what: "hello",
                    fault,
                })),
                None => exchange.session.is_open().then_some(Ok(())),
            });
        let unanswered = || Err(client.shared.unanswered(hello(endpoint), GREETED));
        greeted.await.unwrap_or_else(unanswered)?;
        Ok(client)
    }

    /// Protects connections, from their first segment on.
    ///
    /// # Errors
    ///
    /// If TCPR cannot do it, or cannot be reached.
    pub async fn protect(&self, pattern: Pattern) -> Result<(), ClientError> {
        self.shared
            .call(Request::Protect { pattern }, PATIENCE)
            .await?
            .done()
    }

    /// Protects no further connections of this pattern.
    ///
    /// # Errors
    ///
    /// If TCPR cannot do it, or cannot be reached.
    pub async fn unprotect(&self, pattern: Pattern) -> Result<(), ClientError> {
        self.shared
            .call(Request::Unprotect { pattern }, PATIENCE)
            .await?
            .done()
    }

    /// Every connection that TCPR protects.
    ///
    /// # Errors
    ///
    /// If TCPR cannot be reached.
    pub async fn list(&self) -> Result<Vec<Summary>, ClientError> {
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
                .call(Request::List { after, limit }, PATIENCE)
                .await?
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
    pub async fn show(&self, flow: &Flow) -> Result<Summary, ClientError> {
        self.shared
            .call(Request::Show { flow: *flow }, PATIENCE)
            .await?
            .shown()
    }

    /// Takes charge of a connection that was accepted or opened. Store [`Connection::record`]
    /// before the first octet is written or checkpointed.
    ///
    /// # Errors
    ///
    /// If it is not protected, is not established in time, or TCPR cannot be reached.
    pub async fn register(&self, flow: Flow) -> Result<Connection, ClientError> {
        let until = Instant::now() + ESTABLISHED;
        let mut pause = Duration::from_millis(1);
        loop {
            let replied = self
                .shared
                .call(Request::Register { flow, hard: None }, PATIENCE)
                .await?;
            match replied.registered() {
                // The segment that establishes it is still on its way through TCPR.
                Err(ClientError::Refused {
                    refusal: Refusal::NotEstablished,
                    ..
                }) if Instant::now() + pause < until => {
                    tokio::time::sleep(pause).await;
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
    pub async fn recover(&self, record: &Record) -> Result<Recovery, ClientError> {
        let ticket = self.shared.ask(Request::Recover {
            hard: Box::new(record.hard),
        });
        self.recovery(ticket, record.hard.flow).await
    }

    /// Begins to recover several connections at once: for all it takes hardly longer than for one.
    ///
    /// # Errors
    ///
    /// Of each connection by itself.
    pub async fn recover_all(&self, records: &[Record]) -> Vec<Result<Recovery, ClientError>> {
        let tickets: Vec<_> = {
            let mut exchange = self.shared.lock();
            let requests = records.iter().map(|record| Request::Recover {
                hard: Box::new(record.hard),
            });
            let tickets = requests
                .map(|request| exchange.session.request(request))
                .collect();
            self.shared.send(&mut exchange);
            tickets
        };
        let mut recoveries = Vec::with_capacity(tickets.len());
        for (ticket, record) in tickets.into_iter().zip(records) {
            recoveries.push(self.recovery(ticket, record.hard.flow).await);
        }
        recoveries
    }

    async fn recovery(&self, ticket: Ticket, flow: Flow) -> Result<Recovery, ClientError> {
        let (hard, base) = self
            .shared
            .answer(ticket, "recover", Some(flow), RECOVER)
            .await?
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
        let exchange = self.shared.lock();
        let Some(tracked) = exchange.session.connection(&flow) else {
            // Another task is done with it already.
            return Err(ClientError::Refused {
                what: "register",
                flow,
                refusal: Refusal::Ended,
            });
        };
        let (generation, hard) = (tracked.generation, tracked.hard);
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
    pub async fn abort(&self, flow: &Flow) -> Result<(), ClientError> {
        self.shared
            .call(Request::Abort { flow: *flow }, PATIENCE)
            .await?
            .done()
    }

    /// What TCPR has counted.
    ///
    /// # Errors
    ///
    /// If TCPR cannot be reached.
    pub async fn counters(&self) -> Result<Figures, ClientError> {
        self.shared
            .call(Request::Counters, PATIENCE)
            .await?
            .counted()
    }

    /// Asks for the notices of all connections; [`Client::notice`] gives them.
    ///
    /// # Errors
    ///
    /// If TCPR cannot be reached.
    pub async fn watch(&self) -> Result<(), ClientError> {
        self.shared.call(Request::Watch, PATIENCE).await?.done()
    }

    /// The next notice after [`Client::watch`]; nothing if none came in time.
    pub async fn notice(&self, timeout: Duration) -> Option<Notice> {
        self.shared
            .settle(Instant::now() + timeout, |exchange| {
                exchange.session.notice()
            })
            .await
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.shared.endpoint)
            .finish_non_exhaustive()
    }
}
