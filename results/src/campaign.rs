//! A campaign directory: the runs of one scenario over all its arms, with its results.
//!
//! *Assumes* that runs may be added from several threads, each under a name of its own.
//! *Guarantees* that nothing in an existing directory is overwritten or removed, that one process
//! at a time adds to a campaign, and that the scenario's text is kept as its author wrote it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::rundir::RunDir;
use crate::storage::{
    DirError, Lock, check_name, create_new_dir, io_error, read_text, write_atomically,
};

/// One campaign directory, by its path. Cheap: nothing is held open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignDir {
    path: PathBuf,
}

/// A campaign directory that this process alone adds to, until this value is dropped or the
/// process ends, however it ends.
#[derive(Debug)]
pub struct ClaimedCampaign {
    /// The directory.
    pub dir: CampaignDir,
    /// Whether it was a campaign before, so that runs may be there.
    pub resumed: bool,
    _lock: Lock,
}

impl CampaignDir {
    /// Makes a new one, with its parents and the scenario's text.
    ///
    /// # Errors
    /// [`DirError::Exists`] if there is anything at that path already.
    pub fn create(path: impl Into<PathBuf>, scenario_text: &str) -> Result<Self, DirError> {
        let dir = Self { path: path.into() };
        create_new_dir(&dir.path)?;
        dir.furnish(scenario_text)?;
        Ok(dir)
    }

    /// Makes a new one, or takes one up that is there, for this process alone. One that was killed
    /// while it was made is finished: an empty directory is such a one.
    ///
    /// # Errors
    /// [`DirError::Exists`] if there is something at that path that is no campaign, and
    /// [`DirError::InUse`] if another process adds to it.
    pub fn claim(
        path: impl Into<PathBuf>,
        scenario_text: &str,
    ) -> Result<ClaimedCampaign, DirError> {
        let dir = Self { path: path.into() };
        match create_new_dir(&dir.path) {
            Err(DirError::Exists { .. }) if dir.was_begun() => {}
            other => other?,
        }
        let lock = Lock::take(&dir.path)?;
        let resumed = dir.is_campaign();
        if !resumed {
            dir.furnish(scenario_text)?;
        }
        Ok(ClaimedCampaign {
            dir,
            resumed,
            _lock: lock,
        })
    }

    /// What makes a directory a campaign. `runs/` comes last: with it, all is there.
    fn furnish(&self, scenario_text: &str) -> Result<(), DirError> {
        write_atomically(&self.scenario_path(), scenario_text.as_bytes())?;
        let runs = self.runs_dir();
        fs::create_dir(&runs).map_err(io_error("create", &runs))
    }

    fn is_campaign(&self) -> bool {
        self.scenario_path().is_file() && self.runs_dir().is_dir()
    }

    /// Whether this is a campaign, or a directory with nothing in it but what [`Self::claim`] puts
    /// there before `runs/`.
    fn was_begun(&self) -> bool {
        const FIRST: [&str; 3] = [Lock::NAME, "scenario.yaml", "scenario.yaml.tmp"];
        let only_first = |entries: fs::ReadDir| {
            let mut names = entries.map(|e| e.map(|e| e.file_name()));
            let first = names.all(|n| n.is_ok_and(|n| FIRST.iter().any(|f| n == *f)));
            // A scenario that lies there alone is its author's: the lock comes before ours.
            first && (self.path.join(Lock::NAME).exists() || !self.scenario_path().exists())
        };
        self.is_campaign() || fs::read_dir(&self.path).is_ok_and(only_first)
    }

    /// One that is there already.
    ///
    /// # Errors
    /// [`DirError::NotACampaign`] if it has no `scenario.yaml` or no `runs/`.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DirError> {
        let dir = Self { path: path.into() };
        let missing = if !dir.path.is_dir() {
            fs::read_dir(&dir.path).map_err(io_error("open", &dir.path))?;
            "directory"
        } else if !dir.scenario_path().is_file() {
            "scenario.yaml"
        } else if !dir.runs_dir().is_dir() {
            "runs/"
        } else {
            return Ok(dir);
        };
        Err(DirError::NotACampaign {
            path: dir.path,
            missing,
        })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The text of the scenario, as its author wrote it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn scenario_text(&self) -> Result<String, DirError> {
        read_text(&self.scenario_path())
    }

    /// Makes the directory of a new run.
    ///
    /// # Errors
    /// If the name cannot be a directory's, or there is a run of that name.
    pub fn create_run(&self, run_id: &str) -> Result<RunDir, DirError> {
        check_name("run", run_id)?;
        RunDir::create(self.run_path(run_id))
    }

