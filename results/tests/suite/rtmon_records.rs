//! Records from octets made by hand, and files broken in every way.

use std::io;

use proptest::prelude::*;
use results::rtmon::{Op, Reader, Record, RouteKind, RtmonError, Writer, parse};

const NEWLINK: u16 = 16;
const NEWADDR: u16 = 20;
const NEWROUTE: u16 = 24;
const DELROUTE: u16 = 25;
const NEWNEXTHOP: u16 = 104;

/// A netlink message of a fixed header and attributes.
fn message(kind: u16, flags: u16, fixed: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut m = vec![0; 4];
    m.extend(kind.to_ne_bytes());
    m.extend(flags.to_ne_bytes());
    m.extend([0; 8]);
    m.extend(fixed);
    for (kind, value) in attributes {
        m.extend((value.len() as u16 + 4).to_ne_bytes());
        m.extend(kind.to_ne_bytes());
        m.extend(*value);
        m.resize(m.len().next_multiple_of(4), 0);
    }
    let len = m.len() as u32;
    m[..4].copy_from_slice(&len.to_ne_bytes());
    m
}

/// `struct rtmsg`: family, prefix length, -, TOS, table, protocol, scope, type, flags.
fn rtmsg(family: u8, len: u8, table: u8, kind: u8) -> [u8; 12] {
    [family, len, 0, 0, table, 186, 0, kind, 0, 0, 0, 0]
}

const DST: (u16, &[u8]) = (1, &[198, 51, 100, 0]);

fn route_of(message: &[u8]) -> results::rtmon::Route {
    match parse(message) {
        Some(Record::Route(r)) => r,
        other => panic!("no route: {other:?}"),
    }
}

#[test]
fn a_replaced_route_is_told_from_a_new_one() {
    let oif = 3_u32.to_ne_bytes();
    let attributes: &[(u16, &[u8])] = &[DST, (5, &[10, 0, 0, 1]), (4, &oif)];
    for (flags, replace, append) in [
        (0x100, true, false),
        (0x600, false, false),
        (0xc00, false, true),
        (0, false, false),
    ] {
        let r = route_of(&message(NEWROUTE, flags, &rtmsg(2, 24, 254, 1), attributes));
        assert_eq!(r.op, Op::New { replace, append }, "{flags:#x}");
        assert_eq!(r.flags, flags);
        assert_eq!(r.dst.to_string(), "198.51.100.0/24");
        assert_eq!(r.nexthops[0].gateway, Some([10, 0, 0, 1].into()));
        assert_eq!(r.nexthops[0].oif, Some(3));
    }
    // The same bit in a deletion means something else (NLM_F_NONREC).
    let r = route_of(&message(DELROUTE, 0x100, &rtmsg(2, 24, 254, 1), attributes));
    assert_eq!(r.op, Op::Del);
}

#[test]
fn a_route_by_nexthop_object_alone_has_its_number_and_no_next_hop() {
    let nhid = 77_u32.to_ne_bytes();
    let r = route_of(&message(
        NEWROUTE,
        0x600,
        &rtmsg(2, 24, 254, 1),
        &[DST, (30, &nhid)],
    ));
    assert_eq!(r.nhid, Some(77));
    assert_eq!(r.nexthops, []);
}

#[test]
fn a_gateway_may_come_as_via() {
    let mut via = 2_u16.to_ne_bytes().to_vec();
    via.extend([10, 0, 0, 9]);
    let r = route_of(&message(
        NEWROUTE,
        0,
        &rtmsg(2, 24, 254, 1),
        &[DST, (18, &via)],
    ));
    assert_eq!(r.nexthops[0].gateway, Some([10, 0, 0, 9].into()));
    // An IPv6 next hop is not "no gateway".
    let mut via = 10_u16.to_ne_bytes().to_vec();
    via.extend([0xfe; 16]);
    let m = message(NEWROUTE, 0, &rtmsg(2, 24, 254, 1), &[DST, (18, &via)]);
    assert_eq!(parse(&m), None);
}

