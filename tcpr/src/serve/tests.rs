//! The engine and the loop, on a dataplane that is a list of packets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bench;
pub(super) mod wire;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use tcpr_core::packet::Flags;
use tcpr_core::{Config, Hard, Pattern, Phase, Refusal};

use super::audience::Peer;
use super::engine::Engine;
use super::requests::Carrier;
use super::server::Server;
use super::socket::Socket;
use crate::dataplane::Hook;
use crate::protocol::{Ask, Fault, Message, Notice, PROTOCOL_VERSION, Reply, Request};
use bench::{APPLICATION, Bench, FIRST, HOLD_LIMIT, PEER, SECOND, at, flow, injected, recover};
use wire::{Event, Tcp, Wire};

#[test]
fn a_connection_comes_back_with_all_that_its_peer_sent_meanwhile() {
    let (mut bench, hard) = Bench::established();
    // The peer sends while the application is down, out of order and twice.
    bench.engine.dataplane.sockets.insert(flow());
    let reply = bench.reply(recover(hard));
    let Reply::Recovered { hard: again, base } = reply else {
        panic!("{reply:?}");
    };
    assert_eq!((base, again.incarnation), (0, 1));
    assert_eq!(bench.engine.dataplane.ended, [flow()]);
    let octets: Vec<u8> = (0..4000_u32).map(|at| (at % 251) as u8).collect();
    for range in [2920..4000, 0..2920, 0..1460, 1460..2920] {
        let sequence = PEER + 1 + u32::try_from(range.start).unwrap();
        let data = Tcp::ack(sequence, FIRST + 1).with(&octets[range]);
        let events = bench.peer_sends(data);
        assert_eq!(events[0], Event::Dropped, "{events:?}");
        for answer in injected(&events, flow().remote) {
            assert_eq!(answer.acknowledgment, PEER + 1, "nothing is checkpointed");
        }
    }
    assert_eq!(bench.engine.counters().held, 4);
    let events = bench.reconnect();
    let pieces = injected(&events, flow().local);
    let mut got = Vec::new();
    for piece in &pieces {
        assert_eq!(piece.sequence, PEER + 1 + u32::try_from(got.len()).unwrap());
        assert_eq!(piece.acknowledgment, SECOND + 1);
        assert!(piece.payload.len() <= 1460, "{}", piece.payload.len());
        got.extend_from_slice(&piece.payload);
    }
    assert!(got == octets, "{} octets came", got.len());
    let said = bench.said();
    assert!(
        said.iter()
            .any(|message| matches!(message, Message::Notice(Notice::Spliced { .. }))),
        "{said:?}"
    );
    assert_eq!(bench.engine.counters().hold_octets, 0);
}

#[test]
fn the_old_socket_has_ended_and_its_reset_is_fenced_before_the_reply() {
    let (mut bench, hard) = Bench::established();
    bench.engine.dataplane.sockets.insert(flow());
    let said = bench.ask(recover(hard));
    assert_eq!(bench.engine.dataplane.ended, [flow()]);
    assert!(matches!(
        said[..],
        [Message::Answer(ref answer)] if matches!(answer.reply, Reply::Recovered { .. })
    ));
    let reset = Tcp {
        flags: Flags::RST.union(Flags::ACK),
        ..Tcp::ack(FIRST + 1, PEER + 1)
    };
    assert_eq!(bench.local_sends(reset), [Event::Dropped]);
}

#[test]
fn a_syn_that_overtakes_the_request_to_recover_waits_for_it() {
    let (mut bench, hard) = Bench::established();
    assert_eq!(bench.local_sends(Tcp::syn(SECOND)), [Event::Later]);
    bench.reply(recover(hard));
    let answers = injected(&bench.turn(), flow().local);
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].flags, Flags::SYN.union(Flags::ACK));
    assert_eq!(answers[0].acknowledgment, SECOND + 1);
}

#[test]
fn a_syn_that_nobody_asks_for_is_refused_after_the_requests() {
    let (mut bench, _) = Bench::established();
    assert_eq!(bench.local_sends(Tcp::syn(SECOND)), [Event::Later]);
    let answers = injected(&bench.turn(), flow().local);
    assert_eq!(answers.len(), 1);
    assert!(answers[0].flags.contains(Flags::RST));
}

