//! A run that has ended: what the harness says of it, and what its records have shown.
//!
//! *Assumes* a sealed run. *Guarantees* the verdict of the analysis once the records are measured, and
//! before that the one which the harness's findings allow.

use analysis::arms::{MeasuredRun, Metric};
use harness::campaign::CampaignEvent;
use results::attempt::run_and_attempt;
use results::{Finding, FindingKind, Severity, Status};

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Its figures enter the statistics.
    Valid,
    /// It is complete, and a finding takes it out of the statistics.
    Invalid,
    /// It failed.
    Failed,
    /// It was stopped.
    Aborted,
}

/// A run that has ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunEnd {
    pub(crate) run_id: String,
    pub(crate) status: Status,
    /// Why it failed.
    pub(crate) error: Option<String>,
    pub(crate) findings: Vec<Finding>,
    /// Whether its figures enter the statistics.
    pub(crate) valid: bool,
    /// Whether the run is attempted again.
    pub(crate) again: bool,
    /// Its figures, those that it has.
    pub(crate) metrics: Vec<(Metric, f64)>,
}

impl RunEnd {
    /// As the harness tells it.
    pub(crate) fn new(
        run_id: String,
        status: Status,
        error: Option<String>,
        findings: Vec<Finding>,
    ) -> Self {
        let grave = |f: &Finding| f.severity == Severity::Invalidating;
        Self {
            valid: status == Status::Complete && !findings.iter().any(grave),
            again: false,
            run_id,
            status,
            error,
            findings,
            metrics: Vec::new(),
        }
    }

    /// As the campaign tells it; none if it is another event that it tells.
    pub(crate) fn of_event(event: CampaignEvent) -> Option<Self> {
        let CampaignEvent::Ended {
            run_id,
            status,
            error,
            findings,
            valid,
            again,
            attempt: _,
        } = event
        else {
            return None;
        };
        Some(Self {
            valid,
            again,
            ..Self::new(run_id, status, error, findings)
        })
    }

    /// The run that this is an attempt at.
    pub(crate) fn run(&self) -> &str {
        run_and_attempt(&self.run_id).0
    }

    /// With what its records have shown.
    pub(crate) fn measured(self, run: MeasuredRun) -> Self {
        let metrics = run.metrics.as_ref();
        let metrics = metrics.map_or_else(Vec::new, |metrics| {
            let named = Metric::ALL.into_iter();
            named.filter_map(|m| Some((m, m.of(metrics)?))).collect()
        });
        Self {
            findings: run.findings,
            valid: run.valid,
            metrics,
            ..self
        }
    }

    /// A run that was there already, by its records alone.
    pub(crate) fn of_records(run: MeasuredRun) -> Self {
        let (status, error) = match &run.manifest {
            Some(manifest) => (manifest.status, manifest.error.clone()),
            None => (Status::Failed, None),
        };
        Self::new(run.run_id.clone(), status, error, Vec::new()).measured(run)
    }

    pub(crate) fn verdict(&self) -> Verdict {
        match self.status {
            Status::Complete if self.valid => Verdict::Valid,
            Status::Complete => Verdict::Invalid,
            Status::Aborted => Verdict::Aborted,
            // A run that ended without a word of its own did not end well.
            Status::Failed | Status::Running => Verdict::Failed,
        }
    }

    /// One of its figures.
    pub(crate) fn metric(&self, metric: Metric) -> Option<f64> {
        let found = self.metrics.iter().find(|(m, _)| *m == metric);
        found.map(|(_, value)| *value)
    }

    /// Those of its findings that one should know of before one trusts it; that it did not come to its end is
    /// told by its status.
    pub(crate) fn doubts(&self) -> impl Iterator<Item = &Finding> {
        let news =
            |f: &&Finding| f.severity >= Severity::Warning && f.kind != FindingKind::Incomplete;
        self.findings.iter().filter(news)
    }
}
