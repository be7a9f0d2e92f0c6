//! The Internet checksum (RFC 1071) and its update in place (RFC 1624).
//!
//! *Assumes* that a checksum field lies at an even offset of what it covers, as all of IP's, TCP's
//! and ICMP's do.
//! *Guarantees* that a field replaced at any offset, odd ones included, moves the checksum by the
//! difference alone: what was right stays right, what was wrong stays as wrong.

/// Sum of octets as big-endian words, folded but not complemented; a last odd octet is padded with a
/// zero. More can be added to it before it is folded again.
///
/// Whole packets of 64 KiB come through here after a recovery, so 32-bit words in the machine's own
/// order are added into 64-bit lanes, and swapped once at the end (RFC 1071, 2): the compiler makes
/// vectors of it.
pub(super) fn sum(octets: &[u8]) -> u64 {
    let mut total = 0_u64;
    // A lane takes 2^32 words before it could overflow; a packet has at most 2^14.
    let (words, rest) = octets.as_chunks::<4>();
    for &word in words {
        total += u64::from(u32::from_ne_bytes(word));
    }
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    total += u64::from(u32::from_ne_bytes(last));
    // 2^32 is 1 modulo 65535, so the halves can be added, and the sum cannot overflow when folded.
    let halves = (total >> 32) + (total & 0xffff_ffff);
    u64::from(u16::from_be(fold(halves)))
}

/// Adds the carries of a sum until none is left. Zero only for a sum of zeros.
pub(super) const fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

/// Replaces octets at `at`, and makes good the checksum at `field` which covers them (RFC 1624,
/// equation 3: HC' = ~(~HC + ~m + m')). Both are offsets in `octets`.
pub(super) fn replace(octets: &mut [u8], field: usize, at: usize, new: &[u8]) {
    let old = &mut octets[at..at + new.len()];
    // Nothing may change where nothing is changed, not even a checksum of 0xffff (-0) to 0 (+0).
    if old == new {
        return;
    }
    let mut sum = 0;
    for (distance, (old, new)) in old.iter().zip(new).enumerate() {
        let shift = if (at + distance + field).is_multiple_of(2) {
            8
        } else {
            0
        };
        // ~m is taken of the word that has this octet and a zero beside it. It is never 0, so the
        // sum below is not either, and +0 never becomes -0.
        sum += 0xffff - (u64::from(*old) << shift) + (u64::from(*new) << shift);
    }
    old.copy_from_slice(new);
    let checksum = u16::from_be_bytes([octets[field], octets[field + 1]]);
    let checksum = !fold(sum + u64::from(!checksum));
    octets[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::{fold, replace, sum};

    /// RFC 1071, 1: octets in pairs, carries added.
    fn plain(octets: &[u8]) -> u16 {
        let mut total = 0_u32;
        for pair in octets.chunks(2) {
            total += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
        }
        while total > 0xffff {
            total = (total >> 16) + (total & 0xffff);
        }
        total as u16
    }

    #[test]
    fn the_example_of_rfc_1071_comes_out() {
        let octets = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(sum(&octets), 0xddf2);
    }

    #[test]
    fn any_length_and_content_sums_as_pair_by_pair() {
        let octets: [u8; 97] = core::array::from_fn(|at| (at * 37 + 11) as u8);
        for length in 0..=octets.len() {
            assert_eq!(
                sum(&octets[..length]),
                u64::from(plain(&octets[..length])),
                "{length} octets"
            );
        }
        let full = [0xff; 65536];
        for length in [65533, 65534, 65535, 65536] {
            assert_eq!(
                sum(&full[..length]),
                u64::from(plain(&full[..length])),
                "{length} octets"
            );
        }
    }

    #[test]
    fn the_corner_of_rfc_1624_comes_out_as_computed_anew() {
        // RFC 1624, 4: a checksum of 0xdd2f, and 0x5555 becomes 0x3285. Equation 2 of RFC 1141
        // gives 0xffff here.
        let mut octets = [0xdd, 0x2f, 0x55, 0x55];
        replace(&mut octets, 0, 2, &[0x32, 0x85]);
        assert_eq!(octets, [0x00, 0x00, 0x32, 0x85]);
    }

    #[test]
    fn a_field_that_stays_leaves_a_checksum_of_all_ones() {
        let mut octets = [0xff, 0xff, 0x12, 0x34];
        replace(&mut octets, 0, 2, &[0x12, 0x34]);
        assert_eq!(octets, [0xff, 0xff, 0x12, 0x34]);
    }

    #[test]
    fn replacing_every_word_by_every_corner_keeps_the_residue() {
        let corners = [
            0x0000_u16, 0x0001, 0x00ff, 0x7fff, 0x8000, 0xff00, 0xfffe, 0xffff,
        ];
        for checksum in corners {
            for old in corners {
                for new in corners {
                    for at in [2, 3, 4, 5] {
                        let mut octets = [0, 0, 9, 8, 7, 6, 5, 4];
                        octets[..2].copy_from_slice(&checksum.to_be_bytes());
                        octets[at..at + 2].copy_from_slice(&old.to_be_bytes());
                        let before = fold(sum(&octets));
                        replace(&mut octets, 0, at, &new.to_be_bytes());
                        assert_eq!(octets[at..at + 2], new.to_be_bytes());
                        // The rest is never all zeros, so neither sum is: 0 cannot stand for 0xffff.
                        assert_eq!(
                            fold(sum(&octets)),
                            before,
                            "{checksum:x} {old:x} {new:x} {at}"
                        );
                    }
                }
            }
        }
    }
}
