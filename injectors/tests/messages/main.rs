//! BGP messages both ways against rustbgpd-wire, which shares no code with the speaker.
#![allow(clippy::unwrap_used)]

mod both_ways;
mod corruption;
mod opens;
mod updates;
mod words;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use rustbgpd_wire as codec;

pub(crate) fn oracle(octets: &[u8]) -> codec::Message {
    let mut octets = octets.to_vec().into();
    let message = codec::decode_message(&mut octets, 4096).unwrap();
    assert!(octets.is_empty(), "octets after the message: {octets:?}");
    message
}

pub(crate) fn by_oracle(message: codec::Message) -> Vec<u8> {
    codec::encode_message(&message).unwrap().to_vec()
}

/// A message of this type and body.
pub(crate) fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut octets = vec![0xff; 16];
    octets.extend((19 + body.len() as u16).to_be_bytes());
    octets.push(kind);
    octets.extend(body);
    octets
}

pub(crate) fn entries(prefixes: &[Ipv4Net]) -> Vec<codec::Ipv4NlriEntry> {
    let entry = |net: &Ipv4Net| codec::Ipv4NlriEntry {
        path_id: 0,
        prefix: codec::Ipv4Prefix::new(net.addr(), net.prefix_len()),
    };
    prefixes.iter().map(entry).collect()
}

pub(crate) fn attributes(path: &[u32], med: Option<u32>) -> Vec<codec::PathAttribute> {
    let mut attributes = vec![
        codec::PathAttribute::Origin(codec::Origin::Igp),
        codec::PathAttribute::AsPath(codec::AsPath {
            segments: vec![codec::AsPathSegment::AsSequence(path.to_vec())],
        }),
        codec::PathAttribute::NextHop(Ipv4Addr::new(192, 0, 2, 1)),
    ];
    attributes.extend(med.map(codec::PathAttribute::Med));
    attributes
}

pub(crate) fn update(announced: &[Ipv4Net], withdrawn: &[Ipv4Net], wide: bool) -> Vec<u8> {
    let attributes = if announced.is_empty() {
        vec![]
    } else {
        attributes(&[64_513, 23_456, 1], Some(7))
    };
    by_oracle(codec::Message::Update(codec::UpdateMessage::build(
        &entries(announced),
        &entries(withdrawn),
        &attributes,
        wide,
        false,
        codec::Ipv4UnicastMode::Body,
    )))
}

pub(crate) fn net(prefix: &str) -> Ipv4Net {
    prefix.parse().unwrap()
}
