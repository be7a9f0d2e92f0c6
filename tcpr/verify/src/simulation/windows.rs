//! Windows as RFC 9293 has them.
//!
//! smoltcp cuts what comes to its window and takes a FIN behind the cut all the same, at another place
//! of the stream; this makes up for it. And its fast retransmission minds no window, which cannot be
//! made up for: TCPR fences off what lies beyond. TCPR lets windows shrink at a recovery, which
//! shows both.
//!
//! *Assumes* that it is shown every packet of a connection that its host receives and sends.
//! *Guarantees* that a FIN comes in only within the window that was told last (RFC 9293, 3.10.7.4),
//! and that it is known whether more went out than was offered.

use tcpr_core::packet::{Flags, Packet};

use super::stamps::beyond;

/// What a host remembers of windows.
#[derive(Debug, Default)]
pub(super) struct Windows {
    /// Scales of the two SYNs.
    ours: Option<u8>,
    theirs: Option<u8>,
    /// Right edge that was told last.
    told: Option<u32>,
    /// The furthest right edge that the other side has offered.
    offered: Option<u32>,
    /// More was sent than that, and than a FIN or an octet that asks (3.8.6.1).
    pub(super) overrun: bool,
}

/// Right edge that a packet tells of.
fn edge(packet: &Packet<'_>, scale: Option<u8>) -> u32 {
    let window = u32::from(packet.window()) << scale.unwrap_or(0);
    packet.acknowledgment().wrapping_add(window)
}

/// The number after the last octet.
fn end(packet: &Packet<'_>) -> u32 {
    packet.sequence().wrapping_add(packet.payload_len() as u32)
}

impl Windows {
    /// A packet comes in.
    pub(super) fn hear(&mut self, packet: &mut Packet<'_>) {
        let flags = packet.flags();
        let syn = flags.contains(Flags::SYN);
        if syn {
            self.theirs = packet.options().window_scale;
        }
        if flags.contains(Flags::ACK) {
            let edge = edge(packet, self.scales(syn).1);
            if self.offered.is_none_or(|known| beyond(edge, known) > 0) {
                self.offered = Some(edge);
            }
        }
        let fits = |told| beyond(end(packet), told) <= 0;
        if flags.contains(Flags::FIN) && !self.told.is_none_or(fits) {
            let mut flags = flags;
            flags.remove(Flags::FIN);
            packet.set_flags(flags);
        }
    }

    /// A packet goes out.
    pub(super) fn say(&mut self, packet: &Packet<'_>) {
        let flags = packet.flags();
        let syn = flags.contains(Flags::SYN);
        if syn {
            self.ours = packet.options().window_scale;
        }
        if flags.contains(Flags::ACK) {
            self.told = Some(edge(packet, self.scales(syn).0));
        }
        let offered = self.offered.filter(|_| !syn);
        self.overrun |= offered.is_some_and(|offered| beyond(end(packet), offered) > 1);
    }

    /// Ours and theirs: if both SYNs have one, and on no SYN (RFC 7323, 2.2).
    fn scales(&self, syn: bool) -> (Option<u8>, Option<u8>) {
        match (self.ours, self.theirs) {
            (Some(_), Some(_)) if !syn => (self.ours, self.theirs),
            _ => (None, None),
        }
    }
}
