//! A scenario's matrix: from keys and lists of values to one text per cell.
//!
//! *Assumes* the author's text. *Guarantees* that each cell is the author's scenario with its values
//! put in, to be read and checked by the code that reads and checks every other scenario, and that
//! what is wrong with a cell is shown where the author wrote it.

mod tree;

use serde::Deserialize;
use serde::de::IgnoredAny;

use self::tree::{Composed, Node, Value};
use super::authored::At;
use super::refusal::Flaw;
use super::{Settings, syntax};
use crate::cell::{Cell, Setting};

/// More cells than anybody waits for.
const MAX_CELLS: usize = 1_000;

/// Keys that are the campaign's, not a cell's, and what to do instead.
const OF_THE_CAMPAIGN: [(&str, &str); 7] = [
    ("schema", "it is the version of the whole file"),
    (
        "name",
        "all cells belong to one scenario; each is named after its values",
    ),
    (
        "description",
        "write what the cells are for in the scenario's own `description`",
    ),
    (
        "strategies",
        "list the arms in `strategies` beside the matrix: every cell is run in each",
    ),
    (
        "runs",
        "write `runs` beside the matrix: every cell has as many in each arm",
    ),
    (
        "seed",
        "cells are compared on equal draws; to have others, run the scenario again with `--seed`",
    ),
    ("matrix", "list all keys and values in one matrix"),
];

/// A scenario with a matrix.
pub(super) struct Matrix {
    /// All but the matrix.
    scenario: Node,
    dimensions: Vec<Dimension>,
}

struct Dimension {
    key: At<String>,
    values: Vec<Node>,
}

/// One cell, to be read.
pub(super) struct CellText {
    pub(super) cell: Cell,
    composed: Composed,
    values: Vec<Node>,
}

/// Reads the matrix of a scenario; none if it has none. What else is wrong with the text, reading
/// the scenario itself will tell.
pub(super) fn read(text: &str) -> Result<Option<Matrix>, Flaw> {
    #[derive(Deserialize)]
    struct Presence {
        matrix: Option<IgnoredAny>,
    }
    let Ok(Presence { matrix: Some(_) }) = serde_saphyr::from_str(text) else {
        return Ok(None);
    };
    syntax::version(text)?;
    let root: Node = serde_saphyr::from_str(text).map_err(|e| syntax::flaw(&e))?;
    let mut scenario = root.keeping_words_of(text);
    let Some((_, matrix)) = scenario.take("matrix") else {
        return Ok(None);
    };
    let dimensions = dimensions(matrix)?;
    Ok(Some(Matrix {
        scenario,
        dimensions,
    }))
}

fn dimensions(matrix: Node) -> Result<Vec<Dimension>, Flaw> {
    const SHAPE: &str = "write keys of the scenario and lists of their values, such as `router.mrai: [1s, 5s]`, or leave `matrix` out";
    let entries = match matrix.value {
        Value::Mapping(entries) if !entries.is_empty() => entries,
        Value::Mapping(_) => return Err(Flaw::new(matrix.place, "the matrix is empty", SHAPE)),
        _ => return Err(Flaw::new(matrix.place, "the matrix is no mapping", SHAPE)),
    };
    let mut dimensions: Vec<Dimension> = Vec::new();
    let mut cells = 1_usize;
    for (key, node) in entries {
        check_key(&key, &dimensions)?;
        let values = match node.value {
            Value::List(values) if !values.is_empty() => values,
            _ => {
                return Err(Flaw::new(
                    node.place,
                    format!("the matrix has no list of values for `{}`", key.value),
                    format!("write a list, such as `{}: [first, second]`", key.value),
                ));
            }
        };
        for (i, value) in values.iter().enumerate() {
            let label = value.label();
            if values[..i].iter().any(|v| v.label() == label) {
                return Err(Flaw::new(
                    value.place,
                    format!("the value `{label}` of `{}` is listed twice", key.value),
                    "list each value once; `runs` says how often a cell is run",
                ));
            }
        }
        cells = cells.saturating_mul(values.len());
        if cells > MAX_CELLS {
            return Err(Flaw::new(
                key.place,
                format!("the matrix has more than {MAX_CELLS} cells"),
                "take values out, or write several scenarios",
            ));
        }
        dimensions.push(Dimension { key, values });
    }
    Ok(dimensions)
}

