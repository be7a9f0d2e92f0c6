//! FRRouting: Debian's zebra and bgpd, unmodified.
//!
//! *Assumes* the capsule's user database, in which `frr` is uid 0. *Guarantees* the same
//! configuration in every arm: Graceful Restart is a matter of the injector's capability alone,
//! bgpd being a helper (RFC 4724, section 4.2) by default.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use injectors::{ConfigFile, ProcessSpec};
use jiff::civil::DateTime;
use topologies::{LinkRole, ResolvedScenario};

use super::{Router, RouterProcess, SessionChange};

/// Where distributions keep the daemons: Debian's, Fedora's.
const DAEMONS: [&str; 2] = ["/usr/lib/frr", "/usr/libexec/frr"];
/// Name of the prefix list that keeps the filler out.
const DESTINATION_LIST: &str = "DESTINATION";

/// vtysh looks for the sockets of a router outside of any lab, unless told the node; and it
/// complains of a missing configuration of its own.
const VTYSH: &str = "#!/bin/sh\n: >>\"/etc/frr/$FLAPLAB_NODE/vtysh.conf\"\n\
                     exec /usr/bin/vtysh -N \"$FLAPLAB_NODE\" \"$@\"\n";

/// FRRouting.
pub struct Frr;

fn daemon_path(name: &str) -> String {
    injectors::first_installed(&DAEMONS.map(|dir| format!("{dir}/{name}")))
}

fn state_dir(node: &str) -> PathBuf {
    PathBuf::from("/run/frr").join(node)
}

/// The API socket of a node's zebra: there once it takes clients.
fn zserv(node: &str) -> PathBuf {
    state_dir(node).join("zserv.api")
}

impl Router for Frr {
    fn name(&self) -> &'static str {
        "frr"
    }

    fn version_command(&self) -> (String, &'static [&'static str]) {
        (daemon_path("bgpd"), &["--version"])
    }

    fn parse_version(&self, output: &str) -> Option<String> {
        // "bgpd version 8.4.4"
        output
            .lines()
            .next()?
            .split_whitespace()
            .last()
            .map(str::to_owned)
    }

    fn configure(&self, scenario: &ResolvedScenario, node: &str) -> Vec<ConfigFile> {
        let zebra = format!("hostname {node}\nlog stdout\nlog timestamp precision 6\n");
        vec![
            ConfigFile {
                name: "zebra.conf".to_owned(),
                text: zebra,
            },
            ConfigFile {
                name: "bgpd.conf".to_owned(),
                text: bgpd(scenario, node),
            },
        ]
    }

    fn directories(&self, node: &str) -> Vec<PathBuf> {
        vec![state_dir(node), PathBuf::from("/etc/frr").join(node)]
    }

    fn processes(
        &self,
        node: &str,
        previous: Option<&str>,
        config_dir: &Path,
    ) -> Vec<RouterProcess> {
        let daemon = |name: &str, after| RouterProcess {
            spec: ProcessSpec {
                name: name.to_owned(),
                program: daemon_path(name),
                // -N keeps the sockets of the lab's routers apart; with it the file must be
                // named, or it is not read.
                args: [
                    "-N",
                    node,
                    "-f",
                    &config_dir.join(format!("{name}.conf")).to_string_lossy(),
                    "-A",
                    "127.0.0.1",
                ]
                .map(str::to_owned)
                .to_vec(),
                env: Vec::new(),
            },
            after,
        };
        // One bgpd after the other: see `passive` in its configuration. It makes this socket and
        // then reads that, long before the next one does.
        let order = previous.map(|p| state_dir(p).join("bgpd.vty"));
        let after = [zserv(node)].into_iter().chain(order).collect();
        // One zebra after the other too: started all at once they would all be ready late, and
        // the first bgpd with them.
        let zebra = daemon("zebra", previous.map(zserv).into_iter().collect());
        vec![zebra, daemon("bgpd", after)]
    }

    fn shell_tools(&self) -> &'static [(&'static str, &'static str)] {
        &[("vtysh", VTYSH)]
    }

    fn session_log(&self) -> &'static str {
        "bgpd"
    }

    fn parse_log_line(&self, line: &str) -> Option<SessionChange> {
        // 2026/01/02 03:04:05.678901 BGP: [M59KS-A3ZXZ] %ADJCHANGE: neighbor 198.18.0.1(r2) in
        // vrf default Down Peer closed the session
        let (head, tail) = line.split_once("%ADJCHANGE: neighbor ")?;
        let stamp = head.get(..26)?;
        let at = DateTime::strptime("%Y/%m/%d %H:%M:%S%.f", stamp).ok()?;
        let at = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
        let (peer, rest) = tail.split_once(['(', ' '])?;
        let words = rest.split_once("vrf ").map_or(rest, |(_, r)| r);
        let text = words.split_once(' ').map_or("", |(_, r)| r);
        let up = match text.split_whitespace().next()? {
            "Up" => true,
            "Down" => false,
            _ => return None,
        };
        Some(SessionChange {
            t_wall_ns: u64::try_from(at.as_nanosecond()).ok()?,
            peer: peer.parse::<Ipv4Addr>().ok()?,
            up,
            text: text.to_owned(),
        })
    }
}

