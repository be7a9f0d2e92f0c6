//! The program as it is started, killed and looked at.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tcpr_cli::bed::{Host, Pair, Served, Throwaway};

use crate::common::octets::Octets;
use crate::common::peer::Peer;
use crate::common::{program, times, wait_for};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const PORT: u16 = 5000;

/// A command `tcpr nc` that is given again and again.
pub(crate) struct Nc {
    host: Host,
    arguments: Vec<String>,
    pub(crate) input: PathBuf,
    pub(crate) process: Option<Throwaway>,
    pub(crate) random: StdRng,
}

impl Nc {
    pub(crate) fn new(pair: &Pair, served: &Served, arguments: &[&str], input: &Path) -> Nc {
        let seed = std::env::var("TCPR_TEST_SEED")
            .map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
        println!("TCPR_TEST_SEED={seed}");
        let socket = served.socket().display().to_string();
        let ends = ["--record", "/run/record", "--socket", &socket];
        Nc {
            host: pair.app.clone(),
            arguments: arguments
                .iter()
                .chain(&ends)
                .map(ToString::to_string)
                .collect(),
            input: input.to_owned(),
            process: None,
            random: StdRng::seed_from_u64(seed),
        }
    }

    pub(crate) fn spawn(&self, out: Stdio) -> Child {
        let said = OpenOptions::new()
            .create(true)
            .append(true)
            .open("/run/nc.log")
            .unwrap();
        // A FIFO is opened for both, so that it neither waits nor ends.
        let input = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&self.input)
            .unwrap();
        self.host
            .command(program())
            .arg("nc")
            .args(&self.arguments)
            .stdin(input)
            .stdout(out)
            .stderr(said)
            .spawn()
            .unwrap()
    }

    pub(crate) fn start(&mut self) {
        self.process = Some(Throwaway(self.spawn(Stdio::null())));
    }

    pub(crate) fn assert_well(&mut self) {
        if let Some(process) = &mut self.process
            && let Some(status) = process.0.try_wait().unwrap()
        {
            panic!("tcpr nc ended with {status}; it said:\n{}", said());
        }
    }

    pub(crate) fn kill(&mut self) {
        self.assert_well();
        self.process = None;
    }

    /// Kills it, and starts it again, at random instants.
    pub(crate) fn torment(&mut self, kills: u32, peer: &Peer) {
        for _ in 0..kills * times() {
            let most = if self.random.random_bool(0.3) {
                10_000
            } else {
                120_000
            };
            thread::sleep(Duration::from_micros(self.random.random_range(0..most)));
            peer.assert_well();
            self.kill();
            self.start();
        }
    }

    /// Waits for its end.
    pub(crate) fn join(&mut self) -> ExitStatus {
        let mut process = self.process.take().unwrap();
        wait_for("the end of tcpr nc", PATIENCE, || {
            process.0.try_wait().unwrap()
        })
    }
}

pub(crate) fn said() -> String {
    fs::read_to_string("/run/nc.log").unwrap_or_default()
}

pub(crate) fn write_stream(path: &Path, stream: Octets, len: u64) {
    let mut file = File::create(path).unwrap();
    let mut offset = 0;
    while offset < len {
        let octets = stream.from(offset, (len - offset) as usize);
        file.write_all(octets).unwrap();
        offset += octets.len() as u64;
    }
}

pub(crate) fn check_stream(path: &Path, stream: Octets, len: u64) {
    let mut file = File::open(path).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut offset = 0;
    loop {
        let n = file.read(&mut buffer).unwrap();
        if n == 0 {
            break;
        }
        stream.check(offset, &buffer[..n]);
        offset += n as u64;
    }
    assert_eq!(offset, len, "the file's length");
}

pub(crate) fn listen(pair: &Pair) -> TcpListener {
    let address = SocketAddr::new(pair.peer.v4(), PORT);
    pair.peer.run(|| TcpListener::bind(address).unwrap())
}

pub(crate) fn connect(pair: &Pair) -> TcpStream {
    let address = SocketAddr::new(pair.app.v4(), PORT);
    wait_for("the listener", PATIENCE, || {
        let connected = pair.peer.run(|| TcpStream::connect(address));
        // One that came before the listener is reset.
        let stream = connected.ok()?;
        thread::sleep(Duration::from_millis(100));
        stream.take_error().unwrap().is_none().then_some(stream)
    })
}

pub(crate) fn nothing_is_left() {
    for path in [
        "/run/record",
        "/run/record.output",
        "/run/record.lock",
        "/run/record.new",
    ] {
        assert!(!Path::new(path).exists(), "{path} is left");
    }
}

/// A FIFO that neither ends nor waits while this test has it.
pub(crate) fn fifo() -> (PathBuf, File) {
    let path = PathBuf::from("/run/fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    (path, file)
}
