//! Entries as octets: a head of kind, length and two checksums, and a payload.
//!
//! *Assumes* nothing of the octets that are read. *Guarantees* that an entry which is incomplete
//! at the end is told from one that is damaged: the head has a checksum of its own, so that a
//! length is not believed unless it is the one that was written.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{FORMAT, Header};

/// Octets of a head: kind (1), length of the payload (4), its CRC-32 (4), CRC-32 of these nine (4);
/// numbers in network byte order.
const HEAD: usize = 13;

/// What an entry holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Header = 1,
    Record = 2,
    Sent = 3,
    Received = 4,
    Negotiated = 5,
    Established = 6,
    Snapshot = 7,
}

impl Kind {
    fn of(octet: u8) -> Option<Kind> {
        use Kind::{Established, Negotiated, Received, Record, Sent, Snapshot};
        [
            Kind::Header,
            Record,
            Sent,
            Received,
            Negotiated,
            Established,
            Snapshot,
        ]
        .into_iter()
        .find(|&kind| kind as u8 == octet)
    }
}

/// The first entry.
#[derive(Serialize)]
struct Versioned<'a> {
    format: u32,
    #[serde(flatten)]
    header: &'a Header,
}

/// What any format begins with.
#[derive(Deserialize)]
pub(super) struct Version {
    pub(super) format: u32,
}

/// The first entry of a file.
pub(super) fn header(header: &Header) -> Vec<u8> {
    let versioned = Versioned {
        format: FORMAT,
        header,
    };
    let text = serde_json::to_vec(&versioned).expect("a plain structure");
    framed(Kind::Header, &[&text])
}

/// An entry whose payload is these parts.
pub(super) fn framed(kind: Kind, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut crc = crc32fast::Hasher::new();
    for part in parts {
        crc.update(part);
    }
    let mut octets = Vec::with_capacity(HEAD + length);
    octets.push(kind as u8);
    // A table of all of IPv4 has some 10^6 routes of at most 100 octets.
    let length = u32::try_from(length).expect("an entry is below 4 GiB");
    octets.extend(length.to_be_bytes());
    octets.extend(crc.finalize().to_be_bytes());
    octets.extend(crc32fast::hash(&octets).to_be_bytes());
    for part in parts {
        octets.extend_from_slice(part);
    }
    octets
}

/// What is wrong with a file, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) at: usize,
    pub(super) what: &'static str,
}

/// The complete entries of a file, in their order, each with the place of its payload.
pub(super) struct Entries<'a> {
    image: &'a [u8],
    at: usize,
}

impl<'a> Entries<'a> {
    pub(super) fn new(image: &'a [u8]) -> Entries<'a> {
        Entries { image, at: 0 }
    }

    fn read(&mut self) -> Result<Option<(Kind, Range<usize>)>, Damage> {
        let damage = |what| Damage { at: self.at, what };
        let Some(head) = self.image[self.at..].first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let [kind, l0, l1, l2, l3, p0, p1, p2, p3, h0, h1, h2, h3] = *head;
        if crc32fast::hash(&head[..HEAD - 4]) != u32::from_be_bytes([h0, h1, h2, h3]) {
            return Err(damage("the checksum of an entry's head is wrong"));
        }
        let begin = self.at + HEAD;
        let place = begin..begin + u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        let Some(payload) = self.image.get(place.clone()) else {
            return Ok(None);
        };
        if crc32fast::hash(payload) != u32::from_be_bytes([p0, p1, p2, p3]) {
            return Err(damage("the checksum of an entry is wrong"));
        }
        let kind = Kind::of(kind).ok_or_else(|| damage("an entry is of an unknown kind"))?;
        self.at = place.end;
        Ok(Some((kind, place)))
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<(Kind, Range<usize>), Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
