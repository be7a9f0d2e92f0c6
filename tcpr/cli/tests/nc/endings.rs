//! What is said and left when there is no going on, or none without repetition.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::process::Stdio;

use tcpr_cli::bed::{self, Served, Throwaway, Wire};

use crate::command::{Nc, PATIENCE, PORT, fifo, listen, nothing_is_left, said};
use crate::common::octets::from_peer;
use crate::common::{in_bed, program, wait_for};
use crate::test_name;

#[test]
fn standard_output_gets_everything_at_least_once_and_it_is_said() {
    in_bed(test_name!(), || {
        let pair = bed::pair(&Wire::default()).unwrap();
        let served = Served::start(&pair.app, &program(), [""; 0]).unwrap();
        let (path, _fifo) = fifo();
        let listener = listen(&pair);
        let (host, port) = (pair.peer.v4().to_string(), PORT.to_string());
        let nc = Nc::new(&pair, &served, &[&host, &port], &path);
        let mut expected = 0;
        let mut stream = None;
        for round in 0..5 {
            let mut process = Throwaway(nc.spawn(Stdio::piped()));
            let mut out = process.0.stdout.take().unwrap();
            let peer = stream.get_or_insert_with(|| listener.accept().unwrap().0);
            let sent = from_peer().from(round * 1000, 1000);
            peer.write_all(sent).unwrap();
            let mut printed = Vec::new();
            let mut buffer = [0; 4096];
            // What was printed and not recorded comes again, and nothing is left out.
            let upto = (round + 1) * 1000;
            while expected < upto {
                let n = out.read(&mut buffer).unwrap();
                assert!(n > 0, "{}", said());
                printed.extend_from_slice(&buffer[..n]);
                let again = (0..=expected).rev().find(|&from| {
                    let wanted = from_peer().from(from, printed.len());
                    wanted.starts_with(&printed) || printed.starts_with(wanted)
                });
                let from = again.expect("what is printed continues what was");
                expected = expected.max(from + printed.len() as u64);
            }
            assert_eq!(expected, upto);
            process.end();
        }
        let told = said();
        assert_eq!(told.matches("at least once").count(), 5, "{told}");
    });
}

#[test]
fn a_connection_that_has_ended_meanwhile_is_told_and_its_record_removed() {
    in_bed(test_name!(), || {
        let pair = bed::pair(&Wire::default()).unwrap();
        let served = Served::start(&pair.app, &program(), [""; 0]).unwrap();
        let (path, mut fifo) = fifo();
        let listener = listen(&pair);
        let (host, port) = (pair.peer.v4().to_string(), PORT.to_string());
        let mut nc = Nc::new(&pair, &served, &[&host, &port, "--out", "/run/out"], &path);
        for dead in [true, false] {
            nc.start();
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"before").unwrap();
            fifo.write_all(b"to the peer").unwrap();
            wait_for("input", PATIENCE, || {
                (fs::read("/run/out").ok()? == b"before").then_some(())
            });
            stream.read_exact(&mut [0; 11]).unwrap();
            if dead {
                nc.kill();
            }
            // A reset: nothing lingers.
            let linger = libc::linger {
                l_onoff: 1,
                l_linger: 0,
            };
            // SAFETY: the kernel reads one structure.
            let set = unsafe {
                libc::setsockopt(
                    stream.as_raw_fd(),
                    libc::SOL_SOCKET,
                    libc::SO_LINGER,
                    (&raw const linger).cast(),
                    size_of_val(&linger) as libc::socklen_t,
                )
            };
            assert_eq!(set, 0);
            drop(stream);
            if dead {
                nc.start();
            }
            let status = nc.join();
            assert_eq!(status.code(), Some(1), "{}", said());
            let told = said();
            assert!(
                told.contains("the peer has reset it (6 octets received, 11 sent"),
                "{told}"
            );
            nothing_is_left();
            fs::remove_file("/run/nc.log").unwrap();
        }
    });
}

