//! The transfer: what makes a peer hold what is configured.
//!
//! *Assumes* that what [`Transfer::next`] returns is sent, in its order; and that an [`AdjRibOut`]
//! is that of the session. *Guarantees* that what is announced no longer is withdrawn at once,
//! before anything else; then what is new or different is told in the order of the sources, at
//! their pace, and End-of-RIB last; and that nothing is told that the peer was told already.
//!
//! Withdrawals of [`Source::Withdraw`](super::config::Source) are for what a peer may have kept
//! from an earlier session: they are told whether or not this session told of the prefix, but not
//! once it has had End-of-RIB, when nothing of an earlier session is left.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::Ipv4Net;

use super::rib::AdjRibOut;
use super::source::{Said, Sources};
use super::update::{Attributes, Packer};

/// Octets of a step, about: what TCP takes at once.
const STEP: usize = 1 << 16;
/// Places that one step looks at: so that skipping a table does not hold up the process.
const LOOKED_AT: usize = 1 << 14;

/// What is true of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// Our address on it: NEXT_HOP.
    pub next_hop: Ipv4Addr,
    /// Whether both sides know AS numbers of four octets.
    pub four_octet_as: bool,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send these UPDATEs, whole ones, and ask again.
    Send(Vec<u8>),
    /// Ask again at this instant; if it has come already, as soon as other work is done.
    Wait(Instant),
    /// Everything is told.
    Done,
}

/// A transfer under way.
#[derive(Debug)]
pub struct Transfer {
    sources: Arc<Sources>,
    local: Local,
    /// What is announced no longer, the last first.
    stale: Vec<Ipv4Net>,
    /// Prefixes that something else has decided about since.
    superseded: BTreeSet<Ipv4Net>,
    /// Prefixes of withdrawals that were stale, and so are withdrawn already.
    withdrawn: BTreeSet<Ipv4Net>,
    source: usize,
    item: usize,
    pace: Option<Pace>,
    attributes: Option<Attributes>,
    done: bool,
}

/// How far a source has come.
#[derive(Debug, Clone, Copy)]
struct Pace {
    began: Instant,
    told: u64,
}

impl Pace {
    /// When the next is due, counted from the beginning, so that delays do not add up.
    fn due(self, rate_per_s: Option<u32>) -> Instant {
        let Some(rate) = rate_per_s.map(u64::from).filter(|&rate| rate > 0) else {
            return self.began;
        };
        let part = Duration::from_nanos(self.told % rate * 1_000_000_000 / rate);
        self.began + Duration::from_secs(self.told / rate) + part
    }
}

impl Transfer {
    /// A transfer that begins with what was told already.
    #[must_use]
    pub fn new(sources: Arc<Sources>, local: Local, told: &AdjRibOut) -> Transfer {
        let kept = |prefix| matches!(sources.say(prefix), Some(Said::Announced { .. }));
        let gone = told.iter().map(|(prefix, _)| prefix).filter(|&p| !kept(p));
        let mut stale: Vec<Ipv4Net> = gone.collect();
        stale.reverse();
        Transfer {
            sources,
            local,
            stale,
            superseded: BTreeSet::new(),
            withdrawn: BTreeSet::new(),
            source: 0,
            item: 0,
            pace: None,
            attributes: None,
            done: false,
        }
    }

    /// Leaves a prefix to whoever has told something else of it since the transfer began.
    pub fn supersede(&mut self, prefix: Ipv4Net) {
        self.superseded.insert(prefix.trunc());
    }

    /// What comes next. What it sends is entered into what was told.
    pub fn next(&mut self, told: &mut AdjRibOut, now: Instant) -> Step {
        let mut packer = Packer::new(self.local.four_octet_as);
        self.withdraw_stale(told, &mut packer);
        let wait = self.tell(told, &mut packer, now);
        match wait {
            _ if !packer.is_empty() => Step::Send(packer.finish()),
            Some(until) => Step::Wait(until),
            None => Step::Done,
        }
    }

    fn withdraw_stale(&mut self, told: &mut AdjRibOut, packer: &mut Packer) {
        while packer.len() < STEP
            && let Some(prefix) = self.stale.pop()
        {
            if self.superseded.contains(&prefix) || !told.withdraw(prefix) {
                continue;
            }
            packer.withdraw(prefix);
            if self.sources.say(prefix) == Some(Said::Withdrawn) {
                self.withdrawn.insert(prefix);
            }
        }
    }

    /// Tells what is due; when to go on, if there is more.
    fn tell(&mut self, told: &mut AdjRibOut, packer: &mut Packer, now: Instant) -> Option<Instant> {
        let sources = Arc::clone(&self.sources);
        for _ in 0..LOOKED_AT {
            if self.done {
                return None;
            }
            if packer.len() >= STEP {
                return Some(now);
            }
            if self.source == sources.count() {
                self.finish(told, packer);
                continue;
            }
            let pace = *self.pace.get_or_insert(Pace {
                began: now,
                told: 0,
            });
            let due = pace.due(sources.rate_per_s(self.source));
            match sources.item(self.source, self.item) {
                Some((prefix, said)) if self.is_new(prefix, said, told) => {
                    if due > now {
                        return Some(due);
                    }
                    self.tell_one(prefix, said, told, packer);
                    self.pace = Some(Pace {
                        told: pace.told + 1,
                        ..pace
                    });
                    self.item += 1;
                }
                // What was told costs no time.
                Some(_) => self.item += 1,
                None if due > now => return Some(due),
                None => {
                    self.source += 1;
                    self.item = 0;
                    self.pace = None;
                }
            }
        }
        Some(now)
    }

    /// Whether the peer has to be told this.
    fn is_new(&self, prefix: Ipv4Net, said: Said<'_>, told: &AdjRibOut) -> bool {
        if self.superseded.contains(&prefix) {
            return false;
        }
        let before = told.get(prefix);
        match said {
            Said::Withdrawn => {
                before.is_none() && !told.end_of_rib_sent() && !self.withdrawn.contains(&prefix)
            }
            Said::Announced { as_path, med } => {
                let same = before.is_some_and(|b| {
                    b.as_path == as_path && b.med == med && b.next_hop == self.local.next_hop
                });
                !same && self.sources.counts(self.source, self.item, prefix)
            }
        }
    }

    fn tell_one(
        &mut self,
        prefix: Ipv4Net,
        said: Said<'_>,
        told: &mut AdjRibOut,
        packer: &mut Packer,
    ) {
        let Said::Announced { as_path, med } = said else {
            packer.withdraw(prefix);
            return;
        };
        let next_hop = self.local.next_hop;
        let attributes = match self.attributes.take() {
            Some(last) if last.as_path == as_path && last.med == med => last,
            _ => Attributes {
                as_path: as_path.to_vec(),
                next_hop,
                med,
            },
        };
        told.announce(prefix, &attributes);
        packer.announce(prefix, &attributes);
        self.attributes = Some(attributes);
    }

    fn finish(&mut self, told: &mut AdjRibOut, packer: &mut Packer) {
        // RFC 4724, section 4.1: once the initial update is complete.
        if !told.end_of_rib_sent() {
            told.end_of_rib();
            packer.end_of_rib();
        }
        self.done = true;
    }
}
