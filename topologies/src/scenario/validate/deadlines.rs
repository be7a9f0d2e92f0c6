//! Deadlines that a run can meet.
//!
//! *Assumes* what the scenario itself takes, part by part. *Guarantees* that each deadline leaves
//! more than that, or says which part is too long for it.

use serde_saphyr::Location;

use super::Checked;
use crate::resolved::Deadlines;
use crate::scenario::authored::{At, AuthoredDeadlines};
use crate::scenario::refusal::Flaw;
use crate::units::Span;

/// What takes its time in a run whatever the routers do, and where the author asked for it.
pub(super) struct Part {
    pub(super) takes: Span,
    pub(super) place: Option<Location>,
}

pub(super) fn deadlines(
    authored: AuthoredDeadlines,
    silence: &Part,
    planned: &[Part],
) -> Checked<Deadlines> {
    let least = planned.iter().fold(silence.takes, |sum, part| {
        Span::from(sum.as_duration().saturating_add(part.takes.as_duration()))
    });
    let longest = std::iter::once(silence)
        .chain(planned)
        .filter(|part| part.place.is_some())
        .max_by_key(|part| part.takes)
        .and_then(|part| part.place);
    Ok(Deadlines {
        established: deadline("established", authored.established, 60, None, Span::ZERO)?,
        settled: deadline(
            "settled",
            authored.settled,
            180,
            silence.place,
            silence.takes,
        )?,
        quiet: deadline("quiet", authored.quiet, 600, longest, least)?,
    })
}

/// A deadline that leaves more than `least`; `elsewhere` is to blame if it is the default.
fn deadline(
    key: &str,
    authored: Option<At<Span>>,
    default_s: u64,
    elsewhere: Option<Location>,
    least: Span,
) -> Checked<Span> {
    let own = authored.as_ref().map(|a| a.place);
    let value = authored.map_or(Span::from_secs(default_s), |a| a.value);
    if value > least {
        return Ok(value);
    }
    let whose = if own.is_some() { "" } else { " by default" };
    Err(Flaw::new(
        own.or(elsewhere).unwrap_or(Location::UNKNOWN),
        format!(
            "deadline `{key}` is {value}{whose}, and quiet period, filler and planned delays alone take {least}"
        ),
        format!("write `deadlines: {{{key}: …}}` with well over {least}"),
    ))
}
