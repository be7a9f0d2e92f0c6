//! The side channel of a real `tcpr serve` under attack, while an application uses it: what is
//! wrong is refused and counted, and connections are unharmed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use common::application;
use common::channel::{Hand, Post};
use common::in_bed;
use common::trial::{KEY, Setup, Trial, Victim};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tcpr::protocol::{
    Ask, ChannelCounters, Fault, Message, PROTOCOL_VERSION, Reply, Request, line,
};
use tcpr::{Ending, Hard, Refusal};

const MUCH: u64 = 4_000_000;
const PATIENCE: Duration = Duration::from_secs(15);

#[test]
#[ignore = "the process that the other tests kill"]
fn application() {
    application::main();
}

fn counters(hand: &mut Hand) -> ChannelCounters {
    match hand.ask(Request::Counters) {
        Reply::Counters { channel, .. } => channel,
        reply => panic!("{reply:?}"),
    }
}

/// The attack may take time to arrive.
fn wait_for_counters(trial: &Trial, what: &str, enough: impl Fn(&ChannelCounters) -> bool) {
    let mut hand = Hand::greeted(trial);
    common::wait_for(what, PATIENCE, || {
        enough(&counters(&mut hand)).then_some(())
    });
}

/// A connection with octets both ways, and one recovery behind it.
fn trial() -> Trial {
    let mut trial = Trial::start(Setup::default());
    trial.wait_for_progress(MUCH);
    trial.torment(Victim::Application, 1);
    trial.wait_for_incarnation(1);
    trial
}

/// It goes on as if nothing had been.
fn unharmed(mut trial: Trial) {
    trial.wait_for_progress(MUCH);
    trial.torment(Victim::Application, 3);
    trial.wait_for_progress(MUCH);
    trial.finish();
}

#[test]
fn requests_that_cannot_be_right_change_nothing() {
    in_bed(test_name!(), || {
        let trial = trial();
        let summary = trial.summary();
        let (flow, hard) = (summary.flow, summary.hard);
        let mut hand = Hand::greeted(&trial);
        let before = counters(&mut hand);
        let recover = |change: &dyn Fn(&mut Hard)| {
            let mut hard = hard;
            change(&mut hard);
            let hard = Box::new(hard);
            Request::Recover { hard }
        };
        let refusal = hand.refusal(recover(&|hard| hard.incarnation = 0));
        assert!(
            matches!(
                refusal,
                Refusal::OlderIncarnation {
                    given: 0,
                    current: 1
                }
            ),
            "{refusal}"
        );
        let refusal = hand.refusal(recover(&|hard| {
            hard.incarnation += 1;
            hard.checkpoint = 1;
        }));
        assert!(
            matches!(refusal, Refusal::BackwardCheckpoint { given: 1, .. }),
            "{refusal}"
        );
        let refusal = hand.refusal(recover(&|hard| {
            hard.incarnation += 1;
            hard.checkpoint = u64::MAX;
        }));
        assert_eq!(refusal, Refusal::Impossible);
        let refusal = hand.refusal(recover(&|hard| {
            hard.incarnation += 1;
            hard.checkpoint += 1 << 40;
        }));
        assert!(
            matches!(refusal, Refusal::CheckpointBeyondInput { .. }),
            "{refusal}"
        );
        let refusal = hand.refusal(recover(&|hard| {
            hard.incarnation += 1;
            hard.ours.initial ^= 1;
        }));
        assert_eq!(refusal, Refusal::OtherConnection);
        let mut older = hard;
        older.incarnation = 0;
        let resume = Request::Register {
            flow,
            hard: Some(Box::new(older)),
        };
        let refusal = hand.refusal(resume);
        assert!(
            matches!(refusal, Refusal::OlderIncarnation { .. }),
            "{refusal}"
        );
        let refusal = hand.refusal(Request::Checkpoint { flow, offset: 1 });
        assert!(
            matches!(refusal, Refusal::BackwardCheckpoint { given: 1, .. }),
            "{refusal}"
        );
        let offset = summary.received + (1 << 40);
        let refusal = hand.refusal(Request::Checkpoint { flow, offset });
        assert!(
            matches!(refusal, Refusal::CheckpointBeyondInput { .. }),
            "{refusal}"
        );
        let refusal = hand.refusal(Request::DoneWriting { flow, written: 1 });
        assert!(
            matches!(refusal, Refusal::EndBeforeSent { given: 1, .. }),
            "{refusal}"
        );
        let mut unknown = flow;
        unknown.remote.set_port(1);
        for request in [
            Request::Register {
                flow: unknown,
                hard: None,
            },
            Request::Checkpoint {
                flow: unknown,
                offset: 0,
            },
            Request::DoneReading { flow: unknown },
            Request::Done { flow: unknown },
            Request::Abort { flow: unknown },
        ] {
            assert_eq!(hand.refusal(request), Refusal::Unknown);
        }
        assert_eq!(counters(&mut hand).refused, before.refused + 14);
        let after = trial.summary().hard;
        assert_eq!(
            (after.incarnation, after.delta),
            (hard.incarnation, hard.delta)
        );
        unharmed(trial);
    });
}

