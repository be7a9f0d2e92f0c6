//! The blocking client, over real sockets, against a server that follows a script.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scripted;

use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use scripted::{Serving, hard, notice, obey, reply};
use tcpr::protocol::udp::Key;
use tcpr::protocol::{Fault, Notice, Reply, Request};
use tcpr::{Client, ClientError, ConnectError, Ending, Endpoint, Hard, Pattern, Record, Refusal};

const SOON: Duration = Duration::from_secs(10);

fn unix(folder: &Path) -> Endpoint {
    Endpoint::Unix(folder.join("tcpr.sock"))
}

fn socket(folder: &Path) -> std::path::PathBuf {
    folder.join("tcpr.sock")
}

#[test]
fn where_no_tcpr_is_it_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = Client::connect(&unix(folder.path())).unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }));
    assert!(error.to_string().contains("tcpr serve"), "{error}");
}

#[test]
fn another_version_is_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let _server = Serving::unix(&socket(folder.path()), |ask| match ask.request {
        Request::Hello { version } => reply(
            ask,
            Reply::Faulty(Fault::Version {
                given: version,
                spoken: 9,
            }),
        ),
        _ => panic!("nothing may follow"),
    });
    let error = Client::connect(&unix(folder.path())).unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Fault {
                fault: Fault::Version { spoken: 9, .. },
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("version 9"), "{error}");
}

#[test]
fn a_connection_is_registered_when_it_is_established_and_followed_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let flow = hard(1).flow;
    let mut early = 3;
    let server = Serving::unix(&socket(folder.path()), move |ask| match ask.request {
        Request::Register { .. } if early > 0 => {
            early -= 1;
            reply(ask, Reply::Refused(Refusal::NotEstablished))
        }
        Request::Checkpoint { flow, offset: 40 } => {
            vec![notice(Notice::Acked { flow, offset: 900 })]
        }
        Request::DoneWriting { flow, .. } => {
            let mut said = obey(ask);
            said.push(notice(Notice::Closed {
                flow,
                ending: Ending::Finished,
            }));
            said
        }
        _ => obey(ask),
    });
    let client = Client::connect(&unix(folder.path())).unwrap();
    assert_eq!(client.server(), "scripted");
    client.protect(Pattern::Local(flow.local)).unwrap();
    let connection = client.register(flow).unwrap();
    assert_eq!(
        (connection.flow(), connection.record().hard.flow),
        (flow, flow)
    );
    assert!(connection.wait_acked(1, Duration::from_millis(20)).is_err());
    connection.checkpoint(40).unwrap();
    assert_eq!(connection.wait_acked(800, SOON).unwrap(), 900);
    assert_eq!(
        (connection.acked(), connection.record().hard.checkpoint),
        (900, 40)
    );
    assert!(
        connection
            .wait_acked(901, Duration::from_millis(20))
            .is_err()
    );
    assert!(connection.checkpoint(39).is_err());
    connection.done_writing(900).unwrap();
    assert_eq!(connection.wait_closed(SOON).unwrap(), Ending::Finished);
    assert!(matches!(
        connection.wait_acked(901, SOON),
        Err(ClientError::Refused {
            refusal: Refusal::Ended,
            ..
        })
    ));
    connection.done().unwrap();
    assert!(connection.checkpoint(41).is_err() || connection.ended().is_some());
    assert!(server.asked().contains(&Request::Done { flow }));
}

