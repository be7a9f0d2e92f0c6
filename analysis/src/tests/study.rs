//! A study, whole and in part: its figures, its table, and the set that is published.

use std::fs;
use std::path::Path;

use results::publication;
use results::realised::{MraiRound, RealisedMrai};
use results::study::StudyDir;
use results::{CampaignDir, Manifest};
use topologies::{FailureKind, Strategy};

use super::disk::{manifest, write_run};
use super::network::eventful;
use crate::publication::publish;
use crate::study::{StudyReport, analyze_study};

fn study(temp: &Path) -> StudyDir {
    StudyDir::claim(temp.join("study"), "surton2014")
        .unwrap()
        .dir
}

fn of(failure: FailureKind, strategy: Strategy, i: u32) -> Manifest {
    let mut m = manifest(&eventful().topology, strategy, i);
    m.failure = failure;
    m
}

fn campaign(study: &StudyDir, name: &str, failure: FailureKind) {
    let campaign = CampaignDir::create(study.part(name), "schema: 1\n").unwrap();
    for i in 0..2 {
        for strategy in [Strategy::None, Strategy::Tcpr] {
            write_run(&campaign, &eventful(), of(failure, strategy, i));
        }
    }
}

fn benchmark(study: &StudyDir, name: &str, rows: &str) {
    let files = study.benchmark(name);
    fs::create_dir_all(study.tcpr_dir()).unwrap();
    let header = results::benchmark::HEADER;
    fs::write(&files.csv, format!("{header}\n{rows}")).unwrap();
    let setting = r#"{"version": "1", "kernel": "6", "cores": 2, "congestion_control": "bbr"}"#;
    let json = format!(r#"{{"setting": {setting}, "warnings": ["it was busy"]}}"#);
    fs::write(&files.json, json).unwrap();
}

/// Two rounds of the cases of figure 25, of very different length.
fn recovery(study: &StudyDir) {
    let mut rows = String::new();
    for case in ["fresh", "application", "tcpr_and_application"] {
        for (round, value) in [(0, 100.0), (0, 200.0), (0, 600.0), (1, 100.0)] {
            rows += &format!("recovery,connect,{case},us,{round},{value}\n");
        }
    }
    benchmark(study, "recovery", &rows);
}

fn row<'a>(report: &'a StudyReport, figure: u32, case: &str) -> &'a crate::comparison::Row {
    let found = report
        .rows
        .iter()
        .find(|r| r.figure == figure && r.case == case);
    found.unwrap_or_else(|| panic!("no row of figure {figure}, {case}"))
}

#[test]
fn a_study_that_was_only_begun_says_what_is_missing() {
    let temp = tempfile::tempdir().unwrap();
    let study = study(temp.path());
    let report = analyze_study(&study).unwrap();
    let parts = [
        "mrai-probe",
        "control",
        "correlated",
        "tcpr/throughput",
        "tcpr/latency",
    ];
    assert_eq!(report.missing[..5], parts);
    let text = fs::read_to_string(study.study_md()).unwrap();
    assert!(text.contains("Not there, or not whole: mrai-probe, control"));
    // Values without what is written after them are no benchmark.
    recovery(&study);
    fs::remove_file(study.benchmark("recovery").json).unwrap();
    assert!(analyze_study(&study).unwrap().benchmarks.is_empty());
}

