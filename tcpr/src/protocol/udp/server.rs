//! The server's end of sealed datagrams, without a socket.
//!
//! *Assumes* that `now` never goes back while the server lives, and that the secret given at its
//! start was never used before.
//! *Guarantees* that a session is remembered only for who has proven the key, and for at most
//! [`Limits::sessions`] of them; that a session once forgotten can not come back; and that a
//! request which is repeated is answered again with what was answered first.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use super::{
    ACCEPT, CHALLENGE, HEADER, HELLO, Key, Keys, NONCE, Nonce, OTHER_VERSION, PROOF, REQUEST,
    SESSION, STALE, Seal, SessionId, Unsealed, Window, address, carried, carry, handshake,
    handshake_seal, header, parse,
};
use crate::protocol::lines::numbered;

/// Bounds of the table of sessions.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// At most so many sessions.
    pub sessions: usize,
    /// A session that was silent for so long is forgotten.
    pub idle: Duration,
    /// A challenge is to be answered within this time.
    pub challenge: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        // A client says something every second.
        Limits {
            sessions: 64,
            idle: Duration::from_secs(30),
            challenge: Duration::from_secs(10),
        }
    }
}

/// What came from a client.
#[derive(Debug, PartialEq, Eq)]
pub enum FromClient<'a> {
    /// A request, to be answered through [`Server::seal_answer`].
    Request {
        /// By whom.
        session: SessionId,
        /// The request.
        line: &'a [u8],
    },
    /// A step of the handshake, or a request that was answered already.
    Known {
        /// To be sent to where the datagram came from.
        answer: Vec<u8>,
    },
    /// A repetition of a request that is being carried out: nothing to do.
    Waiting,
}

/// A datagram was refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// To be counted.
    pub why: Unsealed,
    /// To be sent to where the datagram came from, if anything.
    pub answer: Option<Vec<u8>>,
}

impl From<Unsealed> for Refused {
    fn from(why: Unsealed) -> Refused {
        Refused { why, answer: None }
    }
}

/// The server's end.
#[derive(Debug)]
pub struct Server {
    key: Key,
    handshake: Seal,
    secret: Seal,
    limits: Limits,
    sessions: HashMap<SessionId, Session>,
    /// Proofs of challenges issued up to here open no session: one of them may have had it, and
    /// lost it. Nanoseconds.
    forgotten: Option<u64>,
}

#[derive(Debug)]
struct Session {
    address: SocketAddr,
    to_server: Seal,
    to_client: Seal,
    issued: u64,
    heard: Duration,
    window: Window,
    counter: u64,
    answers: Answers,
}

impl Server {
    /// No session yet. `secret`: random, made at this start.
    #[must_use]
    pub fn new(key: Key, secret: Nonce, limits: Limits) -> Server {
        let handshake = handshake_seal(&key);
        Server {
            key,
            handshake,
            secret: Seal::new(&secret),
            limits,
            sessions: HashMap::new(),
            forgotten: None,
        }
    }