#[test]
fn a_restart_of_the_server_in_mid_request_is_not_the_applications_business() {
    let folder = tempfile::tempdir().unwrap();
    let flow = hard(1).flow;
    let pattern = Pattern::Local(flow.local);
    // The first server takes done_writing and dies over it.
    let first = Serving::unix(&socket(folder.path()), move |ask| match ask.request {
        Request::DoneWriting { .. } => vec![],
        Request::Checkpoint { flow, .. } => vec![notice(Notice::Acked { flow, offset: 900 })],
        _ => obey(ask),
    });
    let client = Client::connect(&unix(folder.path())).unwrap();
    client.protect(pattern).unwrap();
    let connection = client.register(flow).unwrap();
    connection.checkpoint(40).unwrap();
    connection.wait_acked(900, SOON).unwrap();
    let waiting = connection.clone();
    let call = std::thread::spawn(move || waiting.done_writing(1000));
    first.until("done_writing", |asked| {
        asked
            .iter()
            .any(|ask| matches!(ask, Request::DoneWriting { .. }))
    });
    drop(first);
    connection.checkpoint_end(41).unwrap();
    let second = Serving::unix(&socket(folder.path()), obey);
    call.join().unwrap().unwrap();
    let asked = second.asked();
    assert!(matches!(asked[0], Request::Hello { .. }));
    assert_eq!(asked[1], Request::Protect { pattern });
    let Request::Register {
        hard: Some(told), ..
    } = &asked[2]
    else {
        panic!("{asked:?}")
    };
    let input = (told.checkpoint, told.peer_fin);
    assert_eq!((told.acked, input), (900, (42, Some(41))));
    assert!(asked[3..].contains(&Request::DoneWriting {
        flow,
        written: 1000
    }));
    assert_eq!(connection.record().hard.done_writing, Some(1000));
}

#[test]
fn checkpoints_never_wait_for_a_server_that_does_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let flow = hard(1).flow;
    let mut first = true;
    let server = Serving::unix(&socket(folder.path()), move |ask| {
        if matches!(ask.request, Request::Checkpoint { .. }) && std::mem::take(&mut first) {
            held.recv().unwrap();
        }
        obey(ask)
    });
    let client = Client::connect(&unix(folder.path())).unwrap();
    let connection = client.register(flow).unwrap();
    let begun = Instant::now();
    for offset in 1..=20_000 {
        connection.checkpoint(offset).unwrap();
    }
    let took = begun.elapsed();
    release.send(()).unwrap();
    let last = Request::Checkpoint {
        flow,
        offset: 20_000,
    };
    server.until("the last checkpoint", |asked| asked.contains(&last));
    let sent = server.asked().len();
    assert!(sent < 10_000, "{sent} requests: they were not coalesced");
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn a_recovery_waits_for_the_splice() {
    let folder = tempfile::tempdir().unwrap();
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut kept = hard(1);
    kept.flow = tcpr::Flow {
        local: free,
        remote: peer.local_addr().unwrap(),
    };
    let record = Record::new(kept).next();
    let spliced = Hard {
        delta: 5,
        spliced: 1,
        ..record.hard
    };
    // The notice is lost; asking finds it out.
    let _server = Serving::unix(&socket(folder.path()), move |ask| match ask.request {
        Request::Show { .. } => reply(
            ask,
            Reply::Show {
                connection: Box::new(scripted::summary(spliced)),
            },
        ),
        _ => obey(ask),
    });
    let client = Client::connect(&unix(folder.path())).unwrap();
    let recovery = client.recover(&record).unwrap();
    assert_eq!(
        (recovery.base, recovery.checkpoint, recovery.peer_eof),
        (17, 0, false)
    );
    let (stream, connection) = recovery.connect(SOON).unwrap();
    assert_eq!(stream.local_addr().unwrap(), free);
    assert_eq!(connection.record().hard, spliced);
}

#[test]
fn several_are_recovered_at_once_and_fail_each_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::unix(&socket(folder.path()), move |ask| match &ask.request {
        Request::Recover { hard } if hard.flow.remote.port() % 10 == 0 => reply(
            ask,
            Reply::Refused(Refusal::OlderIncarnation {
                given: hard.incarnation,
                current: 9,
            }),
        ),
        _ => obey(ask),
    });
    let client = Client::connect(&unix(folder.path())).unwrap();
    let records: Vec<_> = (0..200)
        .map(|number| Record::new(hard(number)).next())
        .collect();
    let recoveries = client.recover_all(&records);
    assert_eq!(
        recoveries
            .iter()
            .filter(|recovery| recovery.is_err())
            .count(),
        20
    );
    assert_eq!(recoveries[1].as_ref().unwrap().flow(), records[1].hard.flow);
    assert_eq!(server.asked().len(), 201);
    let refused = recoveries.into_iter().next().unwrap().unwrap_err();
    assert!(refused.to_string().contains("incarnation 9"), "{refused}");
}

