//! Sealed datagrams: what an attacker on the network can do, which is nothing but keep them away.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::time::Duration;

use tcpr::protocol::udp::{
    Client, FromClient, FromServer, Key, Limits, Refused, Server, SessionId, Unsealed,
};
use tcpr::protocol::{Answer, Ask, Reply, Request, line};

const NOW: Duration = Duration::from_secs(100);
const KEY: [u8; 32] = [7; 32];

fn at(port: u16) -> SocketAddr {
    ([198, 18, 0, 9], port).into()
}

fn key(octet: u8) -> Key {
    Key::new(&[octet; 32]).unwrap()
}

fn server(secret: u8) -> Server {
    Server::new(
        Key::new(&KEY).unwrap(),
        [secret; 32],
        Limits {
            sessions: 4,
            ..Limits::default()
        },
    )
}

fn known(taken: Result<FromClient<'_>, Refused>) -> Vec<u8> {
    match taken.unwrap() {
        FromClient::Known { answer } => answer,
        other => panic!("{other:?}"),
    }
}

/// Opens a session; the PROOF is what an eavesdropper has seen of it.
fn open(server: &mut Server, port: u16, nonce: u8) -> (Client, Vec<u8>) {
    let mut client = Client::new(Key::new(&KEY).unwrap());
    client.begin([nonce; 32]);
    let challenge = known(server.take(NOW, at(port), client.unanswered().unwrap()));
    let FromServer::Send(proof) = client.take(&challenge).unwrap() else {
        panic!("no proof")
    };
    let accept = known(server.take(NOW, at(port), &proof));
    assert_eq!(client.take(&accept).unwrap(), FromServer::Opened);
    assert!(client.unanswered().is_none());
    (client, proof)
}

fn ask(id: u64) -> Vec<u8> {
    line(&Ask {
        id,
        request: Request::Counters,
    })
}

fn taken(server: &mut Server, port: u16, datagram: &[u8]) -> SessionId {
    match server.take(NOW, at(port), datagram).unwrap() {
        FromClient::Request { session, .. } => session,
        other => panic!("{other:?}"),
    }
}

fn refused(server: &mut Server, port: u16, datagram: &[u8]) -> Unsealed {
    server
        .take(NOW, at(port), datagram)
        .expect_err("it is taken")
        .why
}

#[test]
fn a_request_and_its_reply_and_a_notice_pass() {
    let mut server = server(1);
    let (mut client, _) = open(&mut server, 1, 1);
    let sealed = client.seal(&ask(1)).unwrap();
    assert!(
        matches!(server.take(NOW, at(1), &sealed), Ok(FromClient::Request { line, .. }) if line == ask(1))
    );
    let sealed = client.seal(&ask(2)).unwrap();
    let session = taken(&mut server, 1, &sealed);
    let reply = line(&Answer {
        id: 2,
        reply: Reply::Ok,
    });
    let (to, datagram) = server.seal_answer(&session, 2, &reply).unwrap();
    assert_eq!(
        (to, client.take(&datagram).unwrap()),
        (at(1), FromServer::Message(&reply))
    );
    let (_, datagram) = server.seal_notice(&session, b"told").unwrap();
    assert_eq!(
        client.take(&datagram).unwrap(),
        FromServer::Message(b"told")
    );
    assert_eq!(client.take(&datagram), Err(Unsealed::Replayed));
}

#[test]
fn a_wrong_key_opens_nothing() {
    let mut server = server(1);
    let mut stranger = Client::new(key(8));
    stranger.begin([1; 32]);
    let hello = stranger.unanswered().unwrap().to_vec();
    assert_eq!(refused(&mut server, 1, &hello), Unsealed::WrongKey);
    // Nor does a server with another key get a proof.
    let mut impostor = Server::new(key(8), [1; 32], Limits::default());
    let challenge = known(impostor.take(NOW, at(1), &hello));
    let mut client = Client::new(Key::new(&KEY).unwrap());
    client.begin([1; 32]);
    assert_eq!(client.take(&challenge), Err(Unsealed::WrongKey));
    assert_eq!(server.sessions(), 0);
}

#[test]
fn a_datagram_is_taken_once_in_one_direction_and_whole() {
    let mut server = server(1);
    let (mut client, _) = open(&mut server, 1, 1);
    let sealed = client.seal(&ask(1)).unwrap();
    taken(&mut server, 1, &sealed);
    assert_eq!(refused(&mut server, 1, &sealed), Unsealed::Replayed);
    // Reflected, as it is and dressed as the server's.
    assert_eq!(client.take(&sealed), Err(Unsealed::Malformed));
    let mut dressed = sealed.clone();
    dressed[5] = 6;
    assert_eq!(client.take(&dressed), Err(Unsealed::WrongKey));
    // Cut, and with any single bit changed.
    let sealed = client.seal(&ask(2)).unwrap();
    for length in 0..sealed.len() {
        assert!(
            server.take(NOW, at(1), &sealed[..length]).is_err(),
            "{length} octets"
        );
    }
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(server.take(NOW, at(1), &changed).is_err(), "bit {bit}");
    }
    let other = server
        .take(NOW, at(2), &sealed)
        .expect_err("from another address");
    assert_eq!(other.why, Unsealed::UnknownSession);
    taken(&mut server, 1, &sealed);
}

