//! The messages of nfnetlink_queue (linux/netfilter/nfnetlink_queue.h).
//!
//! *Assumes* that messages read come from the kernel.
//! *Guarantees* that a message with a payload leaves room before it for a verdict with that
//! payload, so that an edited packet goes back without being copied.

use std::ops::Range;

use super::super::netlink::{
    ATTRIBUTE, HEADER, aligned, array, attribute, attribute_header, attributes, header, message,
    request,
};

/// Most octets of a packet that can be had, or given back: an attribute's length is 16 bits.
pub(super) const COPY_MAX: u32 = 0xffff - ATTRIBUTE as u32;

const SUBSYSTEM: u16 = 3 << 8;
const PACKET: u16 = SUBSYSTEM;
const VERDICT: u16 = SUBSYSTEM | 1;
const CONFIG: u16 = SUBSYSTEM | 2;
const VERDICT_BATCH: u16 = SUBSYSTEM | 3;

/// Length of `struct nfgenmsg`.
const FAMILY_HEADER: usize = 4;
/// Length of a verdict without a payload.
const VERDICT_LEN: usize = HEADER + FAMILY_HEADER + ATTRIBUTE + 8;
/// What comes before the payload in a verdict with one.
const PREFIX: usize = VERDICT_LEN + ATTRIBUTE;

const NF_DROP: u32 = 0;
const NF_ACCEPT: u32 = 1;
const NF_QUEUE: u32 = 3;

/// A packet that waits in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Its number in the queue. They ascend.
    pub(super) id: u32,
    /// `ETH_P_IP` or `ETH_P_IPV6`.
    pub(super) protocol: u16,
    /// Where in the message its octets are.
    pub(super) payload: Range<usize>,
    /// Its length, which may be more than was copied.
    pub(super) len: usize,
    /// Its TCP checksum covers the pseudo header only; a device or the local TCP knows.
    pub(super) checksum_is_partial: bool,
}

impl Waiting {
    /// Reads a message from the kernel. `None` if it is none about a packet.
    pub(super) fn read(datagram: &[u8]) -> Option<Waiting> {
        let (kind, body) = message(datagram)?;
        if kind != PACKET {
            return None;
        }
        let end = HEADER + body.len();
        let octets = &datagram[..end];
        let (mut head, mut payload, mut len, mut info) = (None, end..end, None, 0);
        for (kind, value) in attributes(octets, HEADER + FAMILY_HEADER) {
            let at = value.start;
            match kind {
                1 => head = Some((array(octets, at)?, array(octets, at + 4)?)),
                10 => payload = value,
                13 => len = Some(u32::from_be_bytes(array(octets, at)?) as usize),
                14 => info = u32::from_be_bytes(array(octets, at)?),
                _ => {}
            }
        }
        let (id, protocol) = head?;
        Some(Waiting {
            id: u32::from_be_bytes(id),
            protocol: u16::from_be_bytes(protocol),
            // NFQA_CAP_LEN is there only if the packet was not copied whole.
            len: len.unwrap_or(payload.len()),
            payload,
            checksum_is_partial: info & 1 != 0,
        })
    }

    /// Whether all its octets were copied.
    pub(super) fn is_whole(&self) -> bool {
        self.payload.len() == self.len
    }
}

/// Where the queue is bound to, and how packets are to be copied.
pub(super) struct Binding {
    pub(super) queue: u16,
    /// Octets of each packet.
    pub(super) copy: u32,
    /// Packets that may wait for a verdict.
    pub(super) len: u32,
}

impl Binding {
    /// Binds the socket to the queue, all in one message: no packet is taken before the queue is
    /// as wanted.
    pub(super) fn write(&self, buffer: &mut Vec<u8>) {
        /// Conntrack, user id and security context cost time; fail-open would let packets pass.
        const ALL_FLAGS: u32 = 0x1f;
        const GSO: u32 = 1 << 2;
        request(buffer, CONFIG, 0, 0, |body| {
            family_header(body, self.queue);
            // NFQNL_CFG_CMD_BIND
            attribute(body, 1, &[1, 0, 0, 0]);
            copy_range(body, self.copy);
            attribute(body, 3, &self.len.to_be_bytes());
            attribute(body, 4, &ALL_FLAGS.to_be_bytes());
            attribute(body, 5, &GSO.to_be_bytes());
        });
    }
}

/// Changes how many octets of each packet are copied from now on.
pub(super) fn write_copy_range(buffer: &mut Vec<u8>, queue: u16, octets: u32) {
    request(buffer, CONFIG, 0, 0, |body| {
        family_header(body, queue);
        copy_range(body, octets);
    });
}

fn copy_range(buffer: &mut Vec<u8>, octets: u32) {
    let mut params = [0; 5];
    params[..4].copy_from_slice(&octets.to_be_bytes());
    params[4] = 2; // NFQNL_COPY_PACKET
    attribute(buffer, 2, &params);
}

fn family_header(buffer: &mut Vec<u8>, queue: u16) {
    buffer.extend_from_slice(&family(queue));
}

fn family(queue: u16) -> [u8; FAMILY_HEADER] {
    let number = queue.to_be_bytes();
    [0, 0, number[0], number[1]]
}

/// A verdict that gives no octets back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain {
    /// This packet, and all that came before it and have no verdict, go on.
    AcceptUpTo,
    /// It ends here.
    Drop,
    /// It goes to another queue.
    Requeue(u16),
}

