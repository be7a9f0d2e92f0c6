//! What `tcpr bench NAME --json --csv FILE` leaves: every value measured, and where it was measured.
//!
//! *Assumes* nothing of how it was measured. *Guarantees* that a row which makes no sense is an
//! error with its line, and no figure; the values of a series keep their order and their rounds.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::storage::{DirError, read_text};

/// The first line of the file of values.
pub const HEADER: &str = "benchmark,course,case,unit,round,value";

/// A line that cannot be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct SampleError {
    /// Which one, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// Everything that one benchmark measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// `throughput`, `latency`, `recovery` or `connections`.
    pub benchmark: String,
    /// One for each course and case, in the order of the file.
    pub series: Vec<Series>,
}

/// What was measured of one thing in one way.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What was measured: `to_peer`, `application_asks`, `connect` …
    pub course: String,
    /// How TCPR stood to it: `unprotected`, `checkpointed`, `application` …
    pub case: String,
    /// Unit of the values: `Mbit/s`, `us`, `1/s`.
    pub unit: String,
    /// The values of each round.
    pub rounds: Vec<Vec<f64>>,
}

impl Series {
    /// All values, ascending.
    #[must_use]
    pub fn sorted(&self) -> Vec<f64> {
        let mut values: Vec<f64> = self.rounds.iter().flatten().copied().collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    }

    /// The mean of each round: rounds are independent of one another, the values of one are not.
    #[must_use]
    pub fn round_means(&self) -> Vec<f64> {
        let mean = |v: &Vec<f64>| v.iter().sum::<f64>() / v.len() as f64;
        let some = self.rounds.iter().filter(|r| !r.is_empty());
        some.map(mean).collect()
    }
}

impl Samples {
    /// Reads the text of such a file.
    ///
    /// # Errors
    /// At the first line that makes no sense; also if there is no value.
    pub fn parse(text: &str) -> Result<Self, SampleError> {
        let error = |line: usize, reason: String| SampleError { line, reason };
        let mut lines = text.lines().enumerate();
        match lines.next() {
            Some((_, HEADER)) => {}
            _ => return Err(error(1, format!("the header is not `{HEADER}`"))),
        }
        let mut samples: Option<Samples> = None;
        for (i, text) in lines {
            let wrong = |reason: String| error(i + 1, reason);
            let [benchmark, course, case, unit, round, value] =
                text.split(',').collect::<Vec<_>>()[..]
            else {
                return Err(wrong(format!("`{text}` has not six fields")));
            };
            let round: usize = round
                .parse()
                .map_err(|_| wrong(format!("`{round}` is no number of a round")))?;
            let value = value.parse::<f64>().ok().filter(|v| v.is_finite());
            let value = value.ok_or_else(|| wrong(format!("`{text}` has no value")))?;
            let samples = samples.get_or_insert_with(|| Samples {
                benchmark: benchmark.to_owned(),
                series: Vec::new(),
            });
            if samples.benchmark != benchmark {
                let told = format!("`{benchmark}` among values of `{}`", samples.benchmark);
                return Err(wrong(told));
            }
            let series = samples.entry(course, case, unit);
            // Rounds come in order: one is begun with its first value.
            if round > series.rounds.len() {
                return Err(wrong(format!("round {round} comes too early")));
            }
            if round == series.rounds.len() {
                series.rounds.push(Vec::new());
            }
            series.rounds[round].push(value);
        }
        samples.ok_or_else(|| error(2, "there is no value".to_owned()))
    }

    fn entry(&mut self, course: &str, case: &str, unit: &str) -> &mut Series {
        let is = |s: &Series| s.course == course && s.case == case;
        let at = self.series.iter().position(is).unwrap_or_else(|| {
            self.series.push(Series {
                course: course.to_owned(),
                case: case.to_owned(),
                unit: unit.to_owned(),
                rounds: Vec::new(),
            });
            self.series.len() - 1
        });
        &mut self.series[at]
    }

    /// The series of that course and case.
    #[must_use]
    pub fn series(&self, course: &str, case: &str) -> Option<&Series> {
        let is = |s: &&Series| s.course == course && s.case == case;
        self.series.iter().find(is)
    }
}

/// The machine, and what makes the figures doubtful: of what `--json` prints.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BenchmarkInfo {
    /// The machine.
    pub setting: Setting,
    /// What is to be known before the figures are trusted.
    pub warnings: Vec<String>,
}

/// A machine, as far as it bears on the figures.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Setting {
    /// Version of tcpr.
    pub version: String,
    /// Kernel release.
    pub kernel: String,
    /// Number of CPUs available.
    pub cores: usize,
    /// TCP's congestion control.
    pub congestion_control: String,
}

/// A benchmark on disk: `NAME.csv` and, written after it, `NAME.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchmarkFiles {
    /// Every value.
    pub csv: PathBuf,
    /// What was printed with `--json`. It is there if the benchmark is whole.
    pub json: PathBuf,
}

impl BenchmarkFiles {
    /// Those of that name in a folder.
    #[must_use]
    pub fn of(folder: &Path, name: &str) -> Self {
        Self {
            csv: folder.join(format!("{name}.csv")),
            json: folder.join(format!("{name}.json")),
        }
    }

    /// Whether the benchmark has ended well.
    #[must_use]
    pub fn are_whole(&self) -> bool {
        self.csv.is_file() && self.json.is_file()
    }

    /// Reads both.
    ///
    /// # Errors
    /// If one is missing or cannot be understood.
    pub fn read(&self) -> Result<(Samples, BenchmarkInfo), DirError> {
        let parse = |path: &Path, reason: String| DirError::Parse {
            path: path.to_owned(),
            reason,
        };
        let samples =
            Samples::parse(&read_text(&self.csv)?).map_err(|e| parse(&self.csv, e.to_string()))?;
        let info = serde_json::from_str(&read_text(&self.json)?)
            .map_err(|e| parse(&self.json, e.to_string()))?;
        Ok((samples, info))
    }
}
