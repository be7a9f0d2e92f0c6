//! One peer: its session, and what makes it hold what is configured.
//!
//! *Assumes* a `LocalSet`, and somebody who hands over what is accepted if the peer connects.
//! *Guarantees* to do what [`Session`] says in its order; never to have more than some 256 KiB
//! queued beyond what TCP takes, what is sent again after a recovery aside; and that what is told
//! on a protected connection can be gone on with by a successor.

mod link;
mod opening;
mod telling;
mod waiting;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Instant;

use ipnet::Ipv4Net;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::checkpoint::{Entry, Header};
use super::config::{Config, PeerConfig};
use super::event::{Event, Happening};
use super::rib::AdjRibOut;
use super::session::{Input, Output, Session, Settings, State};
use super::transfer::Transfer;
use link::{Link, LinkError};
use opening::{OpenError, Resumed};
use telling::Announced;
use waiting::Happened;

pub(super) use link::checkpoint_path;
pub(super) use opening::{Resumable, Tcpr, flow, give_up};
pub use telling::Status;
pub(super) use telling::{Asked, Order};
pub(super) use waiting::Inlets;

/// Where events go.
pub(super) type Tell = Rc<dyn Fn(&Event)>;

type Attempt = Pin<Box<dyn Future<Output = Result<Link, OpenError>>>>;

/// One peer.
pub(super) struct Peer {
    config: PeerConfig,
    settings: Settings,
    header: Header,
    tcpr: Option<Tcpr>,
    tell: Tell,
    inlets: Inlets,
    session: Session,
    attempt: Option<Attempt>,
    link: Option<Link>,
    /// Connections that are ending.
    closing: JoinSet<()>,
    told: AdjRibOut,
    transfer: Option<Transfer>,
    /// When to ask the transfer again.
    resume_at: Option<Instant>,
    transferred: bool,
    /// What was decided at run time: the route, or nothing if it is withdrawn.
    decided: BTreeMap<Ipv4Net, Option<Announced>>,
    /// Why the last attempt failed.
    failure: Option<String>,
    /// What went wrong with the connection.
    trouble: Option<LinkError>,
    /// Offset of output up to which the peer has to acknowledge what it is sent after a recovery:
    /// only then it has not given the session up.
    probation: Option<u64>,
    stopping: bool,
    buffer: Vec<u8>,
}

impl Peer {
    pub(super) fn new(
        config: &Config,
        peer: &PeerConfig,
        tcpr: Option<Tcpr>,
        tell: Tell,
        inlets: Inlets,
    ) -> Peer {
        let settings = Settings::new(config, peer);
        Peer {
            header: header(config, peer),
            session: Session::new(settings.clone()),
            config: peer.clone(),
            settings,
            tcpr,
            tell,
            inlets,
            attempt: None,
            link: None,
            closing: JoinSet::new(),
            told: AdjRibOut::new(),
            transfer: None,
            resume_at: None,
            transferred: false,
            decided: BTreeMap::new(),
            failure: None,
            trouble: None,
            probation: None,
            stopping: false,
            buffer: Vec::new(),
        }
    }

    /// Speaks with the peer until it is told to stop. `recovered` is told (by being dropped) when
    /// the connection of a predecessor is recovered, or given up.
    pub(super) async fn run(
        mut self,
        resumable: Option<Resumable>,
        recovered: oneshot::Sender<()>,
    ) {
        if let (Some(resumable), Some(tcpr)) = (resumable, self.tcpr.clone()) {
            match opening::resume(&tcpr.client, resumable).await {
                Ok(resumed) => self.resume(resumed, recovered).await,
                Err(e) => self.happened(|peer| Happening::LetGo {
                    peer,
                    reason: e.to_string(),
                }),
            }
        } else {
            drop(recovered);
        }
        self.session.handle(Input::Start, Instant::now());
        loop {
            self.act();
            if self.stopping && self.link.is_none() {
                break;
            }
            let happened = self.wait().await;
            self.take(happened);
        }
        while self.closing.join_next().await.is_some() {}
    }

    /// Carries on with a connection of a predecessor.
    async fn resume(&mut self, resumed: Resumed, recovered: oneshot::Sender<()>) {
        let Resumed {
            link,
            negotiated,
            received,
            resent,
            sent,
        } = resumed;
        self.link = Some(link);
        self.session = Session::resume(self.settings.clone(), negotiated, received, Instant::now());
        self.act();
        self.probation = self.link.as_ref().map(Link::sent);
        self.happened(|peer| Happening::Recovered {
            peer,
            resent_octets: resent,
        });
        drop(recovered);
        // It takes a while for a large table, and the other sessions go on meanwhile.
        match tokio::task::spawn_blocking(move || sent.told()).await {
            Ok(Ok(told)) => {
                self.told = told;
                self.begin_transfer();
            }
            Ok(Err(e)) => self.lost(e.into()),
            Err(e) => self.lost(std::io::Error::other(e).into()),
        }
    }

