//! Which connection, and which connections.
//!
//! *Assumes* nothing.
//! *Guarantees* one name for a connection everywhere: the addresses and ports that the peer sees,
//! the protected side first.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

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
        match self {
            Pattern::Local(socket) => meets(socket, &flow.local),
            Pattern::Remote(socket) => meets(socket, &flow.remote),
            Pattern::Flow(one) => one == flow,
        }
    }
}

fn meets(wanted: &SocketAddr, socket: &SocketAddr) -> bool {
    let address = match (wanted.ip(), socket.ip()) {
        (IpAddr::V4(wanted), IpAddr::V4(_)) if wanted.is_unspecified() => true,
        (IpAddr::V6(wanted), IpAddr::V6(_)) if wanted.is_unspecified() => true,
        (wanted, address) => wanted == address,
    };
    address && wanted.port() == socket.port()
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
