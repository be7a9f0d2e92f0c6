//! The IP header, as far as TCP depends on it.
//!
//! *Assumes* nothing of the octets.
//! *Guarantees* that the transport header's place is found behind IPv4 options and IPv6 extension
//! headers, and that both addresses are those of the two ends.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Malformed, checksum};

pub(super) const TCP: u8 = 6;
pub(super) const ICMP: u8 = 1;
pub(super) const ICMPV6: u8 = 58;

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

// IPv6 extension headers (RFC 8200, 4).
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

// IPv4 options (RFC 791, 3.1).
const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const LOOSE_SOURCE_ROUTE: u8 = 131;
const STRICT_SOURCE_ROUTE: u8 = 137;

/// What an IP header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) version: u8,
    /// Of the transport header, behind all extension headers.
    pub(super) protocol: u8,
    /// Offset of the transport header.
    pub(super) transport: usize,
    /// Octets of the whole packet. 0: the header does not say it.
    pub(super) total: usize,
    /// More fragments follow. Later ones are refused at once, for they have no transport header.
    pub(super) first_fragment: bool,
}

impl Header {
    pub(super) fn read(octets: &[u8]) -> Result<Header, Malformed> {
        let [first, ..] = first::<1>(octets, 0)?;
        match first >> 4 {
            4 => read_v4(octets),
            6 => read_v6(octets),
            version => Err(Malformed::Version { version }),
        }
    }

    /// Where the packet ends, if it can have a transport header of `least` octets.
    pub(super) fn end(&self, least: usize) -> Result<usize, Malformed> {
        if self.first_fragment {
            return Err(Malformed::Fragment);
        }
        if self.total == 0 {
            return Err(Malformed::Jumbo);
        }
        let least = self.transport + least;
        if self.total < least {
            return Err(Malformed::Length {
                length: self.total,
                least,
                most: IPV6_HEADER + usize::from(u16::MAX),
            });
        }
        Ok(self.total)
    }
}

fn read_v4(octets: &[u8]) -> Result<Header, Malformed> {
    let header = first::<IPV4_HEADER>(octets, 0)?;
    let total = usize::from(word(header, 2));
    let transport = usize::from(header[0] & 0x0f) * 4;
    if transport < IPV4_HEADER {
        return Err(Malformed::Length {
            length: transport,
            least: IPV4_HEADER,
            most: 60,
        });
    }
    let options = octets
        .get(IPV4_HEADER..transport)
        .ok_or(Malformed::Truncated {
            needed: transport,
            present: octets.len(),
        })?;
    let fragment = word(header, 6);
    if fragment & 0x1fff != 0 {
        return Err(Malformed::Fragment);
    }
    if source_routed(options) {
        return Err(Malformed::SourceRouted);
    }
    Ok(Header {
        version: 4,
        protocol: header[9],
        transport,
        total,
        first_fragment: fragment & 0x2000 != 0,
    })
}

/// Whether a source route has hops left: its pointer is not beyond its end (RFC 791, 3.1).
fn source_routed(mut options: &[u8]) -> bool {
    while let [kind, rest @ ..] = options {
        if *kind == END_OF_OPTIONS {
            return false;
        }
        if *kind == NO_OPERATION {
            options = rest;
            continue;
        }
        let length = usize::from(rest.first().copied().unwrap_or(0));
        if length < 2 || length > options.len() {
            return false;
        }
        let pointer = options[..length].get(2).copied().unwrap_or(0);
        if matches!(*kind, LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE)
            && usize::from(pointer) <= length
        {
            return true;
        }
        options = &options[length..];
    }
    false
}

fn read_v6(octets: &[u8]) -> Result<Header, Malformed> {
    let header = first::<IPV6_HEADER>(octets, 0)?;
    let payload = usize::from(word(header, 4));
    let mut protocol = header[6];
    let mut transport = IPV6_HEADER;
    let mut first_fragment = false;
    // Every extension header has 8 octets or more, so this ends with the octets.
    loop {
        let before = transport;
        match protocol {
            // Only right behind the IPv6 header (RFC 8200, 4.1).
            HOP_BY_HOP if transport != IPV6_HEADER => break,
            HOP_BY_HOP | DESTINATION_OPTIONS | ROUTING => {
                let extension = first::<8>(octets, transport)?;
                // Segments left (RFC 8200, 4.4).
                if protocol == ROUTING && extension[3] != 0 {
                    return Err(Malformed::SourceRouted);
                }
                transport += 8 + usize::from(extension[1]) * 8;
            }
            FRAGMENT => {
                let extension = first::<8>(octets, transport)?;
                let place = word(extension, 2);
                if place & 0xfff8 != 0 {
                    return Err(Malformed::Fragment);
                }
                // A packet in one piece may have this header, too (RFC 6946).
                first_fragment |= place & 1 != 0;
                transport += 8;
            }
            _ => break,
        }
        protocol = octets[before];
    }
    Ok(Header {
        version: 6,
        protocol,
        transport,
        total: if payload == 0 {
            0
        } else {
            IPV6_HEADER + payload
        },
        first_fragment,
    })
}

