//! Packets of one turn, and their verdicts.
//!
//! *Assumes* that each packet read is given exactly one verdict, in order, before the next
//! packets are read.
//! *Guarantees* one system call for the packets and one for the verdicts (more if these are
//! longer than the socket's buffer); that verdicts take effect in order; and that nothing is
//! allocated.

use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};

use nix::libc;

use super::message::{Plain, Waiting, accept_in_place};
use super::queue::Queue;

/// Packets of a turn.
pub(super) const TURN: usize = 64;

/// A packet of the greatest length, its attributes and padding.
const SLOT: usize = 65_536 + 1024;

/// Buffers for packets and verdicts.
#[derive(Debug)]
pub(super) struct Batch {
    slots: Vec<u8>,
    lens: [usize; TURN],
    verdicts: Vec<u8>,
    pieces: Vec<Piece>,
    /// Last packet of a run of packets that go on unedited.
    accepted: Option<u32>,
}

/// Where verdicts are that belong together.
#[derive(Debug, Clone)]
enum Piece {
    /// In `verdicts`.
    Plain(Range<usize>),
    /// In `slots`.
    InPlace(Range<usize>),
}

impl Batch {
    pub(super) fn new() -> Batch {
        Batch {
            // Zeroed memory is taken only as it is written to.
            slots: vec![0; TURN * SLOT],
            lens: [0; TURN],
            verdicts: Vec::with_capacity(TURN * 64),
            pieces: Vec::with_capacity(2 * TURN),
            accepted: None,
        }
    }

    /// Reads up to `limit` messages that wait, and returns how many there were.
    pub(super) fn fill(&mut self, queue: &Queue, limit: usize) -> io::Result<usize> {
        let limit = limit.min(TURN);
        let mut vectors = [const { MaybeUninit::<libc::iovec>::uninit() }; TURN];
        let mut headers = [const { MaybeUninit::<libc::mmsghdr>::zeroed() }; TURN];
        for ((slot, vector), header) in self
            .slots
            .chunks_exact_mut(SLOT)
            .zip(&mut vectors)
            .zip(&mut headers)
            .take(limit)
        {
            let vector = vector.write(libc::iovec {
                iov_base: slot.as_mut_ptr().cast(),
                // Room for padding stays.
                iov_len: SLOT - 4,
            });
            // SAFETY: of zeroes, a `mmsghdr` is valid: integers and null pointers.
            let header = unsafe { header.assume_init_mut() };
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: the first `limit` headers are initialised, each with one vector that spans a
        // slot of its own; slots and vectors live until the call is over.
        let count = unsafe {
            libc::recvmmsg(
                queue.as_fd().as_raw_fd(),
                headers.as_mut_ptr().cast(),
                limit as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let count = match usize::try_from(count) {
            Ok(count) => count,
            Err(_) => match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::WouldBlock => 0,
                e if e.kind() == io::ErrorKind::Interrupted => 0,
                e => return Err(e),
            },
        };
        for (len, header) in self.lens.iter_mut().zip(&headers).take(count) {
            // SAFETY: as above.
            *len = unsafe { header.assume_init_ref() }.msg_len as usize;
        }
        Ok(count)
    }

    /// The message number `index` of those read.
    pub(super) fn message(&mut self, index: usize) -> &mut [u8] {
        let start = index * SLOT;
        &mut self.slots[start..start + self.lens[index]]
    }

    /// Lets a packet go on as it came.
    pub(super) fn accept(&mut self, packet: &Waiting) {
        self.accepted = Some(packet.id);
    }

    /// Lets the packet of message `index` go on as it stands in the message.
    pub(super) fn accept_edited(&mut self, queue: &Queue, index: usize, packet: &Waiting) {
        self.end_run(queue);
        let start = index * SLOT;
        let slot = &mut self.slots[start..start + SLOT];
        let Range { start: from, end } = accept_in_place(slot, queue.number, packet);
        self.pieces.push(Piece::InPlace(start + from..start + end));
    }

    /// Drops a packet.
    pub(super) fn drop(&mut self, queue: &Queue, packet: &Waiting) {
        self.end_run(queue);
        self.push(Plain::Drop, queue, packet.id);
    }

    /// Sends a packet to another queue.
    pub(super) fn requeue(&mut self, queue: &Queue, packet: &Waiting, to: &Queue) {
        self.end_run(queue);
        self.push(Plain::Requeue(to.number), queue, packet.id);
    }

    fn end_run(&mut self, queue: &Queue) {
        if let Some(id) = self.accepted.take() {
            self.push(Plain::AcceptUpTo, queue, id);
        }
    }

    fn push(&mut self, verdict: Plain, queue: &Queue, id: u32) {
        let start = self.verdicts.len();
        verdict.write(&mut self.verdicts, queue.number, id);
        let end = self.verdicts.len();
        match self.pieces.last_mut() {
            Some(Piece::Plain(range)) => range.end = end,
            _ => self.pieces.push(Piece::Plain(start..end)),
        }
    }

    /// Sends the verdicts. They have taken effect when it returns, also when it fails: then
    /// some of them only.
    pub(super) fn flush(&mut self, queue: &Queue) -> io::Result<()> {
        self.end_run(queue);
        let mut vectors = [const { MaybeUninit::<libc::iovec>::uninit() }; 2 * TURN];
        let (mut count, mut octets) = (0, 0);
        let mut result = Ok(());
        for piece in &self.pieces {
            let slice = match piece {
                Piece::Plain(range) => &self.verdicts[range.clone()],
                Piece::InPlace(range) => &self.slots[range.clone()],
            };
            if count == vectors.len() || count > 0 && octets + slice.len() > queue.send_limit() {
                // SAFETY: the first `count` vectors span slices that live on in `self`.
                result = result.and(unsafe { send(queue, &vectors[..count]) });
                (count, octets) = (0, 0);
            }
            vectors[count].write(libc::iovec {
                iov_base: slice.as_ptr().cast_mut().cast(),
                iov_len: slice.len(),
            });
            count += 1;
            octets += slice.len();
        }
        if count > 0 {
            // SAFETY: as above.
            result = result.and(unsafe { send(queue, &vectors[..count]) });
        }
        self.pieces.clear();
        self.verdicts.clear();
        result
    }
}

/// # Safety
/// The vectors are initialised, and span memory that can be read.
unsafe fn send(queue: &Queue, vectors: &[MaybeUninit<libc::iovec>]) -> io::Result<()> {
    // SAFETY: of zeroes, a `msghdr` is valid: integers and null pointers.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = vectors.as_ptr().cast_mut().cast();
    header.msg_iovlen = vectors.len() as _;
    loop {
        // SAFETY: the header's vectors are initialised, as the caller has promised.
        let sent = unsafe { libc::sendmsg(queue.as_fd().as_raw_fd(), &raw const header, 0) };
        if sent >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
