//! SIGKILL at random instants of one session with FRR, under TCPR.

use std::time::{Duration, Instant};

use injectors::speaker::Happening;
use injectors::speaker::control::Request;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::bed::{PEER, in_bed, times, wait_for};
use crate::frr::Frr;
use crate::sink::Sink;
use crate::speaker::{Speaker, filler, milliseconds, monotonic, protected, routes, until};
use crate::tcpr_process::Tcpr;

/// How often it is killed.
const KILLS: u32 = 100;
/// Routes of the filler, and how many of them a second: the transfer takes some 50 kills.
const FILLER: (u32, u32) = (20_000, 2_000);

#[test]
fn a_hundred_kills_are_one_session_to_frr_and_no_route_ever_changes() {
    in_bed(
        "killed::a_hundred_kills_are_one_session_to_frr_and_no_route_ever_changes",
        |pair| {
            let frr = Frr::start(&pair.peer, "");
            let _tcpr = Tcpr::start(&pair.app);
            let (count, rate) = FILLER;
            let announce = vec![
                routes(&["198.51.100.0/24", "203.0.113.0/24"]),
                filler(count * times(), Some(rate)),
            ];
            let routes = u64::from(count * times()) + 2;
            let config = protected(announce, &Tcpr::socket());
            let mut speaker = Speaker::start(&pair.app, &config);
            speaker.wait("the session", 1, |h| {
                matches!(h, Happening::Established { .. })
            });
            // What the kernel's scheduler adds is another draw.
            let mut draw = StdRng::seed_from_u64(2014);
            let mut recovered = Vec::new();
            for kill in 0..KILLS * times() {
                let begun = monotonic();
                let instant = Instant::now() + Duration::from_micros(draw.random_range(0..200_000));
                until(instant);
                let events = speaker.events();
                let is = |h: &Happening| matches!(h, Happening::Recovered { .. });
                let after = |e: &&injectors::speaker::Event| {
                    u128::from(e.t_mono_ns) > begun.as_nanos() && is(&e.happening)
                };
                if kill > 0 && events.iter().any(|e| after(&e)) {
                    recovered.push(milliseconds(begun, &events, is));
                }
                speaker.restart(&config);
            }
            speaker.wait("the end of the transfer", 1, |h| {
                matches!(h, Happening::Transferred { .. })
            });
            // Each route came once, and nothing else ever happened to one.
            frr.wait_table((routes, routes as usize));
            assert_eq!(frr.sessions(), (1, 0), "{}\n{}", speaker.log(), frr.log());
            assert_eq!(frr.log().matches("ADJCHANGE").count(), 1, "{}", frr.log());
            assert_eq!(frr.log().matches("End-of-RIB").count(), 1, "{}", frr.log());
            let let_go = speaker.count(|h| matches!(h, Happening::LetGo { .. }));
            assert_eq!(let_go, 0, "{}", speaker.log());
            recovered.sort_by(f64::total_cmp);
            println!(
                "{} restarts came to Recovered before the next kill; median {:.1} ms, worst {:.1} ms",
                recovered.len(),
                recovered[recovered.len() / 2],
                recovered.last().unwrap()
            );
        },
    );
}

/// What is sent of so many routes is compacted on the way.
const MANY: u32 = 1_200_000;

#[test]
fn kills_around_compaction_lose_nothing_and_tell_nothing_twice() {
    in_bed(
        "killed::kills_around_compaction_lose_nothing_and_tell_nothing_twice",
        |pair| {
            let sink = Sink::start(&pair.peer);
            let _tcpr = Tcpr::start(&pair.app);
            let config = protected(vec![filler(MANY, None)], &Tcpr::socket());
            let mut speaker = Speaker::start(&pair.app, &config);
            sink.wait_open();
            let mut draw = StdRng::seed_from_u64(2015);
            for _ in 0..10 * times() {
                // A successor first reads what was told, which takes a while of a long log.
                let instant =
                    Instant::now() + Duration::from_micros(draw.random_range(0..3_000_000));
                until(instant);
                speaker.restart(&config);
            }
            let (prefixes, _) = sink.wait_end_of_rib();
            assert_eq!(prefixes, u64::from(MANY), "{}", speaker.log());
            let state = &config.tcpr.as_ref().unwrap().state;
            let path = state.join(format!("{PEER}.checkpoint"));
            wait_for(
                "compaction, which this is about",
                || is_compacted(&std::fs::read(&path).unwrap()).then_some(()),
                || speaker.log(),
            );
            let transferred = |h: &Happening| matches!(h, Happening::Transferred { .. });
            let before = speaker.count(transferred);
            speaker.restart(&config);
            speaker.wait("the snapshot to be read", before + 1, transferred);
            let status = &speaker.ask(&Request::Show)[0];
            assert_eq!(
                (status.routes as u64, status.protected),
                (MANY.into(), true)
            );
            let let_go = speaker.count(|h| matches!(h, Happening::LetGo { .. }));
            assert_eq!(let_go, 0, "{}", speaker.log());
        },
    );
}

/// Whether a snapshot follows the header of a checkpoint.
fn is_compacted(image: &[u8]) -> bool {
    const HEAD: usize = 13;
    const SNAPSHOT: u8 = 7;
    let length = u32::from_be_bytes(image[1..5].try_into().unwrap()) as usize;
    image[HEAD + length] == SNAPSHOT
}
