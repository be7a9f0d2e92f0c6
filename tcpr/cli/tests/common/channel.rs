//! The side channel by hand: requests as anyone could write them.

use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use tcpr::Refusal;
use tcpr::protocol::udp::{self, FromServer, Key};
use tcpr::protocol::{Ask, Message, PROTOCOL_VERSION, Reply, Request, line, read_message};

use super::trial::{KEY, Trial};

const PATIENCE: Duration = Duration::from_secs(15);

/// A stream of requests, written by hand.
pub(crate) struct Hand {
    stream: BufReader<UnixStream>,
    id: u64,
}

impl Hand {
    pub(crate) fn open(trial: &Trial) -> Hand {
        let stream = UnixStream::connect(trial.served.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Hand {
            stream: BufReader::new(stream),
            id: 0,
        }
    }

    pub(crate) fn greeted(trial: &Trial) -> Hand {
        let mut hand = Hand::open(trial);
        let version = PROTOCOL_VERSION;
        let reply = hand.ask(Request::Hello { version });
        assert!(matches!(reply, Reply::Welcome { .. }), "{reply:?}");
        hand
    }

    pub(crate) fn write(&mut self, octets: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(octets)
    }

    /// The next reply; notices are passed over.
    pub(crate) fn reply(&mut self) -> Reply {
        loop {
            let mut text = Vec::new();
            self.stream.read_until(b'\n', &mut text).unwrap();
            match read_message(&text).unwrap() {
                Message::Answer(answer) => return answer.reply,
                Message::Notice(_) => {}
            }
        }
    }

    pub(crate) fn ask(&mut self, request: Request) -> Reply {
        self.id += 1;
        let ask = Ask {
            id: self.id,
            request,
        };
        self.write(&line(&ask)).unwrap();
        self.reply()
    }

    pub(crate) fn refusal(&mut self, request: Request) -> Refusal {
        match self.ask(request.clone()) {
            Reply::Refused(refusal) => refusal,
            reply => panic!("{request:?} is not refused: {reply:?}"),
        }
    }
}

/// Datagrams, sealed by hand, from the peer's host.
pub(crate) struct Post {
    pub(crate) socket: UdpSocket,
    pub(crate) sealer: udp::Client,
    id: u64,
}

impl Post {
    pub(crate) fn open(trial: &Trial, key: &[u8]) -> Post {
        let socket = trial
            .peer_host()
            .run(|| UdpSocket::bind("0.0.0.0:0").unwrap());
        socket.connect(trial.udp).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        Post {
            socket,
            sealer: udp::Client::new(Key::new(key).unwrap()),
            id: 0,
        }
    }

    pub(crate) fn with_session(trial: &Trial) -> Post {
        let mut post = Post::open(trial, KEY);
        post.begin();
        let started = Instant::now();
        while !post.sealer.is_open() {
            assert!(started.elapsed() < PATIENCE, "no session");
            post.receive();
        }
        let hello = Request::Hello {
            version: PROTOCOL_VERSION,
        };
        assert!(matches!(post.ask(hello), Reply::Welcome { .. }));
        post
    }

    pub(crate) fn begin(&mut self) {
        self.sealer.begin(udp::fresh_nonce().unwrap());
        self.send(self.sealer.unanswered().unwrap());
    }

    pub(crate) fn send(&self, datagram: &[u8]) {
        self.socket.send(datagram).unwrap();
    }

    /// Takes one datagram, if one comes. Gives the message, if it is one.
    pub(crate) fn receive(&mut self) -> Option<Message> {
        let mut buffer = vec![0; 1 << 16];
        let n = self.socket.recv(&mut buffer).ok()?;
        match self.sealer.take(&buffer[..n]).unwrap() {
            FromServer::Send(datagram) => {
                self.socket.send(&datagram).unwrap();
                None
            }
            FromServer::Message(octets) => Some(read_message(octets).unwrap()),
            FromServer::Opened | FromServer::Stale | FromServer::Nothing => None,
        }
    }

    pub(crate) fn seal(&mut self, request: Request) -> Vec<u8> {
        self.id += 1;
        let ask = Ask {
            id: self.id,
            request,
        };
        self.sealer.seal(&line(&ask)).unwrap()
    }

    pub(crate) fn ask(&mut self, request: Request) -> Reply {
        let datagram = self.seal(request);
        self.send(&datagram);
        let started = Instant::now();
        loop {
            if let Some(Message::Answer(answer)) = self.receive() {
                assert_eq!(answer.id, self.id);
                return answer.reply;
            }
            assert!(started.elapsed() < PATIENCE, "no answer");
        }
    }
}