/// bgpd's configuration. FRR 8 needs to be told to exchange routes with external peers without
/// a policy (RFC 8212), and not to look for the route that it announces.
fn bgpd(scenario: &ResolvedScenario, name: &str) -> String {
    let topology = &scenario.topology;
    let settings = &scenario.router;
    let seconds = |s: topologies::Span| s.as_duration().as_secs();
    let Some(node) = topology.node(name) else {
        return String::new();
    };
    let mut text = format!(
        "hostname {name}\nlog stdout\nlog timestamp precision 6\n!\nrouter bgp {asn}\n bgp router-id {id}\n \
         bgp log-neighbor-changes\n no bgp ebgp-requires-policy\n no bgp network import-check\n \
         bgp graceful-restart stalepath-time {stale}\n timers bgp {keepalive} {hold}\n",
        asn = node.asn,
        id = node.router_id,
        stale = seconds(settings.stale_path_time),
        keepalive = seconds(settings.keepalive),
        hold = seconds(settings.hold_time),
    );
    let position = |node: &str| topology.nodes.iter().position(|n| n.name == node);
    for end in topology.ends(name) {
        let peer_asn = topology.node(end.peer).map_or(0, |n| n.asn);
        let peer = end.peer_addr;
        let _ = write!(
            text,
            " neighbor {peer} remote-as {peer_asn}\n neighbor {peer} description {}\n neighbor {peer} timers connect \
             {}\n neighbor {peer} advertisement-interval {}\n",
            end.peer,
            seconds(settings.connect_retry),
            seconds(settings.mrai),
        );
        // Two bgpds that open a connection to each other at the same time may both lose it
        // (RFC 4271, section 6.8) and try again a second later. The one that is started first
        // waits; the other opens, as it would anyway, for it finds the first one listening.
        if end.role == LinkRole::Peering && position(name) < position(end.peer) {
            let _ = writeln!(text, " neighbor {peer} passive");
        }
    }
    text.push_str(" address-family ipv4 unicast\n  maximum-paths 1\n");
    for end in topology.ends(name).filter(|e| e.role != LinkRole::Peering) {
        let _ = writeln!(
            text,
            "  neighbor {} prefix-list {DESTINATION_LIST} in",
            end.peer_addr
        );
    }
    let _ = write!(
        text,
        " exit-address-family\n!\nip prefix-list {DESTINATION_LIST} seq 5 permit {}\n!\n",
        topology.destination
    );
    for line in settings.extra_config.get(name).into_iter().flatten() {
        let _ = writeln!(text, "{line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bgpd_is_configured_as_the_scenario_says() {
        let text = "schema: 1\nname: x\ntopology: {kind: chain, size: 2}\nfailure: {kind: control}\n\
                    router: {kind: frr, mrai: 7s, extra_config: {r1: [\"! a line of the user\"]}}\n";
        let scenario = topologies::Scenario::parse(text, "x.yaml").expect("it is valid");
        let scenario = scenario.resolve(topologies::Strategy::None, 0);
        let expected = "\
hostname r1
log stdout
log timestamp precision 6
!
router bgp 65001
 bgp router-id 198.19.248.2
 bgp log-neighbor-changes
 no bgp ebgp-requires-policy
 no bgp network import-check
 bgp graceful-restart stalepath-time 360
 timers bgp 60 180
 neighbor 198.18.0.0 remote-as 65000
 neighbor 198.18.0.0 description injector
 neighbor 198.18.0.0 timers connect 1
 neighbor 198.18.0.0 advertisement-interval 7
 neighbor 198.18.0.3 remote-as 65002
 neighbor 198.18.0.3 description r2
 neighbor 198.18.0.3 timers connect 1
 neighbor 198.18.0.3 advertisement-interval 7
 neighbor 198.18.0.3 passive
 address-family ipv4 unicast
  maximum-paths 1
  neighbor 198.18.0.0 prefix-list DESTINATION in
 exit-address-family
!
ip prefix-list DESTINATION seq 5 permit 198.51.100.0/24
!
! a line of the user
";
        assert_eq!(Frr.configure(&scenario, "r1")[1].text, expected);
    }

    #[test]
    fn a_session_that_comes_up_is_read_from_the_log() {
        let line = "2026/01/02 03:04:05.678901 BGP: [M59KS-A3ZXZ] %ADJCHANGE: neighbor \
                    198.18.0.1(r2) in vrf default Up";
        let change = Frr.parse_log_line(line).expect("it tells of a session");
        assert_eq!(change.t_wall_ns, 1_767_323_045_678_901_000);
        assert_eq!(change.peer, Ipv4Addr::new(198, 18, 0, 1));
        assert!(change.up);
    }

    #[test]
    fn a_session_that_goes_down_is_read_with_its_reason() {
        let line = "2026/01/02 03:04:05.000001 BGP: [M59KS-A3ZXZ] %ADJCHANGE: neighbor \
                    198.18.0.7(Unknown) in vrf default Down Peer closed the session";
        let change = Frr.parse_log_line(line).expect("it tells of a session");
        assert!(!change.up);
        assert_eq!(change.text, "Down Peer closed the session");
    }

    #[test]
    fn other_lines_tell_of_no_session() {
        for line in [
            "",
            "2026/01/02 03:04:05.000001 BGP: [X] something else",
            "%ADJCHANGE: neighbor x",
        ] {
            assert_eq!(Frr.parse_log_line(line), None, "{line}");
        }
    }

    #[test]
    fn the_version_is_the_last_word_of_the_first_line() {
        let printed = "bgpd version 8.4.4\nCopyright 1996-2005 Kunihiro Ishiguro, et al.\n";
        assert_eq!(Frr.parse_version(printed).as_deref(), Some("8.4.4"));
    }
}
