//! What the page's script works on: one JSON object.
//!
//! *Assumes* the arms and runs of one campaign. *Guarantees* that curves are of valid runs alone, one
//! value each, as in every figure; and that what was not measured is null, not 0.

use std::collections::BTreeSet;

use serde::Serialize;
use topologies::Topology;

use super::encode::{Encoded, Network};
use super::{rows, selection};
use crate::arms::{Arm, MeasuredRun, Metric};
use crate::replay::Replay;
use crate::statistics::dkw_half_width;

/// The whole of it.
#[derive(Debug, Serialize)]
pub(super) struct Data {
    metrics: Vec<MetricHead>,
    arms: Vec<ArmHead>,
    runs: Vec<RunData>,
    networks: Vec<Network>,
}

#[derive(Debug, Serialize)]
struct MetricHead {
    name: &'static str,
    title: &'static str,
    /// With its unit, for the axis.
    axis: &'static str,
    unit: &'static str,
}

#[derive(Debug, Serialize)]
struct ArmHead {
    label: String,
    /// Number of its pen, see `curves.js`.
    pen: usize,
    valid: usize,
    total: usize,
    /// By metric; none without a valid run.
    medians: Vec<Option<f64>>,
    /// Half the width of the confidence band around the curve, by metric.
    bands: Vec<Option<f64>>,
}

#[derive(Debug, Serialize)]
struct RunData {
    id: String,
    /// Number of its arm; none if its manifest cannot be read.
    arm: Option<usize>,
    valid: bool,
    /// A value per metric, or null.
    values: Option<Vec<Option<f64>>>,
    replay: Option<Encoded>,
}

impl Data {
    pub(super) fn of(arms: &[Arm], runs: &[MeasuredRun], replays: &[Option<Replay>]) -> Self {
        let metrics: Vec<Metric> = Metric::ALL
            .into_iter()
            .filter(|&m| runs.iter().any(|r| value(r, m).is_some()))
            .collect();
        let arm_of: Vec<Option<usize>> = runs.iter().map(|r| rows::arm_of(arms, r)).collect();
        let (networks, mut encoded) = encode(runs, replays);
        let sizes: Vec<Option<usize>> = encoded.iter().map(|e| e.as_ref().map(octets)).collect();
        let kept = selection::choose(runs, &arm_of, &sizes, selection::MOST_BYTES);
        Self {
            arms: arms
                .iter()
                .enumerate()
                .map(|(i, arm)| ArmHead {
                    label: rows::label(arm, arms),
                    pen: rows::pen(i, arms),
                    valid: arm.valid,
                    total: arm.total,
                    medians: metrics
                        .iter()
                        .map(|&m| Some(arm.sample(m).summary.figures?.median))
                        .collect(),
                    bands: metrics
                        .iter()
                        .map(|&m| dkw_half_width(arm.sample(m).values.len()))
                        .collect(),
                })
                .collect(),
            runs: runs
                .iter()
                .enumerate()
                .map(|(i, run)| RunData {
                    id: run.run_id.clone(),
                    arm: arm_of[i],
                    valid: run.valid,
                    values: run
                        .metrics
                        .as_ref()
                        .map(|_| metrics.iter().map(|&m| value(run, m)).collect()),
                    replay: kept.contains(&i).then(|| encoded[i].take()).flatten(),
                })
                .collect(),
            metrics: metrics.into_iter().map(head).collect(),
            networks,
        }
    }

    /// The numbers of the runs whose replays are here.
    pub(super) fn kept(&self) -> BTreeSet<usize> {
        let runs = self.runs.iter().enumerate();
        runs.filter(|(_, r)| r.replay.is_some())
            .map(|(i, _)| i)
            .collect()
    }
}

/// What a replay takes in the page.
fn octets(replay: &Encoded) -> usize {
    serde_json::to_string(replay).map_or(usize::MAX, |json| json.len())
}

/// Draws each network once, and encodes each replay. A network that cannot be drawn has none.
fn encode(
    runs: &[MeasuredRun],
    replays: &[Option<Replay>],
) -> (Vec<Network>, Vec<Option<Encoded>>) {
    let mut known: Vec<(&Topology, Option<usize>)> = Vec::new();
    let mut networks = Vec::new();
    let mut encoded = Vec::new();
    for (run, replay) in runs.iter().zip(replays) {
        let (Some(replay), Some(manifest)) = (replay, &run.manifest) else {
            encoded.push(None);
            continue;
        };
        let drawn = known.iter().find(|(t, _)| **t == replay.topology);
        let network = match drawn {
            Some((_, network)) => *network,
            None => {
                let network = Network::of(&replay.topology, &manifest.topology).map(|n| {
                    networks.push(n);
                    networks.len() - 1
                });
                known.push((&replay.topology, network));
                network
            }
        };
        encoded.push(network.map(|n| Encoded::of(replay, n)));
    }
    (networks, encoded)
}

/// The value of a metric for a run, without digits that say nothing: a millionth of a second is finer
/// than any record.
fn value(run: &MeasuredRun, metric: Metric) -> Option<f64> {
    let value = metric.of(run.metrics.as_ref()?)?;
    Some((value * 1e6).round() / 1e6)
}

fn head(metric: Metric) -> MetricHead {
    let (title, axis) = match metric {
        Metric::Convergence => ("Convergence", "Duration of convergence (s)"),
        Metric::Disconnected => (
            "Disconnection",
            "Average duration a router is disconnected (s)",
        ),
        Metric::NoRoute => (
            "Without a route",
            "Average duration a router has no route (s)",
        ),
        Metric::Loop => ("In a loop", "Average duration packets loop (s)"),
        Metric::Blackhole => (
            "Blackholed",
            "Average duration packets are lost elsewhere (s)",
        ),
        Metric::Advertisements => ("Advertisements", "Advertisements sent per router"),
        Metric::Withdrawals => ("Withdrawals", "Withdrawals sent per router"),
        Metric::Updates => ("Update load", "Updates sent per router"),
        Metric::ProbeDisconnected => (
            "Disconnection by probe",
            "Average duration a router's probes are lost (s)",
        ),
        Metric::ProbesLost => ("Probes lost", "Probes lost in a run"),
    };
    MetricHead {
        name: metric.name(),
        title,
        axis,
        unit: metric.unit(),
    }
}
