//! A trace: segments go in, and what comes of each is written down as text.
//!
//! Octets are counted from 0 at the first one after the SYN: of our stream, as the peer counts,
//! outside; and from the present local TCP's own SYN, inside. Both initial sequence numbers lie near
//! the end of the number space, so that every longer trace passes the wrap.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    unreachable_pub
)]

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use etherparse::{IpNumber, TcpHeader, TcpOptionElement};
use tcpr_core::packet::{Flags, Packet};
use tcpr_core::{Action, Actions, Config, Direction, Flow, Hard, Pattern, Refusal, Tcpr, Verdict};

pub const OURS: u32 = u32::MAX - 50;
pub const PEERS: u32 = u32::MAX - 20;

/// A segment as a test writes it.
#[derive(Debug, Clone, Default)]
pub struct Seg {
    pub seq: i64,
    pub ack: Option<i64>,
    pub flags: &'static str,
    pub len: usize,
    pub win: u16,
    pub ts: Option<(u32, u32)>,
    pub sack: Vec<(i64, i64)>,
    pub mss: Option<u16>,
    pub ws: Option<u8>,
    pub sackok: bool,
    pub raw: Vec<u8>,
}

/// A segment with these octets of its stream.
pub fn seg(seq: i64, len: usize) -> Seg {
    Seg {
        seq,
        len,
        win: 1000,
        ..Seg::default()
    }
}

impl Seg {
    pub fn ack(mut self, ack: i64) -> Seg {
        self.ack = Some(ack);
        self
    }
    pub fn win(mut self, win: u16) -> Seg {
        self.win = win;
        self
    }
    pub fn flags(mut self, flags: &'static str) -> Seg {
        self.flags = flags;
        self
    }
    pub fn ts(mut self, value: u32, echo: u32) -> Seg {
        self.ts = Some((value, echo));
        self
    }
    pub fn sack(mut self, left: i64, right: i64) -> Seg {
        self.sack.push((left, right));
        self
    }
    /// The options of an ordinary SYN.
    pub fn syn(mut self) -> Seg {
        self.seq = -1;
        self.flags = "S";
        self.mss = Some(1460);
        self.ws = Some(2);
        self.sackok = true;
        self
    }
}

/// Who is at the ends, and what they agree upon.
pub struct Trace {
    pub tcpr: Tcpr,
    pub flow: Flow,
    pub now: Duration,
    /// The present local TCP's initial sequence number.
    pub inside: u32,
    /// Port of the present local TCP.
    pub port: u16,
    pub hard: Option<Hard>,
    pub held: Vec<Vec<u8>>,
}

impl Trace {
    pub fn new() -> Trace {
        Trace::between("10.0.0.2:179", "10.0.0.9:4000")
    }

    pub fn v6() -> Trace {
        Trace::between("[fd00::2]:179", "[fd00::9]:4000")
    }

    pub fn between(local: &str, remote: &str) -> Trace {
        let flow = Flow {
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
        };
        let mut tcpr = Tcpr::new(Config::default());
        tcpr.protect(Pattern::Local(flow.local));
        Trace {
            tcpr,
            flow,
            now: Duration::from_secs(1),
            inside: OURS,
            port: flow.local.port(),
            hard: None,
            held: Vec::new(),
        }
    }

    /// A connection that the peer has opened, with timestamps 100 (ours) and 500 (the peer's), both
    /// windows 1000, scales 2 (ours) and 2 (the peer's), and registered.
    pub fn live() -> Trace {
        Trace::live_between(Trace::new(), true)
    }

    pub fn live_between(mut trace: Trace, timestamps: bool) -> Trace {
        let stamp = |seg: Seg, value, echo| if timestamps { seg.ts(value, echo) } else { seg };
        trace.peer(stamp(seg(0, 0).syn(), 500, 0));
        trace.app(stamp(seg(0, 0).syn().flags("SA").ack(0), 100, 500));
        trace.peer(stamp(seg(0, 0).ack(0), 501, 100));
        let hard = trace.tcpr.register(trace.now, &trace.flow).unwrap();
        trace.hard = Some(hard);
        trace
    }

