//! One captured packet as one TCP segment.
//!
//! *Assumes* a packet that begins with the link-layer header its capture says. *Guarantees* that
//! the payload is what the sender put into the stream, as far as it was captured, without link
//! padding; packets of other protocols, and IP fragments, are told apart.

use std::net::SocketAddrV4;

use etherparse::{EtherType, Ethernet2HeaderSlice, IpNumber, SingleVlanHeaderSlice};
use etherparse::{Ipv4HeaderSlice, TcpHeaderSlice};

/// What a captured packet begins with, by its LINKTYPE number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// Ethernet II (1).
    Ethernet,
    /// The IP header itself (101).
    Raw,
    /// Linux cooked capture (113): a capture of all devices.
    LinuxSll,
    /// Linux cooked capture, version 2 (276).
    LinuxSll2,
}

/// Octets of a cooked header.
const SLL_HEADER: usize = 16;
/// Octets of a cooked header of version 2.
const SLL2_HEADER: usize = 20;
/// Device type of a loopback device.
const ARPHRD_LOOPBACK: u16 = 772;

impl LinkType {
    /// The link type of that LINKTYPE (or, as libpcap's `pcap_datalink` gives it, DLT) number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Ethernet),
            // DLT_RAW is 12 on Linux; files hold 101.
            12 | 101 => Some(Self::Raw),
            113 => Some(Self::LinuxSll),
            276 => Some(Self::LinuxSll2),
            _ => None,
        }
    }

    /// Whether a packet of this link type was captured on a loopback device, as far as its header
    /// says: a cooked header has the device's ARPHRD number (linux/if_arp.h).
    #[must_use]
    pub fn is_loopback(self, packet: &[u8]) -> bool {
        let at = match self {
            Self::LinuxSll => 2,
            Self::LinuxSll2 => 8,
            Self::Ethernet | Self::Raw => return false,
        };
        packet.get(at..at + 2) == Some(&ARPHRD_LOOPBACK.to_be_bytes()[..])
    }

    /// Its LINKTYPE number, as files hold it.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Ethernet => 1,
            Self::Raw => 101,
            Self::LinuxSll => 113,
            Self::LinuxSll2 => 276,
        }
    }

    /// What follows the link-layer header, if that is IPv4.
    fn ipv4(self, packet: &[u8]) -> Option<&[u8]> {
        let (mut protocol, mut rest) = match self {
            Self::Raw => return Some(packet),
            // The cooked headers' protocol field: the last two octets, or the first two.
            Self::LinuxSll => (ether_type(packet.get(14..16)?), packet.get(SLL_HEADER..)?),
            Self::LinuxSll2 => (ether_type(packet.get(0..2)?), packet.get(SLL2_HEADER..)?),
            Self::Ethernet => {
                let header = Ethernet2HeaderSlice::from_slice(packet).ok()?;
                (header.ether_type(), packet.get(header.slice().len()..)?)
            }
        };
        while [
            EtherType::VLAN_TAGGED_FRAME,
            EtherType::PROVIDER_BRIDGING,
            EtherType::VLAN_DOUBLE_TAGGED_FRAME,
        ]
        .contains(&protocol)
        {
            let tag = SingleVlanHeaderSlice::from_slice(rest).ok()?;
            (protocol, rest) = (tag.ether_type(), rest.get(tag.slice().len()..)?);
        }
        (protocol == EtherType::IPV4).then_some(rest)
    }
}

fn ether_type(octets: &[u8]) -> EtherType {
    EtherType(u16::from_be_bytes([octets[0], octets[1]]))
}

/// One TCP segment of one direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    pub(super) src: SocketAddrV4,
    pub(super) dst: SocketAddrV4,
    /// Sequence number of its first octet, or of its SYN.
    pub(super) seq: u32,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    /// Its octets, as far as captured.
    pub(super) payload: &'a [u8],
    /// Octets that it had and the capture lacks (a snapshot length that was too short).
    pub(super) not_captured: usize,
}

impl<'a> Segment<'a> {
    pub(super) fn parse(link_type: LinkType, packet: &'a [u8]) -> Option<Self> {
        let datagram = link_type.ipv4(packet)?;
        let ip = Ipv4HeaderSlice::from_slice(datagram).ok()?;
        if ip.protocol() != IpNumber::TCP || ip.is_fragmenting_payload() {
            return None;
        }
        // Frames may be padded beyond the datagram. A datagram larger than 65,535 octets, which
        // segmentation offload makes, says 0 and ends with the packet.
        let total = match usize::from(ip.total_len()) {
            0 => datagram.len(),
            n => n,
        };
        let captured = datagram.get(ip.slice().len()..total.min(datagram.len()))?;
        let tcp = TcpHeaderSlice::from_slice(captured).ok()?;
        Some(Self {
            src: SocketAddrV4::new(ip.source_addr(), tcp.source_port()),
            dst: SocketAddrV4::new(ip.destination_addr(), tcp.destination_port()),
            seq: tcp.sequence_number(),
            syn: tcp.syn(),
            fin: tcp.fin(),
            rst: tcp.rst(),
            payload: captured.get(tcp.slice().len()..)?,
            not_captured: total.saturating_sub(datagram.len()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cooked_header_tells_a_loopback_device_from_others() {
        // Packet type, device type, then what does not matter here.
        let sll = |device: u16| [&[0, 4][..], &device.to_be_bytes(), &[0; 12]].concat();
        assert!(LinkType::LinuxSll.is_loopback(&sll(ARPHRD_LOOPBACK)));
        assert!(!LinkType::LinuxSll.is_loopback(&sll(1)), "Ethernet");
        let sll2 = |device: u16| [&[0; 8][..], &device.to_be_bytes(), &[0; 10]].concat();
        assert!(LinkType::LinuxSll2.is_loopback(&sll2(ARPHRD_LOOPBACK)));
        assert!(!LinkType::LinuxSll2.is_loopback(&sll2(1)));
        assert!(!LinkType::LinuxSll.is_loopback(&[0, 4]), "cut short");
    }
}
