//! `tcpr bench throughput`: goodput both ways (figures 21 and 22 of Surton 2014).
//!
//! *Assumes* a machine that is otherwise idle: sender, receiver and TCPR share its cores.
//! *Guarantees* that every round measures each way of protection once, another one first each time;
//! and that a time is counted only after the connection has got up its speed.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use comfy_table::Table;
use serde::{Serialize, Serializer};

use super::ground::{Ground, Link, Protection};
use super::report::{self, Results, number, verdict};
use super::samples::Samples;
use super::statistics::Spread;
use crate::bed::Wire;

/// What is let pass before a time is counted.
const WARM_UP: Duration = Duration::from_millis(300);
/// What is written or read at once, in octets.
const CHUNK: usize = 128 << 10;

/// How goodput is measured.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Shape the wire to this rate, as 1gbit or 100mbit (the study measured on 1 Gbit/s)
    #[arg(long, value_name = "RATE", value_parser = rate, default_value = "1gbit")]
    rate: u64,
    /// Do not shape the wire: as fast as this machine goes
    #[arg(long, conflicts_with = "rate")]
    unshaped: bool,
    /// How often each is measured
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// How long each is measured, in seconds
    #[arg(long, value_name = "S", default_value_t = 1.0, value_parser = super::seconds)]
    seconds: f64,
}

fn rate(text: &str) -> Result<u64, String> {
    let told = || format!("{text:?} is no rate, as 1gbit or 100mbit");
    let lower = text.to_ascii_lowercase();
    let (digits, unit) = ["gbit", "mbit", "kbit"]
        .iter()
        .zip([1_000_000_000_u64, 1_000_000, 1000])
        .find_map(|(name, unit)| Some((lower.strip_suffix(name)?, unit)))
        .ok_or_else(told)?;
    let value: u64 = digits.trim().parse().map_err(|_| told())?;
    let rate = value.checked_mul(unit).ok_or_else(told)?;
    if (1_000_000..=100_000_000_000).contains(&rate) {
        Ok(rate)
    } else {
        Err(format!(
            "{text}: a wire is shaped to 1mbit at least and 100gbit at most"
        ))
    }
}

/// Which way the octets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    ToPeer,
    ToApplication,
}

impl Course {
    fn name(self) -> &'static str {
        match self {
            Course::ToPeer => "to_peer",
            Course::ToApplication => "to_application",
        }
    }
}

const WAYS: [Protection; 4] = [
    Protection::None,
    Protection::Unsafe,
    Protection::Checkpointed,
    Protection::Recovered,
];

/// Goodput in Mbit/s, and its mean's share of that of unprotected TCP.
#[derive(Debug, Clone, Copy, Serialize)]
struct Goodput {
    mbit_per_s: Spread,
    ratio: f64,
}

/// One course, in the order of [`WAYS`].
#[derive(Debug)]
struct Ways([Goodput; 4]);

impl Serialize for Ways {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(WAYS.map(Protection::name).iter().zip(&self.0))
    }
}

/// What was found.
#[derive(Debug, Serialize)]
pub(super) struct Throughput {
    rate_bit_per_s: Option<u64>,
    rounds: u32,
    seconds: f64,
    to_peer: Ways,
    to_application: Ways,
}

impl Results for Throughput {
    const NAME: &'static str = "throughput";

    fn tables(&self) -> Vec<Table> {
        let table = |title: &str, ways: &Ways| {
            let header = [title, "mean", "stddev", "p50", "p90", "p99", "ratio"];
            let rows = WAYS.iter().zip(&ways.0).map(|(way, goodput)| {
                let told = match way {
                    Protection::None => "unprotected TCP",
                    Protection::Unsafe => "TCPR, acknowledgments not held back",
                    Protection::Checkpointed => "TCPR, checkpointed",
                    Protection::Recovered => "TCPR, checkpointed, after a recovery",
                };
                let [name, mean, stddev, p50, p90, p99] =
                    report::spread_row(told, &goodput.mbit_per_s);
                let ratio = format!("{:.3}", goodput.ratio);
                [name, mean, stddev, p50, p90, p99, ratio]
            });
            report::table(header, rows)
        };
        vec![
            table("application to peer, Mbit/s", &self.to_peer),
            table("peer to application, Mbit/s", &self.to_application),
        ]
    }

    fn remarks(&self) -> Vec<String> {
        let wanted = match self.rate_bit_per_s {
            Some(_) => [0.98; 3],
            None => [0.3, 0.3, 0.15],
        };
        let courses = [
            ("to the peer", &self.to_peer),
            ("to the application", &self.to_application),
        ];
        let mut remarks = Vec::new();
        for (course, ways) in courses {
            for ((way, goodput), wanted) in WAYS.iter().zip(&ways.0).skip(1).zip(wanted) {
                let what = format!(
                    "{wanted} of unprotected TCP, {} {course} ({})",
                    way.name(),
                    number(goodput.ratio)
                );
                remarks.push(verdict(&what, goodput.ratio >= wanted));
            }
        }
        remarks
    }
}

