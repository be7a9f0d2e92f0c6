//! Sealed datagrams: the protocol for a middlebox on another host.
//!
//! *Assumes* a key that only the two ends have, and nothing of the network: whoever is on it may
//! read, repeat, change, invent and swallow datagrams.
//! *Guarantees* that a message is taken only if the other end has made it, in this session, in this
//! direction, and once; and that nothing is remembered of anyone who has not proven the key. It
//! does not hide what is said.
//!
//! A session begins with nonces of both sides (HELLO, CHALLENGE, PROOF, ACCEPT). The server's is
//! made from a secret of its start, so that it needs to remember none, and what was recorded before
//! a restart proves nothing after it. Keys of the session come from both nonces, one for each
//! direction; every datagram has a counter, which is taken once.

mod client;
mod key;
mod server;
mod window;

use std::net::SocketAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

pub use client::{Client, FromServer};
pub use key::{Key, KeyError};
pub use server::{FromClient, Limits, Refused, Server};
pub use window::Window;

/// Longest datagram, in octets.
pub const DATAGRAM_LIMIT: usize = 16 << 10;

/// What sealing adds to a message, in octets.
pub const OVERHEAD: usize = HEADER + SESSION + COUNTER + MAC;

const MAGIC: &[u8; 4] = b"TCPR";
const VERSION: u8 = 1;
const HEADER: usize = 6;
const NONCE: usize = 32;
const SESSION: usize = 16;
const COUNTER: usize = 8;
const MAC: usize = 32;
/// Length of HELLO, CHALLENGE, PROOF and ACCEPT: an answer is never longer than what it answers, so
/// that a server is of no use to whoever forges source addresses.
const HANDSHAKE: usize = HEADER + 2 * NONCE + MAC;

const HELLO: u8 = 1;
const CHALLENGE: u8 = 2;
const PROOF: u8 = 3;
const ACCEPT: u8 = 4;
const REQUEST: u8 = 5;
const MESSAGE: u8 = 6;
const STALE: u8 = 7;
const OTHER_VERSION: u8 = 8;

/// A number that is used once, by whom it comes from.
pub type Nonce = [u8; NONCE];

/// Names a session.
pub type SessionId = [u8; SESSION];

/// Why a datagram was refused. It has changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsealed {
    /// It is none of ours.
    #[error("not a datagram of this protocol")]
    Malformed,
    /// It is sealed in another way.
    #[error("sealed in version {given}, and this is version {VERSION}")]
    OtherVersion {
        /// Its version.
        given: u8,
    },
    /// It was not made with our key, or was changed on its way.
    #[error("not sealed with our key")]
    WrongKey,
    /// It was taken already, or is too old to tell.
    #[error("seen before")]
    Replayed,
    /// It belongs to no session that is known.
    #[error("of no known session")]
    UnknownSession,
    /// Too many sessions.
    #[error("too many sessions")]
    Full,
}

/// A nonce from the kernel's random numbers.
///
/// # Errors
///
/// If the kernel has none.
pub fn fresh_nonce() -> std::io::Result<Nonce> {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).map_err(std::io::Error::other)?;
    Ok(nonce)
}

/// Makes and checks message authentication codes with one key (RFC 2104, FIPS 198-1).
#[derive(Clone)]
struct Seal(Hmac<Sha256>);

impl Seal {
    fn new(key: &[u8]) -> Seal {
        // HMAC takes keys of every length; a zero-length key is what an error would amount to, and
        // `Key` allows none below 32 octets.
        #[expect(clippy::expect_used, reason = "HMAC has no invalid key length")]
        Seal(Hmac::new_from_slice(key).expect("HMAC takes keys of every length"))
    }

    fn derive(&self, parts: &[&[u8]]) -> [u8; MAC] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// Adds the code of all that is there.
    fn close(&self, mut datagram: Vec<u8>) -> Vec<u8> {
        let mac = self.derive(&[&datagram]);
        datagram.extend_from_slice(&mac);
        datagram
    }

