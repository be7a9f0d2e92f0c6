//! What probes measure, worked out on paper, and against the routing tables of any run.

use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};
use results::probe::INTERVAL_NS;
use results::{Finding, FindingKind, Severity};

use super::network::{Story, by_way_of, clique, ns};
use crate::frame::{Frame, Install};
use crate::metrics::{RunMetrics, measure};
use crate::probe::{Fate, ProbeMetrics, Probes, transitions};
use crate::reach::{Reach, Timeline, follow};

/// What probes meet that are sent into the network that the tables describe, the first so long
/// before the failure: each takes the way there is when it is due.
fn probes_of(frame: &Frame, lead_ns: u64) -> Probes {
    let ticks = (lead_ns + frame.end_ns).div_ceil(INTERVAL_NS);
    let first_ns = -i64::try_from(lead_ns).unwrap();
    let fate = |timeline: &Timeline, tick: u64| {
        let t_ns = first_ns.checked_add_unsigned(tick * INTERVAL_NS).unwrap();
        let reach = match u64::try_from(t_ns) {
            Err(_) => timeline.before,
            Ok(t) => {
                let holds = timeline.intervals.iter().find(|i| t < i.to_ns);
                holds.map_or(timeline.at_end, |i| i.reach)
            }
        };
        match reach {
            Reach::Reached => Fate::Received,
            Reach::NoRoute => Fate::Refused,
            Reach::Loop | Reach::Blackhole => Fate::Lost,
        }
    };
    Probes {
        first_ns,
        fates: follow(frame)
            .iter()
            .map(|timeline| (0..ticks).map(|tick| fate(timeline, tick)).collect())
            .collect(),
    }
}

/// r1 without a route from 2 s to 3.004 s, r2 and r3 behind it. The first probe is due 0.5 s
/// before the failure.
pub(crate) fn outage() -> Frame {
    let mut story = Story::settled(clique(3, false));
    let route = by_way_of(&clique(3, false), "r1", "injector");
    story
        .delete(2.0, "r1", "injector")
        .add(3.004, "r1", route, Install::First);
    let mut frame = story.frame;
    frame.probes = Some(probes_of(&frame, ns(0.5)));
    frame
}

fn probes(frame: &mut Frame) -> &mut Probes {
    frame.probes.as_mut().unwrap()
}

/// What the probe says of each router: nanoseconds, and probes lost.
pub(crate) fn of_probe(run: &RunMetrics) -> Vec<(u64, u64)> {
    let of = |p: ProbeMetrics| (p.disconnected_ns, p.lost);
    run.routers.iter().map(|r| of(r.probe.unwrap())).collect()
}

#[test]
fn a_lost_probe_stands_for_its_ten_milliseconds_and_so_does_one_that_was_not_sent() {
    let (run, findings) = measure(&outage());
    assert_eq!(findings, []);
    // Due at 2.00, 2.01, ... 3.00 s: 101 of them, and the tables say 1.004 s.
    assert_eq!(of_probe(&run), [(ns(1.01), 101); 3]);
    assert!(run.routers.iter().all(|r| r.disconnected_ns() == ns(1.004)));
}

#[test]
fn no_probe_is_none_and_not_zero() {
    let mut frame = outage();
    frame.probes = None;
    assert!(measure(&frame).0.routers.iter().all(|r| r.probe.is_none()));
}

#[test]
fn a_probe_in_flight_at_the_failure_stands_for_what_is_left_of_its_time() {
    let mut frame = Story::settled(clique(2, false)).frame;
    let mut probes = probes_of(&frame, ns(0.496));
    assert_eq!(probes.first_ns + 49 * 10_000_000, -6_000_000);
    probes.fates[0][49] = Fate::Lost;
    probes.fates[0][50] = Fate::Lost;
    frame.probes = Some(probes);
    let (run, findings) = measure(&frame);
    assert_eq!(findings, []);
    assert_eq!(of_probe(&run), [(ns(0.014), 2), (0, 0)]);
}

#[test]
fn what_comes_after_the_end_does_not_count() {
    let mut frame = outage();
    frame.end_ns = ns(2.5) + 3_000_000;
    let (run, _) = measure(&frame);
    assert_eq!(of_probe(&run), [(ns(0.503), 51); 3]);
}

#[test]
fn probes_that_were_lost_before_the_failure_are_told() {
    let mut frame = outage();
    probes(&mut frame).fates[1][3] = Fate::Lost;
    let (run, findings) = measure(&frame);
    assert_eq!(of_probe(&run), [(ns(1.01), 101); 3]);
    let [finding] = findings.as_slice() else {
        panic!("{findings:?}")
    };
    assert_eq!(
        (finding.kind, finding.severity, finding.place.as_str()),
        (FindingKind::ProbeDisagrees, Severity::Warning, "r2")
    );
    assert!(
        finding.message.contains("1 of its probes were lost before"),
        "{finding:?}"
    );
}

