//! Which connection, and which connections.
//!
//! *Assumes* nothing.
//! *Guarantees* one name for a connection everywhere: the addresses and ports that the peer sees,
//! the protected side first.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A connection, as its peer sees it (RFC 9293: the pair of sockets).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Flow {
    /// The protected application's side.
    pub local: SocketAddr,
    /// The peer's side.
    pub remote: SocketAddr,
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} - {}", self.local, self.remote)
    }
}

/// What is to be protected: connections to a listener, or one that is about to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Pattern {
    /// Every connection whose protected side has this address and port. The unspecified address
    /// stands for every address of its family.
    Local(SocketAddr),
    /// Every connection of the protected side to this address and port of a peer.
    Remote(SocketAddr),
    /// This connection alone.
    Flow(Flow),
}

impl Pattern {
    /// Whether a connection is meant.
    #[must_use]
    pub fn covers(&self, flow: &Flow) -> bool {
        Pattern::covering(flow).contains(self)
    }

    /// Every pattern that means a connection: few, however many there are.
    pub(crate) fn covering(flow: &Flow) -> [Pattern; 5] {
        [
            Pattern::Flow(*flow),
            Pattern::Local(flow.local),
            Pattern::Local(any_address(&flow.local)),
            Pattern::Remote(flow.remote),
            Pattern::Remote(any_address(&flow.remote)),
        ]
    }
}

fn any_address(socket: &SocketAddr) -> SocketAddr {
    let any = match socket.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(any, socket.port())
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Local(socket) => write!(f, "{socket}"),
            Pattern::Remote(socket) => write!(f, "->{socket}"),
            Pattern::Flow(flow) => write!(f, "{}->{}", flow.local, flow.remote),
        }
    }
}
