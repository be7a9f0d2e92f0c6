use std::path::PathBuf;

use analysis::arms::Metric;
use harness::campaign::CampaignEvent;
use harness::protocol::Stage;
use results::Status;

use super::super::model::Plan;
use super::super::run_end::RunEnd;
use super::*;

const S: fn(u64) -> Duration = Duration::from_secs;
const PLAIN: Look = Look {
    colour: false,
    unicode: true,
};
const BRIGHT: Look = Look {
    colour: true,
    unicode: true,
};

/// A campaign of so many arms with ten runs each, of which some have ended and some are up.
fn campaign(arms: usize, ended: usize, labs: usize) -> Model {
    let arm = |i: usize| {
        ["none", "graceful-restart", "tcpr"]
            .get(i)
            .map_or(format!("arm-{i}"), |a| (*a).to_owned())
    };
    let runs = (0..10)
        .flat_map(|i| (0..arms).map(move |a| (format!("{}-{i:04}-00c0ffee00c0ffee", arm(a)), a)));
    let runs: Vec<(String, usize)> = runs.collect();
    let plan = Plan {
        name: "clique4-control".to_owned(),
        path: PathBuf::from("out"),
        arms: (0..arms).map(arm).collect(),
        runs: runs.clone(),
        shared: Vec::new(),
        jobs: Some(4),
    };
    let mut model = Model::new(plan, S(0));
    for (i, (run_id, arm)) in runs.iter().take(ended + labs).enumerate() {
        let run_id = run_id.clone();
        model.note(
            &CampaignEvent::Begun {
                run_id: run_id.clone(),
                strategy: topologies::Strategy::None,
                cell: topologies::Cell::default(),
            },
            S(0),
        );
        let stage = [Stage::Settle, Stage::Converge][i % 2];
        for (at, stage) in [(S(0), Stage::BringUp), (S(3), stage)] {
            let progress = CampaignEvent::Progress {
                run_id: run_id.clone(),
                stage,
                text: "until quiet for 4s".to_owned(),
            };
            model.note(&progress, at);
        }
        if i < ended {
            let end = CampaignEvent::Ended {
                run_id: run_id.clone(),
                attempt: 1,
                status: Status::Complete,
                error: None,
                findings: Vec::new(),
                valid: true,
                again: false,
            };
            model.note(&end, S(20));
            let value = (*arm as f64 + 1.0) * 5.0 + i as f64 / 10.0;
            model.ended(RunEnd {
                metrics: vec![
                    (Metric::Convergence, value),
                    (Metric::Disconnected, value / 2.0),
                ],
                ..RunEnd::new(run_id, Status::Complete, None, Vec::new())
            });
        }
    }
    model
}

/// The view as text, without what colours it.
fn text(model: &Model, columns: u16, lines: u16, look: Look) -> Vec<String> {
    let rows = rows(model, S(30), columns, lines, look);
    rows.iter()
        .map(|row| {
            let mut line = vt100::Parser::new(1, 400, 0);
            line.process(row.text.as_bytes());
            let line = line.screen().contents();
            assert_eq!(Span::from(line.as_str()).width(), row.columns, "{line:?}");
            line
        })
        .collect()
}

#[test]
fn a_usual_terminal_shows_counts_means_curves_and_labs() {
    let lines = text(&campaign(3, 12, 4), 80, 24, BRIGHT);
    let all = lines.join("\n");
    assert_eq!(lines[0], "", "what is left behind when something is typed");
    assert!(
        lines[1].starts_with("clique4-control  12/30 runs ━━"),
        "{all}"
    );
    assert!(lines[1].contains("0:00:30, about "), "{all}");
    assert!(
        lines[2].contains("valid invalid failed left convergence, s disconnected, s"),
        "{all}"
    );
    let arm = lines
        .iter()
        .find(|l| l.contains("graceful-restart "))
        .unwrap();
    let words: Vec<&str> = arm.split_whitespace().collect();
    assert_eq!(
        words,
        [
            "━━",
            "graceful-restart",
            "4",
            "0",
            "0",
            "6",
            "10.55",
            "5.28"
        ],
        "{all}"
    );
    assert!(all.contains("convergence, s: share of runs"), "{all}");
    assert!(all.contains("disconnected, s: share of runs"), "{all}");
    assert!(
        all.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)),
        "fine dots: {all}"
    );
    assert!(all.contains("4 labs: 2 settling, 2 converging"), "{all}");
    assert!(all.contains("graceful-restart-0004  converging"), "{all}");
    assert!(all.contains("until quiet for 4s"), "{all}");
}