#[test]
fn lines_that_are_none_are_told_so() {
    in_bed(test_name!(), || {
        let trial = trial();
        let malformed = |hand: &mut Hand, octets: &[u8]| {
            hand.write(octets).unwrap();
            let reply = hand.reply();
            let told = matches!(
                reply,
                Reply::Faulty(Fault::Malformed { .. } | Fault::TooLong { .. } | Fault::HelloFirst)
            );
            assert!(
                told,
                "{:?}: {reply:?}",
                String::from_utf8_lossy(&octets[..octets.len().min(80)])
            );
        };
        let mut hand = Hand::greeted(&trial);
        let deep = [b"[".repeat(10_000), b"\n".to_vec()].concat();
        let long = [b"x".repeat(1_000_000), b"\n".to_vec()].concat();
        let lines: [&[u8]; 8] = [
            b"\n",
            b"{}\n",
            b"{\"id\":1}\n",
            b"{\"id\":-1,\"request\":\"list\"}\n",
            b"{\"id\":1,\"request\":\"explode\"}\n",
            b"\xff\xfe\x00\n",
            &deep,
            &long,
        ];
        for octets in lines {
            malformed(&mut hand, octets);
        }
        // The same channel is of use still.
        let counted = counters(&mut hand);
        assert!(counted.malformed >= lines.len() as u64, "{counted:?}");
        let mut hand = Hand::open(&trial);
        malformed(&mut hand, b"{\"id\":1,\"request\":\"list\"}\n");
        let mut hand = Hand::open(&trial);
        let version = PROTOCOL_VERSION + 1;
        let reply = hand.ask(Request::Hello { version });
        let spoken = PROTOCOL_VERSION;
        assert_eq!(
            reply,
            Reply::Faulty(Fault::Version {
                given: version,
                spoken
            })
        );
        wait_for_counters(&trial, "the other version", |c| c.other_version == 1);
        // Gone in the middle of a line.
        Hand::greeted(&trial).write(b"{\"id\":1,\"requ").unwrap();
        unharmed(trial);
    });
}

#[test]
fn datagrams_with_another_key_or_seen_before_change_nothing() {
    in_bed(test_name!(), || {
        let trial = trial();
        let summary = trial.summary();
        let mut thief = Post::open(&trial, b"octets that only one end knows of");
        thief.begin();
        assert_eq!(thief.receive(), None);
        assert!(!thief.sealer.is_open());
        wait_for_counters(&trial, "the wrong key", |c| c.wrong_key >= 1);

        let mut post = Post::with_session(&trial);
        // Harmful, and refused: were a copy taken, it would be counted as refused once more.
        let hard = Box::new(Hard {
            incarnation: 0,
            ..summary.hard
        });
        let datagram = post.seal(Request::Recover { hard });
        post.send(&datagram);
        let refused = |post: &mut Post| {
            let message = post.receive()?;
            assert!(matches!(message, Message::Answer(_)), "{message:?}");
            Some(())
        };
        common::wait_for("the refusal", PATIENCE, || refused(&mut post));
        let mut hand = Hand::greeted(&trial);
        let before = counters(&mut hand);
        for _ in 0..50 {
            post.send(&datagram);
        }
        // From elsewhere, too.
        let other = Post::open(&trial, KEY);
        for _ in 0..50 {
            other.send(&datagram);
        }
        wait_for_counters(&trial, "the repetitions", |c| {
            c.replayed >= before.replayed + 50 && c.unknown_session >= before.unknown_session + 50
        });
        assert_eq!(counters(&mut hand).refused, before.refused);

        // Another octet in each place in turn.
        let fresh = post.seal(Request::Abort { flow: summary.flow });
        for at in 0..fresh.len() {
            let mut changed = fresh.clone();
            changed[at] ^= 1;
            post.send(&changed);
        }
        let seen = fresh.len() as u64;
        let bad = |c: &ChannelCounters| {
            c.wrong_key + c.malformed + c.other_version + c.unknown_session + c.replayed
        };
        let so_far = bad(&before) + 100;
        wait_for_counters(&trial, "the changed ones", |c| bad(c) >= so_far + seen);
        assert_eq!(trial.summary().phase, tcpr::Phase::Live);
        unharmed(trial);
    });
}

