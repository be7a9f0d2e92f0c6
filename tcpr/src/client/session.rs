//! The client's side of the protocol, without a socket.
//!
//! *Assumes* that its caller carries octets: calls [`Session::connected`] when a channel is there,
//! [`Session::transmit`] until it has no more, [`Session::receive`] with what comes,
//! [`Session::tick`] when [`Session::deadline`] has passed, and [`Session::disconnected`] when the
//! channel is lost.
//! *Guarantees* that every request is answered in the end, however often the channel is lost: what
//! was not answered is asked again. A new channel first gets the patterns and the connections, in
//! their latest hard state, and only then what the application asks. Of several checkpoints of a
//! connection that were not sent yet, the last one is.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use tcpr_core::{Flow, Pattern};

use super::tracked::Tracked;
use crate::protocol::{
    Ask, Fault, Lines, MESSAGE_LIMIT, Notice, PROTOCOL_VERSION, Reply, Request, line, read_message,
};

/// What carries the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// Whole and in order, or not at all.
    Stream,
    /// Each by itself: lost, doubled and overtaken at times.
    Datagram,
}

/// A request, by which its reply is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// What came is not of this protocol: the channel is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// No message.
    #[error("what TCPR says is no message of this protocol")]
    Malformed(#[from] serde_json::Error),
    /// Too long.
    #[error("what TCPR says is too long")]
    TooLong(#[from] crate::protocol::TooLong),
}

/// The client's side.
#[derive(Debug)]
pub struct Session {
    medium: Medium,
    stage: Stage,
    tickets: u64,
    /// Everything that awaits its answer.
    asked: BTreeMap<Ticket, Asked>,
    /// What is to be sent, in order.
    unsent: VecDeque<Ticket>,
    /// The number on this channel of what was sent.
    wires: BTreeMap<u64, Ticket>,
    last_wire: u64,
    /// Checkpoints sent over a stream, which are answered only if they are refused.
    unanswered: VecDeque<(u64, Flow, u64)>,
    /// Connections with a checkpoint to be sent.
    checkpoints: BTreeSet<Flow>,
    answers: HashMap<Ticket, Result<Reply, Fault>>,
    answered: Vec<Ticket>,
    patterns: BTreeSet<Pattern>,
    connections: HashMap<Flow, Tracked>,
    watching: bool,
    notices: VecDeque<Notice>,
    notices_lost: u64,
    changed: bool,
    fault: Option<Fault>,
    server: Option<String>,
    lines: Lines,
    heard: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No channel.
    Down,
    /// `hello` was not answered yet.
    Greeting,
    /// The server is being told what was there before; so many answers are out.
    Restoring(usize),
    /// The application's requests go out.
    Open,
    /// The server does not want us.
    Refused,
}

#[derive(Debug)]
struct Asked {
    request: Request,
    purpose: Purpose,
    wire: Option<u64>,
    sent: Duration,
    /// How often it was sent on this channel.
    times: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// The application wants the answer.
    Application,
    Greeting,
    Restoring,
    /// To hear whether the server is there.
    Alive,
    Checkpoint,
    /// A checkpoint was refused: which one holds?
    Correction,
}

impl Session {
    /// Numbers on their way span less than this: half of what a server remembers.
    const SPAN: u64 = 64;
    const UNANSWERED: usize = 4096;
    const NOTICES: usize = 1 << 16;

    /// No channel yet.
    #[must_use]
    pub fn new(medium: Medium) -> Session {
        Session {
            medium,
            stage: Stage::Down,
            tickets: 0,
            asked: BTreeMap::new(),
            unsent: VecDeque::new(),
            wires: BTreeMap::new(),
            last_wire: 0,
            unanswered: VecDeque::new(),
            checkpoints: BTreeSet::new(),
            answers: HashMap::new(),
            answered: Vec::new(),
            patterns: BTreeSet::new(),
            connections: HashMap::new(),
            watching: false,
            notices: VecDeque::new(),
            notices_lost: 0,
            changed: false,
            fault: None,
            server: None,
            lines: Lines::new(MESSAGE_LIMIT),
            heard: Duration::ZERO,
        }
    }

    /// What carries it.
    #[must_use]
    pub fn medium(&self) -> Medium {
        self.medium
    }

    /// A channel is there.
    pub fn connected(&mut self, now: Duration) {
        self.disconnected();
        self.heard = now;
        self.stage = Stage::Greeting;
        self.enqueue(
            Request::Hello {
                version: PROTOCOL_VERSION,
            },
            Purpose::Greeting,
        );
    }

    /// The channel is lost, and what was on its way with it.
    pub fn disconnected(&mut self) {
        self.stage = Stage::Down;
        self.lines = Lines::new(MESSAGE_LIMIT);
        self.wires.clear();
        self.last_wire = 0;
        self.unanswered.clear();
        // Registering again tells the latest checkpoint.
        self.checkpoints.clear();
        self.asked
            .retain(|_, asked| asked.purpose == Purpose::Application);
        self.unsent = self.asked.keys().copied().collect();
        for asked in self.asked.values_mut() {
            (asked.wire, asked.times) = (None, 0);
        }
        self.changed = true;
    }

    /// Whether requests reach the server.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// Why the server does not want us.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref().filter(|_| self.stage == Stage::Refused)
    }

    /// What the server calls itself.
    #[must_use]
    pub fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// Asks something.
    pub fn request(&mut self, request: Request) -> Ticket {
        let ticket = self.enqueue(request, Purpose::Application);
        if let Some(fault) = self.fault().cloned() {
            self.finish(ticket, Err(fault));
        }
        ticket
    }

    /// Nobody waits for the answer any more.
    pub fn forget(&mut self, ticket: Ticket) {
        self.answers.remove(&ticket);
        if let Some(wire) = self.asked.remove(&ticket).and_then(|asked| asked.wire) {
            self.wires.remove(&wire);
        }
    }

    /// A request that was answered since this was last called.
    pub fn answered(&mut self) -> Option<Ticket> {
        self.answered.pop()
    }

    /// The answer to a request, once. `Err`: the server does not want us.
    pub fn reply(&mut self, ticket: Ticket) -> Option<Result<Reply, Fault>> {
        self.answers.remove(&ticket)
    }

    /// Whether the state of a connection, of the channel, or the notices watched have changed since
    /// this was last called.
    pub fn changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// A connection of this client.
    #[must_use]
    pub fn connection(&self, flow: &Flow) -> Option<&Tracked> {
        self.connections.get(flow)
    }

    /// Nobody holds a connection any more; it is still registered again with a restarted TCPR until
    /// it ends.
    pub fn release(&mut self, flow: &Flow, generation: u64) {
        if let Some(tracked) = self
            .connections
            .get_mut(flow)
            .filter(|held| held.generation == generation)
        {
            tracked.unheld = true;
            self.sweep(flow);
        }
    }

    /// The next notice, after `watch`.
    pub fn notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// How many notices were thrown away because nobody took them.
    #[must_use]
    pub fn notices_lost(&self) -> u64 {
        self.notices_lost
    }

    /// The next message to be sent: a line with its end. To be called only when it can be sent, so
    /// that checkpoints wait here, where the latest wins.
    pub fn transmit(&mut self, now: Duration) -> Option<Vec<u8>> {
        if matches!(self.stage, Stage::Down | Stage::Refused) {
            return None;
        }
        let room = self.has_room();
        while room
            && self.stage == Stage::Open
            && let Some(flow) = self.checkpoints.pop_first()
        {
            if let Some(tracked) = self.connections.get(&flow) {
                let offset = tracked.hard.checkpoint;
                return Some(self.transmit_checkpoint(now, flow, offset));
            }
        }
        let open = self.stage == Stage::Open;
        let at = self.unsent.iter().position(|ticket| {
            // The application's requests wait until the server knows what was there before.
            let asked = self.asked.get(ticket);
            asked.is_none_or(|asked| {
                asked.wire.is_some() || room && (open || asked.purpose != Purpose::Application)
            })
        })?;
        let ticket = self.unsent.remove(at)?;
        if !self.asked.contains_key(&ticket) {
            return self.transmit(now);
        }
        let next = self.last_wire + 1;
        let asked = self.asked.get_mut(&ticket)?;
        let wire = *asked.wire.get_or_insert(next);
        self.last_wire = self.last_wire.max(wire);
        asked.sent = now;
        asked.times += 1;
        let message = line(&Ask {
            id: wire,
            request: asked.request.clone(),
        });
        self.wires.insert(wire, ticket);
        Some(message)
    }

    fn has_room(&self) -> bool {
        let next = self.last_wire + 1;
        let oldest = self.wires.first_key_value().map_or(next, |(wire, _)| *wire);
        self.medium == Medium::Stream || next - oldest < Session::SPAN
    }

    /// Takes what came: octets of a stream, however they are cut, or one datagram.
    ///
    /// # Errors
    ///
    /// If it is not of this protocol: then the channel is to be given up.
    pub fn receive(&mut self, now: Duration, octets: &[u8]) -> Result<(), ReceiveError> {
        self.heard = now;
        if self.medium == Medium::Datagram {
            self.message(read_message(octets)?);
            return Ok(());
        }
        self.lines.push(octets);
        while let Some(line) = self.lines.line() {
            let message = read_message(line?)?;
            self.message(message);
        }
        Ok(())
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn enqueue(&mut self, request: Request, purpose: Purpose) -> Ticket {
        let ticket = self.ticket();
        self.asked.insert(
            ticket,
            Asked {
                request,
                purpose,
                wire: None,
                sent: Duration::ZERO,
                times: 0,
            },
        );
        self.unsent.push_back(ticket);
        ticket
    }

    fn finish(&mut self, ticket: Ticket, reply: Result<Reply, Fault>) {
        self.asked.remove(&ticket);
        self.answers.insert(ticket, reply);
        self.answered.push(ticket);
    }
}

mod answers;
mod checkpoints;
mod repetition;
#[cfg(test)]
pub(crate) mod tests;
