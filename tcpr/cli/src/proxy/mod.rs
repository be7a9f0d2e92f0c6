//! `tcpr proxy`: connections of applications that know nothing of TCPR survive the proxy.
//!
//! *Assumes* that `tcpr serve` runs, that the connections of this host to `--to` are the proxy's,
//! and that after a crash it is started again with the same `--state`.
//! *Guarantees* to the peers at both ends one connection each, through which octets pass once and
//! in order, whenever the proxy is killed and started again. A pair whose one connection is reset
//! has its other one reset too; one that was being put together when the proxy died is reset.

mod legs;
mod offsets;
mod pair;
mod record;
mod recovery;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tcpr::tokio::Client;
use tcpr::{ClientError, Endpoint, Flow, Pattern};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::names;
use crate::socket::bind;
use legs::{Leg, News};
use offsets::Offsets;
use pair::{Pair, PairError};
use record::{Folder, PairRecord, Route, Stage};
use recovery::Recovered;

/// From where to where.
#[derive(Debug, Args)]
pub struct Options {
    /// Accept connections at this address and port
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = names::socket)]
    listen: SocketAddr,
    /// Open a connection to this address and port for each
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = names::socket)]
    to: SocketAddr,
    /// The folder where the state of the connections is kept. A proxy that is started with the
    /// folder of one that has died goes on with its connections
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Where the server is: the path of its socket, or udp:ADDRESS:PORT?key=FILE
    /// [default: $TCPR_SOCKET, else as `tcpr serve` has it]
    #[arg(long, value_name = "WHERE")]
    socket: Option<String>,
}

/// How long a connection to the server may take.
const CONNECT: Duration = Duration::from_secs(30);
/// What TCPR has told in vain is asked for after this time.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same over UDP, where notices may be lost.
const PATIENCE_UDP: Duration = Duration::from_secs(1);

/// What all pairs share.
#[derive(Debug)]
struct Proxy {
    client: Client,
    folder: Folder,
    news: News,
    route: Route,
    patience: Duration,
}

/// Goes on with the connections of a proxy that has died, and accepts others, until SIGTERM or
/// SIGINT.
///
/// # Errors
///
/// If it cannot.
pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    let endpoint = match &options.socket {
        Some(text) => text.parse()?,
        None => Endpoint::from_environment()?,
    };
    let route = Route {
        listen: options.listen,
        to: options.to,
    };
    let (folder, records) = Folder::open(&options.state, route)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")?;
    runtime.block_on(async {
        let (mut term, mut int) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        let status = tokio::select! {
            served = serve(&endpoint, folder, route, records) => match served? {},
            _ = term.recv() => 128 + nix::libc::SIGTERM,
            _ = int.recv() => 128 + nix::libc::SIGINT,
        };
        eprintln!(
            "tcpr proxy: stopped. Its connections wait in TCPR: start it again with --state {}",
            options.state.display()
        );
        // Without closing anything first: the sockets are to end as in a crash.
        std::process::exit(status)
    })
}

/// There is no end to serving.
enum Never {}

async fn serve(
    endpoint: &Endpoint,
    folder: Folder,
    route: Route,
    records: Vec<PairRecord>,
) -> anyhow::Result<Never> {
    let client = Client::connect(endpoint).await?;
    let patience = match endpoint {
        Endpoint::Unix(_) => PATIENCE,
        Endpoint::Udp { .. } => PATIENCE_UDP,
    };
    let proxy = Arc::new(Proxy {
        client,
        folder,
        news: News::default(),
        route,
        patience,
    });
    let patterns = [Pattern::Local(route.listen), Pattern::Remote(route.to)];
    for pattern in patterns {
        proxy.client.protect(pattern).await?;
    }
    let dispatched = tokio::spawn({
        let proxy = Arc::clone(&proxy);
        async move { proxy.news.dispatch(&proxy.client).await }
    });
    proxy.clear(&patterns, &records).await?;
    proxy.recover_all(records).await;
    let listener = listen(route.listen).with_context(|| {
        format!(
            "cannot listen at {}: is another program there?",
            route.listen
        )
    })?;
    eprintln!("tcpr proxy: from {} to {}", route.listen, route.to);
    tokio::select! {
        never = proxy.accept(&listener) => match never {},
        dispatched = dispatched => {
            dispatched??;
            anyhow::bail!("TCPR tells nothing any more")
        }
    }
}

impl Proxy {
    /// Aborts what nobody has taken charge of: connections that came when there was no proxy, or
    /// when it had just died.
    async fn clear(&self, patterns: &[Pattern], records: &[PairRecord]) -> Result<(), ClientError> {
        let recorded = |flow: &Flow| records.iter().any(|record| record.flows().contains(flow));
        for summary in self.client.list().await? {
            let flow = summary.flow;
            if recorded(&flow) || !patterns.iter().any(|pattern| pattern.covers(&flow)) {
                continue;
            }
            if summary.registered {
                warn!(%flow, "another program's connection is left alone");
                continue;
            }
            info!(%flow, "aborted: it came when there was no proxy");
            self.abort(flow).await;
        }
        Ok(())
    }

    /// Goes on with every pair; returns when each has its sockets.
    async fn recover_all(self: &Arc<Self>, records: Vec<PairRecord>) {
        let mut recoveries = JoinSet::new();
        for record in records {
            let proxy = Arc::clone(self);
            recoveries.spawn(async move { proxy.go_on(record).await });
        }
        while let Some(joined) = recoveries.join_next().await {
            if let Err(e) = joined {
                warn!("a recovery has failed: {e}");
            }
        }
    }

