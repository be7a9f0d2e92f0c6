//! Every edit leaves the packet that another library would have built in the first place.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod packet_build;
mod packet_exercise;

use packet_build::{Element, Plan, number, plan, see};
use packet_exercise::{exercise, residue};
use proptest::collection::vec;
use proptest::prelude::*;
use tcpr_core::packet::{Flags, Options, Packet, Timestamps};

#[derive(Debug, Clone)]
enum Edit {
    Sequence(u32),
    Acknowledgment(u32),
    Window(u16),
    Flags(u8),
    Timestamps(u32, u32),
    ShiftSack(u32),
    EraseSack,
    Strip,
    SourcePort(u16),
    DestinationPort(u16),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        number().prop_map(Edit::Sequence),
        number().prop_map(Edit::Acknowledgment),
        any::<u16>().prop_map(Edit::Window),
        any::<u8>().prop_map(Edit::Flags),
        (number(), number()).prop_map(|(value, echo)| Edit::Timestamps(value, echo)),
        number().prop_map(Edit::ShiftSack),
        Just(Edit::EraseSack),
        Just(Edit::Strip),
        any::<u16>().prop_map(Edit::SourcePort),
        any::<u16>().prop_map(Edit::DestinationPort),
    ]
}

impl Edit {
    fn on_packet(&self, packet: &mut Packet<'_>) {
        match *self {
            Edit::Sequence(number) => packet.set_sequence(number),
            Edit::Acknowledgment(number) => packet.set_acknowledgment(number),
            Edit::Window(window) => packet.set_window(window),
            Edit::Flags(bits) => packet.set_flags(Flags::from_bits(bits)),
            Edit::Timestamps(value, echo) => packet.set_timestamps(Timestamps { value, echo }),
            Edit::ShiftSack(delta) => packet.shift_sack(delta),
            Edit::EraseSack => packet.erase_sack(),
            Edit::Strip => {
                let before = packet.bytes().to_vec();
                let stripped = packet.strip_unknown_options();
                assert_eq!(stripped, before != packet.bytes());
            }
            Edit::SourcePort(port) => packet.set_source_port(port),
            Edit::DestinationPort(port) => packet.set_destination_port(port),
        }
    }

    fn on_plan(&self, plan: &mut Plan) {
        match *self {
            Edit::Sequence(number) => plan.sequence = number,
            Edit::Acknowledgment(number) => plan.acknowledgment = number,
            Edit::Window(window) => plan.window = window,
            Edit::Flags(bits) => plan.flags = bits,
            Edit::Timestamps(value, echo) => {
                for element in &mut plan.elements {
                    if let Element::Timestamps(..) = element {
                        *element = Element::Timestamps(value, echo);
                    }
                }
            }
            Edit::ShiftSack(delta) => {
                for element in &mut plan.elements {
                    if let Element::Sack(blocks) = element {
                        for (left, right) in blocks {
                            *left = left.wrapping_add(delta);
                            *right = right.wrapping_add(delta);
                        }
                    }
                }
            }
            Edit::EraseSack => erase(plan, |element| matches!(element, Element::Sack(_))),
            Edit::Strip => erase(plan, |element| {
                matches!(element, Element::Sack(_) | Element::Other(..))
            }),
            Edit::SourcePort(port) => plan.source.set_port(port),
            Edit::DestinationPort(port) => plan.destination.set_port(port),
        }
    }
}

fn erase(plan: &mut Plan, goes: impl Fn(&Element) -> bool) {
    let elements = std::mem::take(&mut plan.elements);
    for element in elements {
        if goes(&element) {
            let nops = vec![Element::Nop; element.octets().len()];
            plan.elements.extend(nops);
        } else {
            plan.elements.push(element);
        }
    }
}