#[test]
fn a_default_route_has_no_destination_and_a_table_may_be_large() {
    let table = 100_000_u32.to_ne_bytes();
    let r = route_of(&message(NEWROUTE, 0, &rtmsg(2, 0, 252, 7), &[(15, &table)]));
    assert_eq!(r.dst.to_string(), "0.0.0.0/0");
    assert_eq!(r.table, 100_000);
    assert_eq!(r.kind, RouteKind::Unreachable);
}

#[test]
fn other_families_and_cache_entries_are_no_ipv4_routes() {
    let ipv6 = message(NEWROUTE, 0, &rtmsg(10, 64, 254, 1), &[(1, &[0x20; 16])]);
    assert_eq!(parse(&ipv6), Some(Record::Other(NEWROUTE)));
    let mut cloned = rtmsg(2, 32, 254, 1);
    cloned[8..].copy_from_slice(&0x200_u32.to_ne_bytes());
    let cloned = message(NEWROUTE, 0, &cloned, &[DST]);
    assert_eq!(parse(&cloned), Some(Record::Other(NEWROUTE)));
    let ipv6 = message(NEWNEXTHOP, 0, &[10, 0, 0, 0, 0, 0, 0, 0], &[]);
    assert_eq!(parse(&ipv6), Some(Record::Other(NEWNEXTHOP)));
    let bridge_port = message(NEWLINK, 0, &[7; 16], &[(3, b"br0\0")]);
    assert_eq!(parse(&bridge_port), Some(Record::Other(NEWLINK)));
    // NLMSG_OVERRUN.
    assert_eq!(parse(&message(4, 0, &[], &[])), Some(Record::Other(4)));
}

#[test]
fn what_cannot_be_understood_is_not_taken_for_something() {
    // A prefix longer than an address, a link without name, a nexthop without number, an
    // address message without address, a gateway of three octets.
    for m in [
        message(NEWROUTE, 0, &rtmsg(2, 33, 254, 1), &[DST]),
        message(NEWLINK, 0, &[0; 16], &[]),
        message(NEWNEXTHOP, 0, &[0; 8], &[]),
        message(NEWADDR, 0, &[2, 24, 0, 0, 1, 0, 0, 0], &[]),
        message(NEWROUTE, 0, &rtmsg(2, 24, 254, 1), &[DST, (5, &[1, 2, 3])]),
        message(NEWROUTE, 0, &[2, 24], &[]),
        vec![1, 2, 3],
    ] {
        assert_eq!(parse(&m), None, "{m:?}");
    }
}

fn three_records() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for t in 1..=3_u8 {
        let dst = [198, 51, 100 + t, 0];
        let m = message(NEWROUTE, 0x600, &rtmsg(2, 24, 254, 6), &[(1, &dst)]);
        writer.write(u64::from(t) * 1_000_000_000, &m).unwrap();
    }
    writer.into_inner()
}

#[test]
fn a_file_cut_anywhere_gives_what_is_whole_and_then_says_where_it_ends() {
    let file = three_records();
    let record = file.len() / 3;
    for end in 0..file.len() {
        let mut whole = 0;
        let mut error = None;
        for item in Reader::new(&file[..end]) {
            assert!(error.is_none(), "nothing follows the error");
            match item {
                Ok(_) => whole += 1,
                Err(e) => error = Some(e),
            }
        }
        assert_eq!(whole, end / record);
        // Records, and the timestamps before them, end at these offsets.
        let at = [0, 24, record];
        match at.iter().find(|o| **o == end % record) {
            Some(_) => assert_eq!(error, None),
            None => {
                let begin = end / record * record + if end % record > 24 { 24 } else { 0 };
                assert!(
                    matches!(error, Some(RtmonError::CutShort { offset, .. }) if offset == begin),
                    "{end}: {error:?}"
                );
            }
        }
    }
}

