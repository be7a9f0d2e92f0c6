//! ExaBGP as the route injector, as in the dissertation (section 3.1).
//!
//! *Assumes* ExaBGP 4.2 or later, run with its API's acknowledgments off: with them on it
//! deadlocks after some 13,000 announcements that nobody reads the answers to. *Guarantees* that
//! the configurations of all arms differ in the `graceful-restart` capability alone.
//!
//! Everything is announced by our announcer (see [`crate::announcer`]) through ExaBGP's API, and
//! End-of-RIB with it (`manual-eor`): only so can filler routes come at a pace, and the
//! destination be withdrawn while the session lives.

use std::fmt::Write as _;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use topologies::ResolvedScenario;

use crate::announcer::{self, Instructions};
use crate::plan::AnnouncementPlan;
use crate::speaker::Event;
use crate::{Command, Complaint, ConfigFile, ProcessSpec, RouteInjector, Start};

/// The executable: of Debian's package, or where pip puts it.
#[must_use]
pub fn program() -> String {
    let places = [
        "/usr/sbin/exabgp",
        "/usr/bin/exabgp",
        "/usr/local/bin/exabgp",
    ];
    crate::first_installed(&places.map(str::to_owned))
}

/// ExaBGP.
pub struct ExaBgp;

fn conf_name(start: Start) -> String {
    format!("exabgp-{}.conf", start.stem())
}

fn plan_name(start: Start) -> String {
    format!("announce-{}.json", start.stem())
}

impl RouteInjector for ExaBgp {
    fn configure(
        &self,
        scenario: &ResolvedScenario,
        start: Start,
        config_dir: &Path,
        run_dir: &Path,
    ) -> Vec<ConfigFile> {
        let instructions = Instructions {
            control_socket: control_socket(start, run_dir),
            plan: AnnouncementPlan::new(scenario, start),
        };
        let plan_path = config_dir.join(plan_name(start));
        vec![
            ConfigFile {
                name: conf_name(start),
                text: configuration(scenario, &plan_path),
            },
            ConfigFile {
                name: plan_name(start),
                text: instructions.to_json(),
            },
        ]
    }

    fn process(&self, start: Start, config_dir: &Path) -> ProcessSpec {
        let env = |key: &str, value: &str| (format!("exabgp.{key}"), value.to_owned());
        ProcessSpec {
            name: format!("exabgp-{}", start.stem()),
            program: program(),
            args: vec![config_dir.join(conf_name(start)).display().to_string()],
            env: vec![
                env("daemon.user", "root"),
                env("log.destination", "stdout"),
                env("log.short", "false"),
                env("api.cli", "false"),
                env("api.ack", "false"),
            ],
        }
    }

    fn parse_log_line(&self, _: &str) -> Option<Event> {
        None
    }

    fn complaint(&self, line: &str) -> Option<Complaint> {
        complaint(line)
    }

    fn command(&self, command: &Command, start: Start, run_dir: &Path) -> io::Result<()> {
        let text = serde_json::to_vec(command)?;
        let socket = UnixDatagram::unbound()?;
        socket.send_to(&text, control_socket(start, run_dir))?;
        Ok(())
    }
}

/// What a line of its log complains of. ExaBGP writes `14:35:29 | 78     | reactor         | connected to
/// peer-1 ...`, without a priority; what looks otherwise is Python's, a traceback as a rule.
fn complaint(line: &str) -> Option<Complaint> {
    let is_time = |text: &str| text.split(':').count() == 3;
    let is_expected =
        line.trim().is_empty() || line.split_once(" | ").is_some_and(|(t, _)| is_time(t));
    (!is_expected).then_some(Complaint::Error)
}

/// Where the announcer of one start takes commands.
fn control_socket(start: Start, run_dir: &Path) -> PathBuf {
    run_dir.join(format!("announcer-{}.sock", start.stem()))
}

