//! Whatever two TCPs that keep the rules say to one another over whatever network, and however
//! much of it is captured wherever: the checker finds no violation.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../script/mod.rs"]
mod script;

mod end;
mod exchange;

use exchange::{Exchange, Spot};
use proptest::prelude::*;
use script::said;
use tcpr_check::{Place, Settings, Trace};

fn spot() -> impl Strategy<Value = Spot> {
    prop_oneof![Just(Spot::AtA), Just(Spot::AtB), Just(Spot::Between)]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn two_lawful_tcps_break_no_rule(
        seed: u64,
        spot in spot(),
        loss in 0_u32..200,
        copies in 0_u32..100,
        overtaking in 0_u64..60,
        missing in prop_oneof![Just(0_u32), 0_u32..200],
        late in prop_oneof![Just(0_usize), 0_usize..30],
        large: bool,
        timestamps: bool,
        connections in 1_usize..3,
    ) {
        let exchange = Exchange {
            spot,
            loss,
            copies,
            overtaking,
            missing,
            late,
            large,
            timestamps,
            connections,
        };
        let captured = exchange.run(seed);
        let mut trace = Trace::new(Settings {
            place: match spot {
                Spot::AtA => Place::Host(script::A.parse::<std::net::SocketAddr>().unwrap().ip()),
                Spot::AtB => Place::Host(script::B.parse::<std::net::SocketAddr>().unwrap().ip()),
                Spot::Between => Place::Unknown,
            },
            complete: missing == 0 && late == 0,
            in_order: overtaking == 0 && spot != Spot::Between,
            whole_segments: !large,
            checksums: true,
        });
        for (time, octets) in &captured {
            trace.packet(*time, octets);
        }
        let verdict = trace.finish();
        prop_assert!(verdict.is_clean(), "{}: {verdict:#?}", said(&verdict));
        prop_assert_eq!(verdict.packets, captured.len() as u64);
    }
}

#[test]
fn the_exchanges_reach_what_they_are_to_reach() {
    // Otherwise the law above would say little.
    let mut ended = 0;
    let mut octets = 0;
    for seed in 0..40 {
        let exchange = Exchange {
            spot: Spot::Between,
            loss: 100,
            copies: 50,
            overtaking: 30,
            missing: 0,
            late: 0,
            large: false,
            timestamps: true,
            connections: 1,
        };
        let mut trace = Trace::new(Settings::default());
        for (time, packet) in exchange.run(seed) {
            trace.packet(time, &packet);
        }
        let verdict = trace.finish();
        let course = &verdict.connections[0];
        ended += u32::from(course.ending != tcpr_check::Ending::Open);
        octets += course.ends.iter().map(|end| end.octets).sum::<u64>();
    }
    assert!(ended >= 30, "{ended} of 40 connections ended");
    assert!(octets > 40 * 20_000, "{octets} octets");
}
