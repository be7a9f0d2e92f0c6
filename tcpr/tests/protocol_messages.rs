//! Messages are written as they are read, and no octets do harm.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use proptest::prelude::*;
use tcpr::core::{Scales, Stream, SynOption};
use tcpr::protocol::{
    Answer, Ask, ChannelCounters, DataplaneCounters, Fault, Lines, Message, Notice, Reply, Request,
    TooLong, line, read_ask, read_message, side_channel,
};
use tcpr::{Counters, Ending, Flow, Hard, Pattern, Phase, Record, Refusal, Summary};

/// The flow label of a `SocketAddrV6` is none of an address: no text has it.
fn socket() -> impl Strategy<Value = SocketAddr> {
    any::<(IpAddr, u16)>().prop_map(SocketAddr::from)
}

fn flow() -> impl Strategy<Value = Flow> {
    (socket(), socket()).prop_map(|(local, remote)| Flow { local, remote })
}

prop_compose! {
    fn hard()(
        flow in flow(),
        inside_port in any::<Option<u16>>(),
        numbers in any::<(u64, u32, u32, u16, u32, u32, u64, u64, u64, u32)>(),
        scales in proptest::option::of(any::<(u8, u8, u8)>()),
        flags in any::<(bool, bool, bool, bool)>(),
        ends in any::<(Option<u64>, Option<u64>)>(),
    ) -> Hard {
        Hard {
            flow,
            inside_port,
            incarnation: numbers.0,
            ours: Stream { initial: numbers.1 },
            peers: Stream { initial: numbers.2 },
            peer_mss: numbers.3,
            scales: scales.map(|(ours, peers, inside)| Scales { ours, peers, inside }),
            sack: flags.0,
            timestamps: flags.1,
            timestamp_offset: numbers.4,
            tsval: numbers.9,
            ecn: flags.2,
            checkpoint: numbers.6,
            done_reading: flags.3,
            done_writing: ends.0,
            peer_fin: ends.1,
            delta: numbers.5,
            spliced: numbers.7,
            acked: numbers.8,
        }
    }
}

fn pattern() -> impl Strategy<Value = Pattern> {
    prop_oneof![
        socket().prop_map(Pattern::Local),
        socket().prop_map(Pattern::Remote),
        flow().prop_map(Pattern::Flow),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        any::<u32>().prop_map(|version| Request::Hello { version }),
        pattern().prop_map(|pattern| Request::Protect { pattern }),
        pattern().prop_map(|pattern| Request::Unprotect { pattern }),
        (proptest::option::of(flow()), any::<u32>())
            .prop_map(|(after, limit)| Request::List { after, limit }),
        flow().prop_map(|flow| Request::Show { flow }),
        (flow(), proptest::option::of(hard().prop_map(Box::new)))
            .prop_map(|(flow, hard)| Request::Register { flow, hard }),
        (flow(), any::<u64>()).prop_map(|(flow, offset)| Request::Checkpoint { flow, offset }),
        flow().prop_map(|flow| Request::DoneReading { flow }),
        (flow(), any::<u64>()).prop_map(|(flow, written)| Request::DoneWriting { flow, written }),
        hard().prop_map(|hard| Request::Recover {
            hard: Box::new(hard)
        }),
        flow().prop_map(|flow| Request::Done { flow }),
        flow().prop_map(|flow| Request::Abort { flow }),
        Just(Request::Watch),
        Just(Request::Counters),
    ]
}

fn refusal() -> impl Strategy<Value = Refusal> {
    (any::<(u64, u64, u32)>(), 0..8).prop_map(|((given, current, waited), which)| match which {
        0 => Refusal::Unknown,
        1 => Refusal::OlderIncarnation { given, current },
        2 => Refusal::BackwardCheckpoint { given, current },
        3 => Refusal::CheckpointBeyondInput {
            given,
            received: current,
        },
        4 => Refusal::MissingOption {
            option: SynOption::WindowScale,
        },
        5 => Refusal::PeerSilent {
            waited: Duration::from_nanos(u64::from(waited)),
        },
        6 => Refusal::Full { limit: 9 },
        _ => Refusal::RecoverAgain,
    })
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        Just(Ending::Finished),
        Just(Ending::ResetByPeer),
        Just(Ending::Aborted),
        Just(Ending::Expired),
    ]
}

fn summary() -> impl Strategy<Value = Summary> {
    (
        hard(),
        any::<(u64, u64, u32, u32, bool)>(),
        proptest::option::of(ending()),
    )
        .prop_map(|(hard, rest, ending)| Summary {
            flow: hard.flow,
            phase: Phase::Recovering,
            phase_age: Duration::from_millis(u64::from(rest.2)),
            registered: rest.4,
            hard,
            sent: rest.0,
            acked: rest.1,
            received: rest.0,
            local_ack: rest.1,
            window: rest.2,
            peer_window: rest.3,
            held: rest.4,
            ending,
        })
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        (any::<u32>(), any::<String>())
            .prop_map(|(version, server)| Reply::Welcome { version, server }),
        Just(Reply::Ok),
        (proptest::collection::vec(summary(), 0..3), any::<bool>())
            .prop_map(|(connections, more)| Reply::List { connections, more }),
        summary().prop_map(|summary| Reply::Show {
            connection: Box::new(summary)
        }),
        hard().prop_map(|hard| Reply::Registered {
            hard: Box::new(hard)
        }),
        (hard(), any::<u64>()).prop_map(|(hard, base)| Reply::Recovered {
            hard: Box::new(hard),
            base
        }),
        any::<u64>().prop_map(|lost| Reply::Counters {
            connections: Box::new(Counters {
                held: lost,
                ..Counters::default()
            }),
            channel: ChannelCounters {
                replayed: lost,
                ..ChannelCounters::default()
            },
            dataplane: DataplaneCounters {
                lost,
                ..DataplaneCounters::default()
            },
        }),
        refusal().prop_map(Reply::Refused),
        any::<String>().prop_map(|detail| Reply::Faulty(Fault::Malformed { detail })),
        Just(Reply::Faulty(Fault::HelloFirst)),
    ]
}

