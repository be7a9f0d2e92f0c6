//! What a campaign cost: how much of its time went into the experiment itself.
//!
//! *Assumes* manifests and events of runs that are over; runs that were moved to `abandoned/` are
//! no part of it. *Guarantees* a pure function of them, so that it can be computed of a campaign
//! that was made long ago. The time in which no lab was there (it was stopped, and gone on with
//! later) counts for nothing.
//!
//! *Protocol time* is what a run takes whatever is done about the labs: from all sessions
//! Established to the end of the quiet, so settling, the wait for the failure, convergence and
//! quiet. What is beside it in (wall time x labs at a time) is the price of labs. Closing a lab is
//! no share of its own there: the next one may begin meanwhile.

use std::fmt;
use std::path::Path;

use jiff::Timestamp;
use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};
use results::{CampaignDir, EventKind, Manifest, Phase, RunDir, Status};

use crate::statistics::quantile;
use crate::{AnalyzeError, measure_run};

/// A run as far as its cost goes; times are wall times, seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Course {
    began_s: f64,
    /// All sessions Established.
    established_s: Option<f64>,
    /// The end of the quiet.
    quiet_s: Option<f64>,
    ended_s: f64,
    allowed: Option<usize>,
    complete: bool,
    valid: bool,
    cpu_s: Option<f64>,
    memory_mib: Option<u64>,
}

/// What a campaign cost.
#[derive(Debug, Clone, PartialEq)]
pub struct CampaignCost {
    /// Number of runs, those that failed included.
    pub runs: usize,
    /// Of these, how many are complete.
    pub complete: usize,
    /// Of these, how many do not count in the statistics.
    pub invalid: usize,
    /// The time in which there was a lab, seconds.
    pub wall_s: f64,
    /// Labs at a time, as allowed, in the mean over that time.
    pub jobs: f64,
    /// The most that were allowed.
    pub most_jobs: usize,
    /// Whether the runs say how many were allowed. If not, it is what was stated, but no less than
    /// the most labs that there were at a time.
    pub jobs_recorded: bool,
    /// Protocol time of all complete runs, seconds.
    pub protocol_s: f64,
    /// From the beginning of each run to all sessions Established, in all, seconds.
    pub bring_up_s: f64,
    /// From the end of each run's quiet to its end, in all, seconds.
    pub closing_s: f64,
    /// Time of runs that came to nothing, in all, seconds.
    pub failed_s: f64,
    /// Median of a bring-up, seconds.
    pub bring_up_median_s: Option<f64>,
    /// Median of the protocol time, seconds.
    pub protocol_median_s: Option<f64>,
    /// Median of a closing, seconds.
    pub closing_median_s: Option<f64>,
    /// CPU time of a lab, mean, seconds.
    pub cpu_s: Option<f64>,
    /// Memory of a lab, the most that was seen, MiB.
    pub memory_mib: Option<u64>,
}

/// Computes the cost of a campaign from its records. `jobs` says how many labs at a time were
/// allowed where the runs do not: those of before it was noted.
///
/// # Errors
/// If the directory is no campaign, or no run in it is over.
pub fn cost(campaign: &Path, jobs: Option<usize>) -> Result<CampaignCost, AnalyzeError> {
    let campaign = CampaignDir::open(campaign)?;
    let dirs = campaign.runs()?;
    let courses: Vec<Course> = dirs.par_iter().filter_map(course).collect();
    of(courses, jobs).ok_or_else(|| AnalyzeError::NoRuns {
        path: campaign.runs_dir(),
    })
}

fn course(dir: &RunDir) -> Option<Course> {
    let run = measure_run(dir);
    let manifest = run.manifest?;
    let events = dir.events().map(|lines| lines.items).unwrap_or_default();
    let at_s = |kind, phase| {
        let event = events.iter().find(|e| e.kind == kind && e.phase == phase)?;
        Some(event.t_wall_ns as f64 / 1e9)
    };
    let (began_s, ended_s) = times(&manifest)?;
    Some(Course {
        began_s,
        established_s: at_s(EventKind::Lab, Phase::Confirmed),
        quiet_s: at_s(EventKind::Quiet, Phase::Confirmed),
        ended_s,
        allowed: manifest.jobs.map(|j| j.allowed),
        complete: manifest.status == Status::Complete,
        valid: run.valid,
        cpu_s: manifest.lab_cost.and_then(|c| c.cpu_s),
        memory_mib: manifest.lab_cost.and_then(|c| c.memory_mib),
    })
}

/// When a run began and ended, wall time, seconds.
fn times(manifest: &Manifest) -> Option<(f64, f64)> {
    let seconds = |text: &str| {
        let at: Timestamp = text.parse().ok()?;
        Some(at.as_nanosecond() as f64 / 1e9)
    };
    let ended = manifest.ended_at.as_deref()?;
    Some((seconds(&manifest.started_at)?, seconds(ended)?))
}

