//! A submission: what one `flaplab campaign submit` wrote to `CAMPAIGN/slurm/N`.
//!
//! *Assumes* that the campaign is claimed while one is made. *Guarantees* that it is there whole or
//! is no submission, that nothing in it changes afterwards but that jobs are added, and that a job
//! notes itself when it begins, also one that was submitted by hand.
//!
//!     submission.json   which runs were asked for, and by which flaplab
//!     tasks             a line per task: the runs it makes
//!     job.sh            what sbatch is given
//!     jobs/ID           an empty file for each job of the batch engine
//!     log/N.log         what task N said

use std::fs;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use results::CampaignDir;
use serde::{Deserialize, Serialize};
use topologies::{Scenario, Strategy};

/// Name of the folder of a campaign's submissions.
const FOLDER: &str = "slurm";
/// Version of `submission.json`.
const SCHEMA_VERSION: u32 = 1;

/// What of a scenario is run: the overrides of the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Selection {
    /// Runs of each arm, instead of the scenario's.
    pub(crate) runs: Option<NonZeroU32>,
    /// Seed, instead of the scenario's.
    pub(crate) seed: Option<u64>,
    /// Only these arms; none: all.
    pub(crate) strategies: Vec<Strategy>,
}

impl Selection {
    /// The scenario with its overrides; `file` is where it stands.
    pub(crate) fn of(&self, mut scenario: Scenario, file: &Path) -> anyhow::Result<Scenario> {
        if let Some(runs) = self.runs {
            scenario = scenario.with_runs(runs);
        }
        if let Some(seed) = self.seed {
            scenario = scenario.with_seed(seed);
        }
        scenario
            .with_strategies(&self.strategies)
            .with_context(|| format!("{}: --strategy", file.display()))
    }
}

/// `submission.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Version of this file's format.
    pub(crate) schema_version: u32,
    /// Name of the scenario.
    pub(crate) scenario: String,
    /// What of it is run.
    #[serde(flatten)]
    pub(crate) selection: Selection,
    /// When it was made, RFC 3339, UTC.
    pub(crate) created_at: String,
    /// flaplab's version.
    pub(crate) tool_version: String,
    /// flaplab's commit.
    pub(crate) tool_commit: String,
}

impl Record {
    /// That of a submission that is made now, by this flaplab.
    pub(crate) fn now(scenario: &Scenario, selection: Selection) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            scenario: scenario.name().to_owned(),
            selection,
            created_at: jiff::Timestamp::now().to_string(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            tool_commit: env!("FLAPLAB_COMMIT").to_owned(),
        }
    }
}

/// One submission.
#[derive(Debug, Clone)]
pub(crate) struct Submission {
    path: PathBuf,
    /// Its number within the campaign, from 1.
    pub(crate) number: u32,
    /// What was asked for.
    pub(crate) record: Record,
    /// The runs of each task.
    pub(crate) tasks: Vec<Vec<String>>,
}

impl Submission {
    /// All of a campaign, by their numbers.
    pub(crate) fn all(campaign: &CampaignDir) -> anyhow::Result<Vec<Submission>> {
        let mut all = Vec::new();
        for number in numbers(&campaign.path().join(FOLDER))? {
            let path = campaign.path().join(FOLDER).join(number.to_string());
            // One that was killed while it was made has no record.
            if path.join("submission.json").is_file() {
                all.push(Self::open(&path)?);
            }
        }
        all.sort_by_key(|s| s.number);
        Ok(all)
    }

