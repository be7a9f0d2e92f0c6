//! `tcpr proxy` is killed and started again: both peers see one connection each, and octets pass
//! once, in order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use common::octets::{Octets, from_application, from_peer};
use common::{in_bed, program, times, wait_for};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tcpr_cli::bed::{self, Pair, Served, Throwaway, Wire};

const PATIENCE: Duration = Duration::from_secs(60);
const LISTEN: u16 = 6000;
const TO: u16 = 7000;

struct Proxy {
    pair: Pair,
    listen: SocketAddr,
    to: SocketAddr,
    socket: String,
    process: Option<Throwaway>,
    random: StdRng,
}

impl Proxy {
    fn start_new(pair: &Pair, served: &Served) -> Proxy {
        Proxy::start_at(pair, served, pair.app.v4(), pair.peer.v4())
    }

    fn start_at(pair: &Pair, served: &Served, at: IpAddr, to: IpAddr) -> Proxy {
        let seed = std::env::var("TCPR_TEST_SEED")
            .map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
        println!("TCPR_TEST_SEED={seed}");
        let mut proxy = Proxy {
            pair: pair.clone(),
            listen: SocketAddr::new(at, LISTEN),
            to: SocketAddr::new(to, TO),
            socket: served.socket().display().to_string(),
            process: None,
            random: StdRng::seed_from_u64(seed),
        };
        proxy.start();
        proxy.wait_until_it_listens();
        proxy
    }

    fn start(&mut self) {
        let said = OpenOptions::new()
            .create(true)
            .append(true)
            .open("/run/proxy.log")
            .unwrap();
        let mut command = self.pair.app.command(program());
        command
            .args(["proxy", "--state", "/run/state", "--socket", &self.socket])
            .args(["--listen", &self.listen.to_string()])
            .args(["--to", &self.to.to_string()])
            .env("TCPR_LOG", "info")
            .stdin(Stdio::null())
            .stderr(said);
        self.process = Some(Throwaway(command.spawn().unwrap()));
    }

    fn kill(&mut self) {
        if let Some(process) = &mut self.process
            && let Some(status) = process.0.try_wait().unwrap()
        {
            panic!("tcpr proxy ended with {status}; it said:\n{}", said());
        }
        self.process = None;
    }

    fn wait_until_it_listens(&self) {
        wait_for("the proxy", PATIENCE, || {
            said().contains("tcpr proxy: from").then_some(())
        });
    }

    fn sleep(&mut self, most_micros: u64) {
        thread::sleep(Duration::from_micros(
            self.random.random_range(0..most_micros),
        ));
    }
}

fn said() -> String {
    fs::read_to_string("/run/proxy.log").unwrap_or_default()
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("the proxy said:\n{}", said());
        }
    }
}

/// Pairs through which octets may pass: those that are being put together are reset by a crash.
fn joined() -> usize {
    let entries = fs::read_dir("/run/state").unwrap();
    let texts = entries.filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok());
    texts.filter(|text| text.contains("\"joined\"")).count()
}

/// Records of pairs.
fn recorded() -> usize {
    let entries = fs::read_dir("/run/state").unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".pair.json")).count()
}

/// One end of a connection: any error of its socket fails the test.
struct End {
    stream: TcpStream,
    writer: JoinHandle<()>,
    reader: JoinHandle<()>,
    received: Arc<AtomicU64>,
}

impl End {
    /// Sends so many octets and closes; receives so many.
    fn start(stream: TcpStream, send: (Octets, u64), receive: (Octets, u64)) -> End {
        let received = Arc::new(AtomicU64::new(0));
        let mut output = stream.try_clone().unwrap();
        let writer = thread::spawn(move || {
            let (octets, len) = send;
            let mut sent = 0;
            while sent < len {
                let some = octets.from(sent, (len - sent).min(1 << 16) as usize);
                sent += output.write(some).expect("an end writes") as u64;
            }
            output.shutdown(Shutdown::Write).expect("an end closes");
        });
        let mut input = stream.try_clone().unwrap();
        let count = Arc::clone(&received);
        let reader = thread::spawn(move || {
            let (octets, len) = receive;
            let mut buffer = vec![0; 1 << 16];
            loop {
                let n = input.read(&mut buffer).expect("an end reads");
                if n == 0 {
                    break;
                }
                octets.check(count.load(Relaxed), &buffer[..n]);
                count.fetch_add(n as u64, Relaxed);
            }
            assert_eq!(count.load(Relaxed), len, "octets received");
        });
        End {
            stream,
            writer,
            reader,
            received,
        }
    }

    fn join(self) {
        wait_for("the end of the streams", PATIENCE, || {
            (self.writer.is_finished() && self.reader.is_finished()).then_some(())
        });
        self.writer.join().unwrap();
        self.reader.join().unwrap();
        assert!(self.stream.take_error().unwrap().is_none());
    }
}