#[test]
fn a_recovery_whose_base_changed_in_a_restart_does_not_connect() {
    let folder = tempfile::tempdir().unwrap();
    let first = Serving::unix(&socket(folder.path()), obey);
    let client = Client::connect(&unix(folder.path())).unwrap();
    let recovery = client.recover(&Record::new(hard(1)).next()).unwrap();
    drop(first);
    let second = Serving::unix(&socket(folder.path()), |ask| match &ask.request {
        Request::Recover { hard } => reply(
            ask,
            Reply::Recovered {
                hard: hard.clone(),
                base: 18,
            },
        ),
        _ => obey(ask),
    });
    second.until("recover", |asked| {
        asked
            .iter()
            .any(|ask| matches!(ask, Request::Recover { .. }))
    });
    client.counters().unwrap_err();
    let error = recovery.connect(SOON).unwrap_err();
    let again = ConnectError::Tcpr(ClientError::Refused {
        what: "connect",
        flow: hard(1).flow,
        refusal: Refusal::RecoverAgain,
    });
    assert_eq!(error.to_string(), again.to_string());
}

fn udp(folder: &Path) -> (UdpSocket, Key, Endpoint) {
    let file = folder.join("key");
    std::fs::write(&file, [7; 32]).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let endpoint = format!(
        "udp:{}?key={}",
        socket.local_addr().unwrap(),
        file.display()
    );
    (socket, Key::load(&file).unwrap(), endpoint.parse().unwrap())
}

#[test]
fn over_udp_with_a_third_of_all_datagrams_lost_everything_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, key, endpoint) = udp(folder.path());
    let mut count = 0_u32;
    let lose = move || {
        count += 1;
        count.is_multiple_of(3)
    };
    let flow = hard(1).flow;
    let server = Serving::udp(socket, key, obey, lose);
    let client = Client::connect(&endpoint).unwrap();
    let connection = client.register(flow).unwrap();
    for offset in 1..=20 {
        connection.checkpoint(offset).unwrap();
        connection.done_reading().unwrap();
    }
    let last = Request::Checkpoint { flow, offset: 20 };
    server.until("the last checkpoint", |asked| asked.contains(&last));
    let done = server
        .asked()
        .iter()
        .filter(|ask| matches!(ask, Request::DoneReading { .. }))
        .count();
    assert_eq!(done, 20, "each is carried out once");
}

#[test]
fn over_udp_a_restart_of_the_server_is_found_out_while_nobody_asks() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, key, endpoint) = udp(folder.path());
    let again = socket.try_clone().unwrap();
    let flow = hard(1).flow;
    let first = Serving::udp(socket, key.clone(), obey, || false);
    let client = Client::connect(&endpoint).unwrap();
    let connection = client.register(flow).unwrap();
    connection.checkpoint(33).unwrap();
    drop(first);
    let second = Serving::udp(again, key, obey, || false);
    second.until("register", |asked| {
        asked.iter().any(|ask| matches!(ask, Request::Register { hard: Some(hard), .. } if hard.checkpoint == 33))
    });
    connection.done_reading().unwrap();
}

#[test]
fn calls_of_many_threads_are_answered_each_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let _server = Serving::unix(&socket(folder.path()), obey);
    let client = Client::connect(&unix(folder.path())).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let client = &client;
            scope.spawn(move || {
                for number in 0..50 {
                    let flow = hard(thread * 100 + number).flow;
                    assert_eq!(client.show(&flow).unwrap().flow, flow);
                }
            });
        }
    });
}
