//! UPDATE messages (RFC 4271, section 4.3): routes packed into them, and read back out of ours.
//!
//! *Assumes* IPv4 unicast without ADD-PATH, and attributes that a checked configuration gives.
//! *Guarantees* messages of at most 4096 octets, in the order of what was put in, with as many
//! prefixes as fit while the attributes stay the same; and that what is read back is what was put
//! in, whether or not the peer knows AS numbers of four octets (RFC 6793).
//!
//! Path attributes are written and read by netgauze-bgp-pkt, once for each set of them. Prefixes
//! are written in place by hand, so that how much a message holds is known with each, and none can
//! fail to be written. Speed is no reason: 500,000 routes take 10 ms so, and 15 ms through netgauze.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use netgauze_bgp_pkt::path_attribute::{
    As2PathSegment, As4Path, As4PathSegment, AsPath, AsPathSegmentType, MultiExitDiscriminator,
    NextHop, Origin, PathAttribute, PathAttributeValue,
};
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_parse_utils::WritablePdu;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput;
use thiserror::Error;

use super::message::{HEADER, LONGEST, UPDATE};

/// The longest AS path that leaves room for prefixes in a message: an AS number takes six octets
/// of a peer without four-octet AS numbers (AS_PATH and AS4_PATH).
pub const LONGEST_PATH: usize = 600;
/// The most AS numbers of one segment: its length has one octet (RFC 4271, section 4.3).
const LONGEST_SEGMENT: usize = 255;
/// What stands for a number above 65535 where there are two octets (RFC 6793, section 9).
const AS_TRANS: u16 = 23456;

/// Path attributes of a route. ORIGIN is always IGP.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attributes {
    /// AS_PATH as it is sent: one sequence, our own number included.
    pub as_path: Vec<u32>,
    /// NEXT_HOP.
    pub next_hop: Ipv4Addr,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
}

/// Octets that are no UPDATE of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no UPDATE of this speaker: {what}")]
pub struct NotOurs {
    /// What is wrong with it.
    pub what: &'static str,
}

impl Attributes {
    /// As they stand in an UPDATE, in ascending order of their type (RFC 4271, section 5).
    #[must_use]
    pub fn to_octets(&self, four_octet_as: bool) -> Vec<u8> {
        let mut octets = Vec::new();
        let mut write = |optional, value| {
            let long = matches!(&value, PathAttributeValue::AsPath(path) if path_is_long(path))
                || matches!(&value, PathAttributeValue::As4Path(_) if self.as_path.len() > 60);
            // Those that are optional: MULTI_EXIT_DISC is not transitive, AS4_PATH is.
            let transitive = !matches!(value, PathAttributeValue::MultiExitDiscriminator(_));
            PathAttribute::from(optional, transitive, false, long, value)
                .expect("the flags are those of RFC 4271, section 5")
                .write(&mut octets)
                .expect("memory takes it, and its length fits two octets");
        };
        write(false, PathAttributeValue::Origin(Origin::IGP));
        let path = if four_octet_as {
            AsPath::as4_path_segments(four_octet_segments(&self.as_path))
        } else {
            AsPath::as2_path_segments(two_octet_segments(&self.as_path))
        };
        write(false, PathAttributeValue::AsPath(path));
        write(
            false,
            PathAttributeValue::NextHop(NextHop::new(self.next_hop)),
        );
        if let Some(med) = self.med {
            let med = MultiExitDiscriminator::new(med);
            write(true, PathAttributeValue::MultiExitDiscriminator(med));
        }
        // RFC 6793, section 4.2.2: only if the AS_PATH alone does not say it.
        if !four_octet_as && self.as_path.iter().any(|&asn| asn > u32::from(u16::MAX)) {
            let path = As4Path::new(four_octet_segments(&self.as_path));
            write(true, PathAttributeValue::As4Path(path));
        }
        octets
    }

