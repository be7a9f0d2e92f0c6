//! `tcpr bench recovery`: how soon connections are back (beside figure 25 of Surton 2014).
//!
//! *Assumes* a machine that is otherwise idle.
//! *Guarantees* that the application is a process that ends by SIGKILL, with all its connections,
//! and that another one recovers them; that nothing is counted unless every octet of every
//! connection has arrived once and in order, and no peer has noticed; and that fresh connections
//! without TCPR are opened in every round by the same process in the same way.
//!
//! Each round: an application opens protected connections; peers greet, and what they said is
//! checkpointed, but on some connections only the first half. A second application, which
//! waits already, opens as many fresh connections. The first is killed. During the outage each peer
//! sends three messages. Then the second application recovers them, some at a time, sends on
//! each, and reads what comes. In the second case `tcpr serve` is killed with the application,
//! and started again at once.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, ValueEnum};
use comfy_table::Table;
use serde::Serialize;
use tcpr::Record;

use super::application::{Place, Process, Task};
use super::comeback::{Course, Timed};
use super::ground::{Ground, PATIENCE, allow_descriptors, sleep_until};
use super::peers::{Manner, Peers};
use super::report::{self, Results, number, verdict};
use super::samples;
use super::statistics::Spread;
use crate::bed::Wire;

/// The application's greeting, in octets, and what it says after it has come back.
const SENT: u64 = 64;
const SENT_AFTER: u64 = 64;
/// The peer's greeting.
const GREETING: u64 = 256;
/// Messages of each peer during the outage: when, as a share of it, and how long.
const MESSAGES: [f64; 3] = [0.1, 0.5, 0.9];
const MESSAGE: u64 = 512;
/// Cases, as the samples name them: all that was delivered was checkpointed, or only half of it.
const KEPT: [&str; 2] = ["application", "application_redelivered"];
const LOST: [&str; 2] = ["tcpr_and_application", "tcpr_and_application_redelivered"];
const FRESH: &str = "fresh";

/// How recovery is measured.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Connections that fail at once; a quarter more have delivered what was not checkpointed
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    connections: u16,
    /// So many of them are brought back at a time, without waiting for one before the next; fresh
    /// connections are opened likewise
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    at_once: u16,
    /// How long the application is away, in seconds
    #[arg(long, value_name = "S", default_value_t = 1.0, value_parser = super::seconds)]
    outage: f64,
    /// How often they fail
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// What becomes of `tcpr serve` when the application is killed
    #[arg(long, value_enum, default_value = "both")]
    tcpr: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Fate {
    /// It goes on
    Lives,
    /// It is killed too, and started again
    Dies,
    /// One after the other
    Both,
}

/// Four clocks that start at `recover`, in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
struct Clocks {
    connect_us: Spread,
    first_byte_at_peer_us: Spread,
    first_peer_byte_us: Spread,
    all_in_flight_us: Spread,
}

/// One case.
#[derive(Debug, Clone, Copy, Serialize)]
struct Case {
    #[serde(flatten)]
    clocks: Clocks,
    /// Connections on which the peer had delivered what was not checkpointed: that comes first.
    redelivered: Clocks,
    /// From the first `recover` until everything had arrived on all of them, in milliseconds.
    all_connections_ms: Spread,
}

/// What was found.
#[derive(Debug, Serialize)]
pub(super) struct Recovery {
    fresh_connect_us: Spread,
    #[serde(flatten)]
    kept: Option<Case>,
    tcpr_lost: Option<Case>,
    /// Fresh connections without TCPR, on the same clocks; they start at `socket`.
    fresh: Clocks,
    outage_s: f64,
    connections: u16,
    redelivering: u16,
    at_once: u16,
    rounds: u32,
}

impl Results for Recovery {
    const NAME: &'static str = "recovery";

