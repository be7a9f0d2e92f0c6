//! What the YAML reader says, in the words of a scenario's author.
//!
//! *Assumes* the errors of serde-saphyr 2. *Guarantees* a [`Flaw`] with the reader's own place
//! for each, with the keys or words that exist where one does not.

use serde_saphyr::{Error, Location, UserMessageFormatter};

use super::authored::{Authored, VersionOnly};
use super::refusal::Flaw;

/// Version of the scenario format that this program reads.
pub(crate) const VERSION: u32 = 1;

/// Reads the shape of a scenario.
pub(crate) fn read(text: &str) -> Result<Authored, Flaw> {
    if text.lines().all(is_blank) {
        return Err(Flaw::new(
            Location::UNKNOWN,
            "the file is empty",
            "a scenario has at least `name`, `topology` and `failure`",
        ));
    }
    let read = serde_saphyr::from_str(text);
    if !matches!(&read, Ok(Authored { schema: None, .. })) {
        version(text)?;
    }
    read.map_err(|e| flaw(&e))
}

/// Refuses a text of another version of the format. It may well have other keys: its version is what
/// matters then.
pub(super) fn version(text: &str) -> Result<(), Flaw> {
    match serde_saphyr::from_str(text) {
        Ok(VersionOnly { schema: Some(v) }) if v.value != i64::from(VERSION) => Err(Flaw::new(
            v.place,
            format!("version {} of the scenario format is unknown", v.value),
            format!("this flaplab reads `schema: {VERSION}`"),
        )),
        _ => Ok(()),
    }
}

fn is_blank(line: &str) -> bool {
    let line = line.trim_start_matches('\u{feff}').trim();
    line.is_empty() || line.starts_with('#') || line == "---" || line == "..."
}

pub(super) fn flaw(error: &Error) -> Flaw {
    let place = error.location().unwrap_or(Location::UNKNOWN);
    let (problem, remedy) = match error.without_snippet() {
        Error::AliasError { error, .. } => {
            let inner = flaw(error);
            (inner.problem, inner.remedy)
        }
        Error::SerdeUnknownField {
            field, expected, ..
        } => (
            format!("unknown key `{field}`"),
            among("the keys here are", field, expected),
        ),
        Error::SerdeUnknownVariant {
            variant, expected, ..
        } => (
            format!("unknown word `{variant}`"),
            among("write one of", variant, expected),
        ),
        Error::SerdeMissingField { field, .. } => (
            format!("the key `{field}` is missing"),
            format!("add `{field}`; docs/scenario.md has an example"),
        ),
        Error::DuplicateMappingKey { key, .. } => (
            match key {
                Some(key) => format!("the key `{key}` is given a second time"),
                None => "a key is given a second time".to_owned(),
            },
            "keep one of the two".to_owned(),
        ),
        Error::SerdeInvalidType {
            unexpected,
            expected,
            ..
        } => (
            format!("{unexpected} where {expected} should be"),
            format!("write {expected}"),
        ),
        // Edges are the only tuples of the format.
        Error::SerdeInvalidLength { len, .. } => (
            format!("an edge of {len} routers"),
            "an edge names two routers, such as `[r1, r2]`".to_owned(),
        ),
        Error::NullIntoString { .. } => (
            "nothing where a text should be".to_owned(),
            "write a text, in quotes if it is `null` or `~`".to_owned(),
        ),
        Error::InvalidScalar { ty, .. } => {
            let wanted = plain_type(ty);
            (format!("this is not {wanted}"), format!("write {wanted}"))
        }
        Error::Unexpected { expected, .. } => (
            "a value of another type is wanted here".to_owned(),
            format!("write {}", plain_type(expected)),
        ),
        Error::MultipleDocuments { .. } => (
            "a second document begins here".to_owned(),
            "one file holds one scenario: remove the `---` or split the file".to_owned(),
        ),
        // `Span` and its kind say what would be right after a colon.
        Error::Message { msg, .. } => match msg.split_once(": ") {
            Some((problem, remedy)) => (problem.to_owned(), remedy.to_owned()),
            None => (msg.clone(), "see docs/scenario.md".to_owned()),
        },
        other => {
            let said = other.render_with_formatter(&UserMessageFormatter);
            (
                // The place stands in front already.
                said.split(" at line ").next().unwrap_or(&said).to_owned(),
                "mend the YAML here; docs/scenario.md has an example".to_owned(),
            )
        }
    };
    Flaw::new(place, problem, remedy)
}

/// The reader's name of a type, in an author's words.
fn plain_type(name: &str) -> &str {
    match name {
        _ if name.contains("i64") || name.contains("u32") || name.contains("integer") => {
            "a whole number"
        }
        _ if name.contains("u64") => "a whole number, zero or more",
        _ if name.contains("bool") => "`true` or `false`",
        _ if name.contains("mapping") => "a mapping (`key: value`)",
        _ if name.contains("sequence") => "a list (`[a, b]`)",
        _ if name.contains("string") => "a single value",
        other => other,
    }
}

/// "write one of `a`, `b`", with the nearest one first where a slip of the pen is likely.
fn among(lead: &str, written: &str, expected: &[&str]) -> String {
    let list = expected
        .iter()
        .map(|e| format!("`{e}`"))
        .collect::<Vec<_>>()
        .join(", ");
    let nearest = expected
        .iter()
        .map(|e| (strsim::osa_distance(written, e), e))
        .filter(|(d, e)| *d <= 1 + e.len() / 3)
        .min();
    match nearest {
        Some((_, e)) => format!("did you mean `{e}`? {lead} {list}"),
        None => format!("{lead} {list}"),
    }
}
