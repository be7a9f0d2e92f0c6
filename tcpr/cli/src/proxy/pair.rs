//! Two connections become one: what either peer sends comes to the other.
//!
//! *Assumes* that the pair is recorded.
//! *Guarantees* that what is acknowledged to the one peer is acknowledged by the other, or
//! recorded; so that nothing the proxy has in its memory is lost with it. A half-close passes, and
//! when one leg is reset so is the other.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tcpr::tokio::{Client, Connection};
use tcpr::{ClientError, Ending, Flow, Refusal};
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

use super::legs::{Leg, News, news};
use super::offsets::{Gap, Offsets};
use super::record::{Folder, FolderError, PairRecord, Stage};

const BUFFER: usize = 64 << 10;
/// What is recorded may lag behind by less than 2^30 octets.
const LAG: u64 = 1 << 28;
/// A leg that fails locally may have been reset by its peer: TCPR tells.
const TOLD: Duration = Duration::from_millis(500);

/// Why a pair has come to its end before both peers had closed.
#[derive(Debug, Error)]
pub(super) enum PairError {
    #[error("{flow} was reset by its peer")]
    Reset { flow: Flow },
    #[error("{flow} has ended ({ending:?})")]
    Ended { flow: Flow, ending: Ending },
    #[error("another process has taken {flow}: {refusal}")]
    Taken { flow: Flow, refusal: Refusal },
    #[error("{flow} has failed: {source}")]
    Local { flow: Flow, source: io::Error },
    #[error(transparent)]
    Gap(#[from] Gap),
    #[error(transparent)]
    Tcpr(#[from] ClientError),
    #[error(transparent)]
    Connect(#[from] tcpr::ConnectError),
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl PairError {
    /// Whether the connections are somebody else's by now, or ours to be recovered by the next
    /// proxy, so that they must not be reset.
    pub(super) fn leaves_them(&self) -> bool {
        matches!(self, PairError::Taken { .. } | PairError::Folder(_))
    }
}

/// A pair through which octets pass.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) accepted: Leg,
    pub(super) opened: Leg,
    /// From the accepted connection to the opened one.
    pub(super) forth: Offsets,
    /// The other way.
    pub(super) back: Offsets,
}

/// What the pair has in common.
struct Shared<'a> {
    client: &'a Client,
    folder: &'a Folder,
    accepted: Connection,
    opened: Connection,
    /// As it was last stored.
    stored: Mutex<PairRecord>,
    patience: Duration,
}

/// One direction.
struct Way<'a> {
    shared: &'a Shared<'a>,
    from: &'a Connection,
    to: &'a Connection,
    offsets: Mutex<Offsets>,
    /// Told when the input has come to its end, or when what was known was read.
    moved: watch::Sender<()>,
}

impl Pair {
    /// Carries octets until both peers have closed and all of it is acknowledged.
    pub(super) async fn carry(
        mut self,
        client: &Client,
        folder: &Folder,
        told: &News,
        patience: Duration,
    ) -> Result<(), PairError> {
        let flows = [self.accepted.flow(), self.opened.flow()];
        let receiver = told.subscribe(flows);
        let stage = Stage::Joined {
            accepted: self.accepted.connection.record(),
            opened: self.opened.connection.record(),
        };
        let shared = Shared {
            client,
            folder,
            accepted: self.accepted.connection.clone(),
            opened: self.opened.connection.clone(),
            stored: Mutex::new(PairRecord::new(stage)),
            patience,
        };
        // The sockets stay open until all is over: the kernel gives up on an orphan whose peer is
        // slow to acknowledge.
        let (from_client, to_client) = self.accepted.stream.split();
        let (from_server, to_server) = self.opened.stream.split();
        let forth = Way::new(&shared, &shared.accepted, &shared.opened, self.forth);
        let back = Way::new(&shared, &shared.opened, &shared.accepted, self.back);
        let carried = tokio::try_join!(
            forth.pump(from_client, to_server),
            back.pump(from_server, to_client),
            forth.acknowledge(receiver.clone()),
            back.acknowledge(receiver.clone()),
            shared.finished(&shared.accepted, receiver.clone()),
            shared.finished(&shared.opened, receiver.clone()),
        );
        told.forget(flows);
        match carried {
            Ok(_) => {
                forget(&shared.accepted).await;
                forget(&shared.opened).await;
                Ok(())
            }
            Err(PairError::Local { flow, source }) => Err(shared.explain(flow, source).await),
            Err(e) => Err(e),
        }
    }
}

/// A connection that has ended is done with.
pub(super) async fn forget(connection: &Connection) {
    if let Err(e) = connection.done().await {
        tracing::debug!("TCPR keeps {} for a while: {e}", connection.flow());
    }
}

impl Shared<'_> {
    /// Waits until a connection has ended for its peer.
    async fn finished(
        &self,
        connection: &Connection,
        mut receiver: watch::Receiver<()>,
    ) -> Result<(), PairError> {
        let flow = connection.flow();
        loop {
            match connection.ended() {
                Some(Ending::Finished) => return Ok(()),
                Some(Ending::ResetByPeer) => return Err(PairError::Reset { flow }),
                Some(ending) => return Err(PairError::Ended { flow, ending }),
                None => {}
            }
            self.look(connection, &mut receiver).await?;
        }
    }

