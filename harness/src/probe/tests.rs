//! Both ends of the probe over the loopback device, each test on an address of its own.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::unix::thread::JoinHandleExt;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use results::probe::{Arrival, INTERVAL_NS, Record, Tick, read};

use super::sender::ProbeSocket;
use super::*;
use crate::signal::Signals;

const LIMIT: Duration = Duration::from_secs(10);

/// Waits for what `seen` gives, and says what was waited for if it never comes.
fn until<T>(what: &str, mut seen: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(value) = seen() {
            return value;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}

fn receiver(address: SocketAddrV4, record: &Path) -> JoinHandle<Result<(), ReceiverError>> {
    let path = record.to_owned();
    let thread = std::thread::spawn(move || receive(address, &path));
    until("the receiver's record", || record.exists().then_some(()));
    thread
}

/// As the lab does, but that the receiver is a thread here.
fn end(thread: JoinHandle<Result<(), ReceiverError>>) {
    // SAFETY: the thread has not been joined, so that its handle is one.
    let told = unsafe { libc::pthread_kill(thread.as_pthread_t(), libc::SIGTERM) };
    assert_eq!(told, 0);
    thread.join().unwrap().unwrap();
}

fn send_for(ticks: u32, to: Ipv4Addr, record: PathBuf) -> Record<Tick> {
    let sockets = [0, 3].map(|node| ProbeSocket::open(node, 64).unwrap());
    let (signals, mut found) = Signals::channel();
    let sender = ProbeSender::start(sockets.into(), to, record.clone(), signals).unwrap();
    until("ticks", || {
        let record: Record<Tick> = read(&record).unwrap();
        (record.rows.len() > ticks as usize).then_some(())
    });
    assert_eq!(sender.stop(), None);
    assert_eq!(found.try_recv().ok(), None);
    let record = read(&record).unwrap();
    assert_eq!(record.broken, []);
    record
}

#[test]
fn every_probe_that_was_sent_is_received_and_both_records_are_complete() {
    let temp = tempfile();
    let to = Ipv4Addr::new(127, 98, 0, 1);
    let received = temp.join("received.csv");
    let thread = receiver(SocketAddrV4::new(to, PORT), &received);
    let sent = send_for(40, to, temp.join("sent.csv"));
    end(thread);

    assert_eq!(sent.end.unwrap().rows, sent.rows.len() as u64);
    for (i, tick) in sent.rows.iter().enumerate() {
        assert_eq!(tick.number, i as u32);
        assert_eq!(
            tick.due_mono_ns,
            sent.rows[0].due_mono_ns + i as u64 * INTERVAL_NS
        );
        assert_eq!(tick.refused, []);
    }
    let arrived: Record<Arrival> = read(&received).unwrap();
    assert_eq!((arrived.broken.len(), arrived.end.unwrap().dropped), (0, 0));
    let told: Vec<(u32, u16)> = arrived.rows.iter().map(|a| (a.number, a.node)).collect();
    let expected: Vec<(u32, u16)> = sent
        .rows
        .iter()
        .flat_map(|t| [(t.number, 0), (t.number, 3)])
        .collect();
    assert_eq!(told, expected);
    for a in &arrived.rows {
        let tick = &sent.rows[a.number as usize];
        let began_ns = tick.due_mono_ns + tick.late_ns;
        assert!((began_ns..=began_ns + tick.took_ns).contains(&a.sent_mono_ns));
    }
    std::fs::remove_dir_all(temp).unwrap();
}

#[test]
fn a_refusal_is_recorded_as_the_kernel_names_it_and_the_next_tick_comes() {
    let temp = tempfile();
    // Without SO_BROADCAST the kernel refuses.
    let sent = send_for(12, Ipv4Addr::BROADCAST, temp.join("sent.csv"));
    assert!(sent.rows.len() > 12);
    for tick in sent.rows {
        let refused: Vec<(u16, &str)> = tick
            .refused
            .iter()
            .map(|r| (r.node, &r.errno[..]))
            .collect();
        assert_eq!(refused, [(0, "EACCES"), (3, "EACCES")]);
    }
    std::fs::remove_dir_all(temp).unwrap();
}

#[test]
fn nobody_listening_fails_no_later_probe() {
    let temp = tempfile();
    // The loopback device answers each with an ICMP error.
    let sent = send_for(12, Ipv4Addr::new(127, 98, 0, 2), temp.join("sent.csv"));
    assert!(sent.rows.iter().all(|t| t.refused.is_empty()), "{sent:?}");
    std::fs::remove_dir_all(temp).unwrap();
}

#[test]
fn a_probe_is_in_the_file_soon_and_what_is_none_is_not() {
    let temp = tempfile();
    let address = SocketAddrV4::new(Ipv4Addr::new(127, 98, 0, 3), PORT);
    let received = temp.join("received.csv");
    let thread = receiver(address, &received);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let payload = Payload {
        node: 7,
        number: 9,
        sent_mono_ns: 11,
    };
    let octets = payload.to_octets();
    socket.send_to(&octets[..19], address).unwrap();
    socket
        .send_to(b"FLAP\0\x02 of another make", address)
        .unwrap();
    socket.send_to(&octets, address).unwrap();
    let rows = until("the row, without an end of the process", || {
        let record: Record<Arrival> = read(&received).unwrap();
        (!record.rows.is_empty()).then_some(record.rows)
    });
    assert_eq!((rows.len(), rows[0].node, rows[0].number), (1, 7, 9));
    end(thread);
    let record: Record<Arrival> = read(&received).unwrap();
    let end = record.end.unwrap();
    assert_eq!((end.rows, end.dropped), (1, 0));
    std::fs::remove_dir_all(temp).unwrap();
}

#[test]
fn what_the_kernel_drops_for_want_of_buffer_is_counted() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    setsockopt(&socket, sockopt::RcvBuf, &4096).unwrap();
    let to = socket.local_addr().unwrap();
    assert_eq!(receiver::dropped(&socket).unwrap(), 0);
    let sender = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    for _ in 0..200 {
        sender.send_to(&[0; DATAGRAM], to).unwrap();
    }
    socket.set_nonblocking(true).unwrap();
    let kept = std::iter::from_fn(|| socket.recv(&mut [0; DATAGRAM]).ok()).count();
    assert!(kept < 200, "the buffer is small");
    let dropped = receiver::dropped(&socket).unwrap();
    assert_eq!(dropped, 200 - kept as u64);
}