fn server(pair: &Pair) -> TcpListener {
    let address = SocketAddr::new(pair.peer.v4(), TO);
    pair.peer.run(|| TcpListener::bind(address).unwrap())
}

fn connect(pair: &Pair) -> TcpStream {
    let address = SocketAddr::new(pair.app.v4(), LISTEN);
    pair.peer.run(|| TcpStream::connect(address).unwrap())
}

/// Connections through the proxy, each with both its ends.
fn ends(pair: &Pair, listener: &TcpListener, lens: &[(u64, u64)]) -> Vec<End> {
    let mut ends = Vec::new();
    for (at, &(forth, back)) in lens.iter().enumerate() {
        let near = connect(pair);
        let (far, _) = listener.accept().unwrap();
        wait_for("the record", PATIENCE, || (joined() > at).then_some(()));
        ends.push(End::start(
            near,
            (from_peer(), forth),
            (from_application(), back),
        ));
        ends.push(End::start(
            far,
            (from_application(), back),
            (from_peer(), forth),
        ));
    }
    ends
}

fn received(ends: &[End]) -> u64 {
    ends.iter().map(|end| end.received.load(Relaxed)).sum()
}

fn wire() -> Wire {
    Wire {
        rate_bits: Some(400_000_000),
        ..Wire::default()
    }
}

#[test]
fn many_connections_at_once_outlive_the_proxy_that_is_killed_at_random_instants() {
    in_bed(test_name!(), || {
        let pair = bed::pair(&wire()).unwrap();
        let mut served = Served::start(&pair.app, &program(), [""; 0]).unwrap();
        let listener = server(&pair);
        let mut proxy = Proxy::start_new(&pair, &served);
        // Some end early, and are half closed for a while.
        let lens = [
            (20_000_000, 20_000_000),
            (0, 15_000_000),
            (15_000_000, 0),
            (1_000_000, 18_000_000),
            (3, 20_000_000),
            (25_000_000, 25_000_000),
        ];
        let ends = ends(&pair, &listener, &lens);
        for _ in 0..40 * times() {
            let most = if proxy.random.random_bool(0.3) {
                10_000
            } else {
                100_000
            };
            proxy.sleep(most);
            proxy.kill();
            proxy.start();
        }
        served.check().unwrap();
        ends.into_iter().for_each(End::join);
        wait_for("the records' end", PATIENCE, || {
            (recorded() == 0).then_some(())
        });
        proxy.kill();
        let told = said();
        assert!(told.contains("recovered"), "{told}");
        assert!(!told.contains("reset:"), "{told}");
    });
}

#[test]
fn hundreds_of_connections_over_ipv6_are_recovered_at_once() {
    in_bed(test_name!(), || {
        let pair = bed::pair(&wire()).unwrap();
        let served = Served::start(&pair.app, &program(), [""; 0]).unwrap();
        let (app, peer) = (pair.app.v6(), pair.peer.v6());
        let listener = pair.peer.run(|| TcpListener::bind((peer, TO)).unwrap());
        let mut proxy = Proxy::start_at(&pair, &served, app, peer);
        let mut connections = Vec::new();
        for at in 0..300 {
            let near = pair.peer.run(|| TcpStream::connect((app, LISTEN)).unwrap());
            let (far, _) = listener.accept().unwrap();
            wait_for("the record", PATIENCE, || (joined() > at).then_some(()));
            connections.push((near, far));
        }
        for round in 0..4_u8 {
            for (near, far) in &mut connections {
                near.write_all(&[round; 3]).unwrap();
                far.write_all(&[round; 5]).unwrap();
            }
            proxy.kill();
            proxy.start();
            for (near, far) in &mut connections {
                let (mut forth, mut back) = ([0; 3], [0; 5]);
                far.read_exact(&mut forth).unwrap();
                near.read_exact(&mut back).unwrap();
                assert_eq!((forth, back), ([round; 3], [round; 5]));
            }
        }
        drop(connections);
        wait_for("the records' end", PATIENCE, || {
            (recorded() == 0).then_some(())
        });
        proxy.kill();
    });
}

#[test]
fn tcpr_and_the_proxy_are_lost_together() {
    in_bed(test_name!(), || {
        let pair = bed::pair(&wire()).unwrap();
        let mut served = Served::start(&pair.app, &program(), [""; 0]).unwrap();
        let listener = server(&pair);
        let mut proxy = Proxy::start_new(&pair, &served);
        let ends = ends(
            &pair,
            &listener,
            &[(15_000_000, 15_000_000), (2_000_000, 20_000_000)],
        );
        for _ in 0..6 * times() {
            let before = received(&ends);
            wait_for("octets", PATIENCE, || {
                let now = received(&ends);
                (now > before + 400_000 || now == 52_000_000 * 2).then_some(())
            });
            proxy.sleep(20_000);
            proxy.kill();
            served.restart().unwrap();
            proxy.start();
        }
        ends.into_iter().for_each(End::join);
        wait_for("the records' end", PATIENCE, || {
            (recorded() == 0).then_some(())
        });
        proxy.kill();
        assert!(!said().contains("reset:"), "{}", said());
    });
}

