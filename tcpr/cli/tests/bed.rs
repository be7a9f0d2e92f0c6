//! The bed itself: hosts, wires, and that nothing of it stays.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{in_bed, wait_for};
use tcpr_cli::bed::{self, Entrance, Host, Wire};

/// Sends octets from one host to another; returns how long it took until all were read.
fn transfer(from: &Host, to: &Host, address: IpAddr, octets: usize) -> Duration {
    let listener = to.run(|| TcpListener::bind((address, 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    let sink = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut sum = 0;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match stream.read(&mut buffer).unwrap() {
                0 => return sum,
                n => sum += n,
            }
        }
    });
    let started = Instant::now();
    let mut stream = from.run(|| TcpStream::connect(SocketAddr::new(address, port)).unwrap());
    stream.write_all(&vec![7; octets]).unwrap();
    drop(stream);
    assert_eq!(sink.join().unwrap(), octets);
    started.elapsed()
}

#[test]
fn hosts_of_a_pair_talk_over_both_protocols() {
    in_bed(test_name!(), || {
        let pair = bed::pair(&Wire::default()).unwrap();
        transfer(&pair.app, &pair.peer, pair.peer.v4(), 1 << 20);
        transfer(&pair.peer, &pair.app, pair.app.v6(), 1 << 20);
    });
}

#[test]
fn a_wire_is_shaped_as_told() {
    in_bed(test_name!(), || {
        let wire = Wire {
            rate_bits: Some(80_000_000),
            mtu: 1400,
            ..Wire::default()
        };
        let pair = bed::pair(&wire).unwrap();
        for (from, to) in [(&pair.app, &pair.peer), (&pair.peer, &pair.app)] {
            let took = transfer(from, to, to.v4(), 4_000_000);
            // 0.4 s at the rate, less what the bucket lets through at once.
            assert!(took > Duration::from_millis(350), "{took:?}");
        }
    });
}

#[test]
fn a_wire_loses_segments_at_both_ends_as_told() {
    /// Packets lost where they arrived.
    fn lost(host: &Host) -> u64 {
        let rules = host.command("nft").args(["list", "ruleset"]).output();
        let rules = String::from_utf8(rules.unwrap().stdout).unwrap();
        let packets = rules.split("counter packets ").nth(1).unwrap();
        packets.split(' ').next().unwrap().parse().unwrap()
    }
    in_bed(test_name!(), || {
        let wire = Wire {
            loss_permille: 50,
            ..Wire::default()
        };
        let pair = bed::pair(&wire).unwrap();
        wait_for("losses", Duration::from_secs(60), || {
            transfer(&pair.app, &pair.peer, pair.peer.v4(), 1_000_000);
            transfer(&pair.app, &pair.peer, pair.peer.v6(), 1_000_000);
            (lost(&pair.app) > 2 && lost(&pair.peer) > 2).then_some(())
        });
    });
}

#[test]
fn the_spare_host_takes_the_place_of_the_first() {
    in_bed(test_name!(), || {
        let bed = bed::routed(&Wire::default()).unwrap();
        assert_eq!(bed.app.v4(), bed.spare.v4());
        for address in [bed.peer.v4(), bed.peer.v6()] {
            transfer(&bed.app, &bed.peer, address, 1 << 16);
        }
        bed.switch().unwrap();
        for address in [bed.peer.v4(), bed.peer.v6()] {
            transfer(&bed.spare, &bed.peer, address, 1 << 16);
        }
        for address in [bed.spare.v4(), bed.spare.v6()] {
            transfer(&bed.peer, &bed.spare, address, 1 << 16);
        }
    });
}

#[test]
fn commands_and_sysctls_are_the_hosts_own() {
    in_bed(test_name!(), || {
        let pair = bed::pair(&Wire::default()).unwrap();
        pair.app.sysctl("net.ipv4.tcp_sack", "0").unwrap();
        let read = |host: &Host| {
            let output = host
                .command("cat")
                .arg("/proc/sys/net/ipv4/tcp_sack")
                .output();
            String::from_utf8(output.unwrap().stdout).unwrap()
        };
        assert_eq!(read(&pair.app).trim(), "0");
        assert_eq!(read(&pair.peer).trim(), "1");
        let refusal = pair.app.sysctl("net.ipv4.tcp_sack", "many").unwrap_err();
        assert!(
            refusal.to_string().contains("net.ipv4.tcp_sack=many"),
            "{refusal}"
        );
        let panicked = std::panic::catch_unwind(|| pair.app.run(|| panic!("as is wanted")));
        assert!(panicked.is_err());
        assert!(pair.app.path().starts_with("/run/netns"));
    });
}

/// The middle process of the next test: it makes a bed in which a program runs, and waits.
#[test]
#[ignore = "a process of another test"]
fn a_program_in_a_bed() {
    let Some(name) = std::env::var_os("TCPR_TEST_SLEEPER") else {
        return;
    };
    if !bed::inside() {
        let test = "a_program_in_a_bed";
        let mut entrance = Entrance::new([
            test,
            "--exact",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .unwrap();
        entrance.command().stdin(Stdio::null());
        let status = entrance.spawn().unwrap().wait().unwrap();
        std::process::exit(status.code().unwrap());
    }
    let pair = bed::pair(&Wire::default()).unwrap();
    // An orphan, which falls to process 1.
    let mut shell = pair.app.command("sh");
    shell.args([
        "-c",
        "echo; sh -c 'echo ready; while :; do sleep 600; done' \"$0\" & exit 0",
    ]);
    let status = shell.arg(name).status().unwrap();
    assert!(status.success());
    std::thread::sleep(Duration::from_secs(600));
}

/// Command lines of all processes that have `word` among their arguments.
fn processes_with(word: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap();
    let lines = entries.filter_map(|e| std::fs::read(e.unwrap().path().join("cmdline")).ok());
    lines
        .filter(|line| line.split(|b| *b == 0).any(|a| a == word.as_bytes()))
        .count()
}

#[test]
fn nothing_outlives_the_kill_of_the_process_that_made_it() {
    let name = format!("tcpr-bed-sleeper-{}", std::process::id());
    let mut middle = std::process::Command::new(std::env::current_exe().unwrap());
    middle
        .args(["a_program_in_a_bed", "--exact", "--ignored", "--nocapture"])
        .env("TCPR_TEST_SLEEPER", &name)
        .stdout(Stdio::piped());
    let mut middle = middle.spawn().unwrap();
    let lines = BufReader::new(middle.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    assert!(lines.any(|line| line == "ready"), "the program never ran");
    wait_for("the program's name", Duration::from_secs(5), || {
        (processes_with(&name) == 1).then_some(())
    });
    middle.kill().unwrap();
    middle.wait().unwrap();
    wait_for("its end", Duration::from_secs(5), || {
        (processes_with(&name) == 0).then_some(())
    });
}
