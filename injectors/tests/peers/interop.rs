//! What the three routers make of what they are told.

use injectors::speaker::Happening;
use injectors::speaker::config::{GracefulRestart, Source};
use injectors::speaker::control::Request;
use injectors::{Command, Route};
use tcpr_cli::bed::Pair;

use crate::bed::{OURS, PEER, in_bed, wait_for};
use crate::bird::Bird;
use crate::frr::Frr;
use crate::openbgpd::OpenBgpd;
use crate::speaker::{Speaker, config, filler};

/// A route as a router has it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) as_path: Vec<u32>,
    pub(crate) med: Option<u32>,
    pub(crate) next_hop: String,
}

/// What is asked of each router.
pub(crate) trait Router {
    fn route(&self, prefix: &str) -> Option<Seen>;
    fn has_end_of_rib(&self) -> bool;
    fn log(&self) -> String;
}

#[test]
fn frr_has_what_it_is_told() {
    in_bed("interop::frr_has_what_it_is_told", |pair| {
        tell(pair, &Frr::start(&pair.peer, ""));
    });
}

#[test]
fn bird_has_what_it_is_told() {
    in_bed("interop::bird_has_what_it_is_told", |pair| {
        tell(pair, &Bird::start(&pair.peer));
    });
}

#[test]
fn openbgpd_has_what_it_is_told() {
    in_bed("interop::openbgpd_has_what_it_is_told", |pair| {
        tell(pair, &OpenBgpd::start(&pair.peer));
    });
}

fn route(prefix: &str, as_path: &[u32], med: Option<u32>) -> Route {
    Route {
        prefix: prefix.parse().unwrap(),
        as_path: as_path.to_vec(),
        med,
    }
}

fn tell(pair: &Pair, router: &dyn Router) {
    // Four octets, twice our own number: as the backup of a scenario.
    let path = [65001, 65001, 4_200_000_001];
    let announced = vec![
        route("198.51.100.0/24", &path, Some(7)),
        route("203.0.113.128/25", &[], None),
    ];
    let mut config = config(vec![Source::Routes(announced), filler(3, None)]);
    config.peers[0].graceful_restart = Some(GracefulRestart {
        restart_time_s: 120,
        restarted: false,
        forwarding: true,
        notification: false,
    });
    let speaker = Speaker::start(&pair.app, &config);
    speaker.wait("the transfer", 1, |h| {
        matches!(h, Happening::Transferred { .. })
    });

    let seen = |as_path: &[u32], med| Seen {
        as_path: as_path.to_vec(),
        med,
        next_hop: OURS.to_owned(),
    };
    let expect = |prefix: &str, expected: Option<Seen>| {
        wait_for(
            &format!("{prefix} as {expected:?}"),
            || (router.route(prefix) == expected).then_some(()),
            || {
                format!(
                    "{:?}\n{}\n{}",
                    router.route(prefix),
                    router.log(),
                    speaker.log()
                )
            },
        );
    };
    expect("198.51.100.0/24", Some(seen(&path, Some(7))));
    expect("203.0.113.128/25", Some(seen(&[65001], None)));
    expect("10.0.2.0/24", Some(seen(&[65001], None)));
    expect("10.0.3.0/24", None);
    let there = || router.has_end_of_rib().then_some(());
    wait_for("End-of-RIB", there, || router.log());

    let peer = PEER.parse().unwrap();
    let other = route("198.51.100.0/24", &[65001, 65010], None);
    speaker.ask(&Request::Change(Command::Announce { peer, route: other }));
    expect("198.51.100.0/24", Some(seen(&[65001, 65010], None)));
    let new = route("192.0.2.64/26", &[], Some(1));
    speaker.ask(&Request::Change(Command::Announce { peer, route: new }));
    expect("192.0.2.64/26", Some(seen(&[65001], Some(1))));
    let prefix = "203.0.113.128/25".parse().unwrap();
    speaker.ask(&Request::Change(Command::Withdraw { peer, prefix }));
    expect("203.0.113.128/25", None);
    let shown = speaker.ask(&Request::Show);
    assert_eq!(
        (shown[0].state.as_str(), shown[0].routes),
        ("Established", 5)
    );
    speaker.stop();
    let gone = || router.route("192.0.2.64/26").is_none().then_some(());
    wait_for("the end of its routes", gone, || router.log());
}
