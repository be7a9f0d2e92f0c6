//! Namespaces of a test: the speaker's host and its peer's, and the mounts that daemons want.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use tcpr_cli::bed::{self, Entrance, Pair, Wire};

/// How long one test may take.
const DEADLINE: Duration = Duration::from_secs(120);
/// How long anything that a test waits for may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Our address.
pub(crate) const OURS: &str = "198.18.0.0";
/// The peer's.
pub(crate) const PEER: &str = "198.18.0.1";

/// How often a test kills that kills at random instants.
pub(crate) fn times() -> u32 {
    let times = std::env::var("INJECTOR_TEST_TIMES");
    times.map_or(1, |times| times.parse().unwrap())
}

/// Runs a test in namespaces of its own: this program again, with this test alone.
pub(crate) fn in_bed(test: &str, work: impl FnOnce(&Pair)) {
    if bed::inside() {
        mounts();
        return work(&bed::pair(&Wire::default()).unwrap());
    }
    let mut entrance = Entrance::new(alone(test)).unwrap();
    let command = entrance.command();
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(Stdio::piped());
    judge(test, entrance.spawn().unwrap());
}

/// The arguments by which this program runs one test.
pub(crate) fn alone(test: &str) -> [&str; 5] {
    [
        test,
        "--exact",
        "--include-ignored",
        "--nocapture",
        "--test-threads=1",
    ]
}

/// Waits for a copy of this program, and shows what it printed if it failed.
pub(crate) fn judge(test: &str, mut child: Child) {
    let collect = |mut stream: Box<dyn std::io::Read + Send>| {
        thread::spawn(move || {
            let mut octets = Vec::new();
            // What was read before an error is shown.
            let _ = stream.read_to_end(&mut octets);
            String::from_utf8_lossy(&octets).into_owned()
        })
    };
    let out = collect(Box::new(child.stdout.take().unwrap()));
    let err = collect(Box::new(child.stderr.take().unwrap()));
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if began.elapsed() > DEADLINE * times() {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let (out, err) = (out.join().unwrap(), err.join().unwrap());
    if std::env::var_os("INJECTOR_TEST_SHOW").is_some() {
        println!("{out}\n{err}");
    }
    match status {
        // A name that matches no test would succeed as well.
        Some(status) if status.success() && out.contains("1 passed") => {}
        Some(status) => panic!("in its bed {test} ended with {status}:\n{out}\n{err}"),
        None => panic!("{test} was not done in time:\n{out}\n{err}"),
    }
}

/// Waits until `condition` gives a value; `seen` tells what was there instead.
pub(crate) fn wait_for<T>(
    what: &str,
    mut condition: impl FnMut() -> Option<T>,
    seen: impl FnOnce() -> String,
) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "waited {PATIENCE:?} for {what}; seen last: {}",
            seen()
        );
        thread::sleep(Duration::from_millis(5));
    }
}

/// FRR insists on dropping to user `frr` and on the group `frrvty`, and OpenBGPD on its own user;
/// with one id mapped they can only be that one.
fn mounts() {
    tmpfs("/var/tmp");
    if Path::new("/etc/frr").is_dir() {
        tmpfs("/etc/frr");
        fs::write("/etc/frr/vtysh.conf", "").unwrap();
    }
    fs::create_dir_all("/run/frr").unwrap();
    let files = [
        (
            "passwd",
            "root:x:0:0:root:/root:/bin/sh\nfrr:x:0:0::/run/frr:/bin/false\n\
             _openbgpd:x:0:0::/run/openbgpd:/bin/false\n",
        ),
        ("group", "root:x:0:\nfrr:x:0:\nfrrvty:x:0:root,frr\n"),
    ];
    for (name, text) in files {
        let file = format!("/run/{name}");
        fs::write(&file, text).unwrap();
        let target = format!("/etc/{name}");
        let none: Option<&str> = None;
        mount(
            Some(file.as_str()),
            target.as_str(),
            none,
            MsFlags::MS_BIND,
            none,
        )
        .unwrap();
    }
}

/// An empty folder in memory.
pub(crate) fn tmpfs(target: &str) {
    let kind = Some("tmpfs");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(kind, target, kind, flags, Some("mode=0755")).unwrap();
}
