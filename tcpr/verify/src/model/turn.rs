//! What a step does.
//!
//! *Assumes* that the step is one of those offered in the state.
//! *Guarantees* that nothing else happens in it, but for what the core and the local TCP answer at
//! once: between the two nothing waits.

use tcpr_core::packet::Flags;
use tcpr_core::{Actions, Direction, Phase, Refusal, Summary, Tcpr};

use super::application::Progress;
use super::config::{Config, Death};
use super::local::{Local, Speech, Stage};
use super::segment::{FLOW, OURS, PEERS, Seg, inside, octet};
use super::state::{NOW, Shared, State, successor};
use super::step::{Fate, Step};
use super::violation::Wrong;
use crate::Mutant;

/// A step under way.
pub(super) struct Turn<'a> {
    pub(super) config: &'a Config,
    conduct: Mutant,
    pub(super) state: State,
    /// The core, once something is asked of it.
    core: Option<Tcpr<Mutant>>,
    /// What the core gives to the local TCP is lost.
    pub(super) slipping: bool,
    /// The local TCP has to answer.
    pub(super) answers: bool,
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

/// Whether a segment lies within what was seen before: it is sent again, or it is a keepalive or the
/// probe of a closed window, and waits for an answer.
pub(super) fn is_again(segment: &Seg, before: &Summary) -> bool {
    let at = PEERS.position(0, segment.seq);
    let received = before.received as i64;
    at < received && at + segment.len() <= received
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

    pub(super) fn note(&mut self, note: impl FnOnce() -> String) {
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
                    self.state.wire.send(local.sent());
                }
            }
            Step::ZombieSays(speech) => self.zombie_says(speech),
            Step::BuryZombie => self.state.zombie = None,
            Step::AskAgain => self.ask_again(),
            Step::ToPeer(at, fate) => self.reach_peer(at, fate),
            Step::FromPeer(at, fate) => self.arrive(at, fate),
            Step::PeerSendsNext => {
                let segment = self.state.peer.send_next(self.config);
                self.peer_sends(segment);
            }
            Step::PeerSendsAgain => {
                if let Some(segment) = self.state.peer.again(self.config) {
                    self.peer_sends(segment);
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
        let last = match way {
            Death::Silent => None,
            Death::Closing => Some(Speech::EarlyFin),
            Death::Aborting => Some(Speech::Reset),
            Death::Zombie => {
                self.state.zombie = self.state.local.take();
                None
            }
        };
        if let (Some(mut local), Some(last)) = (self.state.local.take(), last) {
            let segment = local.say(last, |at| octet(false, at));
            // Its FIN, if it is meant after all.
            self.state.wire.send(local.sent() + segment.len());
            self.outbound(segment, local.life);
        }
        self.state.application.fall();
    }

    fn lose_middleware(&mut self) {
        self.state.losses -= 1;
        self.core = Some(successor(self.config, self.conduct));
        self.state.held.clear();
        self.state.wire.loosen();
        self.state.application.is_known = false;
        if self.state.application.progress == Progress::Asking {
            self.state.application.fall();
        }
    }

    /// The peer is asked again. The core that says so is not kept: it would only wait longer each
    /// time, and time stands still here.
    fn ask_again(&mut self) {
        let Some(due) = self.state.core.deadline() else {
            return;
        };
        let mut later = Tcpr::clone(&self.state.core);
        let mut actions = Actions::new();
        while later.tick(due, &mut actions) {}
        self.carry_out(actions);
    }

    pub(super) fn say(&mut self, speech: Speech) {
        let Some(local) = &mut self.state.local else {
            return;
        };
        let segment = local.say(speech, |at| octet(false, at));
        self.state.wire.send(local.sent());
        let life = local.life;
        self.outbound(segment, life);
    }

    fn zombie_says(&mut self, speech: Speech) {
        let Some(zombie) = &self.state.zombie else {
            return;
        };
        let life = zombie.life;
        let segment = zombie.clone().say(speech, |at| octet(false, at));
        if speech == Speech::EarlyFin {
            self.state.wire.send(zombie.sent() + segment.len());
        }
        if speech == Speech::Reset {
            // Nothing follows its RST.
            self.state.zombie = None;
        }
        self.outbound(segment, life);
    }

    /// A segment of a local TCP comes to the core.
    fn outbound(&mut self, segment: Seg, life: u8) {
        let application = &self.state.application;
        // A core that does not know the connection, or recovers it, does not listen.
        let heard = application.is_known && application.record.incarnation == u64::from(life);
        if heard && segment.has(Flags::ACK) && !segment.has(Flags::RST) {
            let edge = segment.ack.wrapping_add(u32::from(segment.window));
            self.state.wire.offer(edge, life);
        }
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
            self.peer_sends(answer);
        }
    }

    fn peer_sends(&mut self, segment: Seg) {
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
        let before = self.core().summary(NOW, &FLOW);
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
