//! Who sees the packets between TCPR and the peer.
//!
//! *Assumes* that it is shown every packet where it leaves TCPR, or comes to it, in order, and is
//! told what the application allows before TCPR is.
//! *Guarantees* a fault for each packet that no single TCP which never fails would send (RFC 9293,
//! RFC 7323), and a trace of all packets.

use std::time::Duration;

use tcpr_core::packet::{Flags, Options, Packet, Timestamps};
use tcpr_core::{Direction, Stream};

use super::content::Speech;
use super::fault::Fault;
use super::trace::Trace;

/// What one side has said in its SYN.
#[derive(Debug, Clone)]
struct Said {
    stream: Stream,
    options: Options,
}

/// Who sees the packets between TCPR and the peer.
#[derive(Debug)]
pub(super) struct Outside {
    pub(super) trace: Trace,
    output: i64,
    ours: Option<Said>,
    peers: Option<Said>,
    default_mss: usize,
    /// The peer has acknowledged our SYN.
    synchronized: bool,

    /// One past the highest position sent.
    sent: i64,
    /// The highest acknowledgment of the peer.
    acked: i64,
    /// The furthest right edge of the peer's window.
    peer_edge: i64,

    /// The highest acknowledgment told to the peer.
    told: i64,
    /// The right edge last told to it.
    edge: Option<i64>,
    /// How far the edge may go back.
    slack: i64,
    /// The local TCP has outlived a TCPR.
    unfenced: bool,
    tsval: Option<u32>,

    /// What may be acknowledged.
    checkpoint: i64,
    /// Where a FIN may be, as the present application has announced it.
    announced: Option<i64>,
    /// A FIN that was announced has been sent.
    finished: bool,
}

/// Farther than any window.
const FAR: i64 = 1 << 30;

impl Outside {
    pub(super) fn new(output: u64, default_mss: usize) -> Outside {
        Outside {
            trace: Trace::default(),
            output: output as i64,
            ours: None,
            peers: None,
            default_mss,
            synchronized: false,
            sent: -1,
            acked: -1,
            peer_edge: 0,
            told: 0,
            edge: None,
            slack: 0,
            unfenced: false,
            tsval: None,
            checkpoint: 0,
            announced: None,
            finished: false,
        }
    }

    /// Input up to here is safe.
    pub(super) fn allow(&mut self, checkpoint: u64) {
        self.checkpoint = checkpoint as i64;
    }

    /// The application has announced where its output ends, or begins anew and has not.
    pub(super) fn announce(&mut self, end: Option<u64>) {
        self.announced = end.map(|end| end as i64);
    }

    /// Another TCP takes the place of the old one. It need not have the room that there was, and one
    /// with less room than a segment is helped out by holding; so from now on the right edge begins
    /// anew, and may go back by `slack`.
    pub(super) fn begin_anew(&mut self, slack: usize) {
        self.edge = None;
        self.slack = slack as i64;
    }

    /// The application has a new TCP.
    pub(super) fn fence(&mut self) {
        self.unfenced = false;
    }

    /// TCPR is lost, and its successor can know no better than the peer and the new TCP say: of the
    /// window nothing, and of timestamps what the peer's echo says, which may be a late one. Whether
    /// that is good enough the peer decides, who drops what is old for it.
    pub(super) fn forget(&mut self, living: bool) {
        (self.edge, self.tsval) = (None, None);
        self.unfenced = living;
    }

    /// What the local TCP has sent up to here need not have come so far. A TCPR that knows nothing lets
    /// nothing pass, and none lets pass what exceeds the peer's window, as smoltcp's fast
    /// retransmission does: that is as if the network had lost it.
    pub(super) fn swallow(&mut self, sent: i64) {
        self.sent = self.sent.max(sent);
    }

    /// The highest acknowledgment told to the peer.
    pub(super) fn told(&self) -> i64 {
        self.told
    }

    /// The furthest right edge of the peer's window.
    pub(super) fn peer_edge(&self) -> i64 {
        self.peer_edge
    }

    /// The right edge last told to the peer.
    pub(super) fn edge(&self) -> Option<i64> {
        self.edge
    }

    /// The peer's stream, and ours.
    pub(super) fn streams(&self) -> (Option<Stream>, Option<Stream>) {
        let stream = |said: &Option<Said>| said.as_ref().map(|said| said.stream);
        (stream(&self.peers), stream(&self.ours))
    }

    /// The shift of the peer's windows.
    pub(super) fn peer_scale(&self) -> u8 {
        self.scales().1
    }

    /// The shift of the windows of the two sides: ours, the peer's.
    fn scales(&self) -> (u8, u8) {
        let scale = |said: &Option<Said>| said.as_ref()?.options.window_scale;
        scale(&self.ours).zip(scale(&self.peers)).unwrap_or((0, 0))
    }

    fn timestamps(&self) -> bool {
        [&self.ours, &self.peers]
            .into_iter()
            .all(|said| matches!(said, Some(said) if said.options.timestamps.is_some()))
    }

    /// A packet of the peer, as it comes.
    pub(super) fn inbound(&mut self, now: Duration, packet: &Packet<'_>) {
        self.trace.push(now, Direction::Inbound, packet.bytes());
        let flags = packet.flags();
        if flags.contains(Flags::RST) {
            return;
        }
        if flags.contains(Flags::SYN) {
            self.peers.get_or_insert_with(|| said(packet));
        }
        let (Some(ours), true) = (&self.ours, flags.contains(Flags::ACK)) else {
            return;
        };
        let acked = ours.stream.position(self.acked, packet.acknowledgment());
        self.acked = self.acked.max(acked);
        self.synchronized |= acked >= 0;
        let shift = match flags.contains(Flags::SYN) {
            true => 0,
            false => self.scales().1,
        };
        let edge = acked + (i64::from(packet.window()) << shift);
        self.peer_edge = self.peer_edge.max(edge);
    }

