//! UPDATEs with attributes that are missing, in error, or of other families.

use injectors::speaker::message::{Message, Update, decode};

use crate::{framed, net};

/// An UPDATE that announces 198.51.100.0/24 with these attributes.
fn with_attributes(attributes: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 0, 0, attributes.len() as u8];
    body.extend(attributes);
    body.extend([24, 198, 51, 100]);
    framed(2, &body)
}

const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
const AS_PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xfc, 1];
const NEXT_HOP: &[u8] = &[0x40, 3, 4, 192, 0, 2, 1];

#[test]
fn an_error_in_an_attribute_withdraws_and_ends_nothing() {
    let announces = |attributes: &[&[u8]]| match decode(
        &with_attributes(&attributes.concat()),
        true,
    )
    .unwrap()
    {
        Message::Update(Update {
            withdrawn,
            announced,
        }) => {
            let all = [withdrawn, announced.clone()].concat();
            assert_eq!(all, [net("198.51.100.0/24")]);
            !announced.is_empty()
        }
        other => panic!("{other:?}"),
    };
    assert!(announces(&[ORIGIN, AS_PATH, NEXT_HOP]));
    // Unknown and optional transitive; the second ORIGIN is discarded, even a bad one; the order
    // is free.
    assert!(announces(&[
        ORIGIN,
        AS_PATH,
        NEXT_HOP,
        &[0xc0, 200, 2, 1, 2]
    ]));
    assert!(announces(&[ORIGIN, AS_PATH, NEXT_HOP, &[0x40, 1, 1, 9]]));
    assert!(announces(&[NEXT_HOP, AS_PATH, ORIGIN]));
    // One that is mandatory is missing.
    assert!(!announces(&[AS_PATH, NEXT_HOP]));
    assert!(!announces(&[ORIGIN, NEXT_HOP]));
    assert!(!announces(&[ORIGIN, AS_PATH]));
    // ORIGIN of an unknown value and of two octets; a segment of unknown type, and one too short;
    // NEXT_HOP of three octets; MULTI_EXIT_DISC of two; COMMUNITIES of three.
    assert!(!announces(&[&[0x40, 1, 1, 9], AS_PATH, NEXT_HOP]));
    assert!(!announces(&[&[0x40, 1, 2, 0, 0], AS_PATH, NEXT_HOP]));
    assert!(!announces(&[
        ORIGIN,
        &[0x40, 2, 6, 9, 1, 0, 0, 0xfc, 1],
        NEXT_HOP
    ]));
    assert!(!announces(&[
        ORIGIN,
        &[0x40, 2, 4, 2, 1, 0xfc, 1],
        NEXT_HOP
    ]));
    assert!(!announces(&[ORIGIN, AS_PATH, &[0x40, 3, 3, 192, 0, 2]]));
    assert!(!announces(&[
        ORIGIN,
        AS_PATH,
        NEXT_HOP,
        &[0x80, 4, 2, 0, 0]
    ]));
    assert!(!announces(&[
        ORIGIN,
        AS_PATH,
        NEXT_HOP,
        &[0xc0, 8, 3, 0, 0, 0]
    ]));
    // The last overruns the list of attributes; an octet is left at its end.
    assert!(!announces(&[ORIGIN, AS_PATH, NEXT_HOP, &[0x80, 4, 200, 0]]));
    assert!(!announces(&[ORIGIN, AS_PATH, NEXT_HOP, &[0x80]]));
}

#[test]
fn multiprotocol_attributes_of_ipv4_unicast_are_read_and_others_passed_over() {
    let attributes = [
        &[0x80, 15, 7, 0, 1, 1, 24, 203, 0, 113][..],
        ORIGIN,
        AS_PATH,
        &[0x80, 14, 13, 0, 1, 1, 4, 192, 0, 2, 1, 0, 24, 198, 51, 100],
    ]
    .concat();
    let mut body = vec![0, 0, 0, attributes.len() as u8];
    body.extend(attributes);
    assert_eq!(
        decode(&framed(2, &body), true),
        Ok(Message::Update(Update {
            withdrawn: vec![net("203.0.113.0/24")],
            announced: vec![net("198.51.100.0/24")],
        }))
    );
    // The same of IPv6, and End-of-RIB of IPv6.
    for attribute in [&[0x80, 14, 5, 0, 2, 1, 0, 0][..], &[0x80, 15, 3, 0, 2, 1]] {
        let mut body = vec![0, 0, 0, attribute.len() as u8];
        body.extend(attribute);
        assert_eq!(
            decode(&framed(2, &body), true),
            Ok(Message::Update(Update::default()))
        );
    }
}

#[test]
fn bits_beyond_the_prefix_length_have_no_meaning() {
    // Withdraws 198.51.111.0/20.
    assert_eq!(
        decode(&framed(2, &[0, 4, 20, 198, 51, 111, 0, 0]), true),
        Ok(Message::Update(Update {
            withdrawn: vec![net("198.51.96.0/20")],
            announced: vec![],
        }))
    );
}
