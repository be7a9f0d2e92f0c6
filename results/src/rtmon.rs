//! `routes.rtmon`: what a node's kernel said about routes, links, addresses and nexthops, in
//! the file format of iproute2's `rtmon`.
//!
//! *Assumes* that a file is read on a machine of the byte order and layout it was written with
//! (netlink is in the host's order), and that timestamps are below 2^32 seconds. *Guarantees*
//! that each message stands in the file octet for octet as the kernel sent it, so that
//! `ip -ts monitor file F` replays it; that a file cut short gives everything that is whole and
//! then says where it ends; and that no input makes the reader panic.
//!
//! A file is a sequence of netlink messages, each padded to four octets. A message of type
//! NLMSG_TSTAMP carries `{u32 seconds, u32 microseconds}` and dates all messages up to the next
//! one (`rtmon` writes the tables as they stand with a single timestamp in front).

mod record;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub use record::{Address, Link, NextHop, NexthopObject, Op, Record, Route, RouteKind, parse};

/// iproute2's type of a message that dates those that follow it (`NLMSG_TSTAMP`).
pub const NLMSG_TSTAMP: u16 = 15;

/// Octets of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Octets of a whole timestamp record.
const TSTAMP_RECORD: usize = HEADER + 8;

/// Octets that a record of `len` takes in the file (`NLMSG_ALIGN`).
const fn align(len: usize) -> usize {
    len.next_multiple_of(4)
}

/// Appends records to an rtmon file.
#[derive(Debug)]
pub struct Writer<W: Write> {
    inner: W,
    scratch: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// A writer that begins where `inner` stands. Every record is one `write_all`; wrap `inner`
    /// into a [`std::io::BufWriter`] where that is too many system calls.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            scratch: Vec::new(),
        }
    }

    /// Appends one raw netlink message, dated `wall_ns` nanoseconds since the epoch. The format
    /// holds microseconds: the rest is cut off, not rounded, so that no record is dated later
    /// than it was read.
    ///
    /// # Errors
    /// `InvalidInput` if `message` is not one whole netlink message, or the time is beyond the
    /// year 2106; otherwise what writing gave.
    pub fn write(&mut self, wall_ns: u64, message: &[u8]) -> io::Result<()> {
        let len = message
            .first_chunk::<4>()
            .map(|b| u32::from_ne_bytes(*b) as usize)
            .filter(|&len| len >= HEADER && align(len) >= message.len() && len <= message.len())
            .ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("{} octets are not one whole netlink message", message.len()),
                )
            })?;
        let sec = u32::try_from(wall_ns / 1_000_000_000).map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{wall_ns} ns since the epoch does not fit an rtmon timestamp"),
            )
        })?;
        let usec = (wall_ns % 1_000_000_000 / 1_000) as u32;

        self.scratch.clear();
        self.scratch
            .extend_from_slice(&(TSTAMP_RECORD as u32).to_ne_bytes());
        self.scratch.extend_from_slice(&NLMSG_TSTAMP.to_ne_bytes());
        self.scratch.extend_from_slice(&[0; 10]); // flags, sequence, port: zero, as rtmon has it
        self.scratch.extend_from_slice(&sec.to_ne_bytes());
        self.scratch.extend_from_slice(&usec.to_ne_bytes());
        self.scratch.extend_from_slice(&message[..len]);
        self.scratch.resize(TSTAMP_RECORD + align(len), 0);
        self.inner.write_all(&self.scratch)
    }

    /// Hands everything written so far to the operating system.
    ///
    /// # Errors
    /// What flushing gave.
    pub fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }

    /// What is written to.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// What was written to.
    pub fn into_inner(self) -> W {
        self.inner
    }
}