    fn tables(&self) -> Vec<Table> {
        let table = |title: String, clocks: &Clocks| {
            let mut header = report::SPREAD;
            header[0] = &title;
            report::table(
                header,
                [
                    ("connect returns", &clocks.connect_us),
                    (
                        "first octet reaches the peer",
                        &clocks.first_byte_at_peer_us,
                    ),
                    (
                        "first octet of the peer arrives",
                        &clocks.first_peer_byte_us,
                    ),
                    ("all that was undelivered is here", &clocks.all_in_flight_us),
                ]
                .map(|(name, spread)| report::spread_row(name, spread)),
            )
        };
        let mut tables = vec![table("fresh, without TCPR, us".into(), &self.fresh)];
        let cases = [
            ("the application was killed", &self.kept),
            ("application and TCPR were killed", &self.tcpr_lost),
        ];
        for (what, case) in cases {
            if let Some(case) = case {
                tables.push(table(format!("{what}, us"), &case.clocks));
                let title = "the same, with delivered octets that were not checkpointed, us";
                tables.push(table(title.into(), &case.redelivered));
            }
        }
        tables
    }

    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        let cases = [
            ("application lost", &self.kept),
            ("TCPR lost too", &self.tcpr_lost),
        ];
        for (what, case) in cases {
            let Some(case) = case else { continue };
            let connections = u32::from(self.connections) + u32::from(self.redelivering);
            remarks.push(format!(
                "{what}: all {connections} connections were whole after {} ms (mean of {} rounds)",
                number(case.all_connections_ms.mean),
                self.rounds
            ));
        }
        if let Some(case) = &self.kept {
            let times = case.clocks.connect_us.p50 / self.fresh_connect_us.p50;
            let told = format!(
                "connect returns after 1.5 times a fresh one at most, p50 ({})",
                number(times)
            );
            remarks.push(verdict(&told, times <= 1.5));
            let first = case.clocks.first_peer_byte_us.p50;
            let told = format!(
                "first octet of the peer in less than 2 ms after an outage of {} s, p50 ({} us)",
                self.outage_s,
                number(first)
            );
            remarks.push(verdict(&told, first < 2000.0));
        }
        remarks
    }
}

/// What was measured on connections of one kind, in microseconds.
#[derive(Debug, Default)]
struct Sample {
    connect: Vec<f64>,
    at_peer: Vec<f64>,
    first: Vec<f64>,
    all: Vec<f64>,
}

impl Sample {
    fn count(&self) -> usize {
        self.connect.len()
    }

    fn add(&mut self, timed: &Timed, at_peer_ns: i64) {
        let since = |then: i64| (then - timed.begun_ns) as f64 / 1e3;
        self.connect.push(since(timed.connected_ns));
        self.at_peer.push(since(at_peer_ns));
        self.first.push(since(timed.first_ns));
        self.all.push(since(timed.all_ns));
    }

    /// Adds what has come since there were so many.
    fn tell(&self, before: usize, case: &'static str, round: u32, all: &mut samples::Samples) {
        for (clock, values) in [
            ("connect", &self.connect),
            ("first_byte_at_peer", &self.at_peer),
            ("first_peer_byte", &self.first),
            ("all_in_flight", &self.all),
        ] {
            all.add(clock, case, "us", round, &values[before..]);
        }
    }

    fn clocks(self) -> anyhow::Result<Clocks> {
        Ok(Clocks {
            connect_us: Spread::of("connects", self.connect)?,
            first_byte_at_peer_us: Spread::of("first octets at the peer", self.at_peer)?,
            first_peer_byte_us: Spread::of("first octets of the peer", self.first)?,
            all_in_flight_us: Spread::of("undelivered octets", self.all)?,
        })
    }
}

/// What was measured in one case.
#[derive(Debug, Default)]
struct Samples {
    counted: Sample,
    redelivered: Sample,
    whole_ms: Vec<f64>,
}

impl Samples {
    fn case(self) -> anyhow::Result<Option<Case>> {
        if self.whole_ms.is_empty() {
            return Ok(None);
        }
        Ok(Some(Case {
            clocks: self.counted.clocks()?,
            redelivered: self.redelivered.clocks()?,
            all_connections_ms: Spread::of("rounds", self.whole_ms)?,
        }))
    }
}

/// Measures.
pub(super) fn measure(options: &Options) -> anyhow::Result<(Recovery, samples::Samples)> {
    let mut all_samples = samples::Samples::default();
    let redelivering = (options.connections / 4).max(1);
    let all = usize::from(options.connections) + usize::from(redelivering);
    allow_descriptors(4 * all + 256)?;
    let mut ground = Ground::lay(&Wire::default())?;
    let manner = Manner::Greet {
        protected: GREETING,
        plain: MESSAGE * MESSAGES.len() as u64,
    };
    let peers = Peers::begin(ground.protected(), ground.plain(), manner)?;
    let mut fresh = Sample::default();
    let (mut kept, mut lost) = (Samples::default(), Samples::default());
    for round in 0..options.rounds {
        super::tell(&format!("round {} of {}", round + 1, options.rounds));
        let cases = [
            (options.tcpr != Fate::Dies, false, &mut kept, KEPT),
            (options.tcpr != Fate::Lives, true, &mut lost, LOST),
        ];
        for (wanted, loses, samples, [case, redelivered]) in cases {
            if wanted {
                let before = [&samples.counted, &samples.redelivered, &fresh].map(Sample::count);
                let mut trial = Trial {
                    ground: &mut ground,
                    peers: &peers,
                    outage: Duration::from_secs_f64(options.outage),
                    loses,
                    at_once: usize::from(options.at_once),
                };
                trial
                    .run(options.connections, redelivering, &mut fresh, samples)
                    .with_context(|| {
                        if loses {
                            "after the loss of application and TCPR"
                        } else {
                            "after the loss of the application"
                        }
                    })?;
                samples
                    .counted
                    .tell(before[0], case, round, &mut all_samples);
                samples
                    .redelivered
                    .tell(before[1], redelivered, round, &mut all_samples);
                fresh.tell(before[2], FRESH, round, &mut all_samples);
            }
        }
    }
    let fresh = fresh.clocks()?;
    let results = Recovery {
        fresh_connect_us: fresh.connect_us,
        kept: kept.case()?,
        tcpr_lost: lost.case()?,
        fresh,
        outage_s: options.outage,
        connections: options.connections,
        redelivering,
        at_once: options.at_once,
        rounds: options.rounds,
    };
    Ok((results, all_samples))
}

