//! The client on tokio, over real sockets, against a server that follows a script.
#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scripted;

use std::net::TcpListener;
use std::time::Duration;

use scripted::{Serving, hard, notice, obey, reply};
use tcpr::protocol::{Notice, Reply, Request};
use tcpr::tokio::Client;
use tcpr::{ClientError, Ending, Endpoint, Hard, Pattern, Record, Refusal};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_restart_of_the_server_in_mid_request_is_not_the_applications_business() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tcpr.sock");
    let flow = hard(1).flow;
    let pattern = Pattern::Local(flow.local);
    let first = Serving::unix(&path, move |ask| match ask.request {
        Request::DoneWriting { .. } => vec![],
        Request::Checkpoint { flow, .. } => vec![notice(Notice::Acked { flow, offset: 900 })],
        _ => obey(ask),
    });
    let client = Client::connect(&Endpoint::Unix(path.clone()))
        .await
        .unwrap();
    client.protect(pattern).await.unwrap();
    let connection = client.register(flow).await.unwrap();
    connection.checkpoint(40).unwrap();
    connection.wait_acked(900, SOON).await.unwrap();
    connection.checkpoint_end(40).unwrap();
    let waiting = connection.clone();
    let call = tokio::spawn(async move { waiting.done_writing(1000).await });
    let found = move || {
        first.until("done_writing", |asked| {
            asked
                .iter()
                .any(|ask| matches!(ask, Request::DoneWriting { .. }))
        })
    };
    tokio::task::spawn_blocking(found).await.unwrap();
    let second = Serving::unix(&path, obey);
    call.await.unwrap().unwrap();
    let asked = second.asked();
    assert_eq!(asked[1], Request::Protect { pattern });
    let Request::Register {
        hard: Some(told), ..
    } = &asked[2]
    else {
        panic!("{asked:?}")
    };
    let input = (told.checkpoint, told.peer_fin);
    assert_eq!((told.acked, input), (900, (41, Some(40))));
    assert_eq!(
        asked[3],
        Request::DoneWriting {
            flow,
            written: 1000
        }
    );
}

#[tokio::test]
async fn a_recovery_waits_for_the_splice_and_then_for_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tcpr.sock");
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
    let _server = Serving::unix(&path, move |ask| match ask.request {
        Request::Recover { .. } => {
            let mut said = obey(ask);
            said.push(notice(Notice::Spliced { hard: spliced }));
            said
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
    let client = Client::connect(&Endpoint::Unix(path)).await.unwrap();
    let recovery = client.recover(&record).await.unwrap();
    assert_eq!((recovery.base, recovery.checkpoint), (17, 0));
    let sized = recovery.connect_with(SOON, |socket| socket.set_recv_buffer_size(8192));
    let (stream, connection) = sized.await.unwrap();
    assert_eq!(stream.local_addr().unwrap(), free);
    assert_eq!(connection.record().hard, spliced);
    connection.done_writing(0).await.unwrap();
    assert_eq!(
        connection.wait_closed(SOON).await.unwrap(),
        Ending::Finished
    );
    connection.done().await.unwrap();
}

#[tokio::test]
async fn a_refusal_and_a_server_that_is_silent_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tcpr.sock");
    let _server = Serving::unix(&path, |ask| match ask.request {
        Request::Abort { .. } => reply(ask, Reply::Refused(Refusal::Unknown)),
        _ => obey(ask),
    });
    let client = Client::connect(&Endpoint::Unix(path)).await.unwrap();
    let refused = client.abort(&hard(1).flow).await;
    assert!(matches!(
        refused,
        Err(ClientError::Refused {
            refusal: Refusal::Unknown,
            ..
        })
    ));
    let connection = client.register(hard(1).flow).await.unwrap();
    let silent = connection.wait_closed(Duration::from_millis(50)).await;
    assert!(
        matches!(silent, Err(ClientError::Unanswered { .. })),
        "{silent:?}"
    );
    client.watch().await.unwrap();
    assert_eq!(client.notice(Duration::from_millis(20)).await, None);
}
