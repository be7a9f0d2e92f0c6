//! TCP options.
//!
//! *Assumes* nothing of them: lengths may be 0, or lie beyond the header.
//! *Guarantees* that reading them ends, at the latest where a length is impossible: a receiver that
//! goes on there would not know where the next option begins.

use arrayvec::ArrayVec;

use super::ip::{double, word};

pub(super) const END: u8 = 0;
pub(super) const NOP: u8 = 1;
pub(super) const MSS: u8 = 2;
pub(super) const WINDOW_SCALE: u8 = 3;
pub(super) const SACK_PERMITTED: u8 = 4;
pub(super) const SACK: u8 = 5;
pub(super) const TIMESTAMPS: u8 = 8;
const MD5: u8 = 19;
const AO: u8 = 29;

/// The largest window scale (RFC 7323, 2.3).
const MAX_SCALE: u8 = 14;

/// The timestamps option (RFC 7323, 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Timestamps {
    /// TSval: the sender's clock.
    pub value: u32,
    /// TSecr: the latest value from the other side.
    pub echo: u32,
}

/// What the options of a segment say. If one comes twice, the last one counts, as Linux has it; an
/// option of a wrong length does not count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Maximum segment size; 0 does not count.
    pub mss: Option<u16>,
    /// Window scale, at most 14 (RFC 7323, 2.3).
    pub window_scale: Option<u8>,
    /// Whether the sender takes selective acknowledgments (RFC 2018, 2).
    pub sack_permitted: bool,
    /// Timestamps.
    pub timestamps: Option<Timestamps>,
    /// Blocks of a selective acknowledgment: left edge, and right edge, exclusive.
    pub sack: ArrayVec<(u32, u32), 4>,
    /// Signed with TCP-MD5 (RFC 2385) or TCP-AO (RFC 5925).
    pub signed: bool,
}

/// Where an option lies in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) kind: u8,
    /// Offset of its kind.
    pub(super) at: usize,
    /// With kind and length.
    pub(super) length: usize,
}

impl Place {
    /// Whether it is an option that we know, of a right length, and that a SYN may have.
    pub(super) fn is_known_in_syn(self) -> bool {
        matches!(
            (self.kind, self.length),
            (NOP, _) | (MSS, 4) | (WINDOW_SCALE, 3) | (SACK_PERMITTED, 2) | (TIMESTAMPS, 10)
        )
    }

    /// Blocks of a selective acknowledgment: 8 octets each.
    pub(super) fn sack_blocks(self) -> impl Iterator<Item = usize> {
        let right = self.kind == SACK && self.length >= 10 && self.length % 8 == 2;
        let blocks = if right { self.length / 8 } else { 0 };
        (0..blocks).map(move |block| self.at + 2 + block * 8)
    }
}

/// The option at `at` of a header that ends at `end`. `None`: no more that could be read; if that is
/// not an orderly end, `Err` says where the octets stop making sense.
pub(super) fn next(octets: &[u8], at: usize, end: usize) -> Result<Option<Place>, usize> {
    if at >= end || octets[at] == END {
        return Ok(None);
    }
    let kind = octets[at];
    if kind == NOP {
        return Ok(Some(Place {
            kind,
            at,
            length: 1,
        }));
    }
    let length = if at + 1 < end {
        usize::from(octets[at + 1])
    } else {
        0
    };
    if length < 2 || at + length > end {
        return Err(at);
    }
    Ok(Some(Place { kind, at, length }))
}

impl Options {
    /// Options that lie in `octets[at..end]`.
    pub(super) fn read(octets: &[u8], mut at: usize, end: usize) -> Options {
        let mut options = Options::default();
        while let Ok(Some(place)) = next(octets, at, end) {
            at = place.at + place.length;
            let value = place.at + 2;
            match (place.kind, place.length) {
                (MSS, 4) => options.mss = Some(word(octets, value)).filter(|mss| *mss != 0),
                (WINDOW_SCALE, 3) => options.window_scale = Some(octets[value].min(MAX_SCALE)),
                (SACK_PERMITTED, 2) => options.sack_permitted = true,
                (TIMESTAMPS, 10) => {
                    options.timestamps = Some(Timestamps {
                        value: double(octets, value),
                        echo: double(octets, value + 4),
                    });
                }
                (SACK, _) => {
                    for block in place.sack_blocks() {
                        // 40 octets of options have room for four.
                        let _ = options
                            .sack
                            .try_push((double(octets, block), double(octets, block + 4)));
                    }
                }
                (MD5 | AO, _) => options.signed = true,
                _ => {}
            }
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::{Options, Timestamps, next};

    fn read(octets: &[u8]) -> Options {
        Options::read(octets, 0, octets.len())
    }

    #[test]
    fn the_options_of_an_ordinary_syn_are_read() {
        let options = read(&[
            2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 1, 0, 0, 0, 0, 9, 1, 3, 3, 7,
        ]);
        assert_eq!(options.mss, Some(1460));
        assert_eq!(options.window_scale, Some(7));
        assert!(options.sack_permitted && !options.signed);
        assert_eq!(
            options.timestamps,
            Some(Timestamps {
                value: 256,
                echo: 9
            })
        );
    }

    #[test]
    fn a_window_scale_beyond_14_counts_as_14() {
        assert_eq!(read(&[3, 3, 255]).window_scale, Some(14));
        assert_eq!(read(&[3, 3, 14]).window_scale, Some(14));
    }

    #[test]
    fn four_blocks_are_read_at_an_odd_offset() {
        let mut octets = [0; 36];
        octets[..3].copy_from_slice(&[1, 5, 34]);
        for (at, octet) in octets[3..35].iter_mut().enumerate() {
            *octet = at as u8;
        }
        let sack = read(&octets).sack;
        assert_eq!(sack.len(), 4);
        assert_eq!(sack[0], (0x0001_0203, 0x0405_0607));
        assert_eq!(sack[3], (0x1819_1a1b, 0x1c1d_1e1f));
    }

    #[test]
    fn signatures_are_seen() {
        let mut md5 = [0; 18];
        md5[..2].copy_from_slice(&[19, 18]);
        assert!(read(&md5).signed);
        assert!(read(&[1, 29, 4, 1, 1]).signed);
    }

    #[test]
    fn impossible_lengths_end_the_options() {
        for octets in [
            &[8, 0, 2, 4, 5, 180][..],
            &[8, 1, 2, 4, 5, 180],
            &[8, 10, 2, 4, 5, 180],
            &[8],
        ] {
            assert_eq!(read(octets), Options::default());
            assert_eq!(next(octets, 0, octets.len()), Err(0));
        }
    }

    #[test]
    fn nothing_is_read_behind_the_end() {
        assert_eq!(read(&[1, 0, 2, 4, 5, 180]), Options::default());
    }

    #[test]
    fn options_of_a_wrong_length_do_not_count_and_hide_none() {
        let options = read(&[
            2, 5, 1, 1, 1, 3, 4, 1, 1, 4, 3, 1, 8, 4, 1, 1, 5, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 2,
        ]);
        let expected = Options {
            sack_permitted: true,
            ..Options::default()
        };
        assert_eq!(options, expected);
        assert_eq!(read(&[2, 4, 0, 0]).mss, None, "an MSS of 0");
    }

    #[test]
    fn of_two_the_last_one_counts() {
        assert_eq!(read(&[2, 4, 0, 1, 2, 4, 0, 2]).mss, Some(2));
    }
}