/// The sender's address, of a packet that was read before.
pub(super) fn source(octets: &[u8]) -> IpAddr {
    if octets[0] >> 4 == 4 {
        v4(octets, 12)
    } else {
        v6(octets, 8)
    }
}

/// The receiver's address, of a packet that was read before.
pub(super) fn destination(octets: &[u8]) -> IpAddr {
    if octets[0] >> 4 == 4 {
        v4(octets, 16)
    } else {
        v6(octets, 24)
    }
}

fn v4(octets: &[u8], at: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(double(octets, at)))
}

fn v6(octets: &[u8], at: usize) -> IpAddr {
    let mut address = [0; 16];
    address.copy_from_slice(&octets[at..at + 16]);
    IpAddr::V6(Ipv6Addr::from(address))
}

/// Sum of the pseudo header (RFC 9293, 3.1; RFC 8200, 8.1) of a packet that was read before.
pub(super) fn pseudo_header(octets: &[u8], protocol: u8, length: usize) -> u64 {
    let addresses = if octets[0] >> 4 == 4 { 12..20 } else { 8..40 };
    checksum::sum(&octets[addresses]) + u64::from(protocol) + length as u64
}

/// Writes the length of a packet, and the checksum of an IPv4 header anew.
pub(super) fn set_total(octets: &mut [u8], total: usize) {
    // Both fit: a packet is only ever made shorter than one whose length was read.
    if octets[0] >> 4 == 4 {
        octets[2..4].copy_from_slice(&(total as u16).to_be_bytes());
        let header = usize::from(octets[0] & 0x0f) * 4;
        octets[10..12].fill(0);
        let sum = checksum::sum(&octets[..header]);
        octets[10..12].copy_from_slice(&(!checksum::fold(sum)).to_be_bytes());
    } else {
        let payload = (total - IPV6_HEADER) as u16;
        octets[4..6].copy_from_slice(&payload.to_be_bytes());
    }
}

/// `N` octets from `at` on.
pub(super) fn first<const N: usize>(octets: &[u8], at: usize) -> Result<&[u8; N], Malformed> {
    octets
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .ok_or(Malformed::Truncated {
            needed: at + N,
            present: octets.len(),
        })
}

pub(super) fn word(octets: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([octets[at], octets[at + 1]])
}

