//! The area in which a distribution function lies, as sure as 95 %.
//!
//! *Assumes* sorted values that are independent of one another. *Guarantees* the band of
//! Dvoretzky, Kiefer and Wolfowitz over the whole axis, beyond the smallest and the largest value
//! too, within 0 and 1; and that areas one can see through leave equal drawings equal, octet for
//! octet.

use plotters::prelude::{Color, PathElement, Polygon, RGBColor, WHITE};

use crate::drawing::{Curve, distribution};
use crate::pens::Canvas;
use crate::plot::Point;

/// How much of a curve's colour the area has at most, and how much all areas of a figure have
/// together: light enough for the curves to be seen where they all lie upon one another.
const OPACITY: f64 = 0.13;
const OPACITY_OF_ALL: f64 = 0.4;
/// How much of it the band's edges have, and how wide they are, in drawing units: 0.1 mm.
const EDGE: f64 = 0.45;
const EDGE_WIDTH: u32 = 2;

/// How much of a curve's colour the area has in a figure of so many curves.
pub(crate) fn opacity(curves: usize) -> f64 {
    let share = OPACITY_OF_ALL / curves.max(1) as f64;
    // A hundredth is finer than an eye can tell.
    (share.min(OPACITY) * 100.0).round() / 100.0
}

/// The two edges of a band of that half width over that part of the axis, each from left to right:
/// the upper and the lower.
pub(crate) fn edges(values: &[f64], half_width: f64, axis: (f64, f64)) -> (Vec<Point>, Vec<Point>) {
    let (steps, _) = distribution(values);
    if steps.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let all: Vec<Point> = std::iter::once((axis.0, 0.0))
        .chain(steps)
        .chain(std::iter::once((axis.1, 1.0)))
        .map(|(x, fraction)| (x.clamp(axis.0, axis.1), fraction))
        .collect();
    let edge = |shift: f64| -> Vec<Point> {
        let shifted = all.iter().map(|(x, f)| (*x, (f + shift).clamp(0.0, 1.0)));
        shifted.collect()
    };
    (edge(half_width), edge(-half_width))
}

/// The outline of the area: the band from the smallest to the largest value. Beyond them it is two
/// edges alone: areas of several arms would cover the whole figure there, and say little.
pub(crate) fn outline(values: &[f64], half_width: f64) -> Vec<Point> {
    let (Some(first), Some(last)) = (values.first(), values.last()) else {
        return Vec::new();
    };
    let (upper, lower) = edges(values, half_width, (*first, *last));
    upper.into_iter().chain(lower.into_iter().rev()).collect()
}

/// Draws the band of a curve, if it has one, over that part of the axis.
pub(crate) fn draw(
    canvas: &Canvas<'_>,
    curve: &Curve<'_>,
    opacity: f64,
    axis: (f64, f64),
    at: &impl Fn(&[Point]) -> Vec<(i32, i32)>,
) -> Result<(), String> {
    let Some(half_width) = curve.band else {
        return Ok(());
    };
    let tint = curve.pen.color.mix(opacity).filled();
    let area = Polygon::new(at(&outline(curve.values, half_width)), tint);
    canvas.draw(&area).map_err(|e| e.to_string())?;
    let (upper, lower) = edges(curve.values, half_width, axis);
    let light = lightened(curve.pen.color).stroke_width(EDGE_WIDTH);
    for edge in [upper, lower] {
        // Along 0 and 1 there is nothing to be seen but the frame.
        for part in edge.split(|p| p.1 <= 0.0 || p.1 >= 1.0) {
            let line = PathElement::new(at(part), light);
            canvas.draw(&line).map_err(|e| e.to_string())?;
        }
    }
    Ok(())
}

/// The colour on white, as if one could see through it.
fn lightened(color: RGBColor) -> RGBColor {
    let mixed =
        |c: u8, white: u8| (f64::from(c) * EDGE + f64::from(white) * (1.0 - EDGE)).round() as u8;
    RGBColor(
        mixed(color.0, WHITE.0),
        mixed(color.1, WHITE.1),
        mixed(color.2, WHITE.2),
    )
}

/// An SVG whose areas are filled thinly, instead of being layers of their own that are thin: it looks
/// the same, and takes a fraction of the objects in a PDF.
pub(crate) fn plain(svg: &str) -> String {
    svg.replace("<polygon opacity=", "<polygon fill-opacity=")
}

/// Puts the graphics states that a PDF names in the order of their names. svg2pdf writes them in
/// another one each time, where there are several; an entry changes places with its equals only, so
/// that every object stays where the PDF's table says.
pub(crate) fn put_in_order(pdf: &mut [u8]) {
    let is_entry = |line: &[u8]| {
        let line = line.trim_ascii_start();
        line.starts_with(b"/gs") && line.ends_with(b" 0 R")
    };
    let mut at = 0;
    while at < pdf.len() {
        let begin = at;
        let mut entries: Vec<Vec<u8>> = Vec::new();
        while let Some(length) = pdf[at..].iter().position(|o| *o == b'\n') {
            let line = &pdf[at..at + length];
            if !is_entry(line) {
                break;
            }
            entries.push(line.to_vec());
            at += length + 1;
        }
        if entries.is_empty() {
            let rest = pdf[at..].iter().position(|o| *o == b'\n');
            at += rest.map_or(pdf.len() - at, |length| length + 1);
            continue;
        }
        // By length first: gs2 comes before gs10.
        entries.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
        let ordered: Vec<u8> = entries
            .into_iter()
            .flat_map(|e| [e, vec![b'\n']].concat())
            .collect();
        pdf[begin..at].copy_from_slice(&ordered);
    }
}