/// The finding about r3 if so many more of its probes were lost than the tables have it.
fn with_further_losses(frame: &Frame, more: usize) -> Option<Finding> {
    let mut frame = frame.clone();
    let fates = &mut probes(&mut frame).fates[2];
    let received = fates.iter_mut().skip(100).filter(|f| **f == Fate::Received);
    for fate in received.take(more) {
        *fate = Fate::Lost;
    }
    let (_, mut findings) = measure(&frame);
    assert!(findings.len() <= 1, "{findings:?}");
    findings.pop()
}

#[test]
fn fifty_milliseconds_are_allowed_and_ten_for_each_transition() {
    // Two transitions. The probes have 6 ms more as it is.
    let frame = outage();
    assert_eq!(with_further_losses(&frame, 4), None);
    let finding = with_further_losses(&frame, 5).unwrap();
    assert_eq!(finding.place, "r3");
    for figure in ["1004.000 ms", "1060.000 ms", "56.000 ms apart", "50 ms are"] {
        assert!(finding.message.contains(figure), "{finding:?}");
    }

    // Eight: four outages of 100 ms, all on the probes' ticks.
    let mut story = Story::settled(clique(3, false));
    for t_s in [1.0, 2.0, 3.0, 4.0] {
        story
            .delete(t_s, "r1", "injector")
            .turn(t_s + 0.1, "r1", "injector");
    }
    let mut frame = story.frame;
    assert_eq!(transitions(&follow(&frame)[2]), 8);
    frame.probes = Some(probes_of(&frame, ns(0.5)));
    assert_eq!(with_further_losses(&frame, 8), None);
    let finding = with_further_losses(&frame, 9).unwrap();
    assert!(
        finding.message.contains("80 ms are allowed for 8"),
        "{finding:?}"
    );
}

#[test]
fn from_no_route_to_a_loop_is_no_transition_and_a_dead_link_is_one() {
    let mut story = Story::settled(clique(3, true));
    story.frame.dead_link = Some(0);
    story.turn(1.0, "r1", "r2").turn(2.0, "r2", "injector");
    let timelines = follow(&story.frame);
    let states: Vec<Reach> = timelines[0].intervals.iter().map(|i| i.reach).collect();
    assert_eq!(states, [Reach::Blackhole, Reach::Loop, Reach::Reached]);
    assert_eq!(transitions(&timelines[0]), 2);
}

/// Outages of r1 of any length, one after the other.
fn outages() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let span = 1u64..400_000_000;
    prop::collection::vec((span.clone(), span), 0..12)
}

proptest! {
    #[test]
    fn probes_and_tables_agree_within_an_interval_for_each_transition(
        outages in outages(), lead_ns in 1u64..40_000_000, dead: bool,
    ) {
        let mut story = Story::settled(clique(3, false));
        let mut t_ns = 0;
        for (up_ns, down_ns) in outages {
            t_ns += up_ns;
            story.delete(t_ns as f64 / 1e9, "r1", "injector");
            t_ns += down_ns;
            story.turn(t_ns as f64 / 1e9, "r1", "injector");
        }
        let mut frame = story.frame;
        frame.dead_link = dead.then_some(0);
        frame.end_ns = ns(10.0) + lead_ns;
        frame.probes = Some(probes_of(&frame, lead_ns));
        let (run, findings) = measure(&frame);
        for (timeline, router) in follow(&frame).iter().zip(&run.routers) {
            let probe = router.probe.unwrap();
            let apart_ns = router.disconnected_ns().abs_diff(probe.disconnected_ns);
            prop_assert!(apart_ns <= INTERVAL_NS * transitions(timeline));
        }
        prop_assert!(findings.iter().all(|f| f.kind != FindingKind::ProbeDisagrees));
    }

    #[test]
    fn the_probes_of_a_router_partition_the_run(
        lead_ns in 0u64..40_000_000, end_ns in 0u64..500_000_000,
        lost in prop::collection::vec(any::<bool>(), 60),
    ) {
        let fates = |lost: &dyn Fn(usize) -> bool| {
            let fate = |i| if lost(i) { Fate::Lost } else { Fate::Received };
            Probes { first_ns: -(lead_ns as i64), fates: vec![(0..60).map(fate).collect()] }
                .measure(0, end_ns)
        };
        let some = fates(&|i| lost[i]);
        let others = fates(&|i| !lost[i]);
        let all = fates(&|_| true);
        prop_assert_eq!(all.disconnected_ns, end_ns);
        prop_assert_eq!(some.disconnected_ns + others.disconnected_ns, end_ns);
        prop_assert_eq!(some.lost + others.lost, all.lost);
        prop_assert!(some.disconnected_ns <= some.lost * INTERVAL_NS);
        prop_assert_eq!(all.lost_before, lead_ns / INTERVAL_NS);
    }
}
