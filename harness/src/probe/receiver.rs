//! The probe's receiving end: a process in the injector's namespace that outlives the injector.
//!
//! *Assumes* to be single-threaded, with the destination's address on a device of its namespace.
//! *Guarantees* that the record is there only once the socket is bound; that what was received is
//! in it 100 ms later, whatever happens to the process then; and that SIGTERM ends it with all
//! that the kernel held by then, and with the number of datagrams that the kernel dropped.

use std::io;
use std::mem::size_of_val;
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{setsockopt, sockopt};
use results::DirError;
use results::probe::{Arrival, Writer};
use thiserror::Error;

use super::{DATAGRAM, FLUSH_NS, Payload};
use crate::clock;

/// Wanted size of the receive buffer, octets: some 10,000 probes, seconds of a large clique's.
const BUFFER: usize = 8 << 20;
/// `SO_MEMINFO` (asm-generic/socket.h): an array of what the socket uses and has dropped.
const SO_MEMINFO: libc::c_int = 55;

/// Why the receiver stopped.
#[derive(Debug, Error)]
pub enum ReceiverError {
    /// It cannot receive.
    #[error("cannot receive probes at {address}: {source}")]
    Socket {
        /// Where.
        address: SocketAddrV4,
        /// The system's answer.
        source: io::Error,
    },
    /// It cannot write what it received.
    #[error(transparent)]
    Record(#[from] DirError),
}

/// Records what arrives at `address` in the file `record`, which must not be there yet, until
/// SIGTERM.
///
/// # Errors
/// If it cannot receive or cannot write.
pub fn receive(address: SocketAddrV4, record: &Path) -> Result<(), ReceiverError> {
    let refused = |source: io::Error| ReceiverError::Socket { address, source };
    let mut end = SigSet::empty();
    end.add(Signal::SIGTERM);
    end.thread_block().map_err(|e| refused(e.into()))?;
    let end = SignalFd::with_flags(&end, SfdFlags::SFD_CLOEXEC).map_err(|e| refused(e.into()))?;
    let socket = open_socket(address).map_err(refused)?;
    let mut recorder = Recorder {
        writer: Writer::create(record)?,
        unflushed_since_ns: None,
    };
    loop {
        let mut fds = [
            PollFd::new(socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(end.as_fd(), PollFlags::POLLIN),
        ];
        // Interrupted or not, what there is is taken.
        let _ = poll(&mut fds, recorder.patience());
        let ended = fds[1].any().unwrap_or(false);
        recorder.drain(&socket).map_err(|e| e.told_of(address))?;
        recorder.flush_if_due()?;
        if ended {
            let dropped = dropped(&socket).map_err(refused)?;
            return Ok(recorder.writer.finish(dropped)?);
        }
    }
}

fn open_socket(address: SocketAddrV4) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    // Inside a user namespace the first is refused, and the second goes up to rmem_max.
    if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).is_err() {
        setsockopt(&socket, sockopt::RcvBuf, &BUFFER)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// What went wrong while the socket was drained.
enum Drained {
    Socket(io::Error),
    Record(DirError),
}

impl Drained {
    fn told_of(self, address: SocketAddrV4) -> ReceiverError {
        match self {
            Drained::Socket(source) => ReceiverError::Socket { address, source },
            Drained::Record(e) => ReceiverError::Record(e),
        }
    }
}

struct Recorder {
    writer: Writer<Arrival>,
    /// When the oldest row was written that is not in the file yet.
    unflushed_since_ns: Option<u64>,
}

impl Recorder {
    /// How long may be waited for the next datagram.
    fn patience(&self) -> PollTimeout {
        self.unflushed_since_ns.map_or(PollTimeout::NONE, |since| {
            let left_ns = (since + FLUSH_NS).saturating_sub(clock::monotonic_ns());
            PollTimeout::from(u8::try_from(left_ns.div_ceil(1_000_000)).unwrap_or(u8::MAX))
        })
    }

    /// Takes all that the kernel holds.
    fn drain(&mut self, socket: &UdpSocket) -> Result<(), Drained> {
        // One octet more than a probe, so that what is longer is seen to be.
        let mut octets = [0; DATAGRAM + 1];
        loop {
            let n = match socket.recv(&mut octets) {
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Drained::Socket(e)),
            };
            let now_ns = clock::monotonic_ns();
            // Whatever else somebody sends here from a shell is none of the probe's.
            let Some(payload) = Payload::parse(&octets[..n]) else {
                continue;
            };
            let arrival = Arrival {
                node: payload.node,
                number: payload.number,
                sent_mono_ns: payload.sent_mono_ns,
                delay_ns: now_ns.saturating_sub(payload.sent_mono_ns),
            };
            self.writer.append(&arrival).map_err(Drained::Record)?;
            self.unflushed_since_ns.get_or_insert(now_ns);
        }
    }

    fn flush_if_due(&mut self) -> Result<(), DirError> {
        let due = |since: u64| clock::monotonic_ns() >= since + FLUSH_NS;
        if self.unflushed_since_ns.is_some_and(due) {
            self.writer.flush()?;
            self.unflushed_since_ns = None;
        }
        Ok(())
    }
}

/// Datagrams that the kernel dropped because the socket's buffer was full.
pub(super) fn dropped(socket: &UdpSocket) -> io::Result<u64> {
    let mut info = [0u32; libc::SK_MEMINFO_DROPS as usize + 1];
    let mut length = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` octets into the array, which has as many.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_MEMINFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if answer == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(u64::from(info[libc::SK_MEMINFO_DROPS as usize]))
}