    fn read(octets: &[u8], four_octet_as: bool) -> Result<Attributes, NotOurs> {
        let wrong = |what| NotOurs { what };
        let none = HashMap::new;
        let mut context = BgpParsingContext::new(
            four_octet_as,
            none(),
            HashMap::new(),
            true,
            true,
            true,
            true,
        );
        let (mut path, mut path4, mut next_hop, mut med) = (None, None, None, None);
        let mut reader = SliceReader::new(octets);
        while !reader.is_empty() {
            let attribute = PathAttribute::parse(&mut reader, &mut context)
                .map_err(|_| wrong("a path attribute cannot be read"))?;
            match attribute.value() {
                PathAttributeValue::Origin(Origin::IGP) => {}
                PathAttributeValue::AsPath(p) => path = Some(Vec::<u32>::from(p.clone())),
                PathAttributeValue::As4Path(p) => {
                    let numbers = p.segments().iter().flat_map(|s| s.as_numbers());
                    path4 = Some(numbers.copied().collect());
                }
                PathAttributeValue::NextHop(n) => next_hop = Some(n.next_hop()),
                PathAttributeValue::MultiExitDiscriminator(m) => med = Some(m.metric()),
                _ => return Err(wrong("it has a path attribute that is never sent")),
            }
        }
        Ok(Attributes {
            // RFC 6793, section 4.2.3; ours has as many numbers as the AS_PATH.
            as_path: path4.or(path).ok_or(wrong("it has no AS_PATH"))?,
            next_hop: next_hop.ok_or(wrong("it has no NEXT_HOP"))?,
            med,
        })
    }
}

fn path_is_long(path: &AsPath) -> bool {
    // An AS number in a path has at least two octets, a segment two more.
    match path {
        AsPath::As2PathSegments(segments) => {
            segments
                .iter()
                .map(|s| 2 + 2 * s.as_numbers().len())
                .sum::<usize>()
                > 255
        }
        AsPath::As4PathSegments(segments) => {
            segments
                .iter()
                .map(|s| 2 + 4 * s.as_numbers().len())
                .sum::<usize>()
                > 255
        }
    }
}

fn four_octet_segments(path: &[u32]) -> Vec<As4PathSegment> {
    path.chunks(LONGEST_SEGMENT)
        .map(|chunk| As4PathSegment::new(AsPathSegmentType::AsSequence, chunk))
        .collect()
}

fn two_octet_segments(path: &[u32]) -> Vec<As2PathSegment> {
    path.chunks(LONGEST_SEGMENT)
        .map(|chunk| {
            let short = |&asn: &u32| u16::try_from(asn).unwrap_or(AS_TRANS);
            let numbers: Vec<u16> = chunk.iter().map(short).collect();
            As2PathSegment::new(AsPathSegmentType::AsSequence, numbers)
        })
        .collect()
}

/// Packs withdrawals and routes into messages, in their order.
#[derive(Debug)]
pub struct Packer {
    four_octet_as: bool,
    octets: Vec<u8>,
    open: Option<Open>,
    /// The attributes announced last, and how they are written.
    attributes: Option<(Attributes, Vec<u8>)>,
}

/// The message that takes more yet: where it begins, and what it holds.
#[derive(Debug, Clone, Copy)]
enum Open {
    Withdrawing { at: usize },
    Announcing { at: usize },
}

impl Packer {
    /// For a peer that knows AS numbers of four octets, or does not.
    #[must_use]
    pub fn new(four_octet_as: bool) -> Packer {
        Packer {
            four_octet_as,
            octets: Vec::new(),
            open: None,
            attributes: None,
        }
    }

