//! `tcpr nc` is killed and started again: octets come to its file once, and to its peer once.
//!
//! `TCPR_TEST_SEED` repeats the instants of a test that has failed, as far as the machine does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command;
#[path = "../common/mod.rs"]
mod common;
mod endings;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use command::{
    Nc, PATIENCE, PORT, check_stream, connect, fifo, listen, nothing_is_left, said, write_stream,
};
use common::octets::{from_application, from_peer};
use common::peer::{Controls, Peer};
use common::{in_bed, program, times, wait_for};
use rand::RngExt;
use tcpr_cli::bed::{self, Served, Wire};

#[test]
fn who_connects_is_killed_at_random_instants_and_a_file_is_sent_and_received_once() {
    in_bed(test_name!(), || {
        let wire = Wire {
            rate_bits: Some(400_000_000),
            ..Wire::default()
        };
        let pair = bed::pair(&wire).unwrap();
        let mut served = Served::start(&pair.app, &program(), [""; 0]).unwrap();
        let (input, out) = (Path::new("/run/in"), Path::new("/run/out"));
        // It ends about half way through, so that a half-closed connection is recovered too.
        let len = 60_000_000;
        write_stream(input, from_application(), len);
        let listener = listen(&pair);
        let host = pair.peer.v4().to_string();
        let port = PORT.to_string();
        let mut nc = Nc::new(&pair, &served, &[&host, &port, "--out", "/run/out"], input);
        nc.start();
        let (stream, _) = listener.accept().unwrap();
        let peer = Peer::start(stream, Controls::default());
        wait_for("octets", PATIENCE, || {
            (peer.controls.received.load(Relaxed) > 100_000).then_some(())
        });
        nc.torment(40, &peer);
        served.check().unwrap();
        assert!(
            !Path::new("/run/record.output").exists(),
            "a file needs no log"
        );
        peer.controls.finish.store(true, Relaxed);
        let status = nc.join();
        assert!(status.success(), "{status}: {}", said());
        let totals = peer.join(PATIENCE);
        assert_eq!(totals.received, len);
        check_stream(out, from_peer(), totals.sent);
        nothing_is_left();
    });
}

#[test]
fn who_listens_is_killed_and_a_pipe_is_logged() {
    in_bed(test_name!(), || {
        let pair = bed::pair(&Wire::default()).unwrap();
        let served = Served::start(&pair.app, &program(), [""; 0]).unwrap();
        let (path, mut fifo) = fifo();
        let host = pair.app.v4().to_string();
        let port = PORT.to_string();
        let mut nc = Nc::new(
            &pair,
            &served,
            &["-l", &host, &port, "--out", "/run/out"],
            &path,
        );
        nc.start();
        let controls = Controls::default();
        controls.quota.store(30_000_000, Relaxed);
        let peer = Peer::start(connect(&pair), controls);
        let mut sent = 0;
        for round in 0..30 * u64::from(times()) {
            // The peer does not read now and then, so that much is sent and not acknowledged.
            peer.controls.deaf.store(round % 3 != 0, Relaxed);
            let len = nc.random.random_range(1..60_000);
            let mut left = len;
            while left > 0 {
                let octets = from_application().from(sent, left);
                fifo.write_all(octets).unwrap();
                sent += octets.len() as u64;
                left -= octets.len();
            }
            // What it has read and not logged when it is killed is lost, and it says so.
            wait_for("the log", PATIENCE, || {
                nc.assert_well();
                (fs::metadata("/run/record.output").ok()?.len() == sent).then_some(())
            });
            thread::sleep(Duration::from_micros(nc.random.random_range(0..3000)));
            nc.kill();
            nc.start();
        }
        peer.controls.deaf.store(false, Relaxed);
        wait_for("all output", PATIENCE, || {
            nc.assert_well();
            (peer.controls.received.load(Relaxed) == sent).then_some(())
        });
        wait_for("all input", PATIENCE, || {
            (fs::metadata("/run/out").unwrap().len() == 30_000_000).then_some(())
        });
        // The end of the input: a pipe without a writer.
        nc.kill();
        nc.input = "/dev/null".into();
        nc.start();
        wait_for("the end", PATIENCE, || {
            peer.controls.heard_end.load(Relaxed).then_some(())
        });
        // Half closed.
        nc.kill();
        nc.start();
        peer.controls.finish.store(true, Relaxed);
        let status = nc.join();
        assert!(status.success(), "{status}: {}", said());
        assert_eq!(peer.join(PATIENCE).received, sent);
        check_stream(Path::new("/run/out"), from_peer(), 30_000_000);
        nothing_is_left();
    });
}

#[test]
fn tcpr_and_nc_are_lost_together() {
    in_bed(test_name!(), || {
        let wire = Wire {
            rate_bits: Some(400_000_000),
            ..Wire::default()
        };
        let pair = bed::pair(&wire).unwrap();
        let mut served = Served::start(&pair.app, &program(), [""; 0]).unwrap();
        let input = Path::new("/run/in");
        write_stream(input, from_application(), 40_000_000);
        let listener = listen(&pair);
        let (host, port) = (pair.peer.v4().to_string(), PORT.to_string());
        let mut nc = Nc::new(&pair, &served, &[&host, &port, "--out", "/run/out"], input);
        nc.start();
        let (stream, _) = listener.accept().unwrap();
        let peer = Peer::start(stream, Controls::default());
        for _ in 0..8 * times() {
            let before = peer.controls.received.load(Relaxed) + peer.controls.sent.load(Relaxed);
            wait_for("octets", PATIENCE, || {
                nc.assert_well();
                let now = peer.controls.received.load(Relaxed) + peer.controls.sent.load(Relaxed);
                (now > before + 500_000).then_some(())
            });
            // Sometimes both, sometimes TCPR alone.
            if nc.random.random_bool(0.6) {
                nc.kill();
                served.restart().unwrap();
                nc.start();
            } else {
                served.restart().unwrap();
            }
        }
        peer.controls.finish.store(true, Relaxed);
        let status = nc.join();
        assert!(status.success(), "{status}: {}", said());
        let totals = peer.join(PATIENCE);
        assert_eq!(totals.received, 40_000_000);
        check_stream(Path::new("/run/out"), from_peer(), totals.sent);
        nothing_is_left();
    });
}
