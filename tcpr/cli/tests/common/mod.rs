//! What the tests on real kernels share.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub(crate) mod application;
pub(crate) mod channel;
pub(crate) mod kernel;
pub(crate) mod octets;
pub(crate) mod peer;
pub(crate) mod recording;
pub(crate) mod trial;

use std::io::Read;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use tcpr_cli::bed::{self, Entrance};

/// How long one test may take in its bed.
const DEADLINE: Duration = Duration::from_secs(150);

/// How often everything is killed that is killed at random: `TCPR_TEST_TIMES=10` is ten times as
/// often as usual.
pub(crate) fn times() -> u32 {
    let times = std::env::var("TCPR_TEST_TIMES");
    times.map_or(1, |times| times.parse().unwrap())
}

/// The name of the test function that it stands in.
#[macro_export]
macro_rules! test_name {
    () => {{
        fn here() {}
        fn name_of<T>(_: T) -> &'static str {
            std::any::type_name::<T>()
        }
        let name = name_of(here);
        let name = name.strip_suffix("::here").unwrap();
        name.split_once("::").unwrap().1
    }};
}

/// Runs the rest of a test in a bed: this program again, in namespaces of its own, with this test
/// alone. What it prints is shown if it fails. `TCPR_BED_SHOW=1` shows it at once.
pub(crate) fn in_bed(test: &str, work: impl FnOnce()) {
    if bed::inside() {
        return work();
    }
    let mut entrance = Entrance::new([
        test,
        "--exact",
        "--include-ignored",
        "--nocapture",
        "--test-threads=1",
    ])
    .unwrap();
    let show = std::env::var_os("TCPR_BED_SHOW").is_some();
    if !show {
        entrance
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    }
    let mut child = entrance.spawn().unwrap();
    let out = child.stdout.take().map(collect);
    let err = child.stderr.take().map(collect);
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if started.elapsed() > DEADLINE * times() {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let text = |reader: Option<thread::JoinHandle<String>>| {
        reader.map_or_else(String::new, |r| r.join().unwrap())
    };
    let (out, err) = (text(out), text(err));
    match status {
        // A name that matches no test would succeed as well.
        Some(status) if status.success() && (show || out.contains("1 passed")) => {}
        Some(status) => panic!("in its bed {test} ended with {status}:\n{out}\n{err}"),
        None => panic!("{test} was not done in time:\n{out}\n{err}"),
    }
}

fn collect(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut octets = Vec::new();
        // What was read before an error is shown.
        let _ = stream.read_to_end(&mut octets);
        String::from_utf8_lossy(&octets).into_owned()
    })
}

/// Waits until `condition` gives a value.
pub(crate) fn wait_for<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(
            started.elapsed() < deadline,
            "waited {deadline:?} for {what}"
        );
        thread::sleep(Duration::from_millis(1));
    }
}

/// The program under test.
pub(crate) fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_tcpr").into()
}
