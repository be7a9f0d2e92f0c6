//! What becomes of packets.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tcpr::Pattern;
use tcpr::core::packet::{Flags, Packet, Segment};
use tcpr::dataplane::nfqueue::{Nfqueue, NfqueueError, Options};
use tcpr::dataplane::{Arrival, Dataplane, Decision, Hook, InjectError};

use crate::bed::{
    Pump, both, carry, connect, input_queue, inside, on_one_processor, open, pair, queues, sh,
    until,
};

const MIB: usize = 1 << 20;

/// Octets that are copied of each packet as long as that is enough.
const HEADERS: i64 = 256;

/// Segments that the receiving TCP has found a wrong checksum in.
fn checksum_errors() -> u64 {
    let snmp = std::fs::read_to_string("/proc/net/snmp").unwrap();
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let names = lines.next().unwrap().split(' ');
    let mut values = lines.next().unwrap().split(' ');
    let at = names.into_iter().position(|name| name == "InCsumErrors");
    values.nth(at.unwrap()).unwrap().parse().unwrap()
}

#[test]
fn accepted_packets_arrive_and_their_payload_is_not_copied() {
    inside(
        "packets::accepted_packets_arrive_and_their_payload_is_not_copied",
        || {
            for (server, client) in both(5001) {
                let seen = Arc::new(Mutex::new((0u32, 0u32, 0usize)));
                let counts = seen.clone();
                let pump = Pump::start(open(&[Pattern::Local(server)]), move |arrival| {
                    let mut counts = counts.lock().unwrap();
                    match arrival.hook {
                        Hook::Input => counts.0 += 1,
                        Hook::Output => counts.1 += 1,
                        Hook::Forward => panic!("nothing is forwarded here"),
                    }
                    counts.2 = counts.2.max(arrival.packet.len());
                    Decision::Accept
                });
                let (near, far) = pair(server, client);
                carry(&near, &far, 20 * MIB);
                carry(&far, &near, 20 * MIB);
                let dataplane = pump.stop();
                let (input, output, longest) = *seen.lock().unwrap();
                assert!(input > 300 && output > 300, "{input} {output}");
                assert_eq!(longest, 256);
                assert_eq!(dataplane.lost(), 0);
                dataplane.release().unwrap();
            }
        },
    );
}

/// Shifts the server's sequence numbers by this for its peer.
const DELTA: u32 = 0x7654_3210;

fn shift(arrival: &mut Arrival<'_>) -> Decision {
    let mut packet = Packet::parse(arrival.packet).unwrap();
    if !packet.is_whole() {
        return Decision::WantWhole;
    }
    match arrival.hook {
        Hook::Output => packet.set_sequence(packet.sequence().wrapping_add(DELTA)),
        _ if packet.flags().contains(Flags::ACK) => {
            packet.set_acknowledgment(packet.acknowledgment().wrapping_sub(DELTA));
            packet.shift_sack(DELTA.wrapping_neg());
        }
        _ => return Decision::Accept,
    }
    Decision::AcceptEdited
}

#[test]
fn packets_edited_both_ways_have_right_checksums_however_long_they_are() {
    inside(
        "packets::packets_edited_both_ways_have_right_checksums_however_long_they_are",
        || {
            for (server, client) in both(5002) {
                let longest = Arc::new(Mutex::new(0));
                let measured = longest.clone();
                let pump = Pump::start(open(&[Pattern::Local(server)]), move |arrival| {
                    let mut longest = measured.lock().unwrap();
                    *longest = (*longest).max(arrival.packet.len());
                    shift(arrival)
                });
                let (near, far) = pair(server, client);
                carry(&near, &far, 20 * MIB);
                carry(&far, &near, 20 * MIB);
                let dataplane = pump.stop();
                assert!(
                    *longest.lock().unwrap() > 60_000,
                    "no long segment was seen"
                );
                assert_eq!((dataplane.lost(), checksum_errors()), (0, 0));
                dataplane.release().unwrap();
            }
        },
    );
}