    /// Waits for news of a connection.
    async fn look(
        &self,
        connection: &Connection,
        receiver: &mut watch::Receiver<()>,
    ) -> Result<(), PairError> {
        let waited = tokio::time::Instant::now();
        news(receiver, self.patience).await;
        if waited.elapsed() < self.patience {
            return Ok(());
        }
        let flow = connection.flow();
        match self.client.show(&flow).await {
            // The client learns from the answer. One that TCPR is too busy for comes later.
            Ok(_) | Err(ClientError::Unanswered { .. }) => Ok(()),
            Err(ClientError::Refused { refusal, .. }) if connection.ended().is_none() => {
                Err(PairError::Taken { flow, refusal })
            }
            Err(ClientError::Refused { .. }) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Why a socket has failed.
    async fn explain(&self, flow: Flow, source: io::Error) -> PairError {
        let of = |connection: &Connection| connection.flow() == flow;
        let connection = if of(&self.accepted) {
            &self.accepted
        } else {
            &self.opened
        };
        match connection.wait_closed(TOLD).await {
            Ok(Ending::ResetByPeer) => PairError::Reset { flow },
            Ok(ending) => PairError::Ended { flow, ending },
            Err(ClientError::Refused {
                refusal: refusal @ Refusal::OlderIncarnation { .. },
                ..
            }) => PairError::Taken { flow, refusal },
            Err(_) => PairError::Local { flow, source },
        }
    }

    fn stored(&self) -> MutexGuard<'_, PairRecord> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores the pair as it stands. `end`: the connection whose input ends, and where.
    fn store(&self, end: Option<(Flow, u64)>) -> Result<(), FolderError> {
        let mut stored = self.stored();
        let (mut accepted, mut opened) = (self.accepted.record(), self.opened.record());
        if let Stage::Joined {
            accepted: before_accepted,
            opened: before_opened,
        } = stored.stage
        {
            for (record, before) in [
                (&mut accepted, before_accepted),
                (&mut opened, before_opened),
            ] {
                record.hard.peer_fin = before.hard.peer_fin.or(record.hard.peer_fin);
                record.hard.done_writing = before.hard.done_writing.or(record.hard.done_writing);
            }
        }
        if let Some((flow, end)) = end {
            let (from, to) = if accepted.hard.flow == flow {
                (&mut accepted, &mut opened)
            } else {
                (&mut opened, &mut accepted)
            };
            from.hard.peer_fin = Some(end);
            to.hard.done_writing = Some(end);
        }
        let record = PairRecord::new(Stage::Joined { accepted, opened });
        self.folder.store(&record)?;
        *stored = record;
        Ok(())
    }

    /// Stores the pair if what is stored has fallen behind.
    fn keep_up(&self) -> Result<(), FolderError> {
        let lags = |record: &tcpr::Record, connection: &Connection| {
            let (old, new) = (record.hard, connection.record().hard);
            new.acked.saturating_sub(old.acked) >= LAG
                || new.checkpoint.saturating_sub(old.checkpoint) >= LAG
        };
        let behind = match &self.stored().stage {
            Stage::Joined { accepted, opened } => {
                lags(accepted, &self.accepted) || lags(opened, &self.opened)
            }
            Stage::Joining { .. } => true,
        };
        if behind { self.store(None) } else { Ok(()) }
    }
}

impl<'a> Way<'a> {
    fn new(
        shared: &'a Shared<'a>,
        from: &'a Connection,
        to: &'a Connection,
        offsets: Offsets,
    ) -> Way<'a> {
        Way {
            shared,
            from,
            to,
            offsets: Mutex::new(offsets),
            moved: watch::Sender::new(()),
        }
    }

    fn offsets(&self) -> MutexGuard<'_, Offsets> {
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on what comes, to its end.
    async fn pump(&self, from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Result<(), PairError> {
        let failed = |flow| move |source| PairError::Local { flow, source };
        let (input, output) = (self.from.flow(), self.to.flow());
        'input: loop {
            from.readable().await.map_err(failed(input))?;
            // An idle connection has no buffer: there may be many.
            let mut buffer = vec![0; BUFFER];
            loop {
                let count = match from.try_read(&mut buffer) {
                    Ok(0) => break 'input,
                    Ok(count) => count,
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                    Err(e) => return Err(failed(input)(e)),
                };
                let known = self.offsets().read(count as u64) as usize;
                if known > 0 {
                    self.moved.send_replace(());
                }
                to.write_all(&buffer[known..count])
                    .await
                    .map_err(failed(output))?;
            }
        }
        let end = self.offsets().ends()?;
        // The end is recorded first: the peer's FIN may then be acknowledged before ours is.
        self.shared.store(Some((input, end)))?;
        self.to.done_writing(end).await?;
        to.shutdown().await.map_err(failed(output))?;
        self.offsets().end_recorded();
        self.moved.send_replace(());
        Ok(())
    }

    /// Checkpoints what has come as far as it has arrived, to its end.
    async fn acknowledge(&self, mut receiver: watch::Receiver<()>) -> Result<(), PairError> {
        let mut moved = self.moved.subscribe();
        loop {
            let acked = self.to.acked();
            let offsets = *self.offsets();
            let checkpoint = offsets.checkpoint(acked);
            if checkpoint > self.from.record().hard.checkpoint {
                let marked = match offsets.through(acked) {
                    Some(end) => self.from.checkpoint_end(end),
                    None => self.from.checkpoint(checkpoint),
                };
                match marked {
                    // It has come to its end: whoever waits for that tells how.
                    Err(ClientError::Refused {
                        refusal: Refusal::Ended,
                        ..
                    }) => return Ok(()),
                    result => result?,
                }
                self.shared.keep_up()?;
            }
            if offsets.through(acked).is_some() {
                return Ok(());
            }
            tokio::select! {
                looked = self.shared.look(self.to, &mut receiver) => looked?,
                _ = moved.changed() => {}
            }
        }
    }
}
