//! One BGP message, from its marker to its end, as what it says.
//!
//! *Assumes* a message whose length its header gives rightly, and no ADD-PATH. *Guarantees* that
//! an UPDATE which is legal for either width of AS numbers is understood, whether or not the
//! OPENs were seen; and that what cannot be understood is [`Body::Malformed`].

use std::collections::HashMap;

use ipnet::Ipv4Net;
use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::capabilities::BgpCapability;
use netgauze_bgp_pkt::nlri::Ipv4UnicastAddress;
use netgauze_bgp_pkt::open::BgpOpenMessage;
use netgauze_bgp_pkt::path_attribute::{
    AsPath, AsPathSegmentType, MpReach, MpUnreach, PathAttributeValue,
};
use netgauze_bgp_pkt::update::BgpUpdateMessage;
use netgauze_bgp_pkt::wire::deserializer::{BgpMessageParsingError, BgpParsingContext};
use netgauze_iana::address_family::AddressType;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput;

use super::{Body, GracefulRestart, Open, Update};

/// Octets of a message header (RFC 4271, section 4.1): marker, length, type.
pub(super) const HEADER: usize = 19;
/// The marker.
pub(super) const MARKER: [u8; 16] = [0xff; 16];

const OPEN: u8 = 1;
const UPDATE: u8 = 2;
const NOTIFICATION: u8 = 3;
const KEEPALIVE: u8 = 4;
const ROUTE_REFRESH: u8 = 5;

/// Length of the message that begins with these octets: `None` while its header is not whole,
/// an error if it is none.
pub(super) fn message_len(octets: &[u8]) -> Option<Result<usize, &'static str>> {
    let known = octets.len().min(MARKER.len());
    if octets[..known] != MARKER[..known] {
        return Some(Err("no marker where a message should begin"));
    }
    let header = octets.first_chunk::<HEADER>()?;
    let len = usize::from(u16::from_be_bytes([header[16], header[17]]));
    // RFC 4271, section 4.1, and for the upper end RFC 8654, section 3: messages of up to 65,535
    // octets, which fits whatever the field holds.
    if len < HEADER {
        return Some(Err("a message shorter than its header"));
    }
    if !(OPEN..=ROUTE_REFRESH).contains(&header[18]) {
        return Some(Err("a message of unknown type"));
    }
    Some(Ok(len))
}

/// What one direction of a connection has shown about how its messages are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    /// Width of AS numbers in AS_PATH: four octets.
    four_octet_as: bool,
}

impl Default for Reading {
    fn default() -> Self {
        // Every speaker of today offers it (RFC 6793); an UPDATE that says otherwise corrects it.
        Self {
            four_octet_as: true,
        }
    }
}

/// The parser with its context, made once: it owns maps.
#[derive(Debug)]
pub(super) struct Wire {
    context: BgpParsingContext,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            // Lenient where a prefix or a capability is unusual, strict where an attribute is
            // damaged: that is how the wrong width of AS numbers shows.
            context: BgpParsingContext::new(
                true,
                HashMap::new(),
                HashMap::new(),
                false,
                false,
                false,
                true,
            ),
        }
    }
}

impl Wire {
    /// What one whole message says.
    pub(super) fn parse(&mut self, message: &[u8], reading: &mut Reading) -> Body {
        match message.get(HEADER - 1).copied() {
            Some(KEEPALIVE) if message.len() == HEADER => Body::Keepalive,
            // By hand: the codes are the first two octets, and netgauze refuses those that no
            // registry lists, as ExaBGP and others send them.
            Some(NOTIFICATION) => match message.get(HEADER..HEADER + 2) {
                Some(&[code, subcode]) => Body::Notification { code, subcode },
                _ => malformed("a NOTIFICATION without error code"),
            },
            Some(UPDATE) => self.parse_update(message, reading),
            _ => match self.decode(message, true) {
                Ok(BgpMessage::Open(open)) => {
                    let open = summarise_open(&open);
                    reading.four_octet_as = open.four_octet_as;
                    Body::Open(open)
                }
                Ok(BgpMessage::RouteRefresh(_)) => Body::RouteRefresh,
                Ok(_) => malformed("a message that is not what its type says"),
                Err(e) => malformed(e),
            },
        }
    }