    /// A packet to the peer, as it goes.
    pub(super) fn outbound(&mut self, now: Duration, packet: &Packet<'_>, faults: &mut Vec<Fault>) {
        self.trace.push(now, Direction::Outbound, packet.bytes());
        let flags = packet.flags();
        if flags.contains(Flags::RST) {
            return faults.push(Fault::Reset);
        }
        if flags.contains(Flags::SYN) {
            if self.synchronized {
                return faults.push(Fault::Syn);
            }
            self.ours.get_or_insert_with(|| said(packet));
            self.sent = self.sent.max(0);
            self.tsval = packet.options().timestamps.map(|stamps| stamps.value);
            return;
        }
        if !flags.contains(Flags::ACK) {
            return faults.push(Fault::NoAcknowledgment);
        }
        let Some(((ours, peers), options)) = self
            .ours
            .as_ref()
            .map(|said| said.stream)
            .zip(self.peers.as_ref().map(|said| said.stream))
            .zip(Some(packet.options()))
        else {
            return faults.push(Fault::Damaged);
        };
        self.judge_acknowledgment(peers.position(self.told, packet.acknowledgment()), faults);
        let position = ours.position(self.sent, packet.sequence());
        if (position - self.sent).abs() > FAR && packet.payload_len() == 1 {
            // So far outside of the window that nothing of it counts but that it is answered.
            return;
        }
        self.judge_edge(packet.window(), faults);
        self.judge_stamps(options.timestamps, faults);
        self.judge_data(position, packet, faults);
    }

    fn judge_acknowledgment(&mut self, position: i64, faults: &mut Vec<Fault>) {
        if position < self.told {
            faults.push(Fault::AcknowledgmentBack {
                before: self.told,
                now: position,
            });
        }
        if position > self.checkpoint {
            faults.push(Fault::BeyondCheckpoint {
                acknowledged: position,
                checkpoint: self.checkpoint,
            });
        }
        self.told = position;
    }

    fn judge_edge(&mut self, window: u16, faults: &mut Vec<Fault>) {
        let shift = self.scales().0;
        let edge = self.told + (i64::from(window) << shift);
        // Windows are told in units, rounded down: by the local TCP, and from the checkpoint again.
        let rounding = 2 * ((1 << shift) - 1);
        if let Some(before) = self.edge
            && edge < before - rounding - self.slack
        {
            faults.push(Fault::EdgeBack { before, now: edge });
        }
        self.edge = Some(edge);
    }

    fn judge_stamps(&mut self, stamps: Option<Timestamps>, faults: &mut Vec<Fault>) {
        if !self.timestamps() {
            return;
        }
        let Some(Timestamps { value, .. }) = stamps else {
            return faults.push(Fault::TimestampMissing);
        };
        if let Some(before) = self.tsval
            && (value.wrapping_sub(before) as i32) < 0
        {
            faults.push(Fault::TimestampBack { before, now: value });
        }
        self.tsval = Some(value);
    }

    fn judge_data(&mut self, position: i64, packet: &Packet<'_>, faults: &mut Vec<Fault>) {
        let length = packet.payload_len();
        let end = position + length as i64;
        if position > self.sent {
            faults.push(Fault::Gap {
                position,
                sent: self.sent,
            });
        }
        if packet.flags().contains(Flags::FIN) {
            if end != self.output || !(self.finished || self.announced == Some(end)) {
                faults.push(Fault::Fin { position: end });
            }
            self.finished = true;
            self.sent = self.sent.max(end + 1);
        }
        self.sent = self.sent.max(end);
        if length == 0 {
            return;
        }
        // A keepalive repeats what is acknowledged, and may have any octet there.
        let known = (self.acked - position).clamp(0, length as i64);
        let begin = position + known;
        if end > self.output && begin < end {
            faults.push(Fault::WrongOctet {
                position: self.output,
            });
        } else if let Some(wrong) =
            Speech::Output.wrong(begin as u64, &packet.payload()[known as usize..])
        {
            faults.push(Fault::WrongOctet {
                position: wrong as i64,
            });
        }
        // One octet may probe a closed window (RFC 9293, 3.8.6.1), and smoltcp's fast retransmission
        // minds no window: TCPR passes two. Of a TCP that has outlived a TCPR it passes more, for that
        // one may have heard of a larger window.
        if end > self.peer_edge + 2 && !self.unfenced {
            faults.push(Fault::BeyondWindow {
                end,
                edge: self.peer_edge,
            });
        }
        // The MSS counts no options, and who has some sends less (RFC 6691, 2).
        let options = packet.bytes().len() - length - self.headers(packet);
        let mss = self.peers.as_ref().and_then(|said| said.options.mss);
        let mss = mss.map_or(self.default_mss, usize::from);
        if length + options > mss {
            faults.push(Fault::TooLong {
                length: length + options,
                mss,
            });
        }
    }

    /// Octets of the headers without options.
    fn headers(&self, packet: &Packet<'_>) -> usize {
        if packet.source().is_ipv6() { 60 } else { 40 }
    }
}

fn said(packet: &Packet<'_>) -> Said {
    Said {
        stream: Stream {
            initial: packet.sequence(),
        },
        options: packet.options(),
    }
}
