//! Seeing the failure's effect: what was applied is confirmed by what the lab then shows.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use results::{EventKind, FindingKind, LinkRef, Phase, Severity};
use serde_json::Map;

use super::Lab;
use crate::clock;
use crate::netns::Namespace;
use crate::signal::{Signal, Signals};

/// How long the drop rule may take to count the probe.
const PROBE_DEADLINE: Duration = Duration::from_secs(5);
/// The discard service (RFC 863): whatever arrives there is of no use.
const DISCARD: u16 = 9;

/// An effect that is still to be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unconfirmed {
    /// The router at the other end of the primary link logs the session Down.
    SessionDown {
        /// The router.
        node: String,
        /// The injector's address.
        peer: Ipv4Addr,
    },
    /// The drop rule counts a packet.
    RuleCounted,
    /// The withdrawal is on the wire.
    Withdrawn {
        /// The injector's address.
        src: Ipv4Addr,
    },
    /// The restarted injector's session is up.
    SessionUp {
        /// The router.
        node: String,
        /// The injector's address.
        peer: Ipv4Addr,
    },
}

impl Unconfirmed {
    /// When a signal shows the effect: since when.
    fn shown_by(&self, signal: &Signal) -> Option<u64> {
        match (self, signal) {
            (
                Unconfirmed::SessionDown { node, peer },
                Signal::Session {
                    t_mono_ns,
                    node: n,
                    peer: p,
                    up: false,
                    ..
                },
            )
            | (
                Unconfirmed::SessionUp { node, peer },
                Signal::Session {
                    t_mono_ns,
                    node: n,
                    peer: p,
                    up: true,
                    ..
                },
            ) if node == n && peer == p => Some(*t_mono_ns),
            (Unconfirmed::RuleCounted, Signal::RuleCounted) => Some(clock::monotonic_ns()),
            (
                Unconfirmed::Withdrawn { src },
                Signal::Update {
                    t_mono_ns,
                    src: s,
                    withdraws: true,
                    ..
                },
            ) if src == s => Some(*t_mono_ns),
            _ => None,
        }
    }

    fn target(&self) -> String {
        match self {
            Unconfirmed::SessionDown { node, peer } | Unconfirmed::SessionUp { node, peer } => {
                format!("{node} with {peer}")
            }
            Unconfirmed::RuleCounted => "drop rule".to_owned(),
            Unconfirmed::Withdrawn { src } => format!("destination from {src}"),
        }
    }
}

impl Lab {
    /// Checks a signal against what is still to be seen.
    pub(super) fn look_for_confirmation(&mut self, signal: &Signal) {
        let seen = |(i, u): (usize, &Unconfirmed)| u.shown_by(signal).map(|t| (i, t));
        let Some((index, t_mono_ns)) = self.unconfirmed.iter().enumerate().find_map(seen) else {
            return;
        };
        let effect = self.unconfirmed.remove(index);
        let target = effect.target();
        match effect {
            Unconfirmed::SessionDown { .. } | Unconfirmed::RuleCounted => {
                let failure = self.scenario.failure.kind.to_string();
                let dead_link = self.dead_link();
                self.journal.failure(
                    Phase::Confirmed,
                    t_mono_ns,
                    &target,
                    &failure,
                    dead_link,
                    Map::new(),
                );
            }
            Unconfirmed::Withdrawn { .. } => {
                self.journal
                    .event(EventKind::Withdraw, Phase::Confirmed, t_mono_ns, &target);
            }
            Unconfirmed::SessionUp { .. } => {
                self.journal
                    .event(EventKind::Restart, Phase::Confirmed, t_mono_ns, &target);
            }
        }
        self.await_effects();
    }

    /// Lets the quiet wait for what is still to be seen; not for the drop rule's counter, whose
    /// probe has a deadline of its own.
    pub(super) fn await_effects(&mut self) {
        let gates = |u: &Unconfirmed| *u != Unconfirmed::RuleCounted;
        self.watch.set_pending(self.unconfirmed.iter().any(gates));
    }

    /// What was never seen becomes a finding.
    pub(super) fn report_unconfirmed(&mut self) {
        for effect in std::mem::take(&mut self.unconfirmed) {
            let message = format!("the effect of the failure was never seen: {effect:?}");
            self.find(
                FindingKind::NotConfirmed,
                Severity::Invalidating,
                &effect.target(),
                message,
            );
        }
    }

    /// The link whose traffic for the destination the failure loses.
    pub(super) fn dead_link(&self) -> Option<LinkRef> {
        let link = self.scenario.topology.primary();
        let loses = self.scenario.failure.kind != topologies::FailureKind::Control;
        loses.then(|| LinkRef {
            a: link.a.clone(),
            b: link.b.clone(),
        })
    }

    /// Sends a packet for the destination over the primary link, whatever the routes say, until
    /// the drop rule has counted one.
    pub(super) fn probe_drop_rule(&self) {
        let primary = self.scenario.topology.primary();
        let (from, to) = (
            self.namespaces[&primary.b].clone(),
            self.namespaces[&primary.a].clone(),
        );
        let device = primary.b_dev.clone();
        let destination = SocketAddrV4::new(self.scenario.topology.destination_address(), DISCARD);
        let signals = self.signals.clone();
        std::thread::spawn(move || probe(&from, &to, device, destination, &signals));
    }
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