#[test]
fn dropped_packets_do_not_arrive() {
    inside("packets::dropped_packets_do_not_arrive", || {
        for (server, client) in both(5003) {
            let _listener = TcpListener::bind(server).unwrap();
            let pump = Pump::start(open(&[Pattern::Local(server)]), |_| Decision::Drop);
            let error = connect(server, client).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            pump.stop().release().unwrap();
            connect(server, client).unwrap();
        }
    });
}

#[test]
fn packets_wanted_whole_come_whole() {
    inside("packets::packets_wanted_whole_come_whole", || {
        let [(server, client), _] = both(5004);
        let (sender, receiver) = mpsc::channel();
        let mut asked = 0;
        let mut wanted = None;
        // Every 50th packet that is not whole is wanted whole.
        let pump = Pump::start(open(&[Pattern::Local(server)]), move |arrival| {
            let packet = Packet::parse(arrival.packet).unwrap();
            if arrival.hook == Hook::Input && packet.payload_len() > 0 {
                if let Some(wanted) = wanted.take() {
                    assert_eq!((packet.sequence(), arrival.whole), (wanted, true));
                }
                if !arrival.whole {
                    asked += 1;
                    if u32::is_multiple_of(asked, 50) {
                        wanted = Some(packet.sequence());
                        return Decision::WantWhole;
                    }
                }
                sender.send(arrival.whole).unwrap();
            }
            Decision::Accept
        });
        let (near, far) = pair(server, client);
        for _ in 0..3 {
            carry(&near, &far, 30 * MIB);
            until("headers are enough again", || input_queue()[4] == HEADERS);
        }
        let dataplane = pump.stop();
        assert_eq!(dataplane.lost(), 0);
        dataplane.release().unwrap();
        let seen: Vec<_> = receiver.iter().collect();
        let turns = seen.windows(2).filter(|pair| pair[0] != pair[1]).count();
        let whole = seen.iter().filter(|whole| **whole).count();
        assert!(
            whole > 10 && whole < seen.len() - 10,
            "{whole} of {}",
            seen.len()
        );
        assert!(
            turns >= 4,
            "went to whole copies and back {turns} times only"
        );
    });
}

#[test]
fn packets_behind_one_that_is_wanted_whole_stay_behind_it() {
    inside(
        "packets::packets_behind_one_that_is_wanted_whole_stay_behind_it",
        || {
            on_one_processor();
            for (server, client) in both(5008) {
                let mut dataplane = open(&[Pattern::Local(server)]);
                for first in [0, 200, 400] {
                    let all: Vec<u32> = (first..first + 200).collect();
                    // More than is read at once, from either queue, waits before any is decided.
                    send_segments(client, server, &all);
                    let (mut order, mut wanted) = (Vec::new(), Vec::new());
                    until("all are decided", || {
                        dataplane
                            .receive(&mut |arrival| {
                                let number = Packet::parse(arrival.packet).unwrap().sequence();
                                if arrival.hook != Hook::Input {
                                    // A reset: nobody listens.
                                } else if !arrival.whole && number % 23 == 6 {
                                    wanted.push(number);
                                    return Decision::WantWhole;
                                } else {
                                    order.push((number, arrival.whole));
                                }
                                Decision::Accept
                            })
                            .unwrap();
                        order.len() >= all.len()
                    });
                    let numbers: Vec<_> = order.iter().map(|(number, _)| *number).collect();
                    assert_eq!(numbers, all);
                    assert!(wanted.len() > 3, "only {wanted:?} were wanted whole");
                    assert!(wanted.iter().all(|number| order.contains(&(*number, true))));
                    until("headers are enough again", || {
                        dataplane.receive(&mut |_| Decision::Accept).unwrap();
                        input_queue()[4] == HEADERS
                    });
                }
                assert_eq!(dataplane.lost(), 0);
                dataplane.release().unwrap();
            }
        },
    );
}