    /// One that is there.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Submission> {
        let number = path.file_name().and_then(|n| n.to_str()?.parse().ok());
        let number = number.with_context(|| {
            format!(
                "{} is no submission: name a directory CAMPAIGN/{FOLDER}/N that `flaplab campaign submit` made",
                path.display()
            )
        })?;
        let file = path.join("submission.json");
        let text = read(&file)?;
        let record: Record = serde_json::from_str(&text)
            .with_context(|| format!("{} cannot be understood", file.display()))?;
        if record.schema_version != SCHEMA_VERSION {
            bail!(
                "{} is of schema version {}, and this flaplab reads version {SCHEMA_VERSION}: use flaplab {} ({}), which made it",
                file.display(),
                record.schema_version,
                record.tool_version,
                record.tool_commit
            );
        }
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        let tasks = read(&path.join("tasks"))?.lines().map(words).collect();
        Ok(Submission {
            path: path.to_owned(),
            number,
            record,
            tasks,
        })
    }

    /// Makes the next one of a campaign. `script` is told its path and gives the text of `job.sh`.
    pub(crate) fn create(
        campaign: &CampaignDir,
        record: Record,
        tasks: Vec<Vec<String>>,
        script: impl FnOnce(&Path) -> anyhow::Result<String>,
    ) -> anyhow::Result<Submission> {
        let folder = campaign.path().join(FOLDER);
        let number = numbers(&folder)?.into_iter().max().unwrap_or(0) + 1;
        let path = folder.join(number.to_string());
        let script = script(&path)?;
        for dir in [&path.join("jobs"), &path.join("log")] {
            fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        }
        let lines: String = tasks.iter().map(|t| t.join(" ") + "\n").collect();
        write(&path.join("tasks"), &lines)?;
        write(&path.join("job.sh"), &script)?;
        // Last: with it, the submission is there.
        let record_text = serde_json::to_string_pretty(&record)? + "\n";
        let whole = path.join("submission.json.tmp");
        write(&whole, &record_text)?;
        let file = path.join("submission.json");
        fs::rename(&whole, &file).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(Submission {
            path,
            number,
            record,
            tasks,
        })
    }

    /// Its directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// `job.sh`.
    pub(crate) fn script(&self) -> PathBuf {
        self.path.join("job.sh")
    }

    /// What task `number` said.
    pub(crate) fn log(&self, number: usize) -> PathBuf {
        self.path.join(format!("log/{number}.log"))
    }

    /// The campaign that it is of.
    pub(crate) fn campaign(&self) -> anyhow::Result<CampaignDir> {
        let mut above = self.path.ancestors().skip(2);
        let path = above.next().filter(|p| !p.as_os_str().is_empty());
        Ok(CampaignDir::open(path.unwrap_or(Path::new(".")))?)
    }

    /// The runs of task `number`, which is from 1.
    pub(crate) fn task(&self, number: NonZeroUsize) -> anyhow::Result<&[String]> {
        let task = self.tasks.get(number.get() - 1).map(Vec::as_slice);
        task.with_context(|| {
            format!(
                "there is no task {number}: {} has {} lines, and tasks are counted from 1",
                self.path.join("tasks").display(),
                self.tasks.len()
            )
        })
    }

    /// Ids of its jobs, the latest last.
    pub(crate) fn jobs(&self) -> anyhow::Result<Vec<u32>> {
        let mut jobs = numbers(&self.path.join("jobs"))?;
        jobs.sort_unstable();
        Ok(jobs)
    }

    /// Notes a job; nothing, if it is noted already.
    pub(crate) fn note_job(&self, id: u32) -> anyhow::Result<()> {
        let file = self.path.join("jobs").join(id.to_string());
        fs::File::create(&file).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(())
    }
}

/// What of its scenario a campaign wants: what the last submission chose, or all of it. One that
/// came to no job, because Slurm refused it say, counts only if none did.
pub(crate) fn wanted(submissions: &[Submission]) -> anyhow::Result<Selection> {
    let mut wanted = submissions.last();
    for submission in submissions.iter().rev() {
        if !submission.jobs()?.is_empty() {
            wanted = Some(submission);
            break;
        }
    }
    Ok(wanted.map_or_else(Selection::default, |s| s.record.selection.clone()))
}

/// The scenario of a campaign, as far as it is wanted.
pub(crate) fn chosen(
    campaign: &CampaignDir,
    submissions: &[Submission],
) -> anyhow::Result<Scenario> {
    let path = campaign.scenario_path();
    wanted(submissions)?.of(Scenario::load(&path)?, &path)
}

