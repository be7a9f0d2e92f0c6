//! What MRAI the routers realised, as an MRAI probe measures it.
//!
//! *Assumes* the times of one run. *Guarantees* that what is summed up is the least, the median
//! and the greatest of what was measured, and nothing where nothing was.

use serde::{Deserialize, Serialize};

/// What one round of an MRAI probe measured, seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MraiRound {
    /// From the injector's change after a silence to the router's UPDATE about it.
    pub first_announcement_s: f64,
    /// The same of the change that followed at once.
    pub second_announcement_s: f64,
    /// Between these two UPDATEs of the router.
    pub announcement_interval_s: f64,
    /// From the injector's withdrawal, at once after the second UPDATE, to the router's.
    pub withdrawal_s: f64,
    /// The same of a withdrawal that comes while the router still holds an announcement back.
    pub withdrawal_behind_announcement_s: f64,
}

/// A quantity over the rounds, seconds. The distance of the extremes is its jitter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The least.
    pub min_s: f64,
    /// The median.
    pub median_s: f64,
    /// The greatest.
    pub max_s: f64,
}

/// The MRAI that a router realised towards one peer, in `manifest.json` of an MRAI probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RealisedMrai {
    /// The router.
    pub router: String,
    /// The peer that it told.
    pub peer: String,
    /// Number of rounds.
    pub rounds: usize,
    /// [`MraiRound::first_announcement_s`].
    pub first_announcement: Spread,
    /// [`MraiRound::second_announcement_s`].
    pub second_announcement: Spread,
    /// [`MraiRound::announcement_interval_s`].
    pub announcement_interval: Spread,
    /// [`MraiRound::withdrawal_s`].
    pub withdrawal: Spread,
    /// [`MraiRound::withdrawal_behind_announcement_s`].
    pub withdrawal_behind_announcement: Spread,
}

impl Spread {
    /// Of some values; none, of none.
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median_s = match values.len() % 2 {
            0 => f64::midpoint(*values.get(middle.checked_sub(1)?)?, values[middle]),
            _ => values[middle],
        };
        Some(Spread {
            min_s: *values.first()?,
            median_s,
            max_s: *values.last()?,
        })
    }
}

impl RealisedMrai {
    /// Sums rounds up; none, without a round.
    #[must_use]
    pub fn of(router: &str, peer: &str, rounds: &[MraiRound]) -> Option<Self> {
        let spread = |value: fn(&MraiRound) -> f64| Spread::of(rounds.iter().map(value));
        Some(RealisedMrai {
            router: router.to_owned(),
            peer: peer.to_owned(),
            rounds: rounds.len(),
            first_announcement: spread(|r| r.first_announcement_s)?,
            second_announcement: spread(|r| r.second_announcement_s)?,
            announcement_interval: spread(|r| r.announcement_interval_s)?,
            withdrawal: spread(|r| r.withdrawal_s)?,
            withdrawal_behind_announcement: spread(|r| r.withdrawal_behind_announcement_s)?,
        })
    }
}
