//! What a run's records hold, as the field's own tools read them, and as this project does.
//!
//! *Assumes* tshark(1) and iproute2. *Guarantees* that a tool which does not understand a record
//! fails the test.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use results::bgp::{Body, Decoder, Message, Update};
use results::{RunDir, pcapfile};

use super::program::tool;

/// One value of a field for each packet that matches the filter, as tshark prints it.
pub(crate) fn tshark(pcap: &Path, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(pcap).args(["-T", "fields"]);
    if !filter.is_empty() {
        command.args(["-Y", filter]);
    }
    for field in fields {
        command.args(["-e", field]);
    }
    tool("tshark", &mut command)
        .lines()
        .map(|l| l.split('\t').map(str::to_owned).collect())
        .collect()
}

/// What `ip -ts monitor file` makes of a node's table: its lines without the time of the replay.
pub(crate) fn replay(run: &RunDir, node: &str) -> Vec<String> {
    // In a namespace without devices: else ip would print this machine's names.
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--net", "ip", "-ts", "monitor", "file"])
        .arg(run.routes_rtmon(node));
    tool("iproute2", &mut command)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Fails unless a node's capture holds OPEN and UPDATE messages, all sent by the node itself.
pub(crate) fn must_hold_what_the_node_sent(run: &RunDir, node: &str) {
    let topology = run.topology().unwrap();
    let own: BTreeSet<String> = topology
        .node(node)
        .unwrap()
        .addresses
        .iter()
        .map(ToString::to_string)
        .collect();
    let packets = tshark(
        &run.bgp_pcap(node),
        "",
        &["sll.pkttype", "ip.src", "tcp.port", "bgp.type"],
    );
    let mut types = BTreeSet::new();
    for packet in &packets {
        // LINUX_SLL: 4 is "sent by us".
        assert_eq!(packet[0], "4", "{node}: {packet:?}");
        assert!(own.contains(&packet[1]), "{node}: {packet:?}");
        assert!(packet[2].split(',').any(|p| p == "179"));
        types.extend(packet[3].split(',').map(str::to_owned));
    }
    // RFC 4271, section 4.1: OPEN is 1, UPDATE 2.
    assert!(
        types.contains("1") && types.contains("2"),
        "{node}: {types:?}"
    );
}

/// The messages of a node's capture, up to where it ends.
pub(crate) fn messages(run: &RunDir, node: &str) -> Vec<Message> {
    let capture = pcapfile::read(&run.bgp_pcap(node)).unwrap();
    let (mut decoder, mut messages) = (Decoder::new(), Vec::new());
    for packet in capture.packets() {
        let packet = match packet {
            Ok(packet) => packet,
            // The last item of a capture whose writer was killed.
            Err(pcapfile::PcapFileError::CutShort { .. }) => break,
            Err(e) => panic!("{e}"),
        };
        decoder.push(packet.t_ns, capture.link_type(), packet.data, &mut messages);
    }
    messages
}

/// The UPDATEs among messages.
pub(crate) fn updates(messages: &[Message]) -> impl Iterator<Item = (&Message, &Update)> {
    messages.iter().filter_map(|m| match &m.body {
        Body::Update(update) => Some((m, update)),
        _ => None,
    })
}