/// How long a flood lasts.
const FLOOD: Duration = Duration::from_secs(2);

/// Sends garbage, and what looks like the beginning of a session, as fast as it can.
fn flood_with_datagrams(post: &Post) -> u64 {
    let mut random = StdRng::seed_from_u64(1);
    let datagrams: Vec<Vec<u8>> = (0..256)
        .map(|number| {
            let mut datagram = vec![0; random.random_range(0..1400)];
            random.fill(&mut datagram[..]);
            if number % 2 == 0 {
                datagram.resize(102, 0);
                datagram[..6].copy_from_slice(b"TCPR\x01\x01");
            }
            datagram
        })
        .collect();
    let started = Instant::now();
    let mut sent = 0;
    for datagram in datagrams.iter().cycle() {
        if started.elapsed() > FLOOD {
            break;
        }
        // That the receiver's buffer is full is what a flood is for.
        let _ = post.socket.send(datagram);
        sent += 1;
    }
    sent
}

/// Opens channels, asks, and reads no answer.
fn flood_with_channels(path: &Path) -> u64 {
    let hello = line(&Ask {
        id: 1,
        request: Request::Hello {
            version: PROTOCOL_VERSION,
        },
    });
    let mut streams = Vec::new();
    let started = Instant::now();
    let mut opened = 0;
    // Those that are dead still are heard to their end.
    while started.elapsed() < FLOOD && opened < 1500 {
        let Ok(mut stream) = UnixStream::connect(path) else {
            continue;
        };
        opened += 1;
        stream.set_nonblocking(true).unwrap();
        let _ = stream.write(&hello);
        let _ = stream.write(&b"{\"id\":2,\"request\":\"list\"}\n".repeat(20));
        if opened % 2 == 0 {
            streams.push(stream);
        }
    }
    opened
}

#[test]
fn floods_harm_nobody() {
    in_bed(test_name!(), || {
        let mut trial = trial();
        let post = Post::open(&trial, KEY);
        let path = trial.served.socket().to_owned();
        let before = trial.peer.info().tcpi_bytes_received;
        let (sent, opened) = thread::scope(|scope| {
            let datagrams = scope.spawn(|| flood_with_datagrams(&post));
            let channels = scope.spawn(|| flood_with_channels(&path));
            (datagrams.join().unwrap(), channels.join().unwrap())
        });
        trial.assert_well();
        let during = trial.peer.info().tcpi_bytes_received - before;
        println!("{sent} datagrams, {opened} channels, {during} octets meanwhile");
        assert!(
            sent > 20_000 && opened > 100,
            "{sent} and {opened} make no flood"
        );
        assert!(
            during > MUCH,
            "{during} octets have passed during the flood"
        );
        wait_for_counters(&trial, "the flood", |c| {
            c.malformed > 1000 && c.wrong_key > 1000
        });
        unharmed(trial);
    });
}

#[test]
fn who_has_the_key_may_end_a_connection_and_both_ends_learn_it() {
    in_bed(test_name!(), || {
        let trial = Trial::start(Setup {
            silent: true,
            deaf: true,
            ..Setup::default()
        });
        const CLOSED: u8 = 7;
        let flow = trial.summary().flow;
        let mut post = Post::with_session(&trial);
        assert_eq!(post.ask(Request::Abort { flow }), Reply::Ok);
        let reply = post.ask(Request::Show { flow });
        let gone = match &reply {
            Reply::Show { connection } => connection.ending == Some(Ending::Aborted),
            Reply::Refused(Refusal::Unknown) => true,
            _ => false,
        };
        assert!(gone, "{reply:?}");
        // The peer was reset: that its socket is in error is as it should be, here only.
        common::wait_for("the peer's reset", PATIENCE, || {
            (trial.peer.info().tcpi_state == CLOSED).then_some(())
        });
    });
}
