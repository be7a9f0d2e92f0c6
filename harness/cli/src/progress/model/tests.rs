use std::collections::VecDeque;

use results::{Finding, FindingKind, Severity, Status};

use super::*;

const S: fn(u64) -> Duration = Duration::from_secs;

/// Two arms of three runs each, in turn.
fn campaign() -> Model {
    let runs = (0..3).flat_map(|i| [(format!("a-{i}"), 0), (format!("b-{i}"), 1)]);
    let plan = Plan {
        name: "test".to_owned(),
        path: PathBuf::from("campaign"),
        arms: vec!["a".to_owned(), "b".to_owned()],
        runs: runs.collect(),
        shared: Vec::new(),
        jobs: Some(2),
    };
    Model::new(plan, Duration::ZERO)
}

fn begun(run_id: &str) -> CampaignEvent {
    CampaignEvent::Begun {
        run_id: run_id.to_owned(),
        strategy: topologies::Strategy::None,
        cell: topologies::Cell::default(),
    }
}

fn at(run_id: &str, stage: Stage, text: &str) -> CampaignEvent {
    CampaignEvent::Progress {
        run_id: run_id.to_owned(),
        stage,
        text: text.to_owned(),
    }
}

fn ended(run_id: &str, status: Status) -> CampaignEvent {
    CampaignEvent::Ended {
        run_id: run_id.to_owned(),
        attempt: 1,
        status,
        error: None,
        findings: Vec::new(),
        valid: status == Status::Complete,
        again: false,
    }
}

fn measured(run_id: &str, valid: bool, convergence_s: f64) -> RunEnd {
    RunEnd {
        valid,
        metrics: vec![
            (Metric::Convergence, convergence_s),
            (Metric::Disconnected, convergence_s / 2.0),
        ],
        ..RunEnd::new(run_id.to_owned(), Status::Complete, None, Vec::new())
    }
}

#[test]
fn runs_are_counted_by_what_they_came_to_in_each_arm() {
    let mut model = campaign();
    for (run, status) in [
        ("a-0", Status::Complete),
        ("a-1", Status::Failed),
        ("b-0", Status::Aborted),
        ("b-1", Status::Complete),
    ] {
        model.note(&begun(run), S(1));
        model.note(&ended(run, status), S(9));
    }
    // The analysis finds what the harness did not.
    model.ended(measured("b-1", false, 3.0));
    let counts = model.counts();
    let of = |c: &Counts| (c.planned, c.valid, c.invalid, c.failed, c.aborted, c.left());
    assert_eq!(of(&counts), (6, 1, 1, 1, 1, 2));
    let arms = model.arms();
    assert_eq!(of(&arms[0].counts), (3, 1, 0, 1, 0, 1));
    assert_eq!(of(&arms[1].counts), (3, 0, 1, 0, 1, 1));
    assert_eq!(model.done(), 4);
}

#[test]
fn only_the_figures_of_valid_runs_are_kept_and_each_once() {
    let mut model = campaign();
    model.ended(measured("a-1", true, 7.0));
    model.ended(measured("a-0", true, 5.0));
    model.ended(measured("a-0", true, 5.0));
    model.ended(measured("a-2", false, 9.0));
    // Of another campaign, or of an arm that was not asked for.
    model.ended(measured("c-0", true, 1.0));
    let arms = model.arms();
    assert_eq!(arms[0].convergence_s, [5.0, 7.0]);
    assert_eq!(arms[0].disconnected_s, [2.5, 3.5]);
    assert!(arms[1].convergence_s.is_empty());
    assert_eq!(model.done(), 3);
}

#[test]
fn a_finding_that_invalidates_counts_before_the_records_are_measured() {
    let mut model = campaign();
    let finding = Finding {
        kind: FindingKind::NotQuiet,
        severity: Severity::Invalidating,
        place: "lab".to_owned(),
        message: "not quiet".to_owned(),
    };
    model.note(
        &CampaignEvent::Ended {
            run_id: "a-0".to_owned(),
            attempt: 1,
            status: Status::Complete,
            error: None,
            findings: vec![finding],
            valid: false,
            again: false,
        },
        S(1),
    );
    assert_eq!(model.counts().invalid, 1);
}

#[test]
fn runs_that_were_there_are_done_before_they_are_measured_and_counted_once_after() {
    let mut model = campaign();
    let resumed = CampaignEvent::Resumed {
        there: 2,
        abandoned: Vec::new(),
        spent: Vec::new(),
        otherwise: Vec::new(),
    };
    model.note(&resumed, S(0));
    assert_eq!((model.done(), model.counts().done()), (2, 0));
    model.was_there(measured("a-0", true, 5.0));
    assert_eq!((model.done(), model.counts().done()), (2, 1));
    model.was_there(measured("b-0", true, 5.0));
    model.note(&begun("a-1"), S(1));
    model.note(&ended("a-1", Status::Complete), S(2));
    assert_eq!((model.done(), model.counts().done()), (3, 3));
}

