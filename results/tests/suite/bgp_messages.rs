//! What single messages say, encoded by another implementation.

use std::net::Ipv4Addr;

use results::bgp::{Body, GracefulRestart, Update};
use rustbgpd_wire as codec;

use crate::speaker::{DATA, Listener, SYN, encode, keepalive, update};

/// What a speaker's stream of these octets says, after a SYN.
fn said(octets: &[u8]) -> Vec<Body> {
    let mut listener = Listener::default();
    listener.hear(1, 0, SYN, &[]);
    listener.hear(2, 1, DATA, octets);
    listener.finish().into_iter().map(|m| m.body).collect()
}

fn nets(prefixes: &[&str]) -> Vec<ipnet::Ipv4Net> {
    prefixes.iter().map(|p| p.parse().unwrap()).collect()
}

fn open(my_as: u16, capabilities: Vec<codec::Capability>) -> Vec<u8> {
    encode(codec::Message::Open(codec::OpenMessage {
        version: 4,
        my_as,
        hold_time: 90,
        bgp_identifier: Ipv4Addr::new(192, 0, 2, 7),
        capabilities,
    }))
}

#[test]
fn an_open_tells_the_speaker_and_its_graceful_restart() {
    let octets = open(
        23456,
        vec![
            codec::Capability::FourOctetAs { asn: 4_200_000_001 },
            codec::Capability::GracefulRestart {
                restart_state: true,
                notification: true,
                restart_time: 120,
                families: vec![codec::GracefulRestartFamily {
                    afi: codec::Afi::Ipv4,
                    safi: codec::Safi::Unicast,
                    forwarding_preserved: true,
                }],
            },
        ],
    );
    let [Body::Open(open)] = &said(&octets)[..] else {
        panic!("not one OPEN: {:?}", said(&octets));
    };
    assert_eq!(open.asn, 4_200_000_001);
    assert_eq!(open.hold_time_s, 90);
    assert_eq!(open.router_id, Ipv4Addr::new(192, 0, 2, 7));
    assert!(open.four_octet_as);
    assert_eq!(
        open.graceful_restart,
        Some(GracefulRestart {
            restart_time_s: 120,
            restarting: true,
            notification: true,
            ipv4_unicast: true,
            forwarding: true,
        })
    );
}

#[test]
fn an_open_without_capabilities_offers_nothing() {
    let [Body::Open(open)] = &said(&open(64512, vec![]))[..] else {
        panic!("not one OPEN");
    };
    assert_eq!((open.asn, open.four_octet_as), (64512, false));
    assert_eq!(open.graceful_restart, None);
}

#[test]
fn graceful_restart_of_another_family_is_not_that_of_ipv4() {
    let octets = open(
        64512,
        vec![codec::Capability::GracefulRestart {
            restart_state: false,
            notification: false,
            restart_time: 7,
            families: vec![codec::GracefulRestartFamily {
                afi: codec::Afi::Ipv6,
                safi: codec::Safi::Unicast,
                forwarding_preserved: true,
            }],
        }],
    );
    let [Body::Open(open)] = &said(&octets)[..] else {
        panic!("not one OPEN");
    };
    let gr = open.graceful_restart.unwrap();
    assert_eq!((gr.restart_time_s, gr.ipv4_unicast), (7, false));
    assert!(!gr.forwarding && !gr.restarting && !gr.notification);
}

#[test]
fn an_update_announces_and_withdraws() {
    let octets = update(
        &["198.51.100.0/24", "10.0.0.0/8"],
        &["203.0.113.0/25", "0.0.0.0/0"],
        &[64512, 64513, 64514],
        true,
    );
    assert_eq!(
        said(&octets),
        [Body::Update(Update {
            announced: nets(&["198.51.100.0/24", "10.0.0.0/8"]),
            withdrawn: nets(&["203.0.113.0/25", "0.0.0.0/0"]),
            as_path_len: Some(3),
            end_of_rib: false,
        })]
    );
}

