//! UPDATE (RFC 4271, section 4.3): the prefixes of IPv4 unicast that it tells of.
//!
//! *Assumes* a body of at least four octets, and no ADD-PATH. *Guarantees* that prefixes are found
//! wherever the lengths of the fields let them be found; that an error in a path attribute turns
//! what is announced into what is withdrawn (RFC 7606, treat-as-withdraw), and ends no session;
//! and that prefixes which cannot be told apart do end it.
//!
//! What the attributes say is checked and forgotten: the speaker selects no routes. Attributes that
//! RFC 7606 would only discard count as errors here alike, which makes no difference to one that
//! keeps nothing.

use std::collections::HashMap;

use ipnet::Ipv4Net;
use netgauze_bgp_pkt::path_attribute::PathAttribute;
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::{ParseFrom, ParseFromWithOneInput};

use super::Notification;
use super::notification::{
    INVALID_NETWORK_FIELD, MALFORMED_ATTRIBUTE_LIST, OPTIONAL_ATTRIBUTE_ERROR, UPDATE_MESSAGE_ERROR,
};

const ORIGIN: u8 = 1;
const AS_PATH: u8 = 2;
const NEXT_HOP: u8 = 3;
const MP_REACH_NLRI: u8 = 14;
const MP_UNREACH_NLRI: u8 = 15;

/// Attribute flag: the length has two octets.
const EXTENDED_LENGTH: u8 = 0x10;

/// What an UPDATE says of IPv4 unicast.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Update {
    /// Prefixes withdrawn, in Withdrawn Routes and MP_UNREACH_NLRI (RFC 4760), and those announced
    /// with attributes that are in error (RFC 7606).
    pub withdrawn: Vec<Ipv4Net>,
    /// Prefixes announced, in NLRI and MP_REACH_NLRI.
    pub announced: Vec<Ipv4Net>,
}

impl Update {
    pub(super) fn read(body: &[u8], four_octet_as: bool) -> Result<Update, Notification> {
        // RFC 4271, section 6.3: lengths that exceed the message are a Malformed Attribute List.
        let (withdrawn, rest) = counted(body).ok_or_else(malformed_list)?;
        let (attributes, nlri) = counted(rest).ok_or_else(malformed_list)?;
        let mut update = Update {
            withdrawn: prefixes(withdrawn).ok_or_else(invalid_network)?,
            announced: prefixes(nlri).ok_or_else(invalid_network)?,
        };
        let sound = Attributes::read(attributes, four_octet_as, &mut update)?;
        // RFC 7606, section 3, d: also if one that is mandatory is missing.
        let has = |code| sound.seen(code);
        let complete = has(ORIGIN)
            && has(AS_PATH)
            && (nlri.is_empty() || has(NEXT_HOP))
            && sound.without_error;
        if !complete {
            update.withdrawn.append(&mut update.announced);
        }
        Ok(update)
    }
}

/// Which attributes there were, and whether all of them can be understood.
struct Attributes {
    seen: [bool; 256],
    without_error: bool,
}

impl Attributes {
    fn seen(&self, code: u8) -> bool {
        self.seen[usize::from(code)]
    }

    /// Reads the attributes. Prefixes in them are appended to the update.
    fn read(
        mut list: &[u8],
        four_octet_as: bool,
        update: &mut Update,
    ) -> Result<Attributes, Notification> {
        let mut attributes = Attributes {
            seen: [false; 256],
            without_error: true,
        };
        let mut context = context(four_octet_as);
        while let [flags, code, ..] = *list {
            let header = if flags & EXTENDED_LENGTH == 0 { 3 } else { 4 };
            let length = match (header, list) {
                (3, [_, _, length, ..]) => usize::from(*length),
                (4, [_, _, high, low, ..]) => usize::from(u16::from_be_bytes([*high, *low])),
                _ => break,
            };
            // RFC 7606, section 4: one that overruns the list is an error of the attributes, since
            // where NLRI begin is known all the same.
            let Some((attribute, rest)) = list.split_at_checked(header + length) else {
                break;
            };
            list = rest;
            let value = &attribute[header..];
            let again = std::mem::replace(&mut attributes.seen[usize::from(code)], true);
            match code {
                // RFC 7606, section 3, g: of these two there must be one.
                MP_REACH_NLRI | MP_UNREACH_NLRI if again => return Err(malformed_list()),
                MP_REACH_NLRI => update.announced.extend(reached(value)?),
                MP_UNREACH_NLRI => update.withdrawn.extend(unreached(value)?),
                // Of others the first counts.
                _ if again => {}
                _ => {
                    let mut reader = SliceReader::new(attribute);
                    let parsed = PathAttribute::parse(&mut reader, &mut context);
                    attributes.without_error &= parsed.is_ok() && reader.is_empty();
                }
            }
        }
        attributes.without_error &= list.is_empty();
        Ok(attributes)
    }
}

/// Prefixes of an MP_REACH_NLRI (RFC 4760, section 3); none of a family that we did not offer.
fn reached(value: &[u8]) -> Result<Vec<Ipv4Net>, Notification> {
    match value {
        [0, 1, 1, length, rest @ ..] => rest
            // The next hop, and one reserved octet.
            .get(usize::from(*length) + 1..)
            .and_then(prefixes)
            .ok_or_else(optional_attribute),
        [_, _, _, _, ..] => Ok(Vec::new()),
        _ => Err(optional_attribute()),
    }
}

/// Prefixes of an MP_UNREACH_NLRI (RFC 4760, section 4).
fn unreached(value: &[u8]) -> Result<Vec<Ipv4Net>, Notification> {
    match value {
        [0, 1, 1, rest @ ..] => prefixes(rest).ok_or_else(optional_attribute),
        [_, _, _, ..] => Ok(Vec::new()),
        _ => Err(optional_attribute()),
    }
}

/// A field after its length of two octets, and what follows it.
fn counted(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = octets.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// Prefixes up to the end; none if they do not end there.
///
/// Those that are semantically incorrect, as multicast ones, are prefixes too: RFC 4271, section
/// 6.3, lets a session go on with them.
fn prefixes(octets: &[u8]) -> Option<Vec<Ipv4Net>> {
    let mut reader = SliceReader::new(octets);
    let mut prefixes = Vec::new();
    while !reader.is_empty() {
        // Bits beyond the prefix length have no meaning (RFC 4271, section 4.3).
        prefixes.push(Ipv4Net::parse(&mut reader).ok()?.trunc());
    }
    Some(prefixes)
}

/// Everything strict: each attribute is parsed alone.
fn context(four_octet_as: bool) -> BgpParsingContext {
    let (labels, add_path) = (HashMap::new(), HashMap::new());
    BgpParsingContext::new(four_octet_as, labels, add_path, true, true, true, true)
}

fn malformed_list() -> Notification {
    Notification::new(UPDATE_MESSAGE_ERROR, MALFORMED_ATTRIBUTE_LIST)
}

fn optional_attribute() -> Notification {
    Notification::new(UPDATE_MESSAGE_ERROR, OPTIONAL_ATTRIBUTE_ERROR)
}

fn invalid_network() -> Notification {
    Notification::new(UPDATE_MESSAGE_ERROR, INVALID_NETWORK_FIELD)
}
