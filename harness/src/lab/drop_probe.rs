//! Seeing the drop rule's effect: a packet that it counts.
//!
//! *Assumes* that the rule is in force. *Guarantees* that the rest of the lab waits for nothing of
//! this, and that it ends by itself.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use crate::netns::Namespace;
use crate::signal::{Signal, Signals};

/// How long the drop rule may take to count the probe.
const PROBE_DEADLINE: Duration = Duration::from_secs(5);
/// The discard service (RFC 863): whatever arrives there is of no use.
const DISCARD: u16 = 9;

/// Sends packets for the destination out of `device` in namespace `from`, until the rule in `to`
/// has counted one.
pub(super) fn start(
    from: Namespace,
    to: Namespace,
    device: String,
    destination: Ipv4Addr,
    signals: Signals,
) {
    let destination = SocketAddrV4::new(destination, DISCARD);
    std::thread::spawn(move || probe(&from, &to, device, destination, &signals));
}

/// Probes until the rule counts or the deadline passes; then the quiet reports it.
fn probe(
    from: &Namespace,
    to: &Namespace,
    device: String,
    destination: SocketAddrV4,
    signals: &Signals,
) {
    let deadline = Instant::now() + PROBE_DEADLINE;
    let open = move || -> std::io::Result<UdpSocket> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        nix::sys::socket::setsockopt(
            &socket,
            nix::sys::socket::sockopt::BindToDevice,
            &device.into(),
        )?;
        Ok(socket)
    };
    let Ok(Ok(socket)) = from.enter(open) else {
        return;
    };
    while Instant::now() < deadline {
        let sent = socket.send_to(b"flaplab", destination);
        let counted = to.enter(rule_has_counted);
        if sent.is_ok() && matches!(counted, Ok(true)) {
            signals.send(Signal::RuleCounted);
            return;
        }
    }
}

/// Whether the drop rule of the calling thread's namespace has counted a packet.
fn rule_has_counted() -> bool {
    let table = injectors::actuator::TABLE;
    let listed = std::process::Command::new("/usr/sbin/nft")
        .args(["--json", "list", "table", "ip", table])
        .output();
    let Ok(listed) = listed else { return false };
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(&listed.stdout) else {
        return false;
    };
    packets_counted(&value) > 0
}

/// Packets of all counters in what `nft --json list table` prints.
fn packets_counted(listed: &serde_json::Value) -> u64 {
    let Some(items) = listed["nftables"].as_array() else {
        return 0;
    };
    items
        .iter()
        .filter_map(|i| i["rule"]["expr"].as_array())
        .flatten()
        .filter_map(|e| e["counter"]["packets"].as_u64())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packets_of_a_rule_are_read_from_nfts_json() {
        let listed = serde_json::json!({"nftables": [
            {"metainfo": {"version": "1.0.6"}},
            {"table": {"family": "ip", "name": "flaplab"}},
            {"rule": {"chain": "dead-link", "expr": [
                {"match": {}}, {"counter": {"packets": 3, "bytes": 84}}, {"drop": null}]}},
        ]});
        assert_eq!(packets_counted(&listed), 3);
        assert_eq!(packets_counted(&serde_json::json!({})), 0);
    }
}
