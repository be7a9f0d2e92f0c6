//! A BGP speaker on paper: messages by rustbgpd-wire, which shares no code with the decoder
//! under test, in TCP segments, in packets, in pcap files.

use std::net::{Ipv4Addr, SocketAddrV4};

use etherparse::PacketBuilder;
use results::bgp::{Decoder, LinkType, Message};
use rustbgpd_wire as codec;

pub(crate) const SPEAKER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 40_000);
pub(crate) const PEER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 0), 179);

/// A message on the wire.
pub(crate) fn encode(message: codec::Message) -> Vec<u8> {
    codec::encode_message(&message).unwrap().to_vec()
}

pub(crate) fn keepalive() -> Vec<u8> {
    encode(codec::Message::Keepalive)
}

fn entries(prefixes: &[&str]) -> Vec<codec::Ipv4NlriEntry> {
    prefixes
        .iter()
        .map(|p| {
            let net: ipnet::Ipv4Net = p.parse().unwrap();
            codec::Ipv4NlriEntry {
                path_id: 0,
                prefix: codec::Ipv4Prefix::new(net.addr(), net.prefix_len()),
            }
        })
        .collect()
}

/// An UPDATE that announces and withdraws prefixes, with AS numbers of either width.
pub(crate) fn update(announced: &[&str], withdrawn: &[&str], path: &[u32], wide: bool) -> Vec<u8> {
    let attributes = if announced.is_empty() {
        vec![]
    } else {
        vec![
            codec::PathAttribute::Origin(codec::Origin::Igp),
            codec::PathAttribute::AsPath(codec::AsPath {
                segments: vec![codec::AsPathSegment::AsSequence(path.to_vec())],
            }),
            codec::PathAttribute::NextHop(*SPEAKER.ip()),
        ]
    };
    let message = codec::UpdateMessage::build(
        &entries(announced),
        &entries(withdrawn),
        &attributes,
        wide,
        false,
        codec::Ipv4UnicastMode::Body,
    );
    encode(codec::Message::Update(message))
}

/// An UPDATE that announces the `n`-th of many prefixes.
pub(crate) fn nth_update(n: u32) -> Vec<u8> {
    let prefix = format!("{}/24", Ipv4Addr::from(0x0a00_0000 + (n << 8)));
    update(&[&prefix], &[], &[64512, 64513], true)
}

/// What a segment carries besides octets.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Flags {
    pub(crate) syn: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
}

pub(crate) const DATA: Flags = Flags {
    syn: false,
    fin: false,
    rst: false,
};
pub(crate) const SYN: Flags = Flags { syn: true, ..DATA };
pub(crate) const FIN: Flags = Flags { fin: true, ..DATA };
pub(crate) const RST: Flags = Flags { rst: true, ..DATA };

/// One packet from its IP header on.
pub(crate) fn datagram(
    src: SocketAddrV4,
    dst: SocketAddrV4,
    seq: u32,
    flags: Flags,
    payload: &[u8],
) -> Vec<u8> {
    let mut builder = PacketBuilder::ipv4(src.ip().octets(), dst.ip().octets(), 1).tcp(
        src.port(),
        dst.port(),
        seq,
        65_000,
    );
    if flags.syn {
        builder = builder.syn();
    }
    if flags.fin {
        builder = builder.fin();
    }
    if flags.rst {
        builder = builder.rst();
    }
    let mut packet = Vec::new();
    builder.ack(1).write(&mut packet, payload).unwrap();
    packet
}

/// A packet from its link-layer header on.
pub(crate) fn frame(link_type: LinkType, datagram: &[u8]) -> Vec<u8> {
    let mut packet = match link_type {
        LinkType::Raw => vec![],
        LinkType::Ethernet => {
            let mut h = vec![2; 12];
            h.extend([0x08, 0x00]);
            h
        }
        // Outgoing (4), Ethernet (1), six octets of address, and IPv4 at the end.
        LinkType::LinuxSll => {
            vec![0, 4, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, 0x08, 0x00]
        }
        // IPv4 at the beginning, device 3, Ethernet (1), outgoing (4).
        LinkType::LinuxSll2 => {
            vec![
                0x08, 0x00, 0, 0, 0, 0, 0, 3, 0, 1, 4, 6, 2, 2, 2, 2, 2, 2, 0, 0,
            ]
        }
    };
    packet.extend_from_slice(datagram);
    packet
}

/// A decoder that is fed segments of one direction and keeps what it gives.
#[derive(Default)]
pub(crate) struct Listener {
    pub(crate) decoder: Decoder,
    pub(crate) heard: Vec<Message>,
}

impl Listener {
    pub(crate) fn hear(&mut self, t_ns: u64, seq: u32, flags: Flags, payload: &[u8]) {
        let packet = datagram(SPEAKER, PEER, seq, flags, payload);
        self.decoder
            .push(t_ns, LinkType::Raw, &packet, &mut self.heard);
    }

    pub(crate) fn finish(mut self) -> Vec<Message> {
        self.decoder.finish(&mut self.heard);
        self.heard
    }
}

/// A pcap file with nanosecond times.
pub(crate) fn pcap_file(link_type: LinkType, packets: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(0xa1b2_3c4d_u32.to_le_bytes());
    file.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend(262_144_u32.to_le_bytes());
    file.extend(link_type.number().to_le_bytes());
    for (t_ns, packet) in packets {
        file.extend(((t_ns / 1_000_000_000) as u32).to_le_bytes());
        file.extend(((t_ns % 1_000_000_000) as u32).to_le_bytes());
        file.extend((packet.len() as u32).to_le_bytes());
        file.extend((packet.len() as u32).to_le_bytes());
        file.extend(packet);
    }
    file
}
