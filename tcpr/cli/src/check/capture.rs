//! Captures: pcap and pcapng files, packet by packet.
//!
//! *Assumes* a file as libpcap or Wireshark writes it, of any size, or a pipe.
//! *Guarantees* that a file cut short gives every packet that is whole, and then says where it ends;
//! and that each frame counts, so that numbers are Wireshark's.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pcap_parser::pcapng::OptionCode;
use pcap_parser::{Block, EnhancedPacketBlock, PcapBlockOwned, PcapError, create_reader};
use serde::Serialize;
use tcpr_check::{Captured, Way};
use thiserror::Error;

use super::link::Link;

/// Why a capture cannot be read.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// The operating system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// It does not begin as a capture does.
    #[error("{} is no capture: it begins neither as pcap nor as pcapng", path.display())]
    NotCapture {
        /// The file.
        path: PathBuf,
    },
    /// Frames begin with what is not known here.
    #[error("{} has link type {number}, which is not known here: capture on Ethernet devices or on `any`, or write raw IP", path.display())]
    UnknownLink {
        /// The file.
        path: PathBuf,
        /// LINKTYPE number.
        number: u32,
    },
}

/// Where reading has stopped before the end of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stop {
    /// The file ends inside what begins at this octet: its writer was stopped, or its disk was full.
    CutShort(usize),
    /// What begins at this octet makes no sense.
    Damaged(usize),
}

/// A frame of a capture.
#[derive(Debug)]
pub(super) enum Frame<'a> {
    /// With an IP packet.
    Network(Captured<'a>),
    /// Anything else.
    Other,
}

/// Of a pcapng file, or the only one of a pcap file.
#[derive(Debug, Clone, Copy)]
struct Interface {
    link: Option<Link>,
    /// Units of time in a second.
    resolution: u64,
    /// Seconds that are added to times.
    offset: i64,
}

const BUFFER: usize = 1 << 20;
/// No frame is larger, but the secrets and names beside them may be.
const LARGEST_BLOCK: usize = 256 << 20;

/// Reads a capture, `-` being standard input, and gives each frame in turn.
///
/// # Errors
/// If it is no capture that can be read. If it only ends too early, that is told in the answer.
pub(super) fn read(
    path: &Path,
    mut each: impl FnMut(Frame<'_>),
) -> Result<Option<Stop>, CaptureError> {
    let unreadable = |source| CaptureError::Io {
        path: path.to_owned(),
        source,
    };
    let input: Box<dyn Read + Send> = match path == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(path).map_err(unreadable)?),
    };
    let mut reader = match create_reader(BUFFER, input) {
        Ok(reader) => reader,
        // The reader does not say why, but the kernel still does.
        Err(PcapError::ReadError) => return Err(unreadable(io::Error::last_os_error())),
        Err(_) => {
            let path = path.to_owned();
            return Err(CaptureError::NotCapture { path });
        }
    };
    let mut frames = Frames {
        path,
        interfaces: Vec::new(),
        last: Duration::ZERO,
    };
    let mut capacity = BUFFER;
    loop {
        let at = reader.consumed();
        let error = match reader.next() {
            Ok((length, block)) => {
                frames.take(&block, &mut each)?;
                reader.consume(length);
                continue;
            }
            Err(error) => error.to_owned_vec(),
        };
        match error {
            PcapError::Eof => return Ok(None),
            PcapError::Incomplete(_) => {}
            PcapError::BufferTooSmall if capacity < LARGEST_BLOCK => {
                capacity *= 2;
                reader.grow(capacity);
            }
            PcapError::UnexpectedEof if reader.data().is_empty() => return Ok(None),
            PcapError::UnexpectedEof => return Ok(Some(Stop::CutShort(at))),
            _ => return Ok(Some(Stop::Damaged(at))),
        }
        if reader.refill().is_err() {
            return Err(unreadable(io::Error::last_os_error()));
        }
    }
}

/// The frames of a capture, and what was said of them before.
struct Frames<'a> {
    path: &'a Path,
    interfaces: Vec<Interface>,
    last: Duration,
}