#[test]
fn an_address_that_is_taken_is_told_and_no_record_is_made() {
    let temp = tempfile();
    let address = SocketAddrV4::new(Ipv4Addr::new(127, 98, 0, 4), PORT);
    let _taken = UdpSocket::bind(address).unwrap();
    let received = temp.join("received.csv");
    let error = receive(address, &received).unwrap_err().to_string();
    assert!(error.contains("127.98.0.4:4098"), "{error}");
    assert!(!received.exists());
    std::fs::remove_dir_all(temp).unwrap();
}

#[test]
fn a_payload_is_read_as_it_was_written() {
    let payload = Payload {
        node: 0x0102,
        number: 0x0304_0506,
        sent_mono_ns: 0x0708_090a_0b0c_0d0e,
    };
    assert_eq!(
        payload.to_octets(),
        *b"FLAP\0\x01\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e"
    );
    assert_eq!(Payload::parse(&payload.to_octets()), Some(payload));
    assert_eq!(Payload::parse(&[0; DATAGRAM]), None);
    assert_eq!(Payload::parse(&[]), None);
}

/// A folder of the test's own.
fn tempfile() -> PathBuf {
    let mut template = std::env::temp_dir();
    template.push("flaplab-probe-XXXXXX");
    nix::unistd::mkdtemp(&template).unwrap()
}
