//! How distributions are drawn: one chart for the figures of campaigns and of benchmarks.
//!
//! *Assumes* sorted values. *Guarantees* what `plot.rs` does, and that a distribution all of whose values are 0
//! is seen beside the axis.

use plotters::element::DashedPathElement;
use plotters::style::Color;

use crate::bands;
use crate::paper::Paper;
use crate::pens::{AXIS, Canvas, Pen, mark, stroke};
use crate::plot::{Axis, FigureError, Plot, Point, ToCanvas, tick};

/// A curve has no more markers than about this; its steps show every value.
const MARKERS: usize = 12;
/// A curve has no more steps than this: more are finer than a line is wide.
const STEPS: usize = 400;

/// One distribution.
#[derive(Debug, Clone)]
pub(crate) struct Curve<'a> {
    pub(crate) label: String,
    pub(crate) pen: Pen,
    /// Ascending.
    pub(crate) values: &'a [f64],
    /// A published mean, to stand as an upright line beside the curve.
    pub(crate) published: Option<f64>,
    /// Half the width of the confidence band around it, if its values are independent.
    pub(crate) band: Option<f64>,
}

/// What the horizontal axis spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// From 0 to the largest value.
    FromZero,
    /// From the smallest to the largest.
    Spread,
    /// The same, by orders of magnitude: values must be positive.
    Logarithmic,
}

/// A chart of distributions.
#[derive(Debug, Clone)]
pub(crate) struct Chart<'a> {
    /// Name of its files, without extension.
    pub(crate) name: &'static str,
    /// What is written at its horizontal axis.
    pub(crate) axis: &'a str,
    /// What is written at its vertical axis.
    pub(crate) counted: &'a str,
    pub(crate) scale: Scale,
    pub(crate) curves: Vec<Curve<'a>>,
    /// Values of other charts that this one is compared with: the axis spans them too.
    pub(crate) also_spans: Vec<f64>,
    /// Lines below the legend.
    pub(crate) notes: Vec<String>,
}

impl Chart<'_> {
    /// Draws it as SVG, on that much paper.
    ///
    /// # Errors
    /// If the plotting library fails.
    pub(crate) fn to_svg(&self, paper: Paper) -> Result<String, FigureError> {
        let logarithmic = self.scale == Scale::Logarithmic;
        let (low, high) = self.span();
        let legend = self.curves.iter().map(|c| (c.label.as_str(), c.pen));
        let plot = Plot {
            name: self.name,
            x: Axis {
                title: self.axis,
                span: (low, high),
                labels: 7,
                format: &|x| if logarithmic { power(*x) } else { tick(*x) },
            },
            y: Axis {
                title: self.counted,
                span: (-0.03, 1.03),
                labels: 6,
                format: &|y| format!("{y:.1}"),
            },
            legend: legend.collect(),
            notes: &self.notes,
        };
        plot.to_svg(paper, |canvas, at| self.draw(canvas, at))
    }

    /// Where a value lies on the axis.
    fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::FromZero | Scale::Spread => value,
            Scale::Logarithmic => value.log10(),
        }
    }

    /// What the axis spans, with room so that a curve at its end does not hide in the frame.
    fn span(&self) -> (f64, f64) {
        let ends = self.curves.iter().flat_map(|c| {
            let ends = [c.values.first(), c.values.last(), c.published.as_ref()];
            ends.into_iter().flatten().map(|v| self.place(*v))
        });
        let (low, high) = ends
            .chain(self.also_spans.iter().map(|v| self.place(*v)))
            .filter(|v| v.is_finite())
            .fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
        let low = if self.scale == Scale::FromZero {
            0.0
        } else {
            low
        };
        let (low, high) = match low < high {
            true => (low, high),
            false if low.abs() < f64::MAX => (low, low + 1.0),
            false => (0.0, 1.0),
        };
        let width = high - low;
        (low - 0.03 * width, high + 0.05 * width)
    }

    fn draw(&self, canvas: &Canvas<'_>, to_canvas: ToCanvas<'_>) -> Result<(), String> {
        let (low, high) = self.span();
        let at = |points: &[Point]| -> Vec<(i32, i32)> {
            let placed: Vec<Point> = points.iter().map(|p| (self.place(p.0), p.1)).collect();
            to_canvas(&placed)
        };
        // No value is below 0, so nothing is uncertain there.
        let from = match self.scale {
            Scale::FromZero => 0.0,
            _ => low,
        };
        let opacity = bands::opacity(self.curves.len());
        // All bands lie below all curves.
        for curve in &self.curves {
            bands::draw(canvas, curve, opacity, (from, high), &at)?;
        }
        for curve in &self.curves {
            let pen = curve.pen;
            let (steps, corners) = distribution(curve.values);
            stroke(canvas, pen, at(&steps))?;
            let every = corners.len().div_ceil(MARKERS).max(1);
            // Counted from the end: the largest value is always marked.
            for point in at(&corners).into_iter().rev().step_by(every) {
                mark(canvas, pen, point)?;
            }
            if let Some(mean) = curve.published {
                let upright = at(&[(mean, 0.0), (mean, 1.0)]);
                let style = pen.color.stroke_width(AXIS);
                let line = DashedPathElement::new(upright, 6, 12, style);
                canvas.draw(&line).map_err(|e| e.to_string())?;
            }
        }
        Ok(())
    }
}

/// The empirical distribution function of sorted values, as the corners of its steps from 0 to
/// 1, and the upper corner that each value makes. Of very many values, evenly chosen ones.
pub(crate) fn distribution(values: &[f64]) -> (Vec<Point>, Vec<Point>) {
    let n = values.len();
    let shown = n.min(STEPS);
    let mut steps = Vec::new();
    let mut corners = Vec::new();
    let mut before = 0.0;
    for step in 1..=shown {
        let rank = (step * n).div_ceil(shown);
        let fraction = rank as f64 / n as f64;
        steps.push((values[rank - 1], before));
        steps.push((values[rank - 1], fraction));
        corners.push((values[rank - 1], fraction));
        before = fraction;
    }
    (steps, corners)
}

/// A tick of a logarithmic axis: two digits of its power of ten.
fn power(exponent: f64) -> String {
    let value = 10f64.powf(exponent);
    let unit = 10f64.powf(exponent.floor() - 1.0);
    tick((value / unit).round() * unit)
}