fn notice() -> impl Strategy<Value = Notice> {
    prop_oneof![
        flow().prop_map(|flow| Notice::Established { flow }),
        (flow(), any::<u64>()).prop_map(|(flow, offset)| Notice::Acked { flow, offset }),
        flow().prop_map(|flow| Notice::Failed { flow }),
        hard().prop_map(|hard| Notice::Spliced { hard }),
        (flow(), ending()).prop_map(|(flow, ending)| Notice::Closed { flow, ending }),
        flow().prop_map(|flow| Notice::Removed { flow }),
    ]
}

proptest! {
    #[test]
    fn requests_are_read_as_they_were_written(id in any::<u64>(), request in request()) {
        let ask = Ask { id, request };
        let line = line(&ask);
        prop_assert_eq!(line.iter().filter(|&&octet| octet == b'\n').count(), 1);
        prop_assert_eq!(read_ask(&line), Ok(ask));
    }

    #[test]
    fn replies_are_read_as_they_were_written(id in any::<u64>(), reply in reply()) {
        let message = Message::Answer(Answer { id, reply });
        let line = line(&message);
        prop_assert_eq!(line.iter().filter(|&&octet| octet == b'\n').count(), 1);
        prop_assert_eq!(read_message(&line).unwrap(), message);
    }

    #[test]
    fn notices_are_read_as_they_were_written(notice in notice()) {
        let message = Message::Notice(notice);
        prop_assert_eq!(read_message(&line(&message)).unwrap(), message);
    }

    #[test]
    fn records_are_read_as_they_were_written(hard in hard()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record");
        let record = Record::new(hard);
        record.store(&path, tcpr::Durability::Process).unwrap();
        prop_assert_eq!(Record::load(&path).unwrap(), record);
    }

    #[test]
    fn no_octets_do_harm(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        side_channel(&octets);
    }

    #[test]
    fn nor_do_messages_that_were_damaged(request in request(), at in any::<prop::sample::Index>(), octet in any::<u8>()) {
        let mut line = line(&Ask { id: 7, request });
        let at = at.index(line.len());
        line[at] = octet;
        side_channel(&line);
        side_channel(&line[..at]);
    }

    #[test]
    fn lines_are_found_however_the_octets_are_cut(
        lines in proptest::collection::vec("[a-z]{0,20}", 0..20),
        cuts in proptest::collection::vec(1_usize..30, 1..40),
    ) {
        let octets: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
        let mut reader = Lines::new(10);
        let (mut rest, mut found) = (&octets[..], Vec::new());
        for cut in cuts.iter().cycle() {
            let (part, next) = rest.split_at((*cut).min(rest.len()));
            reader.push(part);
            while let Some(line) = reader.line() {
                found.push(line.map(|line| String::from_utf8(line.to_vec()).unwrap()));
            }
            rest = next;
            if rest.is_empty() {
                break;
            }
        }
        let wanted: Vec<_> = lines
            .into_iter()
            .map(|line| if line.len() > 10 { Err(TooLong { limit: 10 }) } else { Ok(line) })
            .collect();
        prop_assert_eq!(found, wanted);
    }
}

/// Every example of the protocol's document, in this order of its kinds: what it shows is what we
/// read, and what we write has no other fields.
#[test]
fn the_examples_of_the_document_are_messages() {
    let text = include_str!("../../docs/tcpr-protocol.md");
    let (mut requests, mut messages) = (0, 0);
    for example in text.lines().filter(|text| text.starts_with('{')) {
        let shown: serde_json::Value = serde_json::from_str(example).expect(example);
        let written = if shown.get("request").is_some() {
            requests += 1;
            serde_json::to_value(read_ask(example.as_bytes()).expect(example)).unwrap()
        } else if shown.get("version").is_some() && shown.get("hard").is_some() {
            serde_json::to_value(serde_json::from_str::<Record>(example).expect(example)).unwrap()
        } else {
            messages += 1;
            serde_json::to_value(read_message(example.as_bytes()).expect(example)).unwrap()
        };
        assert_eq!(written, shown, "{example}");
    }
    assert!(
        requests >= 14 && messages >= 15,
        "{requests} requests, {messages} messages"
    );
}

#[test]
fn a_request_of_another_version_is_told_as_such_and_garbage_as_garbage() {
    let fault = |line: &str| match *read_ask(line.as_bytes()).unwrap_err() {
        Answer {
            id,
            reply: Reply::Faulty(fault),
        } => (id, fault),
        other => panic!("{other:?}"),
    };
    assert!(matches!(
        fault("{\"id\":3,\"request\":\"fly\"}"),
        (3, Fault::Malformed { .. })
    ));
    assert!(matches!(fault("{\"id\":"), (0, Fault::Malformed { .. })));
    // Without the number that this version wants, and still understood.
    let told = fault("{\"request\":\"hello\",\"version\":2}");
    assert_eq!(
        told,
        (
            0,
            Fault::Version {
                given: 2,
                spoken: 1
            }
        )
    );
}
