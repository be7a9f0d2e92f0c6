#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use tcpr_core::{Ending, Flow, Hard, Pattern, Refusal, Scales, Stream};

use super::{Medium, Session};
use crate::protocol::{
    Answer, Ask, Fault, Message, Notice, PROTOCOL_VERSION, Reply, Request, line, read_ask,
};

/// Hard state of the connection with this number.
pub(crate) fn hard(number: u16) -> Hard {
    let flow = Flow {
        local: ([198, 18, 0, 1], 179).into(),
        remote: ([198, 18, 0, 2], 40_000 + number).into(),
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

const PATTERN: Pattern = Pattern::Local(std::net::SocketAddr::V4(std::net::SocketAddrV4::new(
    std::net::Ipv4Addr::new(198, 18, 0, 1),
    179,
)));

/// What the session sends now.
fn sent(session: &mut Session, now: Duration) -> Vec<Ask> {
    std::iter::from_fn(|| session.transmit(now))
        .map(|line| read_ask(&line).unwrap())
        .collect()
}

fn tell(session: &mut Session, now: Duration, message: &Message) {
    session.receive(now, &line(message)).unwrap();
}

fn answer(session: &mut Session, now: Duration, ask: &Ask, reply: Reply) {
    tell(session, now, &Message::Answer(Answer { id: ask.id, reply }));
}

fn welcome() -> Reply {
    Reply::Welcome {
        version: PROTOCOL_VERSION,
        server: "tcpr test".into(),
    }
}

fn greet(session: &mut Session, now: Duration) {
    session.connected(now);
    let asks = sent(session, now);
    assert_eq!(
        asks.len(),
        1,
        "nothing goes before hello is answered: {asks:?}"
    );
    assert_eq!(
        asks[0].request,
        Request::Hello {
            version: PROTOCOL_VERSION
        }
    );
    answer(session, now, &asks[0], welcome());
}

/// A session that has registered a connection.
fn registered(medium: Medium) -> (Session, Hard) {
    let (mut session, hard, now) = (Session::new(medium), hard(1), Duration::ZERO);
    greet(&mut session, now);
    session.request(Request::Protect { pattern: PATTERN });
    session.request(Request::Register {
        flow: hard.flow,
        hard: None,
    });
    let asks = sent(&mut session, now);
    answer(&mut session, now, &asks[0], Reply::Ok);
    answer(
        &mut session,
        now,
        &asks[1],
        Reply::Registered {
            hard: Box::new(hard),
        },
    );
    assert!(sent(&mut session, now).is_empty());
    (session, hard)
}

#[test]
fn after_a_restart_the_server_is_told_the_true_state_before_anything_else() {
    let (mut session, hard) = registered(Medium::Stream);
    let (now, flow) = (Duration::ZERO, hard.flow);
    tell(
        &mut session,
        now,
        &Message::Notice(Notice::Acked { flow, offset: 700 }),
    );
    tell(
        &mut session,
        now,
        &Message::Notice(Notice::Acked { flow, offset: 300 }),
    );
    session.request(Request::DoneReading { flow });
    session.checkpoint(&flow, 55).unwrap();
    let asks = sent(&mut session, now);
    answer(&mut session, now, &asks[1], Reply::Ok);
    // The server dies in mid-request, and a checkpoint is made while it is away.
    let ticket = session.request(Request::DoneWriting { flow, written: 900 });
    assert_eq!(sent(&mut session, now).len(), 1);
    session.disconnected();
    session.checkpoint(&flow, 60).unwrap();
    assert!(sent(&mut session, now).is_empty());
    greet(&mut session, now);
    let asks = sent(&mut session, now);
    assert_eq!(asks[0].request, Request::Protect { pattern: PATTERN });
    let Request::Register {
        hard: Some(told), ..
    } = &asks[1].request
    else {
        panic!("{asks:?}")
    };
    assert_eq!(
        (told.acked, told.checkpoint, told.done_reading),
        (700, 60, true)
    );
    assert_eq!(
        asks.len(),
        2,
        "the request waits until the server knows the connection"
    );
    answer(&mut session, now, &asks[0], Reply::Ok);
    answer(
        &mut session,
        now,
        &asks[1],
        Reply::Registered { hard: told.clone() },
    );
    let asks = sent(&mut session, now);
    let last = asks.last().unwrap();
    assert_eq!(last.request, Request::DoneWriting { flow, written: 900 });
    answer(&mut session, now, last, Reply::Ok);
    assert_eq!(session.reply(ticket), Some(Ok(Reply::Ok)));
    assert_eq!(
        session.connection(&flow).unwrap().hard.done_writing,
        Some(900)
    );
}

#[test]
fn of_checkpoints_that_wait_the_latest_is_sent() {
    let (mut session, hard) = registered(Medium::Stream);
    let (now, flow) = (Duration::ZERO, hard.flow);
    for offset in 1..=1000 {
        session.checkpoint(&flow, offset).unwrap();
    }
    let asks = sent(&mut session, now);
    assert_eq!(
        asks.iter().map(|ask| &ask.request).collect::<Vec<_>>(),
        [&Request::Checkpoint { flow, offset: 1000 }]
    );
    let current = 1000;
    assert_eq!(
        session.checkpoint(&flow, 999),
        Err(Refusal::BackwardCheckpoint {
            given: 999,
            current
        })
    );
    assert_eq!(session.checkpoint(&flow, 1000), Ok(()));
    assert!(
        sent(&mut session, now).is_empty(),
        "the same again is not sent"
    );
}

#[test]
fn a_refused_checkpoint_is_told_by_the_next_and_the_true_one_asked_for() {
    let (mut session, hard) = registered(Medium::Stream);
    let (now, flow) = (Duration::ZERO, hard.flow);
    session.checkpoint(&flow, 10).unwrap();
    session.checkpoint(&hard.flow, 5000).unwrap();
    let asks = sent(&mut session, now);
    let refusal = Refusal::CheckpointBeyondInput {
        given: 5000,
        received: 40,
    };
    answer(&mut session, now, &asks[0], Reply::Refused(refusal));
    let asks = sent(&mut session, now);
    assert_eq!(asks[0].request, Request::Show { flow });
    let mut connection = summary(hard);
    connection.hard.checkpoint = 10;
    answer(
        &mut session,
        now,
        &asks[0],
        Reply::Show {
            connection: Box::new(connection),
        },
    );
    assert_eq!(session.checkpoint(&flow, 20), Err(refusal));
    assert_eq!(session.checkpoint(&flow, 20), Ok(()), "it is told once");
    assert_eq!(session.connection(&flow).unwrap().hard.checkpoint, 20);
}

#[test]
fn notices_keep_the_hard_state_and_never_take_it_back() {
    let (mut session, hard) = registered(Medium::Stream);
    let (now, flow) = (Duration::ZERO, hard.flow);
    let mut next = hard;
    (next.incarnation, next.checkpoint) = (1, 30);
    session.request(Request::Recover {
        hard: Box::new(next),
    });
    let asks = sent(&mut session, now);
    answer(
        &mut session,
        now,
        &asks[0],
        Reply::Recovered {
            hard: Box::new(next),
            base: 12,
        },
    );
    assert!(!session.connection(&flow).unwrap().is_spliced());
    session.checkpoint(&flow, 44).unwrap();
    let spliced = Hard {
        delta: 77,
        spliced: 1,
        ..next
    };
    tell(
        &mut session,
        now,
        &Message::Notice(Notice::Spliced { hard: spliced }),
    );
    // Late, and of the incarnation before.
    tell(
        &mut session,
        now,
        &Message::Notice(Notice::Spliced { hard }),
    );
    let tracked = session.connection(&flow).unwrap();
    assert!(tracked.is_spliced());
    assert_eq!(
        (
            tracked.hard.delta,
            tracked.hard.checkpoint,
            tracked.hard.incarnation
        ),
        (77, 44, 1)
    );
    tell(
        &mut session,
        now,
        &Message::Notice(Notice::Closed {
            flow,
            ending: Ending::Finished,
        }),
    );
    assert_eq!(
        session.connection(&flow).unwrap().ended,
        Some(Ending::Finished)
    );
    // The connection of a zombie: another process has recovered it.
    let stolen = Hard {
        incarnation: 2,
        spliced: 2,
        ..spliced
    };
    tell(
        &mut session,
        now,
        &Message::Notice(Notice::Spliced { hard: stolen }),
    );
    let refused = session.connection(&flow).unwrap().refused;
    assert_eq!(
        refused,
        Some(Refusal::OlderIncarnation {
            given: 1,
            current: 2
        })
    );
    assert!(session.checkpoint(&flow, 50).is_err());
}

#[test]
fn a_recovery_that_began_before_a_restart_goes_on_only_with_the_same_base() {
    for (again, refused) in [(12, None), (13, Some(Refusal::RecoverAgain))] {
        let (mut session, hard) = registered(Medium::Stream);
        let (now, flow) = (Duration::ZERO, hard.flow);
        let next = Hard {
            incarnation: 1,
            ..hard
        };
        session.request(Request::Recover {
            hard: Box::new(next),
        });
        let asks = sent(&mut session, now);
        answer(
            &mut session,
            now,
            &asks[0],
            Reply::Recovered {
                hard: Box::new(next),
                base: 12,
            },
        );
        session.disconnected();
        greet(&mut session, now);
        let asks = sent(&mut session, now);
        assert_eq!(
            asks[1].request,
            Request::Recover {
                hard: Box::new(next)
            }
        );
        answer(
            &mut session,
            now,
            &asks[1],
            Reply::Recovered {
                hard: Box::new(next),
                base: again,
            },
        );
        assert_eq!(session.connection(&flow).unwrap().refused, refused);
    }
}

#[test]
fn another_version_is_told_to_whoever_asks() {
    let mut session = Session::new(Medium::Stream);
    let before = session.request(Request::Counters);
    session.connected(Duration::ZERO);
    let asks = sent(&mut session, Duration::ZERO);
    let fault = Fault::Version {
        given: PROTOCOL_VERSION,
        spoken: 9,
    };
    answer(
        &mut session,
        Duration::ZERO,
        &asks[0],
        Reply::Faulty(fault.clone()),
    );
    let after = session.request(Request::Counters);
    for ticket in [before, after] {
        assert_eq!(session.reply(ticket), Some(Err(fault.clone())));
    }
    assert!(!session.is_open() && sent(&mut session, Duration::ZERO).is_empty());
}

#[test]
fn messages_come_however_the_stream_is_cut_and_garbage_ends_it() {
    let (mut session, hard) = registered(Medium::Stream);
    let flow = hard.flow;
    for octet in line(&Message::Notice(Notice::Acked { flow, offset: 9 })) {
        session.receive(Duration::ZERO, &[octet]).unwrap();
    }
    assert_eq!(session.connection(&flow).unwrap().hard.acked, 9);
    session
        .receive(
            Duration::ZERO,
            b"{\"notice\":\"of_the_future\",\"flow\":7}\n",
        )
        .unwrap();
    assert!(session.receive(Duration::ZERO, b"nonsense\n").is_err());
}

#[test]
fn datagrams_are_repeated_until_answered_and_the_latest_checkpoint_wins() {
    let (mut session, hard) = registered(Medium::Datagram);
    let (mut now, flow) = (Duration::ZERO, hard.flow);
    session.checkpoint(&flow, 5).unwrap();
    let first = sent(&mut session, now);
    assert_eq!(first.len(), 1);
    session.checkpoint(&flow, 8).unwrap();
    let second = sent(&mut session, now);
    assert_eq!(second[0].request, Request::Checkpoint { flow, offset: 8 });
    for _ in 0..3 {
        now = session.deadline().unwrap();
        session.tick(now);
        assert_eq!(
            sent(&mut session, now),
            second,
            "the same number, so that it is answered once"
        );
    }
    // Overtaken on the way: the first one was refused, which is of no account.
    let refusal = Refusal::BackwardCheckpoint {
        given: 5,
        current: 8,
    };
    answer(&mut session, now, &first[0], Reply::Refused(refusal));
    answer(&mut session, now, &second[0], Reply::Ok);
    assert_eq!(session.checkpoint(&flow, 9), Ok(()));
}

#[test]
fn a_silent_server_is_asked_whether_it_is_there_and_then_given_up() {
    let (mut session, _) = registered(Medium::Datagram);
    let now = session.deadline().unwrap();
    assert_eq!(now, Duration::from_secs(1));
    assert!(!session.tick(now), "it was not asked yet");
    let asks = sent(&mut session, now);
    assert_eq!(
        asks[0].request,
        Request::Hello {
            version: PROTOCOL_VERSION
        }
    );
    let mut given_up = None;
    for _ in 0..20 {
        let now = session.deadline().unwrap();
        if session.tick(now) {
            given_up = Some(now);
            break;
        }
        sent(&mut session, now);
    }
    let given_up = given_up.expect("it is given up");
    assert!(given_up <= Duration::from_millis(2600), "{given_up:?}");
}

#[test]
fn requests_on_their_way_span_less_than_the_server_remembers() {
    let mut session = Session::new(Medium::Datagram);
    greet(&mut session, Duration::ZERO);
    for _ in 0..200 {
        session.request(Request::Counters);
    }
    let asks = sent(&mut session, Duration::ZERO);
    assert_eq!(asks.len(), 64);
    // The oldest one is still out: no more may go.
    for ask in &asks[1..] {
        answer(&mut session, Duration::ZERO, ask, Reply::Ok);
    }
    assert!(sent(&mut session, Duration::ZERO).is_empty());
    let later = session.deadline().unwrap();
    session.tick(later);
    assert_eq!(sent(&mut session, later), asks[..1], "but it is repeated");
    answer(&mut session, Duration::ZERO, &asks[0], Reply::Ok);
    assert_eq!(sent(&mut session, Duration::ZERO).len(), 64);
}

fn summary(hard: Hard) -> tcpr_core::Summary {
    tcpr_core::Summary {
        flow: hard.flow,
        phase: tcpr_core::Phase::Live,
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
