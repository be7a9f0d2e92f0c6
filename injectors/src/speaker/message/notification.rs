//! NOTIFICATION (RFC 4271, section 4.5), and its codes in the words of the RFCs.
//!
//! *Assumes* nothing of codes and data. *Guarantees* that every one can be shown.

use std::fmt;

use super::{NOTIFICATION, framed};

/// Message Header Error (RFC 4271, section 6.1).
pub(crate) const MESSAGE_HEADER_ERROR: u8 = 1;
/// OPEN Message Error (RFC 4271, section 6.2).
pub(crate) const OPEN_MESSAGE_ERROR: u8 = 2;
/// UPDATE Message Error (RFC 4271, section 6.3).
pub(crate) const UPDATE_MESSAGE_ERROR: u8 = 3;
/// Hold Timer Expired (RFC 4271, section 6.5).
pub(crate) const HOLD_TIMER_EXPIRED: u8 = 4;
/// Finite State Machine Error (RFC 4271, section 6.6).
pub(crate) const FSM_ERROR: u8 = 5;
/// Cease (RFC 4271, section 6.7).
pub(crate) const CEASE: u8 = 6;

/// Connection Not Synchronized, of Message Header Error.
pub(crate) const CONNECTION_NOT_SYNCHRONIZED: u8 = 1;
/// Bad Message Length, of Message Header Error.
pub(crate) const BAD_MESSAGE_LENGTH: u8 = 2;
/// Bad Message Type, of Message Header Error.
pub(crate) const BAD_MESSAGE_TYPE: u8 = 3;

/// Unspecific, of any code.
pub(crate) const UNSPECIFIC: u8 = 0;
/// Unsupported Version Number, of OPEN Message Error.
pub(crate) const UNSUPPORTED_VERSION: u8 = 1;
/// Bad Peer AS, of OPEN Message Error.
pub(crate) const BAD_PEER_AS: u8 = 2;
/// Bad BGP Identifier, of OPEN Message Error.
pub(crate) const BAD_BGP_IDENTIFIER: u8 = 3;
/// Unsupported Optional Parameter, of OPEN Message Error.
pub(crate) const UNSUPPORTED_PARAMETER: u8 = 4;
/// Unacceptable Hold Time, of OPEN Message Error.
pub(crate) const UNACCEPTABLE_HOLD_TIME: u8 = 6;
/// Unsupported Capability, of OPEN Message Error (RFC 5492, section 5).
pub(crate) const UNSUPPORTED_CAPABILITY: u8 = 7;

/// Malformed Attribute List, of UPDATE Message Error.
pub(crate) const MALFORMED_ATTRIBUTE_LIST: u8 = 1;
/// Optional Attribute Error, of UPDATE Message Error.
pub(crate) const OPTIONAL_ATTRIBUTE_ERROR: u8 = 9;
/// Invalid Network Field, of UPDATE Message Error.
pub(crate) const INVALID_NETWORK_FIELD: u8 = 10;

/// Administrative Shutdown, of Cease (RFC 4486).
pub(crate) const ADMINISTRATIVE_SHUTDOWN: u8 = 2;
const ADMINISTRATIVE_RESET: u8 = 4;
const HARD_RESET: u8 = 9;

/// Why a session ends, as one side tells the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Error code.
    pub code: u8,
    /// Error subcode.
    pub subcode: u8,
    /// What it is about; depends on code and subcode.
    pub data: Vec<u8>,
}

impl Notification {
    /// One without data.
    #[must_use]
    pub const fn new(code: u8, subcode: u8) -> Self {
        Notification {
            code,
            subcode,
            data: Vec::new(),
        }
    }

    /// The message. Data beyond the longest message are left out.
    #[must_use]
    pub fn to_octets(&self) -> Vec<u8> {
        let mut body = vec![self.code, self.subcode];
        body.extend(&self.data);
        framed(NOTIFICATION, &body)
    }

    /// The text that an operator of the peer left (RFC 9003, section 2).
    fn shutdown_communication(&self) -> Option<&str> {
        let data = match (self.code, self.subcode) {
            (CEASE, ADMINISTRATIVE_SHUTDOWN | ADMINISTRATIVE_RESET) => &self.data[..],
            // A Hard Reset carries another NOTIFICATION's code, subcode and data (RFC 8538,
            // section 3.1).
            (CEASE, HARD_RESET) => match &self.data[..] {
                [
                    CEASE,
                    ADMINISTRATIVE_SHUTDOWN | ADMINISTRATIVE_RESET,
                    data @ ..,
                ] => data,
                _ => return None,
            },
            _ => return None,
        };
        let (&length, text) = data.split_first()?;
        let text = std::str::from_utf8(text.get(..usize::from(length))?).ok()?;
        (!text.is_empty()).then_some(text)
    }
}