/// The configuration file. It is the same for both starts but for the announcer's plan.
fn configuration(scenario: &ResolvedScenario, plan: &Path) -> String {
    let topology = &scenario.topology;
    let injector = topology.injector();
    let mut text = format!(
        "process announcer {{\n    run {} {} {};\n    encoder json;\n}}\n",
        announcer::PROGRAM,
        announcer::SUBCOMMAND,
        plan.display()
    );
    for end in topology.ends(&injector.name) {
        let peer_asn = topology.node(end.peer).map_or(0, |n| n.asn);
        let capability = if scenario.strategy.restarts_gracefully() {
            format!(
                "    capability {{\n        graceful-restart {};\n    }}\n",
                scenario.injector.restart_time.as_duration().as_secs()
            )
        } else {
            String::new()
        };
        let _ = write!(
            text,
            "\nneighbor {peer} {{\n    router-id {id};\n    local-address {local};\n    local-as {asn};\n    \
             peer-as {peer_asn};\n    hold-time {hold};\n    manual-eor true;\n    family {{\n        ipv4 unicast;\n    }}\n\
             {capability}    api {{\n        processes [ announcer ];\n        neighbor-changes;\n    }}\n}}\n",
            peer = end.peer_addr,
            id = injector.router_id,
            local = end.addr,
            asn = injector.asn,
            hold = scenario.router.hold_time.as_duration().as_secs(),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use topologies::{Scenario, Strategy};

    use super::*;
    use crate::plan::PeerPlan;

    fn scenario(strategy: Strategy) -> ResolvedScenario {
        let text = "schema: 1\nname: x\ntopology: {kind: b-clique, size: 4}\nfailure: {kind: correlated}\n\
                    injector: {filler: {count: 40, rate: 20}}\n";
        Scenario::parse(text, "x.yaml")
            .expect("it is valid")
            .resolve(strategy, 0)
    }

    fn text(strategy: Strategy, start: Start) -> String {
        let files = ExaBgp.configure(&scenario(strategy), start, Path::new("/c"), Path::new("/r"));
        files[0].text.clone()
    }

    fn plan(start: Start) -> Vec<PeerPlan> {
        let files = ExaBgp.configure(
            &scenario(Strategy::None),
            start,
            Path::new("/c"),
            Path::new("/r"),
        );
        let instructions: Instructions =
            serde_json::from_str(&files[1].text).expect("it is a plan");
        instructions.plan.peers.into_values().collect()
    }

    #[test]
    fn what_is_no_line_of_its_log_is_a_complaint() {
        for line in [
            "14:35:29 | 78     | welcome         | Thank you for using ExaBGP",
            "14:35:29 | 78     | installation    | ",
            "",
        ] {
            assert_eq!(complaint(line), None, "{line}");
        }
        for line in [
            "Traceback (most recent call last):",
            "TypeError: unsupported operand type(s) for |",
            "int | str is | no time",
        ] {
            assert_eq!(complaint(line), Some(Complaint::Error), "{line}");
        }
    }

    #[test]
    fn the_arms_differ_in_the_graceful_restart_capability_alone() {
        let with = text(Strategy::GracefulRestart, Start::First);
        let capability = "    capability {\n        graceful-restart 120;\n    }\n";
        assert_eq!(with.matches(capability).count(), 2, "{with}");
        assert_eq!(
            with.replace(capability, ""),
            text(Strategy::None, Start::First)
        );
    }

    #[test]
    fn the_backup_hears_a_path_longer_than_any_through_the_primary_and_the_primary_none_after_the_failure()
     {
        let [first, restart] = [Start::First, Start::Restart].map(plan);
        let path = |p: &PeerPlan| p.destination.as_ref().map(|d| d.as_path.clone());
        assert!(
            first.iter().any(|p| path(p) == Some(vec![])),
            "the primary, at first"
        );
        assert!(
            first.iter().any(|p| path(p) == Some(vec![65000; 5])),
            "the backup of a 4-clique"
        );
        let rate = |p: &PeerPlan| p.filler.map(|f| f.rate_per_s);
        assert!(first.iter().any(|p| rate(p) == Some(2000)), "at once");
        assert!(
            restart
                .iter()
                .any(|p| path(p).is_none() && rate(p) == Some(20)),
            "the primary, then"
        );
        assert!(
            restart
                .iter()
                .any(|p| path(p) == Some(vec![65000; 5]) && p.filler.is_none())
        );
    }
}