#[test]
fn as_numbers_of_two_octets_are_read_without_an_open() {
    let narrow = update(&["198.51.100.0/24"], &[], &[64512, 64513], false);
    let mut octets = narrow.clone();
    octets.extend(update(&["198.51.100.0/24"], &[], &[64512], false));
    octets.extend(update(&["198.51.100.0/24"], &[], &[1, 2, 3, 4], true));
    let lengths: Vec<_> = said(&octets)
        .into_iter()
        .map(|b| match b {
            Body::Update(u) => u.as_path_len,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(lengths, [Some(2), Some(1), Some(4)]);
}

/// An UPDATE of nothing but these path attributes.
fn of_attributes(attributes: &[u8]) -> Vec<u8> {
    let mut octets = vec![0xff; 16];
    octets.extend((23 + attributes.len() as u16).to_be_bytes());
    octets.extend([2, 0, 0]);
    octets.extend((attributes.len() as u16).to_be_bytes());
    octets.extend(attributes);
    octets
}

#[test]
fn an_as_set_counts_as_one_in_the_path_length() {
    // An AS_SEQUENCE of 1 and 2, an AS_SET of 3, 4 and 5.
    let octets = of_attributes(&[
        0x40, 2, 24, 2, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5,
    ]);
    let [Body::Update(update)] = &said(&octets)[..] else {
        panic!("not one UPDATE");
    };
    assert_eq!(update.as_path_len, Some(3));
}

#[test]
fn the_shortest_update_is_end_of_rib() {
    let eor = Body::Update(Update {
        end_of_rib: true,
        ..Update::default()
    });
    assert_eq!(said(&of_attributes(&[])), std::slice::from_ref(&eor));
    // The same by MP_UNREACH_NLRI of AFI 1, SAFI 1, which RFC 4760 allows.
    assert_eq!(said(&of_attributes(&[0x80, 15, 3, 0, 1, 1])), [eor]);
}

#[test]
fn end_of_rib_of_another_family_is_not_that_of_ipv4() {
    assert_eq!(
        said(&of_attributes(&[0x80, 15, 3, 0, 2, 1])),
        [Body::Update(Update::default())]
    );
}

#[test]
fn multiprotocol_attributes_of_ipv4_unicast_count() {
    let octets = of_attributes(&[
        0x80, 15, 7, 0, 1, 1, 24, 203, 0, 113, // withdraws 203.0.113.0/24
        0x40, 1, 1, 0, // ORIGIN
        0x40, 2, 6, 2, 1, 0, 0, 0xfc, 0, // AS_PATH 64512
        0x80, 14, 13, 0, 1, 1, 4, 10, 0, 0, 1, 0, 24, 198, 51,
        100, // announces 198.51.100.0/24
    ]);
    assert_eq!(
        said(&octets),
        [Body::Update(Update {
            announced: nets(&["198.51.100.0/24"]),
            withdrawn: nets(&["203.0.113.0/24"]),
            as_path_len: Some(1),
            end_of_rib: false,
        })]
    );
}

#[test]
fn bits_beyond_the_prefix_length_have_no_meaning() {
    let mut octets = vec![0xff; 16];
    // Withdraws 198.51.100.255/20.
    octets.extend([0, 27, 2, 0, 4, 20, 198, 51, 111, 0, 0]);
    assert_eq!(
        said(&octets),
        [Body::Update(Update {
            withdrawn: nets(&["198.51.96.0/20"]),
            ..Update::default()
        })]
    );
}

#[test]
fn notifications_of_any_code_are_told() {
    let mut octets = encode(codec::Message::Notification(codec::NotificationMessage {
        code: codec::NotificationCode::Cease,
        subcode: 9,
        data: Default::default(),
    }));
    octets.extend([0xff; 16]);
    octets.extend([0, 21, 3, 200, 201]);
    assert_eq!(
        said(&octets),
        [
            Body::Notification {
                code: 6,
                subcode: 9
            },
            Body::Notification {
                code: 200,
                subcode: 201
            },
        ]
    );
}

#[test]
fn keepalives_and_route_refreshes_are_told() {
    let mut octets = keepalive();
    octets.extend(encode(codec::Message::RouteRefresh(
        codec::RouteRefreshMessage {
            afi_raw: 1,
            subtype_raw: 0,
            safi_raw: 1,
            orf: None,
        },
    )));
    assert_eq!(said(&octets), [Body::Keepalive, Body::RouteRefresh]);
}

#[test]
fn a_damaged_message_is_told_and_the_next_one_read() {
    // Path attributes longer than the message.
    let mut octets = vec![0xff; 16];
    octets.extend([0, 24, 2, 0, 0, 0, 9, 0]);
    octets.extend(keepalive());
    let bodies = said(&octets);
    assert!(
        matches!(&bodies[..], [Body::Malformed { .. }, Body::Keepalive]),
        "{bodies:?}"
    );
}
