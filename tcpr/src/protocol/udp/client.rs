//! The client's end of sealed datagrams, without a socket.
//!
//! *Assumes* that every nonce it is given is fresh.
//! *Guarantees* that a message is taken only from the server that has answered this client's own
//! nonce, and that an open session stays in use until another one is accepted.

use super::{
    ACCEPT, CHALLENGE, HELLO, Key, Keys, MESSAGE, NONCE, Nonce, OTHER_VERSION, PROOF, REQUEST,
    SESSION, STALE, Seal, Unsealed, Window, carried, carry, handshake, handshake_seal, parse,
};

/// What came from the server.
#[derive(Debug, PartialEq, Eq)]
pub enum FromServer<'a> {
    /// To be sent at once.
    Send(Vec<u8>),
    /// A session is open. If there was one before, it is over.
    Opened,
    /// A message.
    Message(&'a [u8]),
    /// The server does not know our session: [`Client::begin`] another one.
    Stale,
    /// Something late.
    Nothing,
}

/// The client's end.
pub struct Client {
    key: Key,
    handshake: Seal,
    begun: Option<Begun>,
    open: Option<Open>,
}

struct Begun {
    nonce: Nonce,
    keys: Option<Keys>,
    /// HELLO or PROOF.
    datagram: Vec<u8>,
}

struct Open {
    keys: Keys,
    window: Window,
    counter: u64,
}

impl Client {
    /// No session yet.
    #[must_use]
    pub fn new(key: Key) -> Client {
        let handshake = handshake_seal(&key);
        Client {
            key,
            handshake,
            begun: None,
            open: None,
        }
    }

    /// Begins a session. An open one stays until the new one is there.
    pub fn begin(&mut self, nonce: Nonce) {
        let datagram = handshake(&self.handshake, HELLO, &nonce, &[]);
        self.begun = Some(Begun {
            nonce,
            keys: None,
            datagram,
        });
    }

    /// What is to be sent, and repeated until it is answered, if a session was begun.
    #[must_use]
    pub fn unanswered(&self) -> Option<&[u8]> {
        self.begun.as_ref().map(|begun| &*begun.datagram)
    }

    /// Whether a session is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Seals a request; nothing if no session is open.
    pub fn seal(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        let open = self.open.as_mut()?;
        let counter = open.counter;
        open.counter += 1;
        Some(carry(
            &open.keys.to_server,
            REQUEST,
            &open.keys.id,
            counter,
            line,
        ))
    }

    /// Takes a datagram.
    ///
    /// # Errors
    ///
    /// If it was refused; then nothing has changed.
    pub fn take<'a>(&mut self, datagram: &'a [u8]) -> Result<FromServer<'a>, Unsealed> {
        let (kind, body) = parse(datagram)?;
        match kind {
            CHALLENGE => {
                self.handshake.open(datagram)?;
                let Some(begun) = self
                    .begun
                    .as_mut()
                    .filter(|begun| begun.nonce == body[..NONCE])
                else {
                    return Ok(FromServer::Nothing);
                };
                // Of several challenges to a repeated HELLO any will do; the first is kept.
                if begun.keys.is_some() {
                    return Ok(FromServer::Nothing);
                }
                let server = &body[NONCE..2 * NONCE];
                let keys = Keys::agree(&self.key, &begun.nonce, server);
                begun.datagram = handshake(&keys.to_server, PROOF, &begun.nonce, server);
                begun.keys = Some(keys);
                Ok(FromServer::Send(begun.datagram.clone()))
            }
            ACCEPT => {
                let ours = self
                    .begun
                    .as_ref()
                    .filter(|begun| begun.nonce == body[..NONCE]);
                let Some(keys) = ours.and_then(|begun| begun.keys.as_ref()) else {
                    return Ok(FromServer::Nothing);
                };
                keys.to_client.open(datagram)?;
                let keys = self.begun.take().and_then(|begun| begun.keys);
                self.open = keys.map(|keys| Open {
                    keys,
                    window: Window::default(),
                    counter: 0,
                });
                Ok(FromServer::Opened)
            }
            MESSAGE => {
                let (id, counter, line) = carried(datagram);
                let open = self.open.as_mut().filter(|open| open.keys.id == id);
                let open = open.ok_or(Unsealed::UnknownSession)?;
                open.keys.to_client.open(datagram)?;
                if !open.window.take(counter) {
                    return Err(Unsealed::Replayed);
                }
                Ok(FromServer::Message(line))
            }
            STALE => {
                self.handshake.open(datagram)?;
                let ours = self
                    .open
                    .as_ref()
                    .is_some_and(|open| open.keys.id == body[..SESSION]);
                Ok(if ours {
                    FromServer::Stale
                } else {
                    FromServer::Nothing
                })
            }
            OTHER_VERSION => {
                // In our version: it says that the server knows no other than this.
                self.handshake.open(datagram)?;
                Ok(FromServer::Nothing)
            }
            _ => Err(Unsealed::Malformed),
        }
    }
}
