//! The tables of a campaign: `metrics.csv`, `metrics.parquet`, `summary.csv`, `differences.csv`,
//! `sessions.csv`, `findings.csv`.
//!
//! *Assumes* measured runs and their arms. *Guarantees* the columns that docs/metrics.md lists,
//! in that order; rows in the order of runs and, within a run, of the topology; no value rather
//! than a false zero where there is none.

use polars::prelude::{
    CsvWriter, DataFrame, ParquetCompression, ParquetWriter, PolarsError, SerWriter, df,
};

use topologies::Cell;

use crate::arms::{Arm, MeasuredRun};
use crate::differences::Difference;
use crate::metrics::seconds;

/// The row per run and router: `metrics.csv` and `metrics.parquet`.
///
/// # Errors
/// If polars refuses the columns.
pub fn metrics(runs: &[MeasuredRun]) -> Result<DataFrame, PolarsError> {
    let rows: Vec<_> = runs
        .iter()
        .filter_map(|r| Some((r, r.manifest.as_ref()?, r.metrics.as_ref()?)))
        .flat_map(|(r, m, x)| x.routers.iter().map(move |router| (r, m, x, router)))
        .collect();
    macro_rules! column {
        (|$r:pat_param, $m:pat_param, $x:pat_param, $router:pat_param| $value:expr) => {
            rows.iter()
                .map(|($r, $m, $x, $router)| $value)
                .collect::<Vec<_>>()
        };
    }
    df!(
        "run_id" => column!(|r, _, _, _| r.run_id.as_str()),
        "scenario" => column!(|_, m, _, _| m.scenario.as_str()),
        "topology" => column!(|_, m, _, _| m.topology.as_str()),
        "size" => column!(|_, m, _, _| m.size as u64),
        "router" => column!(|_, m, _, _| m.router.as_str()),
        "router_version" => column!(|_, m, _, _| m.router_version.as_str()),
        "mrai_s" => column!(|_, m, _, _| m.mrai_s),
        "failure" => column!(|_, m, _, _| m.failure.to_string()),
        "strategy" => column!(|_, m, _, _| m.strategy.to_string()),
        "node" => column!(|_, _, _, router| router.node.as_str()),
        "convergence_s" => column!(|_, _, x, _| seconds(x.convergence_ns)),
        "last_change_s" => column!(|_, _, _, router| seconds(router.last_change_ns)),
        "disconnected_s" => column!(|_, _, _, router| seconds(router.disconnected_ns())),
        "no_route_s" => column!(|_, _, _, router| seconds(router.no_route_ns)),
        "loop_s" => column!(|_, _, _, router| seconds(router.loop_ns)),
        "blackhole_s" => column!(|_, _, _, router| seconds(router.blackhole_ns)),
        "advertisements_sent" => column!(|_, _, _, router| router.advertisements()),
        "withdrawals_sent" => column!(|_, _, _, router| router.withdrawals()),
        "updates_sent" => column!(|_, _, _, router| router.updates()),
        "valid" => column!(|r, _, _, _| r.valid),
        "probe_disconnected_s" =>
            column!(|_, _, _, router| router.probe.map(|p| seconds(p.disconnected_ns))),
        "probes_lost" => column!(|_, _, _, router| router.probe.map(|p| p.lost)),
        "cell" => column!(|_, m, _, _| cell(&m.cell)),
        "attempt" => column!(|_, m, _, _| m.attempt),
        "run_in_lab" => column!(|_, m, _, _| m.shared_lab.as_ref().map(|lab| lab.number)),
        "table_changes" => column!(|_, _, _, router| router.changes),
    )
}

/// The name of a cell; none without a matrix.
fn cell(cell: &Cell) -> Option<String> {
    (!cell.is_empty()).then(|| cell.to_string())
}

/// The row per run, router and peer: `sessions.csv`.
///
/// # Errors
/// If polars refuses the columns.
pub fn sessions(runs: &[MeasuredRun]) -> Result<DataFrame, PolarsError> {
    let rows: Vec<_> = runs
        .iter()
        .filter_map(|r| Some((r, r.manifest.as_ref()?, r.metrics.as_ref()?)))
        .flat_map(|(r, m, x)| x.routers.iter().map(move |router| (r, m, router)))
        .flat_map(|(r, m, router)| router.sessions.iter().map(move |s| (r, m, router, s)))
        .collect();
    df!(
        "run_id" => rows.iter().map(|(r, ..)| r.run_id.as_str()).collect::<Vec<_>>(),
        "strategy" => rows.iter().map(|(_, m, ..)| m.strategy.to_string()).collect::<Vec<_>>(),
        "node" => rows.iter().map(|(_, _, n, _)| n.node.as_str()).collect::<Vec<_>>(),
        "peer" => rows.iter().map(|(.., s)| s.peer.as_str()).collect::<Vec<_>>(),
        "advertisements_sent" => rows.iter().map(|(.., s)| s.advertisements).collect::<Vec<_>>(),
        "withdrawals_sent" => rows.iter().map(|(.., s)| s.withdrawals).collect::<Vec<_>>(),
        "valid" => rows.iter().map(|(r, ..)| r.valid).collect::<Vec<_>>(),
        "cell" => rows.iter().map(|(_, m, ..)| cell(&m.cell)).collect::<Vec<_>>(),
    )
}

