//! The core with one wrong decision: what its peer sees breaks a rule, and the rule is named.
//!
//! What happens behind the core's other side is a script; what its peer sees goes to the checker.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod script;

use std::time::Duration;

use script::packets::build;
use script::{ALL, OURS, PEERS, Seg, said, seg};
use tcpr_check::Trace;
use tcpr_core::packet::{Packet, Segment};
use tcpr_core::{
    Action, Actions, Conduct, Config, Direction, Flow, Hard, Mutation, Pattern, Tcpr, Verdict,
};

/// With one mutation, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Wrong(Option<Mutation>);

impl Conduct for Wrong {
    fn has(self, mutation: Mutation) -> bool {
        self.0 == Some(mutation)
    }
}

/// How the local TCP dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    Reset,
    Fin,
}

/// A core between a scripted application and a scripted peer.
struct Bench {
    core: Tcpr<Wrong>,
    trace: Trace,
    flow: Flow,
    now: Duration,
    hard: Option<Hard>,
    /// The present local TCP's initial sequence number, and the octet that it begins with.
    inside: u32,
    base: i64,
}

impl Bench {
    fn new(mutation: Option<Mutation>) -> Bench {
        let flow = Flow {
            local: script::A.parse().unwrap(),
            remote: script::B.parse().unwrap(),
        };
        let mut core = Tcpr::with_conduct(Config::default(), Wrong(mutation));
        core.protect(Pattern::Local(flow.local));
        Bench {
            core,
            trace: Trace::new(ALL),
            flow,
            now: Duration::from_secs(1),
            hard: None,
            inside: OURS,
            base: 0,
        }
    }

    fn live(mutation: Option<Mutation>) -> Bench {
        let mut bench = Bench::new(mutation);
        bench.peer(seg(0, 0).syn().ts(500, 0));
        bench.app(seg(0, 0).syn().flags("SA").ack(0).ts(100, 500));
        bench.peer(seg(0, 0).ack(0).ts(501, 100));
        bench.hard = Some(bench.core.register(bench.now, &bench.flow).unwrap());
        bench
    }

    /// A segment of the local TCP, which counts from its own SYN on.
    fn app(&mut self, segment: Seg) {
        let (local, remote) = (self.flow.local, self.flow.remote);
        let mut octets = build(local, remote, self.inside, PEERS, &segment);
        let begin = octets.len() - segment.len;
        let first = self.base + segment.seq;
        for (at, octet) in octets[begin..].iter_mut().enumerate() {
            *octet = ((first + at as i64) % 251) as u8;
        }
        let mut packet = Packet::parse(&mut octets).unwrap();
        packet.fill_checksum();
        self.offer(Direction::Outbound, octets);
    }

    fn peer(&mut self, segment: Seg) {
        let (local, remote) = (self.flow.local, self.flow.remote);
        let octets = build(remote, local, PEERS, OURS, &segment);
        self.now += Duration::from_millis(1);
        self.trace.packet(self.now, &octets);
        self.offer(Direction::Inbound, octets);
    }

    fn offer(&mut self, direction: Direction, mut octets: Vec<u8>) {
        let mut actions = Actions::new();
        let mut packet = Packet::parse(&mut octets).unwrap();
        let now = self.now;
        let verdict = self.core.segment(now, direction, &mut packet, &mut actions);
        if matches!(verdict, Verdict::Forward { .. }) && direction == Direction::Outbound {
            self.trace.packet(self.now, &octets);
        }
        self.carry_out(actions);
    }

    fn carry_out(&mut self, actions: Actions) {
        for action in actions {
            match action {
                Action::Inject {
                    direction: Direction::Outbound,
                    segment,
                } => {
                    let mut octets = [0; Segment::MAX_LEN];
                    let length = segment.emit(&mut octets);
                    self.trace.packet(self.now, &octets[..length]);
                }
                Action::Spliced { hard } => self.hard = Some(hard),
                _ => {}
            }
        }
    }

    fn checkpoint(&mut self, offset: u64) {
        let mut actions = Actions::new();
        let (now, flow) = (self.now, self.flow);
        let answer = self.core.checkpoint(now, &flow, offset, &mut actions);
        if let (Ok(()), Some(hard)) = (answer, &mut self.hard) {
            hard.checkpoint = offset;
        }
        self.carry_out(actions);
    }

    /// A new local TCP takes the place of the old one, and sends again what it must.
    fn recover(&mut self, inside: u32, tsval: u32) {
        let hard = self.hard.as_mut().unwrap();
        hard.incarnation += 1;
        let mut actions = Actions::new();
        let answer = self.core.recover(self.now, *hard, &mut actions).unwrap();
        self.base = answer.unwrap().base as i64;
        self.inside = inside;
        self.carry_out(actions);
        self.app(seg(0, 0).syn().ts(tsval, 0));
    }

