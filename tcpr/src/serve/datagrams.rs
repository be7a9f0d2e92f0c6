//! Applications on other hosts, by sealed datagrams.
//!
//! *Assumes* that a client asks again when no answer comes: a datagram that the socket does not
//! take is lost.
//! *Guarantees* that only who has the key is heard, and that whatever is refused is counted.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use super::audience::Peer;
use crate::protocol::udp::{DATAGRAM_LIMIT, FromClient, Key, Limits, Server, SessionId, Unsealed};
use crate::protocol::{Answer, Ask, ChannelCounters, Message, line, read_ask};

/// So many datagrams are taken in a turn, for packets must not wait for a flood of them.
const TURN: usize = 32;

#[derive(Debug)]
pub(crate) struct Datagrams {
    pub(crate) socket: UdpSocket,
    server: Server,
    peers: HashMap<SessionId, Peer>,
    sessions: HashMap<Peer, SessionId>,
    gone: Vec<SessionId>,
    next_expiry: Duration,
}

impl Datagrams {
    pub(crate) fn bind(address: SocketAddr, key: Key) -> std::io::Result<Datagrams> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        let secret = crate::protocol::udp::fresh_nonce()?;
        Ok(Datagrams {
            socket,
            server: Server::new(key, secret, Limits::default()),
            peers: HashMap::new(),
            sessions: HashMap::new(),
            gone: Vec::new(),
            next_expiry: Duration::ZERO,
        })
    }

    /// Hears some requests, of peers that may be new.
    pub(crate) fn hear(
        &mut self,
        now: Duration,
        counters: &mut ChannelCounters,
        mut new_peer: impl FnMut() -> Peer,
        asks: &mut Vec<(Peer, Result<Ask, Box<Answer>>)>,
    ) {
        let mut octets = [0; DATAGRAM_LIMIT + 1];
        for _ in 0..TURN {
            let (length, from) = match self.socket.recv_from(&mut octets) {
                Ok(received) => received,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                // What an earlier datagram met (ICMP) comes as an error here.
                Err(_) => continue,
            };
            // The server would make room for a new session itself, and not say whose went.
            if self.server.sessions() >= Limits::default().sessions {
                self.gone.extend(self.server.expire(now));
            }
            let answer = match self.server.take(now, from, &octets[..length]) {
                Ok(FromClient::Request { session, line }) => {
                    let peer = *self.peers.entry(session).or_insert_with(&mut new_peer);
                    self.sessions.insert(peer, session);
                    asks.push((peer, read_ask(line)));
                    None
                }
                Ok(FromClient::Known { answer }) => Some(answer),
                Ok(FromClient::Waiting) => None,
                Err(refused) => {
                    *match refused.why {
                        Unsealed::Malformed => &mut counters.malformed,
                        Unsealed::OtherVersion { .. } => &mut counters.other_version,
                        Unsealed::WrongKey => &mut counters.wrong_key,
                        Unsealed::Replayed => &mut counters.replayed,
                        Unsealed::UnknownSession => &mut counters.unknown_session,
                        Unsealed::Full => &mut counters.full,
                    } += 1;
                    refused.answer
                }
            };
            if let Some(answer) = answer {
                let _ = self.socket.send_to(&answer, from);
            }
        }
    }

    /// Tells something, if the peer is one of these. A notice that is lost is counted.
    pub(crate) fn tell(&mut self, peer: Peer, message: &Message, counters: &mut ChannelCounters) {
        let Some(session) = self.sessions.get(&peer) else {
            return;
        };
        let line = line(message);
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let sealed = match message {
            Message::Answer(answer) => self.server.seal_answer(session, answer.id, line),
            Message::Notice(_) => self.server.seal_notice(session, line),
        };
        let sent =
            sealed.map(|(address, datagram)| self.socket.send_to(&datagram, address).is_ok());
        if sent == Some(false) && matches!(message, Message::Notice(_)) {
            counters.notices_lost += 1;
        }
    }

    /// When [`Datagrams::expire`] is to be called.
    pub(crate) fn deadline(&self) -> Duration {
        self.next_expiry
    }

    /// Forgets who has been silent for long: those it gives.
    pub(crate) fn expire(&mut self, now: Duration) -> Vec<Peer> {
        if now >= self.next_expiry {
            self.next_expiry = now + Duration::from_secs(5);
            self.gone.extend(self.server.expire(now));
        }
        self.gone
            .drain(..)
            .filter_map(|session| self.peers.remove(&session))
            .inspect(|peer| {
                self.sessions.remove(peer);
            })
            .collect()
    }
}
