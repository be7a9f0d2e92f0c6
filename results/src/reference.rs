//! Published figures to compare with.
//!
//! *Assumes* nothing of a campaign. *Guarantees* that each number comes with the sentence it
//! was taken from, the figure, the router and the MRAI it was measured with; nothing is read
//! off a plot.

use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use topologies::{FailureKind, Strategy, TopologyKind};

/// `results/reference/surton2014.yaml`, as it was when this program was built.
pub const SURTON2014_YAML: &str = include_str!("../reference/surton2014.yaml");

/// The figures of Surton (2014), chapters 3 and 4.
#[must_use]
pub fn surton2014() -> &'static Reference {
    static PARSED: LazyLock<Reference> = LazyLock::new(|| {
        Reference::parse(SURTON2014_YAML).expect("the embedded reference is well-formed")
    });
    &PARSED
}

/// A reference that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("the reference figures cannot be understood: {0}")]
pub struct ReferenceError(#[from] serde_saphyr::Error);

/// The figures of one publication.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Where they were published.
    pub source: Source,
    /// What they were measured with.
    pub setup: Setup,
    /// The figures.
    pub values: Vec<PublishedValue>,
    /// What the benchmarks of TCPR were made on.
    pub benchmark_quotations: Vec<Quotation>,
    /// The tables of the benchmarks of TCPR.
    pub benchmarks: Vec<PublishedBenchmark>,
}

/// A publication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Who wrote it.
    pub author: String,
    /// Its title.
    pub title: String,
    /// What it is, and where it was accepted.
    pub kind: String,
    /// When.
    pub date: String,
    /// Which chapters.
    pub chapters: String,
}

/// What the figures were measured with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// Implementation of the routers.
    pub router: String,
    /// Its version, if the text gives it.
    pub router_version: Option<String>,
    /// Implementation of the injector.
    pub injector: String,
    /// Its version, if the text gives it.
    pub injector_version: Option<String>,
    /// Number of routers.
    pub routers: usize,
    /// MRAI, seconds.
    pub mrai_s: f64,
    /// Number of runs, as the text says it.
    pub runs: String,
    /// Where the text says so.
    pub quotations: Vec<Quotation>,
}

/// A sentence of the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quotation {
    /// Section.
    pub section: String,
    /// The sentence.
    pub text: String,
}

/// Which of our metrics a figure is to be compared with: a column of `metrics.csv`, in the mean
/// over routers and runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// From the failure to the last routing-table change at any router, seconds.
    ConvergenceS,
    /// Time during which a router does not reach the destination, seconds.
    DisconnectedS,
    /// Advertisements and withdrawals of the destination that a router sends.
    UpdatesSent,
}

/// How the text states a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Relation {
    /// "more than".
    #[serde(rename = ">")]
    MoreThan,
    /// "nearly", "about".
    #[serde(rename = "~")]
    About,
    /// As it stands.
    #[serde(rename = "=")]
    Exactly,
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::MoreThan => ">",
            Self::About => "~",
            Self::Exactly => "=",
        })
    }
}

/// One published number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedValue {
    /// What failed.
    pub failure: FailureKind,
    /// On which graph.
    pub topology: TopologyKind,
    /// How it was survived.
    pub strategy: Strategy,
    /// What was measured.
    pub metric: Metric,
    /// How the text states it.
    pub relation: Relation,
    /// The number.
    pub value: f64,
    /// If given, the number is a difference to the same metric under this strategy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_to: Option<Strategy>,
    /// Its unit.
    pub unit: String,
    /// The figure that shows its distribution.
    pub figure: u32,
    /// The section it stands in.
    pub section: String,
    /// The sentence it was taken from.
    pub quotation: String,
}

impl PublishedValue {
    /// The number as the text states it: `> 15`, `> none + 100`.
    #[must_use]
    pub fn stated(&self) -> String {
        let relation = match self.relation {
            Relation::Exactly => String::new(),
            other => format!("{other} "),
        };
        let base = self
            .relative_to
            .map_or(String::new(), |strategy| format!("{strategy} + "));
        format!("{relation}{base}{}", self.value)
    }
}

/// One row of a table of the benchmarks of TCPR.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedBenchmark {
    /// The table, which the study counts among the figures.
    pub figure: u32,
    /// The benchmark of ours that stands beside it, ...
    pub benchmark: String,
    /// ... what it measures, ...
    pub course: String,
    /// ... and how TCPR stands to it there.
    pub case: String,
    /// Whether ours measures the same.
    pub same_measure: bool,
    /// Mean.
    pub value: f64,
    /// Standard deviation.
    pub deviation: f64,
    /// Unit of both.
    pub unit: String,
    /// The section it stands in.
    pub section: String,
    /// The row as it stands.
    pub quotation: String,
}

impl Reference {
    /// Reads the figures of a publication.
    ///
    /// # Errors
    /// With line and column, if a key is unknown or missing, or a value makes no sense.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        Ok(serde_saphyr::from_str(text)?)
    }

    /// What is published of that metric for that failure and strategy.
    #[must_use]
    pub fn value(
        &self,
        failure: FailureKind,
        strategy: Strategy,
        metric: Metric,
    ) -> Option<&PublishedValue> {
        self.values
            .iter()
            .find(|v| v.failure == failure && v.strategy == strategy && v.metric == metric)
    }
}
