//! What a step does.
//!
//! *Assumes* that the step is one of those offered in the state.
//! *Guarantees* that the core is driven as the engine of `tcpr` drives it: the verdict first, then the
//! actions in their order. Between the core and the local TCP nothing waits.

use tcpr_core::packet::Flags;
use tcpr_core::{Action, Actions, Direction, Ending, Phase, Refusal, Summary, Tcpr, Verdict};

use super::application::Progress;
use super::config::{Config, Death};
use super::local::{Heard, Local, Speech, Stage};
use super::segment::{FLOW, OURS, Octets, PEERS, Seg, inside, octet};
use super::state::{Shared, State, successor};
use super::step::{Fate, Step};
use super::violation::Wrong;
use super::wire::Facts;
use crate::Mutant;

/// A step under way.
pub(super) struct Turn<'a> {
    pub(super) config: &'a Config,
    conduct: Mutant,
    pub(super) state: State,
    /// The core, once something is asked of it.
    core: Option<Tcpr<Mutant>>,
    /// What the core gives to the local TCP is lost.
    slipping: bool,
    /// The local TCP has to answer.
    answers: bool,
    /// Segments sent to the peer.
    pub(super) told: usize,
    /// What happened, if somebody wants to read it.
    notes: Option<Vec<String>>,
}

/// The state after a step.
pub(super) fn after(config: &Config, conduct: Mutant, state: &State, step: Step) -> State {
    let mut turn = Turn::new(config, conduct, state.clone());
    turn.take(step);
    turn.answer();
    turn.end().0
}

/// The state after a step, and what happened.
pub(super) fn told(
    config: &Config,
    conduct: Mutant,
    state: &State,
    step: Step,
) -> (State, Vec<String>) {
    let mut turn = Turn::new(config, conduct, state.clone());
    turn.notes = Some(Vec::new());
    turn.take(step);
    turn.answer();
    turn.end()
}

/// Whether a segment takes sequence numbers that were seen before: it is sent again, and waits for an
/// answer.
pub(super) fn is_again(segment: &Seg, before: &Summary) -> bool {
    let end = PEERS.position(0, segment.seq) + segment.len();
    segment.len() > 0 && end <= before.received as i64
}

