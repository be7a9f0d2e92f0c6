//! The view of a campaign at the bottom of a terminal: what it has come to, arm by arm, the distributions as
//! they grow, and the labs.
//!
//! *Assumes* a size. *Guarantees* that the view has no more lines and columns than it is given, that
//! what has no room is left out in the order of its worth (labs but the most interesting, the charts, the
//! arms; never how far it is), and that what is left out is counted.

mod arms;
mod charts;
mod labs;
mod paint;

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::lines::{counted, span};
use super::model::{Counts, Model};
use super::screen::Row;

/// Columns that the view takes at most: curves gain nothing from more.
const WIDEST: u16 = 150;
/// Lines that the view takes at most.
const HIGHEST: u16 = 36;
/// Lines that stay for what is said above the view, where the terminal has them to spare.
const SPARED: u16 = 3;

/// What a terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// Colours.
    pub(crate) colour: bool,
    /// More than ASCII.
    pub(crate) unicode: bool,
}

impl Look {
    /// Whether curves may be of fine dots. Those differ in colour only.
    fn is_fine(self, arms: usize) -> bool {
        self.unicode && (arms <= 1 || (self.colour && arms <= paint::COLOURS.len()))
    }
}

/// The view, for a terminal of so many columns and lines.
pub(crate) fn rows(model: &Model, now: Duration, columns: u16, lines: u16, look: Look) -> Vec<Row> {
    // The last column stays empty, and the last line is the cursor's.
    let width = columns.saturating_sub(1).clamp(1, WIDEST);
    let spared = if lines >= 12 { SPARED } else { 1 };
    let height = lines.saturating_sub(spared).clamp(1, HIGHEST);
    paint::rows(&draw(model, now, width, height, look), look)
}

/// Draws the view; it is as high as it needs, and at most `height`.
fn draw(model: &Model, now: Duration, width: u16, height: u16, look: Look) -> Buffer {
    let arms = model.arms();
    let labs = model.labs();
    // An empty first line: what is typed moves the view down, and then that line is what is left behind.
    let gap = u16::from(height >= 8);
    let mut room = height - gap - 1;
    let table = arms::height(arms.len(), width, room);
    room -= table;
    let labs_wanted = labs::height(labs.len());
    let charts = if arms.iter().any(|a| !a.convergence_s.is_empty()) {
        charts::height(room, labs_wanted)
    } else {
        0
    };
    room -= charts;
    let labs_height = labs_wanted.min(room);

    let mut buffer = Buffer::empty(Rect::new(
        0,
        0,
        width,
        gap + 1 + table + charts + labs_height,
    ));
    let mut y = gap;
    let mut take = |height: u16| {
        let area = Rect::new(0, y, width, height);
        y += height;
        area
    };
    header(model, now, width).render(take(1), &mut buffer);
    arms::render(&arms, look, take(table), &mut buffer);
    charts::render(&arms, look, take(charts), &mut buffer);
    labs::render(model, &labs, now, take(labs_height), &mut buffer);
    buffer
}

/// How far it is, in one line.
fn header(model: &Model, now: Duration, width: u16) -> Line<'static> {
    let width = usize::from(width);
    let counts = model.counts();
    let runs = format!("{}/{} runs", model.done(), counts.planned);
    let left = match model.left(now) {
        _ if model.is_stopping() => "stopping".to_owned(),
        _ if model.done() >= counts.planned => String::new(),
        Some(left) => format!("about {} left", span(left)),
        None => "time left unknown yet".to_owned(),
    };
    let doubtful = counts.invalid + counts.failed + counts.aborted > 0;
    if width < 50 {
        let mut parts = vec![Span::from(runs).bold()];
        if doubtful {
            parts.push(Span::from(format!(", {}", counted(&counts))));
        }
        if !left.is_empty() {
            parts.push(Span::from(format!(", {left}")));
        }
        return Line::from(parts);
    }
    let elapsed = clock(model.elapsed(now));
    let name = super::lines::shown(&model.plan().name);
    let tail = if left.is_empty() {
        format!(" {elapsed}")
    } else {
        format!(" {elapsed}, {left}")
    };
    let head = format!("  {runs} ");
    let taken = head.len() + tail.len();
    let name = cropped(&name, width.saturating_sub(taken).max(8));
    let bar = width.saturating_sub(taken + Span::from(name.as_str()).width());
    let mut parts = vec![Span::from(name).bold(), Span::from(head)];
    if bar >= 8 {
        parts.extend(gauge(&counts, model.done(), bar.min(40)));
    }
    parts.push(Span::from(tail));
    Line::from(parts)
}

/// The runs as a bar: valid, doubtful, to come.
fn gauge(counts: &Counts, done: usize, width: usize) -> Vec<Span<'static>> {
    let part = |runs: usize| (runs * width).div_ceil(counts.planned.max(1)).min(width);
    let doubtful = counts.invalid + counts.failed + counts.aborted;
    let all = if done < counts.planned {
        // Full is for a campaign that is over.
        part(done).min(width - 1)
    } else {
        width
    };
    let doubtful = part(doubtful).min(all);
    vec![
        Span::from("━".repeat(all - doubtful)).fg(Color::Green),
        Span::from("━".repeat(doubtful)).fg(Color::Red),
        Span::from("─".repeat(width - all)).dim(),
    ]
}

/// A time as a clock shows it.
fn clock(time: Duration) -> String {
    let s = time.as_secs();
    format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

/// A text in at most so many columns.
fn cropped(text: &str, columns: usize) -> String {
    if Span::from(text).width() <= columns {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        if Span::from(format!("{short}{c}…")).width() > columns {
            break;
        }
        short.push(c);
    }
    if columns > 0 {
        short.push('…');
    }
    short
}

/// The style of an arm, wherever it is shown.
fn of_arm(arm: usize) -> Style {
    Style::new().fg(Color::Indexed(u8::try_from(arm % 240).unwrap_or(0)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