#[test]
fn figures_and_rows_bear_the_studys_numbers() {
    let temp = tempfile::tempdir().unwrap();
    let study = study(temp.path());
    campaign(&study, "control", FailureKind::Control);
    campaign(&study, "correlated", FailureKind::Correlated);
    recovery(&study);
    let report = analyze_study(&study).unwrap();
    let mut names: Vec<String> = fs::read_dir(study.figures_dir())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected: Vec<String> = [7, 8, 9, 11, 12, 13, 25]
        .iter()
        .flat_map(|n| ["pdf", "svg"].map(|e| format!("figure-{n:02}.{e}")))
        .collect();
    assert_eq!(names, expected);

    let none = row(&report, 7, "none");
    assert_eq!((none.study.as_deref(), none.n), (Some("> 15"), 2));
    assert!(
        none.reason.contains("FRRouting 8.4.4 instead of Quagga"),
        "{}",
        none.reason
    );
    let tcpr = row(&report, 7, "tcpr");
    assert_eq!(tcpr.study, None);
    assert!(tcpr.reason.contains("microbenchmarks only"));
    let recovery = row(&report, 25, "application lost");
    assert_eq!(recovery.study.as_deref(), Some("39 ± 8"));
    // Over the means of two rounds, 300 and 100, however many values each has.
    assert_eq!((recovery.n, recovery.measured.unwrap().mean), (2, 200.0));
    assert!(recovery.reason.starts_with("another measure"));
    assert_eq!(row(&report, 25, "fresh, without TCPR").study, None);

    let svg = fs::read_to_string(study.figures_dir().join("figure-25.svg")).unwrap();
    for part in ["Not the study", "study 39 ± 8", "application lost (4)"] {
        assert!(svg.contains(part), "{part}");
    }
    let csv = fs::read_to_string(study.study_csv()).unwrap();
    assert_eq!(csv.lines().count(), 1 + report.rows.len());
    assert!(report.to_string().contains("warning: it was busy"));
}

#[test]
fn the_realised_mrai_of_the_probe_stands_beside_the_figures() {
    let temp = tempfile::tempdir().unwrap();
    let study = study(temp.path());
    campaign(&study, "control", FailureKind::Control);
    let probe = CampaignDir::create(study.part("mrai-probe"), "schema: 1\n").unwrap();
    let mut m = of(FailureKind::MraiProbe, Strategy::None, 0);
    let round = |withdrawal_s| MraiRound {
        first_announcement_s: 0.05,
        second_announcement_s: 4.9,
        announcement_interval_s: 5.0,
        withdrawal_behind_announcement_s: withdrawal_s,
        withdrawal_s,
    };
    m.realised_mrai = RealisedMrai::of("r1", "r2", &[4.5, 5.0, 5.25].map(round));
    let run = probe.create_run(&m.run_id).unwrap();
    run.write_manifest(&m).unwrap();
    let report = analyze_study(&study).unwrap();
    let told = "withdrawal after 5.00 s (4.50 to 5.25)";
    assert!(report.realised_mrai.as_ref().unwrap().contains(told));
    assert!(row(&report, 7, "none").reason.contains(told));
}

#[test]
fn what_is_published_is_every_point_of_the_distributions() {
    let temp = tempfile::tempdir().unwrap();
    let study = study(temp.path());
    campaign(&study, "control", FailureKind::Control);
    recovery(&study);
    let report = analyze_study(&study).unwrap();
    let to = temp.path().join("set");
    publish(&report, &to).unwrap();
    let set = publication::read(&to).unwrap();
    assert_eq!(set.arms.len(), 2);
    assert_eq!(set.routers, ["FRRouting 8.4.4"]);
    let values = fs::read_to_string(to.join("distributions.csv")).unwrap();
    // Two arms of two runs, three metrics.
    assert_eq!(values.lines().count(), 1 + 2 * 2 * 3);
    let value = row(&report, 7, "none").measured.unwrap().max;
    assert!(values.contains(&format!("7,by-hand,none,convergence_s,s,{value}")));
    let percentiles = fs::read_to_string(to.join("benchmarks.csv")).unwrap();
    assert!(percentiles.contains("recovery,connect,fresh,us,4,100,600\n"));
    assert_eq!(percentiles.lines().count(), 1 + 3 * 101);
    let svg = set
        .files
        .iter()
        .filter(|f| f.name.ends_with(".svg"))
        .count();
    assert_eq!(svg, 4);
}