    /// Octets of messages so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.octets.len()
    }

    /// Whether there is no message yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Adds a withdrawal.
    pub fn withdraw(&mut self, prefix: Ipv4Net) {
        // Two octets are for the length of no path attributes.
        let fits = |at| self.octets.len() - at + encoded_len(prefix) + 2 <= LONGEST;
        if !matches!(self.open, Some(Open::Withdrawing { at }) if fits(at)) {
            self.close();
            self.open = Some(Open::Withdrawing { at: self.begin() });
            self.octets.extend([0, 0]);
        }
        self.push(prefix);
    }

    /// Adds a route.
    pub fn announce(&mut self, prefix: Ipv4Net, attributes: &Attributes) {
        let same = matches!(&self.attributes, Some((last, _)) if last == attributes);
        if !same {
            let octets = attributes.to_octets(self.four_octet_as);
            self.attributes = Some((attributes.clone(), octets));
        }
        let fits = |at| self.octets.len() - at + encoded_len(prefix) <= LONGEST;
        if !matches!(self.open, Some(Open::Announcing { at }) if same && fits(at)) {
            self.close();
            self.open = Some(Open::Announcing { at: self.begin() });
            self.octets.extend([0, 0]);
            if let Some((_, attributes)) = &self.attributes {
                self.octets.extend(length(attributes.len()));
                self.octets.extend(attributes);
            }
        }
        self.push(prefix);
    }

    /// Adds the End-of-RIB marker: an UPDATE of nothing (RFC 4724, section 2).
    pub fn end_of_rib(&mut self) {
        self.close();
        let at = self.begin();
        self.octets.extend([0, 0]);
        self.open = Some(Open::Withdrawing { at });
        self.close();
    }

    /// The messages.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.close();
        self.octets
    }

    fn begin(&mut self) -> usize {
        let at = self.octets.len();
        self.octets.extend([0xff; 16]);
        self.octets.extend([0, 0, UPDATE]);
        at
    }

    fn push(&mut self, prefix: Ipv4Net) {
        self.octets.push(prefix.prefix_len());
        let octets = prefix.network().octets();
        self.octets.extend(&octets[..encoded_len(prefix) - 1]);
    }

    fn close(&mut self) {
        let at = match self.open.take() {
            None => return,
            Some(Open::Announcing { at }) => at,
            Some(Open::Withdrawing { at }) => {
                let withdrawn = length(self.octets.len() - at - HEADER - 2);
                self.octets[at + HEADER..at + HEADER + 2].copy_from_slice(&withdrawn);
                self.octets.extend([0, 0]);
                at
            }
        };
        let whole = length(self.octets.len() - at);
        self.octets[at + 16..at + 18].copy_from_slice(&whole);
    }
}

/// Octets of a prefix in a message: its length, and as many as that needs.
fn encoded_len(prefix: Ipv4Net) -> usize {
    1 + usize::from(prefix.prefix_len()).div_ceil(8)
}

#[allow(clippy::cast_possible_truncation)] // No field of a message exceeds 4096.
fn length(octets: usize) -> [u8; 2] {
    (octets as u16).to_be_bytes()
}

/// What one UPDATE of ours says.
#[derive(Debug)]
pub(super) struct Said<'a> {
    pub(super) withdrawn: Prefixes<'a>,
    pub(super) announced: Prefixes<'a>,
    pub(super) attributes: Option<Attributes>,
}

impl<'a> Said<'a> {
    /// Reads the body of an UPDATE.
    pub(super) fn read(body: &'a [u8], four_octet_as: bool) -> Result<Said<'a>, NotOurs> {
        let wrong = NotOurs {
            what: "its lengths exceed it",
        };
        let (withdrawn, rest) = counted(body).ok_or(wrong)?;
        let (attributes, announced) = counted(rest).ok_or(wrong)?;
        let attributes = match attributes {
            [] if announced.is_empty() => None,
            octets => Some(Attributes::read(octets, four_octet_as)?),
        };
        Ok(Said {
            withdrawn: Prefixes(withdrawn),
            announced: Prefixes(announced),
            attributes,
        })
    }

    /// Whether it is the End-of-RIB marker.
    pub(super) fn is_end_of_rib(&self) -> bool {
        self.withdrawn.0.is_empty() && self.announced.0.is_empty()
    }
}

fn counted(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = octets.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// Prefixes of a field.
#[derive(Debug, Clone)]
pub(super) struct Prefixes<'a>(&'a [u8]);

impl Iterator for Prefixes<'_> {
    type Item = Result<Ipv4Net, NotOurs>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&length, rest) = self.0.split_first()?;
        let octets = usize::from(length).div_ceil(8);
        let prefix = rest.split_at_checked(octets).and_then(|(given, rest)| {
            let mut address = [0; 4];
            address.get_mut(..octets)?.copy_from_slice(given);
            self.0 = rest;
            Ipv4Net::new(address.into(), length).ok()
        });
        Some(prefix.ok_or_else(|| {
            self.0 = &[];
            NotOurs {
                what: "a prefix is longer than its field or than 32 bits",
            }
        }))
    }
}
