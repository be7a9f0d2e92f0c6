//! The labs that are up or on their way, those most worth seeing.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::protocol::Stage;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::super::lines::{shown, span};
use super::super::model::{Lab, Model};
use super::{cropped, of_arm};

/// Columns of the phase, and of the time in it.
const PHASE: usize = 14;
const TIME: usize = 8;

/// Lines that all of them want.
pub(super) fn height(labs: usize) -> u16 {
    if labs == 0 {
        0
    } else {
        u16::try_from(labs + 1).unwrap_or(u16::MAX)
    }
}

pub(super) fn render(model: &Model, labs: &[&Lab], now: Duration, area: Rect, buffer: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    let room = usize::from(area.height) - 1;
    let width = usize::from(area.width);
    let mut lines = vec![Line::from(title(labs, model.jobs(), room)).dim()];
    let names: Vec<String> = labs.iter().map(|lab| name(model, lab)).collect();
    let longest = names
        .iter()
        .take(room)
        .map(|n| Span::from(n.as_str()).width());
    let longest = longest.max().unwrap_or(0).min(width / 2);
    for (lab, name) in labs.iter().zip(&names).take(room) {
        lines.push(line(lab, name, longest, width, now));
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

/// How many there are, at what, and how many are not shown.
fn title(labs: &[&Lab], jobs: usize, room: usize) -> String {
    let mut stages: BTreeMap<Option<Stage>, usize> = BTreeMap::new();
    let kept = labs.iter().filter(|l| l.kept).count();
    for lab in labs.iter().filter(|l| !l.kept) {
        *stages.entry(lab.stage).or_default() += 1;
    }
    let mut parts: Vec<String> = stages
        .into_iter()
        .map(|(stage, n)| format!("{n} {}", doing(stage)))
        .collect();
    if kept > 0 {
        parts.push(format!("{kept} kept"));
    }
    let noun = if labs.len() == 1 { "lab" } else { "labs" };
    let most = if jobs > labs.len() {
        format!(" of {jobs} at a time")
    } else {
        String::new()
    };
    let hidden = match labs.len().saturating_sub(room) {
        0 => String::new(),
        n => format!("; {n} not shown"),
    };
    format!("{} {noun}{most}: {}{hidden}", labs.len(), parts.join(", "))
}

/// What a lab is at; the same for one and for many.
fn doing(stage: Option<Stage>) -> &'static str {
    match stage {
        None => "beginning",
        Some(Stage::BringUp) => "coming up",
        Some(Stage::Establish) => "establishing",
        Some(Stage::Settle) => "settling",
        // It has not failed: it is made to.
        Some(Stage::Fail) => "at the failure",
        Some(Stage::Converge) => "converging",
        Some(Stage::Up) => "up",
    }
}

/// The run, and its arm unless the run's name says that.
fn name(model: &Model, lab: &Lab) -> String {
    let run = short(&lab.run_id);
    match model.arm(&lab.run_id) {
        Some(arm) if !run.starts_with(arm) => format!("{run} ({arm})"),
        _ => run.to_owned(),
    }
}

/// A run's name without the seed at its end: arm and number tell it from the others that are up.
fn short(run_id: &str) -> &str {
    match run_id.rsplit_once('-') {
        Some((short, seed)) if seed.len() == 16 => short,
        _ => run_id,
    }
}

fn line(lab: &Lab, name: &str, longest: usize, width: usize, now: Duration) -> Line<'static> {
    let name = cropped(name, longest);
    let pad = longest - Span::from(name.as_str()).width();
    let colour = lab.arm.map(of_arm).unwrap_or_default();
    let phase = if lab.kept {
        "FAILED, kept"
    } else {
        doing(lab.stage)
    };
    let phase = Span::from(format!("{phase:PHASE$}"));
    let time = span(now.saturating_sub(lab.since));
    let taken = longest + 2 + PHASE + TIME + 2;
    // Room for a few letters only is room for none.
    let text = match width.saturating_sub(taken) {
        0..8 => String::new(),
        room => cropped(&shown(&lab.text).replace('\n', " "), room),
    };
    Line::from(vec![
        Span::styled(name, colour),
        Span::from(" ".repeat(pad + 2)),
        if lab.kept {
            phase.fg(Color::Red).bold()
        } else {
            phase
        },
        Span::from(format!("{time:>TIME$}  ")),
        Span::from(text).dim(),
    ])
}
