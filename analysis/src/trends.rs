//! How a metric follows a key of the matrix: its mean over runs at each value.
//!
//! *Assumes* the arms of one campaign. *Guarantees* a chart for each key whose values are all numbers, or all
//! spans of time; that a mean is drawn with its 95 % confidence interval, where it has one, and nothing where no
//! run is valid; and that no chart has more lines than can be told apart: where the other keys of the matrix
//! make more, each of their combinations has a chart of its own, all on the same axes.

use plotters::prelude::PathElement;
use plotters::style::Color;
use topologies::{Cell, Magnitude, Strategy};

use crate::arms::{Arm, label};
use crate::figures::{CURVES, Figure, distinct, pen_of, plain};
use crate::paper::Paper;
use crate::pens::{AXIS, Canvas, MM, Pen, mark, stroke};
use crate::plot::{Axis, FigureError, Plot, Point, ToCanvas, tick};

/// Half the width of the bar at either end of an interval, in drawing units.
const CAP: i32 = MM;
/// What is drawn, in words.
const NOTE: &str = "Means over runs, with their 95 % confidence intervals";

/// A chart of a campaign: any metric over one key.
#[derive(Debug, Clone)]
pub(crate) struct Trend<'a> {
    /// What is added to the names of the figures' files.
    pub(crate) name: String,
    /// What is written at its horizontal axis.
    axis: String,
    lines: Vec<Line<'a>>,
    /// All arms: charts of one key have the same axes.
    all: &'a [Arm],
    key: &'a str,
}

/// A strategy, with everything but the key the same.
#[derive(Debug, Clone)]
struct Line<'a> {
    label: String,
    pen: Pen,
    arms: Vec<(f64, &'a Arm)>,
}

/// The charts that a campaign's matrix gives: none without a matrix.
pub(crate) fn trends(arms: &[Arm]) -> Vec<Trend<'_>> {
    let Some(first) = arms.first() else {
        return Vec::new();
    };
    let keys = first.cell.settings().iter().map(|s| s.key.as_str());
    keys.flat_map(|key| over(key, arms)).collect()
}

/// What an arm has for a key, and whether that is seconds.
fn value(arm: &Arm, key: &str) -> Option<(f64, bool)> {
    let setting = arm.cell.settings().iter().find(|s| s.key == key)?;
    setting.magnitude().map(|magnitude| match magnitude {
        Magnitude::Number(n) => (n, false),
        Magnitude::Seconds(s) => (s, true),
    })
}

fn one_chart(key: &str) -> String {
    format!("-over-{}", plain(key))
}

fn over<'a>(key: &'a str, arms: &'a [Arm]) -> Vec<Trend<'a>> {
    let Some(values) = arms
        .iter()
        .map(|arm| value(arm, key))
        .collect::<Option<Vec<_>>>()
    else {
        return Vec::new();
    };
    let units = distinct(values.iter().map(|(_, seconds)| *seconds));
    if units.len() > 1 || distinct(values.iter().map(|(v, _)| *v)).len() < 2 {
        return Vec::new();
    }
    let rests = distinct(arms.iter().map(|arm| arm.cell.without(key)));
    let strategies = distinct(arms.iter().map(|arm| arm.strategy));
    let all: Vec<(Strategy, &Cell)> = rests
        .iter()
        .flat_map(|rest| strategies.iter().map(move |strategy| (*strategy, rest)))
        .collect();
    let line = |of: (Strategy, &Cell), drawn: &[(Strategy, &Cell)]| Line {
        label: label(of.0, of.1),
        pen: pen_of(of, drawn),
        arms: arms
            .iter()
            .zip(&values)
            .filter(|(arm, _)| (arm.strategy, &arm.cell.without(key)) == of)
            .map(|(arm, (value, _))| (*value, arm))
            .collect(),
    };
    let trend = |name: String, drawn: &[(Strategy, &Cell)]| Trend {
        name,
        axis: format!("{key}{}", if units == [true] { " (s)" } else { "" }),
        lines: drawn.iter().map(|of| line(*of, drawn)).collect(),
        all: arms,
        key,
    };
    let name = one_chart(key);
    if all.len() <= CURVES {
        return vec![trend(name, &all)];
    }
    let of_rest = |rest: &Cell| {
        let drawn: Vec<_> = all.iter().filter(|(_, r)| *r == rest).copied().collect();
        trend(format!("{name}-{}", plain(&rest.to_string())), &drawn)
    };
    rests.iter().map(of_rest).collect()
}

impl Trend<'_> {
    /// The name of the one chart of its key, of before the campaign grew, if it is another.
    pub(crate) fn outdated(&self) -> Option<String> {
        let one = one_chart(self.key);
        (self.name != one).then_some(one)
    }

    /// Draws a metric as SVG, on that much paper.
    ///
    /// # Errors
    /// If the plotting library fails.
    pub(crate) fn to_svg(&self, paper: Paper, figure: Figure) -> Result<String, FigureError> {
        let figures = |arm: &Arm| arm.sample(figure.metric).summary.figures;
        let highest = |arm: &Arm| figures(arm).map(|f| f.ci95.map_or(f.mean, |ci| ci.1));
        let highest = self.all.iter().filter_map(highest).fold(0.0, f64::max);
        let height = if highest > 0.0 { highest } else { 1.0 };
        let values = self.all.iter().filter_map(|arm| value(arm, self.key));
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(l, h), (v, _)| (l.min(v), h.max(v)));
        let margin = 0.05 * (high - low);
        let plot = Plot {
            name: figure.name,
            x: Axis {
                title: &self.axis,
                span: (low - margin, high + margin),
                labels: 7,
                format: &|x| tick(*x),
            },
            y: Axis {
                title: figure.axis,
                span: (-0.03 * height, 1.05 * height),
                labels: 6,
                format: &|y| tick(*y),
            },
            legend: self
                .lines
                .iter()
                .map(|line| (line.label.as_str(), line.pen))
                .collect(),
            notes: &[NOTE.to_owned()],
        };
        plot.to_svg(paper, |canvas, at| {
            self.lines
                .iter()
                .try_for_each(|line| line.draw(figure, canvas, at))
        })
    }
}

impl Line<'_> {
    fn draw(&self, figure: Figure, canvas: &Canvas<'_>, at: ToCanvas<'_>) -> Result<(), String> {
        let mut means: Vec<Point> = Vec::new();
        for (value, arm) in &self.arms {
            let Some(figures) = arm.sample(figure.metric).summary.figures else {
                continue;
            };
            means.push((*value, figures.mean));
            let Some((low, high)) = figures.ci95 else {
                continue;
            };
            let style = self.pen.color.stroke_width(AXIS);
            let bar = at(&[(*value, low), (*value, high)]);
            let caps = bar.iter().map(|(x, y)| vec![(x - CAP, *y), (x + CAP, *y)]);
            for part in caps.chain([bar.clone()]) {
                let part = PathElement::new(part, style);
                canvas.draw(&part).map_err(|e| e.to_string())?;
            }
        }
        let means = at(&means);
        stroke(canvas, self.pen, means.clone())?;
        means
            .into_iter()
            .try_for_each(|mean| mark(canvas, self.pen, mean))
    }
}
