//! The engine: carries the core's verdicts and actions out on a dataplane.
//!
//! *Assumes* that it alone has the dataplane and the core, that `now` never goes back, and that
//! [`Engine::turn`] is called whenever packets wait, after requests were looked for, and
//! [`Engine::tick`] when [`Engine::deadline`] is over.
//! *Guarantees* that actions are carried out in the core's order, after the verdicts of the batch
//! that they came of; that nothing is allocated for a packet that neither is held nor waits; and
//! that what cannot be understood, held or injected is dropped and counted, for peers send again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tcpr_core::packet::{Flags, IcmpError, Packet, Segment};
use tcpr_core::{Action, Actions, Config, Direction, Flow, Pattern, Refusal, Tcpr, Verdict};
use tracing::{debug, warn};

use super::audience::{Audience, Peer};
use super::hold::Holds;
use crate::dataplane::{Arrival, Dataplane, Decision, Hook};
use crate::protocol::{ChannelCounters, DataplaneCounters, Notice, Reply};

/// SYNs that may wait for a request at a time.
const EARLY: usize = 1024;

/// One that is not offered again within this time was lost.
const EARLY_FOR: Duration = Duration::from_secs(1);

/// Core, dataplane and what is between them.
#[derive(Debug)]
pub(crate) struct Engine<D> {
    pub(super) core: Tcpr,
    pub(super) dataplane: D,
    pub(super) audience: Audience,
    holds: Holds,
    /// Actions to be carried out.
    queue: VecDeque<Action>,
    /// Actions of one call. Empty between calls.
    pub(super) actions: Actions,
    /// SYNs that may have come before the request to recover, and are offered again once requests
    /// were looked for: their connections, and since when.
    early: BTreeMap<Flow, Duration>,
    /// Recoveries that wait for the peer.
    pub(super) waiting: Vec<Waiting>,
    /// Rules that a connection needs beside the patterns.
    pub(super) extra: BTreeMap<Flow, Vec<Pattern>>,
    pub(super) channel: ChannelCounters,
    counters: DataplaneCounters,
    /// What a predecessor protected and nobody has asked for since, and when that ends.
    pub(super) inherited: BTreeSet<Pattern>,
    pub(super) inherited_until: Duration,
    lost: u64,
    lost_asked: Duration,
}

/// What the kernel could not queue is asked for no more often: it costs system calls.
const LOST_PACE: Duration = Duration::from_secs(1);

/// A request to recover that is answered later.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) flow: Flow,
    pub(super) incarnation: u64,
    pub(super) peer: Peer,
    pub(super) id: u64,
}

impl<D: Dataplane> Engine<D> {
    pub(crate) fn new(core: Config, hold_limit: usize, dataplane: D) -> Engine<D> {
        Engine {
            core: Tcpr::new(core),
            dataplane,
            audience: Audience::default(),
            holds: Holds::new(hold_limit),
            queue: VecDeque::new(),
            actions: Actions::new(),
            early: BTreeMap::new(),
            waiting: Vec::new(),
            extra: BTreeMap::new(),
            channel: ChannelCounters::default(),
            counters: DataplaneCounters::default(),
            inherited: BTreeSet::new(),
            inherited_until: Duration::ZERO,
            lost: 0,
            lost_asked: Duration::ZERO,
        }
    }

    /// Takes the packets that wait, gives their verdicts, and does what follows of them.
    pub(crate) fn turn(&mut self, now: Duration) -> Result<usize, D::Error> {
        let Engine {
            core,
            dataplane,
            holds,
            queue,
            actions,
            counters,
            early,
            ..
        } = self;
        let taken = dataplane.receive(&mut |arrival| {
            let decision = decide(core, holds, actions, counters, early, now, arrival);
            queue.extend(actions.drain(..));
            decision
        })?;
        self.carry_out();
        Ok(taken)
    }

