//! FRRouting: Debian's zebra and bgpd, unmodified.
//!
//! *Assumes* the capsule's user database, in which `frr` is uid 0. *Guarantees* the same
//! configuration in every arm: Graceful Restart is a matter of the injector's capability alone,
//! bgpd being a helper (RFC 4724, section 4.2) by default.

use std::path::{Path, PathBuf};

use injectors::{Complaint, ConfigFile, ProcessSpec};
use topologies::ResolvedScenario;

use super::{Router, RouterProcess, SessionChange, zebra};
use crate::versions;

/// Where distributions keep the daemons: Debian's, Fedora's.
const DAEMONS: [&str; 2] = ["/usr/lib/frr", "/usr/libexec/frr"];

/// vtysh looks for the sockets of a router outside of any lab, unless told the node; and it
/// complains of a missing configuration of its own.
const VTYSH: &str = "#!/bin/sh\n: >>\"/etc/frr/$FLAPLAB_NODE/vtysh.conf\"\n\
                     exec /usr/bin/vtysh -N \"$FLAPLAB_NODE\" \"$@\"\n";

/// FRRouting.
#[derive(Debug, Default)]
pub struct Frr {
    /// Folder of the daemons; none: where distributions keep them.
    folder: Option<PathBuf>,
}

impl Frr {
    /// The one of the distribution, or a build of the user's own.
    #[must_use]
    pub const fn new(folder: Option<PathBuf>) -> Self {
        Frr { folder }
    }

    fn daemon(&self, name: &str) -> String {
        match &self.folder {
            Some(folder) => folder.join(name).display().to_string(),
            None => injectors::first_installed(&DAEMONS.map(|dir| format!("{dir}/{name}"))),
        }
    }
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

    fn programs(&self) -> Vec<String> {
        ["bgpd", "zebra"].map(|name| self.daemon(name)).to_vec()
    }

    fn remedy(&self) -> String {
        match &self.folder {
            Some(_) => super::OWN_BUILD.to_owned(),
            None => versions::install("frr"),
        }
    }

    fn version_command(&self) -> (String, &'static [&'static str]) {
        (self.daemon("bgpd"), &["--version"])
    }

    fn parse_version(&self, output: &str) -> Option<String> {
        zebra::version(output)
    }

    fn configure(&self, scenario: &ResolvedScenario, node: &str) -> Vec<ConfigFile> {
        vec![
            ConfigFile {
                name: "zebra.conf".to_owned(),
                text: zebra::zebra(node),
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
                program: self.daemon(name),
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
        // bgpd makes this socket and then reads its configuration, long before the next one does.
        let bgpd_before = |p| state_dir(p).join("bgpd.vty");
        let before = previous.map(|p| (zserv(p), bgpd_before(p)));
        zebra::in_turn(daemon, zserv(node), before)
    }

    fn shell_tools(&self) -> &'static [(&'static str, &'static str)] {
        &[("vtysh", VTYSH)]
    }

    fn session_log(&self) -> &'static str {
        "bgpd"
    }

    fn parse_log_line(&self, line: &str) -> Option<SessionChange> {
        zebra::session_change(line)
    }

    fn complaint(&self, line: &str) -> Option<Complaint> {
        zebra::complaint(line)
    }
}

/// bgpd's configuration. FRR 8 needs to be told to exchange routes with external peers without
/// a policy (RFC 8212), and not to look for the route that it announces.
fn bgpd(scenario: &ResolvedScenario, name: &str) -> String {
    let settings = &scenario.router;
    let Some(node) = scenario.topology.node(name) else {
        return String::new();
    };
    format!(
        "hostname {name}\nlog stdout\nlog timestamp precision 6\n{priority}!\nrouter bgp {asn}\n bgp router-id {id}\n \
         bgp log-neighbor-changes\n no bgp ebgp-requires-policy\n no bgp network import-check\n \
         bgp graceful-restart stalepath-time {stale}\n timers bgp {keepalive} {hold}\n{neighbors} \
         address-family ipv4 unicast\n  maximum-paths 1\n{filters} exit-address-family\n{trailer}",
        priority = zebra::RECORD_PRIORITY,
        asn = node.asn,
        id = node.router_id,
        stale = zebra::seconds(settings.stale_path_time),
        keepalive = zebra::seconds(settings.keepalive),
        hold = zebra::seconds(settings.hold_time),
        neighbors = zebra::neighbors(scenario, name),
        filters = zebra::filters(scenario, name, "  "),
        trailer = zebra::trailer(scenario, name),
    )
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

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
log record-priority
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
        assert_eq!(Frr::default().configure(&scenario, "r1")[1].text, expected);
    }

    #[test]
    fn a_session_that_comes_up_is_read_from_the_log() {
        let line = "2026/01/02 03:04:05.678901 BGP: [M59KS-A3ZXZ] %ADJCHANGE: neighbor \
                    198.18.0.1(r2) in vrf default Up";
        let change = Frr::default()
            .parse_log_line(line)
            .expect("it tells of a session");
        assert_eq!(change.t_wall_ns, 1_767_323_045_678_901_000);
        assert_eq!(change.peer, Ipv4Addr::new(198, 18, 0, 1));
        assert!(change.up);
    }

    #[test]
    fn a_session_that_goes_down_is_read_with_its_reason() {
        let line = "2026/01/02 03:04:05.000001 BGP: [M59KS-A3ZXZ] %ADJCHANGE: neighbor \
                    198.18.0.7(Unknown) in vrf default Down Peer closed the session";
        let change = Frr::default()
            .parse_log_line(line)
            .expect("it tells of a session");
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
            assert_eq!(Frr::default().parse_log_line(line), None, "{line}");
        }
    }

    #[test]
    fn the_version_is_the_last_word_of_the_first_line() {
        let printed = "bgpd version 8.4.4\nCopyright 1996-2005 Kunihiro Ishiguro, et al.\n";
        assert_eq!(
            Frr::default().parse_version(printed).as_deref(),
            Some("8.4.4")
        );
    }

    #[test]
    fn a_build_of_the_users_own_is_run_from_its_folder() {
        let own = Frr::new(Some(PathBuf::from("/opt/frr/sbin")));
        assert_eq!(
            own.programs(),
            ["/opt/frr/sbin/bgpd", "/opt/frr/sbin/zebra"]
        );
        let started = own.processes("r1", None, Path::new("/c"));
        assert_eq!(started[1].spec.program, "/opt/frr/sbin/bgpd");
    }
}
