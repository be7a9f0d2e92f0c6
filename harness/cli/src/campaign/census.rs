//! What has become of each run that a campaign wants: read from its directory.
//!
//! *Assumes* that others may add to the directory meanwhile. *Guarantees* that nothing is changed,
//! and that a run counts as complete only if it would be taken up by a merge, or was.

use std::collections::HashMap;

use results::attempt::run_and_attempt;
use results::{CampaignDir, RunDir, Severity, Status};
use topologies::{ResolvedScenario, Scenario};

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// It is nowhere.
    Missing,
    /// It was begun, and has not ended as planned.
    Unfinished,
    /// It is complete in the directory of the task that made it.
    Arrived,
    /// It is complete in `runs/`.
    Merged,
}

impl Fate {
    /// Whether it need not be made again.
    pub(crate) fn is_complete(self) -> bool {
        self >= Fate::Arrived
    }
}

/// One run that is wanted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Counted {
    /// What it is.
    pub(crate) run: ResolvedScenario,
    /// What became of it.
    pub(crate) fate: Fate,
    /// Whether each of its complete attempts has a finding that takes it out of the statistics.
    pub(crate) invalid: bool,
}

/// All runs that are wanted, in the order in which one machine would make them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Census {
    /// The runs.
    pub(crate) runs: Vec<Counted>,
    /// Everything that is there, by the name of the run, also what is not wanted any more.
    found: HashMap<String, (Fate, bool)>,
}

impl Census {
    /// Looks what is there.
    pub(crate) fn take(campaign: &CampaignDir, scenario: &Scenario) -> anyhow::Result<Census> {
        let mut found: HashMap<String, (Fate, bool)> = HashMap::new();
        let mut note = |run: &RunDir, complete| {
            let this = fate(run, complete);
            let name = run.run_id();
            let (run_id, _) = run_and_attempt(&name);
            let best = found.entry(run_id.to_owned()).or_insert(this);
            *best = better(*best, this);
        };
        for run in campaign.runs()? {
            note(&run, Fate::Merged);
        }
        for task in campaign.tasks()? {
            for run in task.runs()? {
                note(&run, Fate::Arrived);
            }
        }
        let count = |run: ResolvedScenario| {
            let none = (Fate::Missing, false);
            let of = |run_id: &str| found.get(run_id).copied().unwrap_or(none);
            let mut best = of(&run.run_id());
            if run.cell.is_empty() {
                best = better(best, of(&run.seed_named_run_id()));
            }
            let (fate, invalid) = best;
            Counted { run, fate, invalid }
        };
        let runs = harness::campaign::runs(scenario);
        Ok(Census {
            runs: runs.into_iter().map(count).collect(),
            found,
        })
    }

    /// Names of the runs that are still to be made.
    pub(crate) fn missing(&self) -> Vec<String> {
        let missing = self.runs.iter().filter(|r| !r.fate.is_complete());
        missing.map(|r| r.run.run_id()).collect()
    }

    /// Number of runs of this fate.
    pub(crate) fn count(&self, fate: Fate) -> usize {
        self.runs.iter().filter(|r| r.fate == fate).count()
    }

    /// Number of complete runs that do not count.
    pub(crate) fn invalid(&self) -> usize {
        self.runs.iter().filter(|r| r.invalid).count()
    }

    /// What became of the run of this name.
    pub(crate) fn fate(&self, run_id: &str) -> Fate {
        self.found.get(run_id).map_or(Fate::Missing, |f| f.0)
    }
}

/// Of two attempts at a run, what has come to more; of two that came to as much, the one that counts.
fn better(a: (Fate, bool), b: (Fate, bool)) -> (Fate, bool) {
    std::cmp::max_by_key(a, b, |(fate, invalid)| (*fate, !invalid))
}

/// What a directory says of its run; `complete` is what a complete one has come to there.
fn fate(dir: &RunDir, complete: Fate) -> (Fate, bool) {
    match dir.manifest() {
        // In `runs/`, one that was killed before its seal is sealed when the campaign goes on.
        Ok(m) if m.status == Status::Complete && (dir.is_sealed() || complete == Fate::Merged) => {
            let bad = |f: &results::Finding| f.severity == Severity::Invalidating;
            (complete, m.findings.iter().any(bad))
        }
        _ => (Fate::Unfinished, false),
    }
}
