//! One application on the Unix socket.
//!
//! *Assumes* that the socket does not block, and that the loop calls again when it is readable, or
//! writable while [`Stream::is_behind`].
//! *Guarantees* that an application which does not read keeps nobody waiting: acknowledgments wait
//! for it coalesced, its requests are not read while its replies are not, and beyond [`LIMIT`]
//! octets of notices it is given up.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use tcpr_core::Flow;

use crate::protocol::{
    Answer, Ask, Fault, Lines, Message, Notice, REQUEST_LIMIT, Reply, line, read_ask,
};

/// An application that is so many octets behind is given up.
const LIMIT: usize = 16 << 20;

/// An application that is so many octets behind is not heard.
const PATIENCE: usize = 64 << 10;

/// So much is read at a time.
const CHUNK: usize = 16 << 10;

/// Acknowledgments wait while so much is under way: only the last one counts.
const FULL: usize = 16 << 10;

#[derive(Debug)]
pub(crate) struct Stream {
    stream: UnixStream,
    lines: Lines,
    output: Vec<u8>,
    /// Octets of `output` that are sent.
    sent: usize,
    acked: BTreeMap<Flow, u64>,
}

/// The application does not read what it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the application has not read {LIMIT} octets of notices")]
pub(crate) struct TooSlow;

impl Stream {
    pub(crate) fn new(stream: UnixStream) -> io::Result<Stream> {
        stream.set_nonblocking(true)?;
        Ok(Stream {
            stream,
            lines: Lines::new(REQUEST_LIMIT),
            output: Vec::new(),
            sent: 0,
            acked: BTreeMap::new(),
        })
    }

    /// Whether something is to be written when it can be.
    pub(crate) fn is_behind(&self) -> bool {
        self.behind() > 0
    }

    /// Whether its requests are to be heard now.
    pub(crate) fn is_heard(&self) -> bool {
        self.behind() <= PATIENCE
    }

    fn behind(&self) -> usize {
        self.output.len() - self.sent
    }

    /// Hears some requests. `false`: the application has gone.
    pub(crate) fn hear(&mut self, asks: &mut Vec<Result<Ask, Box<Answer>>>) -> bool {
        let mut octets = [0; CHUNK];
        let read = match self.stream.read(&mut octets) {
            Ok(0) => return false,
            Ok(read) => read,
            Err(e) => return matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        };
        self.lines.push(&octets[..read]);
        while let Some(line) = self.lines.line() {
            asks.push(match line {
                Ok(line) => read_ask(line),
                Err(too_long) => Err(Box::new(Answer {
                    id: 0,
                    reply: Reply::Faulty(Fault::TooLong {
                        limit: too_long.limit,
                    }),
                })),
            });
        }
        true
    }

    /// Tells something, as soon as the application reads. [`Stream::flush`] sends it.
    pub(crate) fn tell(&mut self, message: &Message) -> Result<(), TooSlow> {
        if let Message::Notice(notice) = message {
            if self.behind() > LIMIT {
                return Err(TooSlow);
            }
            match notice {
                Notice::Acked { flow, offset } if self.behind() > FULL => {
                    self.acked.insert(*flow, *offset);
                    return Ok(());
                }
                Notice::Removed { flow } => {
                    self.acked.remove(flow);
                }
                _ => {}
            }
        }
        self.output.extend_from_slice(&line(message));
        Ok(())
    }

    /// Sends what the socket takes. `false`: the application has gone.
    pub(crate) fn flush(&mut self) -> bool {
        loop {
            if !self.is_behind() {
                self.output.clear();
                self.sent = 0;
                for (flow, offset) in std::mem::take(&mut self.acked) {
                    let notice = Message::Notice(Notice::Acked { flow, offset });
                    self.output.extend_from_slice(&line(&notice));
                }
                if self.output.is_empty() {
                    if self.output.capacity() > PATIENCE {
                        self.output = Vec::new();
                    }
                    return true;
                }
            }
            match self.stream.write(&self.output[self.sent..]) {
                Ok(0) => return false,
                Ok(written) => self.sent += written,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => {
                    // What is sent makes room now and then, not each time.
                    if self.sent > PATIENCE {
                        self.output.drain(..self.sent);
                        self.sent = 0;
                    }
                    return e.kind() == ErrorKind::WouldBlock;
                }
            }
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::io::{BufRead, BufReader};

    use super::*;
    use crate::protocol::read_message;

    fn flow() -> Flow {
        Flow {
            local: "198.18.0.1:179".parse().unwrap(),
            remote: "198.18.0.2:4000".parse().unwrap(),
        }
    }

    fn acked(offset: u64) -> Message {
        let flow = flow();
        Message::Notice(Notice::Acked { flow, offset })
    }

    #[test]
    fn to_one_who_does_not_read_acknowledgments_take_no_memory() {
        let (near, far) = UnixStream::pair().unwrap();
        let mut stream = Stream::new(near).unwrap();
        for offset in 1..=200_000 {
            stream.tell(&acked(offset)).unwrap();
            assert!(stream.flush());
        }
        assert!(stream.behind() <= 2 * FULL, "{}", stream.behind());
        // When it reads, the last one comes, and none goes back.
        far.set_nonblocking(true).unwrap();
        let mut far = BufReader::new(far);
        let mut last = 0;
        let mut line = String::new();
        loop {
            line.clear();
            match far.read_line(&mut line) {
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    if stream.is_behind() {
                        assert!(stream.flush());
                        continue;
                    }
                    break;
                }
                Err(e) => panic!("{e}"),
            }
            match read_message(line.as_bytes()).unwrap() {
                Message::Notice(Notice::Acked { offset, .. }) => {
                    assert!(offset > last);
                    last = offset;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(last, 200_000);
    }

    #[test]
    fn one_who_reads_no_notices_is_given_up() {
        let (near, _far) = UnixStream::pair().unwrap();
        let mut stream = Stream::new(near).unwrap();
        let failed = Message::Notice(Notice::Failed { flow: flow() });
        let mut told = 0_usize;
        while stream.tell(&failed).is_ok() {
            assert!(stream.flush());
            told += 1;
            assert!(told < 10 * LIMIT);
        }
        assert!(stream.behind() < LIMIT + 1024);
        assert!(!stream.is_heard());
    }

    #[test]
    fn requests_are_heard_in_pieces_and_garbage_is_answered() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut stream = Stream::new(near).unwrap();
        let mut heard = Vec::new();
        far.write_all(b"{\"id\":7,\"request\":\"coun").unwrap();
        assert!(stream.hear(&mut heard));
        assert!(heard.is_empty());
        far.write_all(b"ters\"}\nnonsense\n").unwrap();
        assert!(stream.hear(&mut heard));
        assert_eq!(heard.len(), 2);
        assert_eq!(heard[0].as_ref().unwrap().id, 7);
        let fault = heard[1].as_ref().unwrap_err();
        assert!(matches!(
            fault.reply,
            Reply::Faulty(Fault::Malformed { .. })
        ));
        drop(far);
        assert!(!stream.hear(&mut heard));
        assert_eq!(heard.len(), 2);
    }
}
