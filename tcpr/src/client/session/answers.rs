//! What a session makes of what the server says.
//!
//! *Assumes* that messages are whole.
//! *Guarantees* that each answer is learned from once, whoever asked: the connections' state is as
//! new as the last message.

use std::collections::BTreeSet;

use tcpr_core::{Ending, Flow, Hard, Refusal};

use super::{Asked, Purpose, Session, Stage, Ticket};
use crate::client::tracked::Tracked;
use crate::protocol::{Answer, Fault, Message, Notice, PROTOCOL_VERSION, Reply, Request};

impl Session {
    pub(super) fn message(&mut self, message: Message) {
        match message {
            Message::Answer(Answer { id, reply }) => self.answer(id, reply),
            Message::Notice(notice) => self.noticed(notice),
        }
    }

    fn noticed(&mut self, notice: Notice) {
        self.changed = true;
        if let Some(flow) = notice.flow() {
            if let Some(tracked) = self.connections.get_mut(&flow) {
                tracked.notice(&notice);
            }
            self.sweep(&flow);
        }
        if self.watching && notice != Notice::Unknown {
            if self.notices.len() == Session::NOTICES {
                self.notices.pop_front();
                self.notices_lost += 1;
            }
            self.notices.push_back(notice);
        }
    }

    fn answer(&mut self, wire: u64, reply: Reply) {
        let Some(ticket) = self.wires.remove(&wire) else {
            self.late(wire, &reply);
            return;
        };
        let Some(asked) = self.asked.remove(&ticket) else {
            return;
        };
        self.learn(ticket, &asked, &reply);
        match asked.purpose {
            Purpose::Application => self.finish(ticket, Ok(reply)),
            Purpose::Greeting => self.greeted(reply),
            Purpose::Restoring => {
                if let Stage::Restoring(out) = &mut self.stage {
                    *out -= 1;
                    if *out == 0 {
                        self.stage = Stage::Open;
                        self.changed = true;
                    }
                }
            }
            Purpose::Alive | Purpose::Checkpoint | Purpose::Correction => {}
        }
    }

    /// The answer to a checkpoint over a stream, or to nothing.
    fn late(&mut self, wire: u64, reply: &Reply) {
        let Some(at) = self.unanswered.iter().position(|(sent, ..)| *sent == wire) else {
            return;
        };
        // The server answers in order: the earlier ones were taken.
        let refused = self.unanswered.drain(..=at).next_back();
        if let (Some((_, flow, offset)), Reply::Refused(refusal)) = (refused, reply) {
            self.checkpoint_refused(flow, offset, *refusal);
        }
    }

    fn checkpoint_refused(&mut self, flow: Flow, offset: u64, refusal: Refusal) {
        let Some(tracked) = self.connections.get_mut(&flow) else {
            return;
        };
        if tracked.checkpoint_refused(offset, refusal) {
            self.changed = true;
            self.enqueue(Request::Show { flow }, Purpose::Correction);
        }
    }

    fn greeted(&mut self, reply: Reply) {
        self.changed = true;
        let fault = match reply {
            Reply::Welcome { version, server } if version == PROTOCOL_VERSION => {
                self.server = Some(server);
                self.fault = None;
                self.restore();
                return;
            }
            Reply::Welcome { version, .. } => Fault::Version {
                given: PROTOCOL_VERSION,
                spoken: version,
            },
            Reply::Faulty(fault) => fault,
            other => Fault::Malformed {
                detail: format!("hello was answered by {other:?}"),
            },
        };
        self.stage = Stage::Refused;
        self.fault = Some(fault.clone());
        self.unsent.clear();
        let waiting: Vec<_> = self.asked.keys().copied().collect();
        for ticket in waiting {
            self.finish(ticket, Err(fault.clone()));
        }
    }