    /// The peer has 40 of 100 octets, and the application has checkpointed 30 of 50; then it dies,
    /// comes back, and goes on.
    fn one_recovery(&mut self, death: Death) {
        self.app(seg(0, 100).ack(0).ts(102, 501));
        self.peer(seg(0, 50).ack(40).ts(502, 102));
        self.app(seg(100, 0).ack(50).win(988).ts(103, 502));
        self.checkpoint(30);
        match death {
            Death::Reset => self.app(seg(100, 0).ack(50).flags("R").ts(104, 502)),
            Death::Fin => self.app(seg(100, 0).ack(50).flags("F").win(988).ts(104, 502)),
        }
        self.peer(seg(30, 20).ack(40).ts(503, 102));
        self.recover(7777, 9000);
        self.app(seg(0, 0).ack(30).win(1000).ts(9001, 503));
        self.app(seg(0, 80).ack(30).win(1000).ts(9002, 503));
        self.peer(seg(50, 10).ack(120).ts(510, 104));
        self.app(seg(80, 10).ack(60).win(993).ts(9003, 510));
        self.checkpoint(60);
    }

    /// And once again.
    fn two_recoveries(&mut self) {
        self.one_recovery(Death::Reset);
        self.peer(seg(60, 0).ack(125).ts(511, 105));
        self.app(seg(90, 0).ack(60).flags("R").ts(9004, 511));
        self.recover(123_456, 77_000);
        self.app(seg(0, 0).ack(60).win(1000).ts(77_001, 511));
        self.app(seg(0, 20).ack(60).win(1000).ts(77_002, 511));
    }

    /// The application is gone for seconds, and the peer asks again and again.
    fn deserted(&mut self) {
        self.peer(seg(0, 50).ack(0).ts(502, 100));
        self.app(seg(0, 0).ack(50).win(988).ts(103, 502));
        self.checkpoint(30);
        self.app(seg(0, 0).ack(50).flags("R").ts(104, 502));
        for second in 1..6 {
            self.now += Duration::from_secs(1);
            self.peer(seg(30, 20).ack(0).ts(503 + second * 1000, 103));
        }
        self.recover(7777, 9000);
        self.app(seg(0, 0).ack(30).win(1000).ts(9001, 503));
    }

    /// The application takes its time.
    fn slow(&mut self) {
        self.peer(seg(0, 50).ack(0).ts(502, 100));
        self.app(seg(0, 0).ack(50).win(988).ts(103, 502));
        self.checkpoint(50);
        self.now += Duration::from_secs(4);
        self.app(seg(0, 10).ack(50).win(1000).ts(4103, 502));
    }

    fn found(self) -> String {
        said(&self.trace.finish())
    }
}

/// A mutation, what happens, and what is found.
type Case<'a> = (Mutation, &'a dyn Fn(&mut Bench), &'static str);

fn rules(mutation: Option<Mutation>, course: impl Fn(&mut Bench)) -> String {
    let mut bench = Bench::live(mutation);
    course(&mut bench);
    bench.found()
}

#[test]
fn the_core_as_it_ships_breaks_no_rule() {
    for death in [Death::Reset, Death::Fin] {
        assert_eq!(rules(None, |bench| bench.one_recovery(death)), "");
    }
    assert_eq!(rules(None, Bench::two_recoveries), "");
    let deserted = rules(None, Bench::deserted);
    assert_eq!(deserted, "unacknowledged? in 6", "and so it is");
    assert_eq!(rules(None, Bench::slow), "");
}

#[test]
fn the_rule_that_each_mutation_breaks_is_named() {
    let reset = |bench: &mut Bench| bench.one_recovery(Death::Reset);
    let fin = |bench: &mut Bench| bench.one_recovery(Death::Fin);
    let courses: [Case<'_>; 12] = [
        (
            Mutation::AcknowledgmentNotDelayed,
            &reset,
            "acknowledgment-regressed in ",
        ),
        (
            Mutation::AcknowledgmentPlusOne,
            &reset,
            "acknowledges-unsent in ",
        ),
        (Mutation::DeltaPlusOne, &reset, "octets-changed in "),
        (Mutation::DeltaMinusOne, &reset, "octets-changed in "),
        (Mutation::SynForwarded, &reset, "syn-in-connection in "),
        (Mutation::ResetForwarded, &reset, "after-reset in "),
        (Mutation::FinForwarded, &fin, "beyond-fin in "),
        (
            Mutation::AcknowledgmentFlagNotSet,
            &reset,
            "no-acknowledgment in ",
        ),
        (
            Mutation::OffsetReadTooEarly,
            &Bench::two_recoveries,
            "octets-changed in ",
        ),
        (Mutation::WindowNotGivenBack, &reset, "window-shrunk? in "),
        (Mutation::NoReplyWhileGone, &Bench::deserted, "silence? in "),
        (
            Mutation::NoAcknowledgmentOnCheckpoint,
            &Bench::slow,
            "silence? in ",
        ),
    ];
    let missed: Vec<_> = courses
        .iter()
        .map(|(mutation, course, rule)| (mutation, rules(Some(*mutation), course), rule))
        .filter(|(_, found, rule)| !found.contains(**rule))
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
}