#[test]
fn a_run_that_is_made_again_is_under_way_again() {
    let mut model = campaign();
    model.note(&begun("a-0"), S(0));
    model.note(&ended("a-0", Status::Failed), S(5));
    model.note(&begun("a-0"), S(6));
    assert_eq!((model.done(), model.labs().len()), (0, 1));
}

#[test]
fn a_run_is_counted_once_however_often_it_is_attempted() {
    let mut model = campaign();
    let attempt = |run_id: &str, attempt, valid, again| CampaignEvent::Ended {
        run_id: run_id.to_owned(),
        attempt,
        status: Status::Complete,
        error: None,
        findings: Vec::new(),
        valid,
        again,
    };
    model.note(&begun("a-0"), S(0));
    model.note(&attempt("a-0", 1, false, true), S(5));
    assert_eq!((model.done(), model.counts().invalid), (0, 0));
    model.note(&begun("a-0.2"), S(6));
    assert_eq!(model.labs()[0].arm, Some(0));
    assert_eq!(model.arm("a-0.2"), Some("a"));
    model.note(&attempt("a-0.2", 2, true, false), S(9));
    model.ended(measured("a-0.2", true, 5.0));
    let counts = model.counts();
    assert_eq!((counts.done(), counts.valid), (1, 1));
    assert_eq!(model.arms()[0].convergence_s, [5.0]);
    // The last attempt counts, as what it is.
    model.note(&begun("b-0.3"), S(9));
    model.note(&attempt("b-0.3", 3, false, false), S(12));
    assert_eq!(model.counts().invalid, 1);
}

#[test]
fn runs_without_an_attempt_left_are_done() {
    let mut model = campaign();
    let resumed = CampaignEvent::Resumed {
        there: 1,
        abandoned: Vec::new(),
        spent: vec!["a-0".to_owned()],
        otherwise: Vec::new(),
    };
    model.note(&resumed, S(0));
    assert_eq!(model.done(), 2);
    model.was_there(measured("a-0.3", false, 5.0));
    assert_eq!((model.done(), model.counts().invalid), (2, 1));
}

#[test]
fn a_stage_is_news_once_and_its_time_counts_from_then() {
    let mut model = campaign();
    model.note(&begun("a-0"), S(1));
    assert!(model.note(&at("a-0", Stage::Settle, "quiet for 0 s"), S(4)));
    assert!(!model.note(&at("a-0", Stage::Settle, "quiet for 2 s"), S(6)));
    assert!(!model.note(&at("b-0", Stage::Settle, "of no lab"), S(6)));
    let labs = model.labs();
    assert_eq!(labs[0].since, S(4));
    assert_eq!(labs[0].text, "quiet for 2 s");
    assert_eq!(labs[0].arm, Some(0));
}

#[test]
fn the_labs_most_worth_seeing_come_first() {
    let mut model = campaign();
    for run in ["a-0", "b-0", "a-1", "b-1"] {
        model.note(&begun(run), S(0));
    }
    model.note(&at("b-0", Stage::Converge, ""), S(3));
    model.note(&at("a-1", Stage::Converge, ""), S(2));
    let kept = CampaignEvent::Kept {
        run_id: "b-1".to_owned(),
        error: "no session".to_owned(),
        init_pid: 1,
        nodes: Vec::new(),
    };
    model.note(&kept, S(4));
    let names: VecDeque<&str> = model.labs().iter().map(|l| l.run_id.as_str()).collect();
    assert_eq!(names, ["b-1", "a-1", "b-0", "a-0"]);
}

#[test]
fn time_left_leaves_out_what_is_done_and_places_that_kept_labs_hold() {
    let mut model = campaign();
    assert_eq!(model.left(S(0)), None);
    model.note(&begun("a-0"), S(0));
    model.note(&at("a-0", Stage::BringUp, ""), S(0));
    model.note(&at("a-0", Stage::Settle, ""), S(2));
    model.note(&ended("a-0", Status::Complete), S(10));
    // Five runs of 10 s in two places, each after a bring-up of 2 s: 0, 2, 10, 12 and 20 s.
    assert_eq!(model.left(S(10)), Some(S(30)));
    model.note(&begun("b-0"), S(10));
    let kept = CampaignEvent::Kept {
        run_id: "b-0".to_owned(),
        error: String::new(),
        init_pid: 1,
        nodes: Vec::new(),
    };
    model.note(&kept, S(11));
    // Four are left for the other place.
    assert_eq!(model.left(S(11)), Some(S(40)));
}

#[test]
fn a_run_in_a_lab_that_is_up_already_tells_nothing_of_how_long_labs_take_to_come_up() {
    let mut model = campaign();
    model.note(&begun("a-0"), S(0));
    model.note(&at("a-0", Stage::Settle, ""), S(8));
    model.note(&ended("a-0", Status::Complete), S(10));
    // Five runs of 10 s in two places; were 8 s a bring-up, the last would begin at 34 s.
    assert_eq!(model.left(S(10)), Some(S(30)));
}
