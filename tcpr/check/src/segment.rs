//! A TCP segment, read from an IP packet.
//!
//! *Assumes* nothing of the octets: they may be hostile, and may end anywhere.
//! *Guarantees* that reading ends and never panics, and that the lengths are those that the headers
//! tell, also where the capture has cut the packet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use arrayvec::ArrayVec;

/// A segment.
#[derive(Debug, Clone)]
pub(crate) struct Segment<'a> {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    /// Hops that the packet may still go.
    pub(crate) hops: u8,
    pub(crate) sequence: u32,
    pub(crate) acknowledgment: u32,
    pub(crate) syn: bool,
    pub(crate) ack: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
    /// Not scaled.
    pub(crate) window: u16,
    /// As far as captured.
    pub(crate) payload: &'a [u8],
    /// Of the whole packet.
    pub(crate) payload_len: usize,
    pub(crate) options: Options,
    /// The packet's sum over the segment and its pseudo header, if all of it is there.
    sum: Option<u16>,
}

/// What the options say. The last of a kind counts; one of a wrong length does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Options {
    pub(crate) mss: Option<u16>,
    pub(crate) scale: Option<u8>,
    pub(crate) sack_permitted: bool,
    /// TSval and TSecr.
    pub(crate) timestamps: Option<(u32, u32)>,
    pub(crate) sack: Blocks,
}

/// Blocks of a selective acknowledgment: left edge, and right edge, exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Blocks {
    blocks: [(u32, u32); 4],
    count: usize,
}

impl Blocks {
    pub(crate) fn as_slice(&self) -> &[(u32, u32)] {
        &self.blocks[..self.count]
    }
}

/// Why a packet is not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// No TCP, or no IP.
    Other,
    /// A piece of a packet.
    Fragment,
    /// It ends within its headers, or these contradict one another.
    Damaged,
}

const TCP: u8 = 6;

// IPv6 extension headers (RFC 8200, 4).
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// The IP header.
struct Network {
    source: IpAddr,
    destination: IpAddr,
    hops: u8,
    /// Offset of what follows it.
    transport: usize,
    /// Octets of the packet.
    total: usize,
}

impl<'a> Segment<'a> {
    /// Reads a packet of `length` octets, which counts only if its header does not say it. With
    /// `summed`, its checksum is looked at too.
    pub(crate) fn read(
        octets: &'a [u8],
        length: usize,
        summed: bool,
    ) -> Result<Segment<'a>, Unread> {
        let network = match octets.first().map(|first| first >> 4) {
            Some(4) => v4(octets, length)?,
            Some(6) => v6(octets, length)?,
            _ => return Err(Unread::Other),
        };
        let begin = network.transport;
        let header: &[u8; 20] = first(octets, begin)?;
        let data = begin + usize::from(header[12] >> 4) * 4;
        if data < begin + 20 || data > network.total {
            return Err(Unread::Damaged);
        }
        let options = octets.get(begin + 20..data).ok_or(Unread::Damaged)?;
        let end = network.total.min(octets.len());
        let flag = |bit: u8| header[13] & bit != 0;
        let whole = summed && octets.len() >= network.total;
        Ok(Segment {
            source: SocketAddr::new(network.source, word(header, 0)),
            destination: SocketAddr::new(network.destination, word(header, 2)),
            hops: network.hops,
            sequence: double(header, 4),
            acknowledgment: double(header, 8),
            fin: flag(0x01),
            syn: flag(0x02),
            rst: flag(0x04),
            ack: flag(0x10),
            window: word(header, 14),
            payload: &octets[data..end],
            payload_len: network.total - data,
            options: Options::read(options),
            sum: whole.then(|| sum(&network, &octets[begin..network.total])),
        })
    }

    /// Whether the checksum is known to be wrong.
    pub(crate) fn checksum_is_wrong(&self) -> bool {
        self.sum.is_some_and(|sum| sum != 0xffff)
    }

    /// Whether the capture has cut the packet.
    pub(crate) fn is_cut(&self) -> bool {
        self.payload.len() < self.payload_len
    }
}

