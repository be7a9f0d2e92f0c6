//! `tcpr check` on captures of real kernels, and on files of other kinds.
//!
//! `TCPR_TEST_SEED` repeats the instants of a test that has failed, as far as the machine does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
mod files;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use common::application::{self, Role};
use common::recording::Recording;
use common::trial::{Placement, Setup, Trial, Victim};
use common::{in_bed, program};
use serde_json::{Value, json};
use tcpr_cli::bed::{self, Wire};

/// More than any window.
const MUCH: u64 = 4_000_000;
const CAPTURE: &str = "/run/peer.pcap";

#[test]
#[ignore = "the process that the other tests kill"]
fn application() {
    application::main();
}

fn check(file: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.arg("check").arg(file).args(arguments);
    command.output().unwrap()
}

/// The verdict, and the exit code.
fn verdict(file: &Path, arguments: &[&str]) -> (Value, Option<i32>) {
    let output = check(file, &[arguments, &["--json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.stderr.is_empty(), "{said}");
    (
        serde_json::from_slice(&output.stdout).unwrap(),
        output.status.code(),
    )
}

/// Something is killed again and again, and the capture at the peer shows one TCP all the same.
fn unnoticed(setup: Setup, victim: Victim, times: u32) {
    let setup = Setup {
        recorded: Some(CAPTURE),
        ..setup
    };
    let mut trial = Trial::start(setup);
    let (ours, peers) = (trial.job.local, trial.job.remote);
    trial.wait_for_progress(MUCH);
    trial.torment(victim, times);
    trial.wait_for_progress(MUCH);
    let recording = trial.recording.take().unwrap();
    let totals = trial.finish();
    let file = recording.stop();
    let at = peers.ip().to_string();
    let flow = format!("{ours}-{peers}");
    let arguments = ["--connection", &flow, "--at", &at, "--complete"];
    let (verdict, code) = verdict(&file, &arguments);
    assert_eq!(code, Some(0), "{verdict:#}");
    assert_eq!(verdict["violations"], 0);
    let courses = verdict["verdict"]["connections"].as_array().unwrap();
    let course = courses.last().unwrap();
    assert_eq!(course["ending"], "closed");
    let octets = |end: usize| course["ends"][end]["octets"].as_u64().unwrap();
    assert!(octets(0) + octets(1) >= totals.sent + totals.received);
}

fn wire() -> Wire {
    Wire {
        rate_bits: Some(80_000_000),
        ..Wire::default()
    }
}

#[test]
fn a_peer_of_an_application_that_is_killed_sees_one_tcp() {
    in_bed(test_name!(), || {
        let setup = Setup {
            wire: wire(),
            ..Setup::default()
        };
        unnoticed(setup, Victim::Application, 30);
    });
}

#[test]
fn a_peer_that_connects_over_ipv6_and_loses_segments_sees_one_tcp() {
    in_bed(test_name!(), || {
        let setup = Setup {
            wire: Wire {
                loss_permille: 5,
                ..wire()
            },
            role: Role::Connect,
            v6: true,
            ..Setup::default()
        };
        unnoticed(setup, Victim::Application, 20);
    });
}

#[test]
fn a_peer_behind_a_middlebox_sees_one_tcp() {
    in_bed(test_name!(), || {
        let setup = Setup {
            wire: wire(),
            placement: Placement::Middlebox,
            ..Setup::default()
        };
        unnoticed(setup, Victim::Application, 20);
    });
}

#[test]
fn a_peer_sees_one_tcp_though_tcpr_is_killed() {
    in_bed(test_name!(), || {
        let setup = Setup {
            wire: wire(),
            ..Setup::default()
        };
        unnoticed(setup, Victim::Server, 20);
    });
}

#[test]
fn a_peer_sees_one_tcp_though_tcpr_and_the_application_are_killed() {
    in_bed(test_name!(), || {
        let setup = Setup {
            wire: wire(),
            ..Setup::default()
        };
        unnoticed(setup, Victim::Both, 20);
    });
}

#[test]
fn without_tcpr_the_peer_sees_a_reset_and_another_connection() {
    in_bed(test_name!(), || {
        let pair = bed::pair(&wire()).unwrap();
        let recording = Recording::start(&pair.peer, Path::new(CAPTURE));
        let remote = SocketAddr::new(pair.peer.v4(), 6000);
        let listener = pair.peer.run(|| TcpListener::bind(remote).unwrap());
        let connect = || {
            let ours = pair.app.run(|| TcpStream::connect(remote).unwrap());
            (ours, listener.accept().unwrap().0)
        };
        // As the kernel closes the sockets of a process that is killed: with input unread, and read.
        let (ours, mut peers) = connect();
        peers.write_all(&[1; 1000]).unwrap();
        ours.peek(&mut [0; 1000]).unwrap();
        drop(ours);
        assert!(peers.read(&mut [0; 10]).is_err(), "a reset");
        let (mut ours, mut peers) = connect();
        ours.write_all(&[2; 1000]).unwrap();
        drop(ours);
        peers.read_to_end(&mut Vec::new()).unwrap();
        drop(peers);
        let file = recording.stop();
        let (verdict, code) = verdict(&file, &["--at", &remote.ip().to_string(), "--complete"]);
        assert_eq!(code, Some(0), "each is a sound TCP: {verdict:#}");
        let courses = verdict["verdict"]["connections"].as_array().unwrap();
        let endings: Vec<_> = courses.iter().map(|course| &course["ending"]).collect();
        let by_us = courses[0]["ends"][0]["address"].clone();
        assert_eq!(endings, [&json!({ "reset": by_us }), &json!("closed")]);
    });
}

#[test]
fn plain_tcp_that_loses_many_segments_is_clean() {
    in_bed(test_name!(), || {
        let wire = Wire {
            loss_permille: 20,
            ..wire()
        };
        let pair = bed::pair(&wire).unwrap();
        let recording = Recording::start(&pair.peer, Path::new(CAPTURE));
        let remote = SocketAddr::new(pair.peer.v4(), 6000);
        let listener = pair.peer.run(|| TcpListener::bind(remote).unwrap());
        let ours = pair.app.run(|| TcpStream::connect(remote).unwrap());
        let (peers, _) = listener.accept().unwrap();
        let octets: Vec<u8> = (0..4_000_000_u32).map(|at| (at % 251) as u8).collect();
        thread::scope(|scope| {
            for stream in [&ours, &peers] {
                let (mut writer, mut reader) = (stream, stream);
                let octets = &octets;
                scope.spawn(move || {
                    writer.write_all(octets).unwrap();
                    writer.shutdown(Shutdown::Write).unwrap();
                });
                scope.spawn(move || {
                    let mut heard = Vec::new();
                    reader.read_to_end(&mut heard).unwrap();
                    assert!(&heard == octets);
                });
            }
        });
        let file = recording.stop();
        let at = remote.ip().to_string();
        let (verdict, code) = verdict(&file, &["--at", &at, "--complete"]);
        assert_eq!(code, Some(0), "{verdict:#}");
        let course = &verdict["verdict"]["connections"][0];
        let sent: u64 = (0..2)
            .map(|end| course["ends"][end]["octets"].as_u64().unwrap())
            .sum();
        assert!(sent > 8_000_000, "nothing was sent again: {sent}");
    });
}
