//! A server that says what a script says: over a real Unix socket, or sealed over real UDP.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tcpr::core::{Scales, Stream};
use tcpr::protocol::udp::{FromClient, Key, Limits, Server, Unsealed, fresh_nonce};
use tcpr::protocol::{
    Answer, Ask, Fault, Lines, Message, Notice, PROTOCOL_VERSION, REQUEST_LIMIT, Reply, Request,
    line, read_ask,
};
use tcpr::{Flow, Hard, Phase, Summary};

/// What the server says to a request; nothing at all, or several messages.
pub(crate) type Script = dyn FnMut(&Ask) -> Vec<Message> + Send;

pub(crate) fn hard(number: u16) -> Hard {
    let flow = Flow {
        local: ([127, 0, 0, 1], 1).into(),
        remote: ([127, 0, 0, 1], 20_000 + number).into(),
    };
    Hard {
        peer_mss: 1460,
        scales: Some(Scales {
            ours: 7,
            peers: 7,
            inside: 7,
        }),
        sack: true,
        timestamps: true,
        ..Hard::begin(flow, Stream { initial: 1_000 }, Stream { initial: 5_000 })
    }
}

pub(crate) fn summary(hard: Hard) -> Summary {
    Summary {
        flow: hard.flow,
        phase: Phase::Live,
        phase_age: Duration::from_secs(1),
        registered: true,
        hard,
        sent: 0,
        acked: hard.acked,
        received: 40,
        local_ack: 40,
        window: 65_535,
        peer_window: 65_535,
        held: false,
        ending: None,
    }
}

pub(crate) fn reply(ask: &Ask, reply: Reply) -> Vec<Message> {
    vec![Message::Answer(Answer { id: ask.id, reply })]
}

/// What every server does: the rest of a script.
pub(crate) fn obey(ask: &Ask) -> Vec<Message> {
    match &ask.request {
        Request::Hello { version } if *version == PROTOCOL_VERSION => reply(
            ask,
            Reply::Welcome {
                version: PROTOCOL_VERSION,
                server: "scripted".into(),
            },
        ),
        Request::Hello { version } => reply(
            ask,
            Reply::Faulty(Fault::Version {
                given: *version,
                spoken: PROTOCOL_VERSION,
            }),
        ),
        Request::Register { flow, hard: known } => {
            let known = known.clone().unwrap_or_else(|| {
                Box::new(Hard {
                    flow: *flow,
                    ..hard(0)
                })
            });
            reply(ask, Reply::Registered { hard: known })
        }
        Request::Recover { hard } => reply(
            ask,
            Reply::Recovered {
                hard: hard.clone(),
                base: 17,
            },
        ),
        Request::Show { flow } => reply(
            ask,
            Reply::Show {
                connection: Box::new(summary(Hard {
                    flow: *flow,
                    ..hard(0)
                })),
            },
        ),
        Request::Checkpoint { .. } => vec![],
        _ => reply(ask, Reply::Ok),
    }
}

/// A server on a Unix socket; it ends when it is dropped, as if it were killed.
pub(crate) struct Serving {
    thread: Option<JoinHandle<()>>,
    stop: Arc<Mutex<bool>>,
    asks: Arc<Mutex<Vec<Ask>>>,
}

impl Serving {
    /// One client at a time.
    pub(crate) fn unix(
        path: &Path,
        mut script: impl FnMut(&Ask) -> Vec<Message> + Send + 'static,
    ) -> Serving {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).unwrap();
        listener.set_nonblocking(true).unwrap();
        Serving::start(move |stop, asks| {
            let mut clients: Vec<(UnixStream, Lines)> = Vec::new();
            while !*stop.lock().unwrap() {
                if let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(false).unwrap();
                    stream
                        .set_read_timeout(Some(Duration::from_millis(5)))
                        .unwrap();
                    clients.push((stream, Lines::new(REQUEST_LIMIT)));
                }
                for (stream, lines) in &mut clients {
                    let mut buffer = [0; 4096];
                    let Ok(length) = stream.read(&mut buffer) else {
                        continue;
                    };
                    lines.push(&buffer[..length]);
                    while let Some(next) = lines.line() {
                        let ask = read_ask(next.unwrap()).unwrap();
                        let said: Vec<u8> = script(&ask).iter().flat_map(line).collect();
                        asks.lock().unwrap().push(ask);
                        let _ = stream.write_all(&said);
                    }
                }
                if clients.is_empty() {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        })
    }

    /// Sealed over UDP; `lose` says which datagrams to lose, in both directions.
    pub(crate) fn udp(
        socket: UdpSocket,
        key: Key,
        mut script: impl FnMut(&Ask) -> Vec<Message> + Send + 'static,
        mut lose: impl FnMut() -> bool + Send + 'static,
    ) -> Serving {
        socket
            .set_read_timeout(Some(Duration::from_millis(5)))
            .unwrap();
        Serving::start(move |stop, asks| {
            let mut server = Server::new(key, fresh_nonce().unwrap(), Limits::default());
            let start = Instant::now();
            let mut buffer = vec![0; 64 << 10];
            while !*stop.lock().unwrap() {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                if lose() {
                    continue;
                }
                let mut out = Vec::new();
                match server.take(start.elapsed(), from, &buffer[..length]) {
                    Ok(FromClient::Known { answer }) => out.push(answer),
                    Ok(FromClient::Waiting) => {}
                    Ok(FromClient::Request {
                        session,
                        line: asked,
                    }) => {
                        let ask = read_ask(asked).unwrap();
                        let mut said = script(&ask);
                        if said.is_empty() {
                            said = reply(&ask, Reply::Ok);
                        }
                        for message in said {
                            let text = line(&message);
                            let sealed = match &message {
                                Message::Answer(answer) => {
                                    server.seal_answer(&session, answer.id, &text)
                                }
                                Message::Notice(_) => server.seal_notice(&session, &text),
                            };
                            out.push(sealed.unwrap().1);
                        }
                        asks.lock().unwrap().push(ask);
                    }
                    Err(refused) => {
                        assert_ne!(refused.why, Unsealed::Malformed);
                        out.extend(refused.answer);
                    }
                }
                for datagram in out {
                    if !lose() {
                        let _ = socket.send_to(&datagram, from);
                    }
                }
            }
        })
    }

    fn start(run: impl FnOnce(Arc<Mutex<bool>>, Arc<Mutex<Vec<Ask>>>) + Send + 'static) -> Serving {
        let (stop, asks) = (Arc::new(Mutex::new(false)), Arc::default());
        let (stopping, asked) = (Arc::clone(&stop), Arc::clone(&asks));
        let thread = std::thread::spawn(move || run(stopping, asked));
        Serving {
            thread: Some(thread),
            stop,
            asks,
        }
    }

    /// What was asked until now.
    pub(crate) fn asked(&self) -> Vec<Request> {
        self.asks
            .lock()
            .unwrap()
            .iter()
            .map(|ask| ask.request.clone())
            .collect()
    }

    /// Waits until something was asked.
    pub(crate) fn until(&self, what: &str, found: impl Fn(&[Request]) -> bool) {
        let until = Instant::now() + Duration::from_secs(10);
        while !found(&self.asked()) {
            assert!(
                Instant::now() < until,
                "{what} was not asked: {:?}",
                self.asked()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        *self.stop.lock().unwrap() = true;
        let ended = self.thread.take().unwrap().join();
        assert!(
            ended.is_ok() || std::thread::panicking(),
            "the scripted server has failed"
        );
    }
}

pub(crate) fn notice(notice: Notice) -> Message {
    Message::Notice(notice)
}
