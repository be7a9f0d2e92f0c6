//! Campaigns over a matrix, and runs that were attempted several times.

use std::collections::BTreeSet;
use std::fs;

use results::{FindingKind, Status};
use topologies::{Cell, Setting, Strategy};

use super::disk::{campaign, manifest, write_run};
use super::measured;
use super::network::{clique, eventful};
use crate::analyze;
use crate::arms::{Arm, MeasuredRun, Metric, count_once, group};
use crate::figures::{FIGURES, Paper, sheet_to_svg, sheets};
use crate::trends::trends;

fn cell(mrai: &str) -> Cell {
    Cell::new(vec![Setting {
        key: "router.mrai".to_owned(),
        value: mrai.to_owned(),
    }])
}

/// An attempt at a run that converged within `value_s`.
fn attempt(
    strategy: Strategy,
    mrai: &str,
    index: u32,
    attempt: u32,
    value_s: f64,
    valid: bool,
) -> MeasuredRun {
    let mut m = manifest(&clique(2, false), strategy, index);
    m.cell = cell(mrai);
    m.attempt = attempt;
    m.run_id = results::attempt::attempt_id(&format!("{strategy}-{mrai}-{index}"), attempt);
    MeasuredRun {
        valid,
        ..measured(m, value_s)
    }
}

fn run(strategy: Strategy, mrai: &str, index: u32, value_s: f64) -> MeasuredRun {
    attempt(strategy, mrai, index, 1, value_s, true)
}

fn sweep(strategies: &[Strategy], mrais: &[&str]) -> Vec<Arm> {
    let mut runs = Vec::new();
    for (i, mrai) in mrais.iter().enumerate() {
        for strategy in strategies {
            runs.push(run(*strategy, mrai, 0, 1.0 + i as f64));
        }
    }
    group(&runs)
}

#[test]
fn arms_are_those_of_each_cell_in_the_order_of_what_the_values_mean() {
    let arms = sweep(&[Strategy::Tcpr, Strategy::None], &["10s", "500ms", "2s"]);
    let labels: Vec<String> = arms.iter().map(Arm::label).collect();
    assert_eq!(
        labels,
        [
            "none, mrai=500ms",
            "tcpr, mrai=500ms",
            "none, mrai=2s",
            "tcpr, mrai=2s",
            "none, mrai=10s",
            "tcpr, mrai=10s",
        ]
    );
    assert_eq!(arms[0].sample(Metric::Convergence).values, [2.0]);
    let plain = Arm {
        cell: Cell::default(),
        ..arms[0].clone()
    };
    assert_eq!(plain.label(), "none");
}

#[test]
fn a_run_counts_once_with_its_first_valid_attempt() {
    let none = Strategy::None;
    let mut runs = [
        attempt(none, "1s", 0, 1, 1.0, false),
        attempt(none, "1s", 0, 2, 2.0, true),
        // As if a limit had been changed since: both are valid now, in no order.
        attempt(none, "1s", 1, 3, 3.0, true),
        attempt(none, "1s", 1, 2, 4.0, true),
        attempt(none, "1s", 2, 1, 5.0, false),
        // The same number in another cell is another run.
        attempt(none, "2s", 0, 1, 6.0, true),
    ];
    count_once(&mut runs);
    let valid: Vec<bool> = runs.iter().map(|r| r.valid).collect();
    assert_eq!(valid, [false, true, false, true, false, true]);
    assert_eq!(runs[2].findings[0].kind, FindingKind::Repeated);
    assert!(runs[2].findings[0].message.contains("none-1s-1.2"));
    let arms = group(&runs);
    assert_eq!(arms.len(), 2);
    assert_eq!((arms[0].attempts, arms[0].total, arms[0].valid), (5, 3, 2));
    assert_eq!(arms[0].sample(Metric::Convergence).values, [2.0, 4.0]);
}

