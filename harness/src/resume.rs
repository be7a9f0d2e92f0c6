//! Going on with a campaign: which of its runs are there, and which are still to be made.
//!
//! *Assumes* that nobody else adds to the campaign's directory. *Guarantees* that a run which is
//! complete stays as it is, that one which is not is moved aside with all it recorded and made
//! again, and that nothing is touched if the directory holds another experiment.

use results::{CampaignDir, DirError, Manifest, RunDir, Status};
use serde_json::Value;
use topologies::{ResolvedScenario, Scenario, ScenarioError};

/// Differences that are told; the first ones say enough.
const TOLD: usize = 4;

/// Why a campaign cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// Its directory.
    #[error(transparent)]
    Dir(#[from] DirError),
    /// Its scenario is none that this flaplab understands.
    #[error(
        "{} holds a campaign whose scenario.yaml this flaplab does not understand ({source}): \
         name another directory (--out)", path.display()
    )]
    Scenario {
        /// The campaign.
        path: std::path::PathBuf,
        /// What is wrong with it.
        source: ScenarioError,
    },
    /// It holds the runs of another experiment.
    #[error(
        "{} holds a campaign of another scenario, and runs of two would be mixed: name another \
         directory (--out). In {within}: {differences}", path.display()
    )]
    Other {
        /// The campaign.
        path: std::path::PathBuf,
        /// Where it differs: `scenario.yaml`, or a run.
        within: String,
        /// What differs: the key, what it is there, what it would be.
        differences: String,
    },
}

/// What is left to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Resumed {
    /// Number of runs that are there and complete, of those that were asked for.
    pub there: usize,
    /// Runs to be made, in the order given.
    pub missing: Vec<ResolvedScenario>,
    /// Names of the runs that were moved aside.
    pub abandoned: Vec<String>,
    /// The makes of the complete runs, each once.
    pub makes: Vec<Make>,
}

/// What a run was made with, beside its scenario: runs of two makes may differ for that alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Make {
    /// flaplab's version and commit.
    pub tool: String,
    /// The routers' name and version.
    pub router: String,
    /// The injector's name and version.
    pub injector: String,
    /// The machine's name and kernel.
    pub host: String,
}

impl Make {
    /// That of a run.
    #[must_use]
    pub fn of(m: &Manifest) -> Self {
        Self {
            tool: format!("flaplab {} ({})", m.tool_version, m.tool_commit),
            router: format!("{} {}", m.router, m.router_version),
            injector: format!("{} {}", m.injector, m.injector_version),
            host: format!("{} (Linux {})", m.host.name, m.host.kernel),
        }
    }

    /// What differs, in words: theirs beside ours.
    #[must_use]
    pub fn differences(&self, ours: &Make) -> Vec<String> {
        let pairs = [
            (&self.tool, &ours.tool),
            (&self.router, &ours.router),
            (&self.injector, &ours.injector),
            (&self.host, &ours.host),
        ];
        pairs
            .into_iter()
            .filter(|(theirs, ours)| theirs != ours)
            .map(|(theirs, ours)| format!("{theirs}, now {ours}"))
            .collect()
    }
}

/// What became of a run that may be in the directory.
enum Found {
    Nothing,
    Complete(Box<Manifest>),
    Interrupted,
}

/// Sorts the runs that are asked for into those that are there and those to be made, and moves
/// aside what was interrupted. First everything is compared, then anything is moved.
///
/// # Errors
/// If the campaign is one of another scenario or seed, or cannot be read or written.
pub fn resume(
    campaign: &CampaignDir,
    scenario: &Scenario,
    runs: Vec<ResolvedScenario>,
) -> Result<Resumed, ResumeError> {
    same_scenario(campaign, scenario)?;
    let mut found = Vec::new();
    for run in runs {
        let dir = RunDir::at(campaign.run_path(&run.run_id()));
        let state = state(&dir)?;
        if matches!(state, Found::Complete(_)) {
            same_settings(campaign, &run.run_id(), &dir.scenario()?, &run)?;
        }
        found.push((run, dir, state));
    }
    same_seed(campaign, scenario)?;
    let mut resumed = Resumed {
        there: 0,
        missing: Vec::new(),
        abandoned: Vec::new(),
        makes: Vec::new(),
    };
    for (run, dir, state) in found {
        match state {
            Found::Nothing => resumed.missing.push(run),
            Found::Complete(manifest) => {
                // Killed between the last manifest and its seal.
                if !dir.is_sealed() {
                    dir.seal(&manifest)?;
                }
                resumed.there += 1;
                let make = Make::of(&manifest);
                if !resumed.makes.contains(&make) {
                    resumed.makes.push(make);
                }
            }
            Found::Interrupted => {
                campaign.abandon(&run.run_id())?;
                resumed.abandoned.push(run.run_id());
                resumed.missing.push(run);
            }
        }
    }
    Ok(resumed)
}