#[test]
fn a_syn_that_overtakes_the_request_is_kept_from_the_peer_after_a_loss_of_tcpr_too() {
    let (_, hard) = Bench::established();
    let mut bench = Bench::new();
    assert_eq!(bench.local_sends(Tcp::syn(SECOND)), [Event::Later]);
    let question = bench.ask(recover(hard));
    assert!(question.is_empty(), "{question:?}");
    assert_eq!(bench.turn(), [Event::Dropped]);
    let events = bench.peer_sends(Tcp::ack(PEER + 1, FIRST + 1));
    let answers = injected(&events, flow().local);
    assert_eq!(answers.len(), 1, "{events:?}");
    assert_eq!(answers[0].flags, Flags::SYN.union(Flags::ACK));
    assert_eq!(answers[0].acknowledgment, SECOND + 1);
}

#[test]
fn a_syn_of_a_new_connection_goes_on_as_it_came_after_the_requests() {
    let mut bench = Bench::new();
    assert_eq!(bench.local_sends(Tcp::syn(FIRST)), [Event::Later]);
    let syn = Tcp::syn(FIRST).between(flow().local, flow().remote);
    assert_eq!(bench.turn(), [Event::Passed(syn)]);
    bench.peer_sends(Tcp::syn_ack(PEER, FIRST + 1));
    bench.local_sends(Tcp::ack(FIRST + 1, PEER + 1));
    let registered = bench.reply(Request::Register {
        flow: flow(),
        hard: None,
    });
    assert!(
        matches!(registered, Reply::Registered { .. }),
        "{registered:?}"
    );
}

#[test]
fn recovering_twice_spares_the_new_connection() {
    let (mut bench, hard) = Bench::established();
    bench.reply(recover(hard));
    bench.reconnect();
    bench.said();
    bench.engine.dataplane.ended.clear();
    let reply = bench.reply(recover(hard));
    assert!(matches!(reply, Reply::Recovered { .. }), "{reply:?}");
    assert_eq!(bench.engine.dataplane.ended, []);
    let phase = bench.engine.core.summary(bench.now, &flow()).unwrap().phase;
    assert_eq!(phase, Phase::Live);
}

#[test]
fn where_no_socket_can_be_ended_the_old_tcp_is_sent_an_exact_reset() {
    let (mut bench, hard) = Bench::established();
    bench.peer_sends(Tcp::ack(PEER + 1, FIRST + 1).with(b"hello"));
    bench.local_sends(Tcp::ack(FIRST + 1, PEER + 6));
    bench.engine.dataplane.is_between = true;
    bench.engine.dataplane.events.clear();
    let reply = bench.reply(recover(hard));
    assert!(matches!(reply, Reply::Recovered { .. }), "{reply:?}");
    let resets = injected(&bench.engine.dataplane.events, flow().local);
    assert_eq!(resets.len(), 1);
    assert!(resets[0].flags.contains(Flags::RST));
    assert_eq!(resets[0].sequence, PEER + 6);
}

#[test]
fn after_a_loss_of_all_state_the_reply_waits_for_the_peer() {
    let (_, hard) = Bench::established();
    let mut bench = Bench::new();
    bench.engine.dataplane.events.clear();
    assert_eq!(bench.ask(recover(hard)), []);
    let probes = injected(&bench.engine.dataplane.events, flow().remote);
    assert_eq!(probes.len(), 1);
    // The peer has received 17 octets that the application does not know of.
    bench.peer_sends(Tcp::ack(PEER + 1, FIRST + 18));
    let said = bench.said();
    let answer = said.iter().find_map(|message| match message {
        Message::Answer(answer) => Some(answer),
        Message::Notice(_) => None,
    });
    let answer = answer.expect("the recovery was answered");
    assert_eq!(answer.id, bench.asked);
    assert!(
        matches!(answer.reply, Reply::Recovered { base: 17, .. }),
        "{answer:?}"
    );
    let events = bench.reconnect();
    assert!(!events.is_empty());
}

#[test]
fn a_silent_peer_is_given_up_and_the_request_refused() {
    let (_, hard) = Bench::established();
    let mut bench = Bench::new();
    assert_eq!(bench.ask(recover(hard)), []);
    for _ in 0..100 {
        let Some(due) = bench.engine.deadline() else {
            break;
        };
        bench.now = bench.now.max(due);
        bench.engine.tick(bench.now);
        if bench.engine.waiting.is_empty() {
            break;
        }
    }
    let said = bench.said();
    assert!(
        said.iter().any(|message| matches!(
            message,
            Message::Answer(answer) if answer.id == bench.asked
                && matches!(answer.reply, Reply::Refused(Refusal::PeerSilent { .. }))
        )),
        "{said:?}"
    );
}

