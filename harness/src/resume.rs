//! Going on with a campaign: which of its runs are there, and which are still to be made.
//!
//! *Assumes* that nobody else adds to the campaign's directory. *Guarantees* that an attempt which ended
//! by itself, complete or failed, stays as it is, that one which was interrupted is moved aside with
//! all it recorded and made again, that a run has no more attempts than it may have, and that nothing
//! is touched if the directory holds another experiment.

use std::collections::HashMap;
use std::ops::Range;

use results::attempt::run_and_attempt;
use results::{CampaignDir, DirError, Manifest, RunDir, Status};
use serde_json::Value;
use topologies::{Cell, ResolvedScenario, Scenario, ScenarioError};

use crate::judge::Judge;
use crate::versions::Uses;

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

/// A run that has no valid attempt, and may have further ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Missing {
    /// The run.
    pub scenario: ResolvedScenario,
    /// Numbers of the attempts that may be made.
    pub attempts: Range<u32>,
}

impl Missing {
    /// One that was never begun and may have so many attempts.
    #[must_use]
    pub fn first(scenario: ResolvedScenario, attempts: u32) -> Self {
        Self {
            scenario,
            attempts: 1..attempts.saturating_add(1),
        }
    }
}

/// What is left to do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resumed {
    /// Number of runs that have a valid attempt, of those that were asked for.
    pub there: usize,
    /// Runs to be made, in the order given.
    pub missing: Vec<Missing>,
    /// Names of the runs that have no valid attempt, and as many as they may have.
    pub spent: Vec<String>,
    /// Names of the attempts that were moved aside.
    pub abandoned: Vec<String>,
    /// The makes of the complete attempts, each once, with what their scenario asked for.
    pub makes: Vec<(Uses, Make)>,
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

/// What became of an attempt that is in the directory.
enum Found {
    /// It ended by itself, complete or failed.
    Ended(Box<Manifest>),
    Interrupted,
}

/// The attempts at a run that are in the directory, by number.
type Attempts = Vec<(u32, RunDir, Found)>;

/// Sorts the runs that are asked for into those that have a valid attempt and those to be made, and
/// moves aside what was interrupted. First everything is compared, then anything is moved. A run has
/// so many `attempts` in all, however often the campaign is gone on with: one that failed or is
/// invalid stays where it is, and counts as one of them; one that was interrupted does not.
///
/// # Errors
/// If the campaign is one of another scenario or seed, or cannot be read or written.
pub fn resume(
    campaign: &CampaignDir,
    scenario: &Scenario,
    runs: Vec<ResolvedScenario>,
    judge: &Judge,
    attempts: u32,
) -> Result<Resumed, ResumeError> {
    same_scenario(campaign, scenario)?;
    let mut there = there(campaign, scenario)?;
    let mut found: Vec<(ResolvedScenario, String, Attempts)> = Vec::new();
    for run in runs {
        let run_id = run.run_id();
        let mut dirs = there.remove(&run_id).unwrap_or_default();
        if run.cell.is_empty() {
            dirs.extend(there.remove(&run.seed_named_run_id()).unwrap_or_default());
        }
        let state = |(number, dir): (u32, RunDir)| Ok((number, state(&dir)?, dir));
        let states: Result<Vec<_>, DirError> = dirs.into_iter().map(state).collect();
        let states = states?
            .into_iter()
            .map(|(number, state, dir)| (number, dir, state));
        found.push((run, run_id, states.collect()));
    }
    let mut resumed = Resumed::default();
    for (run, run_id, made) in found {
        let (mut valid, mut ended, mut last) = (false, 0, 0);
        for (number, dir, state) in made {
            let Found::Ended(manifest) = state else {
                campaign.abandon(&dir.run_id())?;
                resumed.abandoned.push(dir.run_id());
                continue;
            };
            // Killed between the last manifest and its seal.
            if !dir.is_sealed() {
                dir.seal(&manifest)?;
            }
            ended += 1;
            last = last.max(number);
            if manifest.status == Status::Complete {
                let make = (Uses::of(&run), Make::of(&manifest));
                if !resumed.makes.contains(&make) {
                    resumed.makes.push(make);
                }
                valid = valid || judge.judge(&dir).valid;
            }
        }
        if valid {
            resumed.there += 1;
        } else if ended < attempts {
            resumed.missing.push(Missing {
                scenario: run,
                attempts: last + 1..last + 1 + (attempts - ended),
            });
        } else {
            resumed.spent.push(run_id);
        }
    }
    Ok(resumed)
}

fn state(dir: &RunDir) -> Result<Found, DirError> {
    if !dir.manifest_path().exists() {
        // Killed before its manifest was written.
        return Ok(Found::Interrupted);
    }
    match dir.manifest() {
        Ok(manifest) if matches!(manifest.status, Status::Complete | Status::Failed) => {
            Ok(Found::Ended(Box::new(manifest)))
        }
        // A damaged manifest tells nothing of how the run ended.
        Ok(_) | Err(DirError::Parse { .. }) => Ok(Found::Interrupted),
        // Of another version, or unreadable: not ours to judge.
        Err(e) => Err(e),
    }
}

