#![allow(clippy::unwrap_used)]
use super::*;

const HOST: Layout = Layout {
    placement: Placement::Host,
    queues: [7900, 7901],
    mark: 0x5443_5052,
};

fn patterns() -> Vec<Pattern> {
    vec![
        Pattern::Local("198.18.0.1:179".parse().unwrap()),
        Pattern::Local("0.0.0.0:8080".parse().unwrap()),
        Pattern::Remote("198.18.0.2:179".parse().unwrap()),
        Pattern::Flow(Flow {
            local: "198.18.0.1:1024".parse().unwrap(),
            remote: "198.18.0.2:443".parse().unwrap(),
        }),
    ]
}

#[test]
fn a_listener_is_matched_by_destination_inbound_and_by_source_outbound() {
    let text = mangle(HOST, &Present::default(), &patterns()[..1], true);
    let expected = "\
*mangle
:TCPR-IN - [0:0]
:TCPR-OUT - [0:0]
:TCPR-SYN - [0:0]
-I INPUT 1 -j TCPR-IN
-A TCPR-IN -m mark --mark 0x54435052 -j RETURN
-A TCPR-IN -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPR-SYN
-I OUTPUT 1 -j TCPR-OUT
-A TCPR-OUT -m mark --mark 0x54435052 -j RETURN
-A TCPR-OUT -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPR-SYN
-A TCPR-IN -d 198.18.0.1/32 -p tcp -m tcp --dport 179 -j NFQUEUE --queue-num 7900
-A TCPR-SYN -d 198.18.0.1/32 -p tcp -m tcp --dport 179 --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 32000
-A TCPR-OUT -s 198.18.0.1/32 -p tcp -m tcp --sport 179 -j NFQUEUE --queue-num 7901
-A TCPR-SYN -s 198.18.0.1/32 -p tcp -m tcp --sport 179 --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 32000
-A TCPR-IN -p icmp -m icmp --icmp-type 3 -j NFQUEUE --queue-num 7900
-A TCPR-IN -p icmp -m icmp --icmp-type 4 -j NFQUEUE --queue-num 7900
-A TCPR-IN -p icmp -m icmp --icmp-type 11 -j NFQUEUE --queue-num 7900
-A TCPR-IN -p icmp -m icmp --icmp-type 12 -j NFQUEUE --queue-num 7900
COMMIT
";
    assert_eq!(text, expected);
}

#[test]
fn patterns_written_as_rules_are_read_back() {
    // A rule that is put in place is printed as it was written, jumps with -A.
    let text =
        mangle(HOST, &Present::default(), &patterns(), true).replace("-I INPUT 1", "-A INPUT");
    assert_eq!(Present::read(Family::V4, &text).patterns, patterns());
    let v6 = vec![
        Pattern::Local("[2001:db8::1]:179".parse().unwrap()),
        Pattern::Remote("[::]:179".parse().unwrap()),
    ];
    let text = mangle(HOST, &Present::default(), &v6, false);
    assert_eq!(Present::read(Family::V6, &text).patterns, v6);
}

#[test]
fn jumps_of_a_predecessor_go_in_the_step_that_brings_new_ones() {
    let saved = "*mangle\n:FORWARD ACCEPT [0:0]\n:TCPR-IN - [5:300]\n-A FORWARD -j TCPR-IN\n\
                 -A FORWARD -j TCPR-OUT\n-A FORWARD -p udp -j DROP\nCOMMIT\n";
    let present = Present::read(Family::V4, saved);
    assert!(present.is_any());
    let text = mangle(HOST, &present, &patterns(), true);
    assert!(text.contains("-D FORWARD -j TCPR-IN\n-D FORWARD -j TCPR-OUT\n-I INPUT 1"));
    assert!(!text.contains("udp"));
}

#[test]
fn both_directions_are_taken_where_packets_are_forwarded() {
    let layout = Layout {
        placement: Placement::Middlebox,
        ..HOST
    };
    let text = mangle(layout, &Present::default(), &patterns(), true);
    assert!(text.contains("-I FORWARD 1 -j TCPR-IN\n"));
    assert!(text.contains("-I FORWARD 2 -j TCPR-OUT\n"));
    assert!(!text.contains("INPUT") && !text.contains("OUTPUT"));
}

#[test]
fn without_patterns_nothing_is_taken() {
    let text = mangle(HOST, &Present::default(), &[], true);
    assert!(!text.contains("NFQUEUE") && !text.contains("TCPMSS"));
}

#[test]
fn removal_names_only_what_is_there() {
    let saved = "*raw\n:TCPR-IN - [0:0]\n-A OUTPUT -j TCPR-IN\nCOMMIT\n*mangle\n:INPUT ACCEPT\n";
    let text = removal(&Present::read(Family::V4, saved));
    assert_eq!(
        text,
        "*raw\n:TCPR-IN - [0:0]\n-D OUTPUT -j TCPR-IN\n-X TCPR-IN\nCOMMIT\n"
    );
    assert_eq!(removal(&Present::default()), "");
}
