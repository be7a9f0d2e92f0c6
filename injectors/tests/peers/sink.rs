//! A peer that only reads, quicker than a router.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use injectors::speaker::message::{Message, Open, complete, decode, keepalive};
use tcpr_cli::bed::Host;

use crate::bed::{PATIENCE, PEER};

/// A sink of AS 65002 at the peer's host, for one connection.
pub(crate) struct Sink {
    open: mpsc::Receiver<()>,
    end_of_rib: mpsc::Receiver<(u64, usize)>,
}

impl Sink {
    pub(crate) fn start(host: &Host) -> Sink {
        let listener = host.run(|| TcpListener::bind((PEER, 179)).unwrap());
        let (opened, open) = mpsc::channel();
        let (ended, end_of_rib) = mpsc::channel();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            read(stream, &opened, &ended);
        });
        Sink { open, end_of_rib }
    }

    /// Waits until the speaker's OPEN is there.
    pub(crate) fn wait_open(&self) {
        self.open.recv_timeout(PATIENCE).unwrap();
    }

    /// Waits for End-of-RIB: how many prefixes were announced until then, those that were twice
    /// counted twice, and in how many octets.
    pub(crate) fn wait_end_of_rib(&self) -> (u64, usize) {
        self.end_of_rib
            .recv_timeout(PATIENCE + Duration::from_secs(40))
            .unwrap()
    }
}

/// How often it sends a KEEPALIVE at least: what hangs on input happens then, as it does with any
/// peer whose hold time is not 0.
const KEEPALIVE: Duration = Duration::from_millis(100);

/// Reads until the connection ends.
fn read(mut stream: TcpStream, opened: &mpsc::Sender<()>, ended: &mpsc::Sender<(u64, usize)>) {
    let open = Open {
        asn: 65002,
        hold_time_s: 0,
        router_id: "192.0.2.2".parse().unwrap(),
        four_octet_as: true,
        ipv4_unicast: true,
        graceful_restart: None,
    };
    stream.peek(&mut [0]).unwrap();
    opened.send(()).unwrap();
    stream.write_all(&open.to_octets()).unwrap();
    stream.write_all(&keepalive()).unwrap();
    stream.set_read_timeout(Some(KEEPALIVE)).unwrap();
    let (mut octets, mut all, mut prefixes) = (Vec::new(), 0, 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match stream.read(&mut buffer) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => return,
            Ok(count) => octets.extend_from_slice(&buffer[..count]),
        }
        let mut at = 0;
        while let Some(length) = complete(&octets[at..]).unwrap() {
            let message = &octets[at..at + length];
            at += length;
            all += length;
            // RFC 4724, section 2: an UPDATE of nothing.
            if length == 23 {
                let _ = ended.send((prefixes, all));
            } else if let Message::Update(update) = decode(message, true).unwrap() {
                prefixes += update.announced.len() as u64;
            }
        }
        octets.drain(..at);
        let _ = stream.write_all(&keepalive());
    }
}