    /// When [`Engine::tick`] is to be called.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let inherited = (!self.inherited.is_empty()).then_some(self.inherited_until);
        [self.core.deadline(), self.audience.deadline(), inherited]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what time has brought.
    pub(crate) fn tick(&mut self, now: Duration) {
        if self.core.deadline().is_some_and(|due| due <= now) {
            loop {
                let more = self.core.tick(now, &mut self.actions);
                self.settle();
                if !more {
                    break;
                }
            }
        }
        if !self.inherited.is_empty() && now >= self.inherited_until {
            self.disinherit(now);
        }
        self.audience.tick(now);
        if now < self.lost_asked + LOST_PACE {
            return;
        }
        self.lost_asked = now;
        let lost = self.dataplane.lost();
        if lost > self.lost {
            warn!(
                packets = lost - self.lost,
                "the kernel could not queue packets: TCPR is too slow, or its socket buffer too \
                 small; their senders repeat them"
            );
            self.lost = lost;
        }
    }

    /// Carries out the actions of a call to the core.
    pub(super) fn settle(&mut self) {
        self.queue.extend(self.actions.drain(..));
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while let Some(action) = self.queue.pop_front() {
            match action {
                Action::Inject {
                    direction,
                    mut segment,
                } => {
                    if direction == Direction::Outbound {
                        self.core.renew(&mut segment);
                    }
                    self.inject(&segment);
                }
                Action::Replay {
                    flow,
                    until,
                    hard,
                    mss,
                } => {
                    let Engine {
                        core,
                        dataplane,
                        holds,
                        counters,
                        ..
                    } = self;
                    let offer = |piece: &mut Packet<'_>| {
                        let verdict = core.replay(piece);
                        if let Verdict::Forward { .. } = verdict {
                            inject(dataplane, counters, piece.bytes());
                        }
                        verdict
                    };
                    let left = holds.replay(&hard, until, mss, offer);
                    core.held(&flow, left);
                }
                Action::Forget { flow } => self.holds.forget(&flow),
                Action::Established { flow } => {
                    self.audience.notice(Notice::Established { flow });
                }
                Action::Failed { flow } => self.audience.notice(Notice::Failed { flow }),
                Action::Spliced { hard } => self.audience.notice(Notice::Spliced { hard }),
                Action::Recovered { hard, base } => {
                    for waiting in self.take_waiting(&hard.flow) {
                        let reply = if waiting.incarnation == hard.incarnation {
                            Reply::Recovered {
                                hard: Box::new(hard),
                                base,
                            }
                        } else {
                            Reply::Refused(Refusal::OlderIncarnation {
                                given: waiting.incarnation,
                                current: hard.incarnation,
                            })
                        };
                        self.audience.answer(waiting.peer, waiting.id, reply);
                    }
                }
                Action::Refused { flow, refusal } => {
                    let waiting = self.take_waiting(&flow);
                    if waiting.is_empty() {
                        warn!(%flow, "cannot put a new connection in place: {refusal}");
                    }
                    for waiting in waiting {
                        let reply = Reply::Refused(refusal);
                        self.audience.answer(waiting.peer, waiting.id, reply);
                    }
                }
                Action::Acked { flow, offset } => self.audience.acked(flow, offset),
                Action::Closed { flow, ending } => {
                    self.audience.notice(Notice::Closed { flow, ending });
                }
                Action::Removed { flow } => {
                    self.removed(flow);
                    self.audience.notice(Notice::Removed { flow });
                }
            }
        }
    }

    fn removed(&mut self, flow: Flow) {
        self.holds.forget(&flow);
        for waiting in self.take_waiting(&flow) {
            let reply = Reply::Refused(Refusal::Unknown);
            self.audience.answer(waiting.peer, waiting.id, reply);
        }
        if self.extra.remove(&flow).is_some()
            && let Err(e) = self.put_rules_in_place()
        {
            warn!(%flow, "cannot take the rules of a connection that has gone away: {e}");
        }
    }

    fn take_waiting(&mut self, flow: &Flow) -> Vec<Waiting> {
        self.waiting
            .extract_if(.., |waiting| waiting.flow == *flow)
            .collect()
    }

    /// The rules for every pattern, and for what single connections need beside them.
    pub(super) fn put_rules_in_place(&mut self) -> Result<(), D::Error> {
        let mut patterns: Vec<Pattern> = self.core.patterns().copied().collect();
        patterns.extend(self.extra.values().flatten());
        patterns.sort_unstable();
        patterns.dedup();
        self.dataplane.protect(&patterns)
    }

    pub(super) fn inject(&mut self, segment: &Segment) {
        let mut octets = [0; Segment::MAX_LEN];
        let len = segment.emit(&mut octets);
        inject(&mut self.dataplane, &mut self.counters, &octets[..len]);
    }

    /// What was counted of packets.
    pub(crate) fn counters(&self) -> DataplaneCounters {
        DataplaneCounters {
            lost: self.dataplane.lost(),
            hold_refused: self.holds.refused(),
            hold_octets: self.holds.octets() as u64,
            ..self.counters
        }
    }
}

