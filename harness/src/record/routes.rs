//! `routes.rtmon`: the routing table as it stood, then every change.
//!
//! *Assumes* the node's namespace. *Guarantees* that no message is lost without a finding: the
//! socket belongs to a blocking thread of its own with 32 MiB of buffer, because the multicast
//! connection of the rtnetlink crate with its default buffer loses messages in a burst
//! (docs/decisions/0005-recording.md).

use std::fs::File;
use std::io::{self, BufWriter};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use ipnet::Ipv4Net;
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_MULTIPART, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NLMSG_OVERRUN,
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use nix::sys::socket::{setsockopt, sockopt};
use results::rtmon::{self, Record, Writer};
use results::{Clock, Finding, FindingKind, RecorderStats, Severity};

use super::{RecordContext, RecordError, write_failed};
use crate::clock;
use crate::netns::Namespace;
use crate::signal::{Signal, Signals};

/// Wanted size of the receive buffer, octets.
pub(super) const BUFFER: usize = 32 << 20;
/// Largest datagram that the kernel makes of netlink messages is well below this.
const DATAGRAM: usize = 256 << 10;

const RTM_GETLINK: u16 = 18;
const RTM_GETADDR: u16 = 22;
const RTM_GETROUTE: u16 = 26;
const RTM_GETNEXTHOP: u16 = 106;
const RTNLGRP_LINK: u32 = 1;
const RTNLGRP_IPV4_IFADDR: u32 = 5;
const RTNLGRP_IPV4_ROUTE: u32 = 7;
const RTNLGRP_NEXTHOP: u32 = 32;

/// The recorder of one routing table.
pub(super) struct RouteRecorder {
    stop: Arc<EventFd>,
    thread: JoinHandle<(RecorderStats, Vec<Finding>)>,
}

impl RouteRecorder {
    /// Opens the socket and the file, writes the tables as they stand, and begins to listen.
    pub(super) fn start(
        namespace: &Namespace,
        context: &RecordContext,
    ) -> Result<Self, RecordError> {
        let node = namespace.node().to_owned();
        let refused = |source| RecordError::Netlink {
            node: namespace.node().to_owned(),
            source,
        };
        let path = context.run.routes_rtmon(&node);
        let file = File::create(&path).map_err(|source| RecordError::File {
            path: path.clone(),
            source,
        })?;
        let socket = namespace.enter(open_socket)?.map_err(refused)?;
        let stop = Arc::new(EventFd::new().map_err(|e| refused(e.into()))?);
        let mut tape = Tape {
            node,
            path,
            writer: Writer::new(BufWriter::new(file)),
            clock: context.clock,
            destination: context.destination,
            signals: context.signals.clone(),
            stats: RecorderStats::default(),
            findings: Vec::new(),
        };
        tape.stats.netlink_buffer_bytes = buffer_size(&socket) as u64;
        tape.dump(&socket).map_err(refused)?;
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || tape.listen(&socket, &stopped));
        Ok(RouteRecorder { stop, thread })
    }

    /// Tells the recorder to stop once it has written what the kernel has sent by now.
    pub(super) fn tell_to_stop(&self) {
        // An eventfd that has room for 2^64 writes takes one.
        let _ = self.stop.write(1);
    }

    /// Waits until the recorder has stopped.
    pub(super) fn join(self, stats: &mut RecorderStats) -> Vec<Finding> {
        match self.thread.join() {
            Ok((own, findings)) => {
                stats.netlink_messages = own.netlink_messages;
                stats.netlink_overruns = own.netlink_overruns;
                stats.netlink_buffer_bytes = own.netlink_buffer_bytes;
                findings
            }
            Err(_) => vec![Finding {
                kind: FindingKind::RecordWrite,
                severity: Severity::Invalidating,
                place: "routes.rtmon".to_owned(),
                message: "the recorder panicked; please report this".to_owned(),
            }],
        }
    }
}

