//! What is known of a campaign under way: its labs, how its runs ended, and what they measured.
//!
//! *Assumes* that it is told everything, with the time since flaplab began, and that no time is before
//! the last one. *Guarantees* that a run is counted once however often it is told of or attempted, that
//! only the figures of valid runs are kept, and that nothing here reads a clock, a file or a terminal.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use analysis::arms::Metric;
use harness::campaign::CampaignEvent;
use harness::protocol::Stage;
use results::Status;
use results::attempt::run_and_attempt;

use super::left::{self, Work};
use super::run_end::{RunEnd, Verdict};

/// What a campaign sets out to do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    /// The scenario's name.
    pub(crate) name: String,
    /// The campaign's directory.
    pub(crate) path: PathBuf,
    /// Its arms, in the author's order.
    pub(crate) arms: Vec<String>,
    /// Indices of the arms whose runs share a lab.
    pub(crate) shared: Vec<usize>,
    /// Its runs, in the order in which they begin, each with the index of its arm.
    pub(crate) runs: Vec<(String, usize)>,
    /// Labs at a time; none: flaplab decides.
    pub(crate) jobs: Option<usize>,
}

/// Runs by what they came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) planned: usize,
    pub(crate) valid: usize,
    pub(crate) invalid: usize,
    pub(crate) failed: usize,
    pub(crate) aborted: usize,
}

impl Counts {
    /// Runs that have come to something.
    pub(crate) fn done(&self) -> usize {
        self.valid + self.invalid + self.failed + self.aborted
    }

    /// Runs that have not.
    pub(crate) fn left(&self) -> usize {
        self.planned.saturating_sub(self.done())
    }

    fn add(&mut self, verdict: Verdict) {
        *match verdict {
            Verdict::Valid => &mut self.valid,
            Verdict::Invalid => &mut self.invalid,
            Verdict::Failed => &mut self.failed,
            Verdict::Aborted => &mut self.aborted,
        } += 1;
    }
}

/// A lab that is up, or on its way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lab {
    pub(crate) run_id: String,
    /// Index of its arm.
    pub(crate) arm: Option<usize>,
    /// When its run began.
    pub(crate) began: Duration,
    /// What it is at; none before its capsule has said anything.
    pub(crate) stage: Option<Stage>,
    /// Since when.
    pub(crate) since: Duration,
    /// What it says of that.
    pub(crate) text: String,
    /// Its run failed, and it waits for somebody to look into it.
    pub(crate) kept: bool,
}

impl Lab {
    /// What is more worth seeing comes first: what waits for the user, then what is nearest to its
    /// figures, then what has been at it for longest.
    fn rank(&self) -> (bool, std::cmp::Reverse<Option<Stage>>, Duration) {
        (!self.kept, std::cmp::Reverse(self.stage), self.since)
    }
}

/// What one arm has come to.
#[derive(Debug, Clone, Default)]
pub(crate) struct ArmState {
    /// Its name.
    pub(crate) label: String,
    /// Its runs.
    pub(crate) counts: Counts,
    /// Convergence of its valid runs, s, ascending.
    pub(crate) convergence_s: Vec<f64>,
    /// Mean disconnection over the routers of each of its valid runs, s, ascending.
    pub(crate) disconnected_s: Vec<f64>,
}

/// A campaign under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    plan: Plan,
    began: Duration,
    /// Labs at a time, now.
    jobs: usize,
    arm_of: HashMap<String, usize>,
    labs: Vec<Lab>,
    /// The runs that have ended, by name.
    ended: HashMap<String, RunEnd>,
    /// Runs that were complete when the campaign was gone on with, and are still to be measured.
    unmeasured: usize,
    stopping: bool,
    pace: left::Pace,
}

impl Model {
    /// A campaign that begins.
    pub(crate) fn new(plan: Plan, now: Duration) -> Self {
        Self {
            arm_of: plan.runs.iter().cloned().collect(),
            pace: left::Pace::new(plan.arms.len(), plan.shared.clone()),
            jobs: plan.jobs.unwrap_or(1),
            plan,
            began: now,
            ..Self::default()
        }
    }

    /// Takes note of an event, and tells whether it is news: what a lab repeats of its stage in
    /// other words is not.
    pub(crate) fn note(&mut self, event: &CampaignEvent, now: Duration) -> bool {
        match event {
            CampaignEvent::Resumed { there, spent, .. } => self.unmeasured = *there + spent.len(),
            CampaignEvent::Jobs(decision) => self.jobs = decision.labs,
            CampaignEvent::Begun { run_id, .. } => {
                // A run that is made again is to be counted again.
                self.ended.remove(run_and_attempt(run_id).0);
                self.labs.retain(|l| l.run_id != *run_id);
                self.labs.push(Lab {
                    run_id: run_id.clone(),
                    arm: self.arm_of(run_id),
                    began: now,
                    stage: None,
                    since: now,
                    text: String::new(),
                    kept: false,
                });
            }
            CampaignEvent::Progress {
                run_id,
                stage,
                text,
            } => return self.at_stage(run_id, *stage, text, now),
            CampaignEvent::Kept { run_id, error, .. } => {
                if let Some(lab) = self.labs.iter_mut().find(|l| l.run_id == *run_id) {
                    lab.kept = true;
                    lab.since = now;
                    lab.text.clone_from(error);
                }
            }
            CampaignEvent::Ended { run_id, status, .. } => {
                if let Some(at) = self.labs.iter().position(|l| l.run_id == *run_id) {
                    let lab = self.labs.remove(at);
                    if *status == Status::Complete {
                        self.pace.took(lab.arm, now.saturating_sub(lab.began));
                    }
                }
                // Until it is measured, it has no figures.
                if let Some(end) = RunEnd::of_event(event.clone()) {
                    self.ended(end);
                }
            }
        }
        true
    }

