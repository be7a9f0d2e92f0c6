//! `tcpr bench latency`: how long a request of one octet and its response of one take (beside
//! figures 23 and 24 of Surton 2014).
//!
//! *Assumes* a machine that is otherwise idle.
//! *Guarantees* that unprotected and protected connections are measured in turn, another one first
//! in each round, and that no exchange is counted before the connection is warm.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Args;
use comfy_table::Table;
use serde::Serialize;

use super::ground::{Ground, Link, Protection};
use super::report::{self, Results};
use super::samples::Samples;
use super::statistics::Spread;
use crate::bed::Wire;

/// Exchanges before those that count.
const WARM_UP: u32 = 100;

/// How latency is measured.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// How often each is measured
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Requests and responses in each round
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    exchanges: u32,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asker {
    Application,
    Peer,
}

impl Asker {
    fn name(self) -> &'static str {
        match self {
            Asker::Application => "application_asks",
            Asker::Peer => "peer_asks",
        }
    }
}

const WAYS: [Protection; 4] = [
    Protection::None,
    Protection::Unsafe,
    Protection::Checkpointed,
    Protection::Recovered,
];

/// Round trips, in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
struct Trips {
    unprotected_us: Spread,
    unsafe_us: Spread,
    checkpointed_us: Spread,
    recovered_us: Spread,
    /// Median of the checkpointed ones, less that of the unprotected ones.
    difference_p50_us: f64,
}

/// What was found.
#[derive(Debug, Serialize)]
pub(super) struct Latency {
    rounds: u32,
    exchanges: u32,
    application_asks: Trips,
    peer_asks: Trips,
}

impl Results for Latency {
    const NAME: &'static str = "latency";

    fn tables(&self) -> Vec<Table> {
        let table = |title: &str, trips: &Trips| {
            let mut header = report::SPREAD;
            header[0] = title;
            let rows = [
                ("unprotected TCP", &trips.unprotected_us),
                ("TCPR, acknowledgments not held back", &trips.unsafe_us),
                ("TCPR, checkpointed", &trips.checkpointed_us),
                ("TCPR, checkpointed, after a recovery", &trips.recovered_us),
            ];
            report::table(
                header,
                rows.map(|(name, spread)| report::spread_row(name, spread)),
            )
        };
        vec![
            table("the application asks, us", &self.application_asks),
            table("the peer asks, us", &self.peer_asks),
        ]
    }

    fn remarks(&self) -> Vec<String> {
        let told = |who: &str, trips: &Trips| {
            format!(
                "TCPR (checkpointed) adds {:.1} us to the median when {who} asks",
                trips.difference_p50_us
            )
        };
        vec![
            told("the application", &self.application_asks),
            told("the peer", &self.peer_asks),
        ]
    }
}

/// Measures.
pub(super) fn measure(options: &Options) -> anyhow::Result<(Latency, Samples)> {
    let mut all = Samples::default();
    let mut ground = Ground::lay(&Wire::default())?;
    let mut samples: [[Vec<f64>; 4]; 2] = Default::default();
    for round in 0..options.rounds {
        super::tell(&format!("round {} of {}", round + 1, options.rounds));
        for (asker, samples) in [Asker::Application, Asker::Peer]
            .into_iter()
            .zip(&mut samples)
        {
            for turn in 0..WAYS.len() {
                let at = (round as usize + turn) % WAYS.len();
                let before = samples[at].len();
                let link = ground.open(WAYS[at])?;
                exchange(link, asker, options.exchanges, &mut samples[at])
                    .with_context(|| format!("{:?} failed when {asker:?} asked", WAYS[at]))?;
                let new = &samples[at][before..];
                all.add(asker.name(), WAYS[at].name(), "us", round, new);
            }
        }
        ground.served.check()?;
    }
    let [application_asks, peer_asks] = samples;
    let results = Latency {
        rounds: options.rounds,
        exchanges: options.exchanges,
        application_asks: summed_up(application_asks)?,
        peer_asks: summed_up(peer_asks)?,
    };
    Ok((results, all))
}

fn summed_up([plain, not_held, checkpointed, recovered]: [Vec<f64>; 4]) -> anyhow::Result<Trips> {
    let unprotected_us = Spread::of("unprotected exchanges", plain)?;
    let checkpointed_us = Spread::of("checkpointed exchanges", checkpointed)?;
    Ok(Trips {
        unprotected_us,
        unsafe_us: Spread::of("unsafe exchanges", not_held)?,
        checkpointed_us,
        recovered_us: Spread::of("exchanges after a recovery", recovered)?,
        difference_p50_us: checkpointed_us.p50 - unprotected_us.p50,
    })
}

/// Who asks is measured here; who answers is another thread. Each ends when the other does.
fn exchange(
    mut link: Link,
    asker: Asker,
    exchanges: u32,
    sample: &mut Vec<f64>,
) -> anyhow::Result<()> {
    let (application, peer) = (link.application.try_clone()?, link.peer.try_clone()?);
    let all = exchanges + WARM_UP;
    thread::scope(|scope| match asker {
        Asker::Application => {
            let answering = scope.spawn(move || answer(&peer, all, || Ok(())));
            ask(&application, all, sample, || link.take(1))?;
            joined(answering)
        }
        Asker::Peer => {
            let taking = &mut link;
            let answering = scope.spawn(move || answer(&application, all, || taking.take(1)));
            ask(&peer, all, sample, || Ok(()))?;
            joined(answering)
        }
    })?;
    link.end()
}

fn joined(thread: thread::ScopedJoinHandle<'_, anyhow::Result<()>>) -> anyhow::Result<()> {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn ask(
    mut stream: &TcpStream,
    exchanges: u32,
    sample: &mut Vec<f64>,
    mut take: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut octet = [0];
    for number in 0..exchanges {
        let request = [number as u8];
        let start = Instant::now();
        stream.write_all(&request)?;
        stream
            .read_exact(&mut octet)
            .context("there is no response")?;
        let took = start.elapsed();
        ensure!(octet == request, "the response belongs to another request");
        take()?;
        if number >= WARM_UP {
            sample.push(took.as_secs_f64() * 1e6);
        }
    }
    Ok(())
}

fn answer(
    mut stream: &TcpStream,
    exchanges: u32,
    mut take: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut octet = [0];
    for _ in 0..exchanges {
        stream
            .read_exact(&mut octet)
            .context("there is no request")?;
        // First the application takes charge, then it answers.
        take()?;
        stream.write_all(&octet)?;
    }
    Ok(())
}