    /// All is done but for an acknowledgment of our FIN, which was sent: 5 octets of ours and 10 of the
    /// peer's.
    pub fn last_ack() -> Trace {
        let mut trace = Trace::live();
        trace.peer(seg(0, 10).ack(0).flags("F").ts(502, 101));
        trace.app(seg(0, 0).ack(11).ts(102, 502));
        trace.checkpoint(11);
        trace.done_writing(5);
        trace.app(seg(0, 5).ack(11).flags("F").ts(103, 502));
        trace.peer(seg(11, 0).ack(5).ts(503, 103));
        trace
    }

    pub fn after(&mut self, milliseconds: u64) -> &mut Trace {
        self.now += Duration::from_millis(milliseconds);
        self
    }

    /// The application begins to recover, with what it has persisted.
    pub fn recover(&mut self) -> String {
        let mut hard = self.hard.unwrap();
        hard.incarnation += 1;
        self.hard = Some(hard);
        self.recover_as(hard)
    }

    pub fn recover_as(&mut self, hard: Hard) -> String {
        let mut actions = Actions::new();
        let answer = self.tcpr.recover(self.now, hard, &mut actions);
        let mut said = match answer {
            Ok(Some(recovery)) => format!("base {}", recovery.base),
            Ok(None) => "asks the peer".to_owned(),
            Err(refusal) => format!("refused: {refusal}"),
        };
        self.tell(&mut said, actions);
        said
    }

    /// A recovery from beginning to end: `recover`, SYN, SYN-ACK, ACK. `inside`: the new local TCP's
    /// initial sequence number.
    pub fn recovered(&mut self, inside: u32, tsval: u32) -> String {
        self.recover();
        self.inside = inside;
        let timestamps = self.hard.unwrap().timestamps;
        let stamp = |seg: Seg| if timestamps { seg.ts(tsval, 0) } else { seg };
        self.app(stamp(seg(0, 0).syn()));
        let start = self.tcpr.summary(self.now, &self.flow).unwrap().local_ack;
        self.app(stamp(seg(0, 0).ack(start as i64)))
    }

    pub fn checkpoint(&mut self, offset: u64) -> String {
        let mut actions = Actions::new();
        let answer = self
            .tcpr
            .checkpoint(self.now, &self.flow, offset, &mut actions);
        if let (Ok(()), Some(hard)) = (&answer, &mut self.hard) {
            hard.checkpoint = hard.checkpoint.max(offset);
        }
        self.answered(answer, actions)
    }

    pub fn done_reading(&mut self) -> String {
        let mut actions = Actions::new();
        let answer = self.tcpr.done_reading(self.now, &self.flow, &mut actions);
        self.answered(answer, actions)
    }

    pub fn done_writing(&mut self, written: u64) -> String {
        let answer = self.tcpr.done_writing(&self.flow, written);
        if let (Ok(()), Some(hard)) = (&answer, &mut self.hard) {
            hard.done_writing = Some(written);
        }
        self.answered(answer, Actions::new())
    }

    pub fn abort(&mut self) -> String {
        let mut actions = Actions::new();
        let answer = self.tcpr.abort(self.now, &self.flow, &mut actions);
        self.answered(answer, actions)
    }

    pub fn tick(&mut self) -> String {
        let mut said = String::new();
        loop {
            let mut actions = Actions::new();
            let more = self.tcpr.tick(self.now, &mut actions);
            self.tell(&mut said, actions);
            if !more {
                break;
            }
        }
        said.trim_start_matches("; ").to_owned()
    }

    pub fn answered(&mut self, answer: Result<(), Refusal>, actions: Actions) -> String {
        let mut said = match answer {
            Ok(()) => "ok".to_owned(),
            Err(refusal) => format!("refused: {refusal}"),
        };
        self.tell(&mut said, actions);
        said
    }

    /// A segment of the local TCP.
    pub fn app(&mut self, seg: Seg) -> String {
        let local = SocketAddr::new(self.flow.local.ip(), self.port);
        let octets = build(local, self.flow.remote, self.inside, PEERS, &seg);
        self.offer(Direction::Outbound, octets)
    }

    /// A segment of the peer.
    pub fn peer(&mut self, seg: Seg) -> String {
        let octets = build(self.flow.remote, self.flow.local, PEERS, OURS, &seg);
        self.offer(Direction::Inbound, octets)
    }

