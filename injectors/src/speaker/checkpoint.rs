//! The checkpoint: the file from which a restarted process carries on with one session.
//!
//! *Assumes* one process at a time that writes it, and a file system that renames atomically.
//! *Guarantees*, after a SIGKILL at any instant, the state that the last complete [`append`] left:
//! an entry that is incomplete at the end is dropped, since nothing hung on it yet; and that damage
//! anywhere else is refused, never misread. Against the death of the machine this holds with
//! [`Durability::Machine`] alone.
//!
//! The order is the caller's part: an entry is appended before the world can see what it tells
//! (octets before they are written to the socket, an offset of input before TCPR acknowledges it, a
//! record before it is recovered with).
//!
//! What was announced is not kept a second time: the octets that were sent say it. Once most of
//! them are acknowledged and the file has grown well beyond what it stands for, [`compact`]
//! replaces them.
//!
//! [`append`]: Checkpoint::append
//! [`compact`]: Checkpoint::compact

mod format;
mod restored;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tcpr::{Durability, Record};
use thiserror::Error;

use super::rib::AdjRibOut;
use super::session::Negotiated;
use format::{Kind, framed};
use restored::{Content, Snapshot};
pub use restored::{Restored, SentLog};

/// The version of the format.
pub const FORMAT: u32 = 1;
/// A log below this is not compacted, octets: it is read in some milliseconds.
const WORTH_COMPACTING: u64 = 4 << 20;

/// Whose checkpoint it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Address of the peer.
    pub peer: Ipv4Addr,
    /// Its AS number.
    pub peer_asn: u32,
    /// Our AS number.
    pub asn: u32,
    /// Our BGP Identifier.
    pub router_id: Ipv4Addr,
}

/// What is to be known after a restart.
#[derive(Debug, Clone, Copy)]
pub enum Entry<'a> {
    /// TCPR's record of the connection: the first, and the next before each recovery.
    Record(&'a Record),
    /// Complete messages, as they are about to be written to the connection.
    Sent(&'a [u8]),
    /// How many octets of complete messages were taken, from the beginning of the connection.
    Received(u64),
    /// What both OPENs make of the session.
    Negotiated(&'a Negotiated),
    /// The session is Established.
    Established,
}

/// Why there is no checkpoint to go on with.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The system refuses.
    #[error("cannot {doing} the checkpoint {path}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// There is no file.
    #[error("there is no checkpoint {path}")]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file is not what was written.
    #[error(
        "the checkpoint {path} is damaged at octet {at}: {what}; the session cannot be carried on, \
         and begins anew"
    )]
    Damaged {
        /// Where it is.
        path: PathBuf,
        /// Where in the file the damage shows.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// Another version has written it.
    #[error(
        "the checkpoint {path} has format {given}, and this program reads format {FORMAT}; the \
         session begins anew"
    )]
    Version {
        /// Where it is.
        path: PathBuf,
        /// Its format.
        given: u32,
    },
    /// It is of another session.
    #[error(
        "the checkpoint {path} is of AS {} ({}) with peer {} of AS {}, and the configuration says \
         AS {} ({}) with peer {} of AS {}; the session begins anew",
        given.asn, given.router_id, given.peer, given.peer_asn,
        expected.asn, expected.router_id, expected.peer, expected.peer_asn
    )]
    Another {
        /// Where it is.
        path: PathBuf,
        /// Of whom it is.
        given: Header,
        /// Of whom it should be.
        expected: Header,
    },
    /// What the peer lacks was compacted away, or never was there.
    #[error(
        "the checkpoint {path} has octets {begin} to {end} of the output, and the peer lacks those \
         from {from} on; the session begins anew"
    )]
    NotKept {
        /// Where it is.
        path: PathBuf,
        /// The first octet that is asked for.
        from: u64,
        /// The first octet that it has.
        begin: u64,
        /// The end of what it has.
        end: u64,
    },
}

/// A checkpoint that is written.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    header: Header,
    durability: Durability,
    file: File,
    /// Octets of complete entries.
    length: u64,
    /// Octets of the file when it began or was compacted.
    compacted: u64,
    /// Octets of output that it accounts for.
    sent: u64,
    /// Half an entry may stand at the end.
    torn: bool,
}

impl Checkpoint {
    /// Begins a checkpoint in place of what is there.
    ///
    /// # Errors
    ///
    /// If it cannot be written; then what was there is there still.
    pub fn create(
        path: &Path,
        header: Header,
        durability: Durability,
    ) -> Result<Checkpoint, CheckpointError> {
        let first = format::header(&header);
        let file = replace(path, &first, durability).map_err(doing("create", path))?;
        Ok(Checkpoint {
            path: path.to_owned(),
            header,
            durability,
            file,
            length: first.len() as u64,
            compacted: first.len() as u64,
            sent: 0,
            torn: false,
        })
    }

