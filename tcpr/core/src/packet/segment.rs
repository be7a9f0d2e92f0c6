//! Segments of our own making.
//!
//! *Assumes* that both addresses are of one family.
//! *Guarantees* a packet with right lengths and checksums that every TCP takes: TTL 64, not to be
//! fragmented, no ECN.

use core::net::{IpAddr, SocketAddr};

use super::options::{MSS, NOP, SACK_PERMITTED, TIMESTAMPS, WINDOW_SCALE};
use super::{Flags, Packet, Timestamps, ip};

/// A segment of our own making.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Segment {
    /// From whom.
    pub source: SocketAddr,
    /// To whom.
    pub destination: SocketAddr,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number.
    pub acknowledgment: u32,
    /// Control bits.
    pub flags: Flags,
    /// Window, not scaled.
    pub window: u16,
    /// Maximum segment size.
    pub mss: Option<u16>,
    /// Window scale.
    pub window_scale: Option<u8>,
    /// Whether selective acknowledgments are taken.
    pub sack_permitted: bool,
    /// Timestamps.
    pub timestamps: Option<Timestamps>,
    /// Whether there is one octet (a zero) of data.
    pub octet: bool,
}

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const TCP_HEADER: usize = 20;
const MAX_OPTIONS: usize = 20;
const TIME_TO_LIVE: u8 = 64;

impl Segment {
    /// The most octets that a segment takes, with its headers.
    pub const MAX_LEN: usize = IPV6_HEADER + TCP_HEADER + MAX_OPTIONS + 1;

    /// Writes the segment as an IP packet, and returns its length: 0 if the addresses are of two
    /// families.
    pub fn emit(&self, out: &mut [u8; Segment::MAX_LEN]) -> usize {
        out.fill(0);
        let tcp = match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                out[0] = 0x45;
                out[6] = 0x40; // Don't fragment.
                out[8] = TIME_TO_LIVE;
                out[9] = ip::TCP;
                out[12..16].copy_from_slice(&source.octets());
                out[16..20].copy_from_slice(&destination.octets());
                IPV4_HEADER
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                out[0] = 0x60;
                out[6] = ip::TCP;
                out[7] = TIME_TO_LIVE;
                out[8..24].copy_from_slice(&source.octets());
                out[24..40].copy_from_slice(&destination.octets());
                IPV6_HEADER
            }
            _ => return 0,
        };
        let data = self.write_options(out, tcp + TCP_HEADER);
        let end = data + usize::from(self.octet);
        self.write_header(&mut out[tcp..data]);
        ip::set_total(out, end);
        let mut packet = Packet {
            octets: &mut out[..end],
            tcp,
            data,
            end,
        };
        packet.fill_checksum();
        end
    }

    fn write_header(&self, header: &mut [u8]) {
        header[..2].copy_from_slice(&self.source.port().to_be_bytes());
        header[2..4].copy_from_slice(&self.destination.port().to_be_bytes());
        header[4..8].copy_from_slice(&self.sequence.to_be_bytes());
        header[8..12].copy_from_slice(&self.acknowledgment.to_be_bytes());
        // The length in 32-bit words, in the upper half: 4 * 4 = 16, and it is a multiple of 4.
        header[12] = (header.len() as u8) << 2;
        header[13] = self.flags.bits();
        header[14..16].copy_from_slice(&self.window.to_be_bytes());
    }

    /// Writes options from `at` on, as Linux orders them, so that all lie at even offsets. Returns
    /// where they end: a multiple of 4.
    fn write_options(&self, out: &mut [u8], mut at: usize) -> usize {
        let mut write = |octets: &[u8]| {
            out[at..at + octets.len()].copy_from_slice(octets);
            at += octets.len();
        };
        if let Some(mss) = self.mss {
            let [high, low] = mss.to_be_bytes();
            write(&[MSS, 4, high, low]);
        }
        match (self.sack_permitted, self.timestamps.is_some()) {
            (true, true) => write(&[SACK_PERMITTED, 2]),
            (true, false) => write(&[NOP, NOP, SACK_PERMITTED, 2]),
            (false, true) => write(&[NOP, NOP]),
            (false, false) => {}
        }
        if let Some(Timestamps { value, echo }) = self.timestamps {
            write(&[TIMESTAMPS, 10]);
            write(&value.to_be_bytes());
            write(&echo.to_be_bytes());
        }
        if let Some(scale) = self.window_scale {
            write(&[NOP, WINDOW_SCALE, 3, scale]);
        }
        at
    }
}