    pub fn offer(&mut self, direction: Direction, mut octets: Vec<u8>) -> String {
        let original = octets.clone();
        let mut actions = Actions::new();
        let mut packet = Packet::parse(&mut octets).unwrap();
        assert!(packet.checksum_is_right());
        let verdict = self
            .tcpr
            .segment(self.now, direction, &mut packet, &mut actions);
        assert!(packet.checksum_is_right(), "an edit spoilt the checksum");
        let mut said = self.said(verdict, direction, packet.bytes());
        match verdict {
            Verdict::Forward { edited } => assert_eq!(edited, original != octets),
            Verdict::Hold => self.held.push(octets),
            Verdict::Drop => {}
        }
        self.tell(&mut said, actions);
        said
    }

    fn said(&self, verdict: Verdict, direction: Direction, bytes: &[u8]) -> String {
        match verdict {
            Verdict::Forward { .. } => self.describe(direction, bytes),
            Verdict::Drop => "dropped".to_owned(),
            Verdict::Hold => "held".to_owned(),
        }
    }

    /// What the receiver sees: the flags, the octets, the acknowledgment, and the rest.
    fn describe(&self, direction: Direction, bytes: &[u8]) -> String {
        let mut copy = bytes.to_vec();
        let packet = Packet::parse(&mut copy).unwrap();
        assert!(packet.checksum_is_right(), "wrong checksum");
        let (from, to) = match direction {
            Direction::Outbound => (OURS, PEERS),
            Direction::Inbound => (PEERS, self.inside),
        };
        let relative =
            |number: u32, initial: u32| i64::from(number.wrapping_sub(initial) as i32) - 1;
        let flags = packet.flags();
        let mut said = match direction {
            Direction::Outbound => "peer gets ".to_owned(),
            Direction::Inbound => "app gets ".to_owned(),
        };
        for (flag, letter) in [
            (Flags::SYN, 'S'),
            (Flags::FIN, 'F'),
            (Flags::RST, 'R'),
            (Flags::ECE, 'E'),
        ] {
            if flags.contains(flag) {
                said.push(letter);
            }
        }
        if !said.ends_with(' ') {
            said.push(' ');
        }
        let seq = relative(packet.sequence(), from);
        let _ = write!(said, "{seq}+{}", packet.payload_len());
        if flags.contains(Flags::ACK) {
            let _ = write!(said, " ack {}", relative(packet.acknowledgment(), to));
        }
        let _ = write!(said, " win {}", packet.window());
        let options = packet.options();
        if let Some(mss) = options.mss {
            let _ = write!(said, " mss {mss}");
        }
        if let Some(scale) = options.window_scale {
            let _ = write!(said, " ws {scale}");
        }
        if options.sack_permitted {
            said.push_str(" sackok");
        }
        if let Some(timestamps) = options.timestamps {
            let _ = write!(said, " ts {} {}", timestamps.value, timestamps.echo);
        }
        for (left, right) in options.sack {
            let _ = write!(said, " sack {}-{}", relative(left, to), relative(right, to));
        }
        said
    }

    pub fn tell(&mut self, said: &mut String, actions: Actions) {
        for action in actions {
            let text = match action {
                Action::Inject { direction, segment } => {
                    let mut buffer = [0; tcpr_core::packet::Segment::MAX_LEN];
                    let length = segment.emit(&mut buffer);
                    let seen = self.describe(direction, &buffer[..length]);
                    seen.replacen("gets", "is sent", 1)
                }
                Action::Replay { until, .. } => {
                    let _ = write!(said, "; replay until {until}");
                    self.replay(said, until);
                    continue;
                }
                Action::Forget { .. } => "forget".to_owned(),
                Action::Established { .. } => "established".to_owned(),
                Action::Failed { .. } => "failed".to_owned(),
                Action::Spliced { hard } => {
                    self.hard = Some(hard);
                    "spliced".to_owned()
                }
                Action::Recovered { base, .. } => format!("recovered at base {base}"),
                Action::Refused { refusal, .. } => format!("refused: {refusal}"),
                Action::Acked { offset, .. } => format!("acked {offset}"),
                Action::Closed { ending, .. } => format!("closed {ending:?}"),
                Action::Removed { .. } => "removed".to_owned(),
            };
            if !said.is_empty() {
                said.push_str("; ");
            }
            said.push_str(&text);
        }
    }

