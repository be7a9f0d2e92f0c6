//! The host's own sockets are ended.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;

use tcpr::dataplane::Dataplane;

use crate::bed::{both, connect, inside, open, pair, sh, until};

#[test]
fn an_established_socket_is_ended_and_its_process_told() {
    inside(
        "sockets::an_established_socket_is_ended_and_its_process_told",
        || {
            let mut dataplane = open(&[]);
            for (server, client) in both(5201) {
                let (near, _far) = pair(server, client);
                let local = near.local_addr().unwrap();
                assert!(dataplane.end_local_socket(local, server).unwrap());
                let error = (&near).read(&mut [0]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
                assert!(!dataplane.end_local_socket(local, server).unwrap());
            }
        },
    );
}

#[test]
fn a_socket_without_a_process_in_fin_wait_1_makes_room() {
    inside(
        "sockets::a_socket_without_a_process_in_fin_wait_1_makes_room",
        || {
            let mut dataplane = open(&[]);
            for (server, client) in both(5202) {
                let (mut near, far) = pair(server, client);
                let local = near.local_addr().unwrap();
                near.set_nonblocking(true).unwrap();
                while near.write(&[0; 65536]).is_ok() {}
                drop(near);
                let state = || sh("ss -Htan state fin-wait-1");
                until("FIN-WAIT-1", || {
                    state().contains(&format!(":{}", local.port()))
                });
                let error = connect(server, local).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
                assert!(dataplane.end_local_socket(local, server).unwrap());
                assert_eq!(state(), "");
                // The address is free: nobody listens any more, which is another error.
                let error = connect(server, local).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
                drop(far);
            }
        },
    );
}

#[test]
fn a_listener_is_never_ended() {
    inside("sockets::a_listener_is_never_ended", || {
        let mut dataplane = open(&[]);
        for (server, client) in both(5203) {
            let listener = TcpListener::bind(server).unwrap();
            let nobody = (client.ip(), 7777).into();
            assert!(!dataplane.end_local_socket(server, nobody).unwrap());
            let near = connect(server, client).unwrap();
            listener.accept().unwrap();
            // Nor the listener's other connections.
            assert!(!dataplane.end_local_socket(server, nobody).unwrap());
            assert!(near.peer_addr().is_ok());
        }
    });
}
