//! The figures of a campaign, fit to go into a paper: the distributions over runs, one curve per
//! arm, as figures 7 to 9 and 11 to 13 of Surton (2014) show them.
//!
//! *Assumes* the arms of one campaign. *Guarantees* what `drawing.rs` does, and that an arm is drawn
//! in the same way in every figure.

use topologies::Strategy;

use crate::arms::{Arm, Metric, Sample};
pub use crate::drawing::FigureError;
use crate::drawing::{Chart, Curve, PENS, Pen, Scale};
pub use crate::paper::Paper;
use crate::statistics::dkw_half_width;

/// A figure: what is drawn, and as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure {
    /// Name of its files, without extension.
    pub name: &'static str,
    /// What it shows the distribution of.
    pub metric: Metric,
    /// What is written at its horizontal axis.
    pub axis: &'static str,
}

/// The figures of a campaign.
pub const FIGURES: [Figure; 3] = [
    Figure {
        name: "convergence",
        metric: Metric::Convergence,
        axis: "Duration of convergence (s)",
    },
    Figure {
        name: "disconnection",
        metric: Metric::Disconnected,
        axis: "Average duration a router is disconnected (s)",
    },
    Figure {
        name: "update-load",
        metric: Metric::Updates,
        axis: "Updates sent per router",
    },
];

impl Figure {
    /// The figure that shows a metric.
    #[must_use]
    pub fn of(metric: Metric) -> Self {
        let (name, axis) = match metric {
            Metric::Convergence => return FIGURES[0],
            Metric::Disconnected => return FIGURES[1],
            Metric::Updates => return FIGURES[2],
            Metric::NoRoute => ("no-route", "Average duration a router has no route (s)"),
            Metric::Loop => ("loop", "Average duration a router is in a loop (s)"),
            Metric::Blackhole => ("blackhole", "Average duration in a blackhole (s)"),
            Metric::Advertisements => ("advertisements", "Advertisements sent per router"),
            Metric::Withdrawals => ("withdrawals", "Withdrawals sent per router"),
            Metric::ProbeDisconnected => (
                "probe-disconnection",
                "Average duration probes of a router are lost (s)",
            ),
            Metric::ProbesLost => ("probes-lost", "Probes lost per run"),
        };
        Self { name, metric, axis }
    }
}

/// The place of an arm's pen among [`PENS`].
pub(crate) fn pen_of(arm: &Arm) -> usize {
    match arm.strategy {
        Strategy::None => 0,
        Strategy::GracefulRestart => 1,
        Strategy::GracefulRestartF0 => 2,
        Strategy::GracefulRestartWithdraw => 3,
        Strategy::Tcpr => 4,
    }
}

/// Draws a figure as SVG, of the usual width.
///
/// # Errors
/// If the plotting library fails.
pub fn to_svg(figure: Figure, arms: &[Arm]) -> Result<String, FigureError> {
    to_svg_on(Paper::PLAIN, figure, arms)
}

/// Draws a figure as SVG, on that much paper.
///
/// # Errors
/// If the plotting library fails.
pub fn to_svg_on(paper: Paper, figure: Figure, arms: &[Arm]) -> Result<String, FigureError> {
    let curves = arms.iter().map(|arm| {
        let pen = PENS[pen_of(arm)];
        curve(legend(arm, arms), pen, arm.sample(figure.metric))
    });
    Chart {
        name: figure.name,
        axis: figure.axis,
        counted: "Cumulative fraction of runs",
        scale: Scale::FromZero,
        curves: curves.collect(),
        notes: Vec::new(),
    }
    .to_svg(paper)
}

/// Draws one arm of two campaigns as SVG: A solid, B dashed.
///
/// # Errors
/// If the plotting library fails.
pub fn of_two(figure: Figure, name: &str, a: &Arm, b: &Arm) -> Result<String, FigureError> {
    let curve = |side: &str, pen, arm| {
        let sample = Arm::sample(arm, figure.metric);
        let label = format!("{side}: {name} ({})", counted(sample.values.len()));
        curve(label, pen, sample)
    };
    Chart {
        name: figure.name,
        axis: figure.axis,
        counted: "Cumulative fraction of runs",
        scale: Scale::FromZero,
        curves: vec![curve("A", PENS[0], a), curve("B", PENS[1], b)],
        notes: Vec::new(),
    }
    .to_svg(Paper::PLAIN)
}

/// Makes a PDF of a figure's SVG, of the same size, with its letters as text.
///
/// # Errors
/// If the SVG cannot be converted.
pub fn to_pdf(figure: Figure, svg: &str) -> Result<Vec<u8>, FigureError> {
    crate::drawing::to_pdf(figure.name, svg)
}

fn curve(label: String, pen: Pen, sample: &Sample) -> Curve<'_> {
    Curve {
        label,
        pen,
        values: &sample.values,
        published: None,
        // A value is a run's, and runs are independent.
        band: dkw_half_width(sample.values.len()),
    }
}

fn counted(runs: usize) -> String {
    match runs {
        0 => "no valid run".to_owned(),
        1 => "1 run".to_owned(),
        n => format!("{n} runs"),
    }
}

pub(crate) fn legend(arm: &Arm, arms: &[Arm]) -> String {
    let runs = counted(arm.valid);
    if arms.iter().all(|a| a.scenario == arm.scenario) {
        format!("{} ({runs})", arm.strategy)
    } else {
        format!("{}, {} ({runs})", arm.scenario, arm.strategy)
    }
}
