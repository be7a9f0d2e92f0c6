//! What lies before the IP header of a captured packet.
//!
//! *Assumes* that the capture names its link type rightly.
//! *Guarantees* the IP packet as far as captured, or nothing; and the way that it went, where the
//! link type tells it.

use tcpr_check::Way;

/// A link type that can be read: its packets begin with this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// Ethernet, with VLAN tags or without.
    Ethernet,
    /// What `tcpdump -i any` writes (`LINKTYPE_LINUX_SLL`).
    Cooked,
    /// The same, newer (`LINKTYPE_LINUX_SLL2`).
    Cooked2,
    /// BSD's loopback: four octets that name the family.
    Null,
    /// IP itself.
    Raw,
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// Packet types of Linux (packet(7)).
const TO_US: u16 = 0;
const OUTGOING: u16 = 4;

impl Link {
    /// By its number (<https://www.tcpdump.org/linktypes.html>).
    pub(super) fn from_number(number: u32) -> Option<Link> {
        match number {
            1 => Some(Link::Ethernet),
            113 => Some(Link::Cooked),
            276 => Some(Link::Cooked2),
            0 | 108 => Some(Link::Null),
            // The latter two are what some systems' DLT_RAW is.
            101 | 228 | 229 | 12 | 14 => Some(Link::Raw),
            _ => None,
        }
    }

    /// The IP packet in a frame, if it is one.
    pub(super) fn network(self, frame: &[u8]) -> Option<(&[u8], Way)> {
        let (kind, at, way) = match self {
            Link::Ethernet => (Some(word(frame, 12)?), 14, Way::Unknown),
            Link::Cooked => (Some(word(frame, 14)?), 16, way(word(frame, 0)?)),
            Link::Cooked2 => {
                let packet_type = u16::from(*frame.get(10)?);
                (Some(word(frame, 0)?), 20, way(packet_type))
            }
            Link::Null => (None, 4, Way::Unknown),
            Link::Raw => (None, 0, Way::Unknown),
        };
        let octets = match kind {
            Some(kind) => untagged(kind, frame.get(at..)?)?,
            None => frame.get(at..)?,
        };
        matches!(octets.first()? >> 4, 4 | 6).then_some((octets, way))
    }
}

/// What lies behind VLAN tags, if it is IP.
fn untagged(mut kind: u16, mut octets: &[u8]) -> Option<&[u8]> {
    while VLAN.contains(&kind) {
        kind = word(octets, 2)?;
        octets = octets.get(4..)?;
    }
    matches!(kind, IPV4 | IPV6).then_some(octets)
}

fn way(packet_type: u16) -> Way {
    match packet_type {
        TO_US => Way::In,
        OUTGOING => Way::Out,
        _ => Way::Unknown,
    }
}

fn word(octets: &[u8], at: usize) -> Option<u16> {
    let pair = octets.get(at..at + 2)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

#[cfg(test)]
mod tests {
    use tcpr_check::Way;

    use super::Link;

    const IP: [u8; 4] = [0x45, 1, 2, 3];

    #[test]
    fn the_ip_packet_is_found_behind_every_link_header() {
        let ethernet = [&[0; 12][..], &[8, 0], &IP].concat();
        let tagged = [&[0; 12][..], &[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 8, 0], &IP].concat();
        let cooked = [&[0, 4][..], &[0; 12], &[8, 0], &IP].concat();
        let cooked2 = [&[8, 0][..], &[0; 8], &[0], &[0; 9], &IP].concat();
        let null = [&[2, 0, 0, 0][..], &IP].concat();
        for (number, frame, way) in [
            (1, &ethernet[..], Way::Unknown),
            (1, &tagged, Way::Unknown),
            (113, &cooked, Way::Out),
            (276, &cooked2, Way::In),
            (0, &null, Way::Unknown),
            (101, &IP, Way::Unknown),
        ] {
            let found = Link::from_number(number).and_then(|link| link.network(frame));
            assert_eq!(found, Some((&IP[..], way)), "{number}");
        }
    }

    #[test]
    fn what_is_no_ip_or_too_short_is_none() {
        let arp = [&[0; 12][..], &[8, 6], &IP].concat();
        for link in [Link::Ethernet, Link::Cooked, Link::Cooked2, Link::Null] {
            assert_eq!(link.network(&[0x45; 3]), None, "{link:?}");
        }
        assert_eq!(Link::Ethernet.network(&arp), None);
        assert_eq!(Link::Raw.network(&[0x50]), None);
        assert_eq!(Link::from_number(147), None);
    }
}
