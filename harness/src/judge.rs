//! Whether a run's figures count: asked of whoever can tell, since the harness computes none.
//!
//! *Assumes* that the same records are judged alike whenever they are. *Guarantees* that judging a run
//! keeps no lab waiting: it has a thread of its own.

use std::fmt;
use std::sync::Arc;

use results::{Finding, RunDir};

/// What is said of a sealed run.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Whether its figures enter the statistics.
    pub valid: bool,
    /// Everything found, by the harness and on judging.
    pub findings: Vec<Finding>,
}

/// Tells of a sealed run whether it is valid.
#[derive(Clone)]
pub struct Judge(Arc<dyn Fn(&RunDir) -> Verdict + Send + Sync>);

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Judge")
    }
}

impl Judge {
    /// One that judges by this.
    pub fn new(judge: impl Fn(&RunDir) -> Verdict + Send + Sync + 'static) -> Self {
        Self(Arc::new(judge))
    }

    /// Judges a run, here and now.
    #[must_use]
    pub fn judge(&self, run: &RunDir) -> Verdict {
        (self.0)(run)
    }

    /// Judges a run beside the runtime.
    pub(crate) async fn judge_apart(&self, run: &RunDir) -> Verdict {
        let (judge, run) = (self.clone(), run.clone());
        let judging = tokio::task::spawn_blocking(move || judge.judge(&run));
        // It is not cancelled, and a panic in it is one here.
        judging
            .await
            .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))
    }
}
