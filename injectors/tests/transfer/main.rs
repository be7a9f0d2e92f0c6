//! The transfer: from any state to what is configured, and nothing twice.
#![allow(clippy::unwrap_used)]

mod mrt;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use injectors::Route;
use injectors::speaker::config::Source;
use injectors::speaker::rib::AdjRibOut;
use injectors::speaker::source::{RouteError, SourceError, Sources, as_path};
use injectors::speaker::transfer::{Local, Step, Transfer};
use injectors::speaker::update::{Attributes, Packer};
use ipnet::Ipv4Net;
use proptest::collection::vec;
use proptest::prelude::*;
use rustbgpd_wire::UpdateMessage;

pub(crate) const OWN: u32 = 65000;
const LOCAL: Local = Local {
    next_hop: Ipv4Addr::new(192, 0, 2, 1),
    four_octet_as: true,
};

pub(crate) fn net(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

pub(crate) fn attributes(as_path: &[u32], med: Option<u32>) -> Attributes {
    Attributes {
        as_path: as_path.to_vec(),
        next_hop: LOCAL.next_hop,
        med,
    }
}

fn route(prefix: Ipv4Net, as_path: &[u32]) -> Route {
    Route {
        prefix,
        as_path: as_path.to_vec(),
        med: None,
    }
}

/// One thing that was said of a prefix; none of a prefix: End-of-RIB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Announced(Ipv4Net),
    Withdrawn(Ipv4Net),
    EndOfRib,
}

/// What these messages say, by an independent decoder.
fn said(mut octets: &[u8]) -> Vec<Said> {
    let mut all = Vec::new();
    while !octets.is_empty() {
        let length = usize::from(u16::from_be_bytes([octets[16], octets[17]]));
        let update = UpdateMessage::decode(&mut &octets[19..length], length - 19).unwrap();
        let update = update.parse(true, false, &[]).unwrap();
        let net = |p: rustbgpd_wire::Ipv4Prefix| Ipv4Net::new(p.addr, p.len).unwrap();
        if update.withdrawn.is_empty() && update.announced.is_empty() {
            all.push(Said::EndOfRib);
        }
        all.extend(
            update
                .withdrawn
                .iter()
                .map(|e| Said::Withdrawn(net(e.prefix))),
        );
        all.extend(
            update
                .announced
                .iter()
                .map(|e| Said::Announced(net(e.prefix))),
        );
        octets = &octets[length..];
    }
    all
}

fn load(sources: &[Source]) -> Arc<Sources> {
    Arc::new(Sources::load(sources, OWN).unwrap())
}

/// Everything that a transfer says, its waits being over at once; at most so many steps.
fn run(sources: &[Source], told: &mut AdjRibOut, steps: usize) -> Vec<u8> {
    let mut transfer = Transfer::new(load(sources), LOCAL, told);
    let mut now = Instant::now();
    let mut octets = Vec::new();
    for _ in 0..steps {
        match transfer.next(told, now) {
            Step::Send(messages) => octets.extend(messages),
            Step::Wait(until) => now = now.max(until),
            Step::Done => break,
        }
    }
    octets
}

fn configured(sources: &[Source]) -> BTreeMap<Ipv4Net, Attributes> {
    let mut all = BTreeMap::new();
    for source in sources {
        match source {
            Source::Routes(routes) => {
                for route in routes {
                    let path = as_path(route, OWN).unwrap();
                    all.insert(route.prefix, attributes(&path, route.med));
                }
            }
            Source::Withdraw(prefixes) => all.retain(|prefix, _| !prefixes.contains(prefix)),
            Source::Filler { first, count, .. } => {
                for n in 0..*count {
                    let step = n << (32 - first.prefix_len());
                    let address = Ipv4Addr::from(u32::from(first.network()) + step);
                    let prefix = Ipv4Net::new(address, first.prefix_len()).unwrap();
                    all.insert(prefix, attributes(&[OWN], None));
                }
            }
            Source::Mrt { .. } => unreachable!("not generated"),
        }
    }
    all
}

fn prefix() -> impl Strategy<Value = Ipv4Net> {
    (0u8..24, 23u8..=24)
        .prop_map(|(n, len)| Ipv4Net::new([10, 0, n, 0].into(), len).unwrap().trunc())
}

fn a_route() -> impl Strategy<Value = Route> {
    (prefix(), vec(1u32..4, 0..3), any::<Option<bool>>()).prop_map(|(prefix, mut tail, med)| {
        if !tail.is_empty() {
            tail.insert(0, OWN);
        }
        Route {
            prefix,
            as_path: tail,
            med: med.map(u32::from),
        }
    })
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![
        vec(a_route(), 0..12).prop_map(Source::Routes),
        vec(prefix(), 0..6).prop_map(Source::Withdraw),
        (prefix(), 0u32..20, prop::option::of(1u32..2000)).prop_map(
            |(first, count, rate_per_s)| Source::Filler {
                first,
                count,
                rate_per_s
            }
        ),
    ]
}

