//! Numbers and timers within their ranges.
//!
//! *Assumes* nothing. *Guarantees* that what is returned is within the range given.

use super::Checked;
use crate::scenario::authored::At;
use crate::scenario::refusal::Flaw;
use crate::units::Span;

/// A whole number within its range.
pub(super) fn number(at: &At<i64>, key: &str, unit: &str, (min, max): (u32, u32)) -> Checked<u32> {
    match u32::try_from(at.value) {
        Ok(n) if (min..=max).contains(&n) => Ok(n),
        _ => Err(Flaw::new(
            at.place,
            format!("`{key}` is {}: out of range", at.value),
            format!("write a number of {unit} from {min} to {max}"),
        )),
    }
}

/// A timer of an implementation that counts in whole seconds.
pub(super) fn whole(
    authored: Option<&At<Span>>,
    key: &str,
    default_s: u64,
    who: &str,
    (min_s, max_s): (u64, u64),
) -> Checked<Span> {
    let Some(At { value, place }) = authored else {
        return Ok(Span::from_secs(default_s));
    };
    let Some(s) = value.whole_seconds() else {
        let below = value.as_duration().as_secs();
        return Err(Flaw::new(
            *place,
            format!("`{key}` is {value}, but {who} takes whole seconds"),
            format!("write `{}s` or `{}s`", below.max(min_s), below + 1),
        ));
    };
    if (min_s..=max_s).contains(&s) {
        return Ok(*value);
    }
    Err(Flaw::new(
        *place,
        format!("`{key}` is {value}: out of range for {who}"),
        format!("write `{min_s}s` to `{max_s}s`"),
    ))
}

/// A span and some seconds more.
pub(super) fn seconds_after(span: Span, s: f64) -> Span {
    let more = Span::from_secs_f64(s).as_duration();
    Span::from(span.as_duration().saturating_add(more))
}
