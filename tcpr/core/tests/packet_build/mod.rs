//! Packets for tests: a plan that another library turns into octets, and the same library's opinion
//! of octets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    unreachable_pub
)]

use std::net::{IpAddr, SocketAddr};

use etherparse::{
    IpNumber, Ipv4Header, Ipv6Header, NetSlice, SlicedPacket, TcpHeader, TransportSlice,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// A TCP option, as it lies in the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Element {
    Nop,
    Mss(u16),
    Scale(u8),
    SackPermitted,
    Timestamps(u32, u32),
    Sack(Vec<(u32, u32)>),
    Other(u8, Vec<u8>),
}

impl Element {
    pub fn octets(&self) -> Vec<u8> {
        let mut octets = match self {
            Element::Nop => return vec![1],
            Element::Mss(mss) => [&[2, 0][..], &mss.to_be_bytes()].concat(),
            Element::Scale(scale) => vec![3, 0, *scale],
            Element::SackPermitted => vec![4, 0],
            Element::Timestamps(value, echo) => {
                [&[8, 0][..], &value.to_be_bytes(), &echo.to_be_bytes()].concat()
            }
            Element::Sack(blocks) => {
                let mut octets = vec![5, 0];
                for (left, right) in blocks {
                    octets.extend(left.to_be_bytes());
                    octets.extend(right.to_be_bytes());
                }
                octets
            }
            Element::Other(kind, rest) => [&[*kind, 0][..], rest].concat(),
        };
        octets[1] = octets.len() as u8;
        octets
    }
}

/// Everything that is in a packet.
#[derive(Debug, Clone)]
pub struct Plan {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    /// IPv4 options in words, or IPv6 extension headers: each kind and how many times 8 octets more.
    pub words: usize,
    pub extensions: Vec<(u8, u8)>,
    pub sequence: u32,
    pub acknowledgment: u32,
    pub flags: u8,
    pub accurate_ecn: bool,
    pub window: u16,
    pub urgent: u16,
    pub elements: Vec<Element>,
    pub payload: Vec<u8>,
}

impl Plan {
    pub fn options(&self) -> Vec<u8> {
        self.elements.iter().flat_map(Element::octets).collect()
    }

    pub fn header(&self) -> TcpHeader {
        let mut header = TcpHeader::new(
            self.source.port(),
            self.destination.port(),
            self.sequence,
            self.window,
        );
        header.acknowledgment_number = self.acknowledgment;
        let bit = |place: u8| self.flags >> place & 1 == 1;
        (header.fin, header.syn, header.rst, header.psh) = (bit(0), bit(1), bit(2), bit(3));
        (header.ack, header.urg, header.ece, header.cwr) = (bit(4), bit(5), bit(6), bit(7));
        header.ns = self.accurate_ecn;
        header.urgent_pointer = self.urgent;
        header.set_options_raw(&self.options()).unwrap();
        header.checksum = match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                header.calc_checksum_ipv4_raw(from.octets(), to.octets(), &self.payload)
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                header.calc_checksum_ipv6_raw(from.octets(), to.octets(), &self.payload)
            }
            _ => panic!("two families"),
        }
        .unwrap();
        header
    }

    /// Octets before the TCP header.
    pub fn before_tcp(&self) -> usize {
        match self.source {
            SocketAddr::V4(_) => 20 + self.words * 4,
            SocketAddr::V6(_) => {
                let more = self
                    .extensions
                    .iter()
                    .map(|(_, more)| 8 + usize::from(*more) * 8);
                40 + more.sum::<usize>()
            }
        }
    }

    /// Octets before the payload.
    pub fn before_data(&self) -> usize {
        self.before_tcp() + self.header().header_len()
    }

    pub fn build(&self) -> Vec<u8> {
        let header = self.header();
        let length = header.header_len() + self.payload.len();
        let mut octets = Vec::new();
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let mut ip =
                    Ipv4Header::new(length as u16, 61, IpNumber::TCP, from.octets(), to.octets())
                        .unwrap();
                let nops = vec![1; self.words * 4];
                ip.options = nops[..].try_into().unwrap();
                ip.set_payload_len(length).unwrap();
                ip.identification = 0x1234;
                ip.header_checksum = ip.calc_header_checksum();
                ip.write(&mut octets).unwrap();
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let first = self.extensions.first().map_or(6, |(kind, _)| *kind);
                let ip = Ipv6Header {
                    payload_length: (self.before_tcp() - 40 + length) as u16,
                    next_header: IpNumber(first),
                    hop_limit: 61,
                    source: from.octets(),
                    destination: to.octets(),
                    ..Default::default()
                };
                ip.write(&mut octets).unwrap();
                for (at, (_, more)) in self.extensions.iter().enumerate() {
                    let next = self.extensions.get(at + 1).map_or(6, |(kind, _)| *kind);
                    octets.extend([next, *more, 0, 0]);
                    octets.extend(vec![0; 4 + usize::from(*more) * 8]);
                }
            }
            _ => panic!("two families"),
        }
        header.write(&mut octets).unwrap();
        octets.extend(&self.payload);
        octets
    }
}