    async fn go_on(self: &Arc<Self>, record: PairRecord) {
        let [accepted, opened] = record.flows();
        let recovered = match record.stage {
            Stage::Joining { .. } => {
                info!(flow = %accepted, "aborted: it was being put together when the proxy died");
                self.end(accepted, opened, true).await;
                return;
            }
            Stage::Joined { accepted, opened } => {
                recovery::recover(&self.client, &self.folder, accepted, opened).await
            }
        };
        match recovered {
            Ok(Recovered::Joined(pair)) => {
                info!(flow = %accepted, "recovered");
                let proxy = Arc::clone(self);
                tokio::spawn(async move { proxy.carry(pair).await });
            }
            Ok(Recovered::Ending(last)) => {
                let proxy = Arc::clone(self);
                tokio::spawn(async move {
                    match last.finish().await {
                        Ok(()) => proxy.end(accepted, opened, false).await,
                        Err(e) => proxy.fail(accepted, opened, &e).await,
                    }
                });
            }
            Ok(Recovered::Over) => self.end(accepted, opened, false).await,
            Err(e) => self.fail(accepted, opened, &e).await,
        }
    }

    async fn accept(self: &Arc<Self>, listener: &TcpListener) -> Never {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let proxy = Arc::clone(self);
                    tokio::spawn(async move { proxy.join(stream).await });
                }
                Err(e) => {
                    // Descriptors may be lacking: connections that end give some back.
                    warn!("cannot accept a connection: {e}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Opens the other connection of a pair.
    async fn join(self: Arc<Self>, stream: TcpStream) {
        let Ok(accepted) = flow(&stream) else {
            // It was reset before it was accepted.
            return;
        };
        let to = self.route.to;
        let opened = match tokio::time::timeout(CONNECT, TcpStream::connect(to)).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(e)) => {
                warn!(flow = %accepted, "reset, since there is no connection to {to}: {e}");
                return self.abort(accepted).await;
            }
            Err(_) => {
                warn!(flow = %accepted, "reset, since {to} has not answered for {CONNECT:?}");
                return self.abort(accepted).await;
            }
        };
        let opened_flow = match flow(&opened) {
            Ok(flow) => flow,
            Err(_) => return self.abort(accepted).await,
        };
        match self.register(stream, opened, [accepted, opened_flow]).await {
            Ok(pair) => self.carry(pair).await,
            Err(e) => self.fail(accepted, opened_flow, &e).await,
        }
    }

    async fn register(
        &self,
        accepted: TcpStream,
        opened: TcpStream,
        flows: [Flow; 2],
    ) -> Result<Pair, PairError> {
        let [accepted_flow, opened_flow] = flows;
        // What is registered and has no record is then never ours.
        self.folder.store(&PairRecord::new(Stage::Joining {
            accepted: accepted_flow,
            opened: opened_flow,
        }))?;
        let (accepted_connection, opened_connection) = tokio::try_join!(
            self.client.register(accepted_flow),
            self.client.register(opened_flow)
        )?;
        self.folder.store(&PairRecord::new(Stage::Joined {
            accepted: accepted_connection.record(),
            opened: opened_connection.record(),
        }))?;
        Ok(Pair {
            accepted: Leg {
                stream: accepted,
                connection: accepted_connection,
            },
            opened: Leg {
                stream: opened,
                connection: opened_connection,
            },
            forth: Offsets::resume(0, 0)?,
            back: Offsets::resume(0, 0)?,
        })
    }

    async fn carry(&self, pair: Pair) {
        let (accepted, opened) = (pair.accepted.flow(), pair.opened.flow());
        let carried = pair.carry(&self.client, &self.folder, &self.news, self.patience);
        match carried.await {
            Ok(()) => {
                info!(flow = %accepted, "finished");
                self.end(accepted, opened, false).await;
            }
            Err(e) => self.fail(accepted, opened, &e).await,
        }
    }

    /// A pair has failed: both peers learn it.
    async fn fail(&self, accepted: Flow, opened: Flow, error: &PairError) {
        if error.leaves_them() {
            warn!(flow = %accepted, "left as it is: {error}");
            return;
        }
        warn!(flow = %accepted, "reset: {error}");
        self.end(accepted, opened, true).await;
    }

    /// Forgets a pair.
    async fn end(&self, accepted: Flow, opened: Flow, reset: bool) {
        if reset {
            self.abort(accepted).await;
            self.abort(opened).await;
        }
        if let Err(e) = self.folder.remove(accepted) {
            warn!("{e}");
        }
    }

    async fn abort(&self, flow: Flow) {
        match self.client.abort(&flow).await {
            // It has ended already.
            Ok(()) | Err(ClientError::Refused { .. }) => {}
            Err(e) => warn!("{e}"),
        }
    }
}

/// A listener that is in the way of no connection that has ended.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bind(address)?;
    socket.listen(1024)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

/// The connection of a socket, as it is seen on the wire.
fn flow(stream: &TcpStream) -> io::Result<Flow> {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip(), address.port());
    Ok(Flow {
        local: plain(stream.local_addr()?),
        remote: plain(stream.peer_addr()?),
    })
}
