//! Packets: checked views on octets, and plain representations.
//!
//! *Assumes* nothing of the octets: they may be hostile, and may end anywhere.
//! *Guarantees* that what a view says lies within the octets, that every edit keeps each checksum
//! as right as it was (RFC 1624), that reading options terminates, and that nothing is allocated
//! and nothing panics.

mod checksum;
mod cut;
mod flags;
mod icmp;
mod ip;
mod options;
mod segment;
mod tcp;

pub use cut::{TooSmall, cut};
pub use flags::Flags;
pub use icmp::IcmpError;
pub use options::{Options, Timestamps};
pub use segment::Segment;
pub use tcp::Packet;

/// Why octets are not a packet that can be followed. Such a packet is none of ours: it is let go on
/// as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The octets end within a header.
    #[error("a header needs {needed} octets, and {present} are there")]
    Truncated {
        /// Octets up to the end of the header.
        needed: usize,
        /// Octets that there are.
        present: usize,
    },
    /// Neither IPv4 nor IPv6.
    #[error("version {version} of IP is not known")]
    Version {
        /// Of the IP header.
        version: u8,
    },
    /// A length field that contradicts another one: a header shorter than its fixed part, or one
    /// that ends beyond its packet.
    #[error("a header says that it has {length} octets, where {least} to {most} are possible")]
    Length {
        /// What the header says.
        length: usize,
        /// The least that is possible.
        least: usize,
        /// The most that is possible.
        most: usize,
    },
    /// A jumbogram (RFC 2675), or a packet of more than 64 KiB that never leaves its host.
    #[error("the packet does not say how long it is: jumbograms are not supported")]
    Jumbo,
    /// One piece of a packet.
    #[error("the packet is a fragment")]
    Fragment,
    /// The destination address is that of a hop, not that of the other end, which is what the
    /// checksum covers (RFC 9293, 3.1; RFC 8200, 8.1).
    #[error("the packet is routed by its source, and has not come to its destination")]
    SourceRouted,
    /// Another protocol than the one that was asked for.
    #[error("protocol {protocol} is not expected here")]
    Protocol {
        /// Number of the protocol (RFC 5237).
        protocol: u8,
    },
    /// An ICMP message that is no error about a packet.
    #[error("ICMP type {kind} is not an error about a packet")]
    NotAnError {
        /// ICMP type.
        kind: u8,
    },
}
