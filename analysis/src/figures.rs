//! The figures of a campaign, fit to go into a paper: the distributions over runs, one curve per
//! arm, as figures 7 to 9 and 11 to 13 of Surton (2014) show them.
//!
//! *Assumes* the arms of one campaign. *Guarantees* SVG and PDF of the same drawing, one column
//! (88 mm) wide, with lettering of 7 to 8 points; arms told apart without colour, by line and
//! marker; and that a distribution all of whose values are 0 is seen beside the axis. No font of
//! the machine is needed: one is embedded.

use std::sync::{Arc, LazyLock};

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::{
    BLACK, ChartBuilder, Circle, DrawingArea, IntoDrawingArea, IntoFont, PathElement, RGBColor,
    SVGBackend, ShapeStyle, Text, WHITE,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, TextStyle};
use svg2pdf::usvg;
use topologies::Strategy;

use crate::arms::{Arm, Metric};

/// Drawing units per millimetre.
const MM: i32 = 20;
/// Width of one column of a paper, millimetres.
const WIDTH_MM: i32 = 88;
/// Height of the plot without its legend, millimetres.
const HEIGHT_MM: i32 = 56;
/// Height of a line of the legend, millimetres.
const LEGEND_LINE_MM: i32 = 4;
/// Drawing units per point of lettering; plotters makes letters smaller by 1.24 than it is told.
const POINT: f64 = MM as f64 * 25.4 / 72.0 * 1.24;
/// Width of curves and axes, in drawing units: 0.3 mm and 0.2 mm.
const CURVE: u32 = 6;
const AXIS: u32 = 4;
/// Radius of a circle and half the side of a square, in drawing units.
const CIRCLE: i32 = 12;
const SQUARE: i32 = 18;
/// A curve has no more markers than about this; its steps show every run.
const MARKERS: usize = 12;

/// Metrically an Arial: viewers that lack it set the SVG in the same widths.
const FONT: &str = "Liberation Sans, Arial, Helvetica, sans-serif";
static FONT_FILE: &[u8] = include_bytes!("../assets/LiberationSans-Regular.ttf");

/// Why a figure could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum FigureError {
    /// The plotting library failed.
    #[error("cannot draw the figure `{figure}`: {reason}")]
    Draw {
        /// Name of the figure.
        figure: &'static str,
        /// Why.
        reason: String,
    },
    /// The drawing could not be made a PDF.
    #[error("cannot make a PDF of the figure `{figure}`: {reason}")]
    Pdf {
        /// Name of the figure.
        figure: &'static str,
        /// Why.
        reason: String,
    },
}

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

/// A value and the fraction of runs that do not exceed it.
type Point = (f64, f64);
type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// How the curve of an arm is drawn: the same in every figure.
#[derive(Debug, Clone, Copy)]
struct Pen {
    color: RGBColor,
    /// Lengths of dash and gap, in drawing units; solid without.
    dash: Option<(i32, i32)>,
    marker: Marker,
}

#[derive(Debug, Clone, Copy)]
enum Marker {
    FullCircle,
    OpenSquare,
}

/// Black and a blue that prints as a middle grey (Okabe and Ito 2008).
fn pen(strategy: Strategy) -> Pen {
    match strategy {
        Strategy::None => Pen {
            color: BLACK,
            dash: None,
            marker: Marker::FullCircle,
        },
        Strategy::GracefulRestart => Pen {
            color: RGBColor(0, 114, 178),
            dash: Some((36, 18)),
            marker: Marker::OpenSquare,
        },
    }
}

/// Draws a figure as SVG.
///
/// # Errors
/// If the plotting library fails.
pub fn to_svg(figure: Figure, arms: &[Arm]) -> Result<String, FigureError> {
    let legend_mm = LEGEND_LINE_MM * i32::try_from(arms.len()).unwrap_or(1);
    let height_mm = HEIGHT_MM + legend_mm;
    let size = |mm: i32| (mm * MM).unsigned_abs();
    let mut svg = String::new();
    {
        let backend = SVGBackend::with_string(&mut svg, (size(WIDTH_MM), size(height_mm)));
        draw(&backend.into_drawing_area(), figure, arms, legend_mm).map_err(|reason| {
            FigureError::Draw {
                figure: figure.name,
                reason,
            }
        })?;
    }
    // Drawing units are integers and finer than a screen's; the size on paper is said apart.
    let in_units = format!(
        "width=\"{}\" height=\"{}\"",
        size(WIDTH_MM),
        size(height_mm)
    );
    let in_mm = format!("width=\"{WIDTH_MM}mm\" height=\"{height_mm}mm\"");
    Ok(svg.replacen(&in_units, &in_mm, 1))
}

/// Makes a PDF of a figure's SVG, of the same size, with its letters as text.
///
/// # Errors
/// If the SVG cannot be converted.
pub fn to_pdf(figure: Figure, svg: &str) -> Result<Vec<u8>, FigureError> {
    static FONTS: LazyLock<Arc<usvg::fontdb::Database>> = LazyLock::new(|| {
        let mut fonts = usvg::fontdb::Database::new();
        fonts.load_font_data(FONT_FILE.to_vec());
        Arc::new(fonts)
    });
    let failed = |reason: String| FigureError::Pdf {
        figure: figure.name,
        reason,
    };
    let options = usvg::Options {
        fontdb: Arc::clone(&FONTS),
        ..usvg::Options::default()
    };
    let tree = usvg::Tree::from_str(svg, &options).map_err(|e| failed(e.to_string()))?;
    // CSS has 96 pixels to the inch, and usvg has made millimetres into those.
    let page = svg2pdf::PageOptions { dpi: 96.0 };
    svg2pdf::to_pdf(&tree, svg2pdf::ConversionOptions::default(), page)
        .map_err(|e| failed(e.to_string()))
}