    /// The width of AS numbers is agreed by both sides' OPENs, of which a capture of outgoing
    /// packets holds one: try what was right last, then the other.
    fn parse_update(&mut self, message: &[u8], reading: &mut Reading) -> Body {
        let first = match self.decode(message, reading.four_octet_as) {
            Ok(BgpMessage::Update(update)) => return Body::Update(self.summarise(&update)),
            Ok(_) => return malformed("a message that is not what its type says"),
            Err(e) => e,
        };
        match self.decode(message, !reading.four_octet_as) {
            Ok(BgpMessage::Update(update)) => {
                reading.four_octet_as = !reading.four_octet_as;
                Body::Update(self.summarise(&update))
            }
            _ => malformed(first),
        }
    }

    fn decode(&mut self, message: &[u8], asn4: bool) -> Result<BgpMessage, BgpMessageParsingError> {
        self.context.set_asn4(asn4);
        self.context.reset_parsing_errors();
        BgpMessage::parse(&mut SliceReader::new(message), &mut self.context)
    }

    fn summarise(&mut self, update: &BgpUpdateMessage) -> Update {
        // Prefixes that netgauze takes for no unicast ones (multicast, broadcast) were sent too.
        let odd = self.context.reset_parsing_errors();
        let mut summary = Update {
            announced: networks(update.nlri()),
            withdrawn: networks(update.withdraw_routes()),
            as_path_len: None,
            end_of_rib: update.end_of_rib() == Some(AddressType::Ipv4Unicast),
        };
        summary.announced.extend(odd.non_unicast_update_nlri());
        summary.withdrawn.extend(odd.non_unicast_withdraw_nlri());
        if !summary.announced.is_empty() || !summary.withdrawn.is_empty() {
            summary.end_of_rib = false;
        }
        for attribute in update.path_attributes() {
            match attribute.value() {
                PathAttributeValue::AsPath(path) => summary.as_path_len = Some(path_len(path)),
                PathAttributeValue::MpReach(MpReach::Ipv4Unicast { nlri, .. }) => {
                    summary.announced.extend(networks(nlri));
                }
                PathAttributeValue::MpUnreach(MpUnreach::Ipv4Unicast { nlri }) => {
                    summary.withdrawn.extend(networks(nlri));
                }
                _ => {}
            }
        }
        summary
    }
}

fn malformed(reason: impl ToString) -> Body {
    Body::Malformed {
        reason: reason.to_string(),
    }
}

fn networks(nlri: &[Ipv4UnicastAddress]) -> Vec<Ipv4Net> {
    // Bits beyond the prefix length have no meaning (RFC 4271, section 4.3).
    nlri.iter().map(|a| a.network().address().trunc()).collect()
}

fn path_len(path: &AsPath) -> usize {
    let count = |kind, len| match kind {
        AsPathSegmentType::AsSet => 1,
        AsPathSegmentType::AsSequence => len,
    };
    match path {
        AsPath::As2PathSegments(s) => s
            .iter()
            .map(|s| count(s.segment_type(), s.as_numbers().len()))
            .sum(),
        AsPath::As4PathSegments(s) => s
            .iter()
            .map(|s| count(s.segment_type(), s.as_numbers().len()))
            .sum(),
    }
}

fn summarise_open(open: &BgpOpenMessage) -> Open {
    let mut graceful_restart = None;
    let mut four_octet_as = false;
    for capability in open.capabilities() {
        match capability {
            BgpCapability::FourOctetAs(_) => four_octet_as = true,
            BgpCapability::GracefulRestartCapability(gr) => {
                let ipv4 = gr
                    .address_families()
                    .iter()
                    .find(|f| f.address_type() == AddressType::Ipv4Unicast);
                graceful_restart = Some(GracefulRestart {
                    restart_time_s: gr.time(),
                    restarting: gr.restart(),
                    notification: gr.graceful_notification(),
                    ipv4_unicast: ipv4.is_some(),
                    forwarding: ipv4.is_some_and(|f| f.forwarding_state()),
                });
            }
            _ => {}
        }
    }
    Open {
        asn: open.my_asn4(),
        hold_time_s: open.hold_time(),
        router_id: open.bgp_id(),
        graceful_restart,
        four_octet_as,
    }
}
