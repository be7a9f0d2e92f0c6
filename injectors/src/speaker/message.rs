//! BGP messages as octets (RFC 4271, section 4).
//!
//! *Assumes* the octets of one direction of a connection from its first octet on, without gaps;
//! neither ADD-PATH (RFC 7911) nor messages above 4096 octets (RFC 8654), which we do not offer.
//! *Guarantees* that any octets are a message, the beginning of one, or the NOTIFICATION that
//! RFC 4271, section 6, asks for; that no octets make it panic; and that an error in the
//! attributes of an UPDATE costs the routes of that UPDATE alone (RFC 7606).
//!
//! What has a registry behind it (capabilities, path attributes) is read and written by
//! netgauze-bgp-pkt. The frames around are here, since the error to answer with depends on which
//! of them is broken, and so are NOTIFICATIONs, of which netgauze refuses unregistered codes.

pub(super) mod notification;
mod open;
mod update;

pub use notification::Notification;
pub use open::Open;
pub use update::Update;

use notification::{
    BAD_MESSAGE_LENGTH, BAD_MESSAGE_TYPE, CONNECTION_NOT_SYNCHRONIZED, MESSAGE_HEADER_ERROR,
};

/// Octets of a message header (RFC 4271, section 4.1): marker, length, type.
pub const HEADER: usize = 19;
/// The longest message (RFC 4271, section 4.1).
pub const LONGEST: usize = 4096;

/// Type of OPEN.
pub(super) const OPEN: u8 = 1;
/// Type of UPDATE.
pub(super) const UPDATE: u8 = 2;
/// Type of NOTIFICATION.
pub(super) const NOTIFICATION: u8 = 3;
/// Type of KEEPALIVE.
pub(super) const KEEPALIVE: u8 = 4;
/// Type of ROUTE-REFRESH (RFC 2918).
pub(super) const ROUTE_REFRESH: u8 = 5;

const MARKER: [u8; 16] = [0xff; 16];

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// OPEN (RFC 4271, section 4.2).
    Open(Open),
    /// UPDATE (RFC 4271, section 4.3).
    Update(Update),
    /// NOTIFICATION (RFC 4271, section 4.5).
    Notification(Notification),
    /// KEEPALIVE (RFC 4271, section 4.4).
    Keepalive,
    /// ROUTE-REFRESH (RFC 2918): we offer none, so that it is to be passed over.
    RouteRefresh,
}

/// A KEEPALIVE: a header alone (RFC 4271, section 4.4).
#[must_use]
pub fn keepalive() -> Vec<u8> {
    framed(KEEPALIVE, &[])
}

/// Length of the first message of these octets; none while it is incomplete.
///
/// # Errors
///
/// The octets begin with no message: a Message Header Error (RFC 4271, section 6.1).
pub fn complete(octets: &[u8]) -> Result<Option<usize>, Notification> {
    let known = octets.len().min(MARKER.len());
    if octets[..known] != MARKER[..known] {
        return Err(header_error(CONNECTION_NOT_SYNCHRONIZED, &[]));
    }
    let Some(header) = octets.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let [.., high, low, kind] = *header;
    // RFC 4271, section 6.1; the lengths are those of section 4, RFC 2918 and RFC 7313.
    let lengths = match kind {
        OPEN => 29..=LONGEST,
        UPDATE => 23..=LONGEST,
        NOTIFICATION => 21..=LONGEST,
        KEEPALIVE => HEADER..=HEADER,
        ROUTE_REFRESH => 23..=LONGEST,
        // The length comes first: it is checked for messages of no known type too.
        _ => HEADER..=LONGEST,
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if !lengths.contains(&length) {
        // "The Data field MUST contain the erroneous Length field."
        return Err(header_error(BAD_MESSAGE_LENGTH, &[high, low]));
    }
    if !(OPEN..=ROUTE_REFRESH).contains(&kind) {
        return Err(header_error(BAD_MESSAGE_TYPE, &[kind]));
    }
    Ok((octets.len() >= length).then_some(length))
}

/// What one message says. AS numbers are of four octets if both sides offered so (RFC 6793).
///
/// # Errors
///
/// It is not one message, or cannot be understood: what RFC 4271, section 6, answers.
pub fn decode(message: &[u8], four_octet_as: bool) -> Result<Message, Notification> {
    let body = match complete(message)? {
        Some(length) if length == message.len() => &message[HEADER..],
        _ => {
            let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
            return Err(header_error(BAD_MESSAGE_LENGTH, &length.to_be_bytes()));
        }
    };
    match kind(message) {
        OPEN => Open::read(body).map(Message::Open),
        UPDATE => Update::read(body, four_octet_as).map(Message::Update),
        NOTIFICATION => Ok(Message::Notification(Notification {
            code: body[0],
            subcode: body[1],
            data: body[2..].to_vec(),
        })),
        KEEPALIVE => Ok(Message::Keepalive),
        _ => Ok(Message::RouteRefresh),
    }
}

/// Type of a message whose header is whole.
pub(super) fn kind(message: &[u8]) -> u8 {
    message[HEADER - 1]
}

fn header_error(subcode: u8, data: &[u8]) -> Notification {
    Notification {
        code: MESSAGE_HEADER_ERROR,
        subcode,
        data: data.to_vec(),
    }
}

/// A body after its header. Bodies are cut at the longest message.
fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let body = &body[..body.len().min(LONGEST - HEADER)];
    let mut octets = Vec::with_capacity(HEADER + body.len());
    octets.extend(MARKER);
    octets.extend(((HEADER + body.len()) as u16).to_be_bytes());
    octets.push(kind);
    octets.extend(body);
    octets
}
