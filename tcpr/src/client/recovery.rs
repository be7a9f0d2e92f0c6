//! The socket of a recovered connection.
//!
//! *Assumes* that `recover` was answered, so that the old local socket is gone and TCPR answers the
//! SYN.
//! *Guarantees* the addresses and ports that the peer knows, and an error that says what is in the
//! way of them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tcpr_core::Hard;

use super::ConnectError;

/// The address and port that the local socket of this connection is bound to.
fn inside(hard: &Hard) -> SocketAddr {
    let mut local = hard.flow.local;
    if let Some(port) = hard.inside_port {
        local.set_port(port);
    }
    local
}

/// A socket that is bound and not connected yet.
pub(super) fn bind(
    hard: &Hard,
    prepare: impl FnOnce(&Socket) -> io::Result<()>,
) -> Result<Socket, ConnectError> {
    let local = inside(hard);
    let failed = |step| {
        move |source| ConnectError::Socket {
            step,
            address: local,
            source,
        }
    };
    let socket = Socket::new(
        Domain::for_address(local),
        Type::STREAM,
        Some(Protocol::TCP),
    )
    .map_err(failed("make a socket for"))?;
    // Connections that ended of late, and such as are accepted at the same port, are not in the way.
    socket.set_reuse_address(true).map_err(failed("reuse"))?;
    prepare(&socket).map_err(failed("set the options of the socket for"))?;
    socket
        .bind(&SockAddr::from(local))
        .map_err(|source| explain(hard, source, "bind to"))?;
    Ok(socket)
}

pub(super) fn connect(hard: &Hard, socket: &Socket, timeout: Duration) -> Result<(), ConnectError> {
    let remote = SockAddr::from(hard.flow.remote);
    socket
        .connect_timeout(&remote, timeout)
        .map_err(|source| explain(hard, source, "connect to"))
}

/// Begins to connect, without waiting.
pub(super) fn begin(hard: &Hard, socket: &Socket) -> Result<(), ConnectError> {
    let remote = SockAddr::from(hard.flow.remote);
    let begun = socket
        .set_nonblocking(true)
        .and_then(|()| match socket.connect(&remote) {
            Err(e) if e.raw_os_error() == Some(nix::libc::EINPROGRESS) => Ok(()),
            other => other,
        });
    begun.map_err(|source| explain(hard, source, "connect to"))
}

/// Waits for what was begun.
pub(super) fn complete(hard: &Hard, socket: &Socket, until: Instant) -> Result<(), ConnectError> {
    let completed = || {
        let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // Rounded up: a timeout of 0 would only look.
            let left = left.as_nanos().div_ceil(1_000_000);
            let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut polled, left) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => break,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        match socket.take_error()? {
            Some(error) => Err(error),
            None => socket.set_nonblocking(false),
        }
    };
    completed().map_err(|source| explain(hard, source, "connect to"))
}

/// What is in the way of a connection.
pub(super) fn explain(hard: &Hard, source: io::Error, step: &'static str) -> ConnectError {
    let local = inside(hard);
    match source.kind() {
        io::ErrorKind::AddrInUse if listens(local) => ConnectError::Held {
            local,
            holder: "a listener on the same port: recover before listening",
            source,
        },
        io::ErrorKind::AddrInUse => ConnectError::Held {
            local,
            holder: "a socket without SO_REUSEADDR on the same port: close it before recovering",
            source,
        },
        // Of `connect` it means that the pair of sockets is taken; of `bind`, the address is not here.
        io::ErrorKind::AddrNotAvailable if step == "bind to" => {
            ConnectError::Elsewhere { local, source }
        }
        io::ErrorKind::AddrNotAvailable => ConnectError::Held {
            local,
            holder: "a socket that is connected to the same peer: the connection was recovered already, \
                     or its old socket lives in another network namespace than TCPR's",
            source,
        },
        _ => {
            let address = if step == "bind to" {
                local
            } else {
                hard.flow.remote
            };
            ConnectError::Socket {
                step,
                address,
                source,
            }
        }
    }
}

/// Whether a socket listens at this address and port, as far as the kernel tells us.
fn listens(local: SocketAddr) -> bool {
    ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .any(|table| table.lines().skip(1).any(|line| is_listener(line, local)))
}

/// A line of /proc/net/tcp: number, local address and port in hexadecimal, remote ones, state (0A
/// is LISTEN).
fn is_listener(line: &str, local: SocketAddr) -> bool {
    let mut fields = line.split_whitespace().skip(1);
    let (Some(socket), Some(_), Some("0A")) = (fields.next(), fields.next(), fields.next()) else {
        return false;
    };
    let Some((address, port)) = socket.split_once(':') else {
        return false;
    };
    if u16::from_str_radix(port, 16) != Ok(local.port()) {
        return false;
    }
    // Words of 32 bits, each in the order of this machine.
    let words = match local.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let same: String = words
        .chunks_exact(4)
        .map(|word| {
            format!(
                "{:08X}",
                u32::from_ne_bytes([word[0], word[1], word[2], word[3]])
            )
        })
        .collect();
    address == same || address.bytes().all(|digit| digit == b'0')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::client::session::tests::hard;

    fn between(local: SocketAddr, remote: SocketAddr) -> Hard {
        let mut hard = hard(0);
        hard.flow = tcpr_core::Flow { local, remote };
        hard
    }

    #[test]
    fn a_listener_in_the_way_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let hard = between(
            listener.local_addr().unwrap(),
            "127.0.0.1:9".parse().unwrap(),
        );
        let error = bind(&hard, |_| Ok(())).unwrap_err();
        assert!(
            error.to_string().contains("recover before listening"),
            "{error}"
        );
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_connection_in_the_way_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let remote = listener.local_addr().unwrap();
        let hard = between("127.0.0.1:0".parse().unwrap(), remote);
        let first = bind(&hard, |_| Ok(())).unwrap();
        connect(&hard, &first, Duration::from_secs(5)).unwrap();
        let stream = TcpStream::from(first);
        let hard = between(stream.local_addr().unwrap(), remote);
        let second = bind(&hard, |_| Ok(())).unwrap();
        let error = connect(&hard, &second, Duration::from_secs(5)).unwrap_err();
        assert!(matches!(error, ConnectError::Held { .. }), "{error}");
        assert!(
            error.to_string().contains("connected to the same peer"),
            "{error}"
        );
    }

    #[test]
    fn an_address_that_is_elsewhere_is_told() {
        let hard = between(
            "192.0.2.77:4000".parse().unwrap(),
            "192.0.2.1:9".parse().unwrap(),
        );
        let error = bind(&hard, |_| Ok(())).unwrap_err();
        assert!(matches!(error, ConnectError::Elsewhere { .. }), "{error}");
    }

    #[test]
    fn options_are_set_before_connecting_and_the_inside_port_is_bound() {
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let mut hard = between(
            "127.0.0.1:1".parse().unwrap(),
            "127.0.0.1:9".parse().unwrap(),
        );
        hard.inside_port = Some(free.port());
        let socket = bind(&hard, |socket| socket.set_recv_buffer_size(8192)).unwrap();
        assert_eq!(socket.local_addr().unwrap().as_socket().unwrap(), free);
        assert_eq!(socket.recv_buffer_size().unwrap(), 16384);
    }
}
