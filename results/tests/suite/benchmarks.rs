//! What `tcpr bench` leaves, and what a study publishes.

use std::fs;

use results::DirError;
use results::benchmark::{BenchmarkFiles, HEADER, Samples};
use results::publication::{self, PublishedArm, PublishedSet};
use results::study::StudyDir;

fn rows(lines: &str) -> String {
    format!("{HEADER}\n{lines}")
}

#[test]
fn values_keep_their_series_their_rounds_and_their_order() {
    let samples = Samples::parse(&rows(
        "latency,peer_asks,unsafe,us,0,3\n\
         latency,peer_asks,unsafe,us,0,1\n\
         latency,peer_asks,recovered,us,0,9\n\
         latency,peer_asks,unsafe,us,1,5\n",
    ))
    .unwrap();
    assert_eq!(samples.benchmark, "latency");
    assert_eq!(samples.series.len(), 2);
    let of = samples.series("peer_asks", "unsafe").unwrap();
    assert_eq!(
        (of.unit.as_str(), &of.rounds),
        ("us", &vec![vec![3.0, 1.0], vec![5.0]])
    );
    assert_eq!(of.sorted(), [1.0, 3.0, 5.0]);
    assert_eq!(of.round_means(), [2.0, 5.0]);
    assert!(samples.series("peer_asks", "unprotected").is_none());
}

#[test]
fn a_row_that_makes_no_sense_is_told_with_its_line() {
    for (text, line, reason) in [
        ("value\n1\n".to_owned(), 1, "header"),
        (rows(""), 2, "no value"),
        (
            rows("latency,a,b,us,0,1\nlatency,a,b,us,0\n"),
            3,
            "six fields",
        ),
        (rows("latency,a,b,us,x,1\n"), 2, "`x`"),
        (rows("latency,a,b,us,0,NaN\n"), 2, "no value"),
        (
            rows("latency,a,b,us,0,1\nrecovery,a,b,us,0,1\n"),
            3,
            "among",
        ),
        (rows("latency,a,b,us,1,1\n"), 2, "too early"),
    ] {
        let error = Samples::parse(&text).unwrap_err();
        assert_eq!(error.line, line, "{text}");
        assert!(error.reason.contains(reason), "{error}");
    }
}

#[test]
fn a_benchmark_is_whole_once_its_json_is_there() {
    let temp = tempfile::tempdir().unwrap();
    let files = BenchmarkFiles::of(temp.path(), "latency");
    fs::write(&files.csv, rows("latency,a,b,us,0,1\n")).unwrap();
    assert!(!files.are_whole() && files.read().is_err());
    let setting = r#"{"version": "1", "kernel": "6", "cores": 2, "load_at_start": null, "congestion_control": "bbr"}"#;
    let json = format!(r#"{{"latency": {{}}, "setting": {setting}, "warnings": ["busy"]}}"#);
    fs::write(&files.json, json).unwrap();
    let (samples, info) = files.read().unwrap();
    assert!(files.are_whole());
    assert_eq!(samples.series.len(), 1);
    assert_eq!(
        (info.setting.cores, info.warnings),
        (2, vec!["busy".to_owned()])
    );
}

#[test]
fn a_study_is_claimed_by_one_at_a_time_and_is_no_other_directory() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("deep/study");
    assert_eq!(StudyDir::find(&path).unwrap(), None);
    let claimed = StudyDir::claim(&path, "surton2014").unwrap();
    let error = StudyDir::claim(&path, "surton2014").unwrap_err();
    assert!(matches!(error, DirError::InUse { .. }), "{error}");
    drop(claimed);
    drop(StudyDir::claim(&path, "surton2014").unwrap());
    assert_eq!(StudyDir::find(&path).unwrap().unwrap().path(), path);
    let error = StudyDir::claim(&path, "another2020").unwrap_err();
    assert!(matches!(error, DirError::Exists { .. }), "{error}");
    // Killed before its mark was there.
    fs::remove_file(path.join("study.json")).unwrap();
    drop(StudyDir::claim(&path, "surton2014").unwrap());
    let other = temp.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("notes"), "precious").unwrap();
    let error = StudyDir::claim(&other, "surton2014").unwrap_err();
    assert!(matches!(error, DirError::Exists { .. }), "{error}");
}

fn set() -> PublishedSet {
    PublishedSet {
        schema_version: 1,
        study: "surton2014".to_owned(),
        tools: vec!["flaplab 0.1.0 (abc)".to_owned()],
        hosts: Vec::new(),
        routers: vec!["FRRouting 8.4.4".to_owned()],
        injectors: Vec::new(),
        realised_mrai: None,
        measured_at: "2026-01-01T00:00:00Z".to_owned(),
        arms: vec![PublishedArm {
            scenario: "s".to_owned(),
            strategy: "none".to_owned(),
            runs: 2,
            valid: 1,
        }],
        benchmarks: Vec::new(),
        files: Vec::new(),
    }
}

#[test]
fn a_published_set_names_what_is_not_as_it_was() {
    let temp = tempfile::tempdir().unwrap();
    let at = temp.path().join("set");
    let file = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
    let files = [
        file("study.csv", "a\n"),
        file("figures/figure-07.svg", "<svg/>"),
    ];
    publication::write(&at, set(), &files).unwrap();
    let read = publication::read(&at).unwrap();
    assert_eq!(read.arms, set().arms);
    assert_eq!(read.files.len(), 2);
    // The same again replaces; a stranger is not taken in.
    publication::write(&at, set(), &files).unwrap();
    fs::write(at.join("figures/stranger"), "").unwrap();
    let told = publication::read(&at).unwrap_err().to_string();
    assert!(told.contains("figures/stranger"), "{told}");
    let told = publication::write(&at, set(), &files)
        .unwrap_err()
        .to_string();
    assert!(told.contains("figures/stranger"), "{told}");
    fs::remove_file(at.join("figures/stranger")).unwrap();
    fs::write(at.join("study.csv"), "b\n").unwrap();
    let told = publication::read(&at).unwrap_err().to_string();
    assert!(told.contains("study.csv"), "{told}");
    fs::remove_file(at.join("study.csv")).unwrap();
    assert!(publication::read(&at).is_err());
}

#[test]
fn the_published_sets_in_the_tree_agree_with_their_manifests() {
    let reference = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("reference");
    for entry in fs::read_dir(reference).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        let set = publication::read(&path).unwrap();
        let valid: usize = set.arms.iter().map(|a| a.valid).sum();
        let values = fs::read_to_string(path.join("distributions.csv")).unwrap();
        // Three metrics of each valid run.
        assert_eq!(values.lines().count() - 1, 3 * valid, "{}", path.display());
    }
}