#[test]
fn a_reset_of_one_leg_is_one_of_the_other() {
    in_bed(test_name!(), || {
        let pair = bed::pair(&Wire::default()).unwrap();
        let served = Served::start(&pair.app, &program(), [""; 0]).unwrap();
        let listener = server(&pair);
        let mut proxy = Proxy::start_new(&pair, &served);
        // While the proxy lives, and while it does not.
        for dead in [false, true] {
            let mut near = connect(&pair);
            let (mut far, _) = listener.accept().unwrap();
            near.write_all(b"octets").unwrap();
            far.read_exact(&mut [0; 6]).unwrap();
            wait_for("the record", PATIENCE, || (joined() == 1).then_some(()));
            if dead {
                proxy.kill();
            }
            reset(near);
            if dead {
                proxy.start();
            }
            let error = far.read(&mut [0; 6]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            wait_for("the record's end", PATIENCE, || {
                (recorded() == 0).then_some(())
            });
        }
    });
}

#[test]
fn who_cannot_be_passed_on_is_reset() {
    in_bed(test_name!(), || {
        let pair = bed::pair(&Wire::default()).unwrap();
        let served = Served::start(&pair.app, &program(), [""; 0]).unwrap();
        let proxy = Proxy::start_new(&pair, &served);
        let address = SocketAddr::new(pair.app.v4(), LISTEN);
        // The reset may come before the connection has been used, or even handed over.
        let read = pair
            .peer
            .run(|| TcpStream::connect(address).and_then(|mut near| near.read(&mut [0; 6])));
        assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(recorded(), 0);
        drop(proxy);
    });
}

#[test]
fn a_pair_that_was_being_put_together_when_the_proxy_died_is_reset() {
    in_bed(test_name!(), || {
        let pair = bed::pair(&Wire::default()).unwrap();
        let served = Served::start(&pair.app, &program(), [""; 0]).unwrap();
        let listener = server(&pair);
        let mut proxy = Proxy::start_new(&pair, &served);
        let mut near = connect(&pair);
        let (mut far, _) = listener.accept().unwrap();
        wait_for("the record", PATIENCE, || (joined() == 1).then_some(()));
        proxy.kill();
        // As if it had died a moment earlier.
        let entries = fs::read_dir("/run/state")
            .unwrap()
            .map(|entry| entry.unwrap().path());
        for path in entries.filter(|path| path.to_string_lossy().ends_with(".pair.json")) {
            let mut record: serde_json::Value =
                serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            let flow = |of: &str| record["stage"]["joined"][of]["hard"]["flow"].clone();
            let joining =
                serde_json::json!({"accepted": flow("accepted"), "opened": flow("opened")});
            record["stage"] = serde_json::json!({ "joining": joining });
            fs::write(&path, record.to_string()).unwrap();
        }
        proxy.start();
        for end in [&mut near, &mut far] {
            let error = end.read(&mut [0; 6]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
        wait_for("the record's end", PATIENCE, || {
            (recorded() == 0).then_some(())
        });
    });
}

#[test]
fn state_of_another_proxy_and_a_port_in_use_are_told() {
    in_bed(test_name!(), || {
        let pair = bed::pair(&Wire::default()).unwrap();
        let served = Served::start(&pair.app, &program(), [""; 0]).unwrap();
        let run = |listen: &str, socket: &str| {
            let mut command = pair.app.command(program());
            command.args(["proxy", "--state", "/run/state", "--to", "198.18.0.1:7000"]);
            let output = command
                .args(["--listen", listen, "--socket", socket])
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(1));
            String::from_utf8(output.stderr).unwrap()
        };
        let socket = served.socket().display().to_string();
        let told = run("198.18.0.0:6000", "/run/nowhere.sock");
        assert!(told.contains("is `tcpr serve` running there?"), "{told}");
        let address = SocketAddr::new(pair.app.v4(), LISTEN);
        let taken = pair.app.run(|| TcpListener::bind(address).unwrap());
        let told = run("198.18.0.0:6000", &socket);
        assert!(
            told.contains("cannot listen at 198.18.0.0:6000: is another program there?"),
            "{told}"
        );
        drop(taken);
        let listener = server(&pair);
        let mut proxy = Proxy::start_new(&pair, &served);
        let told = run("198.18.0.0:6001", &socket);
        assert!(told.contains("is in use by process"), "{told}");
        let _near = connect(&pair);
        let _far = listener.accept().unwrap();
        wait_for("the record", PATIENCE, || (recorded() == 1).then_some(()));
        proxy.kill();
        let told = run("198.18.0.0:6001", &socket);
        assert!(
            told.contains("/run/state holds 1 connections of a proxy from 198.18.0.0:6000"),
            "{told}"
        );
        assert!(Path::new("/run/state").exists());
    });
}

/// Closes a connection with a reset.
fn reset(stream: TcpStream) {
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
}