/// Measures.
pub(super) fn measure(options: &Options) -> anyhow::Result<(Throughput, Samples)> {
    let mut all = Samples::default();
    let rate_bits = (!options.unshaped).then_some(options.rate);
    let mut ground = Ground::lay(&Wire {
        rate_bits,
        ..Wire::default()
    })?;
    let mut samples: [[Vec<f64>; 4]; 2] = Default::default();
    for round in 0..options.rounds {
        super::tell(&format!("round {} of {}", round + 1, options.rounds));
        for (course, samples) in [Course::ToPeer, Course::ToApplication]
            .into_iter()
            .zip(&mut samples)
        {
            for turn in 0..WAYS.len() {
                let at = (round as usize + turn) % WAYS.len();
                let link = ground.open(WAYS[at])?;
                let goodput = transfer(link, course, Duration::from_secs_f64(options.seconds))
                    .with_context(|| format!("{} ({course:?}) failed", WAYS[at].name()))?;
                all.add(course.name(), WAYS[at].name(), "Mbit/s", round, &[goodput]);
                samples[at].push(goodput);
            }
        }
        ground.served.check()?;
    }
    let [to_peer, to_application] = samples;
    let results = Throughput {
        rate_bit_per_s: rate_bits,
        rounds: options.rounds,
        seconds: options.seconds,
        to_peer: summed_up(to_peer)?,
        to_application: summed_up(to_application)?,
    };
    Ok((results, all))
}

fn summed_up(samples: [Vec<f64>; 4]) -> anyhow::Result<Ways> {
    let [plain, not_held, checkpointed, recovered] = samples;
    let spread = |way: Protection, sample| Spread::of(way.name(), sample);
    let plain = spread(Protection::None, plain)?;
    ensure!(plain.mean > 0.0, "unprotected TCP moved nothing");
    let beside = |mbit_per_s: Spread| Goodput {
        mbit_per_s,
        ratio: mbit_per_s.mean / plain.mean,
    };
    Ok(Ways([
        beside(plain),
        beside(spread(Protection::Unsafe, not_held)?),
        beside(spread(Protection::Checkpointed, checkpointed)?),
        beside(spread(Protection::Recovered, recovered)?),
    ]))
}

/// Goodput in Mbit/s.
fn transfer(mut link: Link, course: Course, time: Duration) -> anyhow::Result<f64> {
    let (application, peer) = (link.application.try_clone()?, link.peer.try_clone()?);
    let (sender, receiver) = match course {
        Course::ToPeer => (application, peer),
        Course::ToApplication => (peer, application),
    };
    sender.set_write_timeout(Some(Duration::from_millis(100)))?;
    let stop = AtomicBool::new(false);
    let goodput = thread::scope(|scope| {
        let sending = scope.spawn(|| send(&sender, &stop));
        let received = receive(&receiver, time, |octets| match course {
            Course::ToPeer => Ok(()),
            Course::ToApplication => link.take(octets),
        });
        stop.store(true, Ordering::Relaxed);
        let sent = match sending.join() {
            Ok(sent) => sent.context("the sender failed"),
            Err(panic) => std::panic::resume_unwind(panic),
        };
        received.and_then(|goodput| sent.map(|()| goodput))
    })?;
    link.end()?;
    Ok(goodput)
}

fn send(mut sender: &TcpStream, stop: &AtomicBool) -> std::io::Result<()> {
    let octets = vec![7; CHUNK];
    while !stop.load(Ordering::Relaxed) {
        match sender.write(&octets) {
            Ok(_) => {}
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn receive(
    mut receiver: &TcpStream,
    time: Duration,
    mut take: impl FnMut(usize) -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    let mut buffer = vec![0; CHUNK];
    let start = Instant::now();
    let mut received = 0_u64;
    let mut counted: Option<(Instant, u64)> = None;
    loop {
        let octets = receiver.read(&mut buffer).context("nothing arrives")?;
        ensure!(octets > 0, "the connection ended");
        let now = Instant::now();
        received += octets as u64;
        take(octets)?;
        match counted {
            None if now >= start + WARM_UP => counted = Some((now, received)),
            Some((since, before)) if now >= since + time => {
                let bits = (received - before) as f64 * 8.0;
                return Ok(bits / (now - since).as_secs_f64() / 1e6);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::rate;

    #[test]
    fn rates_have_units() {
        assert_eq!(rate("1gbit").unwrap(), 1_000_000_000);
        assert_eq!(rate("250 Mbit").unwrap(), 250_000_000);
        for wrong in ["1", "gbit", "1gb", "-1gbit", "1kbit", "99999999999gbit"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
