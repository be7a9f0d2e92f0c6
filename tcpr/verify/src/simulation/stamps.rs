//! Timestamps as RFC 7323 has them.
//!
//! smoltcp sends timestamps, but echoes whatever came last, acceptable or not, and does not drop what
//! is old. The core relies on peers that do as the RFC says, and so does every local TCP that it
//! would serve badly with old timestamps. This makes up for it.
//!
//! *Assumes* that it is shown every packet of a connection that its host receives and sends.
//! *Guarantees* TS.Recent as RFC 7323, 4.3 has it in what is sent, and that what is old is
//! answered and not taken (5.3, R1).

use tcpr_core::packet::{Flags, Packet, Timestamps};

/// What a host remembers of timestamps.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    /// TS.Recent.
    recent: Option<u32>,
    /// Last.ACK.sent.
    acknowledged: Option<u32>,
}

/// How far `a` lies beyond `b` (RFC 1982).
pub(super) fn beyond(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

impl Stamps {
    /// Whether a packet that comes in is new enough.
    pub(super) fn accept(&mut self, packet: &Packet<'_>) -> bool {
        let Some(Timestamps { value, .. }) = packet.options().timestamps else {
            return true;
        };
        if packet.flags().contains(Flags::RST) {
            return true;
        }
        if packet.flags().contains(Flags::SYN) {
            // A SYN begins anew (4.3, (1)); one within a connection has its number tested, not this.
            self.recent.get_or_insert(value);
            return true;
        }
        let Some(recent) = self.recent else {
            return true;
        };
        if beyond(value, recent) < 0 {
            return false;
        }
        // 4.3, (2), of a segment that is acceptable: it reaches the number that is expected.
        if let Some(expected) = self.acknowledged {
            let end = packet.sequence().wrapping_add(packet.segment_len());
            if beyond(packet.sequence(), expected) <= 0 && beyond(end, expected) >= 0 {
                self.recent = Some(value);
            }
        }
        true
    }

    /// Makes a packet that is too old one that is answered, and not taken: 5.3, R1 wants an
    /// acknowledgment, and smoltcp sends one for what lies before its window.
    pub(super) fn refuse(&self, packet: &mut Packet<'_>, acknowledgment: u32) {
        if let Some(expected) = self.acknowledged {
            packet.set_sequence(expected.wrapping_sub(1 << 20));
            packet.set_acknowledgment(acknowledgment);
        }
    }

    /// Puts the right echo into a packet that goes out.
    pub(super) fn say(&mut self, packet: &mut Packet<'_>) {
        if !packet.flags().contains(Flags::ACK) {
            return;
        }
        self.acknowledged = Some(packet.acknowledgment());
        if let (Some(stamps), Some(recent)) = (packet.options().timestamps, self.recent)
            && stamps.echo != recent
        {
            packet.set_timestamps(Timestamps {
                echo: recent,
                ..stamps
            });
        }
    }
}