fn state(dir: &RunDir) -> Result<Found, DirError> {
    if std::fs::symlink_metadata(dir.path()).is_err() {
        return Ok(Found::Nothing);
    }
    if !dir.manifest_path().exists() {
        // Killed before its manifest was written.
        return Ok(Found::Interrupted);
    }
    match dir.manifest() {
        Ok(manifest) if manifest.status == Status::Complete => {
            Ok(Found::Complete(Box::new(manifest)))
        }
        // A damaged manifest tells nothing of how the run ended.
        Ok(_) | Err(DirError::Parse { .. }) => Ok(Found::Interrupted),
        // Of another version, or unreadable: not ours to judge.
        Err(e) => Err(e),
    }
}

/// Compares what the two scenarios mean: comments, the number of runs and the arms may differ. The
/// seed is compared where it was used, since the command line may have changed it.
fn same_scenario(campaign: &CampaignDir, scenario: &Scenario) -> Result<(), ResumeError> {
    let text = campaign.scenario_text()?;
    let path = campaign.scenario_path();
    let theirs = Scenario::parse(&text, &path.display().to_string()).map_err(|source| {
        ResumeError::Scenario {
            path: campaign.path().to_owned(),
            source,
        }
    })?;
    let arm = scenario.strategies()[0];
    let theirs = theirs.with_seed(scenario.seed()).resolve(arm, 0);
    same_settings(
        campaign,
        "scenario.yaml",
        &theirs,
        &scenario.resolve(arm, 0),
    )
}

/// Compares the seed of every run that is there, of other arms and numbers too.
///
/// # Errors
/// If a run was made with another seed than this scenario's, or the campaign cannot be read.
pub fn same_seed(campaign: &CampaignDir, scenario: &Scenario) -> Result<(), ResumeError> {
    for dir in campaign.runs()? {
        let Ok(manifest) = dir.manifest() else {
            continue;
        };
        let ours = scenario.resolve(manifest.strategy, manifest.run_index);
        if manifest.seed != ours.seed {
            return Err(ResumeError::Other {
                path: campaign.path().to_owned(),
                within: format!("runs/{}", dir.run_id()),
                differences: format!(
                    "the seed of run {} is {}, and would be {} (see --seed)",
                    manifest.run_index, manifest.seed, ours.seed
                ),
            });
        }
    }
    Ok(())
}

fn same_settings(
    campaign: &CampaignDir,
    within: &str,
    theirs: &ResolvedScenario,
    ours: &ResolvedScenario,
) -> Result<(), ResumeError> {
    if theirs == ours {
        return Ok(());
    }
    Err(ResumeError::Other {
        path: campaign.path().to_owned(),
        within: within.to_owned(),
        differences: differences(theirs, ours),
    })
}

/// In what two experiments differ, in words: the first few keys. Nothing if they are the same.
#[must_use]
pub fn differences(theirs: &ResolvedScenario, ours: &ResolvedScenario) -> String {
    let value = |s: &ResolvedScenario| serde_json::to_value(s).unwrap_or_default();
    let mut differences = Vec::new();
    differ("", &value(theirs), &value(ours), &mut differences);
    let more = differences.len().saturating_sub(TOLD);
    differences.truncate(TOLD);
    if more > 0 {
        differences.push(format!("and {more} more"));
    }
    differences.join("; ")
}

/// Lists where two values differ, by key.
fn differ(key: &str, theirs: &Value, ours: &Value, found: &mut Vec<String>) {
    let below = |name: &str| match key {
        "" => name.to_owned(),
        _ => format!("{key}.{name}"),
    };
    match (theirs, ours) {
        (Value::Object(a), Value::Object(b)) => {
            for name in a.keys().chain(b.keys().filter(|k| !a.contains_key(*k))) {
                let none = &Value::Null;
                let (a, b) = (a.get(name), b.get(name));
                differ(&below(name), a.unwrap_or(none), b.unwrap_or(none), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                differ(&below(&i.to_string()), a, b, found);
            }
        }
        _ if theirs == ours => {}
        (Value::Array(a), Value::Array(b)) => found.push(format!(
            "`{key}` has {} entries there, and would have {}",
            a.len(),
            b.len()
        )),
        _ => found.push(format!("`{key}` is {theirs} there, and would be {ours}")),
    }
}

#[cfg(test)]
mod tests;
