//! What is known of a trace.
//!
//! *Assumes* that whoever says it knows it.
//! *Guarantees* that the default claims nothing.

use std::net::IpAddr;
use std::time::Duration;

/// Where packets were captured, as far as it tells in which order they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Place {
    /// Somewhere. A connection whose packets tell it ([`Way`]) is judged accordingly.
    #[default]
    Unknown,
    /// At the host with this address: what it sends is in the trace in the order of sending.
    Host(IpAddr),
    /// Where both ends send: a simulation sees that.
    Both,
}

/// What is known of a trace. Each of these lets more be called a violation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// Where it was captured.
    pub place: Place,
    /// No packet that passed is missing from the trace; a connection whose SYN is in it is in it from
    /// its very beginning on.
    pub complete: bool,
    /// On the way from the far end to the place of the capture no packet overtakes another.
    pub in_order: bool,
    /// Segments are in the trace as they were on the wire, neither joined nor still to be cut by
    /// offloading.
    pub whole_segments: bool,
    /// Checksums are those of the wire: none is left to the network card.
    pub checksums: bool,
}

/// Which way a packet went at the host where it was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Way {
    /// Not told.
    #[default]
    Unknown,
    /// It came in.
    In,
    /// It went out: sent by this host, or passed on.
    Out,
}

/// A packet of a trace.
#[derive(Debug, Clone, Copy)]
pub struct Captured<'a> {
    /// When, since any start that is the same for the whole trace.
    pub time: Duration,
    /// From the IP header on, as far as captured.
    pub octets: &'a [u8],
    /// Octets that it had from the IP header on. It counts only where the IP header does not say it.
    pub length: usize,
    /// Which way it went.
    pub way: Way,
}
