//! From the answer to `recover` to a connection.
//!
//! *Assumes* that output from the base on can be made again.
//! *Guarantees* that a stream is given back only when TCPR has put it in place of the old one, with
//! the base that the application was told.

use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tcpr_core::{Flow, Hard, Refusal};

use super::Connection;
use crate::client::{ClientError, ConnectError, recovery};

/// A recovery that TCPR is ready for: connect next, unless [`Client::reconnect`](super::Client::reconnect)
/// has done so.
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

    /// The connection's handle, once its stream is there.
    #[must_use]
    pub fn into_connection(self) -> Connection {
        self.connection
    }

    /// Opens the new socket, and waits until it is in place of the old one.
    ///
    /// # Errors
    ///
    /// If the socket cannot be bound or connected, or TCPR does not let it through, in time.
    pub fn connect(self, timeout: Duration) -> Result<(TcpStream, Connection), ConnectError> {
        self.connect_with(timeout, |_| Ok(()))
    }

    /// The same, with options set on the socket before it is bound.
    ///
    /// # Errors
    ///
    /// As of [`Recovery::connect`], and what `prepare` fails with.
    pub fn connect_with(
        self,
        timeout: Duration,
        prepare: impl FnOnce(&socket2::Socket) -> io::Result<()>,
    ) -> Result<(TcpStream, Connection), ConnectError> {
        let until = Instant::now() + timeout;
        self.current()?;
        let socket = recovery::bind(&self.hard, prepare)?;
        recovery::connect(&self.hard, &socket, timeout)?;
        let left = until.saturating_duration_since(Instant::now());
        self.connection.wait("spliced", left, |tracked| {
            tracked.is_spliced().then_some(())
        })?;
        Ok((socket.into(), self.connection))
    }

    /// Whether TCPR still is where `recover` was answered: after a restart the base may differ.
    fn current(&self) -> Result<(), ClientError> {
        let flow = self.hard.flow;
        match self.connection.look(|tracked| tracked.refused) {
            Some(None) => Ok(()),
            Some(Some(refusal)) => Err(ClientError::Refused {
                what: "connect",
                flow,
                refusal,
            }),
            None => Err(ClientError::Refused {
                what: "connect",
                flow,
                refusal: Refusal::RecoverAgain,
            }),
        }
    }
}
