//! A cell of a scenario's matrix: the values that it puts in, and its name.
//!
//! *Assumes* keys and values as the author wrote them. *Guarantees* an order in which values stand
//! as a reader expects them (`1s`, `5s`, `10s`), and a name as short as it can be with its keys
//! told apart.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::units::Span;

/// One value put into a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Setting {
    /// Where: the keys of the scenario that lead there, with dots between them.
    pub key: String,
    /// The value, as its author wrote it.
    pub value: String,
}

/// What a value measures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Magnitude {
    /// A plain number.
    Number(f64),
    /// A span of time, seconds.
    Seconds(f64),
}

impl Setting {
    /// What the value measures, if it is a number or a span of time.
    #[must_use]
    pub fn magnitude(&self) -> Option<Magnitude> {
        let number = self.value.parse::<f64>().ok().filter(|n| !n.is_nan());
        let span = || self.value.parse::<Span>().ok().map(Span::as_secs_f64);
        number
            .map(Magnitude::Number)
            .or_else(|| span().map(Magnitude::Seconds))
    }
}

/// One combination of a matrix's values: none in a scenario without a matrix, which has one cell.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cell(Vec<Setting>);

impl Cell {
    /// A cell of these values.
    #[must_use]
    pub fn new(settings: Vec<Setting>) -> Self {
        Self(settings)
    }

    /// Whether the scenario has no matrix.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values, in the author's order of keys.
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.0
    }

    /// The cell without one of its values.
    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        Self(self.0.iter().filter(|s| s.key != key).cloned().collect())
    }

    /// Whether two cells are of one matrix, as far as its keys tell.
    #[must_use]
    pub fn has_keys_of(&self, other: &Self) -> bool {
        let keys = |cell: &'_ Self| cell.0.iter().map(|s| s.key.clone()).collect::<Vec<_>>();
        keys(self) == keys(other)
    }

    /// The end of a key that no other key of this cell ends in, by whole words.
    fn short<'a>(&self, key: &'a str) -> &'a str {
        let is_others = |end: &str| {
            let ends = |other: &str| {
                other == end
                    || other
                        .strip_suffix(end)
                        .is_some_and(|rest| rest.ends_with('.'))
            };
            self.0.iter().any(|s| s.key != key && ends(&s.key))
        };
        let dots = key.rmatch_indices('.').map(|(at, _)| &key[at + 1..]);
        dots.into_iter().find(|end| !is_others(end)).unwrap_or(key)
    }
}

/// The cell's name: `mrai=1s,size=8`; nothing in a scenario without a matrix.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |s: &Setting| format!("{}={}", self.short(&s.key), s.value);
        f.pad(&self.0.iter().map(part).collect::<Vec<_>>().join(","))
    }
}

impl Ord for Setting {
    fn cmp(&self, other: &Self) -> Ordering {
        let magnitude = |setting: &Self| match setting.magnitude() {
            Some(Magnitude::Number(n)) => (0, n),
            Some(Magnitude::Seconds(s)) => (1, s),
            // Texts come last.
            None => (2, 0.0),
        };
        let ((ours, a), (theirs, b)) = (magnitude(self), magnitude(other));
        self.key
            .cmp(&other.key)
            .then(ours.cmp(&theirs))
            .then(a.total_cmp(&b))
            .then_with(|| self.value.cmp(&other.value))
    }
}

impl PartialOrd for Setting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(settings: &[(&str, &str)]) -> Cell {
        let setting = |(key, value): &(&str, &str)| Setting {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        };
        Cell::new(settings.iter().map(setting).collect())
    }

    #[test]
    fn a_name_has_the_last_word_of_each_key_and_more_only_where_two_would_be_alike() {
        for (settings, name) in [
            (&[][..], ""),
            (
                &[("router.mrai", "1s"), ("topology.size", "8")],
                "mrai=1s,size=8",
            ),
            (
                &[
                    ("topology.kind", "ring"),
                    ("router.kind", "frr"),
                    ("seed", "1"),
                ],
                "topology.kind=ring,router.kind=frr,seed=1",
            ),
            // `rate` ends `injector.filler.rate`, but no key of its own is within `irate`.
            (&[("rate", "1"), ("a.irate", "2")], "rate=1,irate=2"),
            (
                &[("kind", "a"), ("router.kind", "b")],
                "kind=a,router.kind=b",
            ),
        ] {
            assert_eq!(cell(settings).to_string(), name);
        }
    }

    #[test]
    fn values_stand_in_the_order_of_what_they_mean() {
        let mut values = [
            "none", "1m", "500ms", "16", "9", "10s", "2s", "-1", "b-clique",
        ]
        .map(|v| cell(&[("k", v)]));
        values.sort();
        assert_eq!(
            values.map(|c| c.settings()[0].value.clone()),
            [
                "-1", "9", "16", "500ms", "2s", "10s", "1m", "b-clique", "none"
            ]
        );
        assert_ne!(
            cell(&[("k", "1s")]).cmp(&cell(&[("k", "1000ms")])),
            Ordering::Equal
        );
    }
}
