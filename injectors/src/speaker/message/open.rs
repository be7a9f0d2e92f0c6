//! OPEN (RFC 4271, section 4.2) and the capabilities in it (RFC 5492).
//!
//! *Assumes* a body of at least ten octets. *Guarantees* that an OPEN of well-formed parts is
//! read, whatever it offers: whether that is acceptable is the session's matter. Capabilities that
//! we do not speak are passed over (RFC 5492, section 3), so are address families unknown to the
//! registry.

use std::net::Ipv4Addr;

use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::capabilities::{
    BgpCapability, FourOctetAsCapability, GracefulRestartAddressFamily, GracefulRestartCapability,
    MultiProtocolExtensionsCapability,
};
use netgauze_bgp_pkt::open::{BgpOpenMessage, BgpOpenMessageParameter};
use netgauze_iana::address_family::AddressType;
use netgauze_parse_utils::WritablePdu;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFrom;

use super::Notification;
use super::notification::{
    OPEN_MESSAGE_ERROR, UNSPECIFIC, UNSUPPORTED_PARAMETER, UNSUPPORTED_VERSION,
};
use crate::speaker::config::GracefulRestart;

/// The version of BGP.
const VERSION: u8 = 4;
/// Stands for an AS number of four octets where two fit (RFC 6793, section 9).
const AS_TRANS: u16 = 23456;
/// The longest Restart Time, of twelve bits (RFC 4724, section 3).
const LONGEST_RESTART_TIME_S: u16 = 0x0fff;

/// The parameter that holds capabilities (RFC 5492, section 4).
const CAPABILITIES: u8 = 2;
/// In place of a first parameter: lengths of two octets follow (RFC 9072, section 2).
const EXTENDED_LENGTH: u8 = 255;

/// Codes of the capabilities that we speak.
const MULTIPROTOCOL: u8 = 1;
const GRACEFUL_RESTART: u8 = 64;
const FOUR_OCTET_AS: u8 = 65;

/// What a speaker says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Its AS number, from the four-octet capability if it is there (RFC 6793).
    pub asn: u32,
    /// Proposed Hold Time, seconds.
    pub hold_time_s: u16,
    /// BGP Identifier.
    pub router_id: Ipv4Addr,
    /// Whether four-octet AS numbers are offered (RFC 6793).
    pub four_octet_as: bool,
    /// Whether IPv4 unicast is offered (RFC 4760, section 8): it is, too, by a speaker that names
    /// no family.
    pub ipv4_unicast: bool,
    /// Graceful Restart, if offered (RFC 4724, section 3). Forwarding is that of IPv4 unicast, and
    /// false where that is not in it: such a peer helps others to restart.
    pub graceful_restart: Option<GracefulRestart>,
}

impl Open {
    /// The message.
    #[must_use]
    pub fn to_octets(&self) -> Vec<u8> {
        let mut capabilities = Vec::new();
        if self.ipv4_unicast {
            capabilities.push(BgpCapability::MultiProtocolExtensions(
                MultiProtocolExtensionsCapability::new(AddressType::Ipv4Unicast),
            ));
        }
        if self.four_octet_as {
            capabilities.push(BgpCapability::FourOctetAs(FourOctetAsCapability::new(
                self.asn,
            )));
        }
        if let Some(gr) = self.graceful_restart {
            let ipv4 = GracefulRestartAddressFamily::new(gr.forwarding, AddressType::Ipv4Unicast);
            capabilities.push(BgpCapability::GracefulRestartCapability(
                GracefulRestartCapability::new(
                    gr.restarted,
                    gr.notification,
                    gr.restart_time_s.min(LONGEST_RESTART_TIME_S),
                    vec![ipv4],
                ),
            ));
        }
        let parameters = if capabilities.is_empty() {
            vec![]
        } else {
            vec![BgpOpenMessageParameter::new_capabilities(capabilities)]
        };
        let open = BgpOpenMessage::new(
            // RFC 6793, section 4.1.
            u16::try_from(self.asn).unwrap_or(AS_TRANS),
            self.hold_time_s,
            self.router_id,
            parameters,
        );
        let mut octets = Vec::new();
        BgpMessage::Open(open)
            .write(&mut octets)
            .expect("three capabilities fit, and memory takes them");
        octets
    }

