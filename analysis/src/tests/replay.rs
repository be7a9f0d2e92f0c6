//! The replay of a run, as the page holds it.

use results::{EventKind, Phase};
use serde_json::Value;

use super::network::{Story, clique, eventful, hop, index, ns};
use crate::frame::{Frame, Moment, TableRecord};
use crate::metrics::measure;
use crate::page::encode::Encoded;
use crate::reach::{Reach, follow};
use crate::replay::{LinkTurn, Replay};

fn replay(frame: &Frame) -> Replay {
    Replay::of(frame, &follow(frame))
}

/// A replay read back from its JSON, by the description at its fields.
pub(crate) struct Decoded {
    before: Vec<u64>,
    /// Microseconds, router, packed stand.
    turns: Vec<(i64, usize, u64)>,
}

impl Decoded {
    pub(crate) fn of(replay: &Replay) -> Self {
        let json = serde_json::to_value(Encoded::of(replay, 0)).unwrap();
        let numbers = |v: &Value| -> Vec<u64> {
            let list = v.as_array().unwrap().iter();
            list.map(|n| n.as_u64().unwrap()).collect()
        };
        let before = numbers(&json["before"]);
        let routers = before.len() as u64;
        let mut t_us = 0;
        let turns = numbers(&json["turns"])
            .chunks(2)
            .map(|pair| {
                t_us += pair[0] as i64;
                (t_us, (pair[1] % routers) as usize, pair[1] / routers)
            })
            .collect();
        Self { before, turns }
    }

    /// How a router stands at an instant: where its walk ends, and the number of its next hop.
    pub(crate) fn stand(&self, router: usize, t_us: i64) -> (Reach, Option<u64>) {
        let last = self
            .turns
            .iter()
            .rev()
            .find(|t| t.0 <= t_us && t.1 == router);
        let packed = last.map_or(self.before[router], |t| t.2);
        let reach = [
            Reach::Reached,
            Reach::NoRoute,
            Reach::Loop,
            Reach::Blackhole,
        ];
        (reach[(packed % 4) as usize], (packed / 4).checked_sub(1))
    }
}

#[test]
fn next_hops_are_those_of_the_tables_and_nodes_are_numbered_routers_first() {
    let mut frame = eventful();
    let decoded = Decoded::of(&replay(&frame));
    let injector = index(&frame.topology, "injector") as u64;
    assert_eq!(injector, 3, "the last one");
    assert_eq!(decoded.stand(0, 999_999), (Reach::Reached, Some(injector)));
    assert_eq!(decoded.stand(0, 1_000_000), (Reach::Loop, Some(1)));
    assert_eq!(decoded.stand(2, 1_000_000), (Reach::Loop, Some(0)));
    assert_eq!(
        decoded.stand(0, 3_000_000),
        (Reach::Reached, Some(injector))
    );
    // Wherever the injector stands in the file, the page has it last.
    frame = eventful();
    frame.topology.nodes.rotate_right(1);
    for r in &mut frame.records {
        r.node = (r.node + 1) % 4;
    }
    let rotated = Decoded::of(&replay(&frame));
    assert_eq!(rotated.stand(0, 1_000_000), (Reach::Loop, Some(1)));
    assert_eq!(rotated.stand(0, 3_000_000), (Reach::Reached, Some(3)));
}

#[test]
fn a_router_that_is_cut_off_still_shows_whom_it_sends_to() {
    let mut story = Story::settled(clique(3, false));
    story.frame.dead_link = Some(0);
    let decoded = Decoded::of(&replay(&story.frame));
    assert_eq!(decoded.stand(0, 0), (Reach::Blackhole, Some(3)));
    assert_eq!(decoded.stand(1, 0), (Reach::Blackhole, Some(0)));
    story.delete(1.0, "r1", "injector");
    let decoded = Decoded::of(&replay(&story.frame));
    assert_eq!(decoded.stand(0, 1_000_000), (Reach::NoRoute, None));
}

#[test]
fn updates_are_those_that_the_figures_count() {
    let frame = eventful();
    let replay = replay(&frame);
    let (run, _) = measure(&frame);
    for (bursts, router) in replay.bursts.iter().zip(&run.routers) {
        let sum = |of: fn(&crate::replay::Burst) -> u32| -> u64 {
            bursts.iter().map(|b| u64::from(of(b))).sum()
        };
        assert_eq!(sum(|b| b.advertisements), router.advertisements());
        assert_eq!(sum(|b| b.withdrawals), router.withdrawals());
    }
    // r1's withdrawals at 0.5 s go to two peers, in one burst.
    assert_eq!(replay.bursts[0][0].withdrawals, 2);
    assert_eq!(replay.bursts[0][0].t_ns, ns(0.5));
}

#[test]
fn a_link_is_down_while_either_end_is() {
    let mut story = Story::settled(clique(3, true));
    let device = hop(&story.frame.topology, "r3", "r1").device.unwrap();
    story
        .link(-1.0, "r2", "injector", false)
        .link(1.0, "injector", "r1", false)
        .link(1.5, "r1", "injector", false)
        .link(2.0, "injector", "r1", true)
        .link(2.5, "r1", "injector", true)
        .record(3.0, "r3", TableRecord::DeviceRemoved { index: device })
        .link(11.0, "r1", "r2", false);
    let between = story.frame.topology.links.iter();
    let gone = between.clone().position(|l| l.a == "r1" && l.b == "r3");
    let turn = |t_ns, link, down| LinkTurn { t_ns, link, down };
    assert_eq!(
        replay(&story.frame).links,
        [
            turn(-1, 1, true),
            turn(1_000_000_000, 0, true),
            turn(2_500_000_000, 0, false),
            turn(3_000_000_000, gone.unwrap(), true),
        ]
    );
}

#[test]
fn the_sessions_of_the_bring_up_are_not_shown_and_those_after_the_failure_are() {
    let mut frame = eventful();
    let moment = |t_s: f64, kind, phase| Moment {
        t_ns: (t_s * 1e9) as i64,
        kind,
        phase,
        target: "r1 with injector".to_owned(),
        up: Some(false),
    };
    frame.moments = vec![
        moment(-20.0, EventKind::Session, Phase::Confirmed),
        moment(-1.0, EventKind::Settled, Phase::Confirmed),
        moment(-0.1, EventKind::Failure, Phase::Planned),
        moment(0.1, EventKind::Session, Phase::Confirmed),
        moment(0.2, EventKind::Quiet, Phase::Planned),
        moment(9.0, EventKind::Quiet, Phase::Confirmed),
    ];
    let json = serde_json::to_value(Encoded::of(&replay(&frame), 0)).unwrap();
    assert_eq!(
        json["moments"],
        serde_json::json!([
            [-1_000_000, "quiet", "settled"],
            [-100_000, "planned", "failure planned"],
            [100_000, "down", "session down: r1 with injector"],
            [9_000_000, "quiet", "quiet confirmed"],
        ])
    );
}