#[test]
fn what_a_predecessor_left_passes_only_when_its_application_has_come() {
    let (_, hard) = Bench::established();
    let mut bench = Bench::new();
    let others = Pattern::Local("198.18.0.1:80".parse().unwrap());
    let ours = Pattern::Local(flow().local);
    bench.engine.core.unprotect(&ours);
    bench.engine.inherit(vec![ours, others], at(120_000));
    let out = Tcp::ack(FIRST + 1, PEER + 1).with(b"unsafe");
    assert_eq!(bench.local_sends(out.clone()), [Event::Dropped]);
    let in_ = Tcp::ack(PEER + 1, FIRST + 1).with(b"early");
    assert_eq!(bench.peer_sends(in_.clone()), [Event::Dropped]);
    let reply = bench.reply(Request::Register {
        flow: flow(),
        hard: Some(Box::new(hard)),
    });
    assert!(matches!(reply, Reply::Registered { .. }), "{reply:?}");
    let events = bench.peer_sends(in_);
    assert!(
        matches!(events[0], Event::Passed(_)),
        "the local TCP lives: {events:?}"
    );
    let events = bench.local_sends(out);
    let Event::Passed(passed) = &events[0] else {
        panic!("{events:?}");
    };
    let passed = wire::read(passed);
    assert_eq!(
        (&passed.payload[..], passed.acknowledgment),
        (&b"unsafe"[..], PEER + 1)
    );
    // What nobody has asked for again goes; the connection that came back stays.
    bench.now = bench.engine.deadline().unwrap();
    assert_eq!(bench.now, at(120_000));
    bench.engine.tick(bench.now);
    assert_eq!(bench.engine.dataplane.rules, [Pattern::Flow(flow())]);
    assert!(!matches!(
        bench.peer_sends(Tcp::ack(PEER + 6, FIRST + 7))[0],
        Event::Dropped
    ));
}

#[test]
fn a_connection_that_no_pattern_covers_any_more_keeps_its_rules() {
    let (mut bench, _) = Bench::established();
    let pattern = Pattern::Local(flow().local);
    assert_eq!(bench.reply(Request::Unprotect { pattern }), Reply::Ok);
    assert_eq!(bench.engine.dataplane.rules, [Pattern::Flow(flow())]);
    assert_eq!(bench.reply(Request::Abort { flow: flow() }), Reply::Ok);
    while let Some(due) = bench.engine.deadline() {
        bench.now = bench.now.max(due);
        bench.engine.tick(bench.now);
    }
    assert_eq!(bench.engine.dataplane.rules, []);
}

#[test]
fn another_port_inside_gets_rules_of_its_own() {
    let (mut bench, hard) = Bench::established();
    let hard = Hard {
        inside_port: Some(5179),
        ..hard
    };
    bench.reply(recover(hard));
    let mut inside = flow();
    inside.local.set_port(5179);
    assert!(
        bench
            .engine
            .dataplane
            .rules
            .contains(&Pattern::Flow(inside))
    );
}

#[test]
fn rules_that_cannot_be_put_in_place_are_a_fault_and_nothing_is_protected() {
    let mut bench = Bench::new();
    bench.engine.dataplane.broken = true;
    let pattern = Pattern::Local("198.18.0.1:80".parse().unwrap());
    let reply = bench.reply(Request::Protect { pattern });
    assert!(
        matches!(&reply, Reply::Faulty(Fault::System { detail }) if detail.contains("198.18.0.1:80")),
        "{reply:?}"
    );
    assert!(!bench.engine.core.patterns().any(|known| *known == pattern));
}

#[test]
fn who_has_not_said_hello_is_told_so() {
    let mut bench = Bench::new();
    let ask = Ask {
        id: 9,
        request: Request::Counters,
    };
    bench.engine.ask(bench.now, Peer(2), Carrier::Stream, ask);
    let said = bench.said();
    assert!(matches!(
        &said[..],
        [Message::Answer(answer)] if answer.reply == Reply::Faulty(Fault::HelloFirst)
    ));
    let reply = bench.reply(Request::Hello { version: 99 });
    assert!(matches!(
        reply,
        Reply::Faulty(Fault::Version { given: 99, .. })
    ));
}