    /// What lies before the code, if the code is right. Takes the same time wherever it is wrong.
    fn open<'a>(&self, datagram: &'a [u8]) -> Result<&'a [u8], Unsealed> {
        let at = datagram.len().checked_sub(MAC).ok_or(Unsealed::Malformed)?;
        let (body, code) = datagram.split_at(at);
        let mut mac = self.0.clone();
        mac.update(body);
        mac.verify_slice(code).map_err(|_| Unsealed::WrongKey)?;
        Ok(body)
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

/// The keys of a session.
struct Keys {
    id: SessionId,
    to_server: Seal,
    to_client: Seal,
}

impl Keys {
    fn agree(key: &Key, client: &[u8], server: &[u8]) -> Keys {
        let master = Seal::new(&key.seal().derive(&[b"tcpr session", client, server]));
        let mut id = [0; SESSION];
        id.copy_from_slice(&master.derive(&[b"name"])[..SESSION]);
        Keys {
            id,
            to_server: Seal::new(&master.derive(&[b"to server"])),
            to_client: Seal::new(&master.derive(&[b"to client"])),
        }
    }
}

fn handshake_seal(key: &Key) -> Seal {
    Seal::new(&key.seal().derive(&[b"tcpr handshake"]))
}

fn header(kind: u8) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(HANDSHAKE);
    datagram.extend_from_slice(MAGIC);
    datagram.extend_from_slice(&[VERSION, kind]);
    datagram
}

/// HELLO, CHALLENGE, PROOF or ACCEPT.
fn handshake(seal: &Seal, kind: u8, first: &[u8], second: &[u8]) -> Vec<u8> {
    let mut datagram = header(kind);
    datagram.extend_from_slice(first);
    datagram.extend_from_slice(second);
    datagram.resize(HANDSHAKE - MAC, 0);
    seal.close(datagram)
}

/// A message in a session.
fn carry(seal: &Seal, kind: u8, id: &SessionId, counter: u64, line: &[u8]) -> Vec<u8> {
    let mut datagram = header(kind);
    datagram.reserve(line.len() + OVERHEAD);
    datagram.extend_from_slice(id);
    datagram.extend_from_slice(&counter.to_be_bytes());
    datagram.extend_from_slice(line);
    seal.close(datagram)
}

/// The kind of a datagram, and what follows the header. Nothing of it is proven yet.
fn parse(datagram: &[u8]) -> Result<(u8, &[u8]), Unsealed> {
    if datagram.len() > DATAGRAM_LIMIT || datagram.len() < HEADER + MAC || &datagram[..4] != MAGIC {
        return Err(Unsealed::Malformed);
    }
    let (version, kind) = (datagram[4], datagram[5]);
    if version != VERSION {
        return Err(Unsealed::OtherVersion { given: version });
    }
    let body = &datagram[HEADER..];
    let fits = match kind {
        HELLO | CHALLENGE | PROOF | ACCEPT => datagram.len() == HANDSHAKE,
        REQUEST | MESSAGE => body.len() >= SESSION + COUNTER + MAC,
        STALE => body.len() == SESSION + MAC,
        OTHER_VERSION => body.len() == MAC,
        _ => false,
    };
    if fits {
        Ok((kind, body))
    } else {
        Err(Unsealed::Malformed)
    }
}

/// Session, counter and message of a REQUEST or MESSAGE whose seal is right.
fn carried(datagram: &[u8]) -> (SessionId, u64, &[u8]) {
    let mut id = [0; SESSION];
    let mut counter = [0; COUNTER];
    id.copy_from_slice(&datagram[HEADER..][..SESSION]);
    counter.copy_from_slice(&datagram[HEADER + SESSION..][..COUNTER]);
    let line = &datagram[HEADER + SESSION + COUNTER..datagram.len() - MAC];
    (id, u64::from_be_bytes(counter), line)
}

/// An address as octets of one length.
fn address(socket: SocketAddr) -> [u8; 18] {
    let mut octets = [0; 18];
    let ip = match socket.ip() {
        std::net::IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        std::net::IpAddr::V6(ip) => ip,
    };
    octets[..16].copy_from_slice(&ip.octets());
    octets[16..].copy_from_slice(&socket.port().to_be_bytes());
    octets
}