/// Opens a socket in the calling thread's namespace, listening before anything is asked for.
pub(super) fn open_socket() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    // Inside a user namespace the first is refused, and the second goes up to rmem_max.
    if setsockopt(&BorrowedSocket(&socket), sockopt::RcvBufForce, &BUFFER).is_err() {
        setsockopt(&BorrowedSocket(&socket), sockopt::RcvBuf, &BUFFER)?;
    }
    for group in [
        RTNLGRP_LINK,
        RTNLGRP_IPV4_IFADDR,
        RTNLGRP_IPV4_ROUTE,
        RTNLGRP_NEXTHOP,
    ] {
        socket.add_membership(group)?;
    }
    socket.connect(&SocketAddr::new(0, 0))?;
    Ok(socket)
}

/// The receive buffer that the kernel gave, octets. It reports twice what it was asked for
/// (socket(7)).
pub(super) fn buffer_size(socket: &Socket) -> usize {
    nix::sys::socket::getsockopt(&BorrowedSocket(socket), sockopt::RcvBuf).map_or(0, |n| n / 2)
}

/// netlink-sys gives the raw descriptor only.
struct BorrowedSocket<'a>(&'a Socket);

impl AsFd for BorrowedSocket<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open for as long as the socket that is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
    }
}

/// What one recorder writes, and what it makes of it.
struct Tape {
    node: String,
    path: PathBuf,
    writer: Writer<BufWriter<File>>,
    clock: Clock,
    destination: Ipv4Net,
    signals: Signals,
    stats: RecorderStats,
    findings: Vec<Finding>,
}

impl Tape {
    fn find(&mut self, kind: FindingKind, severity: Severity, message: String) {
        let finding = Finding {
            kind,
            severity,
            place: self.node.clone(),
            message,
        };
        self.signals.send(Signal::Found(finding.clone()));
        self.findings.push(finding);
    }

    /// Asks for links, addresses, nexthop objects and routes as they stand, and writes them. A
    /// change that comes in between stands in the file in the order in which the kernel sent it.
    fn dump(&mut self, socket: &Socket) -> io::Result<()> {
        let mut buffer = vec![0; DATAGRAM];
        for kind in [RTM_GETLINK, RTM_GETADDR, RTM_GETNEXTHOP, RTM_GETROUTE] {
            socket.send(&dump_request(kind), 0)?;
            while !self.take(socket, &mut buffer)? {}
        }
        self.writer.flush()
    }

    /// Reads one datagram and writes its messages; true if it ends a dump.
    fn take(&mut self, socket: &Socket, buffer: &mut [u8]) -> io::Result<bool> {
        let n = socket.recv(&mut &mut buffer[..], 0)?;
        let t_mono_ns = clock::monotonic_ns();
        let mut rest = &buffer[..n.min(buffer.len())];
        let mut done = false;
        while let Some((message, tail)) = split_message(rest) {
            rest = tail;
            match u16::from_ne_bytes([message[4], message[5]]) {
                NLMSG_DONE => done = true,
                NLMSG_OVERRUN => self.overrun(),
                // A kernel without nexthop objects refuses that one dump.
                NLMSG_ERROR => done = true,
                _ => self.write(t_mono_ns, message),
            }
        }
        Ok(done)
    }

    fn write(&mut self, t_mono_ns: u64, message: &[u8]) {
        if let Err(e) = self.writer.write(self.clock.wall_ns(t_mono_ns), message) {
            self.broken(&e);
            return;
        }
        self.stats.netlink_messages += 1;
        if let Some(Record::Route(route)) = rtmon::parse(message)
            && route.dst == self.destination
        {
            self.signals.send(Signal::Route {
                t_mono_ns,
                node: self.node.clone(),
                present: route.op.is_new(),
                stood: answers_a_dump(message),
            });
        }
    }

    /// Told once; the counting goes on so that the run can be wound up.
    fn broken(&mut self, error: &io::Error) {
        if !self
            .findings
            .iter()
            .any(|f| f.kind == FindingKind::RecordWrite)
        {
            let finding = write_failed(&self.path, error);
            self.signals.send(Signal::Found(finding.clone()));
            self.findings.push(finding);
        }
    }