fn of(mut courses: Vec<Course>, stated: Option<usize>) -> Option<CampaignCost> {
    courses.sort_by(|a, b| a.began_s.total_cmp(&b.began_s));
    let jobs_recorded = courses.iter().all(|c| c.allowed.is_some());
    let seen = most_at_a_time(&courses);
    let otherwise = stated.map_or(seen, |n| n.max(seen));
    let (wall_s, slots_s) = time_there(&courses, otherwise)?;
    let phases: Vec<[f64; 3]> = courses.iter().filter_map(Course::phases).collect();
    let sum = |phase: usize| phases.iter().map(|p| p[phase]).sum::<f64>();
    let median = |phase: usize| {
        let mut values: Vec<f64> = phases.iter().map(|p| p[phase]).collect();
        values.sort_unstable_by(f64::total_cmp);
        (!values.is_empty()).then(|| quantile(&values, 0.5))
    };
    let (bring_up_s, protocol_s, closing_s) = (sum(0), sum(1), sum(2));
    let all_s: f64 = courses.iter().map(|c| c.ended_s - c.began_s).sum();
    let cpu: Vec<f64> = courses.iter().filter_map(|c| c.cpu_s).collect();
    Some(CampaignCost {
        runs: courses.len(),
        complete: courses.iter().filter(|c| c.complete).count(),
        invalid: courses.iter().filter(|c| !c.valid).count(),
        wall_s,
        jobs: slots_s / wall_s,
        most_jobs: courses
            .iter()
            .map(|c| c.allowed.unwrap_or(otherwise))
            .max()?,
        jobs_recorded,
        protocol_s,
        bring_up_s,
        closing_s,
        failed_s: all_s - bring_up_s - protocol_s - closing_s,
        bring_up_median_s: median(0),
        protocol_median_s: median(1),
        closing_median_s: median(2),
        cpu_s: (!cpu.is_empty()).then(|| cpu.iter().sum::<f64>() / cpu.len() as f64),
        memory_mib: courses.iter().filter_map(|c| c.memory_mib).max(),
    })
}

impl Course {
    /// Bring-up, protocol time and closing of a run that is complete.
    fn phases(&self) -> Option<[f64; 3]> {
        let (up, quiet) = self.established_s.zip(self.quiet_s)?;
        let phases = [up - self.began_s, quiet - up, self.ended_s - quiet];
        self.complete.then_some(phases)
    }
}

/// The most runs that there were at a time.
fn most_at_a_time(courses: &[Course]) -> usize {
    let beside = |at: &Course| {
        let there = |c: &&Course| c.began_s <= at.began_s && at.began_s < c.ended_s;
        courses.iter().filter(there).count()
    };
    courses.iter().map(beside).max().unwrap_or(0)
}

/// The time in which there was a run, and that time with each second counted as often as labs were
/// allowed in it, as of the run that began last. Courses are in the order of their beginning.
fn time_there(courses: &[Course], otherwise: usize) -> Option<(f64, f64)> {
    let (mut wall_s, mut slots_s) = (0.0, 0.0);
    // Until when there is a run of those begun so far.
    let mut until_s = courses.first()?.began_s;
    for (i, course) in courses.iter().enumerate() {
        until_s = until_s.max(course.ended_s);
        let next_s = courses.get(i + 1).map_or(f64::INFINITY, |n| n.began_s);
        let there_s = until_s.min(next_s) - course.began_s;
        wall_s += there_s;
        slots_s += there_s * course.allowed.unwrap_or(otherwise) as f64;
    }
    (wall_s > 0.0).then_some((wall_s, slots_s))
}

impl CampaignCost {
    /// Protocol time over (wall time x labs at a time).
    #[must_use]
    pub fn protocol_share(&self) -> f64 {
        self.share(self.protocol_s)
    }

    /// Runs per minute of wall time, whether they count or not.
    #[must_use]
    pub fn runs_per_minute(&self) -> f64 {
        self.runs as f64 * 60.0 / self.wall_s
    }

    /// Runs that do not count, of all.
    #[must_use]
    pub fn invalid_share(&self) -> f64 {
        self.invalid as f64 / self.runs as f64
    }

    fn share(&self, seconds: f64) -> f64 {
        seconds / (self.wall_s * self.jobs)
    }

    /// The rest. A lab was being closed; or one might have been there and was not: it was not its
    /// turn to come up, memory was short, or no run was left.
    fn rest_s(&self) -> f64 {
        self.wall_s * self.jobs - self.protocol_s - self.bring_up_s - self.failed_s
    }
}

impl fmt::Display for CampaignCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |seconds| self.share(seconds) * 100.0;
        let median = |value: Option<f64>| match value {
            Some(s) => format!("{s:7.2} s in the median of runs"),
            None => String::new(),
        };
        let jobs = if self.jobs_recorded {
            ""
        } else {
            "; not recorded"
        };
        writeln!(
            f,
            "{} runs, {} complete, {} invalid ({:.1} %)",
            self.runs,
            self.complete,
            self.invalid,
            self.invalid_share() * 100.0
        )?;
        writeln!(
            f,
            "{:.0} s, {:.1} runs a minute, {:.1} labs at a time (at most {}{jobs})",
            self.wall_s,
            self.runs_per_minute(),
            self.jobs,
            self.most_jobs
        )?;
        writeln!(f, "of wall time x labs at a time:")?;
        for (what, seconds, of_one) in [
            ("protocol", self.protocol_s, median(self.protocol_median_s)),
            ("bring-up", self.bring_up_s, median(self.bring_up_median_s)),
            ("runs that failed", self.failed_s, String::new()),
            (
                "closing, no lab",
                self.rest_s(),
                median(self.closing_median_s),
            ),
        ] {
            let line = format!("  {what:18}{:5.1} %  {of_one}", percent(seconds));
            writeln!(f, "{}", line.trim_end())?;
        }
        if let Some(cpu_s) = self.cpu_s {
            writeln!(f, "a lab: {cpu_s:.2} s of CPU time")?;
        }
        if let Some(memory_mib) = self.memory_mib {
            writeln!(f, "a lab: {memory_mib} MiB at most (PSS)")?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
