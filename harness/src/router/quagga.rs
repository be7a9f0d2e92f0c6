//! Quagga, 0.99.22 to 1.2.4: zebra and bgpd of the user's own, by path.
//!
//! *Assumes* daemons built without a VTY group (docs/routers.md), and that root is the capsule's
//! only user. *Guarantees* the same configuration in every arm, in words that all these versions
//! know: Quagga refuses to start with a line that it does not.

use std::path::{Path, PathBuf};

use injectors::{Complaint, ConfigFile, ProcessSpec};
use topologies::ResolvedScenario;

use super::{Router, RouterProcess, SessionChange, zebra};

/// Where Debian kept the daemons as long as it had them.
const DAEMONS: &str = "/usr/lib/quagga";

/// Quagga.
#[derive(Debug)]
pub struct Quagga {
    folder: PathBuf,
}

fn state_dir(node: &str) -> PathBuf {
    PathBuf::from("/run/quagga").join(node)
}

/// The API socket of a node's zebra: there once it takes clients.
fn zserv(node: &str) -> PathBuf {
    state_dir(node).join("zserv.api")
}

fn pid_file(node: &str, daemon: &str) -> PathBuf {
    state_dir(node).join(format!("{daemon}.pid"))
}

impl Quagga {
    /// The daemons of that folder.
    #[must_use]
    pub fn new(folder: Option<PathBuf>) -> Self {
        Quagga {
            folder: folder.unwrap_or_else(|| PathBuf::from(DAEMONS)),
        }
    }

