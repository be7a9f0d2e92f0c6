//! One TCP connection: what is queued for it, and what keeps it alive beyond this process.
//!
//! *Assumes* whole messages, in the order in which they are to be sent. *Guarantees*, if TCPR
//! protects it, that octets are in the checkpoint before they are written, and an offset of input
//! before TCPR acknowledges it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tcpr::{ClientError, Pattern};
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest, Ready};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::speaker::checkpoint::{Checkpoint, CheckpointError, Entry};
use crate::speaker::rib::AdjRibOut;

/// How long a connection may take to end: for what is queued, for the peer's end, for TCPR.
const LINGER: Duration = Duration::from_secs(1);
/// Octets that are read at once.
const READ: usize = 64 << 10;

/// Why a connection is of no use any more.
#[derive(Debug, Error)]
pub(super) enum LinkError {
    /// TCP says so.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It could not be recovered: so it must not go on.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The same.
    #[error(transparent)]
    Tcpr(#[from] ClientError),
}

/// What keeps a connection alive beyond this process.
#[derive(Debug)]
pub(super) struct Protection {
    pub(super) client: tcpr::tokio::Client,
    pub(super) connection: tcpr::tokio::Connection,
    pub(super) checkpoint: Checkpoint,
    /// Offset of input that TCPR was told.
    pub(super) told: u64,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Link {
    stream: TcpStream,
    local: Ipv4Addr,
    queue: Vec<u8>,
    /// Octets of the queue that were written.
    written: usize,
    protection: Option<Protection>,
}

impl Link {
    /// `queue`: what is to be sent again.
    pub(super) fn new(
        stream: TcpStream,
        queue: Vec<u8>,
        protection: Option<Protection>,
    ) -> io::Result<Link> {
        // Messages are written as they become due, and wait for nothing.
        stream.set_nodelay(true)?;
        let local = match stream.local_addr()? {
            SocketAddr::V4(local) => *local.ip(),
            SocketAddr::V6(_) => return Err(io::ErrorKind::AddrNotAvailable.into()),
        };
        Ok(Link {
            stream,
            local,
            queue,
            written: 0,
            protection,
        })
    }

    /// Our address.
    pub(super) fn local(&self) -> Ipv4Addr {
        self.local
    }

    /// Whether a restart can go on with it.
    pub(super) fn is_protected(&self) -> bool {
        self.protection.is_some()
    }

    /// Octets that TCP has not taken yet.
    pub(super) fn queued(&self) -> usize {
        self.queue.len() - self.written
    }

    /// Queues messages, and writes what can be written.
    pub(super) fn send(&mut self, messages: &[u8]) -> Result<(), LinkError> {
        if let Some(protection) = &mut self.protection {
            protection.checkpoint.append(Entry::Sent(messages))?;
        }
        self.queue.extend_from_slice(messages);
        self.write()
    }

    /// Writes what can be written.
    pub(super) fn write(&mut self) -> Result<(), LinkError> {
        while self.queued() > 0 {
            match self.stream.try_write(&self.queue[self.written..]) {
                Ok(octets) => self.written += octets,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(e.into()),
            }
        }
        if self.queued() == 0 {
            self.queue.clear();
            self.written = 0;
        } else if self.written > READ {
            self.queue.drain(..self.written);
            self.written = 0;
        }
        Ok(())
    }

    /// Reads what is there; nothing: it has to be waited for.
    pub(super) fn read(&mut self, buffer: &mut Vec<u8>) -> Result<Option<usize>, LinkError> {
        buffer.resize(READ, 0);
        match self.stream.try_read(buffer) {
            Ok(octets) => Ok(Some(octets)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Waits until it can be read, or written if something is queued.
    pub(super) async fn ready(&self) -> io::Result<Ready> {
        let interest = if self.queued() > 0 {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        self.stream.ready(interest).await
    }

    /// Octets of output that a successor would send again if they were not acknowledged.
    pub(super) fn sent(&self) -> u64 {
        self.protection.as_ref().map_or(0, |p| p.checkpoint.sent())
    }

    /// Octets of output that the peer has acknowledged, as far as is known.
    pub(super) fn acknowledged(&self) -> u64 {
        self.protection.as_ref().map_or(0, |p| p.connection.acked())
    }

    /// Keeps something that a restart needs.
    pub(super) fn keep(&mut self, entry: Entry<'_>) -> Result<(), LinkError> {
        match &mut self.protection {
            Some(protection) => Ok(protection.checkpoint.append(entry)?),
            None => Ok(()),
        }
    }

    /// Input up to here is taken for good.
    pub(super) fn taken(&mut self, offset: u64) -> Result<(), LinkError> {
        let Some(protection) = self.protection.as_mut().filter(|p| p.told < offset) else {
            return Ok(());
        };
        protection.checkpoint.append(Entry::Received(offset))?;
        protection.connection.checkpoint(offset)?;
        protection.told = offset;
        Ok(())
    }

    /// Compacts the checkpoint, if it has grown well beyond what it stands for.
    pub(super) fn compact(&mut self, told: &AdjRibOut) -> Result<(), LinkError> {
        let Some(protection) = &mut self.protection else {
            return Ok(());
        };
        let acknowledged = protection.connection.acked();
        if !protection.checkpoint.is_worth_compacting(acknowledged) {
            return Ok(());
        }
        // Should TCPR be lost, it has to know within 2^30 octets what the peer has acknowledged.
        let record = protection.connection.record();
        protection.checkpoint.append(Entry::Record(&record))?;
        Ok(protection.checkpoint.compact(acknowledged, told)?)
    }

    /// Forgets it on this side, so that a restart does not go on with it, and gives what is left to
    /// do: to send what is queued, and to end the connection in order.
    pub(super) fn close(self) -> impl Future<Output = ()> {
        let Link {
            mut stream,
            queue,
            written,
            protection,
            ..
        } = self;
        let protection = protection.map(|protection| {
            let end = protection.checkpoint.sent();
            if let Err(e) = protection.checkpoint.remove() {
                tracing::warn!("{e}");
            }
            (protection.client, protection.connection, end)
        });
        async move {
            let flushed = timeout(LINGER, stream.write_all(&queue[written..])).await;
            if let Some((_, connection, end)) = &protection
                && matches!(flushed, Ok(Ok(())))
            {
                // Before the FIN: else it is taken for that of a process that dies.
                let _ = connection.done_writing(*end).await;
                let _ = connection.done_reading().await;
            }
            let _ = stream.shutdown().await;
            // What the peer has sent meanwhile must not be answered by a RST, which could overtake
            // the NOTIFICATION: it is read to its end.
            let mut rest = vec![0; READ];
            let drained = async { while matches!(stream.read(&mut rest).await, Ok(1..)) {} };
            let _ = timeout(LINGER, drained).await;
            if let Some((client, connection, _)) = protection {
                let flow = connection.flow();
                if connection.wait_closed(LINGER).await.is_ok() {
                    let _ = connection.done().await;
                } else {
                    let _ = connection.abort().await;
                }
                let _ = client.unprotect(Pattern::Flow(flow)).await;
            }
        }
    }
}

/// Where the checkpoint of a peer is.
pub(in crate::speaker) fn checkpoint_path(state: &std::path::Path, peer: Ipv4Addr) -> PathBuf {
    state.join(format!("{peer}.checkpoint"))
}
