//! What 500,000 routes cost: `cargo bench -p injectors --bench routes`. It prints routes per second
//! and octets of memory a route; it is a plain program, since a table is told once.

use std::fs;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use injectors::speaker::checkpoint::{Checkpoint, Entry, Header};
use injectors::speaker::config::Source;
use injectors::speaker::rib::AdjRibOut;
use injectors::speaker::source::Sources;
use injectors::speaker::transfer::{Local, Step, Transfer};
use ipnet::Ipv4Net;
use tcpr::Durability;

const ROUTES: u32 = 500_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("peer");
    let header = Header {
        peer: Ipv4Addr::new(198, 18, 0, 1),
        peer_asn: 65001,
        asn: 65000,
        router_id: Ipv4Addr::new(198, 18, 0, 0),
    };
    let filler = Source::Filler {
        first: Ipv4Net::new(Ipv4Addr::new(10, 0, 0, 0), 27)?,
        count: ROUTES,
        rate_per_s: None,
    };
    let sources = Arc::new(Sources::load(&[filler], header.asn)?);
    let local = Local {
        next_hop: header.router_id,
        four_octet_as: true,
    };
    let mut checkpoint = Checkpoint::create(&path, header, Durability::Process)?;
    let mut told = AdjRibOut::new();

    let before = resident_octets()?;
    let began = Instant::now();
    let mut transfer = Transfer::new(Arc::clone(&sources), local, &told);
    while let Step::Send(octets) = transfer.next(&mut told, Instant::now()) {
        checkpoint.append(Entry::Sent(&octets))?;
    }
    report(
        "packed, entered and appended to the checkpoint",
        began.elapsed(),
    );
    let held = resident_octets()?.saturating_sub(before);
    println!(
        "memory: {:.0} octets a route; checkpoint file: {:.1} octets a route",
        held as f64 / f64::from(ROUTES),
        fs::metadata(&path)?.len() as f64 / f64::from(ROUTES)
    );

    let began = Instant::now();
    let restored = Checkpoint::open(&path, header, Durability::Process)?;
    let unacknowledged = restored.sent.octets(restored.sent.end() / 2)?;
    black_box(unacknowledged);
    report("read back, ready to send again", began.elapsed());

    let began = Instant::now();
    let mut told = restored.sent.told()?;
    report("Adj-RIB-Out made again", began.elapsed());

    let began = Instant::now();
    let mut transfer = Transfer::new(sources, local, &told);
    while transfer.next(&mut told, Instant::now()) != Step::Done {}
    report(
        "compared with the configuration, nothing to tell",
        began.elapsed(),
    );

    let began = Instant::now();
    checkpoint.compact(checkpoint.sent(), &told)?;
    report("compacted", began.elapsed());
    Ok(())
}

fn report(what: &str, took: Duration) {
    println!(
        "{:>8.1} ms  {:>12.0} routes/s  {what}",
        took.as_secs_f64() * 1e3,
        f64::from(ROUTES) / took.as_secs_f64()
    );
}

/// Resident memory of this process (proc_pid_statm(5)).
fn resident_octets() -> Result<u64, Box<dyn std::error::Error>> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split(' ').nth(1).ok_or("statm has two fields")?;
    Ok(pages.parse::<u64>()? * 4096)
}