#[test]
fn a_damaged_record_is_named_and_the_next_one_read() {
    let mut file = three_records();
    let record = file.len() / 3;
    // The second route gets a prefix of 99 bits.
    file[record + 24 + 17] = 99;
    let items: Vec<_> = Reader::new(&file).collect();
    assert!(items[0].is_ok() && items[2].is_ok());
    assert_eq!(
        items[1],
        Err(RtmonError::Damaged {
            offset: record + 24,
            message_type: NEWROUTE
        })
    );
}

#[test]
fn a_length_that_cannot_be_ends_the_reading() {
    let mut file = three_records();
    let record = file.len() / 3;
    file[record..record + 4].copy_from_slice(&3_u32.to_ne_bytes());
    let items: Vec<_> = Reader::new(&file).collect();
    assert_eq!(items.len(), 2);
    assert_eq!(
        items[1],
        Err(RtmonError::BadLength {
            offset: record,
            length: 3
        })
    );
}

#[test]
fn a_record_before_the_first_timestamp_has_no_time() {
    let file = three_records();
    let items: Vec<_> = Reader::new(&file[24..]).collect();
    assert_eq!(items[0], Err(RtmonError::Undated { offset: 0 }));
    assert!(items[1].is_ok() && items[2].is_ok());
}

#[test]
fn the_writer_refuses_what_is_not_one_message() {
    let m = message(NEWROUTE, 0, &rtmsg(2, 24, 254, 6), &[DST]);
    let two = [m.clone(), m.clone()].concat();
    let mut writer = Writer::new(Vec::new());
    for bad in [&[][..], &m[..10], &m[..m.len() - 1], &two] {
        let error = writer.write(1, bad).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
    let error = writer.write(u64::MAX, &m).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(writer.get_ref().is_empty(), "nothing is half written");
}

#[test]
fn a_message_is_padded_with_zeros() {
    // A message of 19 octets.
    let mut m = message(99, 0, &[], &[]);
    m.extend([1, 2, 3]);
    m[0] = 19;
    let mut writer = Writer::new(Vec::new());
    writer.write(0, &m).unwrap();
    assert_eq!(writer.get_ref().len(), 24 + 20);
    assert_eq!(writer.get_ref()[24 + 16..], [1, 2, 3, 0]);
    assert_eq!(
        Reader::new(writer.get_ref()).collect::<Vec<_>>(),
        [Ok((0, Record::Other(99)))]
    );
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let items = Reader::new(&bytes).count();
        prop_assert!(items <= bytes.len() / 16 + 1);
    }

    /// Messages of the kinds that are taken apart, with a right length and anything in them.
    #[test]
    fn no_message_makes_the_parser_panic(
        kind in prop::sample::select(vec![16u16, 17, 20, 21, 24, 25, 104, 105]),
        family in prop::sample::select(vec![0u8, 2, 10]),
        flags in any::<u16>(),
        body in prop::collection::vec(any::<u8>(), 0..60),
        attributes in prop::collection::vec(
            (0u16..64, prop::collection::vec(any::<u8>(), 0..24)), 0..6),
    ) {
        let mut fixed = body;
        if let Some(f) = fixed.first_mut() {
            *f = family;
        }
        let attributes: Vec<_> = attributes.iter().map(|(k, v)| (*k, &v[..])).collect();
        let m = message(kind, flags, &fixed, &attributes);
        let _ = parse(&m);
        let mut writer = Writer::new(Vec::new());
        writer.write(5_000, &m).unwrap();
        prop_assert_eq!(Reader::new(writer.get_ref()).count(), 1);
        // The same with the fixed header of the right size, so that attributes are reached.
        let size = match kind { 16 | 17 => 16, 20 | 21 => 8, 24 | 25 => 12, _ => 8 };
        fixed.resize(size, 0);
        let _ = parse(&message(kind, flags, &fixed, &attributes));
    }
}
