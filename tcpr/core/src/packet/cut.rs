//! Cutting a segment to the size that its receiver takes.
//!
//! *Assumes* that the segment's data are right: the pieces get checksums of their own.
//! *Guarantees* that the pieces say together what the segment says, each thing once.

use super::{Flags, Packet, ip};

/// The room for a piece is too small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the piece needs {needed} octets, and there is room for {room}")]
pub struct TooSmall {
    /// Octets of the piece, with its headers.
    pub needed: usize,
    /// Octets that there is room for.
    pub room: usize,
}

/// Copies octets `from..from + len` of the data, or what is there of them, as a segment of its own.
///
/// IP and TCP headers are those of the packet, options included. SYN and CWR go with the first octet,
/// FIN and PSH with the last one, and the urgent pointer is counted from the piece on.
/// Returns the length of the piece in `out`.
pub fn cut(
    packet: &Packet<'_>,
    from: usize,
    len: usize,
    out: &mut [u8],
) -> Result<usize, TooSmall> {
    let payload = packet.payload();
    let from = from.min(payload.len());
    let len = len.min(payload.len() - from);
    let needed = packet.data + len;
    let room = out.len();
    let Some(out) = out.get_mut(..needed) else {
        return Err(TooSmall { needed, room });
    };
    let (headers, data) = out.split_at_mut(packet.data);
    headers.copy_from_slice(&packet.octets[..packet.data]);
    data.copy_from_slice(&payload[from..from + len]);
    ip::set_total(out, needed);

    let mut piece = Packet {
        octets: out,
        tcp: packet.tcp,
        data: packet.data,
        end: needed,
    };
    let mut flags = packet.flags();
    if from > 0 {
        // Less than 2^17 octets are in a packet.
        let syn = u32::from(flags.contains(Flags::SYN));
        let begin = packet.sequence().wrapping_add(from as u32 + syn);
        piece.set_sequence(begin);
        // The sender has reduced its window once, not once for each piece (RFC 3168, 6.1.2).
        flags.remove(Flags::SYN.union(Flags::CWR));
        piece.move_urgent(from, &mut flags);
    }
    if from + len < packet.payload_len() {
        flags.remove(Flags::FIN.union(Flags::PSH));
    }
    piece.set_flags(flags);
    piece.fill_checksum();
    Ok(needed)
}

impl Packet<'_> {
    /// The urgent pointer is an offset from the sequence number (RFC 9293, 3.1), which has gone
    /// forward.
    fn move_urgent(&mut self, by: usize, flags: &mut Flags) {
        if !flags.contains(Flags::URG) {
            return;
        }
        let at = self.tcp + 18;
        let left = usize::from(ip::word(self.octets, at)).saturating_sub(by);
        if left == 0 {
            flags.remove(Flags::URG);
        }
        self.replace(at, &(left as u16).to_be_bytes());
    }
}