    pub(super) fn read(body: &[u8]) -> Result<Open, Notification> {
        let Some((fixed, optional)) = body.split_first_chunk::<10>() else {
            return Err(Notification::new(OPEN_MESSAGE_ERROR, UNSPECIFIC));
        };
        let [version, as1, as0, hold1, hold0, id3, id2, id1, id0, length] = *fixed;
        if version != VERSION {
            // RFC 4271, section 6.2: the data are the largest version that we support.
            return Err(Notification {
                code: OPEN_MESSAGE_ERROR,
                subcode: UNSUPPORTED_VERSION,
                data: u16::from(VERSION).to_be_bytes().to_vec(),
            });
        }
        let mut open = Open {
            asn: u32::from(u16::from_be_bytes([as1, as0])),
            hold_time_s: u16::from_be_bytes([hold1, hold0]),
            router_id: Ipv4Addr::new(id3, id2, id1, id0),
            four_octet_as: false,
            ipv4_unicast: false,
            graceful_restart: None,
        };
        let mut names_families = false;
        for capability in capabilities(length, optional)? {
            let code = capability[0];
            names_families |= code == MULTIPROTOCOL;
            match BgpCapability::parse(&mut SliceReader::new(capability)) {
                Ok(BgpCapability::MultiProtocolExtensions(family)) => {
                    open.ipv4_unicast |= family.address_type() == AddressType::Ipv4Unicast;
                }
                Ok(BgpCapability::FourOctetAs(four)) => {
                    open.asn = four.asn4();
                    open.four_octet_as = true;
                }
                // RFC 4724, section 3: of several the last counts.
                Ok(BgpCapability::GracefulRestartCapability(gr)) => {
                    open.graceful_restart = Some(GracefulRestart {
                        restart_time_s: gr.time(),
                        restarted: gr.restart(),
                        forwarding: gr.address_families().iter().any(|family| {
                            family.address_type() == AddressType::Ipv4Unicast
                                && family.forwarding_state()
                        }),
                        notification: gr.graceful_notification(),
                    });
                }
                // Recognised and malformed: Unspecific (RFC 4271, section 6.2). An address family
                // that no registry knows is not malformed.
                Err(_) if code == FOUR_OCTET_AS => return Err(malformed()),
                Err(_) if code == MULTIPROTOCOL && capability.len() != 6 => {
                    return Err(malformed());
                }
                Err(_) if code == GRACEFUL_RESTART && capability.len() % 4 != 0 => {
                    return Err(malformed());
                }
                _ => {}
            }
        }
        open.ipv4_unicast |= !names_families;
        Ok(open)
    }
}

/// The capabilities, each with its code and length, in all parameters: "a list of capabilities" may
/// be in one parameter or in several (RFC 5492, section 4).
fn capabilities(length: u8, octets: &[u8]) -> Result<Vec<&[u8]>, Notification> {
    let mut found = Vec::new();
    // RFC 9072, section 2: the length says nothing then, but is not 0.
    let (extended, mut parameters) = match (length, octets) {
        (1.., [EXTENDED_LENGTH, high, low, rest @ ..]) => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            (true, (rest.len() == length).then_some(rest))
        }
        _ => (
            false,
            (octets.len() == usize::from(length)).then_some(octets),
        ),
    };
    while let Some([kind, rest @ ..]) = parameters {
        let (length, rest) = match (extended, rest) {
            (false, [length, rest @ ..]) => (usize::from(*length), rest),
            (true, [high, low, rest @ ..]) => {
                (usize::from(u16::from_be_bytes([*high, *low])), rest)
            }
            _ => return Err(malformed()),
        };
        let (mut value, after) = rest.split_at_checked(length).ok_or_else(malformed)?;
        if *kind != CAPABILITIES {
            return Err(Notification::new(OPEN_MESSAGE_ERROR, UNSUPPORTED_PARAMETER));
        }
        while let [_, length, ..] = value {
            let (capability, rest) = value
                .split_at_checked(2 + usize::from(*length))
                .ok_or_else(malformed)?;
            found.push(capability);
            value = rest;
        }
        if !value.is_empty() {
            return Err(malformed());
        }
        parameters = Some(after);
    }
    if parameters.is_none() {
        return Err(malformed());
    }
    Ok(found)
}

/// "If one of the Optional Parameters in the OPEN message is recognized, but is malformed, then the
/// Error Subcode MUST be set to 0 (Unspecific)" (RFC 4271, section 6.2).
fn malformed() -> Notification {
    Notification::new(OPEN_MESSAGE_ERROR, UNSPECIFIC)
}
