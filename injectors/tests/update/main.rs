//! UPDATEs against an independent decoder, and Adj-RIB-Out against a model.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use injectors::speaker::rib::AdjRibOut;
use injectors::speaker::update::{Attributes, LONGEST_PATH, Packer};
use ipnet::Ipv4Net;
use proptest::collection::vec;
use proptest::prelude::*;
use rustbgpd_wire::{AsPathSegment, Origin, ParsedUpdate, PathAttribute, UpdateMessage};

#[derive(Debug, Clone)]
enum Told {
    Announce(Ipv4Net, Attributes),
    Withdraw(Ipv4Net),
    EndOfRib,
}

fn prefix() -> impl Strategy<Value = Ipv4Net> {
    // Few addresses, so that the same prefix comes again.
    (0u32..64, 0u8..=32).prop_map(|(n, len)| {
        let address = Ipv4Addr::from((n << 24 | n << 9 | n) & 0xdfff_ffff);
        Ipv4Net::new(address, len).unwrap().trunc()
    })
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let number = prop_oneof![
        1u32..70_000,
        any::<u32>().prop_filter("0 is reserved", |n| *n > 0)
    ];
    let length = prop_oneof![4 => 1usize..5, 1 => 1usize..=LONGEST_PATH];
    let path = length.prop_flat_map(move |n| vec(number.clone(), n));
    let next_hop = prop_oneof![Just([192, 0, 2, 1]), Just([198, 51, 100, 7])];
    (path, next_hop, any::<Option<u32>>()).prop_map(|(as_path, next_hop, med)| Attributes {
        as_path,
        next_hop: next_hop.into(),
        med,
    })
}

fn told() -> impl Strategy<Value = Vec<Told>> {
    vec(attributes(), 1..4).prop_flat_map(|sets| {
        let one = prop_oneof![
            6 => (prefix(), prop::sample::select(sets)).prop_map(|(p, a)| Told::Announce(p, a)),
            3 => prefix().prop_map(Told::Withdraw),
            1 => Just(Told::EndOfRib),
        ];
        vec(one, 0..300)
    })
}

fn packed(told: &[Told], four_octet_as: bool) -> Vec<u8> {
    let mut packer = Packer::new(four_octet_as);
    for told in told {
        match told {
            Told::Announce(prefix, attributes) => packer.announce(*prefix, attributes),
            Told::Withdraw(prefix) => packer.withdraw(*prefix),
            Told::EndOfRib => packer.end_of_rib(),
        }
    }
    packer.finish()
}

/// The messages of these octets as the independent decoder reads them.
fn oracle(mut octets: &[u8], four_octet_as: bool) -> Vec<ParsedUpdate> {
    let mut messages = Vec::new();
    while !octets.is_empty() {
        let length = usize::from(u16::from_be_bytes([octets[16], octets[17]]));
        assert!((23..=4096).contains(&length), "{length} octets");
        assert_eq!(octets[..16], [0xff; 16]);
        assert_eq!(octets[18], 2, "an UPDATE");
        let mut body = &octets[19..length];
        let update = UpdateMessage::decode(&mut body, length - 19).unwrap();
        messages.push(update.parse(four_octet_as, false, &[]).unwrap());
        octets = &octets[length..];
    }
    messages
}

fn as_attributes(given: &[PathAttribute]) -> Attributes {
    let (mut as_path, mut next_hop, mut med) = (None, None, None);
    assert_eq!(given[0], PathAttribute::Origin(Origin::Igp));
    for attribute in &given[1..] {
        match attribute {
            PathAttribute::AsPath(path) => {
                let numbers = path.segments.iter().flat_map(|segment| match segment {
                    AsPathSegment::AsSequence(numbers) => numbers.clone(),
                    AsPathSegment::AsSet(_) => panic!("a set was not sent"),
                });
                as_path = Some(numbers.collect());
            }
            PathAttribute::NextHop(address) => next_hop = Some(*address),
            PathAttribute::Med(value) => med = Some(*value),
            other => panic!("{other:?} was not sent"),
        }
    }
    Attributes {
        as_path: as_path.unwrap(),
        next_hop: next_hop.unwrap(),
        med,
    }
}

fn applied(told: &[Told]) -> (BTreeMap<Ipv4Net, Attributes>, bool) {
    let mut model = BTreeMap::new();
    let mut end_of_rib = false;
    for told in told {
        match told {
            Told::Announce(prefix, attributes) => {
                model.insert(*prefix, attributes.clone());
            }
            Told::Withdraw(prefix) => {
                model.remove(prefix);
            }
            Told::EndOfRib => end_of_rib = true,
        }
    }
    (model, end_of_rib)
}

