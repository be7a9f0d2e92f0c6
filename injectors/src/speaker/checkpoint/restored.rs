//! What a checkpoint says.
//!
//! *Assumes* entries in the order in which they were appended. *Guarantees* to read in a time of
//! milliseconds what is needed to use the connection again; what was announced takes longer, and
//! is read when it is asked for.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tcpr::Record;

use super::format::{Damage, Entries, Kind, Version, framed};
use super::{Checkpoint, CheckpointError, FORMAT, Header};
use crate::speaker::rib::AdjRibOut;
use crate::speaker::session::Negotiated;

/// What a restart goes on with.
#[derive(Debug)]
pub struct Restored {
    /// The file, to be appended to.
    pub checkpoint: Checkpoint,
    /// TCPR's record of the connection, as it was stored last.
    pub record: Option<Record>,
    /// What both OPENs made of the session.
    pub negotiated: Option<Negotiated>,
    /// Whether the session was Established.
    pub established: bool,
    /// Octets of complete messages that were taken.
    pub received: u64,
    /// What was sent.
    pub sent: SentLog,
}

impl Restored {
    pub(super) fn new(checkpoint: Checkpoint, content: Content, image: Vec<u8>) -> Restored {
        let state = content.state;
        Restored {
            record: state.record,
            negotiated: state.negotiated.clone(),
            established: state.established,
            received: state.received,
            sent: SentLog::new(checkpoint.path.clone(), Content { state, ..content }, image),
            checkpoint,
        }
    }
}

/// What was sent on the connection. It holds the whole file: drop it when it has been used.
pub struct SentLog {
    path: PathBuf,
    content: Content,
    image: Vec<u8>,
}

impl std::fmt::Debug for SentLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SentLog({}..{})", self.begin(), self.end())
    }
}

impl SentLog {
    pub(super) fn new(path: PathBuf, content: Content, image: Vec<u8>) -> SentLog {
        SentLog {
            path,
            content,
            image,
        }
    }

    /// Offset of the first octet that is kept: what is before it was acknowledged.
    #[must_use]
    pub fn begin(&self) -> u64 {
        self.content.begin
    }

    /// Offset after the last octet.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.content.end()
    }

    /// The octets from an offset on: what is to be sent again.
    ///
    /// # Errors
    ///
    /// If they are not all there.
    pub fn octets(&self, from: u64) -> Result<Vec<u8>, CheckpointError> {
        let (begin, end) = (self.begin(), self.end());
        if !(begin..=end).contains(&from) {
            return Err(CheckpointError::NotKept {
                path: self.path.clone(),
                from,
                begin,
                end,
            });
        }
        let mut octets = Vec::with_capacity(usize::try_from(end - from).unwrap_or(0));
        let mut at = begin;
        for place in &self.content.sent {
            let skipped = usize::try_from(from.saturating_sub(at)).unwrap_or(usize::MAX);
            octets.extend(self.image[place.clone()].iter().skip(skipped));
            at += place.len() as u64;
        }
        Ok(octets)
    }

    /// What was announced.
    ///
    /// # Errors
    ///
    /// If what was sent is none of our messages.
    pub fn told(&self) -> Result<AdjRibOut, CheckpointError> {
        let content = &self.content;
        let negotiated = content.state.negotiated.as_ref();
        let four_octet_as = negotiated.is_none_or(|n| n.four_octet_as);
        let mut told = AdjRibOut::new();
        // A snapshot holds what the octets before it said, the unacknowledged ones included.
        let snapshot = content.snapshot.iter().map(|place| (place, true));
        let since = &content.sent[content.replayed..];
        for (place, four) in snapshot.chain(since.iter().map(|p| (p, four_octet_as))) {
            told.take(&self.image[place.clone()], four)
                .map_err(|e| CheckpointError::Damaged {
                    path: self.path.clone(),
                    at: place.start as u64,
                    what: e.what,
                })?;
        }
        Ok(told)
    }
}

/// What entries say, the messages aside.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct State {
    record: Option<Record>,
    negotiated: Option<Negotiated>,
    established: bool,
    received: u64,
}

/// What a compacted file begins with, after its header: all of it in one entry, so that none of it
/// is ever read without the rest.
#[derive(Serialize, Deserialize)]
pub(super) struct Snapshot {
    state: State,
    /// Offset of output of the octets that follow.
    begin: u64,
    /// How many follow; then come UPDATEs that make up what was announced.
    unacknowledged: usize,
}