    fn overrun(&mut self) {
        self.stats.netlink_overruns += 1;
        if self.stats.netlink_overruns == 1 {
            self.find(
                FindingKind::NetlinkOverrun,
                Severity::Invalidating,
                "the kernel dropped routing-table changes before they were read; run fewer labs \
                 at once (--jobs) or raise net.core.rmem_max"
                    .to_owned(),
            );
        }
    }

    /// Waits for messages until told to stop, then drains what is there.
    fn listen(mut self, socket: &Socket, stop: &EventFd) -> (RecorderStats, Vec<Finding>) {
        let mut buffer = vec![0; DATAGRAM];
        let _ = socket.set_non_blocking(true);
        loop {
            loop {
                match self.take(socket, &mut buffer) {
                    Ok(_) => {}
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                    Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => self.overrun(),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => {
                        self.broken(&e);
                        return (self.stats, self.findings);
                    }
                }
            }
            // All that came is on disk before the thread waits: a kill loses nothing.
            if let Err(e) = self.writer.flush() {
                self.broken(&e);
            }
            let socket_fd = BorrowedSocket(socket);
            let mut fds = [
                PollFd::new(socket_fd.as_fd(), PollFlags::POLLIN),
                PollFd::new(stop.as_fd(), PollFlags::POLLIN),
            ];
            let _ = poll(&mut fds, PollTimeout::NONE);
            let ready = |fd: &PollFd<'_>| fd.revents().is_some_and(|r| !r.is_empty());
            if ready(&fds[1]) && !ready(&fds[0]) {
                return (self.stats, self.findings);
            }
        }
    }
}

/// A dump request of all families (`struct nlmsghdr`, then a zeroed family header that is long
/// enough for each of the four kinds).
fn dump_request(kind: u16) -> Vec<u8> {
    let body = match kind {
        RTM_GETLINK => 16,
        RTM_GETADDR | RTM_GETNEXTHOP => 8,
        _ => 12,
    };
    let mut request = Vec::with_capacity(16 + body);
    request.extend_from_slice(&(16 + body as u32).to_ne_bytes());
    request.extend_from_slice(&kind.to_ne_bytes());
    request.extend_from_slice(&(NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    request.extend_from_slice(&u32::from(kind).to_ne_bytes());
    request.extend_from_slice(&0u32.to_ne_bytes());
    request.resize(16 + body, 0);
    if kind == RTM_GETADDR || kind == RTM_GETROUTE {
        request[16] = libc::AF_INET as u8;
    }
    request
}

/// Whether a message is one of the answers to a dump, and tells of no change (netlink(7)).
fn answers_a_dump(message: &[u8]) -> bool {
    let flags = message.get(6..8).and_then(|f| f.try_into().ok());
    flags.is_some_and(|f| u16::from_ne_bytes(f) & NLM_F_MULTIPART != 0)
}

/// Splits the first message off a datagram.
fn split_message(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = u32::from_ne_bytes(*bytes.first_chunk::<4>()?) as usize;
    if len < 16 || len > bytes.len() {
        return None;
    }
    let next = len.next_multiple_of(4).min(bytes.len());
    Some((&bytes[..len], &bytes[next..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_a_dump_is_told_from_a_change() {
        let mut message = dump_request(RTM_GETROUTE);
        message[6..8].copy_from_slice(&0x600_u16.to_ne_bytes());
        assert!(!answers_a_dump(&message));
        message[6..8].copy_from_slice(&NLM_F_MULTIPART.to_ne_bytes());
        assert!(answers_a_dump(&message));
        assert!(!answers_a_dump(&message[..7]));
    }

    #[test]
    fn a_datagram_is_split_into_its_messages_and_garbage_ends_it() {
        let mut bytes = dump_request(RTM_GETLINK);
        bytes.extend(dump_request(RTM_GETROUTE));
        let (first, rest) = split_message(&bytes).expect("the first message");
        assert_eq!(first.len(), 32);
        let (second, rest) = split_message(rest).expect("the second message");
        assert_eq!((second.len(), rest.len()), (28, 0));
        assert_eq!(split_message(&[7, 0, 0, 0]), None);
        assert_eq!(split_message(&200u32.to_ne_bytes()), None);
    }
}
