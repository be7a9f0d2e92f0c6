//! How distributions are drawn: one chart for the figures of campaigns and of benchmarks.
//!
//! *Assumes* sorted values. *Guarantees* SVG and PDF of the same drawing, as wide as a column of a
//! paper or two, with lettering of 7 to 8 points; curves told apart without colour, by line and marker; and that
//! a distribution all of whose values are 0 is seen beside the axis. No font of the machine is
//! needed: one is embedded.

use std::sync::{Arc, LazyLock};

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::{
    BLACK, ChartBuilder, Circle, DrawingArea, IntoDrawingArea, IntoFont, PathElement, RGBColor,
    Rectangle, SVGBackend, ShapeStyle, Text, WHITE,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, TextStyle};
use svg2pdf::usvg;

use crate::bands;
use crate::paper::Paper;

/// Drawing units per millimetre.
pub(crate) const MM: i32 = 20;
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
/// Radius of an open circle, around both: arms that agree are all seen.
const RING: i32 = 26;
/// A curve has no more markers than about this; its steps show every value.
const MARKERS: usize = 12;
/// A curve has no more steps than this: more are finer than a line is wide.
const STEPS: usize = 400;

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

/// A value and the fraction of values that do not exceed it.
pub(crate) type Point = (f64, f64);
pub(crate) type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// How a curve is drawn: the same in every figure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pen {
    pub(crate) color: RGBColor,
    /// Lengths of dash and gap, in drawing units; solid without.
    pub(crate) dash: Option<(i32, i32)>,
    pub(crate) marker: Marker,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Marker {
    FullCircle,
    OpenSquare,
    FullSquare,
    Cross,
    OpenCircle,
}

/// Black, and colours that the colour-blind tell apart (Okabe and Ito 2008).
pub(crate) const PENS: [Pen; 8] = [
    Pen {
        color: BLACK,
        dash: None,
        marker: Marker::FullCircle,
    },
    Pen {
        color: RGBColor(0, 114, 178),
        dash: Some((36, 18)),
        marker: Marker::OpenSquare,
    },
    Pen {
        color: RGBColor(86, 180, 233),
        dash: Some((18, 12)),
        marker: Marker::FullSquare,
    },
    Pen {
        color: RGBColor(0, 158, 115),
        dash: Some((54, 12)),
        marker: Marker::Cross,
    },
    Pen {
        color: RGBColor(213, 94, 0),
        dash: None,
        marker: Marker::OpenCircle,
    },
    Pen {
        color: RGBColor(204, 121, 167),
        dash: Some((72, 18)),
        marker: Marker::FullSquare,
    },
    Pen {
        color: RGBColor(230, 159, 0),
        dash: Some((36, 36)),
        marker: Marker::OpenSquare,
    },
    Pen {
        color: RGBColor(120, 120, 120),
        dash: None,
        marker: Marker::Cross,
    },
];