#[test]
fn a_request_that_is_repeated_is_carried_out_once_and_answered_again() {
    let mut server = server(1);
    let (mut client, _) = open(&mut server, 1, 1);
    let first = client.seal(&ask(1)).unwrap();
    let session = taken(&mut server, 1, &first);
    let again = client.seal(&ask(1)).unwrap();
    assert_eq!(server.take(NOW, at(1), &again), Ok(FromClient::Waiting));
    server.seal_answer(&session, 1, b"answer").unwrap();
    let again = client.seal(&ask(1)).unwrap();
    let answer = known(server.take(NOW, at(1), &again));
    assert_eq!(
        client.take(&answer).unwrap(),
        FromServer::Message(b"answer")
    );
    // What is long gone is not carried out a second time.
    for id in 2..400 {
        let sealed = client.seal(&ask(id)).unwrap();
        taken(&mut server, 1, &sealed);
        server.seal_answer(&session, id, b"answer").unwrap();
    }
    let old = client.seal(&ask(1)).unwrap();
    assert_eq!(refused(&mut server, 1, &old), Unsealed::Replayed);
}

#[test]
fn what_was_recorded_before_a_restart_is_worth_nothing_after_it() {
    let mut old = server(1);
    let (mut client, proof) = open(&mut old, 1, 1);
    let sealed = client.seal(&ask(1)).unwrap();
    let mut new = server(2);
    assert_eq!(refused(&mut new, 1, &proof), Unsealed::UnknownSession);
    let stale = new
        .take(NOW, at(1), &sealed)
        .expect_err("of a session before");
    assert_eq!(stale.why, Unsealed::UnknownSession);
    assert_eq!(new.sessions(), 0);
    // The client is told, believes it only from who has the key, and begins again.
    let answer = stale.answer.unwrap();
    assert!(answer.len() <= sealed.len());
    let mut forged = answer.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(client.take(&forged), Err(Unsealed::WrongKey));
    assert_eq!(client.take(&answer).unwrap(), FromServer::Stale);
    assert!(
        client.is_open(),
        "it goes on until another session is there"
    );
}

#[test]
fn a_session_that_was_forgotten_does_not_come_back() {
    let mut server = server(1);
    let (mut client, proof) = open(&mut server, 1, 1);
    let sealed = client.seal(&ask(1)).unwrap();
    let id = taken(&mut server, 1, &sealed);
    // While it lives the proof only repeats the acceptance, and takes no counter back.
    known(server.take(NOW, at(1), &proof));
    assert_eq!(refused(&mut server, 1, &sealed), Unsealed::Replayed);
    assert_eq!(
        server.expire(NOW + Duration::from_secs(29)),
        Vec::<SessionId>::new()
    );
    assert_eq!(server.expire(NOW + Duration::from_secs(31)), vec![id]);
    assert!(server.seal_notice(&id, b"told").is_none());
    for after in [NOW, NOW + Duration::from_secs(31)] {
        let again = server
            .take(after, at(1), &proof)
            .expect_err("it comes back");
        assert_eq!(again.why, Unsealed::Replayed);
    }
    assert_eq!(server.sessions(), 0);
}

#[test]
fn a_flood_costs_no_state_and_shuts_nobody_out() {
    let mut server = server(1);
    let (mut client, _) = open(&mut server, 1, 1);
    let mut hello = Client::new(Key::new(&KEY).unwrap());
    hello.begin([9; 32]);
    let hello = hello.unanswered().unwrap().to_vec();
    let mut refused = 0;
    for number in 0..20_000_u32 {
        let mut datagram = hello.clone();
        datagram[6..10].copy_from_slice(&number.to_be_bytes());
        let port = u16::try_from(number % 60_000).unwrap() + 2;
        match server.take(NOW, at(port), &datagram) {
            Err(Refused {
                why: Unsealed::WrongKey,
                answer: None,
            }) => refused += 1,
            other => panic!("{other:?}"),
        }
        // One that was recorded is answered, and no longer than it is itself.
        assert!(known(server.take(NOW, at(port), &hello)).len() <= hello.len());
    }
    assert_eq!((refused, server.sessions()), (20_000, 1));
    let sealed = client.seal(&ask(1)).unwrap();
    taken(&mut server, 1, &sealed);
}

#[test]
fn sessions_are_bounded_and_the_silent_ones_make_room() {
    let mut server = server(1);
    for number in 1..=4 {
        open(&mut server, u16::from(number), number);
    }
    let mut fifth = Client::new(Key::new(&KEY).unwrap());
    fifth.begin([5; 32]);
    let later = NOW + Duration::from_secs(9);
    let challenge = known(server.take(later, at(5), fifth.unanswered().unwrap()));
    let FromServer::Send(proof) = fifth.take(&challenge).unwrap() else {
        panic!("no proof")
    };
    assert_eq!(
        server
            .take(later, at(5), &proof)
            .expect_err("there is room")
            .why,
        Unsealed::Full
    );
    let much_later = NOW + Duration::from_secs(40);
    fifth.begin([6; 32]);
    let challenge = known(server.take(much_later, at(5), fifth.unanswered().unwrap()));
    let FromServer::Send(proof) = fifth.take(&challenge).unwrap() else {
        panic!("no proof")
    };
    known(server.take(much_later, at(5), &proof));
    assert_eq!(server.sessions(), 1);
}

#[test]
fn another_way_of_sealing_is_told_as_such() {
    let mut server = server(1);
    let (mut client, _) = open(&mut server, 1, 1);
    let mut datagram = client.seal(&ask(1)).unwrap();
    datagram[4] = 2;
    let refused = server
        .take(NOW, at(1), &datagram)
        .expect_err("it is understood");
    assert_eq!(refused.why, Unsealed::OtherVersion { given: 2 });
    let mut answer = refused.answer.unwrap();
    assert!(answer.len() <= datagram.len());
    answer[4] = 3;
    assert_eq!(
        client.take(&answer),
        Err(Unsealed::OtherVersion { given: 3 })
    );
}