    /// Offers everything held again, as whole segments.
    fn replay(&mut self, said: &mut String, until: i64) {
        let mut left = Vec::new();
        for mut octets in std::mem::take(&mut self.held) {
            let mut packet = Packet::parse(&mut octets).unwrap();
            let begin = i64::from(packet.sequence().wrapping_sub(PEERS) as i32) - 1;
            if begin + packet.payload_len() as i64 > until {
                left.push(octets);
                continue;
            }
            let verdict = self.tcpr.replay(&mut packet);
            let seen = self.said(verdict, Direction::Inbound, packet.bytes());
            let _ = write!(said, "; {seen}");
        }
        self.held = left;
        let flow = self.flow;
        self.tcpr.held(&flow, !self.held.is_empty());
    }
}

/// Octets of a packet, made by another library than ours.
pub fn build(from: SocketAddr, to: SocketAddr, initial: u32, other: u32, seg: &Seg) -> Vec<u8> {
    let number =
        |initial: u32, position: i64| initial.wrapping_add(1).wrapping_add(position as u32);
    let mut options = Vec::new();
    if let Some(mss) = seg.mss {
        options.push(TcpOptionElement::MaximumSegmentSize(mss));
    }
    if let Some(scale) = seg.ws {
        options.push(TcpOptionElement::WindowScale(scale));
    }
    if seg.sackok {
        options.push(TcpOptionElement::SelectiveAcknowledgementPermitted);
    }
    if let Some((value, echo)) = seg.ts {
        options.push(TcpOptionElement::Timestamp(value, echo));
    }
    if let Some(&(left, right)) = seg.sack.first() {
        let edge = |(left, right): (i64, i64)| (number(other, left), number(other, right));
        let mut rest = [None; 3];
        for (slot, &block) in rest.iter_mut().zip(&seg.sack[1..]) {
            *slot = Some(edge(block));
        }
        options.push(TcpOptionElement::SelectiveAcknowledgement(
            edge((left, right)),
            rest,
        ));
    }
    let mut header = TcpHeader::new(from.port(), to.port(), number(initial, seg.seq), seg.win);
    header.set_options(&options).unwrap();
    if !seg.raw.is_empty() {
        header.set_options_raw(&seg.raw).unwrap();
    }
    if let Some(ack) = seg.ack {
        header.ack = true;
        header.acknowledgment_number = number(other, ack);
    }
    for letter in seg.flags.chars() {
        match letter {
            'S' => header.syn = true,
            'F' => header.fin = true,
            'R' => header.rst = true,
            'P' => header.psh = true,
            'E' => header.ece = true,
            'C' => header.cwr = true,
            'A' => assert!(header.ack, "say which octet is acknowledged"),
            other => panic!("no such flag: {other}"),
        }
    }
    let payload: Vec<u8> = (0..seg.len).map(|at| (seg.seq + at as i64) as u8).collect();
    let mut octets = Vec::new();
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            header.checksum = header
                .calc_checksum_ipv4_raw(from.octets(), to.octets(), &payload)
                .unwrap();
            let mut ip = etherparse::Ipv4Header::new(
                (header.header_len() + payload.len()) as u16,
                64,
                IpNumber::TCP,
                from.octets(),
                to.octets(),
            )
            .unwrap();
            ip.header_checksum = ip.calc_header_checksum();
            ip.write(&mut octets).unwrap();
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            header.checksum = header
                .calc_checksum_ipv6_raw(from.octets(), to.octets(), &payload)
                .unwrap();
            let ip = etherparse::Ipv6Header {
                payload_length: (header.header_len() + payload.len()) as u16,
                next_header: IpNumber::TCP,
                hop_limit: 64,
                source: from.octets(),
                destination: to.octets(),
                ..Default::default()
            };
            ip.write(&mut octets).unwrap();
        }
        _ => panic!("two families"),
    }
    header.write(&mut octets).unwrap();
    octets.extend(payload);
    octets
}
