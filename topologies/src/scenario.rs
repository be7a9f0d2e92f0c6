//! Scenarios: from a YAML file to a value that can be run.
//!
//! *Assumes* a text, or a readable file. *Guarantees* that a [`Scenario`] is runnable: every
//! refusal happens here, with file, line, column and what would be right, and
//! [`Scenario::resolve`] cannot fail.

mod authored;
mod matrix;
mod network;
mod refusal;
mod resolve;
mod syntax;
mod validate;

use std::num::NonZeroU32;
use std::path::Path;

use ipnet::Ipv4Net;

use crate::cell::Cell;
use crate::graph::Graph;
use crate::kinds::{FailureKind, Strategy, TopologyKind};
use crate::resolved::{Deadlines, FailureSettings, InjectorSettings, RouterSettings};
pub(crate) use authored::Authored;
use refusal::Flaw;
pub use refusal::{Refusal, ScenarioError, UnsupportedStrategy};

/// A checked scenario: what is run, how often, and what is left to the seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    name: String,
    description: Option<String>,
    strategies: Vec<Strategy>,
    runs: u32,
    seed: u64,
    /// At least one: without a matrix, exactly one.
    cells: Vec<Settings>,
    text: String,
}

/// What is run in one cell of the matrix.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    cell: Cell,
    router: RouterSettings,
    injector: InjectorSettings,
    /// All but the phase, which each run draws.
    failure: FailureSettings,
    destination: Ipv4Net,
    data_plane_probe: bool,
    fresh: bool,
    deadlines: Deadlines,
    shuffle: bool,
    primary: usize,
    backup: Option<usize>,
    topology_kind: TopologyKind,
    graph: Graph,
}

impl Settings {
    /// Whether only the names of the cells differ.
    fn is_the_same_as(&self, other: &Self) -> bool {
        let Self {
            cell: _,
            router,
            injector,
            failure,
            destination,
            data_plane_probe,
            fresh,
            deadlines,
            shuffle,
            primary,
            backup,
            topology_kind,
            graph,
        } = self;
        (router, injector, failure) == (&other.router, &other.injector, &other.failure)
            && (destination, data_plane_probe) == (&other.destination, &other.data_plane_probe)
            && (deadlines, shuffle) == (&other.deadlines, &other.shuffle)
            && *fresh == other.fresh
            && (primary, backup) == (&other.primary, &other.backup)
            && (topology_kind, graph) == (&other.topology_kind, &other.graph)
    }
}

impl Scenario {
    /// Reads and checks a scenario file.
    ///
    /// # Errors
    /// If there is no such file, if it cannot be read as text, or if it is no valid scenario.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let octets = std::fs::read(path).map_err(|source| {
            let path = path.to_owned();
            match source.kind() {
                std::io::ErrorKind::NotFound => ScenarioError::NotFound { path },
                std::io::ErrorKind::IsADirectory => ScenarioError::Directory { path },
                _ => ScenarioError::Unreadable { path, source },
            }
        })?;
        let text = String::from_utf8(octets).map_err(|e| not_utf8(path, &e))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Checks a scenario's text; `file` is what refusals call it.
    ///
    /// # Errors
    /// If it is no valid scenario.
    pub fn parse(text: &str, file: &str) -> Result<Self, ScenarioError> {
        Self::read(text).map_err(|flaw| flaw.in_text(text, file).into())
    }

    fn read(text: &str) -> Result<Self, Flaw> {
        let checked =
            |cell: &str| syntax::read(cell).and_then(|authored| validate::scenario(authored, text));
        let Some(matrix) = matrix::read(text)? else {
            return checked(text);
        };
        let mut scenario: Option<Self> = None;
        for cell in matrix.cells() {
            let cell = cell?;
            let mut read = checked(cell.text()).map_err(|flaw| cell.flaw(flaw))?;
            for settings in &mut read.cells {
                settings.cell = cell.cell.clone();
            }
            match &mut scenario {
                None => scenario = Some(read),
                Some(first) => {
                    for settings in read.cells {
                        cell.check_new(&settings, &first.cells)?;
                        first.cells.push(settings);
                    }
                }
            }
        }
        // A matrix has at least one cell.
        scenario.map_or_else(|| checked(text), Ok)
    }

    /// The same scenario with another number of runs per arm.
    #[must_use]
    pub fn with_runs(self, runs: NonZeroU32) -> Self {
        Self {
            runs: runs.get(),
            ..self
        }
    }

    /// The same scenario with another seed.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The same scenario with these arms, each once, in the order given; with no arm given, its
    /// own.
    ///
    /// # Errors
    /// If its injector cannot run one of them.
    pub fn with_strategies(self, strategies: &[Strategy]) -> Result<Self, UnsupportedStrategy> {
        let mut once: Vec<Strategy> = Vec::new();
        for s in strategies {
            for cell in &self.cells {
                UnsupportedStrategy::check(cell.injector.kind, *s)?;
            }
            if !once.contains(s) {
                once.push(*s);
            }
        }
        if once.is_empty() {
            return Ok(self);
        }
        Ok(Self {
            strategies: once,
            ..self
        })
    }

    /// Name of the scenario, fit for a file name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the scenario is for, if its author says so.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The cells of the matrix, in the author's order: one without a name if there is no matrix.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = &Cell> {
        self.cells.iter().map(|settings| &settings.cell)
    }

    /// The graph that the topology is generated from, in the first cell.
    #[must_use]
    pub fn topology_kind(&self) -> TopologyKind {
        self.first().topology_kind
    }

    /// Number of routers, without the injector, in the first cell.
    #[must_use]
    pub fn size(&self) -> usize {
        self.first().graph.size()
    }

    /// Settings of every router, in the first cell.
    #[must_use]
    pub fn router(&self) -> &RouterSettings {
        &self.first().router
    }

    /// What fails, in the first cell.
    #[must_use]
    pub fn failure(&self) -> FailureKind {
        self.first().failure.kind
    }

    /// A scenario has a cell, with or without a matrix.
    fn first(&self) -> &Settings {
        &self.cells[0]
    }

    /// The arms, in the author's order: at least one, none twice.
    #[must_use]
    pub fn strategies(&self) -> &[Strategy] {
        &self.strategies
    }

    /// Number of runs per arm and cell, at least 1.
    #[must_use]
    pub const fn runs(&self) -> u32 {
        self.runs
    }

    /// What all chance is drawn from.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The author's own text, to be kept beside the results.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> ScenarioError {
    let octets = error.as_bytes();
    let at = error.utf8_error().valid_up_to();
    let before = String::from_utf8_lossy(&octets[..at]);
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    ScenarioError::NotUtf8 {
        path: path.to_owned(),
        line: 1 + before.matches('\n').count(),
        column: 1 + before[line_start..].chars().count(),
        octet: octets.get(at).copied().unwrap_or(0),
    }
}
