//! Real speakers: FRR 8.4.4 (10.9.0.1) and ExaBGP 4.2.21 with Graceful Restart (10.9.0.2), on
//! one host's `lo` seen through `any`, so that each packet is there twice; ExaBGP was killed
//! (SIGKILL) and started again. Recorded with dumpcap; tshark told what is in it.

use std::path::Path;

use results::bgp::{Body, Decoder, Message};
use results::pcapfile;

fn heard() -> Vec<Message> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/frr-exabgp-restart.pcap");
    let capture = pcapfile::read(&file).unwrap();
    let mut heard = Vec::new();
    let mut decoder = Decoder::new();
    for packet in capture.packets() {
        let packet = packet.unwrap();
        decoder.push(packet.t_ns, capture.link_type(), packet.data, &mut heard);
    }
    decoder.finish(&mut heard);
    heard
}

/// One line per message: sender, what it says.
fn told(m: &Message) -> String {
    let who = if m.src.ip().octets()[3] == 1 {
        "frr"
    } else {
        "exabgp"
    };
    let what = match &m.body {
        Body::Open(o) => format!(
            "OPEN AS{} hold {} {:?}",
            o.asn, o.hold_time_s, o.graceful_restart
        ),
        Body::Update(u) if u.end_of_rib => "EOR".to_owned(),
        Body::Update(u) => format!(
            "+{:?} -{:?} path {:?}",
            u.announced, u.withdrawn, u.as_path_len
        ),
        other => format!("{other:?}"),
    };
    format!("{who} {what}")
}

#[test]
fn a_graceful_restart_of_real_speakers_is_told_message_by_message() {
    let told: Vec<_> = heard().iter().map(told).collect();
    // FRR as a helper lists no family; the time and flags are 0xc078 and 0x8078 in tshark.
    let frr = "frr OPEN AS64512 hold 180 Some(GracefulRestart { restart_time_s: 120, \
        restarting: true, notification: true, ipv4_unicast: false, forwarding: false })";
    let exabgp = "exabgp OPEN AS65000 hold 180 Some(GracefulRestart { restart_time_s: 120, \
        restarting: true, notification: false, ipv4_unicast: true, forwarding: true })";
    let first = [frr, exabgp, "exabgp Keepalive", "frr Keepalive"];
    let second = [frr, exabgp, "frr Keepalive", "exabgp Keepalive"];
    let table = [
        "exabgp +[198.51.100.0/24] -[] path Some(1)",
        "exabgp +[198.51.101.0/24] -[] path Some(3)",
        "exabgp EOR",
        "frr +[198.51.100.0/24] -[] path Some(2)",
        "frr +[198.51.101.0/24] -[] path Some(4)",
        "frr +[203.0.113.0/24] -[] path Some(1)",
        "frr EOR",
    ];
    assert_eq!(told, [&first[..], &table, &second, &table].concat());
}

#[test]
fn each_message_has_the_time_of_its_packet() {
    // Of frames 4 and 32, as tshark gives them.
    let heard = heard();
    let after_first_ns = |m: &Message| m.t_ns - heard[0].t_ns;
    assert_eq!(after_first_ns(&heard[heard.len() - 1]), 6_095_591_000);
    assert!(heard.is_sorted_by_key(|m| m.t_ns));
}