impl<'a> Turn<'a> {
    fn new(config: &'a Config, conduct: Mutant, state: State) -> Turn<'a> {
        Turn {
            config,
            conduct,
            state,
            core: None,
            slipping: false,
            answers: false,
            told: 0,
            notes: None,
        }
    }

    fn end(mut self) -> (State, Vec<String>) {
        if let Some(core) = self.core {
            self.state.core = Shared::new(core);
        }
        (self.state, self.notes.unwrap_or_default())
    }

    pub(super) fn core(&mut self) -> &mut Tcpr<Mutant> {
        self.core
            .get_or_insert_with(|| Tcpr::clone(&self.state.core))
    }

    fn note(&mut self, note: impl FnOnce() -> String) {
        if let Some(notes) = &mut self.notes {
            notes.push(note());
        }
    }

    /// The first thing that is wrong counts.
    pub(super) fn object(&mut self, wrong: Wrong) {
        self.state.wrong = self.state.wrong.or(Some(wrong));
    }

    pub(super) fn check(&mut self, result: Result<(), Wrong>) {
        if let Err(wrong) = result {
            self.object(wrong);
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Register => self.register(),
            Step::Read => self.read(),
            Step::Checkpoint => self.checkpoint(),
            Step::Close => self.close(),
            Step::Finish => self.finish(),
            Step::Recover => self.recover(),
            Step::Connect => self.connect(),
            Step::Resume => self.resume(),
            Step::Die(way) => self.die(way),
            Step::LoseMiddleware => self.lose_middleware(),
            Step::Say(speech) => self.say(speech),
            Step::SayInVain(speech) => {
                self.state.slips -= 1;
                if let Some(local) = &mut self.state.local {
                    let _ = local.say(speech, |at| octet(false, at));
                }
            }
            Step::ZombieSays(speech) => {
                if let Some(zombie) = &mut self.state.zombie {
                    let segment = zombie.clone().say(speech, |at| octet(false, at));
                    let life = zombie.life;
                    self.outbound(segment, life);
                }
            }
            Step::BuryZombie => self.state.zombie = None,
            Step::Tick => self.tick(),
            Step::ToPeer(at, fate) => self.reach_peer(at, fate),
            Step::FromPeer(at, fate) => self.arrive(at, fate),
            Step::PeerSendsNext => {
                let segment = self.state.peer.send_next(self.config);
                self.from_peer(segment);
            }
            Step::PeerSendsAgain => {
                if let Some(segment) = self.state.peer.again(self.config) {
                    self.from_peer(segment);
                }
            }
        }
    }

    /// The local TCP says what must not wait.
    fn answer(&mut self) {
        self.slipping = false;
        // An answer gives no reason for another one.
        if std::mem::take(&mut self.answers) && self.state.local.is_some() {
            self.say(Speech::Acknowledgment);
        }
    }

    fn die(&mut self, way: Death) {
        self.state.deaths -= 1;
        let mut old = self.state.local.take();
        self.state.application.fall();
        let Some(local) = &mut old else {
            return;
        };
        let last = match way {
            Death::Silent => return,
            Death::Zombie => {
                self.state.zombie = old;
                return;
            }
            Death::Closing => Speech::EarlyFin,
            Death::Aborting => Speech::Reset,
        };
        let segment = local.say(last, |at| octet(false, at));
        let life = local.life;
        self.outbound(segment, life);
    }

    fn lose_middleware(&mut self) {
        self.state.losses -= 1;
        self.core = Some(successor(self.config, self.conduct, self.state.now));
        self.state.held.clear();
        self.state.wire.loosen();
        self.state.application.is_known = false;
        if self.state.application.progress == Progress::Asking {
            self.state.application.fall();
        }
    }

    fn tick(&mut self) {
        self.state.ticks -= 1;
        let Some(due) = self.core().deadline() else {
            return;
        };
        self.state.now = due;
        let mut actions = Actions::new();
        while self.core().tick(due, &mut actions) {}
        self.carry_out(actions);
    }

    pub(super) fn say(&mut self, speech: Speech) {
        let Some(local) = &mut self.state.local else {
            return;
        };
        let segment = local.say(speech, |at| octet(false, at));
        if segment.has(Flags::ACK) {
            let offers = local.offers();
            self.state.wire.offer(offers);
        }
        let life = local.life;
        self.outbound(segment, life);
    }

    /// A segment of a local TCP comes to the core.
    fn outbound(&mut self, segment: Seg, life: u8) {
        self.note(|| format!("core is shown {}", segment.describe(inside(life), PEERS)));
        self.offer(Direction::Outbound, segment);
    }

    fn reach_peer(&mut self, at: usize, fate: Fate) {
        let segment = self.state.to_peer.all()[at];
        self.note(|| segment.describe(OURS, PEERS));
        if fate != Fate::Doubled {
            self.state.to_peer.remove(at);
        }
        if fate == Fate::Lost {
            return;
        }
        if let Some(answer) = self.state.peer.hear(self.config, &segment) {
            self.from_peer(answer);
        }
    }

    fn from_peer(&mut self, segment: Seg) {
        let room = self.config.from_peer;
        let there = self.state.from_peer.insert(segment, room);
        self.note(|| {
            let lost = if there { "" } else { ", which is lost" };
            format!("peer sends {}{lost}", segment.describe(PEERS, OURS))
        });
    }

    fn arrive(&mut self, at: usize, fate: Fate) {
        let segment = self.state.from_peer.all()[at];
        if fate != Fate::Doubled {
            self.state.from_peer.remove(at);
        }
        self.note(|| segment.describe(PEERS, OURS));
        if fate == Fate::Lost {
            return;
        }
        if fate == Fate::Slipped {
            self.state.slips -= 1;
            self.slipping = true;
        }
        let now = self.state.now;
        let before = self.core().summary(now, &FLOW);
        let told = self.told;
        self.offer(Direction::Inbound, segment);
        let Some(before) = before else {
            return;
        };
        let gone = matches!(before.phase, Phase::Failed | Phase::Recovering);
        if !is_again(&segment, &before) {
            return;
        }
        if gone && self.told == told {
            self.object(Wrong::NoReply);
        }
        self.state.unheeded |= self.state.local.is_none();
    }

    /// Shows a segment to the core, and does what it says.
    fn offer(&mut self, direction: Direction, segment: Seg) {
        let mut octets = segment.octets(direction);
        let mut actions = Actions::new();
        let now = self.state.now;
        let Ok(mut packet) = octets.packet() else {
            return;
        };
        let verdict = self
            .core()
            .segment(now, direction, &mut packet, &mut actions);
        let seen = Seg::read(&packet);
        match (verdict, seen) {
            (_, Err(wrong)) => self.object(wrong),
            (Verdict::Forward { .. }, Ok(seen)) => match direction {
                Direction::Outbound => self.to_peer(seen),
                Direction::Inbound => self.to_local(seen),
            },
            (Verdict::Drop, Ok(_)) => self.note(|| "core drops it".to_owned()),
            (Verdict::Hold, Ok(seen)) => {
                self.note(|| "core holds it".to_owned());
                self.state.held.insert(seen, usize::MAX);
            }
        }
        self.carry_out(actions);
    }

    pub(super) fn carry_out(&mut self, actions: Actions) {
        for action in actions {
            match action {
                Action::Inject {
                    direction,
                    mut segment,
                } => {
                    if direction == Direction::Outbound {
                        self.core().renew(&mut segment);
                    }
                    let read = match Octets::of(&segment).packet() {
                        Ok(packet) => Seg::read(&packet),
                        Err(_) => Err(Wrong::Invented),
                    };
                    match (read, direction) {
                        (Err(wrong), _) => self.object(wrong),
                        (Ok(seen), Direction::Outbound) => self.to_peer(seen),
                        (Ok(seen), Direction::Inbound) => self.to_local(seen),
                    }
                }
                Action::Replay { until, .. } => self.replay(until),
                Action::Forget { .. } | Action::Removed { .. } => self.state.held.clear(),
                Action::Established { .. } | Action::Failed { .. } => {}
                Action::Spliced { hard } => self.state.application.merge(hard),
                Action::Recovered { hard, base } => self.grant(hard, base),
                Action::Refused { refusal, .. } => self.object(Wrong::Refused(refusal)),
                Action::Acked { offset, .. } => self.hear_acked(offset as i64),
                Action::Closed { ending, .. } => self.hear_closed(ending),
            }
        }
    }

    /// Held segments are offered again, in the order of their numbers.
    fn replay(&mut self, until: i64) {
        let mut held: Vec<Seg> = self.state.held.all().to_vec();
        held.sort_by_key(|segment| PEERS.position(0, segment.seq));
        for segment in held {
            let data = i64::from(segment.data.is_some());
            if PEERS.position(0, segment.seq) + data > until {
                break;
            }
            let mut octets = segment.octets(Direction::Inbound);
            let Ok(mut packet) = octets.packet() else {
                continue;
            };
            let verdict = self.core().replay(&mut packet);
            let seen = Seg::read(&packet);
            if verdict == Verdict::Hold {
                break;
            }
            if let Ok(at) = self.state.held.all().binary_search(&segment) {
                self.state.held.remove(at);
            }
            match (verdict, seen) {
                (_, Err(wrong)) => self.object(wrong),
                (Verdict::Forward { .. }, Ok(seen)) => self.to_local(seen),
                _ => {}
            }
        }
        let left = !self.state.held.all().is_empty();
        self.core().held(&FLOW, left);
    }

    /// A segment goes out to the peer.
    fn to_peer(&mut self, segment: Seg) {
        self.told += 1;
        let application = &self.state.application;
        let facts = Facts {
            checkpoint: application.checkpoint(),
            registered: application.progress != Progress::Opening,
            announced: application.announced,
            base: application.base,
            recovered: application.record.spliced > 0,
            asking: application.progress == Progress::Asking,
        };
        let judged = self.state.wire.tell(self.config, &segment, &facts);
        self.check(judged);
        let room = self.config.to_peer;
        if facts.asking && !self.state.to_peer.has_room(room) {
            // It is asked again, but not here.
            self.state.to_peer.remove(0);
        }
        let there = self.state.to_peer.insert(segment, room);
        self.note(|| {
            let lost = if there { "" } else { ", which is lost" };
            format!("peer is sent {}{lost}", segment.describe(OURS, PEERS))
        });
    }

    /// A segment goes on to the local TCP.
    fn to_local(&mut self, segment: Seg) {
        let life = self.state.local.as_ref().map_or(0, |local| local.life);
        let slipping = self.slipping;
        self.note(|| {
            let lost = if slipping { ", which is lost" } else { "" };
            format!(
                "local TCP is sent {}{lost}",
                segment.describe(PEERS, inside(life))
            )
        });
        if slipping {
            return;
        }
        let offered = self.state.peer.offers(self.config);
        let Some(local) = &mut self.state.local else {
            return;
        };
        match local.hear(&segment, offered) {
            Ok(Heard::Taken) => {}
            Ok(Heard::Answered) => self.answers = true,
            Ok(Heard::Killed) => {
                self.state.local = None;
                self.state.application.fall();
                self.object(Wrong::LocalReset);
            }
            Err(wrong) => self.object(wrong),
        }
    }

    fn hear_acked(&mut self, told: i64) {
        let received = self.state.peer.received();
        if told > received.min(self.config.ours) {
            self.object(Wrong::Acked { told, received });
        }
        let record = &mut self.state.application.record;
        record.acked = record.acked.max(told as u64);
    }

    fn hear_closed(&mut self, ending: Ending) {
        let read = self.state.application.checkpoint() == self.config.peers + 1;
        let written = self.state.peer.received() == self.config.ours + 1;
        if ending != Ending::Finished || !read || !written {
            self.object(Wrong::Ended(ending));
        }
    }

    /// The local TCP of an application that recovers.
    pub(super) fn renew_local(&mut self, stage: Stage, base: i64) {
        let application = &mut self.state.application;
        application.base = base;
        application.progress = Progress::Running;
        let life = application.record.incarnation as u8;
        let end = self.config.ours - base;
        let window = self.config.window;
        self.state.local = Some(Local::new(stage, life, base, end, window));
        self.state.unheeded = false;
    }

    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.note(|| format!("refused: {refusal}"));
        self.object(Wrong::Refused(refusal));
    }
}
