//! The data-plane probe: every router sends a numbered packet to the destination every 10 ms.
//!
//! *Assumes* that nothing else of the lab sends to [`PORT`]. *Guarantees* ground truth: whether a
//! packet that a router sent at an instant has arrived, or that it could not be sent, whatever
//! the routing tables say. The sender is a thread of the lab agent; the receiver is a process of
//! its own, so that no probe is lost for the injector's absence. Nothing of a run waits for what
//! they see.

mod receiver;
mod sender;

pub use receiver::{ReceiverError, receive};
pub(crate) use sender::{ProbeError, ProbeSender, ProbeSocket, SENDING_THREAD, open_sockets};

/// UDP port that probes are sent to: RFC 4098 lends this laboratory its words.
pub const PORT: u16 = 4098;
/// The subcommand that runs [`receive`].
pub const SUBCOMMAND: &str = "__probe-receiver";

/// Says that a datagram is a probe of this version.
const MAGIC: [u8; 6] = *b"FLAP\0\x01";
/// Octets of a datagram.
const DATAGRAM: usize = 20;
/// What was recorded is in the file at most so much later, nanoseconds: a kill loses no more.
const FLUSH_NS: u64 = 100_000_000;

/// What a probe says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Payload {
    /// Index of the router in the topology's nodes.
    node: u16,
    /// Number of its tick.
    number: u32,
    /// When it was sent, CLOCK_MONOTONIC.
    sent_mono_ns: u64,
}

impl Payload {
    fn to_octets(self) -> [u8; DATAGRAM] {
        let mut octets = [0; DATAGRAM];
        octets[..6].copy_from_slice(&MAGIC);
        octets[6..8].copy_from_slice(&self.node.to_be_bytes());
        octets[8..12].copy_from_slice(&self.number.to_be_bytes());
        octets[12..].copy_from_slice(&self.sent_mono_ns.to_be_bytes());
        octets
    }

    /// None if it is no probe.
    fn parse(octets: &[u8]) -> Option<Self> {
        let octets: &[u8; DATAGRAM] = octets.try_into().ok()?;
        let rest = octets.strip_prefix(&MAGIC)?;
        let (node, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        Some(Payload {
            node: u16::from_be_bytes(*node),
            number: u32::from_be_bytes(*number),
            sent_mono_ns: u64::from_be_bytes(rest.try_into().ok()?),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