pub(super) fn double(octets: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Header, Malformed};

    /// An IPv4 header with these options, whose total length is 100.
    fn v4<const N: usize>(options: [u8; N]) -> [u8; 60] {
        let mut octets = [0; 60];
        octets[0] = 0x45 + (N / 4) as u8;
        octets[3] = 100;
        octets[9] = 6;
        octets[20..20 + N].copy_from_slice(&options);
        octets
    }

    /// An IPv6 header whose payload of 100 octets begins with these.
    fn v6<const N: usize>(next: u8, payload: [u8; N]) -> [u8; 80] {
        let mut octets = [0; 80];
        octets[0] = 0x60;
        octets[5] = 100;
        octets[6] = next;
        octets[40..40 + N].copy_from_slice(&payload);
        octets
    }

    #[test]
    fn ipv4_options_are_skipped() {
        let header = Header::read(&v4([1, 1, 1, 0])).unwrap();
        assert_eq!(
            (header.version, header.protocol, header.transport),
            (4, 6, 24)
        );
        assert_eq!(header.end(20), Ok(100));
        assert!(matches!(
            header.end(77),
            Err(Malformed::Length { least: 101, .. })
        ));
    }

    #[test]
    fn a_header_shorter_than_its_fixed_part_is_refused() {
        let mut octets = v4([]);
        octets[0] = 0x44;
        assert!(matches!(
            Header::read(&octets),
            Err(Malformed::Length { length: 16, .. })
        ));
    }

    #[test]
    fn an_ipv4_source_route_is_refused_until_it_has_come_to_its_end() {
        // Kind, length, pointer, one address.
        let route = |kind, pointer| v4([1, kind, 7, pointer, 10, 0, 0, 1]);
        for kind in [131, 137] {
            assert_eq!(Header::read(&route(kind, 4)), Err(Malformed::SourceRouted));
            assert!(Header::read(&route(kind, 8)).is_ok());
        }
        assert!(Header::read(&route(7, 4)).is_ok(), "a recorded route");
        assert!(
            Header::read(&v4([0, 131, 3, 1])).is_ok(),
            "behind the end of options"
        );
    }

    #[test]
    fn impossible_lengths_of_ipv4_options_end_them() {
        for options in [
            [7, 0, 131, 3],
            [7, 1, 131, 3],
            [7, 40, 131, 3],
            [1, 1, 1, 131],
        ] {
            assert!(Header::read(&v4(options)).is_ok(), "{options:?}");
        }
    }

    #[test]
    fn a_first_fragment_has_a_header_but_no_end_and_later_ones_have_neither() {
        let mut octets = v4([]);
        octets[6] = 0x20;
        assert_eq!(
            Header::read(&octets).unwrap().end(0),
            Err(Malformed::Fragment)
        );
        octets[6] = 0;
        octets[7] = 1;
        assert_eq!(Header::read(&octets), Err(Malformed::Fragment));
        octets[6] = 0x40;
        octets[7] = 0;
        assert!(
            Header::read(&octets).unwrap().end(0).is_ok(),
            "don't fragment"
        );
    }

    #[test]
    fn ipv6_extension_headers_are_skipped() {
        let mut chain = [0; 40];
        chain[..2].copy_from_slice(&[60, 0]); // Hop by hop, 8 octets.
        chain[8..10].copy_from_slice(&[43, 1]); // Destination options, 16 octets.
        chain[24..28].copy_from_slice(&[44, 0, 4, 0]); // Routing, no segments left.
        chain[32..36].copy_from_slice(&[6, 0, 0, 0]); // The only fragment.
        let header = Header::read(&v6(0, chain)).unwrap();
        assert_eq!(
            (header.version, header.protocol, header.transport),
            (6, 6, 80)
        );
        assert_eq!(header.end(20), Ok(140));
    }

    #[test]
    fn an_ipv6_route_with_segments_left_is_refused() {
        let routing = v6(43, [6, 0, 4, 1, 0, 0, 0, 0]);
        assert_eq!(Header::read(&routing), Err(Malformed::SourceRouted));
    }

    #[test]
    fn an_ipv6_fragment_is_refused_unless_it_is_the_whole() {
        let piece = |high, low| Header::read(&v6(44, [6, 0, high, low, 0, 0, 0, 0]));
        assert_eq!(piece(0, 8), Err(Malformed::Fragment));
        assert_eq!(piece(0, 1).unwrap().end(0), Err(Malformed::Fragment));
        assert!(piece(0, 0).unwrap().end(0).is_ok());
    }

    #[test]
    fn hop_by_hop_options_come_first_or_not_at_all() {
        let header = Header::read(&v6(60, [0, 0, 0, 0, 0, 0, 0, 0])).unwrap();
        assert_eq!((header.protocol, header.transport), (0, 48));
    }

    #[test]
    fn a_jumbogram_has_no_end() {
        let mut octets = v6(6, []);
        octets[5] = 0;
        assert_eq!(
            Header::read(&octets).unwrap().end(20),
            Err(Malformed::Jumbo)
        );
        let mut octets = v4([]);
        octets[3] = 0;
        assert_eq!(
            Header::read(&octets).unwrap().end(20),
            Err(Malformed::Jumbo)
        );
    }

    #[test]
    fn headers_that_are_not_all_there_are_refused() {
        for octets in [&v4([1; 40])[..], &v6(60, [6, 4, 0, 0, 0, 0, 0, 0])[..]] {
            let whole = Header::read(octets).unwrap().transport.min(48);
            for length in 0..whole {
                let read = Header::read(&octets[..length]);
                assert!(
                    matches!(read, Err(Malformed::Truncated { .. })),
                    "{length}: {read:?}"
                );
            }
        }
        assert_eq!(
            Header::read(&[0x50]),
            Err(Malformed::Version { version: 5 })
        );
    }
}
