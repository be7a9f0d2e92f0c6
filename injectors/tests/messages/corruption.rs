//! Messages that are cut, damaged, or framed badly.

use std::net::Ipv4Addr;

use injectors::speaker::config::GracefulRestart;
use injectors::speaker::message::{Notification, Open, complete, decode, keepalive};

use crate::{framed, net, update};

/// One of each type, all parts there.
fn samples() -> Vec<Vec<u8>> {
    let open = Open {
        asn: 4_200_000_001,
        hold_time_s: 90,
        router_id: Ipv4Addr::new(192, 0, 2, 7),
        four_octet_as: true,
        ipv4_unicast: true,
        graceful_restart: Some(GracefulRestart {
            restart_time_s: 120,
            restarted: true,
            forwarding: true,
            notification: true,
        }),
    };
    vec![
        open.to_octets(),
        update(
            &[net("198.51.100.0/24"), net("10.0.0.0/8"), net("0.0.0.0/0")],
            &[net("203.0.113.128/25")],
            true,
        ),
        Notification {
            code: 6,
            subcode: 2,
            data: b"\x04soon".to_vec(),
        }
        .to_octets(),
        keepalive(),
        framed(5, &[0, 1, 0, 1]),
    ]
}

#[test]
fn every_truncation_is_incomplete_and_no_message() {
    for message in samples() {
        assert_eq!(complete(&message), Ok(Some(message.len())));
        let mut longer = message.clone();
        longer.push(0xff);
        assert_eq!(complete(&longer), Ok(Some(message.len())));
        let error = decode(&longer, true).unwrap_err();
        assert_eq!((error.code, error.subcode), (1, 2));
        for length in 0..message.len() {
            assert_eq!(complete(&message[..length]), Ok(None));
            let error = decode(&message[..length], true).unwrap_err();
            assert_eq!((error.code, error.subcode), (1, 2));
        }
    }
}

/// A body that is cut, in a frame whose length says so, is a message or an error of its type.
#[test]
fn every_truncated_body_is_a_message_or_its_error() {
    for message in samples() {
        let kind = message[18];
        for length in 19..message.len() {
            if let Err(error) = decode(&framed(kind, &message[19..length]), true) {
                assert!([1, kind + 1].contains(&error.code), "type {kind}: {error}");
            }
        }
    }
}

#[test]
fn every_corrupted_octet_leaves_a_message_or_an_error() {
    let (mut messages, mut errors) = (0, 0);
    for message in samples() {
        for at in 0..message.len() {
            for octet in 0..=u8::MAX {
                let mut corrupted = message.clone();
                corrupted[at] = octet;
                let incomplete = complete(&corrupted) == Ok(None);
                match decode(&corrupted, true) {
                    Ok(_) => messages += 1,
                    Err(error) => {
                        errors += 1;
                        // A length that is too great is for the caller to wait for.
                        assert!(incomplete || at >= 16 || (error.code, error.subcode) == (1, 1));
                        assert!((1..=3).contains(&error.code));
                    }
                }
            }
        }
    }
    assert!(messages > 1000 && errors > 1000, "{messages}, {errors}");
}

/// Header and body, and the error that RFC 4271, sections 6.1 to 6.3, has for it.
#[test]
fn each_broken_frame_has_its_error() {
    let with_length = |length: u16, kind: u8| {
        let mut octets = vec![0xff; 16];
        octets.extend(length.to_be_bytes());
        octets.push(kind);
        octets
    };
    let header = |octets: &[u8]| complete(octets).map(|_| ());
    for (octets, subcode, data) in [
        (vec![0xfe], 1, vec![]),
        (with_length(18, 4), 2, vec![0, 18]),
        (with_length(20, 4), 2, vec![0, 20]),
        (with_length(28, 1), 2, vec![0, 28]),
        (with_length(22, 2), 2, vec![0, 22]),
        (with_length(20, 3), 2, vec![0, 20]),
        (with_length(4097, 2), 2, vec![16, 1]),
        (with_length(19, 0), 3, vec![0]),
        (with_length(19, 6), 3, vec![6]),
    ] {
        let error = Notification {
            code: 1,
            subcode,
            data,
        };
        assert_eq!(header(&octets), Err(error), "{octets:?}");
    }
    let open = |parameters: &[u8]| {
        let mut body = vec![4, 0xfc, 0, 0, 90, 192, 0, 2, 7];
        body.extend(parameters);
        framed(1, &body)
    };
    for (octets, code, subcode) in [
        // No version 3.
        (framed(1, &[3, 0xfc, 0, 0, 90, 192, 0, 2, 7, 0]), 2, 1),
        // Authentication (RFC 1771) is no parameter any more.
        (open(&[2, 1, 0]), 2, 4),
        // Parameters are shorter and longer than they say.
        (open(&[1]), 2, 0),
        (open(&[0, 0]), 2, 0),
        (open(&[2, 2, 1]), 2, 0),
        // The same with the long lengths of RFC 9072.
        (open(&[255, 255, 0, 1]), 2, 0),
        (open(&[255, 255, 0, 1, 2, 0, 0]), 2, 0),
        // A capability overruns its parameter; one has no length.
        (open(&[4, 2, 2, 65, 4]), 2, 0),
        (open(&[3, 2, 1, 65]), 2, 0),
        // Four-octet AS number of two octets; multiprotocol of two; Graceful Restart of one.
        (open(&[6, 2, 4, 65, 2, 0, 1]), 2, 0),
        (open(&[6, 2, 4, 1, 2, 0, 1]), 2, 0),
        (open(&[5, 2, 3, 64, 1, 0]), 2, 0),
        // Lengths of fields beyond the message.
        (framed(2, &[0, 1, 0, 0]), 3, 1),
        (framed(2, &[0, 0, 0, 1]), 3, 1),
        // A prefix of 33 bits, and one that is cut.
        (framed(2, &[0, 0, 0, 0, 33, 1, 2, 3, 4, 5]), 3, 10),
        (framed(2, &[0, 2, 24, 1, 0, 0]), 3, 10),
        // Two MP_UNREACH_NLRI; one with a cut prefix; MP_REACH_NLRI without a next hop.
        (
            framed(2, &[0, 0, 0, 12, 128, 15, 3, 0, 1, 1, 128, 15, 3, 0, 1, 1]),
            3,
            1,
        ),
        (framed(2, &[0, 0, 0, 7, 128, 15, 4, 0, 1, 1, 24]), 3, 9),
        (framed(2, &[0, 0, 0, 7, 128, 14, 4, 0, 1, 1, 4]), 3, 9),
    ] {
        let error = decode(&octets, true).unwrap_err();
        assert_eq!((error.code, error.subcode), (code, subcode), "{octets:?}");
    }
    let version = decode(&framed(1, &[3, 0xfc, 0, 0, 90, 192, 0, 2, 7, 0]), true);
    assert_eq!(version.unwrap_err().data, [0, 4]);
}
