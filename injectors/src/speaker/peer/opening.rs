//! A connection is opened, accepted, or gone on with.
//!
//! *Assumes* one session to each peer, and that who listens waits until what is recovered at the
//! same port is recovered. *Guarantees*, where TCPR protects it, the order in which every instant
//! is safe to be killed in: protect, connect, register, record; going on: record the next
//! incarnation, recover, connect, record. What is dropped half way is aborted.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use tcpr::core::Phase;
use tcpr::tokio::Client;
use tcpr::{ClientError, ConnectError, Flow, Pattern};
use thiserror::Error;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use super::link::{Link, Protection, checkpoint_path};
use crate::speaker::checkpoint::{Checkpoint, CheckpointError, Entry, Header, Restored, SentLog};
use crate::speaker::config::{PeerConfig, TcprConfig};
use crate::speaker::session::Negotiated;

/// How long a recovered connection may take: TCPR answers in the peer's place.
const SPLICE: Duration = Duration::from_secs(10);

/// TCPR, as one session uses it.
#[derive(Debug, Clone)]
pub(in crate::speaker) struct Tcpr {
    pub(in crate::speaker) client: Client,
    pub(in crate::speaker) config: TcprConfig,
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub(in crate::speaker) enum OpenError {
    /// TCP's reason.
    #[error("cannot {step} {address}: {source}")]
    Socket {
        step: &'static str,
        address: SocketAddr,
        source: io::Error,
    },
    /// TCPR's reason.
    #[error(transparent)]
    Tcpr(#[from] ClientError),
    /// It could not be recovered after a restart.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// It cannot be recovered.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The peer has ended it while nobody was there.
    #[error("the peer has closed the connection meanwhile")]
    PeerClosed,
    /// The peer has ended the session, whether or not it could say so: what it sends is not
    /// acknowledged while nobody is there, so that its NOTIFICATION may have to wait behind that.
    #[error("nothing was sent for {:.1} s, and the hold time is {hold_time_s} s", silent.as_secs_f64())]
    HoldTime {
        /// For how long nobody was there.
        silent: Duration,
        /// What the peer waits for.
        hold_time_s: u16,
    },
}

/// A session of a predecessor that can be carried on.
#[derive(Debug)]
pub(in crate::speaker) struct Resumable {
    pub(super) negotiated: Negotiated,
    record: tcpr::Record,
    checkpoint: Checkpoint,
    pub(super) received: u64,
    pub(super) sent: SentLog,
}

impl Resumable {
    /// Nothing, if the session had not come far enough: without what the OPENs have agreed on there
    /// is nothing to carry on.
    pub(in crate::speaker) fn new(restored: Restored) -> Option<Resumable> {
        // An offset of input is kept after what the messages before it have made: the peer's OPEN
        // is taken, and our KEEPALIVE, which confirms it, is in the log.
        let (Some(negotiated), Some(mut record), 1..) =
            (restored.negotiated, restored.record, restored.received)
        else {
            return None;
        };
        record.hard.checkpoint = record.hard.checkpoint.max(restored.received);
        Some(Resumable {
            negotiated,
            record: record.next(),
            checkpoint: restored.checkpoint,
            received: restored.received,
            sent: restored.sent,
        })
    }

    /// Its connection.
    pub(in crate::speaker) fn flow(&self) -> Flow {
        self.record.hard.flow
    }
}

/// A connection that is gone on with.
#[derive(Debug)]
pub(super) struct Resumed {
    pub(super) link: Link,
    pub(super) negotiated: Negotiated,
    pub(super) received: u64,
    pub(super) resent: u64,
    pub(super) sent: SentLog,
}

/// Goes on with the connection of a predecessor. After an error it is aborted and its checkpoint
/// is gone.
pub(super) async fn resume(client: &Client, resumable: Resumable) -> Result<Resumed, OpenError> {
    let Resumable {
        negotiated,
        record,
        mut checkpoint,
        received,
        sent,
    } = resumable;
    let flow = record.hard.flow;
    let spliced = async {
        // A TCPR that was lost too cannot say for how long nobody was there.
        if let Ok(summary) = client.show(&flow).await
            && summary.phase == Phase::Failed
        {
            let (silent, hold_time_s) = (summary.phase_age, negotiated.hold_time_s);
            if hold_time_s > 0 && silent >= Duration::from_secs(hold_time_s.into()) {
                return Err(OpenError::HoldTime {
                    silent,
                    hold_time_s,
                });
            }
        }
        checkpoint.append(Entry::Record(&record))?;
        let recovery = client.recover(&record).await?;
        if recovery.peer_eof {
            return Err(OpenError::PeerClosed);
        }
        let queue = sent.octets(recovery.base)?;
        let (stream, connection) = recovery.connect(SPLICE).await?;
        checkpoint.append(Entry::Record(&connection.record()))?;
        Ok((queue, stream, connection))
    };
    match spliced.await {
        Ok((queue, stream, connection)) => {
            let protection = Protection {
                client: client.clone(),
                connection,
                checkpoint,
                told: received,
            };
            let resent = queue.len() as u64;
            let link =
                Link::new(stream, queue, Some(protection)).map_err(at("use", flow.remote))?;
            Ok(Resumed {
                link,
                negotiated,
                received,
                resent,
                sent,
            })
        }
        Err(e) => {
            let _ = checkpoint.remove();
            give_up(client, flow).await;
            Err(e)
        }
    }
}

/// Opens a connection to the peer.
pub(super) async fn connect(
    peer: PeerConfig,
    header: Header,
    tcpr: Option<Tcpr>,
) -> Result<Link, OpenError> {
    let remote = SocketAddr::from((peer.address, peer.port));
    let failed = |step| at(step, remote);
    let socket = TcpSocket::new_v4().map_err(failed("make a socket for"))?;
    let Some(tcpr) = tcpr else {
        if let Some(local) = peer.local_address {
            let local = SocketAddr::from((local, 0));
            socket.bind(local).map_err(at("bind to", local))?;
        }
        let stream = socket.connect(remote).await.map_err(failed("connect to"))?;
        return Link::new(stream, Vec::new(), None).map_err(failed("use"));
    };
    // A connection has to have a name before it is opened.
    let local = match peer.local_address {
        Some(local) => local,
        None => source_address(remote)
            .await
            .map_err(failed("find a route to"))?,
    };
    let local = SocketAddr::from((local, 0));
    socket.bind(local).map_err(at("bind to", local))?;
    let flow = Flow {
        local: socket.local_addr().map_err(at("bind to", local))?,
        remote,
    };
    let opening = Opening::new(tcpr.client.clone(), flow);
    tcpr.client.protect(Pattern::Flow(flow)).await?;
    let stream = socket.connect(remote).await.map_err(failed("connect to"))?;
    opening.complete(stream, header, &tcpr.config).await
}

/// Takes charge of a connection that the peer has opened.
pub(super) async fn accepted(
    stream: TcpStream,
    header: Header,
    tcpr: Option<Tcpr>,
) -> Result<Link, OpenError> {
    let remote = SocketAddr::from((header.peer, 0));
    let failed = |step| at(step, remote);
    let Some(tcpr) = tcpr else {
        return Link::new(stream, Vec::new(), None).map_err(failed("use"));
    };
    let flow = flow(&stream).map_err(failed("use"))?;
    let opening = Opening::new(tcpr.client.clone(), flow);
    opening.complete(stream, header, &tcpr.config).await
}

/// The connection of a socket.
pub(in crate::speaker) fn flow(stream: &TcpStream) -> io::Result<Flow> {
    Ok(Flow {
        local: stream.local_addr()?,
        remote: stream.peer_addr()?,
    })
}

/// Resets a connection that nobody goes on with, and protects it no more.
pub(in crate::speaker) async fn give_up(client: &Client, flow: Flow) {
    // It may never have come into being, or be gone.
    let _ = client.abort(&flow).await;
    let _ = client.unprotect(Pattern::Flow(flow)).await;
}

/// A connection that is being opened: it is given up if it is dropped.
struct Opening {
    client: Client,
    flow: Option<Flow>,
}

impl Opening {
    fn new(client: Client, flow: Flow) -> Opening {
        Opening {
            client,
            flow: Some(flow),
        }
    }

    async fn complete(
        mut self,
        stream: TcpStream,
        header: Header,
        config: &TcprConfig,
    ) -> Result<Link, OpenError> {
        let flow = flow(&stream).map_err(at("use", SocketAddr::from((header.peer, 0))))?;
        let connection = self.client.register(flow).await?;
        let path = checkpoint_path(&config.state, header.peer);
        let mut checkpoint = Checkpoint::create(&path, header, config.durability())?;
        checkpoint.append(Entry::Record(&connection.record()))?;
        let protection = Protection {
            client: self.client.clone(),
            connection,
            checkpoint,
            told: 0,
        };
        let link = Link::new(stream, Vec::new(), Some(protection));
        let link = link.map_err(at("use", flow.remote))?;
        self.flow = None;
        Ok(link)
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(flow) = self.flow {
            let client = self.client.clone();
            tokio::task::spawn_local(async move { give_up(&client, flow).await });
        }
    }
}

/// The address that the kernel would choose.
async fn source_address(remote: SocketAddr) -> io::Result<Ipv4Addr> {
    let socket = UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)).await?;
    // Nothing is sent.
    socket.connect(remote).await?;
    match socket.local_addr()? {
        SocketAddr::V4(local) => Ok(*local.ip()),
        SocketAddr::V6(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
    }
}

fn at(step: &'static str, address: SocketAddr) -> impl Fn(io::Error) -> OpenError {
    move |source| OpenError::Socket {
        step,
        address,
        source,
    }
}
