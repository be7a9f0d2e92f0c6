//! ICMP errors about TCP segments.
//!
//! *Assumes* that an error quotes the segment as it was sent: its IP header, and at least 8 octets of
//! its TCP header (RFC 792; RFC 1812, 4.3.2.3; RFC 4443, 2.4).
//! *Guarantees* that an edit of the quoted segment keeps the checksum of the ICMP message as right as
//! it was, and that of the quoted segment, too, if it is quoted that far.

use core::net::SocketAddr;

use super::ip::{self, Header, double, word};
use super::{Malformed, checksum};

const ICMP_HEADER: usize = 8;
const QUOTED: usize = 8;
/// Offset of the checksum in an ICMP message.
const CHECKSUM: usize = 2;
/// Offset of the checksum in a TCP header.
const TCP_CHECKSUM: usize = 16;

/// A view on an ICMP or ICMPv6 error about a TCP segment.
#[derive(Debug)]
pub struct IcmpError<'a> {
    octets: &'a mut [u8],
    /// Offset of the ICMP message.
    message: usize,
    /// Offset of the quoted TCP header.
    tcp: usize,
}

impl<'a> IcmpError<'a> {
    /// Checks everything that the view relies upon.
    pub fn parse(bytes: &'a mut [u8]) -> Result<IcmpError<'a>, Malformed> {
        let outer = Header::read(bytes)?;
        let message = outer.transport;
        let end = outer.end(ICMP_HEADER)?;
        let [kind, ..] = *ip::first::<ICMP_HEADER>(bytes, message)?;
        let error = match outer.protocol {
            // Unreachable, source quench, time exceeded, parameter problem (RFC 792).
            ip::ICMP if outer.version == 4 => matches!(kind, 3 | 4 | 11 | 12),
            // Unreachable, too big, time exceeded, parameter problem (RFC 4443, 2.1).
            ip::ICMPV6 if outer.version == 6 => matches!(kind, 1..=4),
            protocol => return Err(Malformed::Protocol { protocol }),
        };
        if !error {
            return Err(Malformed::NotAnError { kind });
        }
        let present = end.min(bytes.len());
        let octets = &mut bytes[..present];
        let begin = message + ICMP_HEADER;
        let quoted = Header::read(&octets[begin..])?;
        if quoted.protocol != ip::TCP || quoted.version != outer.version {
            return Err(Malformed::Protocol {
                protocol: quoted.protocol,
            });
        }
        // How long the segment was is no matter, nor whether a router has fragmented it since.
        let tcp = begin + quoted.transport;
        ip::first::<QUOTED>(octets, tcp)?;
        Ok(IcmpError {
            octets,
            message,
            tcp,
        })
    }

    /// The error as it is now, from the IP header on.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.octets
    }

    /// Address and port of the sender of the quoted segment.
    #[must_use]
    pub fn source(&self) -> SocketAddr {
        let quoted = &self.octets[self.message + ICMP_HEADER..];
        SocketAddr::new(ip::source(quoted), word(self.octets, self.tcp))
    }

    /// Address and port of the receiver of the quoted segment.
    #[must_use]
    pub fn destination(&self) -> SocketAddr {
        let quoted = &self.octets[self.message + ICMP_HEADER..];
        SocketAddr::new(ip::destination(quoted), word(self.octets, self.tcp + 2))
    }

    /// Sequence number of the quoted segment.
    #[must_use]
    pub fn sequence(&self) -> u32 {
        double(self.octets, self.tcp + 4)
    }

    /// Replaces the sequence number of the quoted segment.
    pub fn set_sequence(&mut self, number: u32) {
        self.replace(self.tcp + 4, &number.to_be_bytes());
    }

    /// Replaces the source port of the quoted segment.
    pub fn set_source_port(&mut self, port: u16) {
        self.replace(self.tcp, &port.to_be_bytes());
    }

    fn replace(&mut self, at: usize, new: &[u8]) {
        let own = self.message + CHECKSUM;
        let quoted = self.tcp + TCP_CHECKSUM;
        if quoted + 2 > self.octets.len() {
            return checksum::replace(self.octets, own, at, new);
        }
        // What the quoted checksum loses the quoted field has gained, modulo 65535, so the sum of
        // the message is what it was.
        checksum::replace(self.octets, quoted, at, new);
    }
}