proptest! {
    #[test]
    fn from_any_state_a_transfer_ends_with_what_is_configured(
        before in vec(a_route(), 0..40), sources in vec(source(), 0..5), end_of_rib: bool
    ) {
        let mut told = AdjRibOut::new();
        for route in &before {
            told.announce(route.prefix, &attributes(&as_path(route, OWN).unwrap(), route.med));
        }
        if end_of_rib {
            told.end_of_rib();
        }
        let mut peer = told.clone();
        let had: BTreeMap<_, _> = told.iter().map(|(p, a)| (p, a.clone())).collect();
        let octets = run(&sources, &mut told, usize::MAX);

        peer.take(&octets, true).unwrap();
        prop_assert!(peer == told, "what is entered is what is sent");
        let wanted = configured(&sources);
        let holds: BTreeMap<_, _> = peer.iter().map(|(p, a)| (p, a.clone())).collect();
        prop_assert_eq!(&holds, &wanted);

        let said = said(&octets);
        // First, and each once: what is announced no longer.
        let stale: Vec<_> = had.keys().filter(|p| !wanted.contains_key(p))
            .map(|&p| Said::Withdrawn(p)).collect();
        prop_assert_eq!(&said[..stale.len()], &stale[..]);
        // Nothing that was told already; nothing twice.
        let announced: Vec<_> = said.iter().filter_map(|s| match s {
            Said::Announced(prefix) => Some(*prefix),
            _ => None,
        }).collect();
        let new: BTreeMap<_, _> = wanted.iter().filter(|(p, a)| had.get(p) != Some(a)).collect();
        let mut sorted = announced.clone();
        sorted.sort();
        prop_assert_eq!(sorted, new.into_keys().copied().collect::<Vec<_>>());
        let ends = said.iter().filter(|s| **s == Said::EndOfRib).count();
        prop_assert_eq!(ends, usize::from(!end_of_rib));
        if !end_of_rib {
            prop_assert_eq!(said.last(), Some(&Said::EndOfRib));
        }
        // And once more there is nothing to tell.
        prop_assert_eq!(run(&sources, &mut told, usize::MAX), Vec::<u8>::new());
    }

    #[test]
    fn one_that_is_cut_off_is_completed_without_repetition(
        sources in vec(source(), 0..5), steps in 0usize..30
    ) {
        let mut told = AdjRibOut::new();
        let mut octets = run(&sources, &mut told, steps);
        octets.extend(run(&sources, &mut told, usize::MAX));
        let holds: BTreeMap<_, _> = told.iter().map(|(p, a)| (p, a.clone())).collect();
        prop_assert_eq!(holds, configured(&sources));
        let mut announced: Vec<_> = said(&octets).into_iter()
            .filter(|s| matches!(s, Said::Announced(_))).map(|s| format!("{s:?}")).collect();
        let count = announced.len();
        announced.sort();
        announced.dedup();
        prop_assert_eq!(announced.len(), count);
    }
}

#[test]
fn a_withdrawal_is_sent_on_a_new_session_and_not_after_end_of_rib() {
    let destination = net("198.51.100.0/24");
    let sources = [
        Source::Withdraw(vec![destination]),
        Source::Filler {
            first: net("10.0.0.0/24"),
            count: 2,
            rate_per_s: None,
        },
    ];
    let mut told = AdjRibOut::new();
    let filler = [net("10.0.0.0/24"), net("10.0.1.0/24")].map(Said::Announced);
    let all = [
        &[Said::Withdrawn(destination)][..],
        &filler,
        &[Said::EndOfRib],
    ]
    .concat();
    assert_eq!(said(&run(&sources, &mut told, usize::MAX)), all);
    assert_eq!(said(&run(&sources, &mut told, usize::MAX)), []);
    // Told on this session since: once, and first.
    told.announce(destination, &attributes(&[OWN], None));
    let octets = run(&sources, &mut told, usize::MAX);
    assert_eq!(said(&octets), [Said::Withdrawn(destination)]);
}

#[test]
fn a_withdrawal_keeps_its_place_among_the_sources() {
    let [a, b, c] = ["10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24"].map(net);
    let sources = [
        Source::Routes(vec![route(a, &[])]),
        Source::Withdraw(vec![b]),
        Source::Routes(vec![route(c, &[OWN, OWN])]),
    ];
    assert_eq!(
        said(&run(&sources, &mut AdjRibOut::new(), usize::MAX)),
        [
            Said::Announced(a),
            Said::Withdrawn(b),
            Said::Announced(c),
            Said::EndOfRib
        ]
    );
}

