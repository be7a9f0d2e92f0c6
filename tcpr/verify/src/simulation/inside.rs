//! Who sees the packets between TCPR and the application's TCP too.
//!
//! *Assumes* that it is told when a new TCP begins, and where; and shown every packet that TCPR
//! gives it, or gets of it.
//! *Guarantees* a fault for each packet that a TCP would drop or be misled by (RFC 9293, RFC 2018),
//! whether the TCP of this simulation is or not.

use tcpr_core::packet::{Flags, Packet};

use super::fault::Fault;
use super::outside::Outside;

/// What is known of the present TCP of the application.
#[derive(Debug, Default)]
pub(super) struct Inside {
    /// Sequence number of its first octet.
    first: Option<u32>,
    /// Position of that octet in our stream.
    base: i64,
    /// One past the highest position that it has sent.
    sent: i64,
    /// The furthest right edge that it has offered.
    edge: Option<i64>,
    scale: u8,
    /// A new TCP was promised one segment however little room it has.
    slack: i64,
}

impl Inside {
    /// A TCP begins, whose first octet has this position in our stream.
    pub(super) fn begin(&mut self, base: u64, slack: usize) {
        *self = Inside {
            base: base as i64,
            sent: base as i64,
            slack: slack as i64,
            ..Inside::default()
        };
    }

    /// A packet of the application's TCP, before TCPR has it.
    pub(super) fn outbound(&mut self, packet: &Packet<'_>, outside: &Outside) {
        let flags = packet.flags();
        if flags.contains(Flags::SYN) {
            self.first = Some(packet.sequence().wrapping_add(1));
            self.scale = packet.options().window_scale.unwrap_or(0);
            self.edge = Some(outside.told() + i64::from(packet.window()));
            return;
        }
        let Some(first) = self.first else {
            return;
        };
        if flags.contains(Flags::RST) {
            return;
        }
        let end = packet.sequence().wrapping_add(packet.segment_len());
        self.sent = self.sent.max(self.position(first, end));
        if let (Some(peers), true) = (outside.streams().0, flags.contains(Flags::ACK)) {
            let ack = peers.position(outside.told(), packet.acknowledgment());
            let edge = ack + (i64::from(packet.window()) << self.scale);
            self.edge = self.edge.max(Some(edge));
        }
    }

    /// A packet for it, after TCPR.
    ///
    /// `heard`: TCPR has heard this TCP, and so knows what it has sent.
    pub(super) fn inbound(
        &self,
        packet: &Packet<'_>,
        heard: bool,
        outside: &Outside,
        faults: &mut Vec<Fault>,
    ) {
        let flags = packet.flags();
        let Some(first) = self.first else {
            return;
        };
        if flags.contains(Flags::RST) || !flags.contains(Flags::ACK) {
            return;
        }
        let acknowledged = self.position(first, packet.acknowledgment());
        if heard && acknowledged > self.sent {
            faults.push(Fault::AcknowledgesUnsent {
                acknowledged,
                sent: self.sent,
            });
        }
        for (left, right) in packet.options().sack {
            let (left, right) = (self.position(first, left), self.position(first, right));
            // A late one may speak of what an earlier TCP has sent, which does no harm.
            if heard && (left < -1 || right <= left || right > self.sent) {
                let sent = self.sent;
                faults.push(Fault::SelectsUnsent { left, right, sent });
            }
        }
        let shift = match flags.contains(Flags::SYN) {
            true => 0,
            false => outside.peer_scale(),
        };
        let offered = acknowledged + (i64::from(packet.window()) << shift);
        let edge = outside.peer_edge();
        // What an acknowledgment is raised by is taken from the window in whole units.
        if offered >= edge + (1 << shift) {
            faults.push(Fault::OffersMore { offered, edge });
        }
    }

    /// One past the highest position that the local TCP has sent.
    pub(super) fn sent(&self) -> i64 {
        self.sent
    }

    /// TCPR has told the peer a window while this TCP lives.
    pub(super) fn promised(&self, outside: &Outside, faults: &mut Vec<Fault>) {
        if let (Some(promised), Some(edge)) = (outside.edge(), self.edge)
            && promised > edge.max(outside.told()) + self.slack
        {
            faults.push(Fault::PromisesMore { promised, edge });
        }
    }

    fn position(&self, first: u32, number: u32) -> i64 {
        self.base + i64::from(number.wrapping_sub(first) as i32)
    }
}
