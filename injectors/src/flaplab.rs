//! flaplab's own speaker as the route injector ([`crate::speaker`]).
//!
//! *Assumes* that process 1 of the capsule is flaplab, wherever its file lies. *Guarantees* that
//! the configurations of all arms differ in the Graceful Restart capability, in how connections
//! are recovered, and in what is told after the restart (`graceful-restart-withdraw`) alone.

use std::io;
use std::path::{Path, PathBuf};

use topologies::{ResolvedScenario, Strategy};

use crate::complaint;
use crate::plan::{AnnouncementPlan, PeerPlan};
use crate::speaker::Event;
use crate::speaker::config::{Config, GracefulRestart, PORT, PeerConfig, Source, TcprConfig};
use crate::speaker::control::{self, Request};
use crate::{Command, Complaint, ConfigFile, ProcessSpec, RouteInjector, Start};

/// The executable, inside a capsule.
const PROGRAM: &str = "/proc/1/exe";

/// flaplab's own speaker.
pub struct Flaplab;

/// A restarted injector that is not recovered opens its new sessions as late as ExaBGP, the study's,
/// does after a kill. It would be quicker, but no router is: FRR gathers changes for some 50 ms, and
/// does not tell its peers of a session that was away for less.
const CONNECT_DELAY_MS: u32 = 130;
/// A second's wait after an attempt that fails would be measured with the failure.
const CONNECT_RETRY_MS: u32 = 100;

/// Socket of the `tcpr serve` of a lab.
#[must_use]
pub fn tcpr_socket(run_dir: &Path) -> PathBuf {
    run_dir.join("tcpr.sock")
}

/// Control socket of the speaker of a lab.
fn control_socket(run_dir: &Path) -> PathBuf {
    run_dir.join("injector.sock")
}

fn config_name(start: Start) -> String {
    format!("injector-{}.json", start.stem())
}

impl RouteInjector for Flaplab {
    fn configure(
        &self,
        scenario: &ResolvedScenario,
        start: Start,
        _: &Path,
        run_dir: &Path,
    ) -> Vec<ConfigFile> {
        let config = config(scenario, start, run_dir);
        let mut text = serde_json::to_string_pretty(&config).expect("it is plain data");
        text.push('\n');
        vec![ConfigFile {
            name: config_name(start),
            text,
        }]
    }

    fn process(&self, start: Start, config_dir: &Path) -> ProcessSpec {
        let config = config_dir.join(config_name(start)).display().to_string();
        ProcessSpec {
            name: format!("injector-{}", start.stem()),
            program: PROGRAM.to_owned(),
            args: vec!["injector".to_owned(), "run".to_owned(), config],
            env: Vec::new(),
        }
    }

    fn parse_log_line(&self, line: &str) -> Option<Event> {
        // What is no event is a message for people, on standard error.
        serde_json::from_str(line).ok()
    }

    fn complaint(&self, line: &str) -> Option<Complaint> {
        match self.parse_log_line(line) {
            Some(_) => None,
            None => complaint::of_tracing(line),
        }
    }

    fn command(&self, command: &Command, _: Start, run_dir: &Path) -> io::Result<()> {
        control::ask(&control_socket(run_dir), &Request::Change(command.clone()))?;
        Ok(())
    }
}

fn config(scenario: &ResolvedScenario, start: Start, run_dir: &Path) -> Config {
    let topology = &scenario.topology;
    let injector = topology.injector();
    let plan = AnnouncementPlan::new(scenario, start);
    let peers = topology.ends(&injector.name).map(|end| PeerConfig {
        address: end.peer_addr,
        port: PORT,
        local_address: Some(end.addr),
        asn: topology.node(end.peer).map_or(0, |n| n.asn),
        passive: false,
        hold_time_s: u16::try_from(scenario.router.hold_time.as_duration().as_secs())
            .unwrap_or(u16::MAX),
        connect_retry_ms: CONNECT_RETRY_MS,
        connect_delay_ms: match start {
            Start::First => 0,
            Start::Restart => CONNECT_DELAY_MS,
        },
        graceful_restart: graceful_restart(scenario, start),
        announce: plan
            .peers
            .get(&end.peer_addr)
            .map_or_else(Vec::new, sources),
    });
    Config {
        asn: injector.asn,
        router_id: injector.router_id,
        control: Some(control_socket(run_dir)),
        tcpr: (scenario.strategy == Strategy::Tcpr).then(|| TcprConfig {
            socket: tcpr_socket(run_dir),
            state: run_dir.join("injector-state"),
            fsync: false,
        }),
        peers: peers.collect(),
    }
}

fn graceful_restart(scenario: &ResolvedScenario, start: Start) -> Option<GracefulRestart> {
    let seconds = scenario.injector.restart_time.as_duration().as_secs();
    scenario
        .strategy
        .restarts_gracefully()
        .then(|| GracefulRestart {
            restart_time_s: u16::try_from(seconds).unwrap_or(u16::MAX),
            restarted: start == Start::Restart,
            // As ExaBGP, which sets it always, but where the arm is about just that.
            forwarding: !(start == Start::Restart
                && scenario.strategy == Strategy::GracefulRestartF0),
            notification: false,
        })
}

fn sources(plan: &PeerPlan) -> Vec<Source> {
    let withdraw = plan.withdraw.map(|prefix| Source::Withdraw(vec![prefix]));
    let destination = plan.destination.clone();
    let destination = destination.map(|route| Source::Routes(vec![route]));
    let filler = plan.filler.and_then(|filler| {
        Some(Source::Filler {
            first: filler.prefixes().next()?,
            count: filler.count,
            rate_per_s: Some(filler.rate_per_s),
        })
    });
    withdraw
        .into_iter()
        .chain(destination)
        .chain(filler)
        .collect()
}
