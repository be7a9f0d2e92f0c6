//! Tests of the analysis, from hand-made records whose right answers are computed by hand.

#![allow(clippy::unwrap_used)]

mod browser;
mod by_hand;
mod campaign;
mod cells;
mod contrast;
mod damage;
mod differences;
mod disk;
mod effects;
mod export;
mod figures;
mod kernel;
mod needed;
mod network;
mod page;
mod probe;
mod probe_records;
mod properties;
mod replay;
mod statistics;
mod study;
mod tables;
mod timing;

/// A valid run of one router, r1, that converged after `value_s` and was never disconnected.
fn measured(manifest: results::Manifest, value_s: f64) -> crate::arms::MeasuredRun {
    let converged_ns = network::ns(value_s);
    crate::arms::MeasuredRun {
        run_id: manifest.run_id.clone(),
        manifest: Some(manifest),
        metrics: Some(crate::metrics::RunMetrics {
            convergence_ns: converged_ns,
            routers: vec![crate::metrics::RouterMetrics {
                changes: 1,
                node: "r1".to_owned(),
                last_change_ns: converged_ns,
                no_route_ns: 0,
                loop_ns: 0,
                blackhole_ns: 0,
                sessions: Vec::new(),
                probe: None,
            }],
        }),
        findings: Vec::new(),
        valid: true,
    }
}