    /// Takes note of how a run ended, and of what its records have shown.
    pub(crate) fn ended(&mut self, end: RunEnd) {
        // A campaign's directory may hold runs that it was not asked for; and one that is attempted
        // again has not come to anything yet.
        if self.arm_of(&end.run_id).is_some() && !end.again {
            self.ended.insert(end.run().to_owned(), end);
        }
    }

    /// The same of a run that was there when the campaign was gone on with.
    pub(crate) fn was_there(&mut self, end: RunEnd) {
        self.unmeasured = self.unmeasured.saturating_sub(1);
        self.ended(end);
    }

    fn at_stage(&mut self, run_id: &str, stage: Stage, text: &str, now: Duration) -> bool {
        let Some(lab) = self.labs.iter_mut().find(|l| l.run_id == run_id) else {
            return false;
        };
        text.clone_into(&mut lab.text);
        if lab.stage == Some(stage) {
            return false;
        }
        // The next lab comes up from here on. One that was up already begins with this.
        let was_coming_up = lab.stage.is_some_and(|before| before < Stage::Settle);
        if stage >= Stage::Settle && was_coming_up {
            self.pace.brought_up(now.saturating_sub(lab.began));
        }
        lab.stage = Some(stage);
        lab.since = now;
        true
    }

    /// No more runs begin, and those under way are closed.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// How many labs may be up at a time, now.
    pub(crate) fn jobs(&self) -> usize {
        self.jobs
    }

    /// What is to be done.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Since when the campaign has been under way.
    pub(crate) fn elapsed(&self, now: Duration) -> Duration {
        now.saturating_sub(self.began)
    }

    /// The index of a run's arm.
    fn arm_of(&self, run_id: &str) -> Option<usize> {
        self.arm_of.get(run_and_attempt(run_id).0).copied()
    }

    /// The name of a run's arm.
    pub(crate) fn arm(&self, run_id: &str) -> Option<&str> {
        let arm = self.arm_of(run_id)?;
        self.plan.arms.get(arm).map(String::as_str)
    }

    /// All runs by what they came to.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts {
            planned: self.plan.runs.len(),
            ..Counts::default()
        };
        self.ended.values().for_each(|e| counts.add(e.verdict()));
        counts
    }

    /// Number of runs that have ended, with those that were there and are still to be measured.
    pub(crate) fn done(&self) -> usize {
        self.counts().done() + self.unmeasured
    }

    /// The arms, each with its runs and figures.
    pub(crate) fn arms(&self) -> Vec<ArmState> {
        let mut arms: Vec<ArmState> = self
            .plan
            .arms
            .iter()
            .map(|label| ArmState {
                label: label.clone(),
                ..ArmState::default()
            })
            .collect();
        for (_, arm) in &self.plan.runs {
            if let Some(arm) = arms.get_mut(*arm) {
                arm.counts.planned += 1;
            }
        }
        for ended in self.ended.values() {
            let arm = self.arm_of(&ended.run_id);
            let Some(arm) = arm.and_then(|a| arms.get_mut(a)) else {
                continue;
            };
            arm.counts.add(ended.verdict());
            if ended.verdict() == Verdict::Valid {
                arm.convergence_s.extend(ended.metric(Metric::Convergence));
                arm.disconnected_s
                    .extend(ended.metric(Metric::Disconnected));
            }
        }
        for arm in &mut arms {
            arm.convergence_s.sort_unstable_by(f64::total_cmp);
            arm.disconnected_s.sort_unstable_by(f64::total_cmp);
        }
        arms
    }

    /// The labs, those most worth seeing first.
    pub(crate) fn labs(&self) -> Vec<&Lab> {
        let mut labs: Vec<&Lab> = self.labs.iter().collect();
        labs.sort_by_key(|l| l.rank());
        labs
    }

    /// About how long it will still take; none while nothing tells, or when it ends before that.
    pub(crate) fn left(&self, now: Duration) -> Option<Duration> {
        if self.stopping {
            return None;
        }
        let is_lab = |lab: &Lab, run_id: &str| run_and_attempt(&lab.run_id).0 == run_id;
        let under_way = |run_id: &str| self.labs.iter().any(|lab| is_lab(lab, run_id));
        let to_come = self.plan.runs.iter();
        let mut to_come: Vec<usize> = to_come
            .filter(|(run_id, _)| !self.ended.contains_key(run_id) && !under_way(run_id))
            .map(|(_, arm)| *arm)
            .collect();
        // Those that were there are not to be made, measured or not; most likely the first ones.
        to_come.drain(..self.unmeasured.min(to_come.len()));
        let kept = self.labs.iter().filter(|l| l.kept).count();
        self.pace.left(&Work {
            jobs: self.jobs.saturating_sub(kept),
            under_way: self
                .labs
                .iter()
                .filter(|l| !l.kept)
                .map(|l| (l.arm, now.saturating_sub(l.began)))
                .collect(),
            to_come,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
