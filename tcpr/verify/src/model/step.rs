//! What can happen next.
//!
//! *Assumes* nothing: anything that can happen may happen now.
//! *Guarantees* that what would change nothing is not offered.

use std::fmt;

use tcpr_core::{Phase, Summary};

use super::application::Progress;
use super::config::{Config, Death};
use super::local::Speech;
use super::segment::{FLOW, Seg};
use super::state::{NOW, State};
use super::turn::is_again;

/// What becomes of a segment that is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is delivered.
    Delivered,
    /// It is delivered, and once more later.
    Doubled,
    /// It is lost.
    Lost,
    /// It is delivered to the core, and what the core makes of it does not reach the local TCP.
    Slipped,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The application registers its connection, and writes.
    Register,
    /// It reads, and persists that.
    Read,
    /// It tells TCPR how far it has read.
    Checkpoint,
    /// It announces the end of its output, and shuts it.
    Close,
    /// It knows that the connection has ended.
    Finish,
    /// It comes back, and asks to recover.
    Recover,
    /// It connects anew.
    Connect,
    /// It registers with another TCPR.
    Resume,
    /// It dies, or its local TCP does.
    Die(Death),
    /// The middleware is lost, and there is another one.
    LoseMiddleware,
    /// The local TCP sends.
    Say(Speech),
    /// It sends, and that does not reach the core.
    SayInVain(Speech),
    /// The old local TCP sends.
    ZombieSays(Speech),
    /// The old local TCP is gone at last.
    BuryZombie,
    /// The core asks the peer again where it stands.
    AskAgain,
    /// A segment on its way to the peer.
    ToPeer(usize, Fate),
    /// A segment on its way from the peer.
    FromPeer(usize, Fate),
    /// The peer sends its next octet, or its FIN.
    PeerSendsNext,
    /// The peer sends once more.
    PeerSendsAgain,
}

const SPEECHES: [Speech; 4] = [
    Speech::Syn,
    Speech::Acknowledgment,
    Speech::Next,
    Speech::Again,
];

/// Everything that can happen in a state.
pub(super) fn steps(config: &Config, state: &State, steps: &mut Vec<Step>) {
    let over = state.application.progress == Progress::Done && state.is_done(config);
    if state.wrong.is_some() || over {
        return;
    }
    application_steps(config, state, steps);
    failures(config, state, steps);
    if let Some(local) = &state.local {
        for speech in SPEECHES {
            if local.can_say(speech) {
                steps.push(Step::Say(speech));
                if state.slips > 0 && speech == Speech::Next {
                    steps.push(Step::SayInVain(speech));
                }
            }
        }
    }
    if let Some(zombie) = &state.zombie {
        let speeches = [
            Speech::Acknowledgment,
            Speech::Again,
            Speech::EarlyFin,
            Speech::Reset,
        ];
        steps.extend(
            speeches
                .into_iter()
                .filter(|&speech| speech == Speech::Acknowledgment || zombie.can_say(speech))
                .map(Step::ZombieSays),
        );
        steps.push(Step::BuryZombie);
    }
    for at in 0..state.to_peer.all().len() {
        let fates = [Fate::Delivered, Fate::Doubled, Fate::Lost];
        steps.extend(fates.map(|fate| Step::ToPeer(at, fate)));
    }
    let known = state.core.summary(NOW, &FLOW);
    let waits = known.filter(|known| {
        state.unheeded && !matches!(known.phase, Phase::Failed | Phase::Recovering)
    });
    let unanswered = |known: &Summary, segment: &Seg| {
        is_again(segment, known) && !(known.phase == Phase::Done && segment.len() > 0)
    };
    for (at, segment) in state.from_peer.all().iter().enumerate() {
        let in_vain = waits.is_some_and(|known| unanswered(&known, segment));
        for fate in [Fate::Delivered, Fate::Doubled, Fate::Lost, Fate::Slipped] {
            let possible = match fate {
                Fate::Lost => true,
                Fate::Delivered | Fate::Doubled => !in_vain,
                Fate::Slipped => state.slips > 0 && !in_vain,
            };
            if possible {
                steps.push(Step::FromPeer(at, fate));
            }
        }
    }
    if state.from_peer.has_room(config.from_peer) {
        if state.peer.can_send_next(config) {
            steps.push(Step::PeerSendsNext);
        }
        let again = state.peer.again(config);
        if again.is_some_and(|segment| !state.from_peer.contains(&segment)) {
            steps.push(Step::PeerSendsAgain);
        }
    }
}

