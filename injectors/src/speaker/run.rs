//! The process: every peer at once, the control socket, and TCPR.
//!
//! *Assumes* one thread that has a tokio runtime with I/O and time, and is the only process with
//! this `state` folder. *Guarantees* that sessions of a predecessor are carried on before anything
//! else is done, none waiting for another; and that SIGTERM and SIGINT end all sessions in order.

mod listening;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use tcpr::tokio::Client;
use tcpr::{ClientError, Durability, Endpoint, Flow};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinSet, LocalSet};

use super::checkpoint::{Checkpoint, CheckpointError};
use super::config::{Config, PeerConfig, Source, TcprConfig};
use super::control::{Answer, Control, Request};
use super::event::{Event, Happening};
use super::peer::{
    Asked, Inlets, Order, Peer, Resumable, Tcpr, Tell, checkpoint_path, give_up, header,
};
use super::source::{SourceError, Sources};
use crate::Command;

/// How long TCPR may take to be there: it may be starting at the same time.
const TCPR_PATIENCE: Duration = Duration::from_secs(10);
/// How long a predecessor that is being killed may take to be gone.
const RELEASE: Duration = Duration::from_secs(5);
/// How long sessions may take to end.
const STOP: Duration = Duration::from_secs(5);

/// Why the speaker does not run.
#[derive(Debug, Error)]
pub enum RunError {
    /// The control socket cannot be made.
    #[error("cannot make the control socket {path}: {source}{}", in_use(.source))]
    Control {
        /// Where.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The folder of the checkpoints cannot be used.
    #[error("cannot use the folder {path} for checkpoints: {source}")]
    State {
        /// Where.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another speaker uses it.
    #[error(
        "the folder {path} belongs to another speaker that runs: stop it, or give each its own"
    )]
    StateInUse {
        /// Where.
        path: PathBuf,
    },
    /// TCPR is not there.
    #[error("sessions cannot be protected, after {waited:?}: {source}")]
    Tcpr {
        /// The last attempt.
        source: ClientError,
        /// For how long it was tried.
        waited: Duration,
    },
    /// What is announced cannot be read.
    #[error("peer {peer}: {source}")]
    Source {
        /// Whom it is for.
        peer: Ipv4Addr,
        /// Why.
        source: SourceError,
    },
    /// A port cannot be listened at.
    #[error("cannot listen at {address} for peers that connect: {source}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The kernel refuses signals or the like.
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
}

fn in_use(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; a speaker that runs has it",
        io::ErrorKind::NotFound => "; its folder must be there",
        _ => "",
    }
}

impl TcprConfig {
    pub(super) fn durability(&self) -> Durability {
        match self.fsync {
            true => Durability::Machine,
            false => Durability::Process,
        }
    }
}

/// Speaks until SIGTERM or SIGINT. `tell` hears of everything that happens.
///
/// # Errors
/// If it cannot begin, or what it is to announce cannot be read.
pub async fn run(config: Config, tell: impl Fn(&Event) + 'static) -> Result<(), RunError> {
    LocalSet::new()
        .run_until(speak(config, Rc::new(tell)))
        .await
}

