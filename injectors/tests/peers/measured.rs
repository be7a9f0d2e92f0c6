//! What is promised of speed and memory, to a peer that only reads.

use std::fs;
use std::time::{Duration, Instant};

use injectors::speaker::Happening;
use injectors::speaker::config::Config;
use tcpr_cli::bed::Pair;

use crate::bed::in_bed;
use crate::sink::Sink;
use crate::speaker::{Speaker, config, filler, milliseconds, monotonic, protected};
use crate::tcpr_process::Tcpr;

const ROUTES: u32 = 500_000;

#[test]
#[ignore = "a measurement: cargo test --release -p injectors --test peers measured -- --ignored"]
fn half_a_million_routes_reach_a_sink_in_two_seconds_and_take_200_octets_each() {
    in_bed(
        "measured::half_a_million_routes_reach_a_sink_in_two_seconds_and_take_200_octets_each",
        |pair| {
            announced(pair, &config(vec![filler(ROUTES, None)]), "without TCPR");
        },
    );
}

#[test]
#[ignore = "a measurement: cargo test --release -p injectors --test peers measured -- --ignored"]
fn a_protected_session_is_as_quick_and_usable_again_in_20_ms() {
    in_bed(
        "measured::a_protected_session_is_as_quick_and_usable_again_in_20_ms",
        |pair| {
            let _tcpr = Tcpr::start(&pair.app);
            let config = protected(vec![filler(ROUTES, None)], &Tcpr::socket());
            let mut speaker = announced(pair, &config, "under TCPR");
            let mut times = Vec::new();
            for restarts in 1..=20 {
                speaker.kill();
                let began = monotonic();
                speaker.restart(&config);
                speaker.wait("the recovery", restarts, |h| {
                    matches!(h, Happening::Recovered { .. })
                });
                let events = speaker.events();
                let started = milliseconds(began, &events, |h| matches!(h, Happening::Started));
                let recovered =
                    milliseconds(began, &events, |h| matches!(h, Happening::Recovered { .. }));
                times.push((recovered, started));
            }
            times.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
            println!(
                "restart with {ROUTES} routes told: started after {:.1} ms, usable after {:.1} ms \
                 (median), {:.1} ms (worst)",
                median.1, median.0, worst.0
            );
            assert!(median.0 < 20.0);
        },
    );
}

/// Starts a speaker with a sink as its peer, and waits until everything is there.
fn announced(pair: &Pair, config: &Config, how: &str) -> Speaker {
    let sink = Sink::start(&pair.peer);
    let speaker = Speaker::start(&pair.app, config);
    sink.wait_open();
    let before = resident(speaker.pid());
    let began = Instant::now();
    let (prefixes, octets) = sink.wait_end_of_rib();
    let took = began.elapsed();
    assert_eq!(prefixes, u64::from(ROUTES));
    speaker.wait("the transfer", 1, |h| {
        matches!(h, Happening::Transferred { .. })
    });
    let grown = resident(speaker.pid()).saturating_sub(before);
    let each = grown as f64 / f64::from(ROUTES);
    println!(
        "{how}: {ROUTES} routes, {octets} octets, in {took:.2?}; {each:.0} octets of memory each"
    );
    assert!(took < Duration::from_secs(2));
    assert!(each < 200.0);
    speaker
}

/// Resident memory of a process, octets.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kib.parse::<u64>().unwrap() * 1024
}
