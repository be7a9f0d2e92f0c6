//! The arithmetic of one direction: octets of one leg's input are the other leg's output, one for
//! one.
//!
//! *Assumes* that offsets are octets since the beginning of both connections.
//! *Guarantees* that input is checkpointed only when the other leg's peer has acknowledged it, and
//! only as far as it was read; so that what a crash loses of the proxy's memory is sent again by
//! the one peer, and what it has sent on already is not passed to the other a second time.

use thiserror::Error;

/// Octets that no leg has any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("input goes on at octet {input}, and output at {output}: what lies between is lost")]
pub(super) struct Gap {
    /// First octet that the one leg will give.
    pub(super) input: u64,
    /// First octet that the other one's peer has not acknowledged.
    pub(super) output: u64,
}

/// Where input begins that is not checkpointed: the peer's FIN is no octet.
pub(super) fn input_start(checkpoint: u64, fin: Option<u64>) -> u64 {
    fin.map_or(checkpoint, |fin| checkpoint.min(fin))
}

/// One direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offsets {
    /// Octets read from the one leg.
    read: u64,
    /// Octets before this were acknowledged before a crash: they are read and not passed on.
    from: u64,
    /// Where the input ends, once that is read and recorded.
    end: Option<u64>,
}

impl Offsets {
    /// Goes on with input at `input`, and with output at `output`.
    pub(super) fn resume(input: u64, output: u64) -> Result<Offsets, Gap> {
        if input > output {
            return Err(Gap { input, output });
        }
        Ok(Offsets {
            read: input,
            from: output,
            end: None,
        })
    }

    /// Octets were read: of these, so many at the beginning are not passed on.
    pub(super) fn read(&mut self, count: u64) -> u64 {
        let known = self.from.saturating_sub(self.read).min(count);
        self.read += count;
        known
    }

    /// The input has come to its end. Gives where.
    pub(super) fn ends(&self) -> Result<u64, Gap> {
        // The peer cannot have acknowledged more than there is.
        if self.read < self.from {
            return Err(Gap {
                input: self.read,
                output: self.from,
            });
        }
        Ok(self.read)
    }

    /// The end is recorded: the FIN may be checkpointed.
    pub(super) fn end_recorded(&mut self) {
        self.end = Some(self.read);
    }

    /// The checkpoint of the one leg, when the other one's peer has acknowledged so much.
    pub(super) fn checkpoint(&self, acked: u64) -> u64 {
        match self.through(acked) {
            // The FIN counts one.
            Some(end) => end + 1,
            None => acked.min(self.read),
        }
    }

    /// Where the input ends, once all of it has been acknowledged.
    pub(super) fn through(&self, acked: u64) -> Option<u64> {
        self.end.filter(|&end| acked >= end)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_acknowledged_before_a_crash_is_read_and_not_passed_on() {
        let mut offsets = Offsets::resume(100, 130).unwrap();
        assert_eq!(offsets.read(20), 20);
        // Acknowledged far beyond, but read only so far: the rest must come from the peer still.
        assert_eq!(offsets.checkpoint(130), 120);
        assert!(offsets.ends().is_err());
        assert_eq!(offsets.read(20), 10);
        assert_eq!(offsets.checkpoint(130), 130);
        assert_eq!(offsets.read(5), 0);
        assert_eq!(offsets.checkpoint(140), 140);
    }

    #[test]
    fn a_fin_is_checkpointed_when_it_is_recorded_and_all_before_it_is_acknowledged() {
        let mut offsets = Offsets::resume(0, 0).unwrap();
        offsets.read(10);
        assert_eq!(offsets.ends(), Ok(10));
        assert_eq!(offsets.checkpoint(10), 10);
        offsets.end_recorded();
        assert_eq!(offsets.checkpoint(9), 9);
        assert_eq!(offsets.through(9), None);
        assert_eq!(offsets.checkpoint(10), 11);
        // Our own FIN on the other leg is acknowledged too.
        assert_eq!(offsets.checkpoint(11), 11);
        assert_eq!(offsets.through(11), Some(10));
        assert_eq!(input_start(11, Some(10)), 10);
        assert_eq!(input_start(9, Some(10)), 9);
        assert_eq!(input_start(9, None), 9);
    }

    #[test]
    fn octets_that_nobody_has_are_told() {
        let gap = Offsets::resume(5, 4).unwrap_err();
        assert_eq!((gap.input, gap.output), (5, 4));
    }

    proptest! {
        /// A crash at any instant: whatever had been read, passed on and acknowledged, the peer
        /// gets each octet once, in order, and no checkpoint covers what it has not.
        #[test]
        fn each_octet_passes_once_whatever_crashes(
            steps in prop::collection::vec((0_u64..2000, 0.0..1.0_f64, 0.0..1.0_f64), 1..40),
        ) {
            // What the one peer has left to send begins at its acknowledged offset; the other's
            // input is whatever was passed on and arrived.
            let (mut checkpoint, mut arrived) = (0_u64, 0_u64);
            for (count, delivered, told) in steps {
                let mut offsets = Offsets::resume(checkpoint, arrived).unwrap();
                let mut position = checkpoint;
                let mut passed = arrived;
                for part in [count / 3, count - count / 3] {
                    let known = offsets.read(part);
                    // The first octet that is passed on is the very next one.
                    if known < part {
                        prop_assert_eq!(position + known, passed);
                        passed = position + part;
                    }
                    position += part;
                }
                // A part of it arrives, and a part of that is heard of, before the crash.
                let before = arrived;
                arrived += ((passed - arrived) as f64 * delivered) as u64;
                let acked = before + ((arrived - before) as f64 * told) as u64;
                let next = offsets.checkpoint(acked);
                prop_assert!(next <= arrived && next <= position && next >= checkpoint);
                checkpoint = next;
            }
        }
    }
}