    fn daemon(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

impl Router for Quagga {
    fn name(&self) -> &'static str {
        "quagga"
    }

    fn programs(&self) -> Vec<String> {
        ["bgpd", "zebra"].map(|name| self.daemon(name)).to_vec()
    }

    fn remedy(&self) -> String {
        super::OWN_BUILD.to_owned()
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
        vec![state_dir(node)]
    }

    fn processes(
        &self,
        node: &str,
        previous: Option<&str>,
        config_dir: &Path,
    ) -> Vec<RouterProcess> {
        let daemon = |name: &str, after| {
            let config = config_dir.join(format!("{name}.conf"));
            let pid_file = pid_file(node, name);
            let zserv = zserv(node);
            RouterProcess {
                spec: ProcessSpec {
                    name: name.to_owned(),
                    program: self.daemon(name),
                    // There is no -N to keep the lab's routers apart: each path is named. Without
                    // -u and -g a daemon becomes the user of its build, whom the capsule lacks.
                    // -P 0: no terminal; it would want a password in the configuration.
                    args: [
                        "-f",
                        &config.to_string_lossy(),
                        "-i",
                        &pid_file.to_string_lossy(),
                        "-z",
                        &zserv.to_string_lossy(),
                        "-A",
                        "127.0.0.1",
                        "-P",
                        "0",
                        "-u",
                        "root",
                        "-g",
                        "root",
                    ]
                    .map(str::to_owned)
                    .to_vec(),
                    env: Vec::new(),
                },
                after,
            }
        };
        // bgpd listens while it reads its configuration, and writes its process number afterwards.
        let before = previous.map(|p| (zserv(p), pid_file(p, "bgpd")));
        zebra::in_turn(daemon, zserv(node), before)
    }

    fn shell_tools(&self) -> &'static [(&'static str, &'static str)] {
        // vtysh looks for its sockets in one place for all daemons of a machine.
        &[]
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

/// bgpd's configuration. What differs from FRR's:
///
/// - `bgp graceful-restart`: 0.99 neither advertises the capability nor keeps a restarting peer's
///   routes without it (FRR is a helper by default);
/// - no `bgp ebgp-requires-policy`: Quagga is older than RFC 8212, and does not know the word;
/// - no `no bgp network import-check`: not checking is its default;
/// - no `maximum-paths 1`: one path is its default;
/// - no `address-family ipv4 unicast`: IPv4 unicast is configured in the BGP section itself.
fn bgpd(scenario: &ResolvedScenario, name: &str) -> String {
    let settings = &scenario.router;
    let Some(node) = scenario.topology.node(name) else {
        return String::new();
    };
    format!(
        "hostname {name}\nlog stdout\nlog timestamp precision 6\n{priority}!\nrouter bgp {asn}\n bgp router-id {id}\n \
         bgp log-neighbor-changes\n bgp graceful-restart stalepath-time {stale}\n bgp graceful-restart\n \
         timers bgp {keepalive} {hold}\n{neighbors}{filters}{trailer}",
        priority = zebra::RECORD_PRIORITY,
        asn = node.asn,
        id = node.router_id,
        stale = zebra::seconds(settings.stale_path_time),
        keepalive = zebra::seconds(settings.keepalive),
        hold = zebra::seconds(settings.hold_time),
        neighbors = zebra::neighbors(scenario, name),
        filters = zebra::filters(scenario, name, " "),
        trailer = zebra::trailer(scenario, name),
    )
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::versions::versions;

    fn scenario(strategy: topologies::Strategy) -> ResolvedScenario {
        let text = "schema: 1\nname: x\ntopology: {kind: chain, size: 2}\nfailure: {kind: control}\n\
                    router: {kind: quagga, path: /nowhere/sbin, mrai: 7s, hold_time: 30s, \
                    extra_config: {r1: [\"! a line of the user\"]}}\n";
        topologies::Scenario::parse(text, "x.yaml")
            .expect("it is valid")
            .resolve(strategy, 0)
    }

    fn quagga() -> Quagga {
        Quagga::new(Some(PathBuf::from("/nowhere/sbin")))
    }

    #[test]
    fn bgpd_is_configured_in_words_that_0_99_22_knows() {
        let expected = "\
hostname r1
log stdout
log timestamp precision 6
log record-priority
!
router bgp 65001
 bgp router-id 198.19.248.2
 bgp log-neighbor-changes
 bgp graceful-restart stalepath-time 360
 bgp graceful-restart
 timers bgp 10 30
 neighbor 198.18.0.0 remote-as 65000
 neighbor 198.18.0.0 description injector
 neighbor 198.18.0.0 timers connect 1
 neighbor 198.18.0.0 advertisement-interval 7
 neighbor 198.18.0.3 remote-as 65002
 neighbor 198.18.0.3 description r2
 neighbor 198.18.0.3 timers connect 1
 neighbor 198.18.0.3 advertisement-interval 7
 neighbor 198.18.0.3 passive
 neighbor 198.18.0.0 prefix-list DESTINATION in
!
ip prefix-list DESTINATION seq 5 permit 198.51.100.0/24
!
! a line of the user
";
        for strategy in topologies::Strategy::ALL {
            let files = quagga().configure(&scenario(strategy), "r1");
            assert_eq!(files[0].name, "zebra.conf");
            assert_eq!(
                files[0].text,
                "hostname r1\nlog stdout\nlog timestamp precision 6\nlog record-priority\n"
            );
            assert_eq!(
                (files[1].name.as_str(), files[1].text.as_str()),
                ("bgpd.conf", expected)
            );
        }
    }

    #[test]
    fn the_daemons_are_started_with_every_path_named_and_one_after_the_other() {
        let config = Path::new("/run/flaplab/run/nodes/r2/config");
        let started = quagga().processes("r2", Some("r1"), config);
        let lines: Vec<String> = started
            .iter()
            .map(|p| format!("{} {}", p.spec.program, p.spec.args.join(" ")))
            .collect();
        assert_eq!(
            lines,
            [
                "/nowhere/sbin/zebra -f /run/flaplab/run/nodes/r2/config/zebra.conf -i /run/quagga/r2/zebra.pid \
                 -z /run/quagga/r2/zserv.api -A 127.0.0.1 -P 0 -u root -g root",
                "/nowhere/sbin/bgpd -f /run/flaplab/run/nodes/r2/config/bgpd.conf -i /run/quagga/r2/bgpd.pid \
                 -z /run/quagga/r2/zserv.api -A 127.0.0.1 -P 0 -u root -g root",
            ]
        );
        assert_eq!(
            started[0].after,
            [PathBuf::from("/run/quagga/r1/zserv.api")]
        );
        assert_eq!(
            started[1].after,
            ["/run/quagga/r2/zserv.api", "/run/quagga/r1/bgpd.pid"].map(PathBuf::from)
        );
        let first = quagga().processes("r1", None, config);
        assert_eq!(first[0].after, Vec::<PathBuf>::new());
        let made = quagga().directories("r2");
        assert_eq!(made, [PathBuf::from("/run/quagga/r2")]);
    }

    #[test]
    fn sessions_are_read_from_the_log() {
        let up = "2013/01/02 03:04:05.678901 BGP: %ADJCHANGE: neighbor 198.18.0.1 Up";
        let change = quagga().parse_log_line(up).expect("it tells of a session");
        assert_eq!(change.t_wall_ns, 1_357_095_845_678_901_000);
        assert_eq!(change.peer, Ipv4Addr::new(198, 18, 0, 1));
        assert!(change.up);
        let down = "2013/01/02 03:04:05.000001 BGP: %ADJCHANGE: neighbor 198.18.0.7 Down BGP \
                    Notification send";
        let change = quagga()
            .parse_log_line(down)
            .expect("it tells of a session");
        assert!(!change.up);
        assert_eq!(change.text, "Down BGP Notification send");
        assert_eq!(
            quagga().parse_log_line("2013/01/02 03:04:05.000001 BGP: x"),
            None
        );
    }

    #[test]
    fn the_version_is_the_word_after_version() {
        let printed = "bgpd version 0.99.22.4 ()\nCopyright 1996-2005 Kunihiro Ishiguro, et al.\n";
        assert_eq!(
            quagga().parse_version(printed).as_deref(),
            Some("0.99.22.4")
        );
        let printed = "bgpd version 1.2.4\nCopyright 1996-2005 Kunihiro Ishiguro, et al.\n";
        assert_eq!(quagga().parse_version(printed).as_deref(), Some("1.2.4"));
    }

    #[test]
    fn a_missing_program_is_named_with_its_path_and_what_to_do() {
        let error = versions(&scenario(topologies::Strategy::None)).expect_err("it is nowhere");
        assert_eq!(
            error.to_string(),
            "/nowhere/sbin/bgpd is not installed; `router: {path: …}` must name the folder of your own zebra and \
             bgpd (docs/routers.md)"
        );
    }
}
