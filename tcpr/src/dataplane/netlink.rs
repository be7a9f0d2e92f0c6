//! Netlink messages, as far as two families need them.
//!
//! *Assumes* that octets read come from the kernel.
//! *Guarantees* that messages written are aligned and carry their lengths, and that reading
//! octets that are not well-formed ends early instead of reading beyond them.

use std::io;

/// Length of `struct nlmsghdr`.
pub(super) const HEADER: usize = 16;
/// Length of `struct nlattr`.
pub(super) const ATTRIBUTE: usize = 4;

/// `NLMSG_ERROR`: an error, or with errno 0 an acknowledgement.
const ERROR: u16 = 2;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
/// `NLM_F_ACK`.
pub(super) const ACK: u16 = 4;

/// The length rounded up to netlink's alignment.
pub(super) const fn aligned(len: usize) -> usize {
    (len + 3) & !3
}

/// Appends a request to `buffer`; `body` writes what comes after the header.
pub(super) fn request(
    buffer: &mut Vec<u8>,
    kind: u16,
    flags: u16,
    sequence: u32,
    body: impl FnOnce(&mut Vec<u8>),
) {
    let start = buffer.len();
    buffer.extend_from_slice(&header(0, kind, flags, sequence));
    body(buffer);
    let len = buffer.len() - start;
    buffer[start..start + 4].copy_from_slice(&(len as u32).to_ne_bytes());
    buffer.resize(start + aligned(len), 0);
}

/// The header of a request whose whole length, itself included, is `len`.
pub(super) fn header(len: usize, kind: u16, flags: u16, sequence: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0..4].copy_from_slice(&(len as u32).to_ne_bytes());
    header[4..6].copy_from_slice(&kind.to_ne_bytes());
    header[6..8].copy_from_slice(&(flags | REQUEST).to_ne_bytes());
    header[8..12].copy_from_slice(&sequence.to_ne_bytes());
    header
}

/// Appends an attribute, padded.
pub(super) fn attribute(buffer: &mut Vec<u8>, kind: u16, value: &[u8]) {
    buffer.extend_from_slice(&attribute_header(kind, value.len()));
    buffer.extend_from_slice(value);
    buffer.resize(aligned(buffer.len()), 0);
}

/// The header of an attribute with a value of `len` octets.
pub(super) fn attribute_header(kind: u16, len: usize) -> [u8; ATTRIBUTE] {
    let mut header = [0; ATTRIBUTE];
    header[0..2].copy_from_slice(&((ATTRIBUTE + len) as u16).to_ne_bytes());
    header[2..4].copy_from_slice(&kind.to_ne_bytes());
    header
}

/// The first message of a datagram: its type and what comes after the header.
pub(super) fn message(datagram: &[u8]) -> Option<(u16, &[u8])> {
    let len = u32::from_ne_bytes(array(datagram, 0)?) as usize;
    let kind = u16::from_ne_bytes(array(datagram, 4)?);
    Some((kind, datagram.get(HEADER..len)?))
}

/// What the kernel says about a request, if the message is such an answer.
pub(super) fn answer(kind: u16, body: &[u8]) -> Option<io::Result<()>> {
    if kind != ERROR {
        return None;
    }
    Some(match i32::from_ne_bytes(array(body, 0)?) {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(-errno)),
    })
}

/// Attributes: type, and the range of octets where the value is.
pub(super) fn attributes(
    octets: &[u8],
    mut at: usize,
) -> impl Iterator<Item = (u16, std::ops::Range<usize>)> {
    std::iter::from_fn(move || {
        let len = usize::from(u16::from_ne_bytes(array(octets, at)?));
        // The upper two bits are flags (nested, byte order).
        let kind = u16::from_ne_bytes(array(octets, at + 2)?) & 0x3fff;
        if len < ATTRIBUTE || at + len > octets.len() {
            return None;
        }
        let value = at + ATTRIBUTE..at + len;
        at += aligned(len);
        Some((kind, value))
    })
}

/// `N` octets at an offset, if they are there.
pub(super) fn array<const N: usize>(octets: &[u8], at: usize) -> Option<[u8; N]> {
    octets.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut buffer = Vec::new();
        request(&mut buffer, 0x302, ACK, 7, |body| {
            attribute(body, 3, &[1, 2, 3, 4, 5]);
            attribute(body, 4, &[9]);
        });
        assert_eq!(buffer.len(), 16 + 12 + 8);
        let (kind, body) = message(&buffer).unwrap();
        assert_eq!(kind, 0x302);
        assert_eq!(u16::from_ne_bytes([buffer[6], buffer[7]]), REQUEST | ACK);
        let read: Vec<_> = attributes(body, 0)
            .map(|(kind, value)| (kind, body[value].to_vec()))
            .collect();
        assert_eq!(read, [(3, vec![1, 2, 3, 4, 5]), (4, vec![9])]);
    }

    #[test]
    fn an_error_is_told_from_an_acknowledgement() {
        assert!(answer(ERROR, &0i32.to_ne_bytes()).unwrap().is_ok());
        let refused = answer(ERROR, &(-1i32).to_ne_bytes()).unwrap();
        assert_eq!(refused.unwrap_err().raw_os_error(), Some(1));
        assert!(answer(0x300, &[0; 4]).is_none());
    }

    #[test]
    fn lengths_that_lie_end_the_reading() {
        // An attribute of length 0 would never end; one longer than the message would overrun.
        for len in [0u16, 3, 9, 0xffff] {
            let mut octets = [0; 8];
            octets[0..2].copy_from_slice(&len.to_ne_bytes());
            assert_eq!(attributes(&octets, 0).count(), 0, "{len}");
        }
        assert!(message(&[40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_none());
        assert!(message(&[4]).is_none());
    }
}