fn application_steps(config: &Config, state: &State, steps: &mut Vec<Step>) {
    let application = &state.application;
    let local = state.local.as_ref().filter(|local| local.is_established());
    match application.progress {
        Progress::Opening => {
            if local.is_some() {
                steps.push(Step::Register);
            }
        }
        Progress::Running => {
            if !application.is_known {
                steps.push(Step::Resume);
            }
            let Some(local) = local else {
                return;
            };
            if !local.unread.is_empty() || (local.eof && !local.eof_read) {
                steps.push(Step::Read);
            }
            let known = state.core.summary(NOW, &FLOW);
            let Some(known) = known.filter(|_| application.is_known) else {
                return;
            };
            if (known.hard.checkpoint as i64) < application.checkpoint() {
                steps.push(Step::Checkpoint);
            }
            if config.closing && !application.announced {
                steps.push(Step::Close);
            }
            // A middleware that takes the place of another one may never learn that the peer has
            // closed, and not tell the end.
            let checkpointed = known.hard.checkpoint as i64 == application.checkpoint();
            let lost = state.losses < config.losses;
            let untold = lost && checkpointed && local.all_acknowledged();
            if application.announced && local.eof_read && (known.phase == Phase::Done || untold) {
                steps.push(Step::Finish);
            }
        }
        Progress::Down => steps.push(Step::Recover),
        Progress::Asking => {
            if state.to_peer.has_room(config.to_peer) {
                steps.push(Step::AskAgain);
            }
        }
        Progress::Granted(_) => {
            steps.push(Step::Connect);
            if !application.is_known {
                steps.push(Step::Resume);
            }
        }
        Progress::Done => {}
    }
}

fn failures(config: &Config, state: &State, steps: &mut Vec<Step>) {
    let progress = state.application.progress;
    if matches!(progress, Progress::Opening | Progress::Done) {
        return;
    }
    if state.deaths > 0 && progress != Progress::Down {
        for &way in config.ways {
            let possible = match (way, &state.local) {
                (Death::Silent, _) => true,
                (Death::Closing, Some(local)) => local.can_say(Speech::EarlyFin),
                (Death::Aborting, Some(local)) => local.can_say(Speech::Reset),
                (Death::Zombie, Some(local)) => local.is_established() && state.zombie.is_none(),
                (_, None) => false,
            };
            if possible {
                steps.push(Step::Die(way));
            }
        }
    }
    if state.losses > 0 {
        steps.push(Step::LoseMiddleware);
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Step::Register => "the application registers its connection, and writes",
            Step::Read => "the application reads, and persists that",
            Step::Checkpoint => "the application checkpoints",
            Step::Close => "the application announces the end of its output, and closes it",
            Step::Finish => "the application knows that the connection has ended",
            Step::Recover => "the application comes back, and asks to recover",
            Step::Connect => "the application connects anew",
            Step::Resume => "the application registers with the new middleware",
            Step::Die(Death::Silent) => "the local TCP dies without a word",
            Step::Die(Death::Closing) => "the local TCP dies with a FIN",
            Step::Die(Death::Aborting) => "the local TCP dies with a RST",
            Step::Die(Death::Zombie) => "the local TCP is thought dead, and sends on",
            Step::LoseMiddleware => "the middleware is lost, and another one takes its place",
            Step::Say(_) => "the local TCP sends",
            Step::SayInVain(_) => "the local TCP sends, and the core does not see it",
            Step::ZombieSays(_) => "the old local TCP sends",
            Step::BuryZombie => "the old local TCP is gone",
            Step::AskAgain => "the core asks the peer again",
            Step::ToPeer(_, Fate::Lost) => "a segment is lost on its way to the peer",
            Step::ToPeer(_, Fate::Doubled) => "a segment reaches the peer, and will once more",
            Step::ToPeer(..) => "a segment reaches the peer",
            Step::FromPeer(_, Fate::Lost) => "a segment of the peer is lost",
            Step::FromPeer(_, Fate::Doubled) => "a segment of the peer arrives, and will once more",
            Step::FromPeer(_, Fate::Slipped) => {
                "a segment of the peer arrives, and the local TCP does not get it"
            }
            Step::FromPeer(..) => "a segment of the peer arrives",
            Step::PeerSendsNext => "the peer sends",
            Step::PeerSendsAgain => "the peer sends again",
        };
        f.write_str(text)
    }
}
