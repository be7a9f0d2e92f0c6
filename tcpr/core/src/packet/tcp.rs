//! A view on a packet with a TCP segment, in place.
//!
//! *Assumes* that the octets are one IPv4 or IPv6 packet from its first octet on, and that they may
//! end anywhere behind the TCP header.
//! *Guarantees* that reading and editing stay within the packet, and that every edit keeps the TCP
//! checksum as right as it was: one that was wrong when it came is wrong when it goes, so that no
//! damage is hidden. TTL, DSCP, ECN and the IPv4 identification stay as they are.

use core::net::SocketAddr;

use super::ip::{self, Header, double, word};
use super::options::{self, NOP, Place, TIMESTAMPS};
use super::{Flags, Malformed, Options, Timestamps, checksum};

const LEAST_HEADER: usize = 20;
/// Offset of the checksum in the TCP header.
const CHECKSUM: usize = 16;

/// A view on an IPv4 or IPv6 packet with a TCP segment.
#[derive(Debug)]
pub struct Packet<'a> {
    /// No more than the packet; less if it is truncated.
    pub(super) octets: &'a mut [u8],
    /// Offset of the TCP header.
    pub(super) tcp: usize,
    /// Offset of the payload.
    pub(super) data: usize,
    /// Octets of the whole packet, there or not.
    pub(super) end: usize,
}

impl<'a> Packet<'a> {
    /// Checks everything that the view relies upon. Octets behind the packet are left out.
    pub fn parse(bytes: &'a mut [u8]) -> Result<Packet<'a>, Malformed> {
        let header = Header::read(bytes)?;
        if header.protocol != ip::TCP {
            return Err(Malformed::Protocol {
                protocol: header.protocol,
            });
        }
        let tcp = header.transport;
        let end = header.end(LEAST_HEADER)?;
        let fixed = ip::first::<LEAST_HEADER>(bytes, tcp)?;
        let length = usize::from(fixed[12] >> 4) * 4;
        let most = end - tcp;
        if length < LEAST_HEADER || length > most {
            return Err(Malformed::Length {
                length,
                least: LEAST_HEADER,
                most,
            });
        }
        let data = tcp + length;
        let present = bytes.len();
        if data > present {
            return Err(Malformed::Truncated {
                needed: data,
                present,
            });
        }
        Ok(Packet {
            octets: &mut bytes[..end.min(present)],
            tcp,
            data,
            end,
        })
    }

    /// Whether all octets of the packet are there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.octets.len() == self.end
    }

