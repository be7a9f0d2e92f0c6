//! Sends IP packets as they are.
//!
//! *Assumes* that rules let packets with the mark pass.
//! *Guarantees* that a packet leaves with its source address, also if that is not this host's,
//! towards its destination, also if that is this host. The kernel fills in an IPv4 header's
//! checksum, and changes nothing else of a packet that names its length and identification.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::libc;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::netlink::array;

/// Octets that may wait for a device.
const SEND_BUFFER: usize = 4 << 20;

/// A packet could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum InjectError {
    /// No IPv4 or IPv6 header.
    #[error("not an IP packet")]
    NotIp,
    /// No IPv6 here.
    #[error("the kernel has no IPv6, and the packet goes to {destination}")]
    NoIpv6 {
        /// Where it goes.
        destination: Ipv6Addr,
    },
    /// Raw packets are not fragmented, and a device takes no longer ones.
    #[error("{len} octets do not fit the link towards {destination}")]
    TooLong {
        /// Of the packet.
        len: usize,
        /// Where it goes.
        destination: IpAddr,
    },
    /// The kernel refused it: no route, a rule that drops it, no memory.
    #[error("cannot send a packet to {destination}")]
    Send {
        /// Where it goes.
        destination: IpAddr,
        /// Why.
        source: io::Error,
    },
}

/// Raw sockets whose packets carry a mark.
#[derive(Debug)]
pub(super) struct Injector {
    v4: Socket,
    v6: Option<Socket>,
}

impl Injector {
    pub(super) fn open(mark: u32) -> io::Result<Injector> {
        let v6 = match raw(Domain::IPV6, mark) {
            Ok(socket) => Some(socket),
            Err(e) if e.raw_os_error() == Some(libc::EAFNOSUPPORT) => None,
            Err(e) => return Err(e),
        };
        let v4 = raw(Domain::IPV4, mark)?;
        Ok(Injector { v4, v6 })
    }

    pub(super) fn send(&self, packet: &[u8]) -> Result<(), InjectError> {
        let (socket, destination) = match packet.first().map(|octet| octet >> 4) {
            Some(4) => {
                let octets: [u8; 4] = array(packet, 16).ok_or(InjectError::NotIp)?;
                (&self.v4, IpAddr::from(Ipv4Addr::from(octets)))
            }
            Some(6) => {
                let octets: [u8; 16] = array(packet, 24).ok_or(InjectError::NotIp)?;
                let destination = Ipv6Addr::from(octets);
                let socket = self.v6.as_ref();
                let socket = socket.ok_or(InjectError::NoIpv6 { destination })?;
                (socket, IpAddr::from(destination))
            }
            _ => return Err(InjectError::NotIp),
        };
        // A raw socket's port is its protocol, and 0 stands for that.
        let address = SockAddr::from(SocketAddr::new(destination, 0));
        match socket.send_to(packet, &address) {
            Ok(_) => Ok(()),
            Err(e) if e.raw_os_error() == Some(libc::EMSGSIZE) => Err(InjectError::TooLong {
                len: packet.len(),
                destination,
            }),
            Err(source) => Err(InjectError::Send {
                destination,
                source,
            }),
        }
    }
}

/// Such a socket takes whole packets and receives none: no packet has protocol 255.
fn raw(domain: Domain, mark: u32) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))?;
    socket.set_nonblocking(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_mark(mark)?;
    Ok(socket)
}