#[test]
fn attempts_are_in_the_tables_and_in_the_report_and_none_is_missed_as_a_run() {
    let temp = tempfile::tempdir().unwrap();
    let campaign = campaign(temp.path());
    let frame = eventful();
    for (number, status) in [(1, Status::Failed), (2, Status::Complete)] {
        let mut m = manifest(&frame.topology, Strategy::None, 0);
        m.run_id = results::attempt::attempt_id("none-0000", number);
        m.attempt = number;
        m.cell = cell("1s");
        m.status = status;
        write_run(&campaign, &frame, m);
    }
    let report = analyze(campaign.path()).unwrap();
    assert_eq!(
        (report.valid_runs(), report.runs, report.attempts),
        (1, 1, 2)
    );
    let told = report.to_string();
    for part in [
        "none, mrai=1s",
        "1 of 1",
        "1 in 1 of 2 attempts",
        "1 runs were attempted 2 times",
    ] {
        assert!(told.contains(part), "{part}:\n{told}");
    }
    assert!(!told.contains("are left out of the figures"), "{told}");
    let rows = fs::read_to_string(campaign.metrics_csv()).unwrap();
    let ends = |row: &str| row.rsplitn(8, ',').map(str::to_owned).collect::<Vec<_>>();
    let last = ends(rows.lines().last().unwrap());
    assert_eq!(last[2..7], ["2", "mrai=1s", "", "", "true"]);
    let first = ends(rows.lines().nth(1).unwrap());
    assert_eq!(first[2..7], ["1", "mrai=1s", "", "", "false"]);
    for table in [campaign.summary_csv(), campaign.sessions_csv()] {
        let text = fs::read_to_string(table).unwrap();
        assert!(text.lines().skip(1).all(|l| l.ends_with(",mrai=1s")));
    }
}

/// The lines of a legend: their pens, as they are drawn, without places.
fn pens(svg: &str) -> BTreeSet<String> {
    let colors = svg.lines().filter(|l| l.contains("stroke=\"#"));
    colors
        .filter_map(|l| {
            l.split("stroke=\"")
                .nth(1)?
                .split('"')
                .next()
                .map(str::to_owned)
        })
        .collect()
}

#[test]
fn few_arms_share_a_chart_and_many_have_one_for_each_cell_on_the_same_axis() {
    let three = [Strategy::None, Strategy::GracefulRestart, Strategy::Tcpr];
    let few = sweep(&three[..2], &["1s", "2s", "5s", "30s"]);
    assert_eq!(few.len(), 8);
    let all = sheets(&few);
    assert_eq!((all.len(), all[0].name.as_str()), (1, ""));

    let many = sweep(&three, &["1s", "2s", "30s"]);
    let each = sheets(&many);
    let names: Vec<&str> = each.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["-mrai=1s", "-mrai=2s", "-mrai=30s"]);
    assert!(each.iter().all(|s| s.arms.len() == 3));
    // The axis ends where the slowest of all arms does: ticks are the same in every sheet.
    let ticks = |svg: &str| -> Vec<String> {
        let texts = svg
            .split("<text")
            .skip(1)
            .map(|t| t.split("</text>").next().unwrap());
        let texts = texts.map(|t| t.split('>').nth(1).unwrap().trim().to_owned());
        texts.filter(|t| t.parse::<f64>().is_ok()).collect()
    };
    let drawn: Vec<String> = each
        .iter()
        .map(|s| sheet_to_svg(FIGURES[0], s, &many).unwrap())
        .collect();
    assert_eq!(ticks(&drawn[0]), ticks(&drawn[2]));
    assert_eq!(
        pens(&drawn[0]),
        pens(&drawn[2]),
        "an arm has its pen in every sheet"
    );
    // Without a matrix there is nothing to divide by.
    let mut plain = many;
    for arm in &mut plain {
        arm.cell = Cell::default();
    }
    assert_eq!(sheets(&plain).len(), 1);
}

#[test]
fn a_campaign_that_grew_has_no_outdated_chart() {
    let temp = tempfile::tempdir().unwrap();
    let campaign = campaign(temp.path());
    let frame = eventful();
    let write = |mrais: &[u32]| {
        for mrai in mrais {
            let mut m = manifest(&frame.topology, Strategy::None, 0);
            m.run_id = format!("none-0000-{mrai}");
            m.cell = cell(&format!("{mrai}s"));
            write_run(&campaign, &frame, m);
        }
        analyze(campaign.path()).unwrap();
        let entries = fs::read_dir(campaign.figures_dir()).unwrap();
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        names.collect::<BTreeSet<String>>()
    };
    let before = write(&[1, 2]);
    assert!(before.contains("convergence.svg"), "{before:?}");
    let after = write(&[3, 4, 5, 6, 7, 8, 9]);
    assert!(!after.contains("convergence.svg"), "{after:?}");
    assert_eq!(after.len(), (9 + 1) * 3 * 2, "{after:?}");
    assert!(after.contains("disconnection-mrai=9s.pdf"), "{after:?}");
}

