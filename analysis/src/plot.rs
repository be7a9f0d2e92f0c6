//! The paper, frame and legend of every chart, and how it becomes a file.
//!
//! *Assumes* a closure that draws within the frame. *Guarantees* SVG and PDF of the same drawing, as wide as
//! a column of a paper or two. No font of the machine is needed: one is embedded.

use std::sync::{Arc, LazyLock};

use plotters::prelude::{BLACK, ChartBuilder, IntoDrawingArea, SVGBackend, ShapeStyle, WHITE};
use svg2pdf::usvg;

use crate::bands;
use crate::paper::Paper;
use crate::pens::{AXIS, Canvas, FONT, MM, POINT, Pen, letter, mark, stroke};

/// Height of a line of the legend, millimetres.
const LEGEND_LINE_MM: i32 = 4;

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

/// A place in the frame, in the numbers of its axes.
pub(crate) type Point = (f64, f64);
/// Where such places are on the canvas.
pub(crate) type ToCanvas<'a> = &'a dyn Fn(&[Point]) -> Vec<(i32, i32)>;

/// One axis.
pub(crate) struct Axis<'a> {
    /// What is written at it.
    pub(crate) title: &'a str,
    /// From where to where.
    pub(crate) span: Point,
    /// About so many ticks have a number.
    pub(crate) labels: usize,
    /// How that is written.
    pub(crate) format: &'a dyn Fn(&f64) -> String,
}

/// A chart without its content.
pub(crate) struct Plot<'a> {
    /// Name of its files, without extension.
    pub(crate) name: &'static str,
    pub(crate) x: Axis<'a>,
    pub(crate) y: Axis<'a>,
    /// What is drawn how.
    pub(crate) legend: Vec<(&'a str, Pen)>,
    /// Lines below the legend.
    pub(crate) notes: &'a [String],
}

impl Plot<'_> {
    /// Draws it as SVG, on that much paper.
    ///
    /// # Errors
    /// If the plotting library fails.
    pub(crate) fn to_svg(
        &self,
        paper: Paper,
        content: impl FnOnce(&Canvas<'_>, ToCanvas<'_>) -> Result<(), String>,
    ) -> Result<String, FigureError> {
        let width_mm = paper.width_mm;
        let lines = self.legend.len().div_ceil(paper.legend_columns()) + self.notes.len();
        let legend_mm = LEGEND_LINE_MM * i32::try_from(lines).unwrap_or(1);
        let height_mm = paper.height_mm + legend_mm;
        let size = |mm: i32| (mm * MM).unsigned_abs();
        let mut svg = String::new();
        {
            let backend = SVGBackend::with_string(&mut svg, (size(width_mm), size(height_mm)));
            self.draw(&backend.into_drawing_area(), legend_mm, paper, content)
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

    fn draw(
        &self,
        canvas: &Canvas<'_>,
        legend_mm: i32,
        paper: Paper,
        content: impl FnOnce(&Canvas<'_>, ToCanvas<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        let Axis { span: x, .. } = self.x;
        let Axis { span: y, .. } = self.y;
        canvas.fill(&WHITE).map_err(|e| e.to_string())?;
        let axis = ShapeStyle::from(&BLACK).stroke_width(AXIS);
        let mut chart = ChartBuilder::on(canvas)
            .margin_top(legend_mm * MM + MM)
            .margin_right(3 * MM)
            .margin_bottom(MM)
            .margin_left(MM)
            .x_label_area_size(9 * MM)
            .y_label_area_size(12 * MM)
            .build_cartesian_2d(x.0..x.1, y.0..y.1)
            .map_err(|e| e.to_string())?;
        chart
            .configure_mesh()
            .disable_mesh()
            .axis_style(axis)
            .x_labels(self.x.labels)
            .y_labels(self.y.labels)
            .set_all_tick_mark_size(MM)
            .x_label_formatter(self.x.format)
            .y_label_formatter(self.y.format)
            .label_style((FONT, 7.0 * POINT))
            .axis_desc_style((FONT, 8.0 * POINT))
            .x_desc(self.x.title)
            .y_desc(self.y.title)
            .draw()
            .map_err(|e| e.to_string())?;
        content(canvas, &|points: &[Point]| {
            points.iter().map(|p| chart.backend_coord(p)).collect()
        })?;
        self.draw_legend(canvas, paper)?;
        canvas.present().map_err(|e| e.to_string())
    }

    fn draw_legend(&self, canvas: &Canvas<'_>, paper: Paper) -> Result<(), String> {
        let columns = paper.legend_columns();
        let line_at = |line: usize| {
            let line = i32::try_from(line).unwrap_or(0);
            MM + line * LEGEND_LINE_MM * MM + LEGEND_LINE_MM * MM / 2
        };
        for (i, (label, pen)) in self.legend.iter().enumerate() {
            let y = line_at(i / columns);
            let column = i32::try_from(i % columns).unwrap_or(0);
            let from = 13 * MM + column * paper.legend_column_mm() * MM;
            let to = from + 10 * MM;
            stroke(canvas, *pen, vec![(from, y), (to, y)])?;
            mark(canvas, *pen, ((from + to) / 2, y))?;
            letter(canvas, label, (to + MM, y))?;
        }
        for (i, note) in self.notes.iter().enumerate() {
            let line = self.legend.len().div_ceil(columns) + i;
            letter(canvas, note, (13 * MM, line_at(line)))?;
        }
        Ok(())
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

/// A tick's number without digits that say nothing.
pub(crate) fn tick(x: f64) -> String {
    // Rounded to what a tick can differ by; adding 0 makes -0 into 0.
    let rounded = (x * 1e6).round() / 1e6 + 0.0;
    format!("{rounded}")
}
