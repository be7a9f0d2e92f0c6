//! The control bits of a segment.
//!
//! *Assumes* that the ninth bit (AE, once NS) is nobody's business here: it is left as it is.
//! *Guarantees* eight bits in the order of the header (RFC 9293, 3.1).

/// Control bits of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(u8);

impl Flags {
    /// No bit at all.
    pub const NONE: Flags = Flags(0);
    /// No more data from the sender.
    pub const FIN: Flags = Flags(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Flags = Flags(0x02);
    /// Reset the connection.
    pub const RST: Flags = Flags(0x04);
    /// Push.
    pub const PSH: Flags = Flags(0x08);
    /// The acknowledgment number counts.
    pub const ACK: Flags = Flags(0x10);
    /// The urgent pointer counts.
    pub const URG: Flags = Flags(0x20);
    /// Congestion was experienced (RFC 3168).
    pub const ECE: Flags = Flags(0x40);
    /// The congestion window was reduced (RFC 3168).
    pub const CWR: Flags = Flags(0x80);

    /// From the octet of the header.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Flags {
        Flags(bits)
    }

    /// The octet of the header.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set.
    #[must_use]
    pub const fn intersects(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    /// Sets the bits of `other`.
    pub const fn insert(&mut self, other: Flags) {
        self.0 |= other.0;
    }

    /// Clears the bits of `other`.
    pub const fn remove(&mut self, other: Flags) {
        self.0 &= !other.0;
    }

    /// The bits of both.
    #[must_use]
    pub const fn union(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Flags;

    #[test]
    fn a_set_contains_what_was_inserted_and_not_what_was_removed() {
        let mut flags = Flags::SYN.union(Flags::ACK);
        assert!(flags.contains(Flags::SYN) && flags.contains(Flags::ACK));
        assert!(!flags.contains(Flags::SYN.union(Flags::FIN)));
        assert!(flags.intersects(Flags::SYN.union(Flags::FIN)));
        flags.remove(Flags::SYN);
        flags.insert(Flags::FIN);
        assert_eq!(flags, Flags::from_bits(0x11));
        assert!(flags.contains(Flags::NONE) && !flags.intersects(Flags::NONE));
    }
}
