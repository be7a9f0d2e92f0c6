//! OPENs with capabilities as other speakers write them.

use injectors::speaker::message::{Message, decode};

use crate::framed;

#[test]
fn an_open_of_no_capabilities_offers_ipv4_unicast_alone() {
    let octets = framed(1, &[4, 0xfc, 1, 0, 90, 192, 0, 2, 7, 0]);
    let Ok(Message::Open(open)) = decode(&octets, true) else {
        panic!("no OPEN");
    };
    assert_eq!((open.asn, open.ipv4_unicast), (64_513, true));
    assert_eq!((open.four_octet_as, open.graceful_restart), (false, None));
}

#[test]
fn an_open_of_other_families_does_not_offer_ipv4_unicast() {
    // IPv6 unicast, and a family of which no registry knows.
    for family in [[0, 2, 0, 1], [0xee, 0xee, 0, 0xee]] {
        let mut body = vec![4, 0xfc, 1, 0, 90, 192, 0, 2, 7, 8, 2, 6, 1, 4];
        body.extend(family);
        let Ok(Message::Open(open)) = decode(&framed(1, &body), true) else {
            panic!("no OPEN");
        };
        assert!(!open.ipv4_unicast);
    }
}

#[test]
fn capabilities_may_be_in_parameters_of_their_own() {
    let octets = framed(
        1,
        &[
            4, 0x5b, 0xa0, 0, 90, 192, 0, 2, 7, 16, // AS_TRANS, and 16 octets of parameters:
            2, 6, 1, 4, 0, 1, 0, 1, // IPv4 unicast,
            2, 6, 65, 4, 0xfa, 0x56, 0xea, 0x01, // AS 4200000001.
        ],
    );
    let Ok(Message::Open(open)) = decode(&octets, true) else {
        panic!("no OPEN");
    };
    assert_eq!((open.asn, open.ipv4_unicast), (4_200_000_001, true));
}