#[test]
fn a_packet_wanted_later_comes_again_as_it_was_behind_what_waits() {
    inside(
        "packets::a_packet_wanted_later_comes_again_as_it_was_behind_what_waits",
        || {
            on_one_processor();
            for (server, client) in both(5009) {
                let mut dataplane = open(&[Pattern::Local(server)]);
                send_segments(client, server, &[1, 2, 3]);
                let mut order = Vec::new();
                for turn in 1..=2 {
                    dataplane
                        .receive(&mut |arrival| {
                            let number = Packet::parse(arrival.packet).unwrap().sequence();
                            if arrival.hook == Hook::Input {
                                order.push((turn, number));
                                if (turn, number) == (1, 2) {
                                    return Decision::WantLater;
                                }
                            }
                            Decision::Accept
                        })
                        .unwrap();
                }
                assert_eq!(order, [(1, 1), (1, 2), (1, 3), (2, 2)]);
                // Those of a real TCP, whose checksum is yet to be made: it connects.
                let mut asked = 0;
                let pump = Pump::start(dataplane, move |arrival| {
                    let packet = Packet::parse(arrival.packet).unwrap();
                    asked += u32::from(packet.flags().contains(Flags::SYN));
                    match packet.flags().contains(Flags::SYN) && asked % 2 == 1 {
                        true => Decision::WantLater,
                        false => Decision::Accept,
                    }
                });
                let (near, far) = pair(server, client);
                carry(&near, &far, MIB);
                let dataplane = pump.stop();
                assert_eq!((dataplane.lost(), checksum_errors()), (0, 0));
                dataplane.release().unwrap();
            }
        },
    );
}

/// A segment without options.
fn bare(source: SocketAddr, destination: SocketAddr, flags: Flags) -> Segment {
    Segment {
        source,
        destination,
        sequence: 0,
        acknowledgment: 0,
        flags,
        window: 1000,
        mss: None,
        window_scale: None,
        sack_permitted: false,
        timestamps: None,
        octet: false,
    }
}

/// Sends segments with these sequence numbers past any TCP, so none is held back or comes twice,
/// and waits until all wait. Each is longer than the headers that are copied of it.
fn send_segments(from: SocketAddr, to: SocketAddr, numbers: &[u32]) {
    use socket2::{Domain, Protocol, Socket, Type};
    const PAYLOAD: usize = 400;
    let raw = Protocol::from(nix::libc::IPPROTO_RAW);
    let socket = Socket::new(Domain::for_address(to), Type::RAW, Some(raw)).unwrap();
    let address = SocketAddr::new(to.ip(), 0).into();
    for number in numbers {
        let mut headers = [0; Segment::MAX_LEN];
        let segment = Segment {
            sequence: *number,
            ..bare(SocketAddr::new(from.ip(), 6001), to, Flags::ACK)
        };
        let len = segment.emit(&mut headers);
        let mut octets = [&headers[..len], &[0; PAYLOAD]].concat();
        let (at, length) = match to {
            SocketAddr::V4(_) => (2, octets.len()),
            SocketAddr::V6(_) => (4, octets.len() - 40),
        };
        octets[at..at + 2].copy_from_slice(&(length as u16).to_be_bytes());
        Packet::parse(&mut octets).unwrap().fill_checksum();
        socket.send_to(&octets, &address).unwrap();
    }
    until("all wait", || input_queue()[2] == numbers.len() as i64);
}

