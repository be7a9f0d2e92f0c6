//! Where packets are taken, looked at and put back: what the engine wants of a dataplane, and the
//! one on NFQUEUE.
//!
//! *Assumes* nothing of what is decided about a packet.
//! *Guarantees* that the packets of one direction are offered in the order in which they came,
//! unless one is wanted later, and that each is answered for; that a protected packet passes only
//! if somebody has said so; and that one without protection is never seen here, ICMP errors apart.

pub mod nfqueue;

mod inject;
mod local_socket;
mod netlink;
mod rules;

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use tcpr_core::Pattern;

pub use inject::InjectError;
pub use local_socket::LocalSocketError;
pub use rules::RulesError;

/// The hook that a packet was taken at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// On its way from the peer to this host's TCP.
    Input,
    /// On its way from this host's TCP to the peer.
    Output,
    /// On its way through this host, in either direction: the connection's addresses tell.
    Forward,
}

/// A packet that waits for a decision.
#[derive(Debug)]
#[non_exhaustive]
pub struct Arrival<'a> {
    /// Where it was taken.
    pub hook: Hook,
    /// From the IP header on. It may be edited in place if it is whole.
    pub packet: &'a mut [u8],
    /// Whether all of the packet is there. An ICMP error always is.
    pub whole: bool,
    /// Whether it is an ICMP or ICMPv6 error, else it is TCP.
    pub icmp: bool,
    /// Whether its TCP checksum is yet to be made, by a device or not at all: it comes from this
    /// machine. Of any other packet nobody may have looked at the checksum so far.
    pub checksum_is_partial: bool,
}

/// What is to become of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It goes on as it came.
    Accept,
    /// It goes on as it was edited. A packet that is not whole cannot be edited: it is dropped.
    AcceptEdited,
    /// It ends here.
    Drop,
    /// It is offered again, whole, and nothing of its direction before it.
    WantWhole,
    /// It is offered again by a later [`Dataplane::receive`], behind what waits by now. Descriptors
    /// are readable until then.
    WantLater,
}

/// Takes packets of protected connections out of the kernel and puts them back.
pub trait Dataplane {
    /// What can go wrong.
    type Error: std::error::Error;

    /// Readable when packets wait.
    fn descriptors(&self) -> Vec<BorrowedFd<'_>>;

    /// Offers packets that wait now to `decide`, a bounded number of them, and returns how many
    /// decisions there were. They have taken effect when it returns. It never blocks.
    fn receive(
        &mut self,
        decide: &mut dyn FnMut(&mut Arrival<'_>) -> Decision,
    ) -> Result<usize, Self::Error>;

    /// Sends an IP packet to where its destination address says, which may be this host. It is
    /// not offered to [`Dataplane::receive`].
    fn inject(&mut self, packet: &[u8]) -> Result<(), Self::Error>;

    /// Takes the packets of the connections that any of these patterns covers, and of no others:
    /// it replaces what was given before.
    fn protect(&mut self, patterns: &[Pattern]) -> Result<(), Self::Error>;

    /// Whether the protected TCPs are this host's own, so that their sockets can be ended.
    fn is_on_host(&self) -> bool;

    /// Ends the socket of this host's TCP between these addresses, in whatever state it is and
    /// whether or not a process has it still, and returns whether there was one. Its TCP may
    /// send a RST.
    fn end_local_socket(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<bool, Self::Error>;

    /// How many packets could not be taken for want of memory in the kernel. They were dropped.
    fn lost(&self) -> u64;
}