/// Lines and markers that tell curves of one colour apart.
pub(crate) const LINES: [(Option<(i32, i32)>, Marker); 8] = [
    (None, Marker::FullCircle),
    (Some((36, 18)), Marker::OpenSquare),
    (Some((12, 12)), Marker::Cross),
    (Some((72, 18)), Marker::FullSquare),
    (None, Marker::OpenCircle),
    (Some((36, 36)), Marker::FullCircle),
    (Some((18, 36)), Marker::OpenSquare),
    (Some((72, 54)), Marker::Cross),
];

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
        let width_mm = paper.width_mm;
        let lines = self.curves.len().div_ceil(paper.legend_columns()) + self.notes.len();
        let legend_mm = LEGEND_LINE_MM * i32::try_from(lines).unwrap_or(1);
        let height_mm = paper.height_mm + legend_mm;
        let size = |mm: i32| (mm * MM).unsigned_abs();
        let mut svg = String::new();
        {
            let backend = SVGBackend::with_string(&mut svg, (size(width_mm), size(height_mm)));
            self.draw(&backend.into_drawing_area(), legend_mm, paper)
                .map_err(|reason| FigureError::Draw {
                    figure: self.name,
                    reason,
                })?;
        }
        // Drawing units are integers and finer than a screen's; the size on paper is said apart.
        let in_units = format!(
            "width=\"{}\" height=\"{}\"",
            size(width_mm),
            size(height_mm)
        );
        let in_mm = format!("width=\"{width_mm}mm\" height=\"{height_mm}mm\"");
        Ok(bands::plain(&svg.replacen(&in_units, &in_mm, 1)))
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

    fn draw(&self, canvas: &Canvas<'_>, legend_mm: i32, paper: Paper) -> Result<(), String> {
        canvas.fill(&WHITE).map_err(|e| e.to_string())?;
        let (low, high) = self.span();
        let axis = ShapeStyle::from(&BLACK).stroke_width(AXIS);
        let mut chart = ChartBuilder::on(canvas)
            .margin_top(legend_mm * MM + MM)
            .margin_right(3 * MM)
            .margin_bottom(MM)
            .margin_left(MM)
            .x_label_area_size(9 * MM)
            .y_label_area_size(12 * MM)
            .build_cartesian_2d(low..high, -0.03..1.03)
            .map_err(|e| e.to_string())?;
        let logarithmic = self.scale == Scale::Logarithmic;
        chart
            .configure_mesh()
            .disable_mesh()
            .axis_style(axis)
            .x_labels(7)
            .y_labels(6)
            .set_all_tick_mark_size(MM)
            .x_label_formatter(&|x| if logarithmic { power(*x) } else { tick(*x) })
            .y_label_formatter(&|y| format!("{y:.1}"))
            .label_style((FONT, 7.0 * POINT))
            .axis_desc_style((FONT, 8.0 * POINT))
            .x_desc(self.axis)
            .y_desc(self.counted)
            .draw()
            .map_err(|e| e.to_string())?;
        let columns = paper.legend_columns();
        let line_at = |line: usize| {
            let line = i32::try_from(line).unwrap_or(0);
            MM + line * LEGEND_LINE_MM * MM + LEGEND_LINE_MM * MM / 2
        };
        let at = |points: &[Point]| -> Vec<(i32, i32)> {
            let place = |p: &Point| chart.backend_coord(&(self.place(p.0), p.1));
            points.iter().map(place).collect()
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
        for (i, curve) in self.curves.iter().enumerate() {
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
            let y = line_at(i / columns);
            let column = i32::try_from(i % columns).unwrap_or(0);
            let from = 13 * MM + column * paper.legend_column_mm() * MM;
            let to = from + 10 * MM;
            stroke(canvas, pen, vec![(from, y), (to, y)])?;
            mark(canvas, pen, ((from + to) / 2, y))?;
            letter(canvas, &curve.label, (to + MM, y))?;
        }
        for (i, note) in self.notes.iter().enumerate() {
            letter(
                canvas,
                note,
                (13 * MM, line_at(self.curves.len().div_ceil(columns) + i)),
            )?;
        }
        canvas.present().map_err(|e| e.to_string())
    }
}

/// Makes a PDF of a figure's SVG, of the same size, with its letters as text.
///
/// # Errors
/// If the SVG cannot be converted.
pub(crate) fn to_pdf(figure: &'static str, svg: &str) -> Result<Vec<u8>, FigureError> {
    static FONTS: LazyLock<Arc<usvg::fontdb::Database>> = LazyLock::new(|| {
        let mut fonts = usvg::fontdb::Database::new();
        fonts.load_font_data(FONT_FILE.to_vec());
        Arc::new(fonts)
    });
    let failed = |reason: String| FigureError::Pdf { figure, reason };
    let options = usvg::Options {
        fontdb: Arc::clone(&FONTS),
        ..usvg::Options::default()
    };
    let tree = usvg::Tree::from_str(svg, &options).map_err(|e| failed(e.to_string()))?;
    // CSS has 96 pixels to the inch, and usvg has made millimetres into those.
    let page = svg2pdf::PageOptions { dpi: 96.0 };
    let pdf = svg2pdf::to_pdf(&tree, svg2pdf::ConversionOptions::default(), page);
    let mut pdf = pdf.map_err(|e| failed(e.to_string()))?;
    bands::put_in_order(&mut pdf);
    Ok(pdf)
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
        Marker::FullSquare => {
            let corners = [(x - CIRCLE, y - CIRCLE), (x + CIRCLE, y + CIRCLE)];
            canvas.draw(&Rectangle::new(corners, pen.color.filled()))
        }
        Marker::Cross => [(-1, 1), (1, 1)].into_iter().try_for_each(|(dx, dy)| {
            let (dx, dy) = (dx * SQUARE, dy * SQUARE);
            let stroke = vec![(x - dx, y - dy), (x + dx, y + dy)];
            canvas.draw(&PathElement::new(stroke, pen.color.stroke_width(AXIS)))
        }),
        Marker::OpenCircle => {
            let ring = pen.color.stroke_width(AXIS);
            canvas.draw(&Circle::new((x, y), RING, ring))
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

/// A tick of a logarithmic axis: two digits of its power of ten.
fn power(exponent: f64) -> String {
    let value = 10f64.powf(exponent);
    let unit = 10f64.powf(exponent.floor() - 1.0);
    tick((value / unit).round() * unit)
}

/// A tick's number without digits that say nothing.
fn tick(x: f64) -> String {
    // Rounded to what a tick can differ by; adding 0 makes -0 into 0.
    let rounded = (x * 1e6).round() / 1e6 + 0.0;
    format!("{rounded}")
}
