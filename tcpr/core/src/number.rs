//! Sequence numbers, and the positions that they stand for.
//!
//! *Assumes* that a number is read near a known position: within 2^31 of it, as RFC 9293, 3.4
//! demands of all comparisons.
//! *Guarantees* that everything above it compares plain integers that do not wrap: position 0 is the
//! first octet after the SYN, -1 the SYN itself, and a FIN takes one position.

/// One direction of a connection: where its octet 0 lies in the space of sequence numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Stream {
    /// Initial sequence number: the number of the SYN.
    pub initial: u32,
}

impl Stream {
    /// The sequence number of a position.
    #[must_use]
    pub fn number(self, position: i64) -> u32 {
        // The low 32 bits are meant: numbers are positions modulo 2^32.
        self.initial.wrapping_add(1).wrapping_add(position as u32)
    }

    /// The position nearest to `near` that has this sequence number.
    #[must_use]
    pub fn position(self, near: i64, number: u32) -> i64 {
        near + ahead(number, self.number(near))
    }
}

/// How far a sequence number lies beyond another one (RFC 1982).
pub(crate) fn ahead(number: u32, base: u32) -> i64 {
    i64::from(number.wrapping_sub(base) as i32)
}

#[cfg(test)]
mod tests {
    use super::Stream;

    #[test]
    fn the_octet_after_the_syn_is_position_zero() {
        let stream = Stream { initial: 400 };
        assert_eq!(stream.number(0), 401);
        assert_eq!(stream.position(0, 401), 0);
        assert_eq!(stream.position(0, 400), -1);
    }

    #[test]
    fn positions_go_on_where_numbers_wrap() {
        let stream = Stream {
            initial: u32::MAX - 2,
        };
        assert_eq!(stream.number(2), 0);
        assert_eq!(stream.position(1, 0), 2);
        let far = 3 * (1_i64 << 32) + 17;
        assert_eq!(stream.position(far, stream.number(far + 5)), far + 5);
        assert_eq!(stream.position(far, stream.number(far - 5)), far - 5);
    }
}