    /// Reads the checkpoint of a predecessor, to go on with it.
    ///
    /// # Errors
    ///
    /// If there is none, it is another's, or it is damaged.
    pub fn open(
        path: &Path,
        expected: Header,
        durability: Durability,
    ) -> Result<Restored, CheckpointError> {
        let image = fs::read(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => CheckpointError::Missing { path: path.into() },
            _ => doing("read", path)(source),
        })?;
        let content = Content::read(path, &image, &expected)?;
        let file = OpenOptions::new().append(true).open(path);
        let file = file.map_err(doing("open", path))?;
        let mut checkpoint = Checkpoint {
            path: path.to_owned(),
            header: expected,
            durability,
            file,
            length: content.length as u64,
            compacted: content.compacted as u64,
            sent: content.end(),
            // What a killed predecessor has written of one more entry.
            torn: content.length < image.len(),
        };
        checkpoint.cut().map_err(doing("cut", path))?;
        Ok(Restored::new(checkpoint, content, image))
    }

    /// Appends an entry. After an error nothing of it is there.
    ///
    /// # Errors
    ///
    /// If it cannot be written: what it tells must not happen then.
    pub fn append(&mut self, entry: Entry<'_>) -> Result<(), CheckpointError> {
        let json = "a plain structure";
        let octets = match entry {
            Entry::Record(record) => {
                framed(Kind::Record, &[&serde_json::to_vec(record).expect(json)])
            }
            Entry::Sent(messages) => framed(Kind::Sent, &[messages]),
            Entry::Received(offset) => framed(Kind::Received, &[&offset.to_be_bytes()]),
            Entry::Negotiated(negotiated) => {
                let text = serde_json::to_vec(negotiated).expect(json);
                framed(Kind::Negotiated, &[&text])
            }
            Entry::Established => framed(Kind::Established, &[]),
        };
        self.write(&octets)
            .map_err(doing("append to", &self.path))?;
        self.length += octets.len() as u64;
        if let Entry::Sent(messages) = entry {
            self.sent += messages.len() as u64;
        }
        Ok(())
    }

    /// Octets of output that it accounts for, from the beginning of the connection.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether the file has grown well beyond what it stands for, if the peer has acknowledged
    /// this much of the output.
    #[must_use]
    pub fn is_worth_compacting(&self, acknowledged: u64) -> bool {
        let unacknowledged = self.sent.saturating_sub(acknowledged);
        let log = self.length - self.compacted;
        log.saturating_sub(unacknowledged) > WORTH_COMPACTING.max(2 * self.compacted)
    }

    /// Replaces the log by what the peer was told, and by the octets that it has not acknowledged.
    ///
    /// # Errors
    ///
    /// If the new file cannot be written; then the old one is gone on with.
    pub fn compact(&mut self, acknowledged: u64, told: &AdjRibOut) -> Result<(), CheckpointError> {
        let image = fs::read(&self.path).map_err(doing("read", &self.path))?;
        let content = Content::read(&self.path, &image, &self.header)?;
        let log = SentLog::new(self.path.clone(), content.clone(), image);
        let begin = acknowledged.clamp(log.begin(), log.end());
        let unacknowledged = log.octets(begin)?;
        let mut new = format::header(&self.header);
        new.extend(Snapshot::framed(&content, begin, &unacknowledged, told));
        self.file =
            replace(&self.path, &new, self.durability).map_err(doing("compact", &self.path))?;
        self.length = new.len() as u64;
        self.compacted = self.length;
        self.torn = false;
        Ok(())
    }

    /// Removes the file: the session is over.
    ///
    /// # Errors
    ///
    /// If it cannot be removed.
    pub fn remove(self) -> Result<(), CheckpointError> {
        fs::remove_file(&self.path).map_err(doing("remove", &self.path))
    }

    fn write(&mut self, entry: &[u8]) -> io::Result<()> {
        // Half an entry must not stand before this one: a reader would take this one for its rest.
        self.cut()?;
        self.torn = true;
        let written = self.file.write_all(entry).and_then(|()| self.sync());
        match written {
            Ok(()) => self.torn = false,
            // If this fails too, the next entry begins with it.
            Err(_) => drop(self.cut()),
        }
        written
    }

    /// Cuts the file after its last complete entry.
    fn cut(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.length)?;
            self.sync()?;
            self.torn = false;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        match self.durability {
            Durability::Process => Ok(()),
            Durability::Machine => self.file.sync_data(),
        }
    }
}

fn doing(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    let path = path.to_owned();
    move |source| CheckpointError::Io {
        doing,
        path,
        source,
    }
}

/// Where a new file is written before it takes the old one's place.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// Puts a file in the place of another at once, and opens it to be appended to.
fn replace(path: &Path, octets: &[u8], durability: Durability) -> io::Result<File> {
    let new = beside(path);
    // One that a killed process left is of no use: it never took its place.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    let written = file.write_all(octets).and_then(|()| match durability {
        Durability::Process => Ok(()),
        Durability::Machine => file.sync_all(),
    });
    if let Err(error) = written.and_then(|()| fs::rename(&new, path)) {
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    if durability == Durability::Machine {
        let folder = path.parent().filter(|f| !f.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(file)
}
