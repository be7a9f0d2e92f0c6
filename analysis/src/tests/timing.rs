//! How long the analysis of a generated study takes, and what its report and figures look like:
//! `cargo test -p analysis --release -- --ignored --nocapture generated`.

use std::time::Instant;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use topologies::{FailureKind, Strategy};

use super::disk::{campaign, manifest, write_run};
use super::network::{Story, clique};
use crate::frame::{Frame, Update};
use crate::{analyze, measure_run};

/// A correlated failure of 16 routers that try their ways at random, up to about a minute after
/// `delay_s`, with the records and updates of a real one.
fn generated(rng: &mut ChaCha8Rng, delay_s: f64) -> Frame {
    let topology = clique(16, true);
    let mut story = Story::settled(topology.clone());
    story.frame.dead_link = Some(0);
    story.frame.end_ns = ((delay_s + 80.0) * 1e9) as u64;
    let names: Vec<String> = topology.routers().map(|r| r.name.clone()).collect();
    for (i, name) in names.iter().enumerate() {
        let peers: Vec<&str> = topology
            .ends(name)
            .map(|e| e.peer)
            .filter(|p| *p != "injector")
            .collect();
        let mut t_s = delay_s;
        let end_s = delay_s + rng.random_range(55.0..68.0);
        while t_s < end_s {
            t_s = ((t_s + rng.random_range(0.5..6.0)) * 1e6_f64).round() / 1e6;
            story.turn(t_s, name, peers[rng.random_range(0..peers.len())]);
            for peer in topology.ends(name).map(|e| e.peer) {
                let withdraws = rng.random_bool(0.2);
                story.frame.updates.push(Update {
                    t_ns: (t_s * 1e9) as i64,
                    from: i,
                    to: super::network::index(&topology, peer),
                    advertisements: u32::from(!withdraws),
                    withdrawals: u32::from(withdraws),
                });
            }
        }
        let last = if name == "r2" { "injector" } else { "r2" };
        story.turn(t_s + 0.5, name, last);
    }
    story.frame.records.sort_by_key(|r| r.t_ns);
    story.frame
}

#[test]
#[ignore = "a measurement, to be looked at: run it by name, in release"]
fn a_generated_study_of_the_16_clique() {
    let temp = tempfile::tempdir().unwrap();
    let campaign = campaign(temp.path());
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let runs = 50;
    let mut first = None;
    for i in 0..runs {
        for (strategy, delay_s) in [(Strategy::None, 0.0), (Strategy::GracefulRestart, 100.0)] {
            let frame = generated(&mut rng, delay_s);
            let mut m = manifest(&frame.topology, strategy, i);
            m.failure = FailureKind::Correlated;
            m.topology = "b-clique".to_owned();
            let dir = write_run(&campaign, &frame, m);
            first.get_or_insert((dir, frame.records.len(), frame.updates.len()));
        }
    }
    let (dir, records, updates) = first.unwrap();
    let start = Instant::now();
    let run = measure_run(&dir);
    println!(
        "one run: {records} records, {updates} updates: {:?}",
        start.elapsed()
    );
    assert!(run.valid, "{:?}", run.findings);
    let start = Instant::now();
    let report = analyze(campaign.path()).unwrap();
    println!("{} runs: {:?}\n\n{report}", 2 * runs, start.elapsed());
    println!("kept in {}", temp.keep().display());
}
