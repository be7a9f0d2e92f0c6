//! Every connection that is protected.
//!
//! *Assumes* that `now` is a monotonic time since any start, and that actions are carried out in
//! order.
//! *Guarantees* that connections nobody asked to protect pass untouched, that handshakes cannot
//! crowd out connections (RFC 4987), and that state of an earlier connection between the same
//! addresses is never taken for the present one's.

mod entries;
mod requests;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use core::hash::{Hash, Hasher};
use core::time::Duration;

use crate::action::{Actions, Direction, Ending, Verdict};
use crate::connection::Connection;
use crate::counters::Counters;
use crate::handshake::Handshake;
use crate::packet::{Flags, IcmpError, Packet, Segment};
use crate::summary::{Phase, Summary};
use crate::{Conduct, Flow, Hard, Pattern, Sound};

/// Bounds.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// How long a connection without a local TCP is kept before its peer is reset.
    pub time_to_live: Duration,
    /// How many connections there may be.
    pub connections: usize,
    /// How many handshakes may be under way; the oldest makes room.
    pub half_open: usize,
    /// How long a handshake may take.
    pub half_open_life: Duration,
    /// How long late segments of an ended connection are met (RFC 9293: 2 MSL).
    pub linger: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            time_to_live: Duration::from_secs(120),
            connections: 100_000,
            half_open: 4096,
            half_open_life: Duration::from_secs(60),
            linger: Duration::from_secs(60),
        }
    }
}