    /// Moves a run aside, to `abandoned/RUN-N` with the first N that is free: what it recorded
    /// stays, and is no part of the campaign any more. Returns where it is.
    ///
    /// # Errors
    /// If it cannot be moved.
    pub fn abandon(&self, run_id: &str) -> Result<PathBuf, DirError> {
        let aside = self.abandoned_dir();
        fs::create_dir_all(&aside).map_err(io_error("create", &aside))?;
        let free = |n: &u32| fs::symlink_metadata(aside.join(format!("{run_id}-{n}"))).is_err();
        let n = (1..).find(free).unwrap_or(u32::MAX);
        let to = aside.join(format!("{run_id}-{n}"));
        let from = self.run_path(run_id);
        fs::rename(&from, &to).map_err(io_error("move aside", &from))?;
        Ok(to)
    }

    /// Where the run of that name is.
    #[must_use]
    pub fn run_path(&self, run_id: &str) -> PathBuf {
        self.runs_dir().join(run_id)
    }

    /// All runs, sorted by name, those without a manifest too: a run that was killed at its very
    /// start has none, and whoever reads the campaign should say so.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn runs(&self) -> Result<Vec<RunDir>, DirError> {
        let runs = self.runs_dir();
        let mut found = Vec::new();
        for entry in fs::read_dir(&runs).map_err(io_error("read", &runs))? {
            let entry = entry.map_err(io_error("read", &runs))?;
            if entry.path().is_dir() {
                found.push(RunDir::at(entry.path()));
            }
        }
        found.sort();
        Ok(found)
    }

    /// `scenario.yaml`: the author's text.
    #[must_use]
    pub fn scenario_path(&self) -> PathBuf {
        self.path.join("scenario.yaml")
    }

    /// `runs/`.
    #[must_use]
    pub fn runs_dir(&self) -> PathBuf {
        self.path.join("runs")
    }

    /// `abandoned/`: runs that were interrupted, and made again. Nothing analyses them.
    #[must_use]
    pub fn abandoned_dir(&self) -> PathBuf {
        self.path.join("abandoned")
    }

    /// `tasks/`: of a campaign that several machines work at, a campaign directory per task, with
    /// the runs that it has made and that are to be merged.
    #[must_use]
    pub fn tasks_dir(&self) -> PathBuf {
        self.path.join("tasks")
    }

    /// The directories of all tasks, sorted by name. One that is being made is none yet.
    ///
    /// # Errors
    /// If `tasks/` is there and cannot be read.
    pub fn tasks(&self) -> Result<Vec<CampaignDir>, DirError> {
        let tasks = self.tasks_dir();
        let entries = match fs::read_dir(&tasks) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(io_error("read", &tasks))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(io_error("read", &tasks))?.path();
            let task = Self { path };
            if task.is_campaign() {
                found.push(task);
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// `incoming/`: where runs are copied to before they get their place in `runs/`.
    #[must_use]
    pub fn incoming_dir(&self) -> PathBuf {
        self.path.join("incoming")
    }

    /// `metrics.csv`: a row per run and router.
    #[must_use]
    pub fn metrics_csv(&self) -> PathBuf {
        self.path.join("metrics.csv")
    }

    /// `metrics.parquet`: the same table.
    #[must_use]
    pub fn metrics_parquet(&self) -> PathBuf {
        self.path.join("metrics.parquet")
    }

    /// `summary.csv`: a row per scenario, arm and metric.
    #[must_use]
    pub fn summary_csv(&self) -> PathBuf {
        self.path.join("summary.csv")
    }

    /// `differences.csv`: a row per metric and pair of arms.
    #[must_use]
    pub fn differences_csv(&self) -> PathBuf {
        self.path.join("differences.csv")
    }

    /// `sessions.csv`: a row per run and directed BGP session.
    #[must_use]
    pub fn sessions_csv(&self) -> PathBuf {
        self.path.join("sessions.csv")
    }

    /// `findings.csv`: a row per finding, of the runs and of the analysis.
    #[must_use]
    pub fn findings_csv(&self) -> PathBuf {
        self.path.join("findings.csv")
    }

    /// `report.html`: the campaign as one page, without need of anything beside it.
    #[must_use]
    pub fn report_html(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// `figures/`.
    #[must_use]
    pub fn figures_dir(&self) -> PathBuf {
        self.path.join("figures")
    }
}
