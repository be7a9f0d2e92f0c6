//! What a session and its caller tell each other.
//!
//! *Assumes* what [`Session`](super::Session) does. *Guarantees* nothing by itself.

use super::{Negotiated, Reason};
use crate::speaker::message::Update;

/// States (RFC 4271, section 8.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There is no connection, and none is wanted until a start.
    Idle,
    /// The connection is being made.
    Connect,
    /// The connection is waited for: the peer's, or the next attempt.
    Active,
    /// Our OPEN is sent.
    OpenSent,
    /// The peer's OPEN is there and acceptable.
    OpenConfirm,
    /// UPDATEs may be sent.
    Established,
}

/// What happens to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input<'a> {
    /// ManualStart (Events 1 and 4).
    Start,
    /// ManualStop (Event 2).
    Stop,
    /// The connection is there (Events 16 and 17).
    ConnectionUp,
    /// An attempt to connect has failed (Event 18).
    ConnectionFailed,
    /// The connection has ended, by either side or the network (Event 18).
    ConnectionClosed,
    /// Octets of the connection, as many as there are.
    Octets(&'a [u8]),
    /// A deadline has passed (Events 3 and 9 to 11).
    Timer,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Connect to the peer.
    Connect,
    /// Close the connection, or give up the attempt, after what was to be sent on it; no harm if it
    /// is closed already.
    Disconnect,
    /// Send these octets: whole messages.
    Send(Vec<u8>),
    /// The peer's OPEN is accepted.
    OpenReceived(Negotiated),
    /// UPDATEs may be sent from now on.
    Established,
    /// A connection that was there has come to its end, and with it the session. Attempts that
    /// fail are not told.
    Ended(Reason),
    /// What the peer announces and withdraws.
    Update(Update),
}