    /// Tells a server that may have been restarted what the last one knew.
    fn restore(&mut self) {
        let mut requests: Vec<_> = self
            .patterns
            .iter()
            .map(|&pattern| Request::Protect { pattern })
            .collect();
        if self.watching {
            requests.push(Request::Watch);
        }
        // What the application is about to decide itself is left to it.
        let deciding: BTreeSet<_> = self
            .asked
            .values()
            .filter(|asked| {
                !matches!(
                    asked.request,
                    Request::Checkpoint { .. } | Request::Show { .. }
                )
            })
            .filter(|asked| {
                !matches!(
                    asked.request,
                    Request::DoneReading { .. } | Request::DoneWriting { .. }
                )
            })
            .filter_map(|asked| asked.request.flow())
            .collect();
        let lost = self
            .connections
            .values()
            .filter(|tracked| tracked.lives() && !deciding.contains(&tracked.flow()));
        requests.extend(lost.map(|tracked| {
            let (flow, hard) = (tracked.flow(), Box::new(tracked.hard));
            if tracked.is_spliced() {
                Request::Register {
                    flow,
                    hard: Some(hard),
                }
            } else {
                Request::Recover { hard }
            }
        }));
        self.stage = if requests.is_empty() {
            Stage::Open
        } else {
            Stage::Restoring(requests.len())
        };
        for request in requests {
            self.enqueue(request, Purpose::Restoring);
        }
    }

    /// What an answer says of the connections.
    fn learn(&mut self, ticket: Ticket, asked: &Asked, reply: &Reply) {
        let restoring = asked.purpose == Purpose::Restoring;
        let tracked = asked
            .request
            .flow()
            .and_then(|flow| self.connections.get_mut(&flow));
        match (&asked.request, reply) {
            (Request::Protect { pattern }, Reply::Ok) => {
                self.patterns.insert(*pattern);
            }
            (Request::Unprotect { pattern }, Reply::Ok) => {
                self.patterns.remove(pattern);
            }
            (Request::Watch, Reply::Ok) => self.watching = true,
            (_, Reply::Registered { hard }) => self.track(ticket, restoring, **hard, None),
            (_, Reply::Recovered { hard, base }) => {
                self.track(ticket, restoring, **hard, Some(*base))
            }
            (Request::Show { flow }, Reply::Show { connection }) => {
                if let Some(tracked) = tracked {
                    tracked.shown(connection);
                    if asked.purpose == Purpose::Correction {
                        tracked.hard.checkpoint = connection.hard.checkpoint;
                    }
                }
                self.sweep(&flow.clone());
            }
            (Request::Show { .. }, Reply::Refused(Refusal::Unknown)) => {
                if let Some(tracked) = tracked {
                    tracked.removed = true;
                }
            }
            (Request::DoneReading { .. }, Reply::Ok) => {
                if let Some(tracked) = tracked {
                    tracked.hard.done_reading = true;
                }
            }
            (Request::DoneWriting { written, .. }, Reply::Ok) => {
                if let Some(tracked) = tracked {
                    tracked.hard.done_writing = Some(*written);
                }
            }
            (Request::Done { flow } | Request::Abort { flow }, Reply::Ok) => {
                let aborted = matches!(asked.request, Request::Abort { .. });
                if let Some(tracked) = tracked {
                    tracked.removed = true;
                    tracked.ended = tracked.ended.or(aborted.then_some(Ending::Aborted));
                }
                self.sweep(&flow.clone());
            }
            (Request::Checkpoint { flow, offset }, Reply::Refused(refusal)) => {
                self.checkpoint_refused(*flow, *offset, *refusal);
            }
            (Request::Register { .. } | Request::Recover { .. }, Reply::Refused(refusal))
                if restoring =>
            {
                if let Some(tracked) = tracked {
                    tracked.refused = Some(*refusal);
                }
            }
            _ => return,
        }
        self.changed = true;
    }

    fn track(&mut self, ticket: Ticket, restoring: bool, hard: Hard, base: Option<u64>) {
        let Some(tracked) = self.connections.get_mut(&hard.flow).filter(|_| restoring) else {
            self.connections
                .insert(hard.flow, Tracked::new(hard, base, ticket.0));
            return;
        };
        if base.is_some() && base != tracked.base {
            // The application was told another base, and may have begun to connect with it.
            tracked.refused = Some(Refusal::RecoverAgain);
        }
        tracked.merge(hard);
        // The checkpoint that was made while it was being registered.
        if tracked.hard.checkpoint > hard.checkpoint {
            self.checkpoints.insert(hard.flow);
        }
    }

    pub(super) fn sweep(&mut self, flow: &Flow) {
        if self
            .connections
            .get(flow)
            .is_some_and(|tracked| tracked.removed && tracked.unheld)
        {
            self.connections.remove(flow);
            self.checkpoints.remove(flow);
        }
    }
}