#[test]
fn filler_comes_at_its_pace_counted_from_its_beginning() {
    let sources = [Source::Filler {
        first: net("10.0.0.0/24"),
        count: 3,
        rate_per_s: Some(10),
    }];
    let began = Instant::now();
    let at = |ms| began + Duration::from_millis(ms);
    let mut told = AdjRibOut::new();
    let mut transfer = Transfer::new(load(&sources), LOCAL, &told);
    let mut sent = |ms| match transfer.next(&mut told, at(ms)) {
        Step::Send(octets) => Ok(said(&octets).len()),
        other => Err(other),
    };
    assert_eq!(sent(0), Ok(1));
    assert_eq!(sent(0), Err(Step::Wait(at(100))));
    assert_eq!(sent(99), Err(Step::Wait(at(100))));
    assert_eq!(sent(250), Ok(2), "what is late comes at once");
    assert_eq!(sent(250), Err(Step::Wait(at(300))));
    assert_eq!(sent(300), Ok(1), "End-of-RIB");
    assert_eq!(sent(300), Err(Step::Done));

    // A successor goes on where it stood.
    let mut told = AdjRibOut::new();
    told.announce(net("10.0.0.0/24"), &attributes(&[OWN], None));
    told.announce(net("10.0.1.0/24"), &attributes(&[OWN], None));
    let mut transfer = Transfer::new(load(&sources), LOCAL, &told);
    assert!(matches!(transfer.next(&mut told, at(0)), Step::Send(_)));
    assert_eq!(transfer.next(&mut told, at(0)), Step::Wait(at(100)));
    assert!(matches!(transfer.next(&mut told, at(100)), Step::Send(_)));
    assert_eq!(transfer.next(&mut told, at(100)), Step::Done);
}

#[test]
fn a_prefix_that_was_decided_otherwise_meanwhile_is_left_alone() {
    let [a, b] = ["10.1.0.0/24", "10.2.0.0/24"].map(net);
    let sources = [Source::Routes(vec![route(a, &[]), route(b, &[])])];
    let mut told = AdjRibOut::new();
    let mut transfer = Transfer::new(load(&sources), LOCAL, &told);
    transfer.supersede(a);
    let Step::Send(octets) = transfer.next(&mut told, Instant::now()) else {
        panic!("there is something to send");
    };
    assert_eq!(said(&octets), [Said::Announced(b), Said::EndOfRib]);
}

#[test]
fn another_next_hop_is_told() {
    let prefix = net("10.1.0.0/24");
    let sources = [Source::Routes(vec![route(prefix, &[])])];
    let mut told = AdjRibOut::new();
    let mut other = attributes(&[OWN], None);
    other.next_hop = [192, 0, 2, 99].into();
    told.announce(prefix, &other);
    run(&sources, &mut told, usize::MAX);
    assert_eq!(told.get(prefix), Some(&attributes(&[OWN], None)));
}

#[test]
fn steps_are_short_and_the_process_is_not_held_up() {
    let sources = [Source::Filler {
        first: net("10.0.0.0/32"),
        count: 100_000,
        rate_per_s: None,
    }];
    let now = Instant::now();
    let mut told = AdjRibOut::new();
    let mut transfer = Transfer::new(load(&sources), LOCAL, &told);
    while let Step::Send(octets) = transfer.next(&mut told, now) {
        assert!(octets.len() < (1 << 16) + 4096, "{}", octets.len());
    }
    assert_eq!(told.len(), 100_000);
    // All of it is told: that is found out in several steps.
    let mut transfer = Transfer::new(load(&sources), LOCAL, &told);
    let mut waits = 0;
    while transfer.next(&mut told, now) == Step::Wait(now) {
        waits += 1;
    }
    assert!((2..20).contains(&waits), "{waits}");
}

#[test]
fn what_a_peer_would_refuse_is_refused_before() {
    let prefix = net("10.0.0.0/24");
    let refused = |given: Route| as_path(&given, OWN).unwrap_err();
    assert!(matches!(
        refused(route(prefix, &[1, OWN])),
        RouteError::OwnNumberNotFirst {
            first: 1,
            own: OWN,
            ..
        }
    ));
    assert!(matches!(
        refused(route(prefix, &[OWN; 601])),
        RouteError::PathTooLong { given: 601, .. }
    ));
    assert!(matches!(
        refused(route(prefix, &[OWN, 0])),
        RouteError::NumberZero { .. }
    ));
    let multicast = refused(route(net("224.0.0.0/24"), &[]));
    assert!(
        multicast.to_string().contains("224.0.0.0/24"),
        "{multicast}"
    );

    let filler = |first, count, rate_per_s| {
        Sources::load(
            &[Source::Filler {
                first: net(first),
                count,
                rate_per_s,
            }],
            OWN,
        )
    };
    assert!(filler("223.255.254.0/24", 2, None).is_ok());
    let error = filler("223.255.254.0/24", 3, None).unwrap_err();
    assert!(matches!(error, SourceError::Filler { count: 3, .. }));
    assert!(matches!(
        filler("0.0.0.0/0", 1, None),
        Err(SourceError::Filler { .. })
    ));
    assert!(filler("10.0.0.0/24", u32::MAX, None).is_err());
    assert!(matches!(
        filler("10.0.0.0/24", 1, Some(0)),
        Err(SourceError::Rate { .. })
    ));
}

#[test]
fn the_longest_path_leaves_room_for_a_prefix_with_either_size_of_numbers() {
    let path = [OWN; 600].map(|n| n + 100_000);
    for four_octet_as in [true, false] {
        let mut packer = Packer::new(four_octet_as);
        packer.announce(net("10.0.0.0/32"), &attributes(&path, Some(1)));
        assert!(packer.finish().len() <= 4096);
    }
}
