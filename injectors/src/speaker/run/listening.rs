//! Listening for peers that connect: one socket for each address and port, however many peers.
//!
//! *Assumes* that recoveries end. *Guarantees* that nobody listens at a port while a connection of
//! it is being recovered, which needs the port; and that a connection of somebody else is closed.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tcpr::Pattern;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::RunError;
use crate::speaker::config::PeerConfig;
use crate::speaker::peer::{Tcpr, flow, give_up};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 64;

/// A peer that connects.
pub(super) struct Expected {
    pub(super) peer: PeerConfig,
    pub(super) accept: mpsc::Sender<TcpStream>,
    /// Ends when the connection of a predecessor is recovered, or given up.
    pub(super) recovery: oneshot::Receiver<()>,
}

/// Listens for all of these. A task ends with an error alone.
pub(super) fn listen(passive: Vec<Expected>, tcpr: Option<&Tcpr>) -> JoinSet<Result<(), RunError>> {
    let mut by_address: BTreeMap<SocketAddr, Vec<Expected>> = BTreeMap::new();
    for expected in passive {
        let local = expected.peer.local_address.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let address = SocketAddr::from((local, expected.peer.port));
        by_address.entry(address).or_default().push(expected);
    }
    let mut tasks = JoinSet::new();
    for (address, expected) in by_address {
        tasks.spawn_local(serve(address, expected, tcpr.cloned()));
    }
    tasks
}

async fn serve(
    address: SocketAddr,
    expected: Vec<Expected>,
    tcpr: Option<Tcpr>,
) -> Result<(), RunError> {
    let mut peers = BTreeMap::new();
    for Expected {
        peer,
        accept,
        recovery,
    } in expected
    {
        // It is told by being dropped.
        let _ = recovery.await;
        peers.insert(IpAddr::from(peer.address), accept);
    }
    let failed = |source| RunError::Listen { address, source };
    if let Some(tcpr) = &tcpr {
        let protected = tcpr.client.protect(Pattern::Local(address)).await;
        protected.map_err(|e| failed(io::Error::other(e)))?;
    }
    let listener = bind(address).map_err(failed)?;
    loop {
        let (stream, remote) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(e) => {
                // Descriptors are lacking, or the like.
                tracing::warn!("cannot accept at {address}: {e}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let refused = match peers.get(&remote.ip()) {
            Some(accept) => accept.try_send(stream).err().map(|e| e.into_inner()),
            None => Some(stream),
        };
        if let (Some(stream), Some(tcpr)) = (refused, &tcpr)
            && let Ok(flow) = flow(&stream)
        {
            drop(stream);
            give_up(&tcpr.client, flow).await;
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