/// The row per scenario, arm and metric: `summary.csv`.
///
/// # Errors
/// If polars refuses the columns.
pub fn summary(arms: &[Arm]) -> Result<DataFrame, PolarsError> {
    let rows: Vec<_> = arms
        .iter()
        .flat_map(|arm| arm.samples.iter().map(move |s| (arm, s)))
        .collect();
    macro_rules! figure {
        (|$f:ident| $value:expr) => {
            rows.iter()
                .map(|(_, s)| s.summary.figures.and_then(|$f| $value))
                .collect::<Vec<Option<f64>>>()
        };
    }
    df!(
        "scenario" => rows.iter().map(|(a, _)| a.scenario.as_str()).collect::<Vec<_>>(),
        "strategy" => rows.iter().map(|(a, _)| a.strategy.to_string()).collect::<Vec<_>>(),
        "metric" => rows.iter().map(|(_, s)| s.metric.name()).collect::<Vec<_>>(),
        "unit" => rows.iter().map(|(_, s)| s.metric.unit()).collect::<Vec<_>>(),
        "n" => rows.iter().map(|(_, s)| s.summary.n as u64).collect::<Vec<_>>(),
        "mean" => figure!(|f| Some(f.mean)),
        "ci95_low" => figure!(|f| f.ci95.map(|c| c.0)),
        "ci95_high" => figure!(|f| f.ci95.map(|c| c.1)),
        "median" => figure!(|f| Some(f.median)),
        "p90" => figure!(|f| Some(f.p90)),
        "max" => figure!(|f| Some(f.max)),
        "cell" => rows.iter().map(|(a, _)| cell(&a.cell)).collect::<Vec<_>>(),
    )
}

/// The row per metric and pair of arms: `differences.csv`.
///
/// # Errors
/// If polars refuses the columns.
pub fn differences(rows: &[Difference]) -> Result<DataFrame, PolarsError> {
    macro_rules! column {
        (|$d:ident| $value:expr) => {
            rows.iter().map(|$d| $value).collect::<Vec<_>>()
        };
    }
    df!(
        "scenario" => column!(|d| d.scenario.as_str()),
        "arm" => column!(|d| d.of.as_str()),
        "against" => column!(|d| d.against.as_str()),
        "metric" => column!(|d| d.metric.name()),
        "unit" => column!(|d| d.metric.unit()),
        "n_arm" => column!(|d| d.runs.0 as u64),
        "n_against" => column!(|d| d.runs.1 as u64),
        "estimate" => column!(|d| d.estimate()),
        "pairs" => column!(|d| d.pairs.map(|p| p as u64)),
        "difference" => column!(|d| d.difference),
        "ci95_low" => column!(|d| d.ci95.map(|c| c.0)),
        "ci95_high" => column!(|d| d.ci95.map(|c| c.1)),
        "cliffs_delta" => column!(|d| d.dominance.delta),
        "cliffs_delta_ci95_low" => column!(|d| d.dominance.ci95.0),
        "cliffs_delta_ci95_high" => column!(|d| d.dominance.ci95.1),
        "mann_whitney_p" => column!(|d| d.tests.mann_whitney_p),
        "mann_whitney_p_holm" => column!(|d| d.tests.mann_whitney_p_holm),
        "ks_p" => column!(|d| d.tests.ks_p),
        "ks_p_holm" => column!(|d| d.tests.ks_p_holm),
        "comparisons" => column!(|d| d.tests.comparisons as u64),
        "cell" => column!(|d| cell(&d.cell)),
    )
}

/// The row per finding: `findings.csv`.
///
/// # Errors
/// If polars refuses the columns.
pub fn findings(runs: &[MeasuredRun]) -> Result<DataFrame, PolarsError> {
    let rows: Vec<_> = runs
        .iter()
        .flat_map(|r| r.findings.iter().map(move |f| (r, f)))
        .collect();
    df!(
        "run_id" => rows.iter().map(|(r, _)| r.run_id.as_str()).collect::<Vec<_>>(),
        "kind" => rows.iter().map(|(_, f)| word(&f.kind)).collect::<Vec<_>>(),
        "severity" => rows.iter().map(|(_, f)| word(&f.severity)).collect::<Vec<_>>(),
        "place" => rows.iter().map(|(_, f)| f.place.as_str()).collect::<Vec<_>>(),
        "message" => rows.iter().map(|(_, f)| f.message.as_str()).collect::<Vec<_>>(),
    )
}

/// A table as CSV (RFC 4180, with a header line; line ends are a single LF).
///
/// # Errors
/// If polars cannot write it.
pub fn to_csv(sheet: &mut DataFrame) -> Result<Vec<u8>, PolarsError> {
    let mut bytes = Vec::new();
    CsvWriter::new(&mut bytes)
        .with_float_scientific(Some(false))
        .finish(sheet)?;
    Ok(bytes)
}

/// A table as Parquet.
///
/// # Errors
/// If polars cannot write it.
pub fn to_parquet(sheet: &mut DataFrame) -> Result<Vec<u8>, PolarsError> {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .with_compression(ParquetCompression::Snappy)
        .finish(sheet)?;
    Ok(bytes)
}

/// The word that the run-directory format uses for a value of one of its enumerations.
pub(crate) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(s)) => s,
        other => format!("{other:?}"),
    }
}
