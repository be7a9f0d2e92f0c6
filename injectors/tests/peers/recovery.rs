//! A restart under TCPR, where more has changed than the process.

use std::time::Duration;

use injectors::Command;
use injectors::speaker::Happening;
use injectors::speaker::control::Request;

use crate::bed::{PEER, in_bed, wait_for};
use crate::frr::Frr;
use crate::speaker::{Speaker, filler, protected, routes};
use crate::tcpr_process::Tcpr;

fn established(happening: &Happening) -> bool {
    matches!(happening, Happening::Established { .. })
}

fn transferred(happening: &Happening) -> bool {
    matches!(happening, Happening::Transferred { .. })
}

fn recovered(happening: &Happening) -> bool {
    matches!(happening, Happening::Recovered { .. })
}

fn let_go(happening: &Happening) -> bool {
    matches!(happening, Happening::LetGo { .. })
}

#[test]
fn what_the_new_configuration_no_longer_announces_is_withdrawn_and_the_rest_stays() {
    in_bed(
        "recovery::what_the_new_configuration_no_longer_announces_is_withdrawn_and_the_rest_stays",
        |pair| {
            let frr = Frr::start(&pair.peer, "");
            let _tcpr = Tcpr::start(&pair.app);
            let first = vec![routes(&["198.51.100.0/24"]), filler(1000, None)];
            let config = protected(first, &Tcpr::socket());
            let mut speaker = Speaker::start(&pair.app, &config);
            speaker.wait("the transfer", 1, transferred);
            frr.wait_table((1001, 1001));
            let second = vec![routes(&["203.0.113.0/24"]), filler(1000, Some(100))];
            speaker.restart(&protected(second, &Tcpr::socket()));
            speaker.wait("the second transfer", 2, transferred);
            wait_for(
                "the withdrawal at FRR",
                || (frr.path("198.51.100.0/24").is_none() && frr.count() == 1001).then_some(()),
                || frr.log(),
            );
            // One route left and one came; the filler was not touched, and its pace cost no time.
            frr.wait_table((1003, 1001));
            assert_eq!(frr.sessions(), (1, 0), "{}", speaker.log());
        },
    );
}

#[test]
fn a_packet_filter_slower_than_the_connect_retry_time_delays_a_session_and_no_more() {
    in_bed(
        "recovery::a_packet_filter_slower_than_the_connect_retry_time_delays_a_session_and_no_more",
        |pair| {
            let frr = Frr::start(&pair.peer, "");
            let _tcpr = Tcpr::start_slow(&pair.app, Duration::from_millis(200));
            let announce = vec![routes(&["198.51.100.0/24"])];
            let mut config = protected(announce, &Tcpr::socket());
            config.peers[0].connect_retry_ms = 100;
            let speaker = Speaker::start(&pair.app, &config);
            speaker.wait("the session", 1, established);
            assert_eq!(frr.sessions(), (1, 0), "{}", speaker.log());
        },
    );
}

#[test]
fn a_session_survives_the_death_of_tcpr_and_of_both() {
    in_bed(
        "recovery::a_session_survives_the_death_of_tcpr_and_of_both",
        |pair| {
            let frr = Frr::start(&pair.peer, "");
            let mut tcpr = Tcpr::start(&pair.app);
            let announce = vec![routes(&["198.51.100.0/24"]), filler(500, None)];
            let config = protected(announce, &Tcpr::socket());
            let mut speaker = Speaker::start(&pair.app, &config);
            speaker.wait("the transfer", 1, transferred);
            // TCPR alone: the client registers the session with its successor.
            tcpr.restart();
            let peer = PEER.parse().unwrap();
            let route = |prefix: &str| injectors::Route {
                prefix: prefix.parse().unwrap(),
                as_path: Vec::new(),
                med: None,
            };
            let announce = |prefix| {
                speaker.ask(&Request::Change(Command::Announce {
                    peer,
                    route: route(prefix),
                }))
            };
            announce("192.0.2.0/25");
            frr.wait_count(502);
            // Both at once, and both come back at once.
            tcpr.kill();
            speaker.kill();
            tcpr.restart();
            speaker.restart(&config);
            speaker.wait("the recovery", 1, recovered);
            // What was announced by hand is not in the configuration.
            frr.wait_count(501);
            assert_eq!(frr.sessions(), (1, 0), "{}\n{}", speaker.log(), frr.log());
        },
    );
}