impl Plain {
    pub(super) fn write(self, buffer: &mut Vec<u8>, queue: u16, id: u32) {
        let (kind, verdict) = match self {
            Plain::AcceptUpTo => (VERDICT_BATCH, NF_ACCEPT),
            Plain::Drop => (VERDICT, NF_DROP),
            Plain::Requeue(to) => (VERDICT, NF_QUEUE | u32::from(to) << 16),
        };
        buffer.extend_from_slice(&header(VERDICT_LEN, kind, 0, 0));
        family_header(buffer, queue);
        buffer.extend_from_slice(&verdict_attribute(verdict, id));
    }
}

/// Makes a verdict around the packet in the message that brought it, and returns where: it goes
/// on as it stands there now. `datagram` goes at least to the payload's end, aligned.
pub(super) fn accept_in_place(datagram: &mut [u8], queue: u16, packet: &Waiting) -> Range<usize> {
    let Range { start, end } = packet.payload;
    let len = end - start;
    let mut at = start - PREFIX;
    let whole = at..at + PREFIX + aligned(len);
    for part in [
        &header(PREFIX + len, VERDICT, 0, 0)[..],
        &family(queue),
        &verdict_attribute(NF_ACCEPT, packet.id),
        &attribute_header(10, len),
    ] {
        datagram[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    datagram[end..whole.end].fill(0);
    whole
}

fn verdict_attribute(verdict: u32, id: u32) -> [u8; ATTRIBUTE + 8] {
    let mut octets = [0; ATTRIBUTE + 8];
    octets[..ATTRIBUTE].copy_from_slice(&attribute_header(2, 8));
    octets[4..8].copy_from_slice(&verdict.to_be_bytes());
    octets[8..12].copy_from_slice(&id.to_be_bytes());
    octets
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A message as the kernel writes it: packet header, mark, info, length, payload last.
    fn from_kernel(payload: &[u8], len: Option<u32>, info: u32) -> Vec<u8> {
        let mut buffer = Vec::new();
        request(&mut buffer, PACKET, 0, 0, |body| {
            family_header(body, 7900);
            attribute(body, 1, &[0, 0, 0, 42, 0x86, 0xdd, 1]);
            attribute(body, 3, &[0, 0, 0, 9]);
            if let Some(len) = len {
                attribute(body, 13, &len.to_be_bytes());
            }
            attribute(body, 14, &info.to_be_bytes());
            attribute(body, 10, payload);
        });
        buffer
    }

    #[test]
    fn a_packet_is_read() {
        let octets = from_kernel(b"hello", None, 3);
        let packet = Waiting::read(&octets).unwrap();
        assert_eq!((packet.id, packet.protocol), (42, 0x86dd));
        assert_eq!(&octets[packet.payload.clone()], b"hello");
        assert!(packet.is_whole() && packet.checksum_is_partial);
    }

    #[test]
    fn a_packet_copied_in_part_says_so() {
        let packet = Waiting::read(&from_kernel(b"hello", Some(9000), 2)).unwrap();
        assert!(!packet.is_whole() && !packet.checksum_is_partial);
        assert_eq!(packet.len, 9000);
    }

    #[test]
    fn a_message_cut_anywhere_is_refused_or_read_without_its_rest() {
        let octets = from_kernel(b"hello", Some(9000), 2);
        for len in 0..octets.len() {
            let cut = Waiting::read(&octets[..len]);
            assert!(cut.is_none_or(|packet| packet.payload.end <= len), "{len}");
        }
    }

    #[test]
    fn an_edited_packet_goes_back_where_it_lies() {
        let mut octets = from_kernel(b"hello", None, 0);
        let packet = Waiting::read(&octets).unwrap();
        octets[packet.payload.start] = b'j';
        let verdict = accept_in_place(&mut octets, 7901, &packet);
        let verdict = &octets[verdict];
        assert_eq!(verdict.len() % 4, 0);
        let (kind, body) = message(verdict).unwrap();
        assert_eq!(kind, VERDICT);
        assert_eq!(body[..4], [0, 0, 0x1e, 0xdd]); // queue 7901
        let read: Vec<_> = attributes(body, FAMILY_HEADER)
            .map(|(kind, value)| (kind, body[value].to_vec()))
            .collect();
        assert_eq!(
            read,
            [(2, vec![0, 0, 0, 1, 0, 0, 0, 42]), (10, b"jello".to_vec())]
        );
    }

    #[test]
    fn plain_verdicts_name_queue_and_packet() {
        let mut buffer = Vec::new();
        Plain::Requeue(7902).write(&mut buffer, 7900, 5);
        assert_eq!(buffer.len(), VERDICT_LEN);
        assert_eq!(buffer[24..32], [0x1e, 0xde, 0, 3, 0, 0, 0, 5]);
        buffer.clear();
        Plain::AcceptUpTo.write(&mut buffer, 7900, 5);
        assert_eq!(message(&buffer).unwrap().0, VERDICT_BATCH);
        assert_eq!(buffer[24..32], [0, 0, 0, 1, 0, 0, 0, 5]);
        buffer.clear();
        Plain::Drop.write(&mut buffer, 7900, 6);
        assert_eq!(buffer[24..32], [0, 0, 0, 0, 0, 0, 0, 6]);
    }
}
