//! `flaplab analyze`, `compare` and `export`: what is computed from records alone.
//!
//! *Assumes* campaigns that `flaplab run` made, here or elsewhere. *Guarantees* what `analysis` does;
//! needs neither root nor a router.

use std::path::Path;

use analysis::arms::Metric;
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

/// Sets two campaigns beside each other.
pub(crate) fn compare(
    a: &Path,
    b: &Path,
    metrics: &[Metric],
    out: Option<&Path>,
) -> anyhow::Result<Exit> {
    if let Some(out) = out {
        analysis::folder::refuse_existing(out)?;
    }
    let contrast = analysis::contrast::contrast(a, b, metrics)?;
    crate::print(&contrast.to_string())?;
    if let Some(out) = out {
        contrast.write(out)?;
        crate::print(&format!(
            "Figures: {0}/*.svg and *.pdf; {0}/differences.csv\n",
            out.display()
        ))?;
    }
    Ok(Exit::Done)
}

/// Writes the folder of a paper.
pub(crate) fn export(campaign: &Path, out: &Path) -> anyhow::Result<Exit> {
    let files = analysis::export::export(campaign, out)?;
    crate::print(&format!(
        "{} files in {}; README.md there says how each is redrawn\n",
        files.len(),
        out.display()
    ))?;
    Ok(Exit::Done)
}