/// What the other library reads from octets: it checks both checksums, too.
pub struct Seen {
    pub header: TcpHeader,
    pub payload: Vec<u8>,
    pub ipv4: Option<Ipv4Header>,
    pub ipv6: Option<Ipv6Header>,
}

pub fn see(octets: &[u8]) -> Seen {
    let sliced = SlicedPacket::from_ip(octets).expect("another decoder reads it");
    let Some(TransportSlice::Tcp(tcp)) = sliced.transport else {
        panic!("another decoder sees no TCP");
    };
    let header = tcp.to_header();
    let payload = tcp.payload().to_vec();
    let (right, ipv4, ipv6) = match sliced.net.unwrap() {
        NetSlice::Ipv4(ip) => {
            let ip = ip.header().to_header();
            assert_eq!(
                ip.header_checksum,
                ip.calc_header_checksum(),
                "IP header checksum"
            );
            let right = header.calc_checksum_ipv4_raw(ip.source, ip.destination, &payload);
            (right, Some(ip), None)
        }
        NetSlice::Ipv6(ip) => {
            let ip = ip.header().to_header();
            let right = header.calc_checksum_ipv6_raw(ip.source, ip.destination, &payload);
            (right, None, Some(ip))
        }
        NetSlice::Arp(_) => panic!("another decoder sees ARP"),
    };
    assert_eq!(header.checksum, right.unwrap(), "TCP checksum");
    Seen {
        header,
        payload,
        ipv4,
        ipv6,
    }
}

fn element() -> impl Strategy<Value = Element> {
    prop_oneof![
        3 => Just(Element::Nop),
        1 => any::<u16>().prop_map(Element::Mss),
        1 => any::<u8>().prop_map(Element::Scale),
        1 => Just(Element::SackPermitted),
        2 => (number(), number()).prop_map(|(value, echo)| Element::Timestamps(value, echo)),
        2 => vec((number(), number()), 1..4).prop_map(Element::Sack),
        1 => (prop_oneof![Just(30_u8), Just(34), Just(253), Just(6)], vec(any::<u8>(), 0..6))
            .prop_map(|(kind, rest)| Element::Other(kind, rest)),
    ]
}

/// Numbers, with those at which sums go wrong among them.
pub fn number() -> impl Strategy<Value = u32> {
    prop_oneof![
        4 => any::<u32>(),
        1 => prop_oneof![
            Just(0), Just(1), Just(0xffff), Just(0x1_0000), Just(0xffff_0000), Just(u32::MAX),
        ],
    ]
}

fn elements() -> impl Strategy<Value = Vec<Element>> {
    vec(element(), 0..8).prop_map(|mut elements| {
        while elements
            .iter()
            .map(|element| element.octets().len())
            .sum::<usize>()
            > 40
        {
            elements.pop();
        }
        elements
    })
}

fn sockets() -> impl Strategy<Value = (SocketAddr, SocketAddr)> {
    let ports = (any::<u16>(), any::<u16>());
    prop_oneof![
        (any::<[u8; 4]>(), any::<[u8; 4]>(), ports)
            .prop_map(|(from, to, ports)| ((from, ports.0).into(), (to, ports.1).into())),
        (any::<[u8; 16]>(), any::<[u8; 16]>(), ports)
            .prop_map(|(from, to, ports)| ((from, ports.0).into(), (to, ports.1).into())),
    ]
}

/// Extension headers in an order that RFC 8200, 4.1 recommends.
fn extensions() -> impl Strategy<Value = Vec<(u8, u8)>> {
    (
        proptest::sample::subsequence(vec![0_u8, 60, 43], 0..=3),
        vec(0..3_u8, 3),
    )
        .prop_map(|(kinds, more)| kinds.into_iter().zip(more).collect())
}

/// Any valid packet.
pub fn plan() -> impl Strategy<Value = Plan> {
    let numbers = (
        number(),
        number(),
        any::<u8>(),
        any::<bool>(),
        any::<u16>(),
        any::<u16>(),
    );
    let payload = prop_oneof![
        3 => vec(any::<u8>(), 0..64),
        1 => vec(any::<u8>(), 1000..3000),
        1 => (0..50_usize).prop_map(|length| vec![0xff; length]),
    ];
    (
        sockets(),
        0..=10_usize,
        extensions(),
        numbers,
        elements(),
        payload,
    )
        .prop_map(
            |((source, destination), words, extensions, numbers, elements, payload)| Plan {
                source,
                destination,
                words,
                extensions,
                sequence: numbers.0,
                acknowledgment: numbers.1,
                flags: numbers.2,
                accurate_ecn: numbers.3,
                window: numbers.4,
                urgent: numbers.5,
                elements,
                payload,
            },
        )
}
