//! A queue's socket.
//!
//! *Assumes* to be opened on a thread that is in the network namespace that is meant.
//! *Guarantees* that packets which the socket could not hold are counted, and that while nobody
//! reads, and after it is closed, packets are dropped, never let through.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_NETFILTER;
use nix::libc;
use nix::sys::socket::{getsockopt, setsockopt, sockopt};

use super::super::netlink::{answer, message};
use super::OpenError;
use super::message::{Binding, write_copy_range};

/// Packets that may wait for a verdict. Each takes a message of some 800 octets in the socket's
/// buffer at the least, so the buffer (32 MB, doubled by the kernel) is full before this is.
const QUEUE_LEN: u32 = 131_072;

/// Octets of verdicts that are sent at once, at the most.
const SEND_BUFFER: usize = 1 << 20;

/// A socket bound to one queue.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) number: u16,
    socket: Socket,
    buffer: usize,
    send_limit: usize,
}

impl Queue {
    /// Binds a queue, with a copy of so many octets of each packet, and a receive buffer of
    /// `buffer` octets or what can be had.
    pub(super) fn bind(number: u16, copy: u32, buffer: usize) -> Result<Queue, OpenError> {
        let failed = |source| OpenError::Socket { source };
        let mut socket =
            Socket::new(NETLINK_NETFILTER).map_err(|source| match source.raw_os_error() {
                Some(libc::EPROTONOSUPPORT) => OpenError::NoNfqueue,
                _ => failed(source),
            })?;
        socket.bind_auto().map_err(failed)?;
        socket.set_non_blocking(true).map_err(failed)?;
        // A full buffer is seen by the drop counter. With ENOBUFS the kernel would refuse all
        // further packets until the buffer is empty, not merely what does not fit.
        socket.set_no_enobufs(true).map_err(failed)?;
        // Beyond the system's limit: needs CAP_NET_ADMIN outside any user namespace.
        if setsockopt(&socket, sockopt::RcvBufForce, &buffer).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &buffer).map_err(|e| failed(e.into()))?;
        }
        if setsockopt(&socket, sockopt::SndBufForce, &SEND_BUFFER).is_err() {
            setsockopt(&socket, sockopt::SndBuf, &SEND_BUFFER).map_err(|e| failed(e.into()))?;
        }
        let got = getsockopt(&socket, sockopt::RcvBuf).map_err(|e| failed(e.into()))?;
        let send = getsockopt(&socket, sockopt::SndBuf).map_err(|e| failed(e.into()))?;
        let queue = Queue {
            number,
            socket,
            // The kernel doubles what it is asked for, to pay for its bookkeeping.
            buffer: got / 2,
            // It refuses what is not 32 octets shorter than the buffer.
            send_limit: (send - 32).min(SEND_BUFFER),
        };
        let mut request = Vec::new();
        let binding = Binding {
            queue: number,
            copy,
            len: QUEUE_LEN,
        };
        binding.write(&mut request);
        queue
            .socket
            .send(&request, 0)
            .and_then(|_| queue.refusal())
            .map_err(|source| refused(number, source))?;
        Ok(queue)
    }

    /// What the kernel has against the binding. It says so before `send` returns, and takes no
    /// packet then; if it has nothing against it, packets may be there already: they stay.
    fn refusal(&self) -> io::Result<()> {
        let mut head = Vec::with_capacity(1024);
        match self
            .socket
            .recv(&mut head, libc::MSG_PEEK | libc::MSG_TRUNC)
        {
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(e) => return Err(e),
        }
        message(&head)
            .and_then(|(kind, body)| answer(kind, body))
            .unwrap_or(Ok(()))
    }

    /// Changes how much of each packet that comes from now on is copied.
    pub(super) fn set_copy(&self, octets: u32) -> io::Result<()> {
        let mut request = Vec::with_capacity(64);
        write_copy_range(&mut request, self.number, octets);
        self.socket.send(&request, 0).map(|_| ())
    }

    /// The receive buffer's size in octets.
    pub(super) fn buffer(&self) -> usize {
        self.buffer
    }

    /// Most octets that can be sent at once.
    pub(super) fn send_limit(&self) -> usize {
        self.send_limit
    }

    /// Packets that did not fit into the buffer.
    pub(super) fn dropped(&self) -> u64 {
        const SO_MEMINFO: libc::c_int = 55;
        /// `SK_MEMINFO_DROPS` and the number of values (linux/sock_diag.h).
        const DROPS: usize = 8;
        let mut values = [0u32; 9];
        let mut len = size_of_val(&values) as libc::socklen_t;
        // SAFETY: the pointer and length are those of an array of this function's own, and the
        // kernel writes no more than the length.
        let status = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_SOCKET,
                SO_MEMINFO,
                values.as_mut_ptr().cast(),
                &raw mut len,
            )
        };
        // Linux 4.12 and later have it.
        if status == 0 { values[DROPS].into() } else { 0 }
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The kernel says EPERM both to who may not and to who comes second.
fn refused(queue: u16, source: io::Error) -> OpenError {
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EBUSY) => match owner(queue) {
            Some(port) => OpenError::Taken { queue, port },
            None => OpenError::Privilege { source },
        },
        // nfnetlink knows no such subsystem.
        Some(libc::EINVAL | libc::EOPNOTSUPP) => OpenError::NoNfqueue,
        _ => OpenError::Bind { queue, source },
    }
}

/// The netlink port that has a queue, which is most often a process number.
pub(super) fn owner(queue: u16) -> Option<u32> {
    let queues = fs::read_to_string("/proc/thread-self/net/netfilter/nfnetlink_queue").ok()?;
    queues.lines().find_map(|line| {
        let mut columns = line.split_whitespace();
        let number: u16 = columns.next()?.parse().ok()?;
        // The kernel prints the port signed in some versions.
        let port: i64 = columns.next()?.parse().ok()?;
        (number == queue).then_some(port as u32)
    })
}
