//! Everything that octets from the side channel reach, at once: what a fuzzer calls.
//!
//! *Assumes* nothing.
//! *Guarantees* that whatever the octets are, no step panics, nothing that is not sealed is taken,
//! and what is understood is written as it was read.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::udp::{Client, FromClient, FromServer, Key, Limits, Server};
use super::{Lines, REQUEST_LIMIT, line, numbered, read_ask, read_message};

/// Takes octets as a stream of lines, as a request, as a message, and as a datagram at both ends.
///
/// # Panics
///
/// If one of the guarantees of the protocol does not hold.
pub fn side_channel(octets: &[u8]) {
    let cut = octets
        .first()
        .map_or(0, |&octet| usize::from(octet) % octets.len());
    let mut lines = Lines::new(REQUEST_LIMIT);
    for part in [&octets[..cut], &octets[cut..], b"\n"] {
        lines.push(part);
        while let Some(next) = lines.line() {
            let Ok(next) = next else { continue };
            assert!(!next.contains(&b'\n'), "a line within a line");
            message(next);
        }
    }
    message(octets);
    datagram(octets);
}

fn message(octets: &[u8]) {
    let _ = numbered(octets);
    match read_ask(octets) {
        Ok(ask) => {
            let again = read_ask(&line(&ask));
            assert_eq!(
                again.as_ref(),
                Ok(&ask),
                "a request changes when it is written"
            );
        }
        // The answer has to be a line of its own, whatever was asked.
        Err(answer) => assert!(
            read_message(&line(&answer)).is_ok(),
            "an answer that is none"
        ),
    }
    if let Ok(message) = read_message(octets) {
        let again = line(&message);
        let read = read_message(&again).ok();
        assert_eq!(
            read.as_ref(),
            Some(&message),
            "a message changes when it is written"
        );
    }
}

fn datagram(octets: &[u8]) {
    let Ok(key) = Key::new(&[0x5a; Key::LEAST]) else {
        return;
    };
    let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 7179));
    let now = Duration::from_secs(1);
    let mut server = Server::new(key.clone(), [1; 32], Limits::default());
    let mut client = Client::new(key);
    client.begin([2; 32]);
    let _ = server.take(now, from, octets);
    let _ = client.take(octets);
    // In an open session too: nothing but what the other end has sealed is taken.
    let mut pending = client.unanswered().map(<[u8]>::to_vec);
    while let Some(datagram) = pending.take() {
        let Ok(FromClient::Known { answer }) = server.take(now, from, &datagram) else {
            break;
        };
        if let Ok(FromServer::Send(next)) = client.take(&answer) {
            pending = Some(next);
        }
    }
    assert!(client.is_open(), "no session came of a handshake");
    let taken = server.take(now, from, octets);
    assert!(
        !matches!(taken, Ok(FromClient::Request { .. })),
        "an unsealed request was taken"
    );
    let taken = client.take(octets);
    assert!(
        !matches!(taken, Ok(FromServer::Message(_))),
        "an unsealed message was taken"
    );
    if let Some(sealed) = client.seal(octets)
        && sealed.len() <= super::udp::DATAGRAM_LIMIT
    {
        let taken = server.take(now, from, &sealed);
        assert!(matches!(taken, Ok(FromClient::Request { line, .. }) if line == octets));
        let again = server.take(now, from, &sealed);
        assert!(again.is_err(), "a request was taken twice");
    }
}