    fn take(&mut self, happened: Happened) {
        let now = Instant::now();
        match happened {
            Happened::Stop => {
                self.stopping = true;
                self.session.handle(Input::Stop, now);
            }
            Happened::Asked((order, answer)) => {
                let said = self.order(order);
                // Who has gone needs no answer.
                let _ = answer.send(said);
            }
            Happened::Attempted(attempted) => {
                self.attempt = None;
                match attempted {
                    Ok(link) => {
                        self.link = Some(link);
                        self.failure = None;
                        self.session.handle(Input::ConnectionUp, now);
                    }
                    Err(e) => {
                        self.failed(e.to_string());
                        self.session.handle(Input::ConnectionFailed, now);
                    }
                }
            }
            Happened::Accepted(stream) => self.accepted(stream),
            Happened::Ready => self.carry(now),
            // act() goes on.
            Happened::Loaded => self.begin_transfer(),
            Happened::Time => self.session.handle(Input::Timer, now),
        }
    }

    /// A connection that the peer has opened: it is wanted in Active alone.
    fn accepted(&mut self, stream: TcpStream) {
        let wanted = self.session.state() == State::Active
            && self.link.is_none()
            && self.attempt.is_none()
            && !self.stopping;
        if wanted {
            let attempt = opening::accepted(stream, self.header, self.tcpr.clone());
            self.attempt = Some(Box::pin(attempt));
        } else if let Some(tcpr) = &self.tcpr
            && let Ok(flow) = flow(&stream)
        {
            let client = tcpr.client.clone();
            self.closing
                .spawn_local(async move { give_up(&client, flow).await });
        }
    }

    /// Writes and reads.
    fn carry(&mut self, now: Instant) {
        let Some(link) = &mut self.link else {
            return;
        };
        let read = link.write().and_then(|()| link.read(&mut self.buffer));
        match read {
            Ok(None) => {}
            Ok(Some(0)) => self.session.handle(Input::ConnectionClosed, now),
            Ok(Some(octets)) => {
                let octets = Input::Octets(&self.buffer[..octets]);
                self.session.handle(octets, now);
                self.act();
                // Only now: what the messages have made is kept first.
                if let Some(link) = &mut self.link {
                    let kept = link.taken(self.session.received());
                    if let Err(e) = kept.and_then(|()| link.compact(&self.told)) {
                        self.lost(e);
                    }
                }
            }
            Err(e) => self.lost(e),
        }
    }

    /// Does what the session says, and lets the transfer go on.
    fn act(&mut self) {
        loop {
            while let Some(output) = self.session.poll() {
                if let Err(e) = self.output(output) {
                    self.lost(e);
                }
            }
            match self.pull() {
                Ok(()) => break,
                Err(e) => self.lost(e),
            }
        }
    }

    fn output(&mut self, output: Output) -> Result<(), LinkError> {
        match output {
            Output::Connect => {
                let (config, tcpr) = (self.config.clone(), self.tcpr.clone());
                self.attempt = Some(Box::pin(opening::connect(config, self.header, tcpr)));
            }
            Output::Disconnect => self.disconnect(),
            Output::Send(messages) => {
                if let Some(link) = &mut self.link {
                    link.send(&messages)?;
                }
            }
            Output::OpenReceived(negotiated) => {
                if let Some(link) = &mut self.link {
                    link.keep(Entry::Negotiated(&negotiated))?;
                }
            }
            Output::Established => {
                if let Some(link) = &mut self.link {
                    link.keep(Entry::Established)?;
                }
                self.happened(|peer| Happening::Established { peer });
                self.begin_transfer();
            }
            Output::Ended(reason) => {
                let reason = match self.trouble.take() {
                    Some(trouble) => format!("{reason}: {trouble}"),
                    None => reason.to_string(),
                };
                let in_vain = self.probation.take().is_some() && !self.stopping;
                self.happened(|peer| match in_vain {
                    true => Happening::LetGo { peer, reason },
                    false => Happening::Down { peer, reason },
                });
            }
            // It is no router: what the peer announces is forgotten.
            Output::Update(_) => {}
        }
        Ok(())
    }

    fn disconnect(&mut self) {
        self.attempt = None;
        if let Some(link) = self.link.take() {
            self.probation = self.probation.filter(|&o| link.acknowledged() < o);
            self.closing.spawn_local(link.close());
        }
        // Those that are done are done with.
        while self.closing.try_join_next().is_some() {}
        self.told = AdjRibOut::new();
        self.transfer = None;
        self.resume_at = None;
        self.transferred = false;
    }

    /// There is no connection, and why is told if it was not told before.
    fn failed(&mut self, reason: String) {
        if self.failure.as_ref() != Some(&reason) {
            self.failure = Some(reason.clone());
            self.happened(|peer| Happening::ConnectFailed { peer, reason });
        }
    }

    /// The connection is of no use any more.
    fn lost(&mut self, error: LinkError) {
        tracing::info!(peer = %self.config.address, "{error}");
        self.trouble = Some(error);
        self.session.handle(Input::ConnectionClosed, Instant::now());
    }

    fn happened(&self, happening: impl FnOnce(Ipv4Addr) -> Happening) {
        (self.tell)(&Event::now(happening(self.config.address)));
    }
}

/// Whose checkpoint it is.
pub(super) fn header(config: &Config, peer: &PeerConfig) -> Header {
    Header {
        peer: peer.address,
        peer_asn: peer.asn,
        asn: config.asn,
        router_id: config.router_id,
    }
}
