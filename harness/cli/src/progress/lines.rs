//! A campaign's progress in lines: for a pipe, a file, and for what stays above the view of a terminal.
//!
//! *Assumes* a model that has taken note of what is told. *Guarantees* that a finding, an error and a
//! kept lab are told whoever looks, and that nothing a lab says moves a terminal's cursor.

use std::time::Duration;

use harness::campaign::CampaignEvent;
use harness::protocol::Stage;
use results::{FindingKind, Status};

use super::model::{Counts, Model};
use super::run_end::{RunEnd, Verdict};

/// The line for an event, if it is worth one of its own.
pub(crate) fn of_event(event: &CampaignEvent, model: &Model) -> Option<String> {
    Some(match event {
        CampaignEvent::Resumed {
            there,
            abandoned,
            spent,
            otherwise,
        } => resumed(*there, abandoned, spent, otherwise, model),
        CampaignEvent::Jobs(decision) => {
            format!("{} at a time: {}", labs(decision.labs), decision.why)
        }
        CampaignEvent::Begun { run_id, cell, .. } if cell.is_empty() => format!("{run_id} begins"),
        CampaignEvent::Begun { run_id, cell, .. } => format!("{run_id} begins: {cell}"),
        CampaignEvent::Progress {
            run_id,
            stage,
            text,
        } => format!("{run_id} {}: {text}", stage_name(*stage)),
        CampaignEvent::Kept { run_id, error, .. } => format!(
            "{run_id} failed: {}\n  its lab is kept: `flaplab shell NODE --lab {run_id}` to look into it, \
             `flaplab down --lab {run_id}` to end it",
            indented(error)
        ),
        // Told when its records are measured.
        CampaignEvent::Ended { .. } => return None,
    })
}

fn resumed(
    there: usize,
    abandoned: &[String],
    spent: &[String],
    otherwise: &[String],
    model: &Model,
) -> String {
    let runs = model.plan().runs.len();
    let mut line = format!("goes on: {there} of {runs} runs are complete already");
    if !abandoned.is_empty() {
        line.push_str(&format!(
            "; {} interrupted, moved to abandoned/ and made again: {}",
            abandoned.len(),
            abandoned.join(", ")
        ));
    }
    if !spent.is_empty() {
        line.push_str(&format!(
            "; {} without a valid attempt are not made again (--repeats allows more): {}",
            spent.len(),
            spent.join(", ")
        ));
    }
    if !otherwise.is_empty() {
        line.push_str(&format!(
            "\n  warning: those were made otherwise ({}): runs of one arm may differ for \
             that alone; a new directory (--out) keeps them apart",
            otherwise.join("; ")
        ));
    }
    line
}

/// The line for a run that ended, with what is doubtful about it. Of a finding of a kind that was `known`
/// before, only that it was found again.
pub(crate) fn of_end(end: &RunEnd, known: &[FindingKind], model: &Model, now: Duration) -> String {
    let word = match end.verdict() {
        Verdict::Valid => "complete",
        Verdict::Invalid => "complete, but INVALID",
        Verdict::Failed if end.status == Status::Running => "lost",
        Verdict::Failed => "FAILED",
        Verdict::Aborted => "aborted",
    };
    let mut line = format!(
        "{} {word} ({}/{} runs{}{})",
        end.run_id,
        model.done(),
        model.plan().runs.len(),
        if end.again { ", is made again" } else { "" },
        left_text(model, now)
    );
    if let Some(error) = &end.error {
        line.push_str(&format!("\n  {}", indented(error)));
    }
    for finding in end.doubts() {
        let message = if known.contains(&finding.kind) {
            format!("{} again", kind_word(finding.kind))
        } else {
            finding.message.clone()
        };
        let message = indented(&message);
        line.push_str(&format!("\n  finding at {}: {message}", finding.place));
    }
    line
}

/// A text of several lines as part of another's.
fn indented(text: &str) -> String {
    text.replace('\n', "\n    ")
}

/// The word for a kind of finding, as in docs/findings.md.
fn kind_word(kind: FindingKind) -> String {
    match serde_json::to_value(kind) {
        Ok(serde_json::Value::String(word)) => word,
        // Kinds are words; if one ever is not, its name in the program will do.
        _ => format!("{kind:?}"),
    }
}

/// Where the campaign stands.
pub(crate) fn standing(model: &Model, now: Duration) -> String {
    format!(
        "{}/{} runs: {}; {} up{}",
        model.done(),
        model.plan().runs.len(),
        counted(&model.counts()),
        labs(model.labs().len()),
        left_text(model, now)
    )
}

fn labs(n: usize) -> String {
    match n {
        1 => "1 lab".to_owned(),
        n => format!("{n} labs"),
    }
}

/// What the runs that have ended came to, without what did not happen.
pub(crate) fn counted(counts: &Counts) -> String {
    let rare = [
        (counts.invalid, "invalid"),
        (counts.failed, "failed"),
        (counts.aborted, "aborted"),
    ];
    let rare = rare.into_iter().filter(|(n, _)| *n > 0);
    let mut parts = vec![format!("{} valid", counts.valid)];
    parts.extend(rare.map(|(n, word)| format!("{n} {word}")));
    parts.join(", ")
}

