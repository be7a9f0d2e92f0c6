//! Messages as lines.
//!
//! *Assumes* nothing of the octets that come in.
//! *Guarantees* that at most one line of bounded length is buffered, that a longer one is told once
//! and skipped to its end, and that no octets cause a panic.

use serde::{Deserialize, Serialize};

use super::{Answer, Ask, Fault, Message, PROTOCOL_VERSION, Reply};

/// Longest line that a server takes, in octets, without its end.
pub const REQUEST_LIMIT: usize = 16 << 10;

/// Longest line that a client takes: a page of connections is longer than a request.
pub const MESSAGE_LIMIT: usize = 4 << 20;

/// Cuts a stream of octets into lines.
#[derive(Debug)]
pub struct Lines {
    buffer: Vec<u8>,
    /// Octets of `buffer` that are done with.
    taken: usize,
    /// Octets of `buffer` that are known to have no line end.
    searched: usize,
    limit: usize,
    skipping: bool,
}

/// A line was longer than it may be, and is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line of more than {limit} octets")]
pub struct TooLong {
    /// How long it may be.
    pub limit: usize,
}

impl Lines {
    /// Nothing read yet; lines have at most `limit` octets.
    #[must_use]
    pub fn new(limit: usize) -> Lines {
        Lines {
            buffer: Vec::new(),
            taken: 0,
            searched: 0,
            limit,
            skipping: false,
        }
    }

    /// Adds octets. Call [`Lines::line`] until it has no more before adding others.
    pub fn push(&mut self, octets: &[u8]) {
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.searched -= self.taken;
            self.taken = 0;
        }
        self.buffer.extend_from_slice(octets);
    }

    /// The next line that is complete, without its end.
    pub fn line(&mut self) -> Option<Result<&[u8], TooLong>> {
        loop {
            let end = self.buffer[self.searched..]
                .iter()
                .position(|&octet| octet == b'\n');
            let Some(end) = end.map(|at| self.searched + at) else {
                self.searched = self.buffer.len();
                let over = self.buffer.len() - self.taken > self.limit;
                if self.skipping || over {
                    self.buffer.clear();
                    (self.taken, self.searched) = (0, 0);
                }
                if over && !self.skipping {
                    self.skipping = true;
                    return Some(Err(TooLong { limit: self.limit }));
                }
                return None;
            };
            let start = self.taken;
            (self.taken, self.searched) = (end + 1, end + 1);
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if end - start > self.limit {
                return Some(Err(TooLong { limit: self.limit }));
            }
            return Some(Ok(&self.buffer[start..end]));
        }
    }
}

/// A message as a line, its end included.
#[must_use]
pub fn line<M: Serialize>(message: &M) -> Vec<u8> {
    // Of our types none fails: their maps have string keys.
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Reads a request.
///
/// # Errors
///
/// What is to be answered if it is none: with the number of the request, if that can be read.
pub fn read_ask(line: &[u8]) -> Result<Ask, Box<Answer>> {
    serde_json::from_slice(line).map_err(|error| {
        let id = numbered(line).unwrap_or(0);
        let fault = match serde_json::from_slice::<AnyHello>(line) {
            // A later version may have changed everything but this.
            Ok(AnyHello { request, version }) if request == "hello" => Fault::Version {
                given: version,
                spoken: PROTOCOL_VERSION,
            },
            _ => Fault::Malformed {
                detail: error.to_string(),
            },
        };
        Box::new(Answer {
            id,
            reply: Reply::Faulty(fault),
        })
    })
}

/// Reads what came from TCPR.
///
/// # Errors
///
/// If it is no message.
pub fn read_message(line: &[u8]) -> Result<Message, serde_json::Error> {
    serde_json::from_slice(line)
}

/// The number of a request or a reply, if it has one.
#[must_use]
pub fn numbered(line: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Numbered {
        id: u64,
    }
    serde_json::from_slice::<Numbered>(line)
        .ok()
        .map(|numbered| numbered.id)
}

#[derive(Deserialize)]
struct AnyHello {
    request: String,
    version: u32,
}
