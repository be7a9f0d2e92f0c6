//! Addresses of runs: the same for the same experiment, for good.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;

use topologies::{ResolvedScenario, Scenario, Strategy as Arm};

const TEXT: &str = "\
name: golden
topology: {kind: b-clique, size: 4, shuffle: true}
failure: {kind: correlated}
seed: 2014
";

fn run(text: &str) -> ResolvedScenario {
    Scenario::parse(text, "a.yaml")
        .unwrap()
        .resolve(Arm::Tcpr, 3)
}

#[test]
fn an_address_never_changes() {
    // Computed a second time by the Python of docs/run-directory.md. If this fails, a
    // key that came later has to be left out while it has its first value: `LATER` in address.rs.
    assert_eq!(
        run(TEXT).address().to_string(),
        "d8db4801da9c88ce956149fd05df94824b97e5ca930b54ae11c778ba0e611d9e"
    );
    assert_eq!(run(TEXT).run_id(), "tcpr-0003-d8db4801da9c88ce");
}

#[test]
fn names_and_words_for_people_are_no_part_of_it() {
    let address = run(TEXT).address();
    for same in [
        TEXT.replace("name: golden", "name: another"),
        format!("{TEXT}description: x\n"),
        format!("{TEXT}runs: 99\nstrategies: [tcpr]\n"),
        format!("{TEXT}router: {{mrai: 5000ms}}\n"),
        format!("{TEXT}matrix: {{router.mrai: [5s, 1s]}}\n"),
    ] {
        assert_eq!(run(&same).address(), address, "{same}");
    }
}

#[test]
fn a_lab_of_its_own_is_what_every_run_had_and_a_shared_one_is_another_experiment() {
    let text = TEXT.replace("correlated", "control");
    let text = text.replace(", shuffle: true", "");
    let address = run(&text).address();
    assert_eq!(run(&format!("{text}fresh: true\n")).address(), address);
    assert!(!run(&text).canonical().contains("fresh"));
    let shared = run(&format!("{text}fresh: false\n"));
    assert_ne!(shared.address(), address);
    assert!(shared.canonical().contains(r#""fresh":false"#));
}

#[test]
fn everything_that_a_lab_could_notice_is_part_of_it() {
    let scenario = Scenario::parse(TEXT, "a.yaml").unwrap();
    let mut all = BTreeSet::from([run(TEXT).address()]);
    let others = [
        TEXT.replace("size: 4", "size: 5"),
        TEXT.replace("shuffle: true", "shuffle: false"),
        TEXT.replace("2014", "2015"),
        format!("{TEXT}router: {{mrai: 1s}}\n"),
        format!("{TEXT}router: {{path: /opt/frr}}\n"),
        format!("{TEXT}data_plane_probe: true\n"),
        format!("{TEXT}deadlines: {{quiet: 601s}}\n"),
        format!("{TEXT}destination: 203.0.113.0/24\n"),
    ];
    let of_others = others.iter().map(|text| run(text).address());
    let of_runs = [(Arm::None, 3), (Arm::Tcpr, 4)].map(|(s, i)| scenario.resolve(s, i).address());
    for (i, address) in of_others.chain(of_runs).enumerate() {
        assert!(all.insert(address), "{i}");
    }
}

#[test]
fn an_address_is_that_of_the_record_read_back() {
    let run = run(TEXT);
    let yaml = serde_saphyr::to_string(&run).unwrap();
    let read: ResolvedScenario = serde_saphyr::from_str(&yaml).unwrap();
    assert_eq!(read.address(), run.address());
    let mut old = serde_json::to_value(&run).unwrap();
    // As it stood in a record from before there were cells, a probe and labs that are shared.
    old.as_object_mut()
        .unwrap()
        .retain(|k, _| k != "cell" && k != "data_plane_probe" && k != "fresh");
    let read: ResolvedScenario = serde_json::from_value(old).unwrap();
    assert_eq!(read.address(), run.address());
}
