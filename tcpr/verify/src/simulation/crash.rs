//! What fails, and when.
//!
//! *Assumes* nothing.
//! *Guarantees* one way to write crashes down, in which they can be read back:
//! `23:closing:keep,41:silent:lose`.

use std::fmt;
use std::str::FromStr;

use super::dice::Dice;

/// How the application's TCP goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// It says nothing: its host is lost.
    Silent,
    /// It closes, as a kernel does for a process that has died: what it had to send, then a FIN.
    Closing,
    /// It resets the connection, as a kernel does for a process that has died without reading all.
    Aborting,
    /// It lives: TCPR alone is lost.
    Living,
}

/// One failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crash {
    /// Right after this packet, counted from 0 in both directions where TCPR stands; never before
    /// the application has registered its connection.
    pub at: u64,
    /// What becomes of the application's TCP.
    pub death: Death,
    /// Whether TCPR loses all it knows.
    pub lose: bool,
}

/// What may fail after a packet.
pub const KINDS: [(Death, bool); 7] = [
    (Death::Silent, false),
    (Death::Closing, false),
    (Death::Aborting, false),
    (Death::Silent, true),
    (Death::Closing, true),
    (Death::Aborting, true),
    (Death::Living, true),
];

impl Crash {
    /// Some crash after a packet.
    pub(super) fn some(at: u64, dice: &mut Dice) -> Crash {
        let (death, lose) = dice.one_of(KINDS);
        Crash { at, death, lose }
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let death = match self.death {
            Death::Silent => "silent",
            Death::Closing => "closing",
            Death::Aborting => "aborting",
            Death::Living => "living",
        };
        let kept = if self.lose { "lose" } else { "keep" };
        write!(f, "{}:{death}:{kept}", self.at)
    }
}

/// Why this is no crash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no crash: write PACKET:DEATH:TCPR, where DEATH is silent, closing, aborting or \
     living, and TCPR is keep or lose"
)]
pub struct NoCrash {
    text: String,
}

impl FromStr for Crash {
    type Err = NoCrash;

    fn from_str(text: &str) -> Result<Crash, NoCrash> {
        let wrong = || NoCrash {
            text: text.to_owned(),
        };
        let mut parts = text.split(':');
        let (Some(at), Some(death), Some(kept), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        let death = match death {
            "silent" => Death::Silent,
            "closing" => Death::Closing,
            "aborting" => Death::Aborting,
            "living" => Death::Living,
            _ => return Err(wrong()),
        };
        let lose = match kept {
            "lose" => true,
            // A crash of nothing at all is none.
            "keep" if death != Death::Living => false,
            _ => return Err(wrong()),
        };
        let at = at.parse().map_err(|_| wrong())?;
        Ok(Crash { at, death, lose })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Crash, KINDS};

    #[test]
    fn every_crash_can_be_read_back() {
        for (at, (death, lose)) in (0..).zip(KINDS) {
            let crash = Crash { at, death, lose };
            assert_eq!(crash.to_string().parse::<Crash>(), Ok(crash));
        }
    }

    #[test]
    fn what_is_no_crash_is_refused_with_the_right_form() {
        for text in [
            "",
            "3",
            "3:silent",
            "x:silent:keep",
            "3:living:keep",
            "3:silent:keep:",
        ] {
            let error = text.parse::<Crash>().unwrap_err().to_string();
            assert!(error.contains("PACKET:DEATH:TCPR"), "{text}: {error}");
        }
    }
}