fn held(rib: &AdjRibOut) -> BTreeMap<Ipv4Net, Attributes> {
    rib.iter().map(|(p, a)| (p, a.clone())).collect()
}

proptest! {
    #[test]
    fn an_independent_decoder_reads_what_was_packed(told in told(), four_octet_as: bool) {
        let mut model = BTreeMap::new();
        let mut end_of_rib = false;
        for update in oracle(&packed(&told, four_octet_as), four_octet_as) {
            end_of_rib |= update.withdrawn.is_empty() && update.announced.is_empty();
            let net = |p: rustbgpd_wire::Ipv4Prefix| Ipv4Net::new(p.addr, p.len).unwrap();
            for entry in &update.withdrawn {
                model.remove(&net(entry.prefix));
            }
            if !update.announced.is_empty() {
                let attributes = as_attributes(&update.attributes);
                for entry in &update.announced {
                    model.insert(net(entry.prefix), attributes.clone());
                }
            }
        }
        prop_assert_eq!((model, end_of_rib), applied(&told));
    }

    #[test]
    fn what_was_packed_is_read_back(told in told(), four_octet_as: bool) {
        let mut rib = AdjRibOut::new();
        rib.take(&packed(&told, four_octet_as), four_octet_as).unwrap();
        prop_assert_eq!((held(&rib), rib.end_of_rib_sent()), applied(&told));
    }

    #[test]
    fn adj_rib_out_equals_a_model(told in told()) {
        let mut rib = AdjRibOut::new();
        for (i, one) in told.iter().enumerate() {
            let (model, _) = applied(&told[..i]);
            match one {
                Told::Announce(prefix, attributes) => rib.announce(*prefix, attributes),
                Told::Withdraw(prefix) => {
                    prop_assert_eq!(rib.withdraw(*prefix), model.contains_key(prefix));
                }
                Told::EndOfRib => rib.end_of_rib(),
            }
        }
        let (model, end_of_rib) = applied(&told);
        prop_assert_eq!(rib.len(), model.len());
        for (prefix, attributes) in &model {
            prop_assert_eq!(rib.get(*prefix), Some(attributes));
        }
        prop_assert_eq!((held(&rib), rib.end_of_rib_sent()), (model, end_of_rib));
        let mut again = AdjRibOut::new();
        again.take(&rib.to_updates(), true).unwrap();
        prop_assert!(again == rib);
    }

    #[test]
    fn octets_that_are_none_of_ours_are_refused_without_a_panic(
        told in told(), at: prop::sample::Index, octet: u8
    ) {
        let mut octets = packed(&told, true);
        prop_assume!(!octets.is_empty());
        let at = at.index(octets.len());
        octets[at] = octet;
        // Whether it is refused depends on the octet.
        let _ = AdjRibOut::new().take(&octets, true);
        let _ = AdjRibOut::new().take(&octets, false);
    }
}

#[test]
fn routes_of_one_attribute_set_fill_messages() {
    let attributes = Attributes {
        as_path: vec![65000],
        next_hop: [192, 0, 2, 1].into(),
        med: None,
    };
    let mut packer = Packer::new(true);
    for n in 0..10_000u32 {
        let address = Ipv4Addr::from(0x0a00_0000 + (n << 8));
        packer.announce(Ipv4Net::new(address, 24).unwrap(), &attributes);
    }
    let octets = packer.finish();
    // A /24 takes 4 octets; of 4096, 43 are for what is around.
    assert_eq!(
        oracle(&octets, true).len(),
        10_000usize.div_ceil((4096 - 43) / 4)
    );
}

#[test]
fn end_of_rib_is_the_shortest_update() {
    let octets = packed(&[Told::EndOfRib], true);
    assert_eq!(octets.len(), 23);
    assert_eq!(octets[16..], [0, 23, 2, 0, 0, 0, 0]);
}

#[test]
fn a_peer_with_two_octet_numbers_gets_as_trans_and_as4_path() {
    let attributes = Attributes {
        as_path: vec![65000, 4_200_000_000],
        next_hop: [192, 0, 2, 1].into(),
        med: None,
    };
    let octets = attributes.to_octets(false);
    let expected = [
        &[0x40, 1, 1, 0][..],
        // RFC 6793: AS_TRANS is 23456.
        &[0x40, 2, 6, 2, 2, 0xfd, 0xe8, 0x5b, 0xa0],
        &[0x40, 3, 4, 192, 0, 2, 1],
        &[0xc0, 17, 10, 2, 2, 0, 0, 0xfd, 0xe8, 0xfa, 0x56, 0xea, 0x00],
    ];
    assert_eq!(octets, expected.concat());
}
