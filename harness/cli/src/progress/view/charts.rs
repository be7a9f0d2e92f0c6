//! The distributions over runs, as they grow: a curve for each arm.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Widget};

use super::super::model::ArmState;
use super::{Look, of_arm};

/// Lines of a chart, with its title and its axis: fewer say nothing, more say no more.
const LOWEST: u16 = 7;
const HIGHEST: u16 = 14;
/// Columns below which there is one chart, not two side by side.
const TWO: u16 = 60;
/// Columns below which there is none.
const NARROWEST: u16 = 24;

/// Lines that they take of those that there are, and that the labs want too.
pub(super) fn height(room: u16, labs: u16) -> u16 {
    // The labs keep a third, if they want it.
    let height = room.saturating_sub(labs.min((room / 3).max(3)));
    if height < LOWEST {
        0
    } else {
        height.min(HIGHEST)
    }
}

pub(super) fn render(arms: &[ArmState], look: Look, area: Rect, buffer: &mut Buffer) {
    if area.height == 0 || area.width < NARROWEST {
        return;
    }
    let convergence: Vec<&[f64]> = arms.iter().map(|a| &a.convergence_s[..]).collect();
    let disconnected: Vec<&[f64]> = arms.iter().map(|a| &a.disconnected_s[..]).collect();
    if area.width < TWO {
        return chart("convergence, s", &convergence, look, area, buffer);
    }
    let left = Rect {
        width: area.width / 2 - 1,
        ..area
    };
    let right = Rect {
        x: area.x + left.width + 2,
        width: area.width - left.width - 2,
        ..area
    };
    chart("convergence, s", &convergence, look, left, buffer);
    chart("disconnected, s", &disconnected, look, right, buffer);
}

fn chart(title: &'static str, arms: &[&[f64]], look: Look, area: Rect, buffer: &mut Buffer) {
    let largest = arms.iter().filter_map(|values| values.last());
    let end = round_up(largest.fold(0.0, |a: f64, b| a.max(*b)));
    let marker = if look.is_fine(arms.len()) {
        Marker::Braille
    } else {
        Marker::Dot
    };
    let curves: Vec<Vec<(f64, f64)>> = arms.iter().map(|values| steps(values, end)).collect();
    let datasets = curves.iter().enumerate().map(|(arm, points)| {
        Dataset::default()
            .marker(marker)
            .graph_type(GraphType::Line)
            .style(of_arm(arm))
            .data(points)
    });
    let dim = Style::new().dim();
    let labels = [0.0, end / 2.0, end].map(|x| Line::from(number(x)));
    Chart::new(datasets.collect())
        .block(Block::new().title(Line::from(format!("{title}: share of runs")).dim()))
        .legend_position(None)
        .x_axis(Axis::default().style(dim).bounds([0.0, end]).labels(labels))
        .y_axis(
            Axis::default()
                .style(dim)
                .bounds([0.0, 1.0])
                .labels(["0", "0.5", "1"]),
        )
        .render(area, buffer);
}

/// The corners of the cumulative distribution of ascending values, up to `end`.
fn steps(values: &[f64], end: f64) -> Vec<(f64, f64)> {
    let n = values.len() as f64;
    let mut corners = Vec::with_capacity(2 * values.len() + 2);
    if values.is_empty() {
        return corners;
    }
    corners.push((0.0, 0.0));
    for (i, value) in values.iter().enumerate() {
        corners.push((*value, i as f64 / n));
        corners.push((*value, (i + 1) as f64 / n));
    }
    corners.push((end, 1.0));
    corners
}

/// The end of an axis that reaches to `value`: 1, 2, 3, 4, 5, 6 or 8 of a power of ten, so that it and its
/// half are short to write, and curves rarely jump when another run ends.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    let step = steps.into_iter().find(|s| s * power >= value);
    step.unwrap_or(10.0) * power
}

/// A number without the digits that binary fractions bring.
fn number(x: f64) -> String {
    let digits = if x < 1.0 { 9 } else { 3 };
    let text = format!("{x:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_goes_up_by_a_share_at_each_value_and_ends_at_the_edge() {
        assert_eq!(steps(&[], 4.0), []);
        let expected = [
            (0.0, 0.0),
            (1.0, 0.0),
            (1.0, 0.5),
            (3.0, 0.5),
            (3.0, 1.0),
            (4.0, 1.0),
        ];
        assert_eq!(steps(&[1.0, 3.0], 4.0), expected);
    }

    #[test]
    fn an_axis_ends_at_a_short_number_that_is_not_below_the_value() {
        let ends = [
            (0.0, 1.0),
            (0.034, 0.04),
            (1.0, 1.0),
            (5.36, 6.0),
            (65.4, 80.0),
            (165.5, 200.0),
        ];
        for (value, end) in ends {
            assert!(
                (round_up(value) - end).abs() < 1e-9,
                "{value}: {}",
                round_up(value)
            );
        }
        let written = [0.0, round_up(0.58), 0.3 / 2.0, 200.0, 1e-6].map(number);
        assert_eq!(written, ["0", "0.6", "0.15", "200", "0.000001"]);
    }
}