fn check_key(key: &At<String>, before: &[Dimension]) -> Result<(), Flaw> {
    let name = key.value.as_str();
    let refuse = |problem: String, remedy: String| Err(Flaw::new(key.place, problem, remedy));
    if let Some((_, instead)) = OF_THE_CAMPAIGN.iter().find(|(own, _)| *own == name) {
        return refuse(
            format!("`{name}` cannot be a key of the matrix"),
            (*instead).to_owned(),
        );
    }
    let known = crate::schema::keys();
    let first = name.split('.').next().unwrap_or(name);
    if !known.iter().any(|k| k == first) {
        let last = name.rsplit('.').next().unwrap_or(name);
        let meant: Vec<String> = known
            .iter()
            .filter(|k| k.rsplit('.').next() == Some(last))
            .map(|k| format!("`{k}`"))
            .collect();
        return refuse(
            format!("the scenario has no key `{name}`"),
            match meant.as_slice() {
                [] => "write the keys that lead to the value, with a dot between them, such as `router.mrai`"
                    .to_owned(),
                meant => format!("did you mean {}?", meant.join(" or ")),
            },
        );
    }
    let within = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('.'));
    for other in before.iter().map(|d| d.key.value.as_str()) {
        if within(name, other) || within(other, name) {
            return refuse(
                format!("`{name}` and `{other}` of the matrix are one within the other"),
                "vary the one or the other: what a cell is must not depend on their order"
                    .to_owned(),
            );
        }
    }
    Ok(())
}

impl Matrix {
    /// All cells: the values of the last key change fastest.
    pub(super) fn cells(&self) -> impl Iterator<Item = Result<CellText, Flaw>> {
        let count = self.dimensions.iter().map(|d| d.values.len()).product();
        (0..count).map(|number| self.cell(number))
    }

    fn cell(&self, number: usize) -> Result<CellText, Flaw> {
        let mut scenario = self.scenario.clone();
        let mut settings = Vec::new();
        let mut values = Vec::new();
        let mut rest = number;
        for dimension in self.dimensions.iter().rev() {
            let value = &dimension.values[rest % dimension.values.len()];
            rest /= dimension.values.len();
            settings.push(Setting {
                key: dimension.key.value.clone(),
                value: value.label(),
            });
            values.push(value.clone());
            let path: Vec<&str> = dimension.key.value.split('.').collect();
            scenario.put(&path, &dimension.key, value)?;
        }
        settings.reverse();
        values.reverse();
        Ok(CellText {
            cell: Cell::new(settings),
            composed: Composed::of(&scenario),
            values,
        })
    }
}

impl CellText {
    pub(super) fn text(&self) -> &str {
        &self.composed.text
    }

    /// What is wrong with the cell, for its author: at its own place, and in which cell.
    pub(super) fn flaw(&self, flaw: Flaw) -> Flaw {
        Flaw {
            place: self.composed.origin(flaw.place),
            problem: format!("{} (in the cell `{}`)", flaw.problem, self.cell),
            remedy: flaw.remedy,
        }
    }

    /// Refuses the cell if it is the same experiment as one before it.
    pub(super) fn check_new(&self, settings: &Settings, before: &[Settings]) -> Result<(), Flaw> {
        let same = |other: &&Settings| other.is_the_same_as(settings);
        let Some(other) = before.iter().find(same) else {
            return Ok(());
        };
        let pairs = self.cell.settings().iter().zip(other.cell.settings());
        let differs = pairs.zip(&self.values).find(|((a, b), _)| a != b);
        let place = differs.map_or(serde_saphyr::Location::UNKNOWN, |(_, node)| node.place);
        Err(Flaw::new(
            place,
            format!(
                "the cells `{}` and `{}` are the same experiment",
                other.cell, self.cell
            ),
            "list each value once, however it is written; `runs` says how often a cell is run",
        ))
    }
}
