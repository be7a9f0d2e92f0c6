//! `bgp.pcap`: every BGP packet that the node sends.
//!
//! *Assumes* the node's namespace. *Guarantees* one handle per namespace (a handle per device
//! would cost a ring buffer for each), outgoing packets only so that each is recorded once in the
//! lab, and times on the run's base. Loopback is left out, also where TCPR hands the injector
//! there what its router has sent.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ipnet::Ipv4Net;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pcap::{Active, BreakLoop, Capture, Packet, PacketHeader, Savefile};
use results::bgp::{Body, Decoder, LinkType, Message};
use results::{Clock, Finding, FindingKind, RecorderStats, Severity};

use super::{RecordContext, RecordError, write_failed};
use crate::clock;
use crate::netns::Namespace;
use crate::signal::{Signal, Signals};

/// What is recorded, but for the loopback device: with `not ifindex 1` libpcap 1.10 does not see
/// the first packets. The keyword `outbound` keeps what the node sends.
const FILTER: &str = "outbound and tcp port 179 and not net 127.0.0.0/8";
/// A whole packet, with its link-layer header: those of segmentation offload are up to 64 KiB
/// without it.
const SNAPLEN: i32 = 256 << 10;
/// Ring buffer of a handle, octets.
const RING: i32 = 2 << 20;
/// The kernel hands over a block of packets at the latest after this time, milliseconds.
const BLOCK_TIMEOUT_MS: i32 = 50;

/// The recorder of one node's packets.
pub(super) struct PacketRecorder {
    stopping: Arc<AtomicBool>,
    wake: BreakLoop,
    thread: JoinHandle<(RecorderStats, Vec<Finding>)>,
}

impl PacketRecorder {
    /// Opens the handle and the file, and begins to record.
    pub(super) fn start(
        namespace: &Namespace,
        context: &RecordContext,
    ) -> Result<Self, RecordError> {
        let node = namespace.node().to_owned();
        let refused = |e: pcap::Error| RecordError::Capture {
            node: namespace.node().to_owned(),
            reason: e.to_string(),
        };
        let path = context.run.bgp_pcap(&node);
        let mut capture = namespace.enter(open_capture)?.map_err(refused)?;
        let file = |e: pcap::Error| RecordError::File {
            path: path.clone(),
            source: io::Error::other(e.to_string()),
        };
        let mut savefile = capture.savefile(&path).map_err(file)?;
        // The header: without it, a capture that is killed before its first packet is no file.
        savefile.flush().map_err(file)?;
        let number = capture.get_datalink().0;
        let link_type = u32::try_from(number).ok().and_then(LinkType::from_number);
        let link_type = link_type.ok_or_else(|| RecordError::Capture {
            node: namespace.node().to_owned(),
            reason: format!("libpcap captures with link type {number}, which no reader here knows"),
        })?;
        let wake = capture.breakloop_handle();
        let stopping = Arc::new(AtomicBool::new(false));
        let tape = Tape {
            node,
            path,
            savefile,
            link_type,
            clock: context.clock,
            destination: context.destination,
            signals: context.signals.clone(),
            decoder: Decoder::new(),
            messages: Vec::new(),
            stats: RecorderStats::default(),
            findings: Vec::new(),
        };
        let stop = Arc::clone(&stopping);
        let thread = std::thread::spawn(move || tape.listen(capture, &stop));
        Ok(PacketRecorder {
            stopping,
            wake,
            thread,
        })
    }

    /// Tells the recorder to stop once it has written what the kernel has captured by now.
    pub(super) fn tell_to_stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake.breakloop();
    }

    /// Waits until the recorder has stopped.
    pub(super) fn join(self, stats: &mut RecorderStats) -> Vec<Finding> {
        match self.thread.join() {
            Ok((own, findings)) => {
                stats.packets = own.packets;
                stats.packets_dropped = own.packets_dropped;
                findings
            }
            Err(_) => vec![Finding {
                kind: FindingKind::RecordWrite,
                severity: Severity::Invalidating,
                place: "bgp.pcap".to_owned(),
                message: "the recorder panicked; please report this".to_owned(),
            }],
        }
    }
}

/// Opens a handle on all devices of the calling thread's namespace.
pub(super) fn open_capture() -> Result<Capture<Active>, pcap::Error> {
    let mut capture = Capture::from_device("any")?
        .snaplen(SNAPLEN)
        .buffer_size(RING)
        .timeout(BLOCK_TIMEOUT_MS)
        .open()?;
    capture.filter(FILTER, true)?;
    Ok(capture)
}

/// The descriptor of a handle, of which libpcap gives the number only.
fn descriptor(capture: &Capture<Active>) -> BorrowedFd<'_> {
    // SAFETY: the descriptor is open for as long as the handle that is borrowed.
    unsafe { BorrowedFd::borrow_raw(capture.as_raw_fd()) }
}

