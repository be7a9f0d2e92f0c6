//! The verdict on a trace.
//!
//! *Assumes* that the trace has been given to its end.
//! *Guarantees* everything that a report says, in the order of the trace.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use crate::connection::Connection;
use crate::finding::{Finding, Severity, seconds};
use crate::half::closed;

/// The verdict on a trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Packets of the trace.
    pub packets: u64,
    /// When the first of them was captured.
    #[serde(rename = "began_s", serialize_with = "seconds")]
    pub began: Duration,
    /// Those that were not judged.
    pub uncounted: Uncounted,
    /// Every connection, in the order in which they begin.
    pub connections: Vec<Course>,
}

/// Packets that were not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Uncounted {
    /// No TCP.
    pub other: u64,
    /// Pieces of packets.
    pub fragments: u64,
    /// Packets that end within their headers, or whose headers contradict themselves.
    pub damaged: u64,
}

/// The course of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Course {
    /// Who opened it, or was seen first; and the other.
    pub ends: [End; 2],
    /// Number of its first packet.
    pub first_packet: u64,
    /// Number of its last one.
    pub last_packet: u64,
    /// When its first packet was captured.
    #[serde(rename = "began_s", serialize_with = "seconds")]
    pub began: Duration,
    /// From the first packet to the last.
    #[serde(rename = "lasted_s", serialize_with = "seconds")]
    pub lasted: Duration,
    /// How it ended.
    pub ending: Ending,
    /// How many places break a rule.
    pub violations: u64,
    /// How many are unusual.
    pub notes: u64,
    /// The first of them, of each rule and sender.
    pub findings: Vec<Finding>,
}

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct End {
    /// Its address and port.
    pub address: SocketAddr,
    /// Packets that it has sent.
    pub packets: u64,
    /// Octets of data in them.
    pub octets: u64,
    /// Whether its SYN is in the trace.
    pub from_syn: bool,
    /// Segments whose data was not captured wholly, and so not compared.
    pub cut: u64,
    /// Whether its packets count as being in the order of sending, for they tell so themselves.
    pub from_here: bool,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It did not, in the trace.
    Open,
    /// Both ends have closed.
    Closed,
    /// This end has reset it.
    Reset(SocketAddr),
}

impl Verdict {
    /// Whether nothing breaks a rule.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violations() == 0
    }

    /// How many places break a rule.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.connections
            .iter()
            .map(|course| course.violations)
            .sum()
    }

    /// How many are unusual.
    #[must_use]
    pub fn notes(&self) -> u64 {
        self.connections.iter().map(|course| course.notes).sum()
    }

    /// All findings that are kept.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.connections.iter().flat_map(|course| &course.findings)
    }
}

impl Course {
    pub(crate) fn of(connection: Connection) -> Course {
        let mut resets: Vec<_> = connection
            .halves
            .iter()
            .filter(|h| h.reset.is_some())
            .collect();
        resets.sort_by_key(|half| half.reset.map(|reset| reset.moment.packet));
        let [one, other] = &connection.halves;
        let ending = match resets.first() {
            // A late segment may be answered by a reset then.
            _ if closed(one, other) => Ending::Closed,
            Some(half) => Ending::Reset(half.address),
            None if connection.is_over() => Ending::Closed,
            None => Ending::Open,
        };
        let ends = [(one, other), (other, one)].map(|(half, other)| End {
            address: half.address,
            packets: half.packets,
            octets: half.octets,
            from_syn: half.has_begun(),
            cut: half.cut,
            from_here: half.packets > 0 && half.from_here && other.from_elsewhere,
        });
        let (violations, notes) = (
            connection.findings.count(Severity::Violation),
            connection.findings.count(Severity::Note),
        );
        let mut findings = connection.findings.kept;
        findings.sort_by_key(|finding| finding.packet);
        Course {
            ends,
            first_packet: connection.first.packet,
            last_packet: connection.last.packet,
            began: connection.first.time,
            lasted: connection.last.time.saturating_sub(connection.first.time),
            ending,
            violations,
            notes,
            findings,
        }
    }
}