/// The attempts that are in the directory, by the names of their runs. Each is compared with what it
/// would be now, those of other arms, cells and numbers too: what was made from the same scenario
/// with the same seed is the same experiment.
fn there(
    campaign: &CampaignDir,
    scenario: &Scenario,
) -> Result<HashMap<String, Vec<(u32, RunDir)>>, ResumeError> {
    let mut there: HashMap<String, Vec<(u32, RunDir)>> = HashMap::new();
    for dir in campaign.runs()? {
        let name = dir.run_id();
        match dir.manifest() {
            Ok(manifest) => same_run(campaign, scenario, &dir, &manifest)?,
            Err(e @ DirError::SchemaVersion { .. }) => return Err(e.into()),
            // Nothing is known of it; what it is called decides whether it is asked for.
            Err(_) => {}
        }
        let (run_id, attempt) = run_and_attempt(&name);
        there
            .entry(run_id.to_owned())
            .or_default()
            .push((attempt, dir));
    }
    Ok(there)
}

/// Compares the seed of every run that is there, of other arms, cells and numbers too.
///
/// # Errors
/// If a run was made with another seed than this scenario's, or the campaign cannot be read.
pub fn same_seed(campaign: &CampaignDir, scenario: &Scenario) -> Result<(), ResumeError> {
    for dir in campaign.runs()? {
        if let Ok(manifest) = dir.manifest() {
            seed_is_ours(campaign, scenario, &dir, &manifest)?;
        }
    }
    Ok(())
}

fn seed_is_ours(
    campaign: &CampaignDir,
    scenario: &Scenario,
    dir: &RunDir,
    manifest: &Manifest,
) -> Result<(), ResumeError> {
    let number = manifest.run_index;
    let seed = scenario.run_seed(number);
    if manifest.seed == seed {
        return Ok(());
    }
    Err(ResumeError::Other {
        path: campaign.path().to_owned(),
        within: format!("runs/{}", dir.run_id()),
        differences: format!(
            "the seed of run {number} is {}, and would be {seed} (see --seed)",
            manifest.seed
        ),
    })
}

fn same_run(
    campaign: &CampaignDir,
    scenario: &Scenario,
    dir: &RunDir,
    manifest: &Manifest,
) -> Result<(), ResumeError> {
    seed_is_ours(campaign, scenario, dir, manifest)?;
    let (strategy, number) = (manifest.strategy, manifest.run_index);
    let Some(ours) = scenario.resolve_in(&manifest.cell, strategy, number) else {
        return Ok(());
    };
    if manifest.address == Some(ours.address()) {
        return Ok(());
    }
    match dir.scenario() {
        Ok(theirs) => same_settings(campaign, &dir.run_id(), &theirs, &ours),
        Err(e) if manifest.status == Status::Complete => Err(e.into()),
        // It is moved aside.
        Err(_) => Ok(()),
    }
}

/// Compares what the two scenarios mean: comments, the number of runs, the arms and the values of the
/// matrix may differ. The seed is compared where it was used, since the command line may have changed
/// it.
fn same_scenario(campaign: &CampaignDir, scenario: &Scenario) -> Result<(), ResumeError> {
    let text = campaign.scenario_text()?;
    let path = campaign.scenario_path();
    let theirs = Scenario::parse(&text, &path.display().to_string()).map_err(|source| {
        ResumeError::Scenario {
            path: campaign.path().to_owned(),
            source,
        }
    })?;
    let theirs = theirs.with_seed(scenario.seed());
    let arm = scenario.strategies()[0];
    let mut common = 0;
    for cell in scenario.cells() {
        let ours = scenario.resolve_in(cell, arm, 0);
        if let Some((theirs, ours)) = theirs.resolve_in(cell, arm, 0).zip(ours) {
            same_settings(campaign, "scenario.yaml", &theirs, &ours)?;
            common += 1;
        }
    }
    let names = |s: &Scenario| {
        s.cells()
            .map(Cell::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    };
    let alike = (theirs.cells().next())
        .zip(scenario.cells().next())
        .is_some_and(|(a, b)| a.has_keys_of(b));
    if common > 0 && alike {
        return Ok(());
    }
    Err(ResumeError::Other {
        path: campaign.path().to_owned(),
        within: "scenario.yaml".to_owned(),
        differences: format!(
            "the cells of `matrix` are {} there, and would be {}; values may be added or taken out, \
             keys may not",
            or_none(names(&theirs)),
            or_none(names(scenario))
        ),
    })
}

fn or_none(cells: String) -> String {
    match cells.is_empty() {
        true => "none".to_owned(),
        false => cells,
    }
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
