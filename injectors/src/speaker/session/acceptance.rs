//! Whether the peer's OPEN is acceptable, and what both make of a session (RFC 4271, section 6.2).
//!
//! *Assumes* an OPEN that was read without error. *Guarantees* that what is refused says what the
//! peer would have to be, and is answered with the subcode of that error.

use std::net::Ipv4Addr;

use super::{Negotiated, Settings};
use crate::speaker::message::notification::{
    BAD_BGP_IDENTIFIER, BAD_PEER_AS, OPEN_MESSAGE_ERROR, UNACCEPTABLE_HOLD_TIME,
    UNSUPPORTED_CAPABILITY,
};
use crate::speaker::message::{Notification, Open};

/// Why an OPEN is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unacceptable {
    #[error("it says it is of AS {said}, configured is AS {configured}")]
    PeerAs { said: u32, configured: u32 },
    #[error("its BGP Identifier is 0.0.0.0")]
    NoIdentifier,
    #[error("its BGP Identifier {0} is ours too, within one AS")]
    SameIdentifier(Ipv4Addr),
    #[error("it proposes a HoldTime of {0} s; 0 or at least 3 s are allowed")]
    HoldTime(u16),
    #[error("it does not offer IPv4 unicast")]
    NoIpv4Unicast,
}

impl Unacceptable {
    pub(super) fn notification(&self) -> Notification {
        let (subcode, data) = match self {
            Unacceptable::PeerAs { .. } => (BAD_PEER_AS, vec![]),
            Unacceptable::NoIdentifier | Unacceptable::SameIdentifier(_) => {
                (BAD_BGP_IDENTIFIER, vec![])
            }
            Unacceptable::HoldTime(_) => (UNACCEPTABLE_HOLD_TIME, vec![]),
            // RFC 5492, section 5: the data are the capability that is missing.
            Unacceptable::NoIpv4Unicast => (UNSUPPORTED_CAPABILITY, vec![1, 4, 0, 1, 0, 1]),
        };
        Notification {
            code: OPEN_MESSAGE_ERROR,
            subcode,
            data,
        }
    }
}

/// What the peer's OPEN and ours make of a session.
pub(super) fn negotiate(settings: &Settings, open: &Open) -> Result<Negotiated, Unacceptable> {
    // RFC 7607 forbids AS 0; no configuration has it.
    if open.asn != settings.peer_asn {
        return Err(Unacceptable::PeerAs {
            said: open.asn,
            configured: settings.peer_asn,
        });
    }
    // RFC 4271, section 6.2: one or two seconds must be refused.
    if matches!(open.hold_time_s, 1 | 2) {
        return Err(Unacceptable::HoldTime(open.hold_time_s));
    }
    // RFC 6286, section 2.1: not zero, and unique within an AS.
    if open.router_id.is_unspecified() {
        return Err(Unacceptable::NoIdentifier);
    }
    if open.asn == settings.asn && open.router_id == settings.router_id {
        return Err(Unacceptable::SameIdentifier(open.router_id));
    }
    if !open.ipv4_unicast {
        return Err(Unacceptable::NoIpv4Unicast);
    }
    // RFC 4271, section 4.2: the smaller one; that of none, 0, is the smallest.
    let hold_time_s = settings.hold_time_s.min(open.hold_time_s);
    Ok(Negotiated {
        peer_asn: open.asn,
        peer_router_id: open.router_id,
        hold_time_s,
        // RFC 4271, section 4.4: at most a third of HoldTime.
        keepalive_s: hold_time_s / 3,
        // We offer it always.
        four_octet_as: open.four_octet_as,
        peer_graceful_restart: open.graceful_restart,
    })
}