#[test]
fn what_is_in_the_way_is_told() {
    in_bed(test_name!(), || {
        let pair = bed::pair(&Wire::default()).unwrap();
        let (path, _fifo) = fifo();
        let run = |arguments: &[&str], socket: &str| {
            let input = OpenOptions::new()
                .read(true)
                .write(true)
                .open(&path)
                .unwrap();
            let mut command = pair.app.command(program());
            command
                .arg("nc")
                .args(arguments)
                .args(["--socket", socket])
                .stdin(input);
            let output = command.output().unwrap();
            assert_eq!(output.status.code(), Some(1));
            String::from_utf8(output.stderr).unwrap()
        };
        let host = pair.app.v4().to_string();
        let all = [
            "-l",
            &host,
            "5000",
            "--record",
            "/run/record",
            "--out",
            "/run/out",
        ];
        let told = run(&all, "/run/nowhere.sock");
        assert!(told.contains("is `tcpr serve` running there?"), "{told}");
        let served = Served::start(&pair.app, &program(), [""; 0]).unwrap();
        let socket = served.socket().display().to_string();
        let _listener = pair
            .app
            .run(|| TcpListener::bind(SocketAddr::new(pair.app.v4(), PORT)).unwrap());
        let told = run(&all, &socket);
        assert!(
            told.contains("cannot listen at") && told.contains("in use"),
            "{told}"
        );
        let closed = [&pair.peer.v4().to_string(), "9", "--record", "/run/record"];
        let told = run(&closed, &socket);
        assert!(
            told.contains("cannot connect to 198.18.0.1:9: Connection refused"),
            "{told}"
        );
        nothing_is_left();
        fs::write("/run/record", "{\"version\":9}").unwrap();
        let told = run(&all, &socket);
        assert!(
            told.contains("is of version 9, and this program reads version 1"),
            "{told}"
        );
        fs::remove_file("/run/record").unwrap();
        // One that runs has its record for itself.
        let listener = listen(&pair);
        let (host, port) = (pair.peer.v4().to_string(), PORT.to_string());
        let mut nc = Nc::new(&pair, &served, &[&host, &port, "--out", "/run/out"], &path);
        nc.start();
        let (_stream, _) = listener.accept().unwrap();
        wait_for("the record", PATIENCE, || {
            fs::read_to_string("/run/record")
                .ok()?
                .contains("open")
                .then_some(())
        });
        let same = [
            &*host,
            &*port,
            "--record",
            "/run/record",
            "--out",
            "/run/out",
        ];
        let told = run(&same, &socket);
        assert!(told.contains("is in use by process"), "{told}");
        nc.kill();
        let other = [
            &*host,
            "5001",
            "--record",
            "/run/record",
            "--out",
            "/run/out",
        ];
        let told = run(&other, &socket);
        assert!(
            told.contains("begun by `tcpr nc 198.18.0.1 5000 --record"),
            "{told}"
        );
        fs::write("/run/out", "").unwrap();
        nc.start();
        wait_for("recovery", PATIENCE, || {
            fs::read_to_string("/run/record")
                .ok()?
                .contains("\"spliced\":1")
                .then_some(())
        });
        nc.assert_well();
    });
}

#[test]
fn sigterm_leaves_the_connection_and_says_how_to_go_on() {
    in_bed(test_name!(), || {
        let pair = bed::pair(&Wire::default()).unwrap();
        let served = Served::start(&pair.app, &program(), [""; 0]).unwrap();
        let (path, mut fifo) = fifo();
        let listener = listen(&pair);
        let (host, port) = (pair.peer.v4().to_string(), PORT.to_string());
        let mut nc = Nc::new(&pair, &served, &[&host, &port, "--out", "/run/out"], &path);
        nc.start();
        let (mut stream, _) = listener.accept().unwrap();
        wait_for("the record", PATIENCE, || {
            fs::read_to_string("/run/record")
                .ok()?
                .contains("open")
                .then_some(())
        });
        // The record is there an instant before the program knows it.
        stream.write_all(b"one ").unwrap();
        wait_for("input", PATIENCE, || {
            (fs::read("/run/out").ok()? == b"one ").then_some(())
        });
        let pid = nc.process.as_ref().unwrap().0.id();
        let pid = nix::unistd::Pid::from_raw(pid as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert_eq!(nc.join().code(), Some(128 + libc::SIGTERM));
        assert!(
            said().contains("The connection waits in TCPR"),
            "{}",
            said()
        );
        stream.write_all(b"two").unwrap();
        nc.start();
        wait_for("input", PATIENCE, || {
            (fs::read("/run/out").ok()? == b"one two").then_some(())
        });
        fifo.write_all(b"output").unwrap();
        let mut octets = [0; 6];
        stream.read_exact(&mut octets).unwrap();
        assert_eq!(&octets, b"output");
    });
}