#[test]
fn a_session_that_the_peer_has_given_up_meanwhile_is_let_go_and_begins_anew() {
    in_bed(
        "recovery::a_session_that_the_peer_has_given_up_meanwhile_is_let_go_and_begins_anew",
        |pair| {
            let frr = Frr::start(&pair.peer, "");
            let _tcpr = Tcpr::start(&pair.app);
            let announce = vec![filler(500, None)];
            let mut config = protected(announce, &Tcpr::socket());
            config.peers[0].hold_time_s = 3;
            let mut speaker = Speaker::start(&pair.app, &config);
            speaker.wait("the transfer", 1, transferred);
            speaker.kill();
            wait_for(
                "FRR's hold timer to expire",
                || frr.log().contains("Down").then_some(()),
                || frr.log(),
            );
            speaker.restart(&config);
            speaker.wait("the new session", 2, established);
            speaker.wait("the second transfer", 2, transferred);
            frr.wait_count(500);
            assert_eq!(speaker.count(let_go), 1, "{}", speaker.log());
            assert_eq!(speaker.count(recovered), 0, "{}", speaker.log());
            assert_eq!(frr.sessions(), (2, 1));
        },
    );
}

#[test]
fn a_session_is_let_go_also_if_tcpr_was_lost_with_us_past_the_hold_time() {
    in_bed(
        "recovery::a_session_is_let_go_also_if_tcpr_was_lost_with_us_past_the_hold_time",
        |pair| {
            let frr = Frr::start(&pair.peer, "");
            let mut tcpr = Tcpr::start(&pair.app);
            let mut config = protected(vec![filler(500, None)], &Tcpr::socket());
            config.peers[0].hold_time_s = 3;
            let mut speaker = Speaker::start(&pair.app, &config);
            speaker.wait("the transfer", 1, transferred);
            tcpr.kill();
            speaker.kill();
            wait_for(
                "FRR's hold timer to expire",
                || frr.log().contains("Down").then_some(()),
                || frr.log(),
            );
            tcpr.restart();
            speaker.restart(&config);
            speaker.wait("the new session", 2, established);
            frr.wait_count(500);
            assert_eq!(speaker.count(let_go), 1, "{}", speaker.log());
            assert_eq!(frr.sessions(), (2, 1));
        },
    );
}

#[test]
fn the_end_in_order_leaves_neither_session_nor_checkpoint() {
    in_bed(
        "recovery::the_end_in_order_leaves_neither_session_nor_checkpoint",
        |pair| {
            let frr = Frr::start(&pair.peer, "");
            let _tcpr = Tcpr::start(&pair.app);
            let config = protected(vec![filler(500, None)], &Tcpr::socket());
            let speaker = Speaker::start(&pair.app, &config);
            speaker.wait("the transfer", 1, transferred);
            speaker.stop();
            wait_for(
                "FRR to hear it",
                || frr.log().contains("Administrative Shutdown").then_some(()),
                || frr.log(),
            );
            let state = &config.tcpr.as_ref().unwrap().state;
            let left = std::fs::read_dir(state).unwrap().flatten();
            let left: Vec<_> = left.map(|file| file.file_name()).collect();
            assert_eq!(left, ["lock"]);
            let client = tcpr::Client::connect(&tcpr::Endpoint::Unix(Tcpr::socket())).unwrap();
            let gone = || client.list().unwrap().is_empty().then_some(());
            wait_for("TCPR to forget it", gone, || format!("{:?}", client.list()));
        },
    );
}

#[test]
fn a_peer_that_connects_is_recovered_too() {
    in_bed("recovery::a_peer_that_connects_is_recovered_too", |pair| {
        let frr = Frr::start(&pair.peer, "");
        let _tcpr = Tcpr::start(&pair.app);
        let announce = vec![filler(500, Some(1000))];
        let mut config = protected(announce, &Tcpr::socket());
        config.peers[0].passive = true;
        let mut speaker = Speaker::start(&pair.app, &config);
        speaker.wait("the session", 1, established);
        for kills in 1..=3 {
            speaker.restart(&config);
            speaker.wait("the recovery", kills, recovered);
        }
        speaker.wait("the transfer", 1, transferred);
        frr.wait_count(500);
        assert_eq!(frr.sessions(), (1, 0), "{}\n{}", speaker.log(), frr.log());
    });
}