/// Names in a folder that are numbers; none if it is not there.
fn numbers(folder: &Path) -> anyhow::Result<Vec<u32>> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot read {}", folder.display()))?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        numbers.extend(
            entry
                .file_name()
                .to_str()
                .and_then(|n| n.parse::<u32>().ok()),
        );
    }
    Ok(numbers)
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const TEXT: &str = "schema: 1\nname: four\ntopology: {kind: clique, size: 4}\nfailure: {kind: control}\nruns: 2\nseed: 7\n";

    fn made(campaign: &CampaignDir, selection: Selection) -> Submission {
        let scenario = Scenario::parse(TEXT, "four.yaml").unwrap();
        let record = Record::now(&scenario, selection);
        let tasks = vec![vec!["a".to_owned(), "b".to_owned()], vec!["c".to_owned()]];
        let script = |path: &Path| Ok(format!("# {}\n", path.display()));
        Submission::create(campaign, record, tasks, script).unwrap()
    }

    #[test]
    fn a_submission_is_read_as_it_was_made() {
        let dir = tempfile::tempdir().unwrap();
        let campaign = CampaignDir::create(dir.path().join("c"), TEXT).unwrap();
        assert_eq!(Submission::all(&campaign).unwrap().len(), 0);
        let selection = Selection {
            runs: NonZeroU32::new(9),
            seed: Some(u64::MAX),
            strategies: vec![Strategy::Tcpr],
        };
        let first = made(&campaign, selection.clone());
        let second = made(&campaign, Selection::default());
        // One that was killed while it was made.
        fs::create_dir(campaign.path().join("slurm/3")).unwrap();
        let read = Submission::all(&campaign).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].number, read[1].number), (1, 2));
        assert_eq!(
            (&read[0].record, &read[0].tasks),
            (&first.record, &first.tasks)
        );
        assert_eq!(read[0].record.selection, selection);
        assert_eq!(read[1].campaign().unwrap(), campaign);
        assert_eq!(made(&campaign, Selection::default()).number, 4);

        assert_eq!(second.jobs().unwrap(), [] as [u32; 0]);
        for id in [100, 9, 100] {
            second.note_job(id).unwrap();
        }
        assert_eq!(second.jobs().unwrap(), [9, 100]);
        let task = |n| second.task(NonZeroUsize::new(n).unwrap());
        assert_eq!(task(2).unwrap(), ["c"]);
        assert!(task(3).unwrap_err().to_string().contains("has 2 lines"));
    }

    #[test]
    fn the_last_submission_says_what_of_the_scenario_is_run() {
        let dir = tempfile::tempdir().unwrap();
        let campaign = CampaignDir::create(dir.path().join("c"), TEXT).unwrap();
        assert_eq!(chosen(&campaign, &[]).unwrap().runs(), 2);
        let selection = Selection {
            runs: NonZeroU32::new(9),
            seed: Some(8),
            strategies: vec![Strategy::Tcpr],
        };
        let submissions = [
            made(&campaign, Selection::default()),
            made(&campaign, selection),
        ];
        let scenario = chosen(&campaign, &submissions).unwrap();
        assert_eq!((scenario.runs(), scenario.seed()), (9, 8));
        assert_eq!(scenario.strategies(), [Strategy::Tcpr]);
        // The other one is the last that Slurm has taken.
        submissions[0].note_job(12).unwrap();
        assert_eq!(chosen(&campaign, &submissions).unwrap().runs(), 2);
    }

    #[test]
    fn what_is_no_submission_is_refused_with_what_would_be_one() {
        for (path, part) in [
            ("/tmp", "CAMPAIGN/slurm/N"),
            ("/nowhere/slurm/1", "cannot read"),
        ] {
            let error = Submission::open(Path::new(path)).unwrap_err();
            assert!(format!("{error:#}").contains(part), "{error:#}");
        }
    }
}