impl Snapshot {
    /// The entry.
    pub(super) fn framed(
        content: &Content,
        begin: u64,
        unacknowledged: &[u8],
        told: &AdjRibOut,
    ) -> Vec<u8> {
        let snapshot = Snapshot {
            state: content.state.clone(),
            begin,
            unacknowledged: unacknowledged.len(),
        };
        let text = serde_json::to_vec(&snapshot).expect("a plain structure");
        let length = u32::try_from(text.len()).expect("it is some hundred octets");
        let parts: [&[u8]; 4] = [
            &length.to_be_bytes(),
            &text,
            unacknowledged,
            &told.to_updates(),
        ];
        framed(Kind::Snapshot, &parts)
    }
}

/// What a file says, by the places of its octets.
#[derive(Debug, Clone)]
pub(super) struct Content {
    state: State,
    /// Octets of complete entries.
    pub(super) length: usize,
    /// Octets of the header, and of the snapshot if there is one.
    pub(super) compacted: usize,
    /// Offset of the first octet of output.
    begin: u64,
    /// Octets of output, in their order.
    sent: Vec<Range<usize>>,
    /// How many of those the snapshot stands for.
    replayed: usize,
    /// UPDATEs of the snapshot.
    snapshot: Option<Range<usize>>,
}

impl Content {
    pub(super) fn read(
        path: &Path,
        image: &[u8],
        expected: &Header,
    ) -> Result<Content, CheckpointError> {
        let damaged = |Damage { at, what }| CheckpointError::Damaged {
            path: path.to_owned(),
            at: at as u64,
            what,
        };
        let mut entries = Entries::new(image);
        let first = entries.next().transpose().map_err(damaged)?;
        let Some((Kind::Header, place)) = first else {
            let what = "it does not begin with a header";
            return Err(damaged(Damage { at: 0, what }));
        };
        // The version first: of another one the rest need not make sense.
        let Version { format } = json(image, &place).map_err(damaged)?;
        if format != FORMAT {
            return Err(CheckpointError::Version {
                path: path.to_owned(),
                given: format,
            });
        }
        let given: Header = json(image, &place).map_err(damaged)?;
        if given != *expected {
            return Err(CheckpointError::Another {
                path: path.to_owned(),
                given,
                expected: *expected,
            });
        }
        let mut content = Content {
            state: State::default(),
            length: place.end,
            compacted: place.end,
            begin: 0,
            sent: Vec::new(),
            replayed: 0,
            snapshot: None,
        };
        for entry in entries {
            let (kind, place) = entry.map_err(damaged)?;
            content.take(image, kind, place).map_err(damaged)?;
        }
        Ok(content)
    }

    /// Offset after the last octet of output.
    pub(super) fn end(&self) -> u64 {
        let kept: usize = self.sent.iter().map(ExactSizeIterator::len).sum();
        self.begin + kept as u64
    }

    fn take(&mut self, image: &[u8], kind: Kind, place: Range<usize>) -> Result<(), Damage> {
        let wrong = |what| Damage {
            at: place.start,
            what,
        };
        let is_first = self.length == self.compacted && self.snapshot.is_none();
        self.length = place.end;
        match kind {
            Kind::Record => self.state.record = Some(json(image, &place)?),
            Kind::Negotiated => self.state.negotiated = Some(json(image, &place)?),
            Kind::Established => self.state.established = true,
            Kind::Sent => self.sent.push(place),
            Kind::Received => {
                let offset = image[place.clone()].try_into();
                let offset = offset.map_err(|_| wrong("an offset has not eight octets"))?;
                self.state.received = u64::from_be_bytes(offset);
            }
            Kind::Snapshot if is_first => {
                let short = || wrong("a snapshot is shorter than it says");
                let payload = &image[place.clone()];
                let (length, _) = payload.split_first_chunk::<4>().ok_or_else(short)?;
                let text = place.start + 4
                    ..(place.start + 4).saturating_add(u32::from_be_bytes(*length) as usize);
                if text.end > place.end {
                    return Err(short());
                }
                let snapshot: Snapshot = json(image, &text)?;
                let end = text.end.checked_add(snapshot.unacknowledged);
                let end = end.filter(|&e| e <= place.end).ok_or_else(short)?;
                self.state = snapshot.state;
                self.begin = snapshot.begin;
                self.sent.push(text.end..end);
                self.replayed = 1;
                self.snapshot = Some(end..place.end);
                self.compacted = place.end;
            }
            Kind::Snapshot => return Err(wrong("a snapshot is not at the beginning")),
            Kind::Header => return Err(wrong("there is a second header")),
        }
        Ok(())
    }
}

fn json<T: DeserializeOwned>(image: &[u8], place: &Range<usize>) -> Result<T, Damage> {
    serde_json::from_slice(&image[place.clone()]).map_err(|_| Damage {
        at: place.start,
        what: "an entry does not hold what its kind says",
    })
}
