//! Cells of a matrix: what is run in them, what they are called, and what is refused where.
#![allow(clippy::unwrap_used, missing_docs)]

use proptest::prelude::*;
use topologies::{Cell, ResolvedScenario, Scenario, ScenarioError, Strategy as Arm};

const TEXT: &str = "\
# A comment, with a `matrix:` in it.
name: sweep
description: 'What it is for: this, and that'
topology:
  kind: b-clique
router:
  extra_config: {r3: [\" bgp bestpath compare-routerid\", \"no: a trap #1\", \"\"]}
  hold_time: 90s
failure:
  kind: correlated
strategies: [none, tcpr]
runs: 2
seed: 7
matrix:
  router.mrai: [1s, 30s]
  topology.size:
    - 8
    - 4
  failure.restart_delay: [0s, '1500 ms']
";

fn scenario(text: &str) -> Scenario {
    Scenario::parse(text, "s.yaml").unwrap_or_else(|e| panic!("{e}"))
}

fn names(scenario: &Scenario) -> Vec<String> {
    scenario.cells().map(Cell::to_string).collect()
}

/// The same run under the names that another run has.
fn called_as(run: &ResolvedScenario, other: &ResolvedScenario) -> ResolvedScenario {
    ResolvedScenario {
        cell: other.cell.clone(),
        ..run.clone()
    }
}

#[test]
fn cells_are_all_combinations_in_the_authors_order() {
    assert_eq!(
        names(&scenario(TEXT)),
        [
            "mrai=1s,size=8,restart_delay=0s",
            "mrai=1s,size=8,restart_delay=1500 ms",
            "mrai=1s,size=4,restart_delay=0s",
            "mrai=1s,size=4,restart_delay=1500 ms",
            "mrai=30s,size=8,restart_delay=0s",
            "mrai=30s,size=8,restart_delay=1500 ms",
            "mrai=30s,size=4,restart_delay=0s",
            "mrai=30s,size=4,restart_delay=1500 ms",
        ]
    );
}

#[test]
fn a_cell_is_the_scenario_with_its_values_written_into_it() {
    let swept = scenario(TEXT);
    let cells: Vec<Cell> = swept.cells().cloned().collect();
    let (head, _) = TEXT.split_once("\nmatrix:").unwrap();
    for (cell, (mrai, size, delay)) in cells.iter().zip([
        ("1s", 8, "0s"),
        ("1s", 8, "1.5s"),
        ("1s", 4, "0s"),
        ("1s", 4, "1.5s"),
        ("30s", 8, "0s"),
        ("30s", 8, "1.5s"),
        ("30s", 4, "0s"),
        ("30s", 4, "1.5s"),
    ]) {
        let by_hand = head
            .replace(
                "kind: b-clique\n",
                &format!("kind: b-clique\n  size: {size}\n"),
            )
            .replace("router:\n", &format!("router:\n  mrai: {mrai}\n"))
            .replace(
                "kind: correlated\n",
                &format!("kind: correlated\n  restart_delay: {delay}\n"),
            );
        let by_hand = scenario(&by_hand);
        for arm in [Arm::None, Arm::Tcpr] {
            let ours = swept.resolve_in(cell, arm, 1).unwrap();
            let theirs = by_hand.resolve(arm, 1);
            assert_eq!(called_as(&theirs, &ours), ours, "{cell}");
            assert_eq!(theirs.address(), ours.address());
            assert_eq!(theirs.run_id(), ours.run_id());
        }
    }
    assert_eq!(swept.text(), TEXT);
    assert_eq!(swept.resolve_in(&Cell::default(), Arm::None, 0), None);
}

#[test]
fn runs_are_in_the_order_of_number_then_cell_then_arm_and_none_is_alike() {
    let swept = scenario(TEXT);
    let runs: Vec<ResolvedScenario> = swept.resolve_all().collect();
    assert_eq!(runs.len(), 2 * 8 * 2);
    assert_eq!(swept.total_runs(), runs.len());
    let cells: Vec<&Cell> = swept.cells().collect();
    for (i, run) in runs.iter().enumerate() {
        assert_eq!(run.run_index as usize, i / 16);
        assert_eq!(&run.cell, cells[i / 2 % 8]);
        assert_eq!(run.strategy, [Arm::None, Arm::Tcpr][i % 2]);
    }
    assert_eq!(
        runs[0].seed, runs[15].seed,
        "cells are compared on equal draws"
    );
    let mut ids: Vec<String> = runs.iter().map(ResolvedScenario::run_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), runs.len());
}

#[test]
fn a_key_that_is_in_the_file_gives_way_and_a_required_one_may_stand_in_the_matrix_alone() {
    let swept = scenario(
        "name: a\ntopology: {kind: clique, size: 4}\nrouter: {mrai: 9s, keepalive: 20s}\n\
         matrix:\n  failure.kind: [control, mrai-probe]\n  router.mrai: [2s]\n  topology: [{kind: ring, size: 5}]\n",
    );
    assert_eq!(
        names(&swept),
        [
            "kind=control,mrai=2s,topology={kind: ring, size: 5}",
            "kind=mrai-probe,mrai=2s,topology={kind: ring, size: 5}"
        ]
    );
    assert_eq!(swept.router().mrai.to_string(), "2s");
    assert_eq!(swept.router().keepalive.to_string(), "20s");
    assert_eq!(
        (swept.topology_kind().to_string(), swept.size()),
        ("ring".to_owned(), 5)
    );
}

#[test]
fn any_kind_of_value_can_be_put_in() {
    let swept = scenario(
        "name: a\ntopology: &t {kind: edges, edges: [[r1, r2], [r2, r3]]}\nfailure: {kind: control}\nrouter:\n\
         matrix:\n  topology.edges: [[[r1, r2]], [[r1, r2], [r1, r3]]]\n  topology.shuffle: [true, false]\n  \
         router.extra_config.r2: [[], ['!']]\n  destination: [203.0.113.0/24, null]\n",
    );
    let cells = names(&swept);
    assert_eq!(cells.len(), 16);
    assert_eq!(
        cells[0],
        "edges=[[r1, r2]],shuffle=true,r2=[],destination=203.0.113.0/24"
    );
    let last = swept.cells().last().unwrap();
    let run = swept.resolve_in(last, Arm::None, 0).unwrap();
    assert_eq!(run.topology.routers().count(), 3);
    assert_eq!(run.router.extra_config["r2"], ["!"]);
    assert_eq!(run.topology.destination.to_string(), "198.51.100.0/24");
}

#[test]
fn the_command_lines_arms_hold_for_every_cell_and_must_fit_each() {
    let text = "name: a\ntopology: {kind: clique, size: 4}\nfailure: {kind: control}\n\
                strategies: [none]\nmatrix: {injector.kind: [flaplab, exabgp]}\n";
    let only = scenario(text)
        .with_strategies(&[Arm::GracefulRestart])
        .unwrap();
    assert!(
        only.resolve_all()
            .all(|r| r.strategy == Arm::GracefulRestart)
    );
    let error = scenario(text).with_strategies(&[Arm::Tcpr]).unwrap_err();
    assert!(error.to_string().contains("exabgp"), "{error}");
}

/// Refused at line and column with a problem and a remedy that hold these words.
#[track_caller]
fn refused(matrix: &str, place: (usize, usize), problem: &str, remedy: &str) {
    let text = format!(
        "name: a\ntopology: {{kind: clique, size: 4}}\nfailure: {{kind: control}}\nrouter: {{keepalive: 50s}}\n{matrix}"
    );
    match Scenario::parse(&text, "s.yaml") {
        Err(ScenarioError::Refused(r)) => {
            assert_eq!((r.line, r.column), place, "{r}");
            assert!(r.problem.contains(problem), "{r}");
            assert!(r.remedy.contains(remedy), "{r}");
            let line = text.lines().nth(place.0 - 1).unwrap();
            let shown = line.get(..60).unwrap_or(line);
            assert!(r.to_string().contains(shown), "{r}");
        }
        other => panic!("not refused: {other:?}\n{text}"),
    }
}

#[test]
fn a_value_that_a_scenario_cannot_have_is_refused_at_its_place_with_its_cell() {
    let s = "matrix:\n  router.mrai: [1s, 601s]\n  topology.size: [4, 5]\n";
    refused(
        s,
        (6, 21),
        "out of range for FRR (in the cell `mrai=601s,size=4`)",
        "600s",
    );
    let s = "matrix:\n  topology.size: [4,\n    one]\n";
    refused(
        s,
        (7, 5),
        "this is not a whole number (in the cell `size=one`)",
        "whole number",
    );
    let s = "matrix:\n  router.kind: [frr, bird]\n";
    refused(s, (6, 22), "unknown word `bird`", "`quagga`");
    let s = "matrix:\n  router.mrai: [1s, \"5 parsecs\"]\n";
    refused(s, (6, 21), "`5 parsecs` is not a duration", "unit");
    let s = "matrix: {failure: [{kind: control}, {kind: forwarding, when: x}]}\n";
    refused(s, (5, 62), "unknown word `x`", "settled");
    // A value of the file that one of the matrix makes impossible is refused where it stands.
    let s = "matrix: {router.hold_time: [180s, 90s]}\n";
    refused(s, (4, 21), "(in the cell `hold_time=90s`)", "30s");
}

#[test]
fn a_key_that_a_scenario_does_not_have_is_refused_at_its_place() {
    refused(
        "matrix: {mrai: [1s]}\n",
        (5, 10),
        "no key `mrai`",
        "did you mean `router.mrai`?",
    );
    refused(
        "matrix: {kind: [frr]}\n",
        (5, 10),
        "no key `kind`",
        "`failure.kind` or `injector.kind` or `router.kind` or `topology.kind`",
    );
    refused(
        "matrix: {speed: [1s]}\n",
        (5, 10),
        "no key `speed`",
        "such as `router.mrai`",
    );
    refused(
        "matrix: {router.mria: [1s]}\n",
        (5, 10),
        "unknown key `mria`",
        "did you mean `mrai`?",
    );
    refused(
        "matrix: {failure.kind.x: [1s]}\n",
        (5, 10),
        "no mapping stands there",
        "router.mrai",
    );
    for key in [
        "seed",
        "runs",
        "name",
        "strategies",
        "matrix",
        "schema",
        "description",
    ] {
        let s = format!("matrix: {{{key}: [1]}}\n");
        refused(
            &s,
            (5, 10),
            &format!("`{key}` cannot be a key of the matrix"),
            "",
        );
    }
    let s = "matrix: {router.mrai: [1s], router: [{mrai: 2s}]}\n";
    refused(s, (5, 29), "one within the other", "");
}

#[test]
fn a_matrix_that_says_nothing_or_too_much_or_the_same_twice_is_refused() {
    refused(
        "matrix: {}\n",
        (5, 9),
        "the matrix is empty",
        "leave `matrix` out",
    );
    refused(
        "matrix: [1]\n",
        (5, 9),
        "no mapping",
        "router.mrai: [1s, 5s]",
    );
    refused(
        "matrix: {router.mrai: 5s}\n",
        (5, 23),
        "no list of values",
        "write a list",
    );
    refused(
        "matrix: {router.mrai: []}\n",
        (5, 23),
        "no list of values",
        "write a list",
    );
    refused(
        "matrix: {router.mrai: [1s, 1s]}\n",
        (5, 28),
        "listed twice",
        "`runs`",
    );
    refused(
        "matrix: {router.mrai: [1s, 2s, 1000ms]}\n",
        (5, 32),
        "the cells `mrai=1s` and `mrai=1000ms` are the same experiment",
        "once",
    );
    refused(
        "matrix: {router.mrai: [1s], router.mrai: [2s]}\n",
        (5, 29),
        "second time",
        "",
    );
    let many: Vec<String> = (0..40).map(|i| format!("{i}s")).collect();
    let many = many.join(", ");
    let s = format!("matrix:\n  router.mrai: [{many}]\n  failure.restart_delay: [{many}]\n");
    refused(&s, (7, 3), "more than 1000 cells", "take values out");
    refused(
        "schema: 2\nmatrix: {x: 1}\n",
        (5, 9),
        "version 2",
        "schema: 1",
    );
}

#[test]
fn a_matrix_without_a_value_is_none() {
    let text = "name: a\ntopology: {kind: clique, size: 4}\nfailure: {kind: control}\n";
    let plain = scenario(text);
    let null = scenario(&format!("{text}matrix:\n"));
    assert_eq!(plain.resolve(Arm::None, 0), null.resolve(Arm::None, 0));
    assert_eq!(names(&null), [""]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_cut_or_swap_makes_the_reader_panic(cut in 0..TEXT.len(), at in 0..TEXT.len(), c in "[ -~\\n\\täß]") {
        let _ = Scenario::parse(&TEXT[..cut], "cut.yaml");
        let mut text = TEXT.to_owned();
        text.replace_range(at..=at, &c);
        let _ = Scenario::parse(&text, "swap.yaml");
    }

    #[test]
    fn texts_of_the_file_come_through_the_composition_unchanged(line in "\\PC{0,40}") {
        let quoted = serde_json::Value::from(line.clone()).to_string();
        let swept = scenario(&format!(
            "name: a\ntopology: {{kind: clique, size: 4}}\nfailure: {{kind: control}}\n\
             router: {{extra_config: {{r1: [{quoted}]}}}}\nmatrix: {{router.mrai: [1s]}}\n"
        ));
        prop_assert_eq!(&swept.router().extra_config["r1"][0], &line);
    }
}
