//! `flaplab analyze`: what is computed from records alone.
//!
//! *Assumes* campaigns that `flaplab run` made, here or elsewhere. *Guarantees* what `analysis` does;
//! needs neither root nor a router.

use std::path::Path;

use analysis::needed::{Wanted, needed};

use crate::Exit;

/// Computes a campaign anew, and tells how many runs are needed for what is wanted.
pub(crate) fn analyze(campaign: &Path, wanted: &[Wanted]) -> anyhow::Result<Exit> {
    let report = analysis::analyze(campaign)?;
    let mut text = report.to_string();
    if !wanted.is_empty() {
        text += "\nRuns needed (valid ones, of each arm; Stein 1945, from the spread so far):\n";
        for needed in needed(&report.arms, wanted) {
            text += &format!("  {needed}\n");
        }
    }
    crate::print(&text)?;
    Ok(Exit::Done)
}
