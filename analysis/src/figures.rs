//! The figures of a campaign, fit to go into a paper: the distributions over runs, one curve per
//! arm, as figures 7 to 9 and 11 to 13 of Surton (2014) show them.
//!
//! *Assumes* the arms of one campaign. *Guarantees* what `drawing.rs` does, that an arm is drawn in the
//! same way in every figure, and that no chart has more curves than can be told apart: where a
//! matrix makes more, each cell has a chart of its own, all on the same axis.

use topologies::{Cell, Strategy};

use crate::arms::{Arm, Metric, Sample};
use crate::drawing::{Chart, Curve, Scale};
pub use crate::paper::Paper;
use crate::pens::{LINES, PENS, Pen};
pub use crate::plot::FigureError;
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

/// Most curves of one chart.
pub(crate) const CURVES: usize = 8;

/// Arms that are drawn in one chart.
#[derive(Debug, Clone)]
pub struct Sheet<'a> {
    /// What is added to the names of the figures' files; nothing if there is one sheet.
    pub name: String,
    /// The arms.
    pub arms: Vec<&'a Arm>,
}

/// The arms in one sheet, or, if these are too many, in one for each cell of the matrix.
#[must_use]
pub fn sheets(arms: &[Arm]) -> Vec<Sheet<'_>> {
    let cells = distinct(arms.iter().map(|a| &a.cell));
    if arms.len() <= CURVES || cells.len() < 2 {
        return vec![Sheet {
            name: String::new(),
            arms: arms.iter().collect(),
        }];
    }
    let sheet = |cell: &Cell| Sheet {
        name: format!("-{}", plain(&cell.to_string())),
        arms: arms.iter().filter(|a| a.cell == *cell).collect(),
    };
    cells.into_iter().map(sheet).collect()
}

/// A text as part of a file's name.
pub(crate) fn plain(text: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "=,._-".contains(c) {
            c
        } else {
            '_'
        }
    };
    text.chars().map(plain).collect()
}

pub(crate) fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut once = Vec::new();
    for one in all {
        if !once.contains(&one) {
            once.push(one);
        }
    }
    once
}

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

/// How an arm is drawn: without a matrix, or where each cell has a sheet of its own, as its strategy
/// is everywhere. In a sheet of several cells the colour is the strategy's, the line and its marker
/// the cell's; with one strategy alone the cells have the colours.
pub(crate) fn pen(arm: &Arm, sheet: &[&Arm]) -> Pen {
    let drawn: Vec<_> = sheet.iter().map(|a| (a.strategy, &a.cell)).collect();
    pen_of((arm.strategy, &arm.cell), &drawn)
}

/// The same of what is drawn for a strategy in a cell.
pub(crate) fn pen_of((strategy, cell): (Strategy, &Cell), drawn: &[(Strategy, &Cell)]) -> Pen {
    let of_strategy = PENS[match strategy {
        Strategy::None => 0,
        Strategy::GracefulRestart => 1,
        Strategy::GracefulRestartF0 => 2,
        Strategy::GracefulRestartWithdraw => 3,
        Strategy::Tcpr => 4,
    }];
    let cells = distinct(drawn.iter().map(|(_, cell)| *cell));
    if cells.len() < 2 {
        return of_strategy;
    }
    let number = cells.iter().position(|c| *c == cell).unwrap_or(0);
    if distinct(drawn.iter().map(|(strategy, _)| *strategy)).len() == 1 {
        return PENS[number % PENS.len()];
    }
    let (dash, marker) = LINES[number % LINES.len()];
    Pen {
        dash,
        marker,
        ..of_strategy
    }
}

/// Draws a figure of all arms as SVG, of the usual width.
///
/// # Errors
/// If the plotting library fails.
pub fn to_svg(figure: Figure, arms: &[Arm]) -> Result<String, FigureError> {
    let sheet = Sheet {
        name: String::new(),
        arms: arms.iter().collect(),
    };
    sheet_to_svg(figure, &sheet, arms)
}

/// Draws one sheet of a figure as SVG, on the axis of all arms.
///
/// # Errors
/// If the plotting library fails.
pub fn sheet_to_svg(
    figure: Figure,
    sheet: &Sheet<'_>,
    arms: &[Arm],
) -> Result<String, FigureError> {
    sheet_to_svg_on(Paper::PLAIN, figure, sheet, arms)
}

/// The same, on that much paper.
///
/// # Errors
/// If the plotting library fails.
pub fn sheet_to_svg_on(
    paper: Paper,
    figure: Figure,
    sheet: &Sheet<'_>,
    arms: &[Arm],
) -> Result<String, FigureError> {
    let curves = sheet.arms.iter().map(|arm| {
        let pen = pen(arm, &sheet.arms);
        curve(legend(arm, arms), pen, arm.sample(figure.metric))
    });
    let largest = |arm: &Arm| arm.sample(figure.metric).values.last().copied();
    Chart {
        name: figure.name,
        axis: figure.axis,
        counted: "Cumulative fraction of runs",
        scale: Scale::FromZero,
        curves: curves.collect(),
        also_spans: arms.iter().filter_map(largest).collect(),
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
        also_spans: Vec::new(),
        notes: Vec::new(),
    }
    .to_svg(Paper::PLAIN)
}

/// Makes a PDF of a figure's SVG, of the same size, with its letters as text.
///
/// # Errors
/// If the SVG cannot be converted.
pub fn to_pdf(figure: Figure, svg: &str) -> Result<Vec<u8>, FigureError> {
    crate::plot::to_pdf(figure.name, svg)
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
        format!("{} ({runs})", arm.label())
    } else {
        format!("{}, {} ({runs})", arm.scenario, arm.label())
    }
}
