//! The judge of a campaign's runs, and what it has measured in judging.
//!
//! *Assumes* sealed runs, which do not change. *Guarantees* that a run is valid if its figures would enter
//! the statistics now, and that what was measured for that need not be measured again to be shown.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use analysis::arms::MeasuredRun;
use harness::judge::{Judge, Verdict};

/// Runs that were judged and not yet asked for, by name. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Measured(Arc<Mutex<HashMap<String, MeasuredRun>>>);

impl Measured {
    /// A judge that keeps what it measures here.
    pub(crate) fn judge(&self) -> Judge {
        let measured = self.clone();
        Judge::new(move |run| {
            let this = analysis::measure_run(run);
            let verdict = Verdict {
                valid: this.valid,
                findings: this.findings.clone(),
            };
            measured.keep(this);
            verdict
        })
    }

    fn keep(&self, run: MeasuredRun) {
        // A thread that panicked left the map as it was.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(run.run_id.clone(), run);
    }

    /// What was measured of a run, once.
    pub(crate) fn take(&self, run_id: &str) -> Option<MeasuredRun> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(run_id)
    }
}
