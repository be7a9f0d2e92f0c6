//! What one side writes is what the other reads.

use std::net::Ipv4Addr;

use injectors::speaker::config::GracefulRestart;
use injectors::speaker::message::{
    Message, Notification, Open, Update, complete, decode, keepalive,
};
use ipnet::Ipv4Net;
use proptest::prelude::*;
use rustbgpd_wire as codec;

use crate::{by_oracle, framed, oracle, update};

fn any_graceful_restart() -> impl Strategy<Value = GracefulRestart> {
    (0_u16..4096, any::<(bool, bool, bool)>()).prop_map(|(restart_time_s, flags)| GracefulRestart {
        restart_time_s,
        restarted: flags.0,
        forwarding: flags.1,
        notification: flags.2,
    })
}

prop_compose! {
    fn any_open()(
        asn in prop_oneof![1_u32..65_536, 65_536_u32.., Just(65_535), Just(65_536)],
        hold_time_s: u16,
        router_id: u32,
        graceful_restart in prop::option::of(any_graceful_restart()),
    ) -> Open {
        Open {
            asn,
            hold_time_s,
            router_id: Ipv4Addr::from(router_id),
            four_octet_as: true,
            ipv4_unicast: true,
            graceful_restart,
        }
    }
}

fn ipv4_unicast() -> codec::Capability {
    codec::Capability::MultiProtocol {
        afi: codec::Afi::Ipv4,
        safi: codec::Safi::Unicast,
    }
}

/// The capabilities of an OPEN, in the oracle's words.
fn capabilities(open: &Open) -> Vec<codec::Capability> {
    let mut capabilities = vec![
        ipv4_unicast(),
        codec::Capability::FourOctetAs { asn: open.asn },
    ];
    capabilities.extend(
        open.graceful_restart
            .map(|gr| codec::Capability::GracefulRestart {
                restart_state: gr.restarted,
                notification: gr.notification,
                restart_time: gr.restart_time_s,
                families: vec![codec::GracefulRestartFamily {
                    afi: codec::Afi::Ipv4,
                    safi: codec::Safi::Unicast,
                    forwarding_preserved: gr.forwarding,
                }],
            }),
    );
    capabilities
}

fn open_in_oracles_words(open: &Open) -> codec::OpenMessage {
    codec::OpenMessage {
        version: 4,
        my_as: u16::try_from(open.asn).unwrap_or(23_456),
        hold_time: open.hold_time_s,
        bgp_identifier: open.router_id,
        capabilities: capabilities(open),
    }
}

fn any_prefix() -> impl Strategy<Value = Ipv4Net> {
    (any::<u32>(), 0_u8..=32)
        .prop_map(|(address, length)| Ipv4Net::new(address.into(), length).unwrap().trunc())
}

proptest! {
    #[test]
    fn an_open_of_ours_is_what_the_oracle_reads(open in any_open()) {
        // The oracle refuses what no OPEN should say; ours are refused by the session.
        prop_assume!(!matches!(open.hold_time_s, 1 | 2) && !open.router_id.is_unspecified());
        let octets = open.to_octets();
        prop_assert_eq!(oracle(&octets), codec::Message::Open(open_in_oracles_words(&open)));
        prop_assert_eq!(decode(&octets, true), Ok(Message::Open(open)));
    }

    #[test]
    fn an_open_of_the_oracle_is_what_we_read(
        open in any_open(),
        others in prop::collection::vec((128_u8..=255, prop::collection::vec(any::<u8>(), 0..40)), 0..12),
    ) {
        prop_assume!(!matches!(open.hold_time_s, 1 | 2) && !open.router_id.is_unspecified());
        let mut theirs = open_in_oracles_words(&open);
        // Unknown ones are passed over; many of them need the long lengths of RFC 9072.
        for (code, data) in others {
            theirs.capabilities.insert(0, codec::Capability::Unknown { code, data: data.into() });
        }
        let octets = by_oracle(codec::Message::Open(theirs));
        prop_assert_eq!(complete(&octets), Ok(Some(octets.len())));
        prop_assert_eq!(decode(&octets, true), Ok(Message::Open(open)));
    }

    #[test]
    fn a_notification_is_the_same_both_ways(
        code: u8,
        subcode: u8,
        data in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let ours = Notification { code, subcode, data };
        let octets = ours.to_octets();
        let codec::Message::Notification(theirs) = oracle(&octets) else {
            panic!("no NOTIFICATION");
        };
        prop_assert_eq!((theirs.code.as_u8(), theirs.subcode), (code, subcode));
        prop_assert_eq!(&theirs.data[..], &ours.data[..]);
        prop_assert_eq!(by_oracle(codec::Message::Notification(theirs)), octets.clone());
        prop_assert!(!ours.to_string().is_empty());
        prop_assert_eq!(decode(&octets, true), Ok(Message::Notification(ours)));
    }

    #[test]
    fn an_update_of_the_oracle_is_what_we_read(
        announced in prop::collection::vec(any_prefix(), 0..200),
        withdrawn in prop::collection::vec(any_prefix(), 0..200),
        wide: bool,
    ) {
        let octets = update(&announced, &withdrawn, wide);
        prop_assert_eq!(decode(&octets, wide), Ok(Message::Update(Update { withdrawn, announced })));
    }

    #[test]
    fn any_octets_are_a_message_or_an_error(
        kind in 0_u8..8,
        body in prop::collection::vec(any::<u8>(), 0..100),
        wide: bool,
    ) {
        let octets = framed(kind, &body);
        match decode(&octets, wide) {
            Ok(_) => prop_assert!((1..=5).contains(&kind)),
            Err(error) => prop_assert!((1..=3).contains(&error.code), "{}", error),
        }
        let _ = complete(&body);
        let _ = decode(&body, wide);
    }
}

#[test]
fn a_keepalive_is_the_same_both_ways() {
    assert_eq!(oracle(&keepalive()), codec::Message::Keepalive);
    assert_eq!(keepalive(), by_oracle(codec::Message::Keepalive));
    assert_eq!(decode(&keepalive(), true), Ok(Message::Keepalive));
}