fn expected_options(plan: &Plan) -> Options {
    let mut options = Options::default();
    for element in &plan.elements {
        match element {
            Element::Mss(mss) => options.mss = Some(*mss).filter(|mss| *mss > 0),
            Element::Scale(scale) => options.window_scale = Some((*scale).min(14)),
            Element::SackPermitted => options.sack_permitted = true,
            Element::Timestamps(value, echo) => {
                options.timestamps = Some(Timestamps {
                    value: *value,
                    echo: *echo,
                });
            }
            Element::Sack(blocks) => options.sack.extend(blocks.iter().copied()),
            Element::Nop | Element::Other(..) => {}
        }
    }
    options
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_view_says_what_is_in_the_packet(plan in plan()) {
        let mut octets = plan.build();
        see(&octets);
        let packet = Packet::parse(&mut octets).unwrap();
        prop_assert!(packet.is_whole() && packet.checksum_is_right());
        prop_assert_eq!(packet.source(), plan.source);
        prop_assert_eq!(packet.destination(), plan.destination);
        prop_assert_eq!(packet.sequence(), plan.sequence);
        prop_assert_eq!(packet.acknowledgment(), plan.acknowledgment);
        prop_assert_eq!(packet.flags().bits(), plan.flags);
        prop_assert_eq!(packet.window(), plan.window);
        prop_assert_eq!(packet.payload(), &plan.payload[..]);
        prop_assert_eq!(packet.payload_len(), plan.payload.len());
        let marks = u32::from(plan.flags & 1) + u32::from(plan.flags >> 1 & 1);
        prop_assert_eq!(packet.segment_len(), plan.payload.len() as u32 + marks);
        prop_assert_eq!(packet.options(), expected_options(&plan));
    }

    #[test]
    fn edits_leave_what_would_have_been_built(
        mut plan in plan(),
        edits in vec(edit(), 1..6),
    ) {
        let mut octets = plan.build();
        exercise(&octets);
        let mut packet = Packet::parse(&mut octets).unwrap();
        for edit in edits {
            edit.on_packet(&mut packet);
            edit.on_plan(&mut plan);
            prop_assert!(packet.checksum_is_right(), "{:?}", edit);
            see(packet.bytes());
        }
        prop_assert_eq!(octets, plan.build());
    }

    #[test]
    fn edits_of_a_truncated_packet_are_right_for_the_whole(
        mut plan in plan(),
        edits in vec(edit(), 1..6),
        keep in any::<prop::sample::Index>(),
    ) {
        let mut octets = plan.build();
        let headers = plan.before_data();
        let present = headers + keep.index(plan.payload.len() + 1);
        let mut packet = Packet::parse(&mut octets[..present]).unwrap();
        prop_assert_eq!(packet.is_whole(), present == headers + plan.payload.len());
        prop_assert_eq!(packet.payload_len(), plan.payload.len());
        prop_assert_eq!(packet.payload(), &plan.payload[..present - headers]);
        for edit in edits {
            edit.on_packet(&mut packet);
            edit.on_plan(&mut plan);
        }
        prop_assert_eq!(octets, plan.build());
    }

    #[test]
    fn a_wrong_checksum_stays_as_wrong(
        plan in plan(),
        edits in vec(edit(), 1..6),
        wrong in 1..0xffff_u16,
    ) {
        let mut octets = plan.build();
        let field = plan.before_tcp() + 16;
        for (octet, wrong) in octets[field..].iter_mut().zip(wrong.to_be_bytes()) {
            *octet ^= wrong;
        }
        let before = residue(&octets);
        let mut packet = Packet::parse(&mut octets).unwrap();
        // 0 and 0xffff are the same number: only then the wrong one is right.
        let right = packet.checksum_is_right();
        for edit in edits {
            edit.on_packet(&mut packet);
            prop_assert_eq!(packet.checksum_is_right(), right);
        }
        prop_assert_eq!(residue(&octets), before);
    }

    #[test]
    fn a_filled_checksum_is_the_one_that_another_library_computes(
        plan in plan(),
        junk in any::<u16>(),
        behind in vec(any::<u8>(), 0..20),
    ) {
        let right = plan.build();
        let mut octets = right.clone();
        let field = plan.before_tcp() + 16;
        octets[field..field + 2].copy_from_slice(&junk.to_be_bytes());
        octets.extend(&behind);
        Packet::parse(&mut octets).unwrap().fill_checksum();
        prop_assert_eq!(&octets[..right.len()], &right[..]);
        prop_assert_eq!(&octets[right.len()..], &behind[..]);
    }
}

#[test]
fn a_truncated_packet_is_not_filled() {
    let mut octets = [0_u8; 40];
    octets[0] = 0x45;
    octets[3] = 41;
    octets[9] = 6;
    octets[32] = 0x50;
    let mut packet = Packet::parse(&mut octets).unwrap();
    packet.fill_checksum();
    assert!(!packet.is_whole() && !packet.checksum_is_right());
    assert_eq!(octets[36..38], [0, 0]);
}
