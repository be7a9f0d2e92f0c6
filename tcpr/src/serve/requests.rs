//! What applications ask, carried out.
//!
//! *Assumes* that whoever asks may ask: the transport has seen to that.
//! *Guarantees* that a request is answered once, now or when the peer of the connection has
//! answered; that one which is refused has changed nothing; and that when `recover` is answered
//! the old local socket has ended, its output is fenced, and the peer's input is held.

use std::time::Duration;

use tcpr_core::{Flow, Hard, Pattern, Refusal, Summary};
use tracing::{debug, warn};

use super::audience::Peer;
use super::engine::{Engine, Waiting};
use crate::dataplane::Dataplane;
use crate::protocol::{Ask, DATAGRAM_PAGE, Fault, PAGE, PROTOCOL_VERSION, Reply, Request};

/// What a request came over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// Nothing is lost, and everything stays in order.
    Stream,
    /// Each message is a datagram, and may be lost.
    Datagram,
}

/// How many patterns may be protected at once: each is some rules of the kernel.
const PATTERNS: usize = 4096;

impl<D: Dataplane> Engine<D> {
    /// Does what is asked, and puts the reply into the outbox, if there is one already.
    pub(crate) fn ask(&mut self, now: Duration, peer: Peer, carrier: Carrier, ask: Ask) {
        let Ask { id, request } = ask;
        let is_checkpoint = matches!(request, Request::Checkpoint { .. });
        let reply = if self.audience.is_greeted(peer) || matches!(request, Request::Hello { .. }) {
            self.carry(now, peer, carrier, id, request)
        } else {
            Some(Reply::Faulty(Fault::HelloFirst))
        };
        match &reply {
            Some(Reply::Refused(_) | Reply::Faulty(_)) => self.channel.refused += 1,
            _ => self.channel.requests += 1,
        }
        let Some(reply) = reply else {
            return;
        };
        if is_checkpoint && carrier == Carrier::Stream && reply == Reply::Ok {
            return;
        }
        self.audience.answer(peer, id, reply);
    }

    /// The application has gone away: its connections go on without it.
    pub(crate) fn leave(&mut self, peer: Peer) {
        self.audience.leave(peer);
        self.waiting.retain(|waiting| waiting.peer != peer);
    }

    fn carry(
        &mut self,
        now: Duration,
        peer: Peer,
        carrier: Carrier,
        id: u64,
        request: Request,
    ) -> Option<Reply> {
        let reply = match request {
            Request::Hello { version } => self.hello(peer, version),
            Request::Protect { pattern } => match self.protect(pattern) {
                Ok(()) => Reply::Ok,
                Err(fault) => Reply::Faulty(fault),
            },
            Request::Unprotect { pattern } => self.unprotect(now, pattern),
            Request::List { after, limit } => self.list(now, after, limit, carrier),
            Request::Show { flow } => match self.core.summary(now, &flow) {
                Some(connection) => Reply::Show {
                    connection: Box::new(connection),
                },
                None => Reply::Refused(Refusal::Unknown),
            },
            Request::Register { flow, hard } => self.register(now, peer, flow, hard),
            Request::Checkpoint { flow, offset } => {
                let result = self.core.checkpoint(now, &flow, offset, &mut self.actions);
                self.done(result)
            }
            Request::DoneReading { flow } => {
                let result = self.core.done_reading(now, &flow, &mut self.actions);
                self.done(result)
            }
            Request::DoneWriting { flow, written } => {
                let result = self.core.done_writing(&flow, written);
                self.done(result)
            }
            Request::Recover { hard } => return self.recover(now, peer, id, &hard),
            Request::Done { flow } => {
                let result = self.core.done(&flow);
                self.done(result)
            }
            Request::Abort { flow } => self.abort(now, flow),
            Request::Watch => {
                self.audience.watch(peer);
                Reply::Ok
            }
            Request::Counters => Reply::Counters {
                connections: Box::new(*self.core.counters()),
                channel: self.channel,
                dataplane: self.counters(),
            },
        };
        Some(reply)
    }