    /// Takes a datagram.
    ///
    /// # Errors
    ///
    /// If it was refused; then nothing has changed.
    pub fn take<'a>(
        &mut self,
        now: Duration,
        from: SocketAddr,
        datagram: &'a [u8],
    ) -> Result<FromClient<'a>, Refused> {
        match parse(datagram) {
            Ok((HELLO, body)) => {
                self.handshake.open(datagram)?;
                let nonce = self.nonce(from, &body[..NONCE], nanoseconds(now));
                let answer = handshake(&self.handshake, CHALLENGE, &body[..NONCE], &nonce);
                Ok(FromClient::Known { answer })
            }
            Ok((PROOF, body)) => {
                self.prove(now, from, datagram, &body[..NONCE], &body[NONCE..2 * NONCE])
            }
            Ok((REQUEST, _)) => self.request(now, from, datagram),
            Ok(_) => Err(Unsealed::Malformed.into()),
            Err(why @ Unsealed::OtherVersion { .. }) => {
                // As short as any datagram: it amplifies nothing.
                let answer = Some(self.handshake.close(header(OTHER_VERSION)));
                Err(Refused { why, answer })
            }
            Err(why) => Err(why.into()),
        }
    }

    /// What a client is challenged with, and would have been challenged with at that time.
    fn nonce(&self, from: SocketAddr, client: &[u8], issued: u64) -> Nonce {
        let issued = issued.to_be_bytes();
        let mut nonce = self.secret.derive(&[&address(from), client, &issued]);
        nonce[..8].copy_from_slice(&issued);
        nonce
    }

    fn prove(
        &mut self,
        now: Duration,
        from: SocketAddr,
        datagram: &[u8],
        client: &[u8],
        server: &[u8],
    ) -> Result<FromClient<'static>, Refused> {
        let mut issued = [0; 8];
        issued.copy_from_slice(&server[..8]);
        let issued = u64::from_be_bytes(issued);
        // What is not ours was made before a restart, or for another address.
        if self.nonce(from, client, issued) != server {
            return Err(Unsealed::UnknownSession.into());
        }
        let keys = Keys::agree(&self.key, client, server);
        keys.to_server.open(datagram)?;
        let answer = handshake(&keys.to_client, ACCEPT, client, &keys.id);
        if self.sessions.contains_key(&keys.id) {
            // Our answer was lost: the session goes on as it is.
            return Ok(FromClient::Known { answer });
        }
        let age = nanoseconds(now).saturating_sub(issued);
        if age > nanoseconds(self.limits.challenge)
            || self.forgotten.is_some_and(|forgotten| issued <= forgotten)
        {
            return Err(Unsealed::Replayed.into());
        }
        if self.sessions.len() >= self.limits.sessions {
            self.expire(now);
        }
        if self.sessions.len() >= self.limits.sessions {
            return Err(Unsealed::Full.into());
        }
        let session = Session {
            address: from,
            to_server: keys.to_server,
            to_client: keys.to_client,
            issued,
            heard: now,
            window: Window::default(),
            counter: 0,
            answers: Answers::default(),
        };
        self.sessions.insert(keys.id, session);
        Ok(FromClient::Known { answer })
    }

    fn request<'a>(
        &mut self,
        now: Duration,
        from: SocketAddr,
        datagram: &'a [u8],
    ) -> Result<FromClient<'a>, Refused> {
        let (id, counter, line) = carried(datagram);
        let Some(session) = self
            .sessions
            .get_mut(&id)
            .filter(|session| session.address == from)
        else {
            let mut answer = header(STALE);
            answer.extend_from_slice(&id);
            return Err(Refused {
                why: Unsealed::UnknownSession,
                answer: Some(self.handshake.close(answer)),
            });
        };
        session.to_server.open(datagram)?;
        if !session.window.take(counter) {
            return Err(Unsealed::Replayed.into());
        }
        session.heard = now;
        let number = numbered(line).unwrap_or(0);
        match session.answers.asked(number) {
            Known::New => Ok(FromClient::Request { session: id, line }),
            Known::Waiting => Ok(FromClient::Waiting),
            Known::Answered(line) => {
                let line = line.to_vec();
                Ok(FromClient::Known {
                    answer: session.seal(&id, &line),
                })
            }
            Known::Old => Err(Unsealed::Replayed.into()),
        }
    }

    /// Seals the reply to a request, and keeps it for repetitions. Where to send it, and what;
    /// nothing if the session has gone meanwhile.
    pub fn seal_answer(
        &mut self,
        id: &SessionId,
        number: u64,
        line: &[u8],
    ) -> Option<(SocketAddr, Vec<u8>)> {
        let session = self.sessions.get_mut(id)?;
        session.answers.answered(number, line);
        Some((session.address, session.seal(id, line)))
    }

    /// Seals a notice.
    pub fn seal_notice(&mut self, id: &SessionId, line: &[u8]) -> Option<(SocketAddr, Vec<u8>)> {
        let session = self.sessions.get_mut(id)?;
        Some((session.address, session.seal(id, line)))
    }

    /// Forgets sessions that were silent for too long: those it gives. To be called now and then.
    pub fn expire(&mut self, now: Duration) -> Vec<SessionId> {
        let idle = self.limits.idle;
        let mut gone = Vec::new();
        let mut forgotten = self.forgotten;
        self.sessions.retain(|id, session| {
            let live = now.saturating_sub(session.heard) < idle;
            if !live {
                gone.push(*id);
                forgotten = forgotten.max(Some(session.issued));
            }
            live
        });
        self.forgotten = forgotten;
        gone
    }

    /// How many sessions there are.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }
}

impl Session {
    fn seal(&mut self, id: &SessionId, line: &[u8]) -> Vec<u8> {
        let counter = self.counter;
        self.counter += 1;
        carry(&self.to_client, super::MESSAGE, id, counter, line)
    }
}

/// The last answers of a session, by the numbers of their requests.
#[derive(Debug, Default)]
struct Answers {
    /// Requests from this number on may be new; below it they are repetitions of what is no longer
    /// known.
    floor: u64,
    last: VecDeque<(u64, Kept)>,
}

#[derive(Debug)]
enum Kept {
    Waiting,
    Answered(Vec<u8>),
    /// Too long to keep. What has such an answer only asks, and may be carried out again.
    Long,
}

enum Known<'a> {
    New,
    Waiting,
    Answered(&'a [u8]),
    Old,
}

impl Answers {
    /// A client has requests under way that span no more than half of this.
    const KEPT: usize = 128;
    const LONG: usize = 2048;

    fn asked(&mut self, number: u64) -> Known<'_> {
        if let Some(at) = self.last.iter().position(|(known, _)| *known == number) {
            return match &self.last[at].1 {
                Kept::Waiting => Known::Waiting,
                Kept::Answered(line) => Known::Answered(line),
                Kept::Long => Known::New,
            };
        }
        if number < self.floor {
            return Known::Old;
        }
        if number == 0 {
            // No number could be read: the answer says so, and is not kept.
            return Known::New;
        }
        if self.last.len() == Answers::KEPT {
            // The lowest number goes, whatever the order in which they came.
            let lowest = (0..self.last.len()).min_by_key(|&at| self.last[at].0);
            if let Some((lowest, _)) = lowest.and_then(|at| self.last.remove(at)) {
                self.floor = self.floor.max(lowest + 1);
            }
            if number < self.floor {
                return Known::Old;
            }
        }
        self.last.push_back((number, Kept::Waiting));
        Known::New
    }

    fn answered(&mut self, number: u64, line: &[u8]) {
        if let Some((_, kept)) = self.last.iter_mut().find(|(known, _)| *known == number) {
            *kept = if line.len() > Answers::LONG {
                Kept::Long
            } else {
                Kept::Answered(line.to_vec())
            };
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

const _: () = assert!(HEADER + SESSION < super::OVERHEAD);