impl Frames<'_> {
    fn take(
        &mut self,
        block: &PcapBlockOwned<'_>,
        each: &mut impl FnMut(Frame<'_>),
    ) -> Result<(), CaptureError> {
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                // The upper bits hold the length of a frame check sequence, not the type.
                let number = header.network.0.cast_unsigned() & 0x0fff_ffff;
                let nanoseconds = header.is_nanosecond_precision();
                self.interfaces = vec![Interface {
                    link: Some(self.link(number)?),
                    resolution: if nanoseconds {
                        1_000_000_000
                    } else {
                        1_000_000
                    },
                    offset: 0,
                }];
            }
            PcapBlockOwned::Legacy(frame) => {
                let Some(&interface) = self.interfaces.first() else {
                    return Ok(());
                };
                let units = u64::from(frame.ts_sec) * interface.resolution;
                let time = interface.time(units + u64::from(frame.ts_usec));
                let length = frame.origlen as usize;
                self.give(interface, time, frame.data, length, Way::Unknown, each);
            }
            PcapBlockOwned::NG(Block::SectionHeader(_)) => self.interfaces.clear(),
            PcapBlockOwned::NG(Block::InterfaceDescription(described)) => {
                let number = described.linktype.0.cast_unsigned();
                // A file may have other interfaces beside; one alone is what was meant.
                let link = match self.interfaces.is_empty() {
                    true => Some(self.link(number)?),
                    false => Link::from_number(number),
                };
                self.interfaces.push(Interface {
                    link,
                    resolution: described.ts_resolution().unwrap_or(1_000_000),
                    offset: described.ts_offset(),
                });
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(frame)) => {
                let Some(&interface) = self.interfaces.get(frame.if_id as usize) else {
                    each(Frame::Other);
                    return Ok(());
                };
                let units = u64::from(frame.ts_high) << 32 | u64::from(frame.ts_low);
                let captured = frame.data.len().min(frame.caplen as usize);
                let (data, length) = (&frame.data[..captured], frame.origlen as usize);
                let time = interface.time(units);
                self.give(interface, time, data, length, way(frame), each);
            }
            PcapBlockOwned::NG(Block::SimplePacket(frame)) => {
                let Some(&interface) = self.interfaces.first() else {
                    each(Frame::Other);
                    return Ok(());
                };
                let length = frame.origlen as usize;
                let data = &frame.data[..frame.data.len().min(length)];
                self.give(interface, self.last, data, length, Way::Unknown, each);
            }
            PcapBlockOwned::NG(_) => {}
        }
        Ok(())
    }

    fn link(&self, number: u32) -> Result<Link, CaptureError> {
        Link::from_number(number).ok_or_else(|| CaptureError::UnknownLink {
            path: self.path.to_owned(),
            number,
        })
    }

    fn give(
        &mut self,
        interface: Interface,
        time: Duration,
        data: &[u8],
        length: usize,
        told: Way,
        each: &mut impl FnMut(Frame<'_>),
    ) {
        self.last = time;
        let found = interface.link.and_then(|link| link.network(data));
        each(match found {
            Some((octets, way)) => Frame::Network(Captured {
                time,
                octets,
                length: length.saturating_sub(data.len() - octets.len()),
                way: if told == Way::Unknown { way } else { told },
            }),
            None => Frame::Other,
        });
    }
}

impl Interface {
    fn time(&self, units: u64) -> Duration {
        let fraction = u128::from(units % self.resolution) * 1_000_000_000;
        let nanoseconds = fraction / u128::from(self.resolution);
        let seconds = (units / self.resolution).saturating_add_signed(self.offset);
        Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds as u64)
    }
}

/// Whether a frame came in or went out, if its flags tell (pcapng, 4.3.1: bits 0 and 1).
fn way(frame: &EnhancedPacketBlock<'_>) -> Way {
    let mut flags = frame.options.iter().filter(|o| o.code == OptionCode(2));
    let flags = flags
        .next()
        .and_then(|option| option.value.first_chunk::<4>());
    let little = frame.block_type == 6;
    let flags = flags.map(|octets| match little {
        true => u32::from_le_bytes(*octets),
        false => u32::from_be_bytes(*octets),
    });
    match flags.map(|flags| flags & 3) {
        Some(1) => Way::In,
        Some(2) => Way::Out,
        _ => Way::Unknown,
    }
}