fn inject<D: Dataplane>(dataplane: &mut D, counters: &mut DataplaneCounters, octets: &[u8]) {
    match dataplane.inject(octets) {
        Ok(()) => counters.injected += 1,
        Err(e) => {
            counters.inject_failed += 1;
            debug!("cannot inject a segment: {e}");
        }
    }
}

/// Whether a SYN from here is to wait until requests were looked for: once, and unless too many do.
fn waits(
    core: &Tcpr,
    early: &mut BTreeMap<Flow, Duration>,
    now: Duration,
    syn: &Packet<'_>,
) -> bool {
    let flow = Flow {
        local: syn.source(),
        remote: syn.destination(),
    };
    let has_waited = early.remove(&flow).is_some();
    if has_waited || !core.is_early(Direction::Outbound, syn) {
        return false;
    }
    if early.len() >= EARLY {
        early.retain(|_, since| *since + EARLY_FOR > now);
    }
    let room = early.len() < EARLY;
    if room {
        early.insert(flow, now);
    }
    room
}

/// The verdict on one packet. What is to be done beside it is in `actions` afterwards.
fn decide(
    core: &mut Tcpr,
    holds: &mut Holds,
    actions: &mut Actions,
    counters: &mut DataplaneCounters,
    early: &mut BTreeMap<Flow, Duration>,
    now: Duration,
    arrival: &mut Arrival<'_>,
) -> Decision {
    counters.packets += 1;
    let verdict = if arrival.icmp {
        match IcmpError::parse(arrival.packet) {
            Ok(mut error) => core.icmp(&mut error),
            // Rules cannot tell errors about protected connections from others: not ours.
            Err(_) => return Decision::Accept,
        }
    } else {
        // The rules let nothing here but segments of protected connections: one that cannot be
        // read must not reach a TCP that may read it differently.
        let Ok(mut packet) = Packet::parse(arrival.packet) else {
            counters.malformed += 1;
            counters.dropped += 1;
            return Decision::Drop;
        };
        let direction = match arrival.hook {
            Hook::Input => Direction::Inbound,
            Hook::Output => Direction::Outbound,
            Hook::Forward => match core.direction_of(&packet) {
                Some(direction) => direction,
                None => return Decision::Accept,
            },
        };
        if !arrival.whole && core.needs_payload(direction, &packet) {
            counters.whole += 1;
            return Decision::WantWhole;
        }
        if direction == Direction::Outbound
            && packet.flags().contains(Flags::SYN)
            && waits(core, early, now, &packet)
        {
            return Decision::WantLater;
        }
        let verdict = core.segment(now, direction, &mut packet, actions);
        if verdict == Verdict::Hold {
            let flow = Flow {
                local: packet.destination(),
                remote: packet.source(),
            };
            // When it is given back its checksum is made anew: a wrong one must not become right.
            if !arrival.checksum_is_partial && !packet.checksum_is_right() {
                counters.malformed += 1;
            } else if holds.hold(flow, &packet) {
                counters.held += 1;
            }
        }
        verdict
    };
    match verdict {
        Verdict::Forward { edited: false } => Decision::Accept,
        Verdict::Forward { edited: true } => {
            counters.edited += 1;
            Decision::AcceptEdited
        }
        Verdict::Drop => {
            counters.dropped += 1;
            Decision::Drop
        }
        Verdict::Hold => Decision::Drop,
    }
}