#[test]
fn injected_packets_reach_both_sides_and_are_not_offered() {
    inside(
        "packets::injected_packets_reach_both_sides_and_are_not_offered",
        || {
            for (server, client) in both(5005) {
                let (sender, receiver) = mpsc::channel();
                let mut dataplane = open(&[Pattern::Local(server)]);
                let listener = TcpListener::bind(server).unwrap();
                let peer = SocketAddr::new(client.ip(), 6001);
                let mut octets = [0; Segment::MAX_LEN];
                let mut segment = Segment {
                    sequence: 1000,
                    ..bare(peer, server, Flags::SYN)
                };
                // To the application: its TCP answers.
                let len = segment.emit(&mut octets);
                dataplane.inject(&octets[..len]).unwrap();
                let pump = Pump::start(dataplane, move |arrival| {
                    let packet = Packet::parse(arrival.packet).unwrap();
                    let seen = (
                        arrival.hook,
                        packet.flags(),
                        packet.sequence(),
                        packet.acknowledgment(),
                    );
                    sender.send((packet.destination(), seen)).unwrap();
                    Decision::Accept
                });
                let (to, (hook, flags, _, acknowledgment)) = receiver.recv().unwrap();
                assert_eq!((to, hook, acknowledgment), (peer, Hook::Output, 1001));
                assert!(flags.contains(Flags::SYN) && flags.contains(Flags::ACK));
                // To the peer: it believes an exact RST.
                let near = connect(server, client).unwrap();
                let (mut far, _) = listener.accept().unwrap();
                far.write_all(b"x").unwrap();
                (&near).read_exact(&mut [0]).unwrap();
                let mut dataplane = pump.stop();
                let near_end = near.local_addr().unwrap();
                let last = receiver.iter().filter(|(to, _)| *to == near_end).last();
                let (_, (_, _, sequence, acknowledgment)) = last.unwrap();
                segment.source = server;
                segment.destination = near_end;
                segment.flags = Flags::RST.union(Flags::ACK);
                (segment.sequence, segment.acknowledgment) = (sequence + 1, acknowledgment);
                let len = segment.emit(&mut octets);
                dataplane.inject(&octets[..len]).unwrap();
                near.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
                let error = (&near).read(&mut [0]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                dataplane.release().unwrap();
            }
        },
    );
}

#[test]
fn a_packet_too_long_for_its_link_is_refused() {
    inside("packets::a_packet_too_long_for_its_link_is_refused", || {
        sh(
            "ip link add one type veth peer name two && ip link set one up && \
            ip link set two up && ip addr add 198.18.1.1/24 dev one",
        );
        let mut dataplane = open(&[]);
        let mut octets = vec![0; 1501];
        octets[0] = 0x45;
        octets[9] = 6;
        octets[16..20].copy_from_slice(&[198, 18, 1, 2]);
        match dataplane.inject(&octets) {
            Err(NfqueueError::Inject(InjectError::TooLong { len: 1501, .. })) => {}
            other => panic!("{other:?}"),
        }
        dataplane.inject(&octets[..1500]).unwrap();
        let nothing = dataplane.inject(&[]);
        assert!(matches!(
            nothing,
            Err(NfqueueError::Inject(InjectError::NotIp))
        ));
    });
}

#[test]
fn icmp_errors_are_offered_whole() {
    inside("packets::icmp_errors_are_offered_whole", || {
        for (server, client) in both(5006) {
            let (sender, receiver) = mpsc::channel();
            let pump = Pump::start(open(&[Pattern::Local(server)]), move |arrival| {
                sender
                    .send((arrival.icmp, arrival.whole, arrival.packet.len()))
                    .unwrap();
                Decision::AcceptEdited
            });
            // Nobody listens: the host answers with an error that quotes the datagram.
            let socket = UdpSocket::bind(client).unwrap();
            socket.connect(server).unwrap();
            socket.send(&[0; 1000]).unwrap();
            let (icmp, whole, len) = receiver.recv_timeout(Duration::from_secs(5)).unwrap();
            assert!(icmp && whole && len > 500, "{icmp} {whole} {len}");
            // It goes on as it was, for its sum is right: the socket has an error.
            let error = socket.recv(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            pump.stop().release().unwrap();
        }
    });
}

#[test]
fn packets_that_do_not_fit_the_buffer_are_counted_and_the_stream_survives() {
    inside(
        "packets::packets_that_do_not_fit_the_buffer_are_counted_and_the_stream_survives",
        || {
            let [(server, client), _] = both(5007);
            let options = Options {
                buffer: 2048,
                ..Options::default()
            };
            let (mut dataplane, _) = Nfqueue::open(&options).unwrap();
            dataplane.protect(&[Pattern::Local(server)]).unwrap();
            let pump = Pump::start(dataplane, |_| {
                std::thread::sleep(Duration::from_millis(1));
                Decision::Accept
            });
            let (near, far) = pair(server, client);
            carry(&near, &far, 20 * MIB);
            let dataplane = pump.stop();
            let loss = dataplane.lost();
            // The kernel's own counters: packets that did not reach the socket.
            let dropped: i64 = queues().iter().map(|queue| queue[6]).sum();
            assert!(loss > 0);
            assert_eq!(loss, dropped.cast_unsigned());
            dataplane.release().unwrap();
        },
    );
}
