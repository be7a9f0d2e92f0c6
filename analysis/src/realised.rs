//! What MRAI the routers realised, as a reader sees it.
//!
//! *Assumes* manifests of MRAI probes. *Guarantees* that no value stands without the router that
//! it was measured on, its version and what it was told.

use std::fmt;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};
use results::realised::{RealisedMrai, Spread};

use crate::arms::MeasuredRun;

/// The result of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Realised {
    /// Name of the run.
    pub run_id: String,
    /// Implementation of the router and its version.
    pub implementation: String,
    /// What it was told, seconds.
    pub mrai_s: f64,
    /// Whether the run is valid.
    pub valid: bool,
    /// What was measured.
    pub mrai: RealisedMrai,
}

/// The results of all runs that have one.
pub(crate) fn of(runs: &[MeasuredRun]) -> Vec<Realised> {
    let of_run = |run: &MeasuredRun| {
        let manifest = run.manifest.as_ref()?;
        Some(Realised {
            run_id: run.run_id.clone(),
            implementation: format!("{} {}", manifest.router, manifest.router_version),
            mrai_s: manifest.mrai_s,
            valid: run.valid,
            mrai: manifest.realised_mrai.clone()?,
        })
    };
    runs.iter().filter_map(of_run).collect()
}

/// What was measured, by its name for a reader.
pub(crate) fn spreads(mrai: &RealisedMrai) -> [(&'static str, Spread); 5] {
    [
        ("first announcement", mrai.first_announcement),
        ("second announcement", mrai.second_announcement),
        ("interval between them", mrai.announcement_interval),
        ("withdrawal", mrai.withdrawal),
        (
            "withdrawal behind an announcement",
            mrai.withdrawal_behind_announcement,
        ),
    ]
}

impl fmt::Display for Realised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            run_id,
            implementation,
            mrai_s,
            mrai,
            ..
        } = self;
        let invalid = if self.valid { "" } else { " (invalid)" };
        writeln!(
            f,
            "{run_id}{invalid}: {implementation}, told an MRAI of {mrai_s} s; {} to {}, {} rounds",
            mrai.router, mrai.peer, mrai.rounds
        )?;
        let mut table = Table::new();
        table
            .load_style(UTF8_FULL_CONDENSED)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(["realised MRAI", "min, s", "median, s", "max, s"]);
        for (name, spread) in spreads(mrai) {
            let Spread {
                min_s,
                median_s,
                max_s,
            } = spread;
            let mut row = vec![Cell::new(name)];
            row.extend(
                [min_s, median_s, max_s]
                    .map(|s| Cell::new(format!("{s:.3}")).set_alignment(CellAlignment::Right)),
            );
            table.add_row(row);
        }
        writeln!(f, "{table}")
    }
}