#[test]
fn arms_are_compared_within_their_cell_alone() {
    let both = [Strategy::None, Strategy::Tcpr];
    let found = crate::differences::between_arms(&sweep(&both, &["1s", "5s"]));
    let convergence: Vec<(String, String, &str)> = found
        .iter()
        .filter(|d| d.metric == Metric::Convergence)
        .map(|d| (d.arm(), d.cell.to_string(), d.against.as_str()))
        .collect();
    assert_eq!(
        convergence,
        [
            ("tcpr, mrai=1s".to_owned(), "mrai=1s".to_owned(), "none"),
            ("tcpr, mrai=5s".to_owned(), "mrai=5s".to_owned(), "none"),
        ]
    );
    let mut sheet = crate::sheets::differences(&found).unwrap();
    let csv = String::from_utf8(crate::sheets::to_csv(&mut sheet).unwrap()).unwrap();
    let header: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    assert_eq!(header.last(), Some(&"cell"));
    assert!(csv.lines().nth(1).unwrap().ends_with(",mrai=1s"), "{csv}");
}

#[test]
fn a_key_of_times_has_a_chart_of_the_means_at_its_values() {
    let mut runs = Vec::new();
    for (mrai, mean_s) in [("0s", 1.0), ("500ms", 2.0), ("5s", 9.0)] {
        for index in 0..3 {
            let value_s = mean_s + 0.1 * f64::from(index);
            runs.push(run(Strategy::None, mrai, index, value_s));
            runs.push(run(Strategy::Tcpr, mrai, index, 0.0));
        }
    }
    let arms = group(&runs);
    let trends = trends(&arms);
    let names: Vec<&str> = trends.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["-over-router.mrai"]);
    let svg = trends[0].to_svg(Paper::PLAIN, FIGURES[0]).unwrap();
    // Letters stand in lines of their own.
    for text in [
        "router.mrai (s)",
        "none",
        "tcpr",
        "Duration of convergence (s)",
    ] {
        assert!(svg.lines().any(|l| l.trim() == text), "{text}");
    }
    // The line of `none` is the longest of black that goes through three points.
    let line = |color: &str| -> Vec<(f64, f64)> {
        let of_means = |l: &&str| l.contains(color) && l.matches(',').count() == 3;
        let mut lines = svg.lines().filter(|l| l.starts_with("<polyline"));
        let line = lines.rfind(of_means).unwrap();
        let points = line.split("points=\"").nth(1).unwrap();
        let point = |p: &str| {
            let (x, y) = p.split_once(',').unwrap();
            (x.parse().unwrap(), y.parse().unwrap())
        };
        let points = points.split('"').next().unwrap();
        points.split_whitespace().map(point).collect()
    };
    let (none, tcpr) = (line("#000000"), line("#D55E00"));
    let share = (none[1].0 - none[0].0) / (none[2].0 - none[0].0);
    assert!(
        (share - 0.1).abs() < 0.01,
        "0.5 s is a tenth of 5 s: {none:?}"
    );
    let share = (none[0].1 - none[1].1) / (none[0].1 - none[2].1);
    assert!((share - 0.125).abs() < 0.01, "1 s of 8 s: {none:?}");
    assert!(tcpr.iter().all(|p| p.1 == tcpr[0].1 && p.1 > none[0].1));
}

#[test]
fn a_key_of_texts_has_no_axis_and_one_of_many_lines_has_a_chart_for_each_other_value() {
    let texts = |key: &str, value: &str| Setting {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    let mut runs = Vec::new();
    for size in ["4", "8"] {
        for kind in ["frr", "quagga", "a", "b", "c"] {
            for strategy in [Strategy::None, Strategy::Tcpr] {
                let mut run = run(strategy, "0s", 0, 1.0);
                let settings = vec![texts("topology.size", size), texts("router.kind", kind)];
                run.manifest.as_mut().unwrap().cell = Cell::new(settings);
                runs.push(run);
            }
        }
    }
    let arms = group(&runs);
    let names: Vec<String> = trends(&arms).into_iter().map(|t| t.name).collect();
    assert_eq!(names.len(), 5);
    assert_eq!(names[0], "-over-topology.size-kind=a");
}
