//! The protocol between an application and TCPR: JSON, one object per line over a Unix socket, or
//! one per sealed UDP datagram for a middlebox on another host.
//!
//! *Assumes* that who may open the Unix socket, or has the key, may ask anything.
//! *Guarantees* that octets from anywhere else change nothing, and never cause a panic.

mod counters;
mod lines;
mod messages;
mod probe;
pub mod udp;

pub use counters::{ChannelCounters, DataplaneCounters};
pub use lines::{
    Lines, MESSAGE_LIMIT, REQUEST_LIMIT, TooLong, line, numbered, read_ask, read_message,
};
pub use messages::{
    Answer, Ask, DATAGRAM_PAGE, Fault, Message, Notice, PAGE, PROTOCOL_VERSION, Reply, Request,
};
pub use probe::side_channel;