struct Trial<'a> {
    ground: &'a mut Ground,
    peers: &'a Peers,
    outage: Duration,
    /// Whether TCPR is killed too.
    loses: bool,
    at_once: usize,
}

impl Trial<'_> {
    fn run(
        &mut self,
        connections: u16,
        redelivering: u16,
        fresh: &mut Sample,
        samples: &mut Samples,
    ) -> anyhow::Result<()> {
        let all = usize::from(connections) + usize::from(redelivering);
        let ports = self.ground.ports(all)?;
        let place = Place::of(self.ground)?;
        // Every fifth, so that the others are measured among them.
        let redelivering: HashSet<u16> = ports
            .iter()
            .copied()
            .step_by(all / usize::from(redelivering))
            .take(usize::from(redelivering))
            .collect();
        let checkpoint = |port: &u16| match redelivering.contains(port) {
            true => GREETING / 2,
            false => GREETING,
        };
        let mut first = Process::start(&self.ground.app, &place)?;
        let records: Vec<Record> = first.ask(
            &Task::Open {
                checkpoints: ports.iter().map(checkpoint).collect(),
                ports: ports.clone(),
                sent: SENT,
                received: GREETING,
            },
            PATIENCE * 2,
        )?;
        let mut second = Process::start(&self.ground.app, &place)?;
        self.fresh(&mut second, usize::from(connections), fresh)?;

        let failed = Instant::now();
        first.kill();
        if self.loses {
            self.ground.served.restart()?;
        }
        for share in MESSAGES {
            sleep_until(failed + self.outage.mul_f64(share));
            self.peers.send(&ports, MESSAGE)?;
        }
        sleep_until(failed + self.outage);
        let task = Task::Recover {
            records,
            course: Course {
                at_once: self.at_once,
                send_to: SENT + SENT_AFTER,
                receive_to: GREETING + MESSAGE * MESSAGES.len() as u64,
            },
        };
        let timed: Vec<Timed> = second.ask(&task, PATIENCE * 4)?;

        self.peers
            .wait_arrivals(&ports, SENT + SENT_AFTER - 1, PATIENCE)?;
        for timed in &timed {
            let at_peer = self.peers.arrival(timed.port, SENT);
            let at_peer = at_peer.context("nothing has reached a peer")?;
            match redelivering.contains(&timed.port) {
                true => samples.redelivered.add(timed, at_peer),
                false => samples.counted.add(timed, at_peer),
            }
        }
        let begun = timed.iter().map(|timed| timed.begun_ns).min();
        let whole = timed.iter().map(|timed| timed.all_ns).max();
        let (begun, whole) = begun.zip(whole).context("nothing was recovered")?;
        samples.whole_ms.push((whole - begun) as f64 / 1e6);
        self.ground.served.check()?;
        self.peers.expect_ends();
        let _: usize = second.ask(&Task::End, PATIENCE)?;
        self.peers.forget();
        self.peers.check()
    }

    fn fresh(
        &mut self,
        application: &mut Process,
        count: usize,
        sample: &mut Sample,
    ) -> anyhow::Result<()> {
        let ports = self.ground.ports(count)?;
        let task = Task::Fresh {
            ports: ports.clone(),
            course: Course {
                at_once: self.at_once,
                send_to: SENT_AFTER,
                receive_to: MESSAGE * MESSAGES.len() as u64,
            },
        };
        let timed: Vec<Timed> = application.ask(&task, PATIENCE * 2)?;
        self.peers.wait_arrivals(&ports, SENT_AFTER - 1, PATIENCE)?;
        for timed in &timed {
            let at_peer = self.peers.arrival(timed.port, 0);
            sample.add(timed, at_peer.context("nothing has reached a peer")?);
        }
        Ok(())
    }
}
