//! What was done and seen in a run, in a reader's words.
//!
//! *Assumes* the moments of a replay. *Guarantees* one entry for each, in their order, each of a kind that
//! the page has a sign for.

use std::net::Ipv4Addr;

use results::{EventKind, Phase};
use serde::Serialize;
use topologies::Topology;

use crate::frame::Moment;

/// How many moments of a run the page tells; sessions that flap without end would fill it.
const MOST: usize = 300;

/// A moment: microseconds after the failure, its sign, what happened.
pub(super) type Told = (i64, Sign, String);

/// What a moment is shown as; `replay.js` draws them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Sign {
    /// It was meant to happen.
    Planned,
    /// It was done to the network.
    Failed,
    /// The injector's process was killed.
    Killed,
    /// The injector's process was started again.
    Restarted,
    /// Its effect was seen.
    Seen,
    /// A session came up.
    Up,
    /// A session went down.
    Down,
    /// The network had settled, or was quiet.
    Quiet,
}

/// Tells the moments of one run.
/// Addresses of its links stand in them by the names of their nodes.
pub(super) fn tell(moments: &[Moment], topology: &Topology) -> Vec<Told> {
    moments
        .iter()
        .take(MOST)
        .map(|m| {
            let (sign, words) = words(m);
            (m.t_ns.div_euclid(1000), sign, named(&words, topology))
        })
        .collect()
}

/// The text with node names in the place of addresses.
fn named(text: &str, topology: &Topology) -> String {
    let name = |word: &str| {
        let bare = word.trim_end_matches([',', ':', '.']);
        let address: Ipv4Addr = bare.parse().ok()?;
        let mut ends = topology
            .links
            .iter()
            .flat_map(|l| [(l.a_addr, &l.a), (l.b_addr, &l.b)]);
        let (_, node) = ends.find(|(a, _)| *a == address)?;
        Some(format!("{node}{}", &word[bare.len()..]))
    };
    let words = text.split(' ');
    words
        .map(|w| name(w).unwrap_or_else(|| w.to_owned()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn words(moment: &Moment) -> (Sign, String) {
    let target = &moment.target;
    match (moment.kind, moment.phase) {
        (EventKind::Failure, Phase::Planned) => (Sign::Planned, "failure planned".to_owned()),
        (EventKind::Failure, Phase::Applied) => match target.as_str() {
            "injector" => (Sign::Killed, "injector killed".to_owned()),
            "tcpr" => (Sign::Failed, "TCPR killed".to_owned()),
            "drop rule" => (Sign::Failed, "drop rule in force".to_owned()),
            "primary link" => (Sign::Failed, "primary link loses its carrier".to_owned()),
            other => (Sign::Failed, format!("{other} fails")),
        },
        (EventKind::Failure, Phase::Confirmed) => {
            (Sign::Seen, format!("failure confirmed: {target}"))
        }
        (EventKind::Restart, Phase::Planned) => (Sign::Planned, "restart planned".to_owned()),
        (EventKind::Restart, Phase::Applied) if target == "injector" => {
            (Sign::Restarted, "injector restarted".to_owned())
        }
        (EventKind::Restart, Phase::Applied) => (Sign::Seen, format!("{target} restarted")),
        (EventKind::Restart, Phase::Confirmed) => (Sign::Up, format!("back: {target}")),
        (EventKind::Withdraw, Phase::Planned) => (Sign::Planned, "withdrawal planned".to_owned()),
        (EventKind::Withdraw, Phase::Applied) => {
            (Sign::Failed, "injector told to withdraw".to_owned())
        }
        (EventKind::Withdraw, Phase::Confirmed) => {
            (Sign::Seen, format!("withdrawal seen: {target}"))
        }
        (EventKind::Eor, _) => (Sign::Seen, format!("End-of-RIB, {target}")),
        (EventKind::Session, _) => match moment.up {
            Some(true) => (Sign::Up, format!("session up: {target}")),
            Some(false) => (Sign::Down, format!("session down: {target}")),
            None => (Sign::Seen, format!("session: {target}")),
        },
        (EventKind::Settled, _) => (Sign::Quiet, "settled".to_owned()),
        (EventKind::Quiet, _) => (Sign::Quiet, "quiet confirmed".to_owned()),
        (EventKind::Lab | EventKind::Clock, _) => (Sign::Seen, target.clone()),
    }
}
