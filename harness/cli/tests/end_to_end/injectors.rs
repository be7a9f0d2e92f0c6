//! The same scenario with either injector: what the routers are told is the same.

use std::collections::BTreeSet;
use std::path::Path;

use ipnet::Ipv4Net;
use results::bgp::Body;
use results::{EventKind, Phase, RunDir};

use super::campaign::{Campaign, instants};
use super::program::{RUN_LIMIT, finish, run_once, shipped, workspace};
use super::wire::{messages, tshark};

const ARMS: [&str; 2] = ["none", "graceful-restart"];

/// What a router is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Open {
        asn: u32,
        hold_time_s: u16,
        restart_time_s: Option<u16>,
    },
    Announced(Ipv4Net, Option<usize>),
    Withdrawn(Ipv4Net),
    EndOfRib,
}

#[test]
fn either_injector_tells_the_routers_the_same() {
    let dir = workspace();
    let told = ["exabgp", "flaplab"].map(|kind| {
        let scenario = dir.path().join(format!("{kind}.yaml"));
        std::fs::write(&scenario, with_injector(kind)).unwrap();
        let out = dir.path().join(kind);
        finish(&mut run_once(&scenario, &out), RUN_LIMIT).exits_with(0);
        let campaign = Campaign::at(&out);
        ARMS.map(|arm| {
            let run = campaign.run(arm);
            assert_eq!(run.manifest().unwrap().injector, kind);
            (sessions(&run), attributes(&run))
        })
    });
    let [exabgp, flaplab] = told;
    for (arm, (theirs, ours)) in ARMS.iter().zip(exabgp.iter().zip(&flaplab)) {
        for (session, (theirs, ours)) in theirs.0.iter().zip(&ours.0).enumerate() {
            let begins = matches!(theirs.first(), Some(Told::Open { asn: 65000, .. }));
            assert!(begins, "{arm}, session {session}: {theirs:?}");
            assert_eq!(theirs.last(), ours.last(), "{arm}, session {session}");
            assert_eq!(sorted(theirs), sorted(ours), "{arm}, session {session}");
        }
        assert_eq!(theirs.1, ours.1, "{arm}: next hops and origins");
    }
}

/// bclique4-correlated with an injector that is named.
fn with_injector(kind: &str) -> String {
    let text = std::fs::read_to_string(shipped("bclique4-correlated.yaml")).unwrap();
    let (before, after) = text.split_once("injector:\n").unwrap();
    format!("{before}injector:\n  kind: {kind}\n{after}")
}

/// ExaBGP does not keep the order of what comes at once.
fn sorted(told: &[Told]) -> Vec<Told> {
    let mut told = told.to_vec();
    told.sort();
    told
}

/// What r1 and r2 are told before the failure, and after it.
fn sessions(run: &RunDir) -> Vec<Vec<Told>> {
    let topology = run.topology().unwrap();
    let clock = run.manifest().unwrap().clock;
    let failed_ns = clock.wall_ns(instants(run, EventKind::Failure, Phase::Applied)[0]);
    let messages = messages(run, "injector");
    let mut sessions = Vec::new();
    for peer in [topology.primary(), topology.backup().unwrap()] {
        for after in [false, true] {
            let of_session = messages
                .iter()
                .filter(|m| *m.dst.ip() == peer.b_addr && (m.t_ns >= failed_ns) == after);
            sessions.push(of_session.flat_map(|m| told(&m.body)).collect());
        }
    }
    sessions
}

fn told(body: &Body) -> Vec<Told> {
    match body {
        Body::Open(open) => vec![Told::Open {
            asn: open.asn,
            hold_time_s: open.hold_time_s,
            restart_time_s: open.graceful_restart.map(|g| g.restart_time_s),
        }],
        Body::Update(update) => {
            let withdrawn = update.withdrawn.iter().map(|p| Told::Withdrawn(*p));
            let announced = update.announced.iter();
            let announced = announced.map(|p| Told::Announced(*p, update.as_path_len));
            let end = update.end_of_rib.then_some(Told::EndOfRib);
            withdrawn.chain(announced).chain(end).collect()
        }
        _ => Vec::new(),
    }
}

/// Destination, origin, AS path and next hop of every UPDATE that announces, as tshark reads them.
fn attributes(run: &RunDir) -> BTreeSet<Vec<String>> {
    let pcap: &Path = &run.bgp_pcap("injector");
    let fields = [
        "ip.dst",
        "bgp.update.path_attribute.origin",
        "bgp.update.path_attribute.as_path_segment.as4",
        "bgp.update.path_attribute.next_hop",
    ];
    let of_one = |field: &String| {
        // A packet may hold several UPDATEs; they say the same, each once.
        let values: BTreeSet<&str> = field.split(',').collect();
        values.into_iter().collect::<Vec<_>>().join(",")
    };
    let packets = tshark(pcap, "bgp.update.path_attribute.origin", &fields);
    packets
        .iter()
        .map(|fields| fields.iter().map(of_one).collect())
        .collect()
}