#[test]
fn a_packet_that_cannot_be_read_is_dropped_and_counted() {
    let mut bench = Bench::new();
    let mut octets = Tcp::ack(1, 1).between(flow().local, flow().remote);
    octets[32] = 0x10; // A data offset of one word.
    assert_eq!(bench.offer(Hook::Output, octets), [Event::Dropped]);
    assert_eq!(bench.engine.counters().malformed, 1);
}

#[test]
fn damage_on_the_way_is_not_held_and_given_a_right_checksum() {
    let (mut bench, hard) = Bench::established();
    bench.reply(recover(hard));
    let data = Tcp::ack(PEER + 1, FIRST + 1).with(b"precious");
    let mut octets = data.between(flow().remote, flow().local);
    *octets.last_mut().unwrap() ^= 1;
    bench.offer(Hook::Input, octets);
    assert_eq!(
        (
            bench.engine.counters().held,
            bench.engine.counters().malformed
        ),
        (0, 1)
    );
    bench.peer_sends(data);
    assert_eq!(bench.engine.counters().held, 1);
}

#[test]
fn a_checkpoint_is_answered_over_datagrams_and_if_refused() {
    let (mut bench, _) = Bench::established();
    bench.peer_sends(Tcp::ack(PEER + 1, FIRST + 1).with(b"hello"));
    bench.local_sends(Tcp::ack(FIRST + 1, PEER + 6));
    let checkpoint = |offset| Request::Checkpoint {
        flow: flow(),
        offset,
    };
    bench.said();
    assert_eq!(bench.ask(checkpoint(5)), []);
    let refused = bench.reply(checkpoint(2));
    assert!(matches!(
        refused,
        Reply::Refused(Refusal::BackwardCheckpoint { .. })
    ));
    let ask = Ask {
        id: 77,
        request: checkpoint(5),
    };
    bench
        .engine
        .ask(bench.now, APPLICATION, Carrier::Datagram, ask);
    let said = bench.said();
    assert!(matches!(&said[..], [Message::Answer(answer)] if answer.reply == Reply::Ok));
}

#[test]
fn an_application_that_does_not_read_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tcpr.sock");
    let socket = Socket::bind(&path).unwrap();
    let (stop, stopper) = UnixStream::pair().unwrap();
    let server = std::thread::spawn(move || {
        let engine = Engine::new(Config::default(), HOLD_LIMIT, Wire::default());
        let mut server = Server::new(engine, Some(socket), None, stop).unwrap();
        server.run().unwrap();
        server.into_engine().channel
    });
    let hello = format!("{{\"id\":1,\"request\":\"hello\",\"version\":{PROTOCOL_VERSION}}}\n");
    let mut deaf = UnixStream::connect(&path).unwrap();
    deaf.write_all(hello.as_bytes()).unwrap();
    deaf.set_nonblocking(true).unwrap();
    let question = b"{\"id\":2,\"request\":\"counters\"}\n".repeat(100);
    let mut asked = 0;
    // It asks until its requests are not heard any more.
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut refused = Instant::now();
    while refused.elapsed() < Duration::from_millis(300) {
        assert!(Instant::now() < deadline, "it is heard for ever");
        match deaf.write(&question) {
            Ok(written) => {
                asked += written / 30;
                refused = Instant::now();
            }
            Err(_) => std::thread::yield_now(),
        }
    }
    assert!(asked > 100, "{asked}");
    let mut quick = BufReader::new(UnixStream::connect(&path).unwrap());
    quick.get_mut().write_all(hello.as_bytes()).unwrap();
    let mut line = String::new();
    let start = Instant::now();
    for _ in 0..100 {
        line.clear();
        quick.read_line(&mut line).unwrap();
        quick.get_mut().write_all(&question[..30]).unwrap();
    }
    assert!(line.contains("\"reply\":\"counters\""), "{line}");
    assert!(start.elapsed() < Duration::from_secs(5));
    drop(stopper);
    let counted = server.join().unwrap();
    assert!(counted.requests < asked as u64 + 200, "{counted:?}");
    assert!(!path.exists());
}
