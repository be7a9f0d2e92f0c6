//! `bgp.pcap`: packets with their times, from the file formats that libpcap and Wireshark write.
//!
//! *Assumes* a classic pcap file (microseconds or nanoseconds, either byte order). *Guarantees*
//! that a file cut short gives every packet that is whole and then an error that says where it
//! ends.

use std::io;
use std::path::{Path, PathBuf};

use pcap_parser::nom;
use pcap_parser::{PcapError, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_header};

use crate::bgp::LinkType;

/// Why a capture could not be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum PcapFileError {
    /// The operating system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The file does not begin as a capture does.
    #[error("{} is not a pcap file: it does not begin with a pcap header (pcapng is not read: convert with `editcap -F pcap`)", path.display())]
    NotPcap {
        /// The file.
        path: PathBuf,
    },
    /// Packets begin with a header that is not known here.
    #[error("{} has link type {number}, of which no reader is known: capture on Ethernet devices or on `any`", path.display())]
    UnknownLinkType {
        /// The file.
        path: PathBuf,
        /// LINKTYPE number.
        number: u32,
    },
    /// The file ends inside a packet: its writer was stopped, or its disk was full. The last
    /// item that a capture gives.
    #[error("{} ends inside the packet at offset {offset}", path.display())]
    CutShort {
        /// The file.
        path: PathBuf,
        /// Where the packet's record begins, octets from the start of the file.
        offset: usize,
    },
}

/// One captured packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// When it was captured, nanoseconds since the epoch.
    pub t_ns: u64,
    /// Its octets, as far as captured.
    pub data: &'a [u8],
    /// Octets that it had.
    pub original_len: usize,
}

/// A capture file in memory.
#[derive(Debug)]
pub struct Capture {
    path: PathBuf,
    bytes: Vec<u8>,
    link_type: LinkType,
    first: usize,
    big_endian: bool,
    ns_per_unit: u64,
}

/// Reads a capture file.
///
/// # Errors
/// If it cannot be read, is no pcap file, or has a link type of which no reader is known. A file
/// of no octets at all is no pcap file: libpcap writes the header at once.
pub fn read(path: &Path) -> Result<Capture, PcapFileError> {
    let bytes = std::fs::read(path).map_err(|source| PcapFileError::Io {
        path: path.to_owned(),
        source,
    })?;
    let (first, header) = match parse_pcap_header(&bytes) {
        Ok((rest, header)) if !header.is_modified_format() => (bytes.len() - rest.len(), header),
        _ => {
            return Err(PcapFileError::NotPcap {
                path: path.to_owned(),
            });
        }
    };
    // The upper bits of the field hold the length of a frame check sequence, not the type.
    let number = header.network.0.cast_unsigned() & 0x0fff_ffff;
    let link_type =
        LinkType::from_number(number).ok_or_else(|| PcapFileError::UnknownLinkType {
            path: path.to_owned(),
            number,
        })?;
    Ok(Capture {
        path: path.to_owned(),
        link_type,
        first,
        big_endian: header.is_bigendian(),
        ns_per_unit: if header.is_nanosecond_precision() {
            1
        } else {
            1_000
        },
        bytes,
    })
}

impl Capture {
    /// What its packets begin with.
    #[must_use]
    pub fn link_type(&self) -> LinkType {
        self.link_type
    }

    /// Its packets, in order.
    #[must_use]
    pub fn packets(&self) -> Packets<'_> {
        Packets {
            capture: self,
            offset: self.first,
        }
    }
}

/// Iterates over the packets of a capture.
#[derive(Debug, Clone)]
pub struct Packets<'a> {
    capture: &'a Capture,
    offset: usize,
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, PcapFileError>;

    fn next(&mut self) -> Option<Self::Item> {
        let capture = self.capture;
        let offset = self.offset;
        let rest = &capture.bytes[offset..];
        if rest.is_empty() {
            return None;
        }
        let parsed: Result<_, nom::Err<PcapError<&[u8]>>> = if capture.big_endian {
            parse_pcap_frame_be(rest)
        } else {
            parse_pcap_frame(rest)
        };
        let Ok((after, block)) = parsed else {
            self.offset = capture.bytes.len();
            return Some(Err(PcapFileError::CutShort {
                path: capture.path.clone(),
                offset,
            }));
        };
        self.offset = capture.bytes.len() - after.len();
        Some(Ok(Packet {
            t_ns: u64::from(block.ts_sec) * 1_000_000_000
                + u64::from(block.ts_usec) * capture.ns_per_unit,
            data: block.data,
            original_len: block.origlen as usize,
        }))
    }
}