fn v4(octets: &[u8], length: usize) -> Result<Network, Unread> {
    let header: &[u8; 20] = first(octets, 0)?;
    let transport = usize::from(header[0] & 0x0f) * 4;
    let total = match usize::from(word(header, 2)) {
        // More than 64 KiB that never leave the host.
        0 => length,
        total => total,
    };
    if transport < 20 || total < transport {
        return Err(Unread::Damaged);
    }
    if word(header, 6) & 0x3fff != 0 {
        return Err(Unread::Fragment);
    }
    if header[9] != TCP {
        return Err(Unread::Other);
    }
    let address = |at: usize| Ipv4Addr::from(double(header, at)).into();
    Ok(Network {
        source: address(12),
        destination: address(16),
        hops: header[8],
        transport,
        total,
    })
}

fn v6(octets: &[u8], length: usize) -> Result<Network, Unread> {
    let header: &[u8; 40] = first(octets, 0)?;
    let total = match usize::from(word(header, 4)) {
        0 => length,
        payload => 40 + payload,
    };
    let (mut protocol, mut transport) = (header[6], 40);
    // Every extension header has 8 octets or more, so this ends with the octets.
    while protocol != TCP {
        let extension: &[u8; 8] = first(octets, transport)?;
        match protocol {
            HOP_BY_HOP | DESTINATION_OPTIONS | ROUTING => {
                transport += 8 + usize::from(extension[1]) * 8;
            }
            // A packet in one piece may have this header too (RFC 6946).
            FRAGMENT if word(extension, 2) & 0xfff9 == 0 => transport += 8,
            FRAGMENT => return Err(Unread::Fragment),
            _ => return Err(Unread::Other),
        }
        protocol = extension[0];
    }
    let address = |at: usize| {
        let mut octets = [0; 16];
        octets.copy_from_slice(&header[at..at + 16]);
        Ipv6Addr::from(octets).into()
    };
    Ok(Network {
        source: address(8),
        destination: address(24),
        hops: header[7],
        transport,
        total,
    })
}

impl Options {
    fn read(mut octets: &[u8]) -> Options {
        let mut options = Options::default();
        while let [kind, rest @ ..] = octets {
            match kind {
                0 => break,
                1 => octets = rest,
                _ => {
                    let length = usize::from(rest.first().copied().unwrap_or(0));
                    let Some(option) = octets.get(..length).filter(|_| length >= 2) else {
                        break;
                    };
                    options.take(*kind, &option[2..]);
                    octets = &octets[length..];
                }
            }
        }
        options
    }

    fn take(&mut self, kind: u8, value: &[u8]) {
        match (kind, value.len()) {
            (2, 2) => self.mss = Some(word(value, 0)).filter(|mss| *mss > 0),
            // RFC 7323, 2.3: more than 14 counts as 14.
            (3, 1) => self.scale = Some(value[0].min(14)),
            (4, 0) => self.sack_permitted = true,
            (5, 8 | 16 | 24 | 32) => {
                self.sack = Blocks::default();
                for (block, edges) in self.sack.blocks.iter_mut().zip(value.chunks(8)) {
                    *block = (double(edges, 0), double(edges, 4));
                    self.sack.count += 1;
                }
            }
            (8, 8) => self.timestamps = Some((double(value, 0), double(value, 4))),
            _ => {}
        }
    }
}

/// RFC 1071, over the segment and its pseudo header (RFC 9293, 3.1; RFC 8200, 8.1).
fn sum(network: &Network, segment: &[u8]) -> u16 {
    let mut addresses: ArrayVec<u8, 32> = ArrayVec::new();
    for address in [network.source, network.destination] {
        // Both have room.
        let _ = match address {
            IpAddr::V4(address) => addresses.try_extend_from_slice(&address.octets()),
            IpAddr::V6(address) => addresses.try_extend_from_slice(&address.octets()),
        };
    }
    let words = |octets: &[u8]| -> u64 {
        let (pairs, rest) = octets.as_chunks::<2>();
        let sum: u64 = pairs.iter().map(|pair| u64::from(word(pair, 0))).sum();
        sum + rest.first().map_or(0, |last| u64::from(*last) << 8)
    };
    let mut sum = words(&addresses) + u64::from(TCP) + segment.len() as u64 + words(segment);
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

fn first<const N: usize>(octets: &[u8], at: usize) -> Result<&[u8; N], Unread> {
    let rest = octets.get(at..).and_then(|rest| rest.first_chunk());
    rest.ok_or(Unread::Damaged)
}

fn word(octets: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([octets[at], octets[at + 1]])
}

fn double(octets: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]])
}