    fn hello(&mut self, peer: Peer, version: u32) -> Reply {
        if version != PROTOCOL_VERSION {
            self.channel.other_version += 1;
            return Reply::Faulty(Fault::Version {
                given: version,
                spoken: PROTOCOL_VERSION,
            });
        }
        self.audience.greet(peer);
        Reply::Welcome {
            version: PROTOCOL_VERSION,
            server: concat!("tcpr ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// Puts a pattern's rules in place, so that its connections are seen from their first segment.
    pub(crate) fn protect(&mut self, pattern: Pattern) -> Result<(), Fault> {
        self.inherited.remove(&pattern);
        if self.core.patterns().any(|known| *known == pattern) {
            // It is not the predecessor's any more.
            self.core.protect(pattern);
            return Ok(());
        }
        if self.core.patterns().count() >= PATTERNS {
            return Err(Fault::System {
                detail: format!("{PATTERNS} patterns are protected already"),
            });
        }
        self.core.protect(pattern);
        self.put_rules_in_place().map_err(|e| {
            self.core.unprotect(&pattern);
            Fault::System {
                detail: format!("cannot protect {pattern}: {e}"),
            }
        })
    }

    /// A predecessor's rules were found, with connections that may live. What is not known of them
    /// does not pass, until their applications have told it, or cannot come any more.
    pub(crate) fn inherit(&mut self, patterns: Vec<Pattern>, until: Duration) {
        for pattern in &patterns {
            self.core.protect(*pattern);
        }
        self.core.quarantine(until);
        self.inherited = patterns.into_iter().collect();
        self.inherited_until = until;
    }

    /// What a predecessor protected and nobody has asked for again is not protected any longer,
    /// but for the connections that came back.
    pub(super) fn disinherit(&mut self, now: Duration) {
        for pattern in std::mem::take(&mut self.inherited) {
            if let Reply::Faulty(fault) = self.unprotect(now, pattern) {
                warn!("{fault}");
            }
        }
    }

    fn unprotect(&mut self, now: Duration, pattern: Pattern) -> Reply {
        if !self.core.patterns().any(|known| *known == pattern) {
            return Reply::Ok;
        }
        self.inherited.remove(&pattern);
        self.core.unprotect(&pattern);
        // Connections that are there stay protected, each by rules of its own.
        let flows: Vec<Flow> = self.core.list(now).map(|summary| summary.flow).collect();
        for flow in flows.into_iter().filter(|flow| pattern.covers(flow)) {
            self.need(flow, None);
        }
        self.rules_or_fault()
    }

    fn rules_or_fault(&mut self) -> Reply {
        match self.put_rules_in_place() {
            Ok(()) => Reply::Ok,
            Err(e) => Reply::Faulty(Fault::System {
                detail: format!("cannot change the rules: {e}"),
            }),
        }
    }

    /// Notes the rules that a connection needs beside the patterns: for itself, if no pattern
    /// covers it, and for the local TCP's own port, if that is another. Says whether there are new
    /// ones.
    fn need(&mut self, flow: Flow, inside_port: Option<u16>) -> bool {
        let mut wanted = Vec::new();
        if !self.core.patterns().any(|pattern| pattern.covers(&flow)) {
            wanted.push(Pattern::Flow(flow));
        }
        if let Some(inside) = inside(&flow, inside_port) {
            wanted.push(Pattern::Flow(inside));
        }
        let known = self.extra.get(&flow).map_or(&[][..], Vec::as_slice);
        wanted.retain(|pattern| !known.contains(pattern));
        if wanted.is_empty() {
            return false;
        }
        self.extra.entry(flow).or_default().extend(wanted);
        true
    }

    fn list(&self, now: Duration, after: Option<Flow>, limit: u32, carrier: Carrier) -> Reply {
        let page = match carrier {
            Carrier::Stream => PAGE,
            Carrier::Datagram => DATAGRAM_PAGE,
        };
        let limit = limit.min(page) as usize;
        let mut connections: Vec<Summary> = self
            .core
            .list(now)
            .filter(|summary| after.is_none_or(|after| summary.flow > after))
            .collect();
        connections.sort_unstable_by_key(|summary| summary.flow);
        let more = connections.len() > limit;
        connections.truncate(limit);
        Reply::List { connections, more }
    }

    fn register(
        &mut self,
        now: Duration,
        peer: Peer,
        flow: Flow,
        hard: Option<Box<Hard>>,
    ) -> Reply {
        let result = match hard {
            None => self.core.register(now, &flow),
            Some(hard) => self.core.resume(now, *hard),
        };
        match result {
            Ok(hard) => {
                self.audience.own(hard.flow, peer);
                if self.need(hard.flow, hard.inside_port)
                    && let fault @ Reply::Faulty(_) = self.rules_or_fault()
                {
                    return fault;
                }
                Reply::Registered {
                    hard: Box::new(hard),
                }
            }
            Err(refusal) => Reply::Refused(refusal),
        }
    }

    fn recover(&mut self, now: Duration, peer: Peer, id: u64, hard: &Hard) -> Option<Reply> {
        let before = self.core.summary(now, &hard.flow);
        let result = self.core.recover(now, *hard, &mut self.actions);
        if let Err(refusal) = result {
            self.settle();
            return Some(Reply::Refused(refusal));
        }
        self.audience.own(hard.flow, peer);
        // The core has fenced the old TCP's output, and holds. Rules come before its end, so that
        // nothing it says at its end gets out.
        if self.need(hard.flow, hard.inside_port)
            && let fault @ Reply::Faulty(_) = self.rules_or_fault()
        {
            return Some(fault);
        }
        // The same incarnation again, and its new connection is there: that one must live.
        let spliced = before.is_some_and(|summary| summary.hard.spliced == hard.incarnation);
        self.settle();
        if !spliced {
            self.end_old_stack(hard, before.as_ref());
            self.settle();
        }
        match result {
            Ok(Some(recovery)) => Some(Reply::Recovered {
                hard: Box::new(recovery.hard),
                base: recovery.base,
            }),
            _ => {
                self.waiting
                    .retain(|waiting| (waiting.flow, waiting.peer) != (hard.flow, peer));
                self.waiting.push(Waiting {
                    flow: hard.flow,
                    incarnation: hard.incarnation,
                    peer,
                    id,
                });
                None
            }
        }
    }

    fn abort(&mut self, now: Duration, flow: Flow) -> Reply {
        let before = self.core.summary(now, &flow);
        let result = self.core.abort(now, &flow, &mut self.actions);
        if result.is_ok()
            && let Some(before) = before
        {
            // What is left of it would be in the way of the next one (EADDRNOTAVAIL).
            self.settle();
            self.end_old_stack(&before.hard, Some(&before));
        }
        self.done(result)
    }

    /// Ends the connection in the old local TCP. One that has data to send stays for many minutes
    /// after its process has died, and is in the way of the new one.
    fn end_old_stack(&mut self, hard: &Hard, before: Option<&Summary>) {
        let ports = [
            before.map(|summary| summary.hard.inside_port),
            Some(hard.inside_port),
        ];
        let mut locals: Vec<Flow> = ports
            .into_iter()
            .flatten()
            .map(|port| inside(&hard.flow, port).unwrap_or(hard.flow))
            .collect();
        locals.dedup();
        for flow in locals {
            match self.dataplane.end_local_socket(flow.local, flow.remote) {
                Ok(true) => debug!(%flow, "ended the old local socket"),
                Ok(false) if self.dataplane.is_on_host() => {}
                // It is on another host: an exact reset ends it, if it can be reached at all
                // (RFC 5961, 3.2).
                Ok(false) => self.core.reset_old_stack(&hard.flow, &mut self.actions),
                Err(e) => {
                    warn!(%flow, "cannot end the old local socket, so it is sent a reset: {e}");
                    self.core.reset_old_stack(&hard.flow, &mut self.actions);
                }
            }
        }
    }

    fn done(&mut self, result: Result<(), Refusal>) -> Reply {
        self.settle();
        match result {
            Ok(()) => Reply::Ok,
            Err(refusal) => Reply::Refused(refusal),
        }
    }
}

/// The connection as the local TCP names it, if that is another name.
fn inside(flow: &Flow, port: Option<u16>) -> Option<Flow> {
    let port = port.filter(|port| *port != flow.local.port())?;
    let mut inside = *flow;
    inside.local.set_port(port);
    Some(inside)
}
