//! The peer: plain TCP of the kernel, which must not notice anything.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::octets::{Sum, from_application, from_peer};
use super::wait_for;

/// What a peer is told while it runs, and what it tells.
#[derive(Debug, Default)]
pub(crate) struct Controls {
    /// Send no more, and close that direction.
    pub(crate) finish: AtomicBool,
    /// Do not send for now.
    pub(crate) silent: AtomicBool,
    /// Do not read for now.
    pub(crate) deaf: AtomicBool,
    /// Send so many octets and no more, if it is not 0.
    pub(crate) quota: AtomicU64,
    /// Octets sent.
    pub(crate) sent: AtomicU64,
    /// Octets received.
    pub(crate) received: AtomicU64,
    /// The application has closed.
    pub(crate) heard_end: AtomicBool,
    /// The application does not close before we do.
    pub(crate) closes_first: AtomicBool,
    ended: AtomicBool,
}

/// A running peer.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) controls: Arc<Controls>,
    stream: TcpStream,
    writer: JoinHandle<(u64, Sum)>,
    reader: JoinHandle<u64>,
    sentinel: JoinHandle<()>,
}

/// What passed, as the peer saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) sent: u64,
    pub(crate) sum_sent: Sum,
    pub(crate) received: u64,
}

impl Peer {
    /// Sends and receives on a fresh connection until both ends have closed. Any error of the
    /// socket fails the test.
    pub(crate) fn start(stream: TcpStream, controls: Controls) -> Peer {
        let controls = Arc::new(controls);
        let on = |work: fn(TcpStream, &Controls) -> _| {
            let (stream, controls) = (stream.try_clone().unwrap(), Arc::clone(&controls));
            thread::spawn(move || work(stream, &controls))
        };
        let writer = on(write);
        let (clone, shared) = (stream.try_clone().unwrap(), Arc::clone(&controls));
        let reader = thread::spawn(move || read(clone, &shared));
        let (clone, shared) = (stream.try_clone().unwrap(), Arc::clone(&controls));
        let sentinel = thread::spawn(move || watch(&clone, &shared));
        Peer {
            controls,
            stream,
            writer,
            reader,
            sentinel,
        }
    }

    /// What the kernel knows of the connection.
    pub(crate) fn info(&self) -> libc::tcp_info {
        info(&self.stream)
    }

    /// Panics if a part of it has: a wrong octet or an error of its socket.
    pub(crate) fn assert_well(&self) {
        let finish = self.controls.finish.load(Relaxed);
        let closed = finish || !self.controls.closes_first.load(Relaxed);
        let ended = |finished: bool, may: bool, what: &str| {
            assert!(!finished || may, "the peer's {what} ended");
        };
        ended(self.writer.is_finished(), finish, "writer");
        ended(self.reader.is_finished(), closed, "reader");
        ended(self.sentinel.is_finished(), false, "sentinel");
    }

    /// Waits until all has passed.
    pub(crate) fn join(self, deadline: Duration) -> Totals {
        let done = || (self.writer.is_finished() && self.reader.is_finished()).then_some(());
        let described = format!("the peer's end of the stream; {:?}", self.controls);
        wait_for(&described, deadline, done);
        let (sent, sum_sent) = self.writer.join().expect("the peer's writer");
        let received = self.reader.join().expect("the peer's reader");
        self.controls.ended.store(true, Relaxed);
        self.sentinel.join().expect("the peer's sentinel");
        Totals {
            sent,
            sum_sent,
            received,
        }
    }
}

fn write(mut stream: TcpStream, controls: &Controls) -> (u64, Sum) {
    let (mut sent, mut sum) = (0, Sum::default());
    while !controls.finish.load(Relaxed) {
        let left = match controls.quota.load(Relaxed) {
            0 => u64::MAX,
            quota => quota - sent,
        };
        if left == 0 || controls.silent.load(Relaxed) {
            thread::sleep(Duration::from_millis(1));
            continue;
        }
        let octets = from_peer().from(sent, left.min(1 << 16) as usize);
        let n = stream.write(octets).expect("the peer writes");
        sum.add(&octets[..n]);
        sent += n as u64;
        controls.sent.store(sent, Relaxed);
    }
    stream.shutdown(Shutdown::Write).expect("the peer closes");
    (sent, sum)
}

fn read(mut stream: TcpStream, controls: &Controls) -> u64 {
    let mut received = 0;
    let mut buffer = vec![0; 1 << 16];
    loop {
        if controls.deaf.load(Relaxed) {
            thread::sleep(Duration::from_millis(1));
            continue;
        }
        match stream.read(&mut buffer).expect("the peer reads") {
            0 => {
                controls.heard_end.store(true, Relaxed);
                return received;
            }
            n => {
                from_application().check(received, &buffer[..n]);
                received += n as u64;
                controls.received.store(received, Relaxed);
            }
        }
    }
}

/// The socket is never in error, and stays established until the peer itself has closed.
fn watch(stream: &TcpStream, controls: &Controls) {
    const ESTABLISHED: u8 = 1;
    while !controls.ended.load(Relaxed) {
        let state = info(stream).tcpi_state;
        let error = stream.take_error().unwrap();
        assert!(error.is_none(), "the peer's socket is in error: {error:?}");
        assert!(
            state == ESTABLISHED
                || controls.finish.load(Relaxed)
                || !controls.closes_first.load(Relaxed),
            "the peer's socket is in state {state}, and nobody has closed"
        );
        thread::sleep(Duration::from_millis(2));
    }
}

fn info(stream: &TcpStream) -> libc::tcp_info {
    // SAFETY: all zeros is a value of this plain structure.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut len = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` octets into `info`.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut len,
        )
    };
    assert_eq!(result, 0, "TCP_INFO: {}", std::io::Error::last_os_error());
    info
}
