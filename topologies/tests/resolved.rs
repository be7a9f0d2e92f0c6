//! Values that must never change, and their way through files.
#![allow(clippy::unwrap_used, missing_docs)]

use std::num::NonZeroU32;

use proptest::prelude::*;
use topologies::{ResolvedScenario, Scenario, Strategy as Arm};

const TEXT: &str = "name: golden
description: never changes
topology: {kind: b-clique, size: 4, shuffle: true}
router:
  extra_config:
    r3: [\" bgp bestpath compare-routerid\", \"no: a trap #1\", \"\"]
injector: {filler: {count: 30, rate: 20}}
failure: {kind: correlated}
seed: 2014
";

fn golden() -> Scenario {
    Scenario::parse(TEXT, "golden.yaml").unwrap()
}

#[test]
fn a_seed_gives_what_it_always_gave() {
    let run = golden().resolve(Arm::GracefulRestart, 3);
    let drawn: Vec<String> = [run.seed_named_run_id(), run.failure.phase.to_string()]
        .into_iter()
        .chain(
            run.topology
                .nodes
                .iter()
                .map(|n| format!("{} {}", n.name, n.router_id)),
        )
        .chain(
            run.topology
                .links
                .iter()
                .map(|l| format!("{}-{} {} {}", l.a, l.b, l.a_addr, l.b_addr)),
        )
        .collect();
    assert_eq!(drawn, GOLDEN, "published seeds must keep their meaning");
}

// Run seed, phase and router ids were computed a second time with `openssl enc -chacha20`.
const GOLDEN: [&str; 15] = [
    "graceful-restart-0003-2947b367627c00f7",
    "2232818us",
    "r1 198.19.248.4",
    "r2 198.19.248.2",
    "r3 198.19.248.5",
    "r4 198.19.248.3",
    "injector 198.19.248.1",
    "injector-r1 198.18.0.2 198.18.0.3",
    "injector-r2 198.18.0.14 198.18.0.15",
    "r1-r2 198.18.0.12 198.18.0.13",
    "r1-r3 198.18.0.10 198.18.0.11",
    "r1-r4 198.18.0.0 198.18.0.1",
    "r2-r3 198.18.0.8 198.18.0.9",
    "r2-r4 198.18.0.6 198.18.0.7",
    "r3-r4 198.18.0.4 198.18.0.5",
];

#[test]
fn defaults_are_the_documented_ones() {
    let text = "name: a\ntopology: {kind: clique, size: 4}\nfailure: {kind: control}\n";
    let s = Scenario::parse(text, "a.yaml").unwrap();
    assert_eq!(s.strategies(), [Arm::None, Arm::GracefulRestart]);
    assert_eq!((s.runs(), s.seed(), s.description()), (10, 1, None));
    let run = s.resolve(Arm::None, 0);
    let r = &run.router;
    let timers = [
        r.mrai,
        r.connect_retry,
        r.keepalive,
        r.hold_time,
        r.stale_path_time,
    ]
    .map(|t| t.to_string());
    assert_eq!(timers, ["5s", "1s", "60s", "180s", "360s"]);
    assert_eq!(run.injector.restart_time.to_string(), "120s");
    assert_eq!(run.injector.filler, None);
    assert_eq!(run.failure.detect_delay.to_string(), "0s");
    assert_eq!(run.injector.kind.to_string(), "flaplab");
    assert_eq!(run.failure.when.to_string(), "settled");
    assert_eq!(run.failure.tcpr.to_string(), "survives");
    assert_eq!(run.failure.restart_delay.to_string(), "0s");
    assert_eq!((run.failure.kills, run.failure.rounds), (1, 5));
    assert!(!run.data_plane_probe && run.fresh);
    let d = run.deadlines;
    assert_eq!(
        [d.established, d.settled, d.quiet].map(|t| t.to_string()),
        ["60s", "180s", "600s"]
    );
    assert_eq!(run.topology.destination.to_string(), "198.51.100.0/24");
    assert_eq!(run.topology.primary().b, "r1");
    assert!(run.topology.backup().is_none());
}

#[test]
fn a_short_hold_time_takes_the_default_keepalive_with_it() {
    let text = "name: a\ntopology: {kind: clique, size: 4}\nfailure: {kind: control}\n\
                router: {hold_time: 10s}\n";
    let s = Scenario::parse(text, "a.yaml").unwrap();
    assert_eq!(s.router().keepalive.to_string(), "3s");
}

#[test]
fn a_filler_that_takes_the_studys_hundred_seconds_is_accepted_and_measured() {
    let s = golden();
    let filler = s.resolve(Arm::None, 0).injector.filler.unwrap();
    assert_eq!(filler.duration().to_string(), "1500ms");
}

#[test]
fn the_command_lines_wishes_replace_the_files() {
    let s = golden()
        .with_runs(NonZeroU32::new(7).unwrap())
        .with_seed(9)
        .with_strategies(&[Arm::GracefulRestart, Arm::GracefulRestart])
        .unwrap();
    assert_eq!((s.runs(), s.seed()), (7, 9));
    assert_eq!(s.strategies(), [Arm::GracefulRestart]);
    assert_eq!(s.text(), TEXT, "what the author wrote is kept as it was");
    assert_eq!(golden().with_strategies(&[]).unwrap().strategies().len(), 2);
    assert_ne!(
        s.resolve(Arm::None, 0).seed,
        golden().resolve(Arm::None, 0).seed
    );
}

#[test]
fn a_resolved_scenario_from_before_the_newer_words_is_read_as_what_it_was() {
    let run = golden().resolve(Arm::None, 0);
    let mut old = serde_json::to_value(&run).unwrap();
    old.as_object_mut().unwrap().remove("data_plane_probe");
    old.as_object_mut().unwrap().remove("fresh").unwrap();
    old["router"].as_object_mut().unwrap().remove("path");
    let filler = old["injector"]["filler"].as_object_mut().unwrap();
    filler.remove("initial_rate_per_s");
    for key in [
        "when",
        "restart_delay",
        "kills",
        "kill_interval",
        "tcpr",
        "rounds",
    ] {
        old["failure"].as_object_mut().unwrap().remove(key).unwrap();
    }
    let read: ResolvedScenario = serde_json::from_value(old).unwrap();
    assert_eq!((read.failure.kills, read.failure.rounds), (1, 1));
    assert_eq!(read.failure.when, run.failure.when);
    assert_eq!(read.failure.tcpr, run.failure.tcpr);
    assert_eq!(read.topology, run.topology);
    assert!(read.fresh);
}

#[test]
fn extra_lines_arrive_as_they_were_written() {
    let run = golden().resolve(Arm::None, 0);
    assert_eq!(
        run.router.extra_config["r3"],
        [" bgp bestpath compare-routerid", "no: a trap #1", ""]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_resolved_scenario_survives_json_and_yaml(seed in any::<u64>(), i in any::<u32>()) {
        for arm in [Arm::None, Arm::GracefulRestart] {
            let run = golden().with_seed(seed).resolve(arm, i);
            let json = serde_json::to_string(&run).unwrap();
            prop_assert_eq!(&serde_json::from_str::<ResolvedScenario>(&json).unwrap(), &run);
            let yaml = serde_saphyr::to_string(&run).unwrap();
            prop_assert_eq!(&serde_saphyr::from_str::<ResolvedScenario>(&yaml).unwrap(), &run);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
        let _ = Scenario::parse(&text, "fuzz.yaml");
    }

    #[test]
    fn no_cut_or_swap_makes_the_parser_panic(cut in 0..TEXT.len(), at in 0..TEXT.len(), c in "[ -~\\n\\täß]") {
        let _ = Scenario::parse(&TEXT[..cut], "cut.yaml");
        let mut text = TEXT.to_owned();
        text.replace_range(at..=at, &c);
        let _ = Scenario::parse(&text, "swap.yaml");
    }
}
