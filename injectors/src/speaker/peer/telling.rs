//! What the peer is told: the transfer of what is configured, and what is decided at run time.
//!
//! *Assumes* that the session is Established when there is a transfer, and that who asks for more
//! acts upon a lost connection. *Guarantees* that Adj-RIB-Out is what was queued for the peer; that
//! a route that was decided at run time is not overruled by the sources; and that no more than
//! [`QUEUE`] waits for TCP before the transfer is asked again.

use std::net::Ipv4Addr;
use std::time::Instant;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::Peer;
use super::link::{Link, LinkError};
use crate::Route;
use crate::speaker::control::Answer;
use crate::speaker::event::Happening;
use crate::speaker::rib::AdjRibOut;
use crate::speaker::session::State;
use crate::speaker::source;
use crate::speaker::transfer::{Local, Step, Transfer};
use crate::speaker::update::{Attributes, Packer};

/// Octets that are queued before more is asked of the transfer, which gives some 64 KiB at a time.
const QUEUE: usize = 128 << 10;

/// How a session is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Address of the peer.
    pub peer: Ipv4Addr,
    /// Its AS number.
    pub asn: u32,
    /// State of the session (RFC 4271, section 8.2.2).
    pub state: String,
    /// Routes that the peer was told.
    pub routes: usize,
    /// Whether everything that is configured was announced, and End-of-RIB sent.
    pub transferred: bool,
    /// Whether the session survives this process.
    pub protected: bool,
}

/// What a peer's task is asked.
#[derive(Debug)]
pub(in crate::speaker) enum Order {
    Announce(Route),
    Withdraw(Ipv4Net),
    Show,
}

/// An order, and where the answer goes.
pub(in crate::speaker) type Asked = (Order, oneshot::Sender<Answer>);

/// AS path as it is sent, and MULTI_EXIT_DISC.
pub(super) type Announced = (Vec<u32>, Option<u32>);

impl Peer {
    /// Begins with what was told already, once the sources are there.
    pub(super) fn begin_transfer(&mut self) {
        let sources = self.inlets.sources.borrow().clone();
        let (Some(sources), Some(local)) = (sources, self.local()) else {
            return;
        };
        let mut transfer = Transfer::new(sources, local, &self.told);
        let mut packer = Packer::new(local.four_octet_as);
        for (&prefix, route) in &self.decided {
            transfer.supersede(prefix);
            decide(prefix, route.as_ref(), local, &mut self.told, &mut packer);
        }
        self.transfer = Some(transfer);
        self.resume_at = None;
        self.transferred = false;
        self.send_packed(packer);
    }

    /// What is true of the session, if it is Established.
    fn local(&self) -> Option<Local> {
        let established = self.session.state() == State::Established;
        let (Some(link), Some(negotiated), true) =
            (&self.link, self.session.negotiated(), established)
        else {
            return None;
        };
        Some(Local {
            next_hop: link.local(),
            four_octet_as: negotiated.four_octet_as,
        })
    }

    /// Takes from the transfer what is due, as long as TCP takes it.
    pub(super) fn pull(&mut self) -> Result<(), LinkError> {
        let (Some(transfer), Some(link)) = (&mut self.transfer, &mut self.link) else {
            return Ok(());
        };
        self.resume_at = None;
        while !self.transferred && link.queued() < QUEUE {
            let now = Instant::now();
            match transfer.next(&mut self.told, now) {
                Step::Send(messages) => {
                    link.send(&messages)?;
                    self.session.update_sent(now);
                    link.compact(&self.told)?;
                }
                Step::Wait(until) => {
                    self.resume_at = Some(until);
                    break;
                }
                Step::Done if link.queued() == 0 => {
                    self.transferred = true;
                    self.happened(|peer| Happening::Transferred { peer });
                    break;
                }
                Step::Done => break,
            }
        }
        Ok(())
    }

    pub(super) fn order(&mut self, order: Order) -> Answer {
        match order {
            Order::Announce(route) => match source::as_path(&route, self.settings.asn) {
                Ok(path) => self.decide(route.prefix.trunc(), Some((path, route.med))),
                Err(e) => Answer::refused(e),
            },
            Order::Withdraw(prefix) => self.decide(prefix.trunc(), None),
            Order::Show => Answer::done(vec![self.status()]),
        }
    }

    fn decide(&mut self, prefix: Ipv4Net, route: Option<Announced>) -> Answer {
        let local = self.local();
        if let (Some(transfer), Some(local)) = (&mut self.transfer, local) {
            transfer.supersede(prefix);
            let mut packer = Packer::new(local.four_octet_as);
            decide(prefix, route.as_ref(), local, &mut self.told, &mut packer);
            self.send_packed(packer);
        }
        // A session that is not up will be told when it comes up.
        self.decided.insert(prefix, route);
        Answer::done(Vec::new())
    }

    fn send_packed(&mut self, packer: Packer) {
        let messages = packer.finish();
        if messages.is_empty() {
            return;
        }
        let Some(link) = &mut self.link else {
            return;
        };
        match link.send(&messages) {
            Ok(()) => self.session.update_sent(Instant::now()),
            Err(e) => self.lost(e),
        }
    }

    fn status(&self) -> Status {
        Status {
            peer: self.config.address,
            asn: self.config.asn,
            state: format!("{:?}", self.session.state()),
            routes: self.told.len(),
            transferred: self.transferred,
            protected: self.link.as_ref().is_some_and(Link::is_protected),
        }
    }
}

/// Packs what makes the peer hold what was decided at run time.
fn decide(
    prefix: Ipv4Net,
    route: Option<&Announced>,
    local: Local,
    told: &mut AdjRibOut,
    packer: &mut Packer,
) {
    let Some((as_path, med)) = route else {
        // Before End-of-RIB the peer may hold it from an earlier session (RFC 4724, section 4.2).
        if told.withdraw(prefix) || !told.end_of_rib_sent() {
            packer.withdraw(prefix);
        }
        return;
    };
    let attributes = Attributes {
        as_path: as_path.clone(),
        next_hop: local.next_hop,
        med: *med,
    };
    if told.get(prefix) != Some(&attributes) {
        told.announce(prefix, &attributes);
        packer.announce(prefix, &attributes);
    }
}
