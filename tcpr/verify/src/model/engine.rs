//! What the core says, carried out: as the engine of `tcpr` does it.
//!
//! *Assumes* nothing of the core: whatever it says is done.
//! *Guarantees* that a verdict comes before the actions, that actions come in their order, and that
//! held segments are given back in the order of their numbers.

use tcpr_core::{Action, Actions, Direction, Ending, Verdict};

use super::application::Progress;
use super::local::Heard;
use super::segment::{FLOW, OURS, Octets, PEERS, Seg, inside};
use super::state::NOW;
use super::turn::Turn;
use super::violation::Wrong;
use super::wire::Facts;

impl Turn<'_> {
    /// Shows a segment to the core, and does what it says.
    pub(super) fn offer(&mut self, direction: Direction, segment: Seg) {
        let mut octets = segment.octets(direction);
        let mut actions = Actions::new();
        let Ok(mut packet) = octets.packet() else {
            return;
        };
        let verdict = self
            .core()
            .segment(NOW, direction, &mut packet, &mut actions);
        let seen = Seg::read(&packet);
        match (verdict, seen) {
            (_, Err(wrong)) => self.object(wrong),
            (Verdict::Forward { .. }, Ok(seen)) => match direction {
                Direction::Outbound => self.send_out(seen),
                Direction::Inbound => self.hand_in(seen),
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
                        (Ok(seen), Direction::Outbound) => self.send_out(seen),
                        (Ok(seen), Direction::Inbound) => self.hand_in(seen),
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
                (Verdict::Forward { .. }, Ok(seen)) => self.hand_in(seen),
                _ => {}
            }
        }
        let left = !self.state.held.all().is_empty();
        self.core().held(&FLOW, left);
    }

    /// A segment goes out to the peer.
    fn send_out(&mut self, segment: Seg) {
        self.told += 1;
        let application = &self.state.application;
        let facts = Facts {
            checkpoint: application.checkpoint(),
            registered: application.progress != Progress::Opening,
            announced: application.announced,
            base: application.base,
            recovered: application.record.incarnation > 0,
            asking: application.progress == Progress::Asking,
        };
        let judged = self.state.wire.tell(self.config, &segment, &facts);
        self.check(judged);
        let room = self.config.to_peer;
        let there = self.state.to_peer.insert(segment, room);
        self.note(|| {
            let lost = if there { "" } else { ", which is lost" };
            format!("peer is sent {}{lost}", segment.describe(OURS, PEERS))
        });
    }

    /// A segment goes on to the local TCP.
    fn hand_in(&mut self, segment: Seg) {
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
        let unsure = self.state.wire.is_loose();
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
            // A middleware that takes the place of another one does not know what the local TCP has
            // sent. What is acknowledged beyond that is answered and dropped; and then it knows.
            Err(Wrong::Unsent { .. }) if unsure => self.answers = true,
            Err(wrong) => self.object(wrong),
        }
    }

    fn hear_acked(&mut self, told: i64) {
        let received = self.state.peer.received();
        let lost = self.state.losses < self.config.losses;
        // A middleware that takes the place of another one may count the FIN of an earlier life.
        let most = if lost {
            received
        } else {
            received.min(self.config.ours)
        };
        if told > most {
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
}