#[test]
fn no_view_is_larger_than_its_terminal() {
    for (arms, ended, labs) in [
        (1, 0, 0),
        (1, 0, 1),
        (3, 12, 4),
        (3, 2, 28),
        (24, 100, 36),
        (0, 0, 0),
    ] {
        let model = campaign(arms, ended, labs);
        for columns in [1, 9, 24, 44, 59, 60, 80, 250] {
            for lines in [1, 2, 5, 7, 8, 12, 16, 24, 70] {
                for look in [PLAIN, BRIGHT] {
                    let rows = rows(&model, S(30), columns, lines, look);
                    let size = format!("{arms} arms, {columns} x {lines}");
                    assert!(!rows.is_empty(), "{size}");
                    // One line is the cursor's.
                    assert!(
                        rows.len() < usize::from(lines.max(2)),
                        "{size}: {}",
                        rows.len()
                    );
                    assert!(
                        rows.iter().all(|r| r.columns < usize::from(columns.max(2))),
                        "{size}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_narrow_terminal_tells_how_far_it_is() {
    assert_eq!(
        text(&campaign(3, 12, 4), 50, 4, PLAIN)[0],
        "12/30 runs, about 83 s left"
    );
    let narrow = text(&campaign(3, 12, 4), 30, 3, PLAIN);
    assert!(narrow[0].starts_with("12/30 runs, about"), "{narrow:?}");
}

#[test]
fn what_has_no_room_is_counted() {
    let all = text(&campaign(3, 2, 28), 80, 24, BRIGHT).join("\n");
    assert!(
        all.contains("28 labs: 14 settling, 14 converging; "),
        "{all}"
    );
    let shown = all.matches("until quiet").count();
    assert!(
        all.contains(&format!("; {} not shown", 28 - shown)),
        "{all}"
    );
    let all = text(&campaign(24, 100, 4), 80, 24, BRIGHT).join("\n");
    assert!(all.contains(" more arms"), "{all}");
}

#[test]
fn without_colours_curves_differ_in_their_marks_and_nothing_is_coloured() {
    let model = campaign(3, 12, 4);
    let lines = text(&model, 80, 24, PLAIN);
    let arm = |name: &str| {
        lines
            .iter()
            .find(|l| l.contains(&format!(" {name} ")))
            .unwrap()
    };
    assert!(arm("none").starts_with("** "), "{lines:?}");
    assert!(arm("graceful-restart").starts_with("oo "), "{lines:?}");
    let curves = lines.iter().filter(|l| l.contains('│'));
    let drawn: String = curves.flat_map(|l| l.chars()).collect();
    assert!("*o+".chars().all(|mark| drawn.contains(mark)), "{lines:?}");
    let coloured = |look| {
        let rows = rows(&model, S(30), 80, 24, look);
        rows.iter().any(|r| r.text.contains("\x1b[36m"))
    };
    assert!(coloured(BRIGHT) && !coloured(PLAIN));
    // 30 to 37 and 90 to 97 are colours; bold and dim are none.
    let plain = rows(&model, S(30), 80, 24, PLAIN);
    assert!(
        plain
            .iter()
            .all(|r| !r.text.contains("\x1b[3") && !r.text.contains("\x1b[9"))
    );
}

#[test]
fn a_terminal_of_ascii_gets_ascii() {
    let look = Look {
        colour: true,
        unicode: false,
    };
    let rows = rows(&campaign(3, 12, 4), S(30), 80, 24, look);
    assert!(rows.iter().all(|r| r.text.is_ascii()), "{rows:?}");
    assert!(rows.iter().any(|r| r.text.contains("====")));
}

#[test]
fn a_kept_lab_stands_first_with_its_error_and_what_it_says_moves_no_cursor() {
    let mut model = campaign(3, 2, 6);
    let run_id = "tcpr-0001-00c0ffee00c0ffee".to_owned();
    let kept = CampaignEvent::Kept {
        run_id,
        error: "r1 said \x1b[2J".to_owned(),
        init_pid: 7,
        nodes: Vec::new(),
    };
    model.note(&kept, S(25));
    let lines = text(&model, 80, 24, BRIGHT);
    let labs = lines.iter().position(|l| l.contains(" labs: ")).unwrap();
    assert!(lines[labs].contains("1 kept"), "{lines:?}");
    assert!(lines[labs + 1].starts_with("tcpr-0001"), "{lines:?}");
    assert!(lines[labs + 1].contains("FAILED, kept"), "{lines:?}");
    assert!(lines[labs + 1].contains("r1 said ?[2J"), "{lines:?}");
}

#[test]
fn fewer_labs_than_there_may_be_are_told_as_such() {
    let all = text(&campaign(3, 12, 2), 80, 24, BRIGHT).join("\n");
    assert!(
        all.contains("2 labs of 4 at a time: 1 settling, 1 converging"),
        "{all}"
    );
}

#[test]
fn a_campaign_that_is_stopped_says_so_in_the_place_of_the_time_left() {
    let mut model = campaign(1, 2, 2);
    model.stop();
    let lines = text(&model, 80, 24, BRIGHT);
    assert!(lines[1].ends_with("0:00:30, stopping"), "{lines:?}");
}

#[test]
fn no_curve_is_drawn_before_a_run_has_ended() {
    let all = text(&campaign(3, 0, 4), 80, 24, BRIGHT).join("\n");
    assert!(!all.contains("share of"), "{all}");
    assert!(all.contains("time left unknown yet"), "{all}");
}
