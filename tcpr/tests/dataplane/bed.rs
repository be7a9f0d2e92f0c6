//! Namespaces for a test, a thread that decides about packets, and TCP connections.
//!
//! *Assumes* that a test calls [`inside`] first. *Guarantees* that nothing is left of it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use tcpr::Pattern;
use tcpr::dataplane::nfqueue::{Nfqueue, Options};
use tcpr::dataplane::{Arrival, Dataplane, Decision};

const INSIDE: &str = "TCPR_TEST_INSIDE";

/// Runs the body of a test in namespaces of its own: the test's program is executed again there,
/// with this test alone.
pub(crate) fn inside(test: &str, body: fn()) {
    if std::env::var_os(INSIDE).is_some() {
        sh("mount -t tmpfs none /run && ip link set lo up && \
            ip addr add 198.18.0.1/32 dev lo && ip addr add 198.18.0.2/32 dev lo && \
            ip -6 addr add 2001:db8::1/128 dev lo nodad && \
            ip -6 addr add 2001:db8::2/128 dev lo nodad");
        return body();
    }
    let output = Command::new("unshare")
        .args(["-Urnm", "--kill-child", "--fork", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare(1) runs; install the package util-linux");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{test}:\n{out}\n{err}");
    // A name with a typing error would run no test, successfully.
    assert!(out.contains("1 passed"), "{test} did not run:\n{out}");
}

/// Runs a shell command and returns its output.
pub(crate) fn sh(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(
        output.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Opens a dataplane that protects these.
pub(crate) fn open(patterns: &[Pattern]) -> Nfqueue {
    let (mut dataplane, found) = Nfqueue::open(&Options::default()).unwrap();
    assert_eq!(found, None);
    dataplane.protect(patterns).unwrap();
    dataplane
}

/// Both families' two addresses, the first with this port, for a listener.
pub(crate) fn both(port: u16) -> [(SocketAddr, SocketAddr); 2] {
    ["198.18.0.", "2001:db8::"].map(|net| {
        let [one, two] = [1, 2].map(|host| format!("{net}{host}").parse().unwrap());
        (SocketAddr::new(one, port), SocketAddr::new(two, 0))
    })
}

/// A thread that takes packets.
pub(crate) struct Pump {
    thread: Option<JoinHandle<Nfqueue>>,
    stop: Arc<AtomicBool>,
}

impl Pump {
    pub(crate) fn start(
        mut dataplane: Nfqueue,
        mut decide: impl FnMut(&mut Arrival<'_>) -> Decision + Send + 'static,
    ) -> Pump {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let mut wait: Vec<PollFd<'_>> = dataplane
                    .descriptors()
                    .into_iter()
                    .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
                    .collect();
                poll(&mut wait, 20u16).unwrap();
                drop(wait);
                dataplane.receive(&mut decide).unwrap();
            }
            dataplane
        });
        Pump {
            thread: Some(thread),
            stop,
        }
    }

    /// Ends it, and gives back what it worked on.
    pub(crate) fn stop(mut self) -> Nfqueue {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

/// Keeps the calling thread, and those it starts from now on, on one processor. The loopback
/// device keeps what is sent in a backlog of the sending processor's: from several, packets would
/// overtake each other before they reach any queue.
pub(crate) fn on_one_processor() {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this).unwrap();
    let first = (0..CpuSet::count()).find(|processor| allowed.is_set(*processor).unwrap());
    let mut one = CpuSet::new();
    one.set(first.unwrap()).unwrap();
    sched_setaffinity(this, &one).unwrap();
}

/// What the kernel says of its queues: number, owner, packets that wait, mode, octets copied of
/// each, packets that found no room in the queue and in its socket, and more.
pub(crate) fn queues() -> Vec<Vec<i64>> {
    let queues = sh("cat /proc/net/netfilter/nfnetlink_queue");
    let columns = |line: &str| {
        line.split_whitespace()
            .map(|c| c.parse().unwrap())
            .collect()
    };
    queues.lines().map(columns).collect()
}

/// Input's own among them.
pub(crate) fn input_queue() -> Vec<i64> {
    let number = i64::from(Options::default().queue);
    let is_inputs = |queue: &Vec<i64>| queue[0] == number;
    queues().into_iter().find(is_inputs).unwrap()
}

/// Opens a connection from an address of `client` to `server`.
pub(crate) fn connect(server: SocketAddr, client: SocketAddr) -> std::io::Result<TcpStream> {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&client.into())?;
    socket.connect_timeout(&server.into(), Duration::from_secs(3))?;
    Ok(socket.into())
}

/// A connection: client's and server's end.
pub(crate) fn pair(server: SocketAddr, client: SocketAddr) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(server).unwrap();
    let near = connect(server, client).unwrap();
    let (far, _) = listener.accept().unwrap();
    for stream in [&near, &far] {
        let limit = Some(Duration::from_secs(20));
        stream.set_read_timeout(limit).unwrap();
        stream.set_write_timeout(limit).unwrap();
    }
    (near, far)
}

/// Sends so many octets one way, and fails unless they arrive as they were.
pub(crate) fn carry(mut from: &TcpStream, mut to: &TcpStream, octets: usize) {
    // The period is a prime: octets at a wrong place differ.
    let pattern: Vec<u8> = (0..65_521u32).map(|n| ((n * n) >> 3) as u8).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut sent = 0;
            while sent < octets {
                let at = sent % pattern.len();
                let end = pattern.len().min(at + octets - sent);
                sent += from.write(&pattern[at..end]).unwrap();
            }
        });
        let mut buffer = vec![0; 65_521];
        let mut received = 0;
        while received < octets {
            let end = buffer.len().min(octets - received);
            let n = to.read(&mut buffer[..end]).unwrap();
            assert_ne!(n, 0, "the stream ended after {received} octets");
            for (i, octet) in buffer[..n].iter().enumerate() {
                let expected = pattern[(received + i) % pattern.len()];
                assert_eq!(*octet, expected, "octet {}", received + i);
            }
            received += n;
        }
    });
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(10), "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
