//! A study's directory: its campaigns, the benchmarks of TCPR, and what is computed of them all.
//!
//! *Assumes* nothing of what the parts hold. *Guarantees* that a directory that is no study is not
//! made one if anything is in it, and that one process at a time adds to a study.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::benchmark::BenchmarkFiles;
use crate::campaign::CampaignDir;
use crate::storage::{DirError, Lock, create_new_dir, read_text, write_atomically};

/// The benchmarks of TCPR that a study has, by the name of their command.
pub const BENCHMARKS: [&str; 4] = ["throughput", "latency", "recovery", "connections"];

/// `study.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyMark {
    /// Version of this format.
    pub schema_version: u32,
    /// What is reproduced: `surton2014`.
    pub study: String,
}

/// One study's directory, by its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyDir {
    path: PathBuf,
}

/// A study that this process alone adds to, until this value is dropped or the process ends.
#[derive(Debug)]
pub struct ClaimedStudy {
    /// The directory.
    pub dir: StudyDir,
    _lock: Lock,
}

impl StudyDir {
    const MARK: &str = "study.json";

    /// Makes a new one, or takes one up that is there.
    ///
    /// # Errors
    /// [`DirError::Exists`] if there is something else at that path, [`DirError::InUse`] if another
    /// process adds to it.
    pub fn claim(path: impl Into<PathBuf>, study: &str) -> Result<ClaimedStudy, DirError> {
        let dir = Self { path: path.into() };
        match create_new_dir(&dir.path) {
            Err(DirError::Exists { .. }) if dir.is_study_of(study)? || dir.was_begun() => {}
            other => other?,
        }
        let lock = Lock::take(&dir.path)?;
        let mark = dir.path.join(Self::MARK);
        if !mark.exists() {
            let text = serde_json::to_string_pretty(&StudyMark {
                schema_version: 1,
                study: study.to_owned(),
            })
            .map_err(|e| DirError::Format {
                path: mark.clone(),
                reason: e.to_string(),
            })?;
            write_atomically(&mark, (text + "\n").as_bytes())?;
        }
        Ok(ClaimedStudy { dir, _lock: lock })
    }

    /// The study in a directory, if it is one.
    ///
    /// # Errors
    /// If its mark cannot be read.
    pub fn find(path: impl Into<PathBuf>) -> Result<Option<Self>, DirError> {
        let dir = Self { path: path.into() };
        Ok(dir.mark()?.map(|_| dir))
    }

    fn mark(&self) -> Result<Option<StudyMark>, DirError> {
        let path = self.path.join(Self::MARK);
        if !path.is_file() {
            return Ok(None);
        }
        let text = read_text(&path)?;
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|e| DirError::Parse {
                path,
                reason: e.to_string(),
            })
    }

    fn is_study_of(&self, study: &str) -> Result<bool, DirError> {
        Ok(self.mark()?.is_some_and(|m| m.study == study))
    }

    /// Whether nothing is in it but what comes before the mark.
    fn was_begun(&self) -> bool {
        let first = [Lock::NAME, "study.json.tmp"];
        std::fs::read_dir(&self.path).is_ok_and(|entries| {
            let mut names = entries.map(|e| e.map(|e| e.file_name()));
            names.all(|n| n.is_ok_and(|n| first.iter().any(|f| n == *f)))
        })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the campaign of that name is: `mrai-probe`, `control`, `correlated`.
    #[must_use]
    pub fn part(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The campaign of that name, if it was begun.
    ///
    /// # Errors
    /// If there is something that is no campaign.
    pub fn campaign(&self, name: &str) -> Result<Option<CampaignDir>, DirError> {
        let path = self.part(name);
        path.exists().then(|| CampaignDir::open(path)).transpose()
    }

    /// `tcpr/`: the benchmarks of TCPR.
    #[must_use]
    pub fn tcpr_dir(&self) -> PathBuf {
        self.path.join("tcpr")
    }

    /// The files of one benchmark.
    #[must_use]
    pub fn benchmark(&self, name: &str) -> BenchmarkFiles {
        BenchmarkFiles::of(&self.tcpr_dir(), name)
    }

    /// `figures/`.
    #[must_use]
    pub fn figures_dir(&self) -> PathBuf {
        self.path.join("figures")
    }

    /// `study.md`: the study against what was measured, for people.
    #[must_use]
    pub fn study_md(&self) -> PathBuf {
        self.path.join("study.md")
    }

    /// `study.csv`: the same, for programs.
    #[must_use]
    pub fn study_csv(&self) -> PathBuf {
        self.path.join("study.csv")
    }
}