    /// The packet, from the IP header on.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.octets
    }

    /// Address and port of the sender.
    #[must_use]
    pub fn source(&self) -> SocketAddr {
        SocketAddr::new(ip::source(self.octets), word(self.octets, self.tcp))
    }

    /// Address and port of the receiver.
    #[must_use]
    pub fn destination(&self) -> SocketAddr {
        SocketAddr::new(
            ip::destination(self.octets),
            word(self.octets, self.tcp + 2),
        )
    }

    /// Sequence number: that of the SYN if there is one, else of the first octet of data.
    #[must_use]
    pub fn sequence(&self) -> u32 {
        double(self.octets, self.tcp + 4)
    }

    /// Acknowledgment number; it counts only with [`Flags::ACK`].
    #[must_use]
    pub fn acknowledgment(&self) -> u32 {
        double(self.octets, self.tcp + 8)
    }

    /// Window, not scaled.
    #[must_use]
    pub fn window(&self) -> u16 {
        word(self.octets, self.tcp + 14)
    }

    /// Control bits.
    #[must_use]
    pub fn flags(&self) -> Flags {
        Flags::from_bits(self.octets[self.tcp + 13])
    }

    /// Octets of data in the whole packet, also if they are not all there.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.end - self.data
    }

    /// What is there of the data.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.octets[self.data..]
    }

    /// Sequence numbers that the segment takes: data, SYN and FIN (RFC 9293, 3.4, SEG.LEN).
    #[must_use]
    pub fn segment_len(&self) -> u32 {
        let flags = self.flags();
        let marks = [Flags::SYN, Flags::FIN].map(|mark| u32::from(flags.contains(mark)));
        // A packet has less than 2^17 octets.
        self.payload_len() as u32 + marks[0] + marks[1]
    }

    /// What the options say.
    #[must_use]
    pub fn options(&self) -> Options {
        Options::read(self.octets, self.tcp + LEAST_HEADER, self.data)
    }

    /// Replaces the source port.
    pub fn set_source_port(&mut self, port: u16) {
        self.replace(self.tcp, &port.to_be_bytes());
    }

    /// Replaces the destination port.
    pub fn set_destination_port(&mut self, port: u16) {
        self.replace(self.tcp + 2, &port.to_be_bytes());
    }

    /// Replaces the sequence number.
    pub fn set_sequence(&mut self, number: u32) {
        self.replace(self.tcp + 4, &number.to_be_bytes());
    }

    /// Replaces the acknowledgment number.
    pub fn set_acknowledgment(&mut self, number: u32) {
        self.replace(self.tcp + 8, &number.to_be_bytes());
    }

    /// Replaces the window.
    pub fn set_window(&mut self, window: u16) {
        self.replace(self.tcp + 14, &window.to_be_bytes());
    }

    /// Replaces the control bits.
    pub fn set_flags(&mut self, flags: Flags) {
        self.replace(self.tcp + 13, &[flags.bits()]);
    }

    /// Replaces the timestamps, wherever the option lies; if it comes twice, both. Without the option
    /// nothing is done.
    pub fn set_timestamps(&mut self, timestamps: Timestamps) {
        let mut at = self.options_begin();
        while let Ok(Some(place)) = self.option(&mut at) {
            if place.kind == TIMESTAMPS && place.length == 10 {
                self.replace(place.at + 2, &timestamps.value.to_be_bytes());
                self.replace(place.at + 6, &timestamps.echo.to_be_bytes());
            }
        }
    }

    /// Adds `delta` to all edges of a selective acknowledgment.
    pub fn shift_sack(&mut self, delta: u32) {
        let mut at = self.options_begin();
        while let Ok(Some(place)) = self.option(&mut at) {
            for block in place.sack_blocks() {
                for edge in [block, block + 4] {
                    let shifted = double(self.octets, edge).wrapping_add(delta);
                    self.replace(edge, &shifted.to_be_bytes());
                }
            }
        }
    }

    /// Replaces a selective acknowledgment by NOPs.
    pub fn erase_sack(&mut self) {
        let mut at = self.options_begin();
        while let Ok(Some(place)) = self.option(&mut at) {
            if place.kind == options::SACK {
                self.erase(place.at, place.length);
            }
        }
    }

    /// Replaces by NOPs what a SYN says beyond MSS, window scale, SACK permitted and timestamps, and
    /// what cannot be read at all: both sides shall agree upon nothing that is not understood here.
    /// Tells whether there was any.
    pub fn strip_unknown_options(&mut self) -> bool {
        let mut at = self.options_begin();
        let mut stripped = false;
        loop {
            match self.option(&mut at) {
                Ok(Some(place)) if place.is_known_in_syn() => continue,
                Ok(Some(place)) => self.erase(place.at, place.length),
                Ok(None) => return stripped,
                Err(at) => {
                    self.erase(at, self.data - at);
                    return true;
                }
            }
            stripped = true;
        }
    }

    /// Computes the TCP checksum anew, for a packet whose checksum the kernel has left to the network
    /// card. It covers all of the packet: of a truncated one it is left as it is.
    pub fn fill_checksum(&mut self) {
        if !self.is_whole() {
            return;
        }
        let field = self.tcp + CHECKSUM;
        self.octets[field..field + 2].fill(0);
        let checksum = !self.sum();
        self.octets[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
    }

    /// Whether the TCP checksum is right. That of a truncated packet is not known to be.
    #[must_use]
    pub fn checksum_is_right(&self) -> bool {
        self.is_whole() && self.sum() == 0xffff
    }

    /// Sum of the segment and its pseudo header.
    fn sum(&self) -> u16 {
        let pseudo = ip::pseudo_header(self.octets, ip::TCP, self.end - self.tcp);
        checksum::fold(pseudo + checksum::sum(&self.octets[self.tcp..]))
    }

    fn options_begin(&self) -> usize {
        self.tcp + LEAST_HEADER
    }

    /// The option at `at`, which is moved behind it.
    fn option(&self, at: &mut usize) -> Result<Option<Place>, usize> {
        let found = options::next(self.octets, *at, self.data)?;
        if let Some(place) = found {
            *at = place.at + place.length;
        }
        Ok(found)
    }

    fn erase(&mut self, at: usize, length: usize) {
        for octet in at..at + length {
            self.replace(octet, &[NOP]);
        }
    }

    pub(super) fn replace(&mut self, at: usize, new: &[u8]) {
        checksum::replace(self.octets, self.tcp + CHECKSUM, at, new);
    }
}
