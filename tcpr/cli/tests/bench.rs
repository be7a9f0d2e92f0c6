//! The benchmarks run through, small, and say what they are asked for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::{Command, Output};

use serde_json::Value;

fn bench(arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tcpr"))
        .arg("bench")
        .args(arguments.split(' '))
        // That of an ordinary user of Debian.
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/games")
        .output()
        .unwrap()
}

fn object(arguments: &str) -> Value {
    let output = bench(&format!("{arguments} --json"));
    let (said, told) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{arguments}: {told}\n{said}");
    serde_json::from_str(&said).unwrap()
}

/// All five figures of a spread, of which the percentiles are in order.
fn assert_spread(value: &Value) {
    let figure = |name: &str| {
        value[name]
            .as_f64()
            .unwrap_or_else(|| panic!("no {name} in {value}"))
    };
    assert!(figure("mean") > 0.0 && figure("stddev") >= 0.0, "{value}");
    assert!(
        figure("p50") <= figure("p90") && figure("p90") <= figure("p99"),
        "{value}"
    );
}

#[test]
fn recovery_has_four_clocks_that_follow_each_other_whether_tcpr_lives_or_not() {
    let object = object("recovery --connections 12 --rounds 1 --outage 0.3 --at-once 5");
    let recovery = &object["recovery"];
    assert_spread(&recovery["fresh_connect_us"]);
    assert_eq!(recovery["connections"], 12);
    assert_eq!(recovery["outage_s"], 0.3);
    let lost = &recovery["tcpr_lost"];
    for case in [
        recovery,
        lost,
        &recovery["redelivered"],
        &lost["redelivered"],
    ] {
        for clock in [
            "connect_us",
            "first_byte_at_peer_us",
            "first_peer_byte_us",
            "all_in_flight_us",
        ] {
            assert_spread(&case[clock]);
        }
        let p50 = |clock: &str| case[clock]["p50"].as_f64().unwrap();
        assert!(p50("connect_us") <= p50("first_byte_at_peer_us"), "{case}");
        assert!(
            p50("first_peer_byte_us") <= p50("all_in_flight_us"),
            "{case}"
        );
    }
}

#[test]
fn throughput_and_latency_compare_every_way_with_unprotected_tcp() {
    let object_ = object("throughput --rate 100mbit --rounds 1 --seconds 0.2");
    for course in ["to_peer", "to_application"] {
        let ways = &object_["throughput"][course];
        for way in ["unprotected", "unsafe", "checkpointed", "recovered"] {
            assert_spread(&ways[way]["mbit_per_s"]);
            // No more than the wire takes, but for what its bucket lets through at once.
            assert!(ways[way]["mbit_per_s"]["p50"].as_f64().unwrap() < 110.0);
            assert!(ways[way]["ratio"].as_f64().unwrap() > 0.1, "{ways}");
        }
    }
    let object = object("latency --rounds 1 --exchanges 50");
    for asker in ["application_asks", "peer_asks"] {
        let trips = &object["latency"][asker];
        for way in ["unprotected", "unsafe", "checkpointed", "recovered"] {
            assert_spread(&trips[format!("{way}_us")]);
        }
    }
}

#[test]
fn connections_are_counted_where_they_are() {
    let object = object("connections --connections 200 --window 10 --rounds 1 --seconds 0.2");
    let connections = &object["connections"];
    assert_spread(&connections["checkpointed_packets_per_s"]);
    let exchanges = connections["unsafe_exchanges_per_s"]["mean"].as_f64();
    let packets = connections["unsafe_packets_per_s"]["mean"].as_f64();
    // A request and a response at the least.
    assert!(
        packets.unwrap() >= 2.0 * exchanges.unwrap(),
        "{connections}"
    );
}

/// The rows of the samples that a benchmark wrote: course, case, unit, round, value.
fn samples(arguments: &str) -> Vec<(String, String, String, u32, f64)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("samples.csv");
    object(&format!("{arguments} --csv {}", path.display()));
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("benchmark,course,case,unit,round,value"));
    let name = arguments.split(' ').next().unwrap();
    lines
        .map(|line| {
            let [benchmark, course, case, unit, round, value] =
                line.split(',').collect::<Vec<_>>()[..]
            else {
                panic!("{line}");
            };
            assert_eq!(benchmark, name);
            let [course, case, unit] = [course, case, unit].map(str::to_owned);
            (
                course,
                case,
                unit,
                round.parse().unwrap(),
                value.parse().unwrap(),
            )
        })
        .collect()
}

#[test]
fn every_value_is_written_with_its_round() {
    let rows = samples("latency --rounds 2 --exchanges 5");
    assert_eq!(rows.len(), 2 * 4 * 2 * 5);
    for round in [0, 1] {
        for case in ["unprotected", "unsafe", "checkpointed", "recovered"] {
            let of = |r: &&(String, String, String, u32, f64)| {
                r.0 == "peer_asks" && r.1 == case && r.2 == "us" && r.3 == round && r.4 > 0.0
            };
            assert_eq!(rows.iter().filter(of).count(), 5, "{case} {round}");
        }
    }
    let rows = samples("recovery --connections 4 --rounds 1 --outage 0.2");
    let count = |course: &str, case: &str| {
        let of = rows.iter().filter(|r| r.0 == course && r.1 == case);
        of.filter(|r| r.2 == "us" && r.4 > 0.0).count()
    };
    for clock in [
        "connect",
        "first_byte_at_peer",
        "first_peer_byte",
        "all_in_flight",
    ] {
        assert_eq!(count(clock, "application"), 4);
        assert_eq!(count(clock, "tcpr_and_application"), 4);
        assert_eq!(count(clock, "application_redelivered"), 1);
        assert_eq!(count(clock, "tcpr_and_application_redelivered"), 1);
        // In the round of either case.
        assert_eq!(count(clock, "fresh"), 8);
    }
    let rows = samples("throughput --rounds 2 --rate 100mbit --seconds 0.1");
    assert_eq!(rows.len(), 2 * 4 * 2);
    assert!(rows.iter().all(|r| r.2 == "Mbit/s" && r.4 < 120.0));
}

#[test]
fn a_table_is_printed_for_people() {
    let output = bench("latency --rounds 1 --exchanges 10");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for word in ["unprotected TCP", "stddev", "p99", "checkpointed"] {
        assert!(text.contains(word), "{word} is missing in:\n{text}");
    }
}

#[test]
fn what_cannot_be_is_refused_with_what_can() {
    for (arguments, remedy) in [
        ("throughput --rate 5", "1gbit"),
        ("throughput --rate 1gbit --unshaped", "--unshaped"),
        ("recovery --outage 0", "0.01"),
        ("connections --connections 10 --window 9", "at most"),
    ] {
        let output = bench(arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments}");
        assert!(told.contains(remedy), "{arguments}: {told}");
    }
}