/// Why a record of an rtmon file could not be read. Offsets count octets from the start of the
/// file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RtmonError {
    /// The file ends inside a record: its writer was stopped, or its disk was full. The last
    /// error that a reader gives.
    #[error(
        "the file ends inside the record at offset {offset}: {left} of its {wanted} octets are there"
    )]
    CutShort {
        /// Where the record begins.
        offset: usize,
        /// How long it says it is.
        wanted: usize,
        /// How much of it there is.
        left: usize,
    },
    /// A record's length is impossible: the file is damaged from here on. The last error that a
    /// reader gives.
    #[error(
        "the record at offset {offset} has the impossible length {length}: nothing after it can be read"
    )]
    BadLength {
        /// Where the record begins.
        offset: usize,
        /// The length it gives.
        length: usize,
    },
    /// A record is whole and its content makes no sense; the next one can be read.
    #[error(
        "the record at offset {offset} (netlink message type {message_type}) cannot be understood"
    )]
    Damaged {
        /// Where the record begins.
        offset: usize,
        /// Its netlink message type.
        message_type: u16,
    },
    /// A record comes before the first timestamp; the next one can be read.
    #[error("the record at offset {offset} has no timestamp before it")]
    Undated {
        /// Where the record begins.
        offset: usize,
    },
}

/// One netlink message of a file, and where it begins.
struct Framed<'a> {
    offset: usize,
    message_type: u16,
    message: &'a [u8],
}

/// Iterates over the records of an rtmon file: `(nanoseconds since the epoch, record)`.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
    wall_ns: Option<u64>,
}

impl<'a> Reader<'a> {
    /// A reader of the whole content of a file.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            offset: 0,
            wall_ns: None,
        }
    }

    /// The next netlink message, timestamps included.
    fn next_message(&mut self) -> Option<Result<Framed<'a>, RtmonError>> {
        let offset = self.offset;
        let rest = &self.bytes[offset..];
        if rest.is_empty() {
            return None;
        }
        let left = rest.len();
        let Some(header) = rest.first_chunk::<HEADER>() else {
            self.offset = self.bytes.len();
            return Some(Err(RtmonError::CutShort {
                offset,
                wanted: HEADER,
                left,
            }));
        };
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let message_type = u16::from_ne_bytes([header[4], header[5]]);
        if length < HEADER {
            self.offset = self.bytes.len();
            return Some(Err(RtmonError::BadLength { offset, length }));
        }
        if length > left {
            self.offset = self.bytes.len();
            return Some(Err(RtmonError::CutShort {
                offset,
                wanted: length,
                left,
            }));
        }
        // The padding of the very last record may be missing: nothing is lost with it.
        self.offset = (offset + align(length)).min(self.bytes.len());
        Some(Ok(Framed {
            offset,
            message_type,
            message: &rest[..length],
        }))
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<(u64, Record), RtmonError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Framed {
                offset,
                message_type,
                message,
            } = match self.next_message()? {
                Ok(m) => m,
                Err(e) => return Some(Err(e)),
            };
            if message_type == NLMSG_TSTAMP {
                let Some(stamp) = message[HEADER..].first_chunk::<8>() else {
                    return Some(Err(RtmonError::Damaged {
                        offset,
                        message_type,
                    }));
                };
                let [a, b, c, d, e, f, g, h] = *stamp;
                let sec = u64::from(u32::from_ne_bytes([a, b, c, d]));
                let usec = u64::from(u32::from_ne_bytes([e, f, g, h]));
                self.wall_ns = Some(sec * 1_000_000_000 + usec * 1_000);
                continue;
            }
            let Some(record) = parse(message) else {
                return Some(Err(RtmonError::Damaged {
                    offset,
                    message_type,
                }));
            };
            return Some(match self.wall_ns {
                Some(wall_ns) => Ok((wall_ns, record)),
                None => Err(RtmonError::Undated { offset }),
            });
        }
    }
}

/// Why an rtmon file could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {source}", path.display())]
pub struct RtmonFileError {
    /// The file.
    pub path: PathBuf,
    /// What reading gave.
    pub source: io::Error,
}

/// The whole content of an rtmon file, for a [`Reader`].
///
/// # Errors
/// If the file cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, RtmonFileError> {
    std::fs::read(path).map_err(|source| RtmonFileError {
        path: path.to_owned(),
        source,
    })
}
