//! Why a scenario was refused, where, and what would be right.
//!
//! *Assumes* the text that was read. *Guarantees* that every refusal of a text names its file,
//! line and column (from 1, in characters), shows the line, and says what to write instead.

use std::fmt;
use std::path::PathBuf;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_saphyr::Location;

use crate::kinds::{InjectorKind, Strategy};

/// A scenario could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// There is no such file.
    #[error(
        "{}: no such file; give the path of a scenario, such as topologies/scenarios/clique4-control.yaml",
        path.display()
    )]
    NotFound {
        /// The path that was given.
        path: PathBuf,
    },
    /// The path is a directory's.
    #[error("{}: a directory; give the path of one scenario file in it", path.display())]
    Directory {
        /// The path that was given.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The path that was given.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not text.
    #[error(
        "{}:{line}:{column}: octet 0x{octet:02x} is not UTF-8; save the scenario as UTF-8 text",
        path.display()
    )]
    NotUtf8 {
        /// The path that was given.
        path: PathBuf,
        /// Line of the first wrong octet, from 1.
        line: usize,
        /// Column of the first wrong octet, from 1, in characters.
        column: usize,
        /// The octet.
        octet: u8,
    },
    /// The text is no valid scenario.
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
}

/// An arm that the scenario's injector cannot run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}; {}", self.problem(), Self::REMEDY)]
pub struct UnsupportedStrategy {
    /// The injector.
    pub injector: InjectorKind,
    /// The arm.
    pub strategy: Strategy,
}

impl UnsupportedStrategy {
    pub(crate) const REMEDY: &'static str = "write `injector: {kind: flaplab}` in the scenario, which runs every arm, or leave this arm out";

    pub(crate) fn check(injector: InjectorKind, strategy: Strategy) -> Result<(), Self> {
        match injector.supports(strategy) {
            true => Ok(()),
            false => Err(Self { injector, strategy }),
        }
    }

    pub(crate) fn problem(&self) -> String {
        let Self { injector, strategy } = self;
        format!("injector `{injector}` cannot run strategy `{strategy}`")
    }
}

/// One refused place of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The file, as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub remedy: String,
    snippet: String,
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            problem,
            remedy,
            snippet,
        } = self;
        write!(
            f,
            "{file}:{line}:{column}: {problem}\n{snippet}\n   = help: {remedy}"
        )
    }
}

/// What is wrong with a scenario, before it is known which text it came from.
#[derive(Debug)]
pub(crate) struct Flaw {
    pub(crate) place: Location,
    pub(crate) problem: String,
    pub(crate) remedy: String,
}

impl Flaw {
    pub(crate) fn new(
        place: Location,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            place,
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    /// The flaw as it is shown to the author of `text`.
    pub(crate) fn in_text(self, text: &str, file: &str) -> Box<Refusal> {
        let line = usize::try_from(self.place.line()).unwrap_or(0).max(1);
        let column = usize::try_from(self.place.column()).unwrap_or(0).max(1);
        let length = usize::try_from(self.place.span().len()).unwrap_or(1);
        let marked = octets(text, line, column, length);
        let source = Snippet::source(text)
            .path(file)
            .annotation(AnnotationKind::Primary.span(marked));
        let snippet = Renderer::plain().render(&[Group::with_level(Level::ERROR).element(source)]);
        Box::new(Refusal {
            file: file.to_owned(),
            line,
            column,
            problem: self.problem,
            remedy: self.remedy,
            snippet,
        })
    }
}

/// The octets of `length` characters from that place on, cut at the end of its line.
fn octets(text: &str, line: usize, column: usize, length: usize) -> std::ops::Range<usize> {
    let start_of_line: usize = text
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum();
    let rest = text[start_of_line..].lines().next().unwrap_or("");
    let at = |n: usize| {
        rest.char_indices()
            .nth(n)
            .map_or(rest.len(), |(octet, _)| octet)
    };
    let start = at(column - 1);
    let end = at(column - 1 + length.max(1)).max(start);
    start_of_line + start..start_of_line + end
}