/// The answer to `recover`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// Hard state as it stands. `peer_fin` tells whether the peer has closed.
    pub hard: Hard,
    /// The octet offset from which output is sent again.
    pub base: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum State<C> {
    Opening(Handshake),
    Open(Box<Connection<C>>),
    /// Signed segments cannot be changed: the connection passes untouched.
    Signed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Entry<C> {
    state: State<C>,
    deadline: Option<Duration>,
}

/// All of TCPR's state. `C` says whether it conducts itself as it should: see [`Conduct`].
#[derive(Debug, Clone)]
pub struct Tcpr<C = Sound> {
    conduct: C,
    config: Config,
    patterns: BTreeSet<Pattern>,
    /// Those of a predecessor that nobody has asked for since.
    inherited: BTreeSet<Pattern>,
    entries: BTreeMap<Flow, Entry<C>>,
    /// Connections whose local TCP has another port than the peer sees, by that port.
    remapped: BTreeMap<Flow, Flow>,
    deadlines: BTreeSet<(Duration, Flow)>,
    half_open: usize,
    quarantined_until: Duration,
    counters: Counters,
}

impl Tcpr {
    /// No connections, and nothing to protect.
    #[must_use]
    pub fn new(config: Config) -> Tcpr {
        Tcpr::with_conduct(config, Sound)
    }
}

impl<C: Conduct> Tcpr<C> {
    /// The same, with a conduct of its own: for checks that are to notice it.
    #[must_use]
    pub fn with_conduct(config: Config, conduct: C) -> Tcpr<C> {
        Tcpr {
            conduct,
            config,
            patterns: BTreeSet::new(),
            inherited: BTreeSet::new(),
            entries: BTreeMap::new(),
            remapped: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            half_open: 0,
            quarantined_until: Duration::ZERO,
            counters: Counters::default(),
        }
    }

    /// A predecessor may have left connections whose applications will come: until then, segments
    /// of connections that are not known are dropped, in both directions. What is protected by now
    /// is taken for the predecessor's, until it is asked for again.
    pub fn quarantine(&mut self, until: Duration) {
        self.quarantined_until = until;
        self.inherited = self.patterns.clone();
    }

    /// Protects connections that are opened from now on.
    pub fn protect(&mut self, pattern: Pattern) {
        self.inherited.remove(&pattern);
        self.patterns.insert(pattern);
    }

    /// Protects no further connections by this pattern. Those that are protected remain so.
    pub fn unprotect(&mut self, pattern: &Pattern) {
        self.patterns.remove(pattern);
    }

    /// What is protected.
    pub fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.patterns.iter()
    }

    /// What was done.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Every connection that has not ended.
    pub fn list(&self, now: Duration) -> impl Iterator<Item = Summary> {
        self.entries
            .values()
            .filter_map(move |entry| match &entry.state {
                State::Open(connection) if connection.phase() != Phase::Done => {
                    Some(connection.summary(now))
                }
                _ => None,
            })
    }

    /// One connection, ended or not.
    #[must_use]
    pub fn summary(&self, now: Duration, flow: &Flow) -> Option<Summary> {
        Some(self.open(flow)?.summary(now))
    }

    /// Which way a segment goes that was taken while it was forwarded. `None`: it is no protected
    /// connection's.
    #[must_use]
    pub fn direction_of(&self, packet: &Packet<'_>) -> Option<Direction> {
        let (source, destination) = (packet.source(), packet.destination());
        let ours = |flow: Flow| {
            let flow = self.outside(flow);
            self.entries.contains_key(&flow) || self.covered(&flow)
        };
        if ours(Flow {
            local: source,
            remote: destination,
        }) {
            Some(Direction::Outbound)
        } else if ours(Flow {
            local: destination,
            remote: source,
        }) {
            Some(Direction::Inbound)
        } else {
            None
        }
    }

    /// Whether a packet whose end is missing has to be got whole before it is shown to
    /// [`segment`](Tcpr::segment).
    #[must_use]
    pub fn needs_payload(&self, direction: Direction, packet: &Packet<'_>) -> bool {
        let flow = self.flow(direction, packet);
        match self.entries.get(&flow).map(|entry| &entry.state) {
            Some(State::Open(connection)) => match direction {
                Direction::Outbound => connection.outbound_needs_payload(packet),
                Direction::Inbound => connection.inbound_needs_payload(packet),
            },
            Some(State::Opening(_) | State::Signed) | None => {
                packet.flags().contains(Flags::SYN) && self.covered(&flow)
            }
        }
    }

    /// Whether this may be the SYN of a recovery that is not asked for yet, as any SYN may of a
    /// connection that is not known: TCPR may have been lost. The request may be on its way: look
    /// for it first, and show the SYN to [`segment`](Tcpr::segment) then.
    #[must_use]
    pub fn is_early(&self, direction: Direction, packet: &Packet<'_>) -> bool {
        let flags = packet.flags();
        let opens = flags.contains(Flags::SYN) && !flags.contains(Flags::ACK);
        if direction != Direction::Outbound || !opens {
            return false;
        }
        let flow = self.flow(direction, packet);
        match self.entries.get(&flow).map(|entry| &entry.state) {
            Some(State::Open(connection)) => connection.is_early(packet.sequence()),
            Some(State::Opening(_) | State::Signed) => false,
            None => self.covered(&flow),
        }
    }

    /// What is to be done with a segment. It is edited in place.
    pub fn segment(
        &mut self,
        now: Duration,
        direction: Direction,
        packet: &mut Packet<'_>,
        actions: &mut Actions,
    ) -> Verdict {
        let flow = self.flow(direction, packet);
        let flags = packet.flags();
        let opens = flags.contains(Flags::SYN) && !flags.contains(Flags::ACK);
        let reopened = opens
            && match self.entries.get(&flow).map(|entry| &entry.state) {
                Some(State::Open(connection)) => connection.phase() == Phase::Done,
                Some(State::Signed) => true,
                Some(State::Opening(_)) | None => false,
            };
        if reopened {
            // Late state of an earlier connection must not look like a recovery.
            self.remove(&flow, actions);
        }
        if !self.entries.contains_key(&flow)
            && let Some(verdict) = self.admit(now, &flow, direction, opens, actions)
        {
            return verdict;
        }
        match direction {
            Direction::Outbound => self.counters.outbound += 1,
            Direction::Inbound => self.counters.inbound += 1,
        }
        if let Some(verdict) = self.handshake(now, &flow, direction, packet, actions) {
            return verdict;
        }
        let Some(Entry {
            state: State::Open(connection),
            ..
        }) = self.entries.get_mut(&flow)
        else {
            return Verdict::Forward { edited: false };
        };
        let verdict = match direction {
            Direction::Outbound => connection.outbound(now, packet, actions, &mut self.counters),
            Direction::Inbound => connection.inbound(now, packet, actions, &mut self.counters),
        };
        self.renew_deadline(&flow);
        verdict
    }

    /// A held segment, offered again because [`Action::Replay`](crate::Action::Replay) asked for it. `Forward`: it is to
    /// be injected towards the local TCP.
    pub fn replay(&mut self, packet: &mut Packet<'_>) -> Verdict {
        let flow = self.flow(Direction::Inbound, packet);
        match self.open_mut(&flow) {
            Some(connection) => connection.replay(packet),
            None => Verdict::Drop,
        }
    }

    /// Brings a segment towards the peer up to date, right before it is sent. Segments that were
    /// decided about after it may have gone on before, and neither timestamp nor acknowledgment
    /// may go back.
    pub fn renew(&self, segment: &mut Segment) {
        let flow = Flow {
            local: segment.source,
            remote: segment.destination,
        };
        if let Some(connection) = self.open(&flow) {
            connection.renew(segment);
        }
    }

    /// Tells whether anything of a connection is still held.
    pub fn held(&mut self, flow: &Flow, left: bool) {
        if let Some(connection) = self.open_mut(flow) {
            connection.set_held(left);
        }
    }

    /// What is to be done with an ICMP error about a segment of ours. It is edited in place.
    pub fn icmp(&mut self, error: &mut IcmpError<'_>) -> Verdict {
        let flow = Flow {
            local: error.source(),
            remote: error.destination(),
        };
        match self.open_mut(&flow) {
            Some(connection) => connection.icmp(error),
            None => Verdict::Forward { edited: false },
        }
    }

    /// When [`tick`](Tcpr::tick) is to be called next.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|&(due, _)| due)
    }

    /// Does one thing that is due. `true`: call again.
    pub fn tick(&mut self, now: Duration, actions: &mut Actions) -> bool {
        let Some(&(due, flow)) = self.deadlines.first() else {
            return false;
        };
        if due > now {
            return false;
        }
        let over = match self.open_mut(&flow) {
            Some(connection) => {
                let over = connection.tick(now, actions);
                let expired = connection.ending() == Some(Ending::Expired);
                self.counters.expired += u64::from(expired && !over);
                over
            }
            None => true,
        };
        if over {
            self.remove(&flow, actions);
        } else {
            self.renew_deadline(&flow);
        }
        true
    }

    fn covered(&self, flow: &Flow) -> bool {
        Pattern::covering(flow)
            .iter()
            .any(|pattern| self.patterns.contains(pattern))
    }

    /// The connection as its peer sees it.
    fn outside(&self, inside: Flow) -> Flow {
        self.remapped.get(&inside).copied().unwrap_or(inside)
    }

    fn flow(&self, direction: Direction, packet: &Packet<'_>) -> Flow {
        match direction {
            Direction::Outbound => self.outside(Flow {
                local: packet.source(),
                remote: packet.destination(),
            }),
            Direction::Inbound => Flow {
                local: packet.destination(),
                remote: packet.source(),
            },
        }
    }

    fn open(&self, flow: &Flow) -> Option<&Connection<C>> {
        match self.entries.get(flow).map(|entry| &entry.state) {
            Some(State::Open(connection)) => Some(connection),
            _ => None,
        }
    }

    fn open_mut(&mut self, flow: &Flow) -> Option<&mut Connection<C>> {
        match self.entries.get_mut(flow).map(|entry| &mut entry.state) {
            Some(State::Open(connection)) => Some(connection),
            _ => None,
        }
    }
}

/// What was done is not compared: it does not matter for what will be.
impl<C: PartialEq> PartialEq for Tcpr<C> {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
            && self.inherited == other.inherited
            && self.entries == other.entries
            && self.remapped == other.remapped
            && self.quarantined_until == other.quarantined_until
    }
}

impl<C: Eq> Eq for Tcpr<C> {}

impl<C: Hash> Hash for Tcpr<C> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.patterns.hash(hasher);
        self.inherited.hash(hasher);
        self.entries.hash(hasher);
        self.remapped.hash(hasher);
        self.quarantined_until.hash(hasher);
    }
}
