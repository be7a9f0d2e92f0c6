//! Ends a socket of this host's TCP (sock_diag(7), linux/inet_diag.h).
//!
//! *Assumes* to be opened on a thread that is in the network namespace that is meant.
//! *Guarantees* that no socket but the one between the two addresses is ended, neither a listener
//! nor one that is about to connect, and that it is gone for new sockets when the call returns.

use std::io;
use std::net::{IpAddr, SocketAddr};

use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use nix::libc;

use super::netlink::{ACK, answer, array, message, request};

/// `SOCK_DIAG_BY_FAMILY`
const FIND: u16 = 20;
/// `SOCK_DESTROY`
const DESTROY: u16 = 21;
/// `TCP_SYN_SENT`
const SYN_SENT: u8 = 2;
/// `TCP_LISTEN`
const LISTEN: u8 = 10;

/// A socket could not be ended.
#[derive(Debug, thiserror::Error)]
pub enum LocalSocketError {
    /// A kernel without `CONFIG_INET_DIAG_DESTROY`.
    #[error("the kernel cannot end another program's socket (CONFIG_INET_DIAG_DESTROY)")]
    Unsupported,
    /// Before Linux 6.11 a socket that no process has any more is left as it is.
    #[error(
        "the kernel left the socket {local} - {remote} in place: before Linux 6.11 it ends no \
         socket whose process is gone"
    )]
    Survived {
        /// This host's side.
        local: SocketAddr,
        /// The other side.
        remote: SocketAddr,
    },
    /// One address of IPv4, one of IPv6.
    #[error("{local} and {remote} are not of one family")]
    Families {
        /// This host's side.
        local: SocketAddr,
        /// The other side.
        remote: SocketAddr,
    },
    /// Anything else.
    #[error("cannot ask the kernel for the socket {local} - {remote}")]
    Ask {
        /// This host's side.
        local: SocketAddr,
        /// The other side.
        remote: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// The kernel's list of sockets.
#[derive(Debug)]
pub(super) struct LocalSockets {
    socket: Socket,
}

impl LocalSockets {
    pub(super) fn open() -> io::Result<LocalSockets> {
        let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.bind_auto()?;
        // The kernel answers before `send` returns.
        socket.set_non_blocking(true)?;
        Ok(LocalSockets { socket })
    }

    /// Ends the socket, and returns whether there was one.
    pub(super) fn end(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<bool, LocalSocketError> {
        if local.is_ipv4() != remote.is_ipv4() {
            return Err(LocalSocketError::Families { local, remote });
        }
        let ask = |source: io::Error| match source.raw_os_error() {
            Some(libc::EOPNOTSUPP) => LocalSocketError::Unsupported,
            _ => LocalSocketError::Ask {
                local,
                remote,
                source,
            },
        };
        // SOCK_DESTROY by addresses alone would take the listener if there is no connection.
        let Some(found) = self.find(local, remote).map_err(ask)? else {
            return Ok(false);
        };
        match self.ask(DESTROY, local, remote, Some(found)) {
            Ok(_) => {}
            Err(e) if gone(&e) => return Ok(false),
            Err(e) => return Err(ask(e)),
        }
        match self.find(local, remote).map_err(ask)? {
            Some(still) if still == found => Err(LocalSocketError::Survived { local, remote }),
            _ => Ok(true),
        }
    }

    /// The cookie, which is no other socket's, of the connection between the addresses.
    fn find(&mut self, local: SocketAddr, remote: SocketAddr) -> io::Result<Option<[u8; 8]>> {
        match self.ask(FIND, local, remote, None) {
            // One that connects is the new one already: no protected connection is in that state.
            Ok(Some((LISTEN | SYN_SENT, _))) => Ok(None),
            Ok(found) => Ok(found.map(|(_, cookie)| cookie)),
            Err(e) if gone(&e) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Asks, and returns state and cookie of the socket if the answer is one.
    fn ask(
        &mut self,
        kind: u16,
        local: SocketAddr,
        remote: SocketAddr,
        cookie: Option<[u8; 8]>,
    ) -> io::Result<Option<(u8, [u8; 8])>> {
        // A lookup answers with the socket; only what has no answer is acknowledged.
        let flags = if kind == DESTROY { ACK } else { 0 };
        let mut octets = Vec::with_capacity(128);
        request(&mut octets, kind, flags, 0, |body| {
            write(body, local, remote, cookie.unwrap_or([0xff; 8]));
        });
        self.socket.send(&octets, 0)?;
        let mut datagram = Vec::with_capacity(4096);
        self.socket.recv(&mut datagram, 0)?;
        let (kind, body) = message(&datagram).ok_or(io::ErrorKind::InvalidData)?;
        if let Some(answer) = answer(kind, body) {
            return answer.map(|()| None);
        }
        // struct inet_diag_msg: the cookie is the last of the socket's identity.
        let cookie = array(body, 4 + 40).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Some((body[1], cookie)))
    }
}

/// No such socket, or another one by now.
fn gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESTALE))
}

/// `struct inet_diag_req_v2`
fn write(buffer: &mut Vec<u8>, local: SocketAddr, remote: SocketAddr, cookie: [u8; 8]) {
    let family = if local.is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    buffer.extend_from_slice(&[family as u8, libc::IPPROTO_TCP as u8, 0, 0]);
    buffer.extend_from_slice(&u32::MAX.to_ne_bytes()); // in any state
    buffer.extend_from_slice(&local.port().to_be_bytes());
    buffer.extend_from_slice(&remote.port().to_be_bytes());
    for address in [local.ip(), remote.ip()] {
        let mut octets = [0; 16];
        match address {
            IpAddr::V4(address) => octets[..4].copy_from_slice(&address.octets()),
            IpAddr::V6(address) => octets = address.octets(),
        }
        buffer.extend_from_slice(&octets);
    }
    // The interface matters to link-local addresses only.
    let interface = match local {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(local) => local.scope_id(),
    };
    buffer.extend_from_slice(&interface.to_ne_bytes());
    buffer.extend_from_slice(&cookie);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_request_has_the_layout_of_inet_diag_req_v2() {
        let mut octets = Vec::new();
        let local = "198.18.0.1:179".parse().unwrap();
        let remote = "198.18.0.2:1024".parse().unwrap();
        write(&mut octets, local, remote, [7; 8]);
        assert_eq!(octets.len(), 56);
        assert_eq!(octets[..8], [2, 6, 0, 0, 255, 255, 255, 255]);
        assert_eq!(octets[8..12], [0, 179, 4, 0]);
        assert_eq!(octets[12..16], [198, 18, 0, 1]);
        assert_eq!(octets[28..32], [198, 18, 0, 2]);
        assert_eq!(octets[44..48], [0; 4]);
        assert_eq!(octets[48..], [7; 8]);
    }
}