/// What one recorder writes, and what it makes of it.
struct Tape {
    node: String,
    path: PathBuf,
    savefile: Savefile,
    link_type: LinkType,
    clock: Clock,
    destination: Ipv4Net,
    signals: Signals,
    decoder: Decoder,
    messages: Vec<Message>,
    stats: RecorderStats,
    findings: Vec<Finding>,
}

impl Tape {
    /// Records until told to stop.
    fn listen(
        mut self,
        mut capture: Capture<Active>,
        stop: &AtomicBool,
    ) -> (RecorderStats, Vec<Finding>) {
        loop {
            match capture.next_packet() {
                Ok(packet) => self.write(&packet),
                Err(pcap::Error::TimeoutExpired) => {}
                Err(pcap::Error::NoMorePackets) if !stop.load(Ordering::Acquire) => {}
                Err(_) if stop.load(Ordering::Acquire) => break,
                Err(e) => {
                    self.broken(&io::Error::other(e.to_string()));
                    break;
                }
            }
            if stop.load(Ordering::Acquire) {
                break;
            }
        }
        let mut capture = self.drain(capture);
        if let Some(stat) = capture.as_mut().and_then(|c| c.stats().ok()) {
            self.stats.packets_dropped = u64::from(stat.dropped) + u64::from(stat.if_dropped);
        }
        if self.stats.packets_dropped > 0 {
            self.findings.push(Finding {
                kind: FindingKind::PacketDrop,
                severity: Severity::Invalidating,
                place: self.node.clone(),
                message: format!(
                    "{} packets were dropped before they were recorded; run fewer labs at once (--jobs)",
                    self.stats.packets_dropped
                ),
            });
        }
        (self.stats, self.findings)
    }

    /// Writes what the kernel still holds: it hands over a block that is not full when the block's
    /// time is over.
    fn drain(&mut self, capture: Capture<Active>) -> Option<Capture<Active>> {
        let mut capture = capture.setnonblock().ok()?;
        let until = Instant::now() + 2 * Duration::from_millis(BLOCK_TIMEOUT_MS as u64);
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            match capture.next_packet() {
                Ok(packet) => self.write(&packet),
                Err(_) => {
                    let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
                    let mut fds = [PollFd::new(descriptor(&capture), PollFlags::POLLIN)];
                    // Interrupted or not, the next packet is asked for.
                    let _ = poll(&mut fds, left);
                }
            }
        }
        Some(capture)
    }

    /// Writes a packet, its time moved from the wall clock as it is now to the run's base.
    fn write(&mut self, packet: &Packet<'_>) {
        if self.link_type.is_loopback(packet.data) {
            return;
        }
        let ts = packet.header.ts;
        let wall_ns = ts.tv_sec as u64 * 1_000_000_000 + ts.tv_usec as u64 * 1_000;
        let t_mono_ns = clock::mono_of_wall(wall_ns);
        let base_ns = self.clock.wall_ns(t_mono_ns);
        let header = PacketHeader {
            ts: libc::timeval {
                tv_sec: (base_ns / 1_000_000_000) as libc::time_t,
                tv_usec: (base_ns % 1_000_000_000 / 1_000) as libc::suseconds_t,
            },
            ..*packet.header
        };
        self.savefile.write(&Packet::new(&header, packet.data));
        // BGP is quiet enough for a system call a packet, and a kill loses nothing.
        if let Err(e) = self.savefile.flush() {
            let os = io::Error::last_os_error();
            let error = if os.raw_os_error() == Some(0) {
                io::Error::other(e.to_string())
            } else {
                os
            };
            self.broken(&error);
            return;
        }
        self.stats.packets += 1;
        self.tell(t_mono_ns, packet.data);
    }

    /// Told once; the reading goes on so that the run can be wound up.
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

    /// Signals what concerns the destination.
    fn tell(&mut self, t_mono_ns: u64, data: &[u8]) {
        self.messages.clear();
        self.decoder
            .push(t_mono_ns, self.link_type, data, &mut self.messages);
        for message in &self.messages {
            let Body::Update(update) = &message.body else {
                continue;
            };
            let (src, dst) = (*message.src.ip(), *message.dst.ip());
            if update.end_of_rib {
                self.signals.send(Signal::EndOfRib {
                    t_mono_ns,
                    src,
                    dst,
                });
                continue;
            }
            let announces = update.announced.contains(&self.destination);
            if announces || update.withdrawn.contains(&self.destination) {
                self.signals.send(Signal::Update {
                    t_mono_ns,
                    src,
                    dst,
                    withdraws: !announces,
                });
            }
        }
    }
}
