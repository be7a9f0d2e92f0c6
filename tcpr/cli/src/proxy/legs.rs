//! The connections of the proxy, and what TCPR tells of them.
//!
//! *Assumes* a client that watches.
//! *Guarantees* that whoever waits for news of a connection is woken by them, at the cost of one
//! look-up each, however many connections there are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tcpr::tokio::{Client, Connection};
use tcpr::{ClientError, Flow};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// One connection of a pair.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) stream: TcpStream,
    pub(super) connection: Connection,
}

impl Leg {
    pub(super) fn flow(&self) -> Flow {
        self.connection.flow()
    }
}

/// Who waits for news of which connection.
#[derive(Debug, Clone, Default)]
pub(super) struct News {
    waiting: Arc<Mutex<HashMap<Flow, watch::Sender<()>>>>,
}

impl News {
    /// Wakes whoever waits, for as long as the client lives.
    pub(super) async fn dispatch(&self, client: &Client) -> Result<(), ClientError> {
        client.watch().await?;
        loop {
            let Some(notice) = client.notice(Duration::from_secs(3600)).await else {
                continue;
            };
            if let Some(flow) = notice.flow()
                && let Some(sender) = self.lock().get(&flow)
            {
                sender.send_replace(());
            }
        }
    }

    /// News of both connections of a pair come here until [`News::forget`].
    pub(super) fn subscribe(&self, flows: [Flow; 2]) -> watch::Receiver<()> {
        let (sender, receiver) = watch::channel(());
        let mut waiting = self.lock();
        for flow in flows {
            waiting.insert(flow, sender.clone());
        }
        receiver
    }

    pub(super) fn forget(&self, flows: [Flow; 2]) {
        let mut waiting = self.lock();
        for flow in flows {
            waiting.remove(&flow);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Flow, watch::Sender<()>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for news; at times there may be some that nobody told of: over UDP notices may be lost.
pub(super) async fn news(receiver: &mut watch::Receiver<()>, patience: Duration) {
    // An error means that nobody will tell any more: then it is looked at each time.
    if !matches!(
        tokio::time::timeout(patience, receiver.changed()).await,
        Ok(Ok(()))
    ) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
