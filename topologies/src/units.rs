//! Durations as people write them: `5s`, `500ms`, `2m`.
//!
//! *Assumes* nothing. *Guarantees* that a [`Span`] is never negative, and that writing and
//! reading one back gives the same value to the nanosecond.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A span of time, never negative, written with its unit.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Span(Duration);

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(Duration::ZERO);

    /// A span of whole seconds.
    #[must_use]
    pub const fn from_secs(s: u64) -> Self {
        Span(Duration::from_secs(s))
    }

    /// A span of `s` seconds.
    ///
    /// # Panics
    /// If `s` is negative or not finite.
    #[must_use]
    pub fn from_secs_f64(s: f64) -> Self {
        Span(Duration::from_secs_f64(s))
    }

    /// The span in seconds.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0.as_secs_f64()
    }

    /// The span as the standard library's type.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        self.0
    }

    /// The number of seconds, if the span is a whole number of them.
    #[must_use]
    pub fn whole_seconds(self) -> Option<u64> {
        (self.0.subsec_nanos() == 0).then_some(self.0.as_secs())
    }
}

impl schemars::JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "a duration with its unit, such as `5s`, `500ms` or `2m`",
            "pattern": "^[0-9][^:]*[a-zµ]$"
        })
    }
}

impl From<Duration> for Span {
    fn from(d: Duration) -> Self {
        Span(d)
    }
}

impl From<Span> for String {
    fn from(s: Span) -> String {
        s.to_string()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0.as_nanos();
        match n {
            _ if n.is_multiple_of(1_000_000_000) => write!(f, "{}s", n / 1_000_000_000),
            _ if n.is_multiple_of(1_000_000) => write!(f, "{}ms", n / 1_000_000),
            _ if n.is_multiple_of(1_000) => write!(f, "{}us", n / 1_000),
            _ => write!(f, "{n}ns"),
        }
    }
}

impl TryFrom<String> for Span {
    type Error = String;
    fn try_from(s: String) -> Result<Self, String> {
        s.parse()
    }
}

impl FromStr for Span {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let misread = || {
            format!(
                "`{s}` is not a duration: write a number and a unit, such as `5s`, `500ms` or `2m`"
            )
        };
        // jiff also reads ISO 8601 (`PT5S`) and clock times (`0:05`): here every number has a
        // unit behind it.
        let unsigned = s.strip_prefix('-').unwrap_or(s);
        let plain = unsigned.starts_with(|c: char| c.is_ascii_digit())
            && unsigned.ends_with(|c: char| c.is_ascii_lowercase() || c == 'µ')
            && !unsigned.contains(':');
        if !plain {
            return Err(misread());
        }
        let d: jiff::SignedDuration = s.parse().map_err(|_| misread())?;
        Duration::try_from(d)
            .map(Span)
            .map_err(|_| format!("`{s}` is negative: a duration is zero or more"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_unit_means_what_it_says() {
        for (written, ns) in [
            ("0s", 0),
            ("5s", 5_000_000_000),
            ("500ms", 500_000_000),
            ("500 ms", 500_000_000),
            ("250us", 250_000),
            ("250µs", 250_000),
            ("7ns", 7),
            ("2m", 120_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1h", 3_600_000_000_000),
            ("1.5s", 1_500_000_000),
        ] {
            let span: Span = written.parse().unwrap();
            assert_eq!(span.as_duration().as_nanos(), ns, "{written}");
        }
    }

    #[test]
    fn a_number_without_unit_is_refused_and_so_is_everything_else() {
        for written in [
            "",
            "5",
            "s",
            "PT5S",
            "0:05",
            "five seconds",
            "5s ago",
            "5 parsecs",
            "+5s",
            " 5s",
            "1e400s",
            "5s 3",
            "NaN",
            "inf",
        ] {
            let said = written.parse::<Span>().unwrap_err();
            assert!(
                said.contains("is not a duration") || said.contains("is negative"),
                "{written:?}: {said}"
            );
        }
    }

    #[test]
    fn a_negative_duration_is_called_one() {
        assert_eq!(
            "-5s".parse::<Span>().unwrap_err(),
            "`-5s` is negative: a duration is zero or more"
        );
    }

    #[test]
    fn whole_seconds_are_told_from_others() {
        assert_eq!(Span::from_secs(5).whole_seconds(), Some(5));
        assert_eq!(Span::from_secs_f64(5.5).whole_seconds(), None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_to_the_nanosecond(s in 0u64..1_000_000_000, ns in 0u32..1_000_000_000) {
            let span = Span::from(Duration::new(s, ns));
            prop_assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC*") {
            let _ = text.parse::<Span>();
        }
    }
}
