//! How curves are told apart, and the strokes that all charts are made of.
//!
//! *Assumes* a canvas in drawing units. *Guarantees* curves told apart without colour, by line and marker, and
//! lettering of 7 to 8 points.

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::{
    BLACK, Circle, DrawingArea, IntoFont, PathElement, RGBColor, Rectangle, SVGBackend, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, TextStyle};

/// Drawing units per millimetre.
pub(crate) const MM: i32 = 20;
/// Drawing units per point of lettering; plotters makes letters smaller by 1.24 than it is told.
pub(crate) const POINT: f64 = MM as f64 * 25.4 / 72.0 * 1.24;
/// Width of curves and axes, in drawing units: 0.3 mm and 0.2 mm.
const CURVE: u32 = 6;
pub(crate) const AXIS: u32 = 4;
/// Radius of a circle and half the side of a square, in drawing units.
const CIRCLE: i32 = 12;
const SQUARE: i32 = 18;
/// Radius of an open circle, around both: arms that agree are all seen.
const RING: i32 = 26;

/// Metrically an Arial: viewers that lack it set the SVG in the same widths.
pub(crate) const FONT: &str = "Liberation Sans, Arial, Helvetica, sans-serif";

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

pub(crate) fn stroke(canvas: &Canvas<'_>, pen: Pen, points: Vec<(i32, i32)>) -> Result<(), String> {
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

pub(crate) fn mark(canvas: &Canvas<'_>, pen: Pen, (x, y): (i32, i32)) -> Result<(), String> {
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

pub(crate) fn letter(canvas: &Canvas<'_>, text: &str, at: (i32, i32)) -> Result<(), String> {
    let style = TextStyle::from((FONT, 7.0 * POINT).into_font())
        .color(&BLACK)
        .pos(Pos::new(HPos::Left, VPos::Center));
    canvas
        .draw(&Text::new(text.to_owned(), at, style))
        .map_err(|e| e.to_string())
}