fn left_text(model: &Model, now: Duration) -> String {
    match model.left(now) {
        Some(left) if model.done() < model.plan().runs.len() => {
            format!(", about {} left", span(left))
        }
        _ => String::new(),
    }
}

/// A time for people: two figures are enough.
pub(crate) fn span(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0..120 => format!("{s} s"),
        120..7200 => format!("{} min", (s + 30) / 60),
        _ => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}

/// The stage in the words of a progress line.
pub(crate) fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::BringUp => "brings up",
        Stage::Establish => "establishes",
        Stage::Settle => "settles",
        Stage::Fail => "fails",
        Stage::Converge => "converges",
        Stage::Up => "is up",
    }
}

/// A text of somebody else's as it may be shown: a control character in it, such as a router's log
/// may hold, is not obeyed.
pub(crate) fn shown(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' => c,
            '\t' => ' ',
            c if c.is_control() => '?',
            c => c,
        })
        .collect()
}

/// Whether the end of a run is told above a view, where only what is unusual is.
pub(crate) fn is_unusual(end: &RunEnd) -> bool {
    end.verdict() != Verdict::Valid || end.doubts().next().is_some()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::model::Plan;
    use super::*;
    use results::{Finding, Severity};

    const NOW: Duration = Duration::from_secs(20);

    fn model() -> Model {
        let plan = Plan {
            name: "test".to_owned(),
            arms: vec!["none".to_owned()],
            runs: (0..4).map(|i| (format!("none-000{i}"), 0)).collect(),
            shared: Vec::new(),
            jobs: Some(1),
            ..Plan::default()
        };
        Model::new(plan, Duration::ZERO)
    }

    fn end(status: Status, findings: &[Severity]) -> RunEnd {
        let finding = |severity: &Severity| Finding {
            kind: FindingKind::NotQuiet,
            severity: *severity,
            place: "r1".to_owned(),
            message: format!("{severity:?}, said at length"),
        };
        let error = (status == Status::Failed).then(|| "it broke\nat length".to_owned());
        let findings = findings.iter().map(finding).collect();
        RunEnd::new("none-0000".to_owned(), status, error, findings)
    }

    fn line(status: Status, findings: &[Severity], known: &[FindingKind]) -> String {
        let mut model = model();
        let end = end(status, findings);
        model.ended(end.clone());
        of_end(&end, known, &model, NOW)
    }

    #[test]
    fn a_run_that_ended_is_told_with_its_verdict_its_error_and_what_is_doubtful() {
        let complete = line(Status::Complete, &[Severity::Note], &[]);
        assert_eq!(complete, "none-0000 complete (1/4 runs)");
        let invalid = line(Status::Complete, &[Severity::Invalidating], &[]);
        assert_eq!(
            invalid,
            "none-0000 complete, but INVALID (1/4 runs)\n  finding at r1: Invalidating, said at length"
        );
        let failed = line(Status::Failed, &[], &[]);
        assert_eq!(
            failed,
            "none-0000 FAILED (1/4 runs)\n  it broke\n    at length"
        );
        assert!(line(Status::Aborted, &[], &[]).starts_with("none-0000 aborted ("));
        assert!(line(Status::Running, &[], &[]).starts_with("none-0000 lost ("));
    }

    #[test]
    fn a_finding_of_a_kind_that_is_known_is_told_in_short() {
        let again = line(
            Status::Complete,
            &[Severity::Warning],
            &[FindingKind::NotQuiet],
        );
        assert_eq!(
            again,
            "none-0000 complete (1/4 runs)\n  finding at r1: not-quiet again"
        );
    }

    #[test]
    fn what_is_usual_is_not_told_above_a_view() {
        assert!(!is_unusual(&end(Status::Complete, &[Severity::Note])));
        assert!(is_unusual(&end(Status::Complete, &[Severity::Warning])));
        assert!(is_unusual(&end(Status::Failed, &[])));
    }

    #[test]
    fn the_standing_tells_counts_and_labs() {
        let mut model = model();
        model.ended(end(Status::Complete, &[Severity::Invalidating]));
        let begun = CampaignEvent::Begun {
            run_id: "none-0001".to_owned(),
            strategy: topologies::Strategy::None,
            cell: topologies::Cell::default(),
        };
        model.note(&begun, NOW);
        assert_eq!(
            standing(&model, NOW),
            "1/4 runs: 0 valid, 1 invalid; 1 lab up"
        );
    }

    #[test]
    fn times_have_two_figures() {
        let told = |s| span(Duration::from_secs(s));
        assert_eq!(
            [told(0), told(119), told(120), told(5399), told(7325)],
            ["0 s", "119 s", "2 min", "90 min", "2 h 2 min"]
        );
    }

    #[test]
    fn what_others_say_moves_no_cursor() {
        assert_eq!(shown("a\x1b[2Jb\tc\r\n"), "a?[2Jb c?\n");
    }
}