async fn speak(config: Config, tell: Tell) -> Result<(), RunError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let control = match &config.control {
        None => None,
        Some(path) => {
            let bound = Control::bind(path).await;
            Some(bound.map_err(|source| RunError::Control {
                path: path.clone(),
                source,
            })?)
        }
    };
    let state = match &config.tcpr {
        None => None,
        Some(tcpr) => Some(lock(tcpr).await?),
    };
    let mut predecessors = Predecessors::read(&config, &tell);
    tell(&Event::now(Happening::Started));
    let tcpr = match &config.tcpr {
        None => None,
        Some(tcpr) => Some(Tcpr {
            client: reach(tcpr).await?,
            config: tcpr.clone(),
        }),
    };
    if let Some(tcpr) = &tcpr {
        predecessors.sweep(&config, &tcpr.client).await;
    }

    let (stop, stopped) = watch::channel(false);
    let mut peers = JoinSet::new();
    let mut loading = JoinSet::new();
    let mut orders = BTreeMap::new();
    let mut passive = Vec::new();
    for peer in &config.peers {
        let (order, taken) = mpsc::channel(16);
        let (accept, accepted) = mpsc::channel(1);
        let (recovered, recovery) = oneshot::channel();
        let (loaded, sources) = watch::channel(None);
        let inlets = Inlets {
            orders: taken,
            accepted,
            sources,
            stop: stopped.clone(),
        };
        let resumable = predecessors.resumable.remove(&peer.address);
        let task = Peer::new(&config, peer, tcpr.clone(), Rc::clone(&tell), inlets);
        peers.spawn_local(task.run(resumable, recovered));
        orders.insert(peer.address, order);
        if peer.passive {
            passive.push(listening::Expected {
                peer: peer.clone(),
                accept,
                recovery,
            });
        }
        loading.spawn_local(load(peer.clone(), config.asn, loaded));
    }
    let mut listening = listening::listen(passive, tcpr.as_ref());
    let commanded = async {
        match &control {
            Some(control) => control.serve(move |r| answer(orders.clone(), r)).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(commanded);
    let ended = loop {
        tokio::select! {
            _ = terminate.recv() => break Ok(()),
            _ = interrupt.recv() => break Ok(()),
            Some(Ok(Err(e))) = loading.join_next() => break Err(e),
            Some(Ok(Err(e))) = listening.join_next() => break Err(e),
            () = &mut commanded => {}
        }
    };
    let _ = stop.send(true);
    drop(listening);
    let all = async { while peers.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP, all).await.is_err() {
        tracing::warn!("sessions have not ended within {STOP:?}");
    }
    drop(state);
    ended
}

/// Reads what a peer is to be told. A file of routes takes seconds, and the sessions are up
/// meanwhile.
async fn load(
    peer: PeerConfig,
    asn: u32,
    loaded: watch::Sender<Option<Arc<Sources>>>,
) -> Result<(), RunError> {
    let reads = peer
        .announce
        .iter()
        .any(|s| matches!(s, Source::Mrt { .. }));
    let address = peer.address;
    let load = move || Sources::load(&peer.announce, asn);
    let sources = if reads {
        let read = tokio::task::spawn_blocking(load).await;
        read.map_err(|e| RunError::Start(io::Error::other(e)))?
    } else {
        load()
    };
    let sources = sources.map_err(|source| RunError::Source {
        peer: address,
        source,
    })?;
    loaded.send_replace(Some(Arc::new(sources)));
    Ok(())
}

async fn answer(orders: BTreeMap<Ipv4Addr, mpsc::Sender<Asked>>, request: Request) -> Answer {
    let (peer, order) = match request {
        Request::Change(Command::Announce { peer, route }) => (peer, Order::Announce(route)),
        Request::Change(Command::Withdraw { peer, prefix }) => (peer, Order::Withdraw(prefix)),
        Request::Show => {
            let mut statuses = Vec::new();
            for orders in orders.values() {
                if let Answer::Done { peers, .. } = ask(orders, Order::Show).await {
                    statuses.extend(peers);
                }
            }
            return Answer::done(statuses);
        }
    };
    match orders.get(&peer) {
        Some(orders) => ask(orders, order).await,
        None => {
            let known: Vec<String> = orders.keys().map(Ipv4Addr::to_string).collect();
            Answer::refused(format!("{peer} is no peer; there are {}", known.join(", ")))
        }
    }
}

async fn ask(orders: &mpsc::Sender<Asked>, order: Order) -> Answer {
    let (answer, answered) = oneshot::channel();
    if orders.send((order, answer)).await.is_err() {
        return Answer::refused("the speaker is stopping");
    }
    answered
        .await
        .unwrap_or_else(|_| Answer::refused("the speaker is stopping"))
}

/// Makes the folder of the checkpoints this process's own.
async fn lock(tcpr: &TcprConfig) -> Result<Flock<File>, RunError> {
    let path = &tcpr.state;
    let failed = |source| RunError::State {
        path: path.clone(),
        source,
    };
    fs::create_dir_all(path).map_err(failed)?;
    let mut file = File::create(path.join("lock")).map_err(failed)?;
    let began = Instant::now();
    loop {
        file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            // Its process is being killed, maybe.
            Err((file, nix::Error::EWOULDBLOCK)) if began.elapsed() < RELEASE => file,
            Err((_, nix::Error::EWOULDBLOCK)) => {
                return Err(RunError::StateInUse { path: path.clone() });
            }
            Err((_, errno)) => return Err(failed(errno.into())),
        };
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Opens a channel to TCPR, which may be starting at the same time.
async fn reach(tcpr: &TcprConfig) -> Result<Client, RunError> {
    let endpoint = Endpoint::Unix(tcpr.socket.clone());
    let began = Instant::now();
    let mut told = false;
    loop {
        let source = match Client::connect(&endpoint).await {
            Ok(client) => return Ok(client),
            Err(source) => source,
        };
        let waited = began.elapsed();
        if !matches!(source, ClientError::Unreachable { .. }) || waited > TCPR_PATIENCE {
            return Err(RunError::Tcpr { source, waited });
        }
        if !told && waited > Duration::from_millis(500) {
            told = true;
            tracing::warn!("{source}; waiting for up to {TCPR_PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// What killed predecessors have left.
#[derive(Debug, Default)]
struct Predecessors {
    resumable: BTreeMap<Ipv4Addr, Resumable>,
    /// Peers of theirs that are configured no more.
    dismissed: BTreeSet<Ipv4Addr>,
}

impl Predecessors {
    /// Reads their checkpoints.
    fn read(config: &Config, tell: &Tell) -> Predecessors {
        let mut found = Predecessors::default();
        let Some(tcpr) = &config.tcpr else {
            return found;
        };
        for peer in &config.peers {
            let path = checkpoint_path(&tcpr.state, peer.address);
            match Checkpoint::open(&path, header(config, peer), tcpr.durability()) {
                Ok(restored) => {
                    if let Some(resumable) = Resumable::new(restored) {
                        found.resumable.insert(peer.address, resumable);
                    }
                }
                Err(CheckpointError::Missing { .. }) => {}
                Err(e) => {
                    let _ = fs::remove_file(&path);
                    tell(&Event::now(Happening::LetGo {
                        peer: peer.address,
                        reason: e.to_string(),
                    }));
                }
            }
        }
        let files = fs::read_dir(&tcpr.state).into_iter().flatten().flatten();
        for file in files {
            let name = file.file_name();
            let peer = name.to_str().and_then(|n| n.strip_suffix(".checkpoint"));
            let Some(peer) = peer.and_then(|p| p.parse::<Ipv4Addr>().ok()) else {
                continue;
            };
            if !config.peers.iter().any(|p| p.address == peer) {
                let _ = fs::remove_file(file.path());
                found.dismissed.insert(peer);
            }
        }
        found
    }

    /// Resets connections of theirs that nobody goes on with.
    async fn sweep(&self, config: &Config, client: &Client) {
        let protected = match client.list().await {
            Ok(protected) => protected,
            Err(e) => {
                tracing::warn!("connections of a predecessor may be left: {e}");
                return;
            }
        };
        let flows = protected.iter().map(|summary| summary.flow);
        for flow in flows.filter(|flow| self.is_left(config, flow)) {
            give_up(client, flow).await;
        }
    }

    fn is_left(&self, config: &Config, flow: &Flow) -> bool {
        if self.resumable.values().any(|r| r.flow() == *flow) {
            return false;
        }
        let ours = |peer: &PeerConfig| {
            let end = if peer.passive {
                flow.local
            } else {
                flow.remote
            };
            flow.remote.ip() == peer.address
                && end.port() == peer.port
                && peer.local_address.is_none_or(|a| flow.local.ip() == a)
        };
        config.peers.iter().any(ours) || self.dismissed.iter().any(|peer| flow.remote.ip() == *peer)
    }
}
