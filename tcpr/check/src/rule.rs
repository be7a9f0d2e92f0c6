//! The rules: what one TCP never does, each with the place where that is written.
//!
//! *Assumes* nothing.
//! *Guarantees* names that do not change: reports and programs use them.

use std::fmt;

use serde::Serialize;

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $variant:ident $name:literal $clause:literal $meaning:literal,)+) => {
        /// A rule.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Rule {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Rule {
            /// Every one.
            pub const ALL: &[Rule] = &[$(Rule::$variant),+];

            /// Its name, as reports have it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Rule::$variant => $name),+ }
            }

            /// Where it is written.
            #[must_use]
            pub fn clause(self) -> &'static str {
                match self { $(Rule::$variant => $clause),+ }
            }

            /// What it says, in one sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Rule::$variant => $meaning),+ }
            }
        }
    };
}

rules! {
    /// The octet at a position is another one than before.
    OctetsChanged "octets-changed" "RFC 9293, 3.4"
        "An octet that is sent again is the same octet.",
    /// New octets that do not follow the last ones.
    SequenceSkipped "sequence-skipped" "RFC 9293, 3.4"
        "Octets are sent one after the other; none is left out.",
    /// Octets behind a FIN.
    BeyondFin "beyond-fin" "RFC 9293, 3.6"
        "A FIN is the last that is sent.",
    /// A FIN at another position than before.
    FinMoved "fin-moved" "RFC 9293, 3.6"
        "A FIN that is sent again stands where it stood.",
    /// A SYN with another number amid a connection.
    SynInConnection "syn-in-connection" "RFC 9293, 3.10.7.4; RFC 5961, 4"
        "A TCP that has a connection sends no other SYN for it.",
    /// Something other than a reset behind a reset.
    AfterReset "after-reset" "RFC 9293, 3.5.3 and 3.10.5"
        "A TCP that has reset a connection has it no more.",
    /// A reset with a number that its sender cannot have.
    ResetOutOfPlace "reset-out-of-place" "RFC 9293, 3.5.2"
        "A reset has the number that is next, or one that was acknowledged.",
    /// A segment without the ACK bit.
    NoAcknowledgment "no-acknowledgment" "RFC 9293, 3.1 and 3.10.7.4"
        "Behind the SYN every segment acknowledges.",
    /// The acknowledgment number goes back.
    AcknowledgmentRegressed "acknowledgment-regressed" "RFC 9293, 3.4"
        "What was acknowledged stays acknowledged.",
    /// Octets are acknowledged that were not sent.
    AcknowledgesUnsent "acknowledges-unsent" "RFC 9293, 3.4 and 3.10.7.4"
        "Only what was sent is acknowledged.",
    /// Octets beyond the window.
    BeyondWindow "beyond-window" "RFC 9293, 3.8.6"
        "Nothing is sent beyond the window that the other end offers, but for one octet that probes it.",
    /// The right edge of the window goes back.
    WindowShrunk "window-shrunk" "RFC 9293, 3.8.6; RFC 7323, 2.4"
        "The right edge of the window should not go back by more than what scaling rounds off.",
    /// A timestamp goes back.
    TimestampRegressed "timestamp-regressed" "RFC 7323, 4.1 and 5.4"
        "The clock behind the timestamps does not go back.",
    /// An echo of a timestamp that was not sent.
    EchoUnsent "echo-unsent" "RFC 7323, 3.2 and 4.3"
        "Only a timestamp that was sent is echoed.",
    /// A segment without timestamps though they were agreed.
    TimestampMissing "timestamp-missing" "RFC 7323, 3.2"
        "Once timestamps are agreed, every segment but a reset has them.",
    /// An option that was not agreed.
    OptionNotAgreed "option-not-agreed" "RFC 7323, 2.2 and 3.2; RFC 2018, 2"
        "An option is used if both SYNs have offered it, and not otherwise.",
    /// A block of a selective acknowledgment that cannot be.
    SackOutOfPlace "sack-out-of-place" "RFC 2018, 3 and 4; RFC 2883, 4"
        "A selective acknowledgment names octets that were sent, beyond the acknowledgment; only its first block may repeat others.",
    /// More data in a segment than the other end takes.
    SegmentTooLarge "segment-too-large" "RFC 9293, 3.7.1"
        "A segment has no more data than the other end's MSS.",
    /// A wrong checksum.
    ChecksumWrong "checksum-wrong" "RFC 9293, 3.1"
        "The checksum is right.",
    /// A long time without an answer.
    Silence "silence" "RFC 9293, 3.8.6.3; RFC 5681, 4.2"
        "A TCP that gets data answers within half a second.",
    /// Data that was not acknowledged until the trace ends.
    Unacknowledged "unacknowledged" "RFC 9293, 3.8.6.3"
        "Every octet that arrives is acknowledged at last.",
    /// A segment far outside of every window.
    FarOutside "far-outside" "RFC 9293, 3.10.7.4"
        "A segment outside of the window is answered and not kept: a stray one, or a question.",
    /// A connection begins anew that was not seen to end.
    NotSeenToEnd "not-seen-to-end" "RFC 9293, 3.6"
        "A connection ends before the next one between the same ports begins.",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Rule;

    #[test]
    fn a_rule_is_called_the_same_in_text_and_in_json() {
        for rule in Rule::ALL {
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.name(), "{rule:?}");
            assert!(rule.clause().starts_with("RFC ") && rule.meaning().ends_with('.'));
        }
    }
}
