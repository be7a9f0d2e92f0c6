//! The figures of a campaign, fit to go into a paper: the distributions over runs, one curve per
//! arm, as figures 7 to 9 and 11 to 13 of Surton (2014) show them.
//!
//! *Assumes* the arms of one campaign. *Guarantees* what `drawing.rs` does, and that an arm is drawn
//! in the same way in every figure.

use topologies::Strategy;

use crate::arms::{Arm, Metric};
pub use crate::drawing::FigureError;
use crate::drawing::{Chart, Curve, PENS, Pen, Scale};

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

fn pen(strategy: Strategy) -> Pen {
    PENS[match strategy {
        Strategy::None => 0,
        Strategy::GracefulRestart => 1,
        Strategy::GracefulRestartF0 => 2,
        Strategy::GracefulRestartWithdraw => 3,
        Strategy::Tcpr => 4,
    }]
}

/// Draws a figure as SVG.
///
/// # Errors
/// If the plotting library fails.
pub fn to_svg(figure: Figure, arms: &[Arm]) -> Result<String, FigureError> {
    let curve = |arm| Curve {
        label: legend(arm, arms),
        pen: pen(arm.strategy),
        values: &arm.sample(figure.metric).values,
        published: None,
    };
    Chart {
        name: figure.name,
        axis: figure.axis,
        counted: "Cumulative fraction of runs",
        scale: Scale::FromZero,
        curves: arms.iter().map(curve).collect(),
        notes: Vec::new(),
    }
    .to_svg()
}

/// Makes a PDF of a figure's SVG, of the same size, with its letters as text.
///
/// # Errors
/// If the SVG cannot be converted.
pub fn to_pdf(figure: Figure, svg: &str) -> Result<Vec<u8>, FigureError> {
    crate::drawing::to_pdf(figure.name, svg)
}

fn legend(arm: &Arm, arms: &[Arm]) -> String {
    let runs = match arm.valid {
        0 => "no valid run".to_owned(),
        1 => "1 run".to_owned(),
        n => format!("{n} runs"),
    };
    if arms.iter().all(|a| a.scenario == arm.scenario) {
        format!("{} ({runs})", arm.strategy)
    } else {
        format!("{}, {} ({runs})", arm.scenario, arm.strategy)
    }
}
