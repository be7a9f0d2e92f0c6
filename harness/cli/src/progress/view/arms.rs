//! The arms, a line for each.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::super::model::ArmState;
use super::{Look, cropped, of_arm, paint};

/// Columns below which there is no table.
const NARROWEST: u16 = 44;
/// Columns of the counts: what stands above each, and how wide it is.
const COUNTS: [(&str, usize); 4] = [("valid", 6), ("invalid", 8), ("failed", 7), ("left", 5)];
/// The same of the means over valid runs, as the report has them.
const MEANS: [(&str, usize); 2] = [("convergence, s", 15), ("disconnected, s", 16)];
/// Columns of an arm's mark.
const MARK: usize = 3;

/// Lines that it takes of those that there are.
pub(super) fn height(arms: usize, width: u16, room: u16) -> u16 {
    let wanted = u16::try_from(arms + 1).unwrap_or(u16::MAX);
    // Half of it: the rest is for curves and labs.
    let most = (room / 2).max(room.min(4));
    if width < NARROWEST || arms == 0 || most < 2 {
        0
    } else {
        wanted.min(most)
    }
}

pub(super) fn render(arms: &[ArmState], look: Look, area: Rect, buffer: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    let room = usize::from(area.height) - 1;
    let width = usize::from(area.width);
    let sum = |columns: &[(&str, usize)]| columns.iter().map(|(_, w)| w).sum::<usize>();
    let means = width >= MARK + 16 + sum(&COUNTS) + sum(&MEANS);
    let taken = MARK + sum(&COUNTS) + if means { sum(&MEANS) } else { 0 };
    let widest = arms.iter().map(|a| Span::from(a.label.as_str()).width());
    let label = widest.max().unwrap_or(0).min(width - taken);

    let mut lines = vec![head(label, means)];
    // Who does not fit is counted in the place of the last one.
    let (shown, folded) = if arms.len() <= room {
        (arms.len(), 0)
    } else {
        (room - 1, arms.len() - room + 1)
    };
    for (i, arm) in arms.iter().take(shown).enumerate() {
        lines.push(line(i, arm, label, means, look.is_fine(arms.len())));
    }
    if folded > 0 {
        lines.push(Line::from(format!("   and {folded} more arms")).dim());
    }
    for (line, y) in lines.into_iter().zip(area.y..) {
        line.render(
            Rect {
                y,
                height: 1,
                ..area
            },
            buffer,
        );
    }
}

fn head(label: usize, means: bool) -> Line<'static> {
    let mut text = format!("{:width$}", "", width = MARK + label);
    let columns = COUNTS.iter().chain(MEANS.iter().filter(|_| means));
    for (title, width) in columns {
        text.push_str(&format!("{title:>width$}"));
    }
    Line::from(text).dim()
}

fn line(index: usize, arm: &ArmState, label: usize, means: bool, fine: bool) -> Line<'static> {
    let mark = if fine {
        "━━".to_owned()
    } else {
        paint::MARKS[index % paint::MARKS.len()]
            .to_string()
            .repeat(2)
    };
    let name = cropped(&arm.label, label);
    let pad = label - Span::from(name.as_str()).width();
    let mut parts = vec![
        Span::styled(format!("{mark} "), of_arm(index)),
        Span::from(name),
        Span::from(" ".repeat(pad)),
    ];
    let counts = &arm.counts;
    let failed = counts.failed + counts.aborted;
    let numbers = [counts.valid, counts.invalid, failed, counts.left()];
    let alarms = [None, Some(Color::Yellow), Some(Color::Red), None];
    for (((_, width), number), alarm) in COUNTS.iter().zip(numbers).zip(alarms) {
        let text = format!("{number:>width$}");
        parts.push(match alarm.filter(|_| number > 0) {
            Some(colour) => Span::styled(text, Style::new().fg(colour).bold()),
            None => Span::from(text),
        });
    }
    if means {
        for ((_, width), values) in MEANS.iter().zip([&arm.convergence_s, &arm.disconnected_s]) {
            parts.push(Span::from(format!("{:>width$}", mean(values))));
        }
    }
    Line::from(parts)
}

/// The mean, with digits enough to compare arms by.
fn mean(values: &[f64]) -> String {
    if values.is_empty() {
        return "-".to_owned();
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let digits = if mean < 100.0 { 2 } else { 1 };
    format!("{mean:.digits$}")
}
