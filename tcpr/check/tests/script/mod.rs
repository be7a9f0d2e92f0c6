//! A script: what two ends send, segment by segment, and what the checker says of it.
//!
//! Octets are counted from 0 at the first one after the SYN. Both initial sequence numbers lie near
//! the end of the number space, so that every longer script passes the wrap.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

#[path = "../../../core/tests/trace/mod.rs"]
pub mod packets;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use packets::build;
pub use packets::{OURS, PEERS, Seg, seg};
use tcpr_check::{Captured, Place, Settings, Severity, Trace, Verdict, Way};

pub const A: &str = "10.0.0.2:179";
pub const B: &str = "10.0.0.9:4000";

/// Packets that are given to the checker.
pub struct Script {
    pub trace: Trace,
    pub now: Duration,
    pub a: SocketAddr,
    pub b: SocketAddr,
    /// Initial sequence numbers.
    pub initial: (u32, u32),
    /// Is given each packet before the checker.
    pub spoil: fn(&mut Vec<u8>),
}

impl Script {
    pub fn new(settings: Settings) -> Script {
        Script::between(settings, A, B)
    }

    pub fn between(settings: Settings, a: &str, b: &str) -> Script {
        Script {
            trace: Trace::new(settings),
            now: Duration::from_secs(1),
            a: a.parse().unwrap(),
            b: b.parse().unwrap(),
            initial: (OURS, PEERS),
            spoil: |_| {},
        }
    }

    /// B has opened a connection with timestamps 500 (B) and 100 (A), windows of 1000 and scales of 2.
    pub fn opened(settings: Settings) -> Script {
        let mut script = Script::new(settings);
        script.open();
        script
    }

    pub fn open(&mut self) -> &mut Script {
        self.b(seg(0, 0).syn().ts(500, 0))
            .a(seg(0, 0).syn().flags("SA").ack(0).ts(100, 500))
            .b(seg(0, 0).ack(0).ts(501, 100))
    }

    /// The same without timestamps.
    pub fn opened_plain(settings: Settings) -> Script {
        let mut script = Script::new(settings);
        script
            .b(seg(0, 0).syn())
            .a(seg(0, 0).syn().flags("SA").ack(0))
            .b(seg(0, 0).ack(0));
        script
    }

    pub fn a(&mut self, seg: Seg) -> &mut Script {
        let octets = build(self.a, self.b, self.initial.0, self.initial.1, &seg);
        self.octets(octets, Way::Unknown)
    }

    pub fn b(&mut self, seg: Seg) -> &mut Script {
        let octets = build(self.b, self.a, self.initial.1, self.initial.0, &seg);
        self.octets(octets, Way::Unknown)
    }

    /// A segment of A whose octets are others.
    pub fn a_with(&mut self, seg: Seg, payload: &[u8]) -> &mut Script {
        let mut octets = build(self.a, self.b, self.initial.0, self.initial.1, &seg);
        let begin = octets.len() - payload.len();
        octets[begin..].copy_from_slice(payload);
        self.octets(octets, Way::Unknown)
    }

    pub fn octets(&mut self, mut octets: Vec<u8>, way: Way) -> &mut Script {
        (self.spoil)(&mut octets);
        self.now += Duration::from_millis(1);
        self.trace.captured(Captured {
            time: self.now,
            octets: &octets,
            length: octets.len(),
            way,
        });
        self
    }

    pub fn after(&mut self, milliseconds: u64) -> &mut Script {
        self.now += Duration::from_millis(milliseconds);
        self
    }

    pub fn finish(&mut self) -> Verdict {
        std::mem::replace(&mut self.trace, Trace::new(Settings::default())).finish()
    }

    /// What was found, in the order of the packets: rule, packet, and a question mark at notes.
    pub fn found(&mut self) -> String {
        said(&self.finish())
    }
}

pub fn said(verdict: &Verdict) -> String {
    let told = verdict.findings().map(|finding| {
        let doubt = match finding.severity {
            Severity::Violation => "",
            Severity::Note => "?",
        };
        format!("{}{doubt} in {}", finding.rule, finding.packet)
    });
    told.collect::<Vec<_>>().join("; ")
}

/// Nothing is known of the trace.
pub const ANY: Settings = Settings {
    place: Place::Unknown,
    complete: false,
    in_order: false,
    whole_segments: false,
    checksums: false,
};

/// No packet is missing, and the capture was made somewhere.
pub const COMPLETE: Settings = Settings {
    complete: true,
    ..ANY
};

/// No packet is missing, and both ends' order of sending is seen.
pub const ALL: Settings = Settings {
    place: Place::Both,
    complete: true,
    whole_segments: true,
    ..ANY
};

/// Captured at this end.
pub fn at(end: &str, settings: Settings) -> Settings {
    let end: SocketAddr = end.parse().unwrap();
    let address: IpAddr = end.ip();
    Settings {
        place: Place::Host(address),
        ..settings
    }
}