fn draw(canvas: &Canvas<'_>, figure: Figure, arms: &[Arm], legend_mm: i32) -> Result<(), String> {
    canvas.fill(&WHITE).map_err(|e| e.to_string())?;
    let max = arms
        .iter()
        .filter_map(|a| a.sample(figure.metric).values.last().copied())
        .fold(0.0, f64::max);
    let max = if max > 0.0 { max } else { 1.0 };
    let axis = ShapeStyle::from(&BLACK).stroke_width(AXIS);
    let mut chart = ChartBuilder::on(canvas)
        .margin_top(legend_mm * MM + MM)
        .margin_right(3 * MM)
        .margin_bottom(MM)
        .margin_left(MM)
        .x_label_area_size(9 * MM)
        .y_label_area_size(12 * MM)
        // Below 0, so that a curve at 0 does not hide in the axis.
        .build_cartesian_2d(-0.03 * max..1.05 * max, -0.03..1.03)
        .map_err(|e| e.to_string())?;
    chart
        .configure_mesh()
        .disable_mesh()
        .axis_style(axis)
        .x_labels(7)
        .y_labels(6)
        .set_all_tick_mark_size(MM)
        .x_label_formatter(&|x| tick(*x))
        .y_label_formatter(&|y| format!("{y:.1}"))
        .label_style((FONT, 7.0 * POINT))
        .axis_desc_style((FONT, 8.0 * POINT))
        .x_desc(figure.axis)
        .y_desc("Cumulative fraction of runs")
        .draw()
        .map_err(|e| e.to_string())?;
    for (i, arm) in arms.iter().enumerate() {
        let pen = pen(arm.strategy);
        let values = &arm.sample(figure.metric).values;
        let (steps, corners) = distribution(values);
        let at = |points: &[Point]| -> Vec<(i32, i32)> {
            points.iter().map(|p| chart.backend_coord(p)).collect()
        };
        stroke(canvas, pen, at(&steps))?;
        let every = values.len().div_ceil(MARKERS).max(1);
        // Counted from the end: the largest value is always marked.
        for point in at(&corners).into_iter().rev().step_by(every) {
            mark(canvas, pen, point)?;
        }
        let line = i32::try_from(i).unwrap_or(0);
        let y = MM + line * LEGEND_LINE_MM * MM + LEGEND_LINE_MM * MM / 2;
        let (from, to) = (13 * MM, 23 * MM);
        stroke(canvas, pen, vec![(from, y), (to, y)])?;
        mark(canvas, pen, ((from + to) / 2, y))?;
        letter(canvas, &legend(arm, arms), (to + MM, y))?;
    }
    canvas.present().map_err(|e| e.to_string())
}

/// The empirical distribution function of sorted values, as the corners of its steps from 0 to
/// 1, and the upper corner that each value makes.
fn distribution(values: &[f64]) -> (Vec<Point>, Vec<Point>) {
    let n = values.len() as f64;
    let mut steps = Vec::new();
    let mut corners = Vec::new();
    for (i, &value) in values.iter().enumerate() {
        steps.push((value, i as f64 / n));
        steps.push((value, (i + 1) as f64 / n));
        corners.push((value, (i + 1) as f64 / n));
    }
    (steps, corners)
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

fn stroke(canvas: &Canvas<'_>, pen: Pen, points: Vec<(i32, i32)>) -> Result<(), String> {
    if points.is_empty() {
        return Ok(());
    }
    let style = pen.color.stroke_width(CURVE);
    match pen.dash {
        None => canvas.draw(&PathElement::new(points, style)),
        Some((dash, gap)) => canvas.draw(&DashedPathElement::new(points, dash, gap, style)),
    }
    .map_err(|e| e.to_string())
}

fn mark(canvas: &Canvas<'_>, pen: Pen, (x, y): (i32, i32)) -> Result<(), String> {
    match pen.marker {
        Marker::FullCircle => canvas.draw(&Circle::new((x, y), CIRCLE, pen.color.filled())),
        // Not filled, and around the circle: arms that agree are both seen.
        Marker::OpenSquare => {
            let corners = [(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1), (1, -1)]
                .map(|(dx, dy)| (x + dx * SQUARE, y + dy * SQUARE));
            canvas.draw(&PathElement::new(corners, pen.color.stroke_width(AXIS)))
        }
    }
    .map_err(|e| e.to_string())
}

fn letter(canvas: &Canvas<'_>, text: &str, at: (i32, i32)) -> Result<(), String> {
    let style = TextStyle::from((FONT, 7.0 * POINT).into_font())
        .color(&BLACK)
        .pos(Pos::new(HPos::Left, VPos::Center));
    canvas
        .draw(&Text::new(text.to_owned(), at, style))
        .map_err(|e| e.to_string())
}

/// A tick's number without digits that say nothing.
fn tick(x: f64) -> String {
    // Rounded to what a tick can differ by; adding 0 makes -0 into 0.
    let rounded = (x * 1e6).round() / 1e6 + 0.0;
    format!("{rounded}")
}
