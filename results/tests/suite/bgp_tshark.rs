//! A second opinion: tshark on the same capture.

use std::process::Command;

use results::bgp::{Body, Decoder, LinkType};
use results::pcapfile;

use crate::speaker::{DATA, PEER, SPEAKER, SYN, datagram, frame, keepalive, pcap_file, update};
use crate::tools::stdout;

#[test]
fn tshark_sees_the_same_messages_at_the_same_times() {
    let messages = [
        keepalive(),
        update(&["198.51.100.0/24"], &[], &[64512, 64513], true),
        update(&[], &["198.51.100.0/24"], &[], true),
        update(
            &["198.51.100.0/24", "203.0.113.0/25"],
            &["192.0.2.0/24"],
            &[64512],
            true,
        ),
        update(&[], &[], &[], true),
        keepalive(),
    ];
    // A message per packet, so that tshark's times are a message's too; one of them twice.
    let t0 = 1_800_000_000_000_000_000;
    for link_type in [LinkType::LinuxSll2, LinkType::LinuxSll, LinkType::Ethernet] {
        let mut packets = vec![(
            t0,
            frame(link_type, &datagram(SPEAKER, PEER, 4_294_967_200, SYN, &[])),
        )];
        let mut seq = 4_294_967_201_u32;
        for (i, message) in messages.iter().enumerate() {
            let packet = frame(link_type, &datagram(SPEAKER, PEER, seq, DATA, message));
            let t = t0 + (i as u64 + 1) * 1_000_001;
            packets.push((t, packet.clone()));
            if i == 1 {
                packets.push((t + 500, packet));
            }
            seq = seq.wrapping_add(message.len() as u32);
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bgp.pcap");
        std::fs::write(&file, pcap_file(link_type, &packets)).unwrap();

        let theirs = stdout(
            "tshark",
            Command::new("tshark").arg("-r").arg(&file).args([
                "-Y",
                "bgp && !tcp.analysis.retransmission && !tcp.analysis.spurious_retransmission",
                "-T",
                "fields",
                "-e",
                "frame.time_epoch",
                "-e",
                "bgp.type",
                "-e",
                "bgp.nlri_prefix",
                "-e",
                "bgp.withdrawn_prefix",
            ]),
        );

        let capture = pcapfile::read(&file).unwrap();
        assert_eq!(capture.link_type(), link_type);
        let mut heard = Vec::new();
        let mut decoder = Decoder::new();
        for packet in capture.packets() {
            let packet = packet.unwrap();
            decoder.push(packet.t_ns, capture.link_type(), packet.data, &mut heard);
        }
        decoder.finish(&mut heard);
        let list = |nets: &[ipnet::Ipv4Net]| {
            let nets: Vec<_> = nets.iter().map(|n| n.network().to_string()).collect();
            nets.join(",")
        };
        let ours: String = heard
            .iter()
            .map(|m| {
                let (kind, announced, withdrawn) = match &m.body {
                    Body::Keepalive => (4, String::new(), String::new()),
                    Body::Update(u) => (2, list(&u.announced), list(&u.withdrawn)),
                    other => panic!("{other:?}"),
                };
                format!(
                    "{}.{:09}\t{kind}\t{announced}\t{withdrawn}\n",
                    m.t_ns / 1_000_000_000,
                    m.t_ns % 1_000_000_000
                )
            })
            .collect();
        assert_eq!(ours, theirs, "{link_type:?}");
        assert_eq!(heard.len(), messages.len());
    }
}