/// As "Hold Timer Expired (4/0)", and what its data say.
impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Notification {
            code,
            subcode,
            data,
        } = self;
        match (code_name(*code), subcode_name(*code, *subcode)) {
            (Some(code), Some(subcode)) => write!(f, "{code}, {subcode}")?,
            (Some(code), None) => f.write_str(code)?,
            (None, _) => f.write_str("unregistered error")?,
        }
        write!(f, " ({code}/{subcode})")?;
        if let Some(text) = self.shutdown_communication() {
            // It comes from the peer and ends in logs: no control characters.
            return write!(f, ": {:?}", text);
        }
        if !data.is_empty() {
            f.write_str(", data ")?;
            for octet in data.iter().take(16) {
                write!(f, "{octet:02x}")?;
            }
            if data.len() > 16 {
                write!(f, "... ({} octets)", data.len())?;
            }
        }
        Ok(())
    }
}

fn code_name(code: u8) -> Option<&'static str> {
    Some(match code {
        MESSAGE_HEADER_ERROR => "Message Header Error",
        OPEN_MESSAGE_ERROR => "OPEN Message Error",
        UPDATE_MESSAGE_ERROR => "UPDATE Message Error",
        HOLD_TIMER_EXPIRED => "Hold Timer Expired",
        FSM_ERROR => "Finite State Machine Error",
        CEASE => "Cease",
        // RFC 7313, section 5.
        7 => "ROUTE-REFRESH Message Error",
        // RFC 9687.
        8 => "Send Hold Timer Expired",
        _ => return None,
    })
}

fn subcode_name(code: u8, subcode: u8) -> Option<&'static str> {
    Some(match (code, subcode) {
        (MESSAGE_HEADER_ERROR, CONNECTION_NOT_SYNCHRONIZED) => "Connection Not Synchronized",
        (MESSAGE_HEADER_ERROR, BAD_MESSAGE_LENGTH) => "Bad Message Length",
        (MESSAGE_HEADER_ERROR, BAD_MESSAGE_TYPE) => "Bad Message Type",
        (OPEN_MESSAGE_ERROR, UNSUPPORTED_VERSION) => "Unsupported Version Number",
        (OPEN_MESSAGE_ERROR, BAD_PEER_AS) => "Bad Peer AS",
        (OPEN_MESSAGE_ERROR, BAD_BGP_IDENTIFIER) => "Bad BGP Identifier",
        (OPEN_MESSAGE_ERROR, UNSUPPORTED_PARAMETER) => "Unsupported Optional Parameter",
        (OPEN_MESSAGE_ERROR, UNACCEPTABLE_HOLD_TIME) => "Unacceptable Hold Time",
        (OPEN_MESSAGE_ERROR, UNSUPPORTED_CAPABILITY) => "Unsupported Capability",
        // RFC 9234.
        (OPEN_MESSAGE_ERROR, 11) => "Role Mismatch",
        (UPDATE_MESSAGE_ERROR, MALFORMED_ATTRIBUTE_LIST) => "Malformed Attribute List",
        (UPDATE_MESSAGE_ERROR, 2) => "Unrecognized Well-known Attribute",
        (UPDATE_MESSAGE_ERROR, 3) => "Missing Well-known Attribute",
        (UPDATE_MESSAGE_ERROR, 4) => "Attribute Flags Error",
        (UPDATE_MESSAGE_ERROR, 5) => "Attribute Length Error",
        (UPDATE_MESSAGE_ERROR, 6) => "Invalid ORIGIN Attribute",
        (UPDATE_MESSAGE_ERROR, 8) => "Invalid NEXT_HOP Attribute",
        (UPDATE_MESSAGE_ERROR, OPTIONAL_ATTRIBUTE_ERROR) => "Optional Attribute Error",
        (UPDATE_MESSAGE_ERROR, INVALID_NETWORK_FIELD) => "Invalid Network Field",
        (UPDATE_MESSAGE_ERROR, 11) => "Malformed AS_PATH",
        // RFC 6608, section 3.
        (FSM_ERROR, 1) => "Receive Unexpected Message in OpenSent State",
        (FSM_ERROR, 2) => "Receive Unexpected Message in OpenConfirm State",
        (FSM_ERROR, 3) => "Receive Unexpected Message in Established State",
        // RFC 4486, section 3.
        (CEASE, 1) => "Maximum Number of Prefixes Reached",
        (CEASE, ADMINISTRATIVE_SHUTDOWN) => "Administrative Shutdown",
        (CEASE, 3) => "Peer De-configured",
        (CEASE, ADMINISTRATIVE_RESET) => "Administrative Reset",
        (CEASE, 5) => "Connection Rejected",
        (CEASE, 6) => "Other Configuration Change",
        (CEASE, 7) => "Connection Collision Resolution",
        (CEASE, 8) => "Out of Resources",
        // RFC 8538, section 3.
        (CEASE, HARD_RESET) => "Hard Reset",
        // RFC 9384.
        (CEASE, 10) => "BFD Down",
        _ => return None,
    })
}
