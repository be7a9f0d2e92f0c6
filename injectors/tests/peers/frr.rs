//! FRR's bgpd as the peer, without zebra.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tcpr_cli::bed::{Host, Throwaway};

use crate::bed::{OURS, wait_for};
use crate::interop::{Router, Seen};

const LOG: &str = "/run/frr/bgpd.log";

/// A bgpd of AS 65002 at the peer's host.
pub(crate) struct Frr {
    _process: Throwaway,
}

impl Frr {
    /// `more`: lines of its `router bgp`.
    pub(crate) fn start(host: &Host, more: &str) -> Frr {
        let program = ["/usr/lib/frr/bgpd", "/usr/libexec/frr/bgpd"];
        let program = program.iter().find(|p| Path::new(p).exists());
        let program = program.expect("FRR is there: scripts/setup");
        let text = format!(
            "log file {LOG} informational\nlog timestamp precision 6\n\
             router bgp 65002\n bgp router-id 192.0.2.2\n bgp log-neighbor-changes\n \
             no bgp ebgp-requires-policy\n no bgp network import-check\n \
             neighbor {OURS} remote-as 65001\n neighbor {OURS} timers 3 9\n \
             neighbor {OURS} timers connect 1\n{more}"
        );
        fs::write("/run/frr/bgpd.conf", text).unwrap();
        let arguments = ["-Z", "-f", "/run/frr/bgpd.conf", "-A", "127.0.0.1"];
        let child = host
            .command(program)
            .args(arguments)
            .args(["-i", "/run/frr/bgpd.pid", "--vty_socket", "/run/frr"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let frr = Frr {
            _process: Throwaway(child),
        };
        wait_for(
            "bgpd",
            || Path::new("/run/frr/bgpd.vty").exists().then_some(()),
            || frr.log(),
        );
        frr
    }

    pub(crate) fn log(&self) -> String {
        let text = fs::read_to_string(LOG).unwrap_or_default();
        // Without zebra it says so again and again.
        let lines = text.lines().filter(|line| !line.contains("zclient"));
        lines.collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn json(&self, command: &str) -> Value {
        let output = Command::new("vtysh")
            .args(["--vty_socket", "/run/frr", "-d", "bgpd", "-c", command])
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// What it says of us.
    pub(crate) fn neighbor(&self) -> Value {
        self.json("show bgp neighbors json")[OURS].clone()
    }

    /// How often the session was established, and how often it was lost.
    pub(crate) fn sessions(&self) -> (u64, u64) {
        let neighbor = self.neighbor();
        let number = |key: &str| neighbor[key].as_u64().unwrap();
        (
            number("connectionsEstablished"),
            number("connectionsDropped"),
        )
    }

    /// Its table's version, which every change of a route raises by one, and how many routes. A route
    /// is among them before it is selected, which raises the version.
    fn table(&self) -> (u64, usize) {
        let table = self.json("show bgp ipv4 unicast json");
        let routes = table["routes"].as_object().map_or(0, serde_json::Map::len);
        (table["tableVersion"].as_u64().unwrap_or(0), routes)
    }

    /// How many routes it has from us, without printing them all.
    pub(crate) fn count(&self) -> u64 {
        let summary = self.json("show bgp ipv4 unicast summary json");
        summary["peers"][OURS]["pfxRcd"].as_u64().unwrap_or(0)
    }

    pub(crate) fn wait_count(&self, count: u64) {
        let reached = || (self.count() == count).then_some(());
        wait_for(&format!("{count} routes at FRR"), reached, || {
            format!("{} routes; {}", self.count(), self.neighbor()["bgpState"])
        });
    }

    /// Waits until the table is such: its version, and how many routes. Nothing may come after that,
    /// so what should not have happened has to have happened before.
    pub(crate) fn wait_table(&self, expected: (u64, usize)) {
        let reached = || (self.table().0 >= expected.0).then_some(());
        wait_for(
            &format!("version {} of FRR's table", expected.0),
            reached,
            || format!("version and routes {:?}; {}", self.table(), self.log()),
        );
        assert_eq!(self.table(), expected, "{}", self.log());
    }

    /// The path to a prefix, if there is one.
    pub(crate) fn path(&self, prefix: &str) -> Option<Value> {
        let route = self.json(&format!("show bgp ipv4 unicast {prefix} json"));
        route["paths"].get(0).cloned()
    }
}

impl Router for Frr {
    fn route(&self, prefix: &str) -> Option<Seen> {
        let path = self.path(prefix)?;
        let as_path = path["aspath"]["string"].as_str()?;
        Some(Seen {
            as_path: as_path.split(' ').map(|n| n.parse().unwrap()).collect(),
            med: path["metric"].as_u64().map(|med| med as u32),
            next_hop: path["nexthops"][0]["ip"].as_str()?.to_owned(),
        })
    }

    fn has_end_of_rib(&self) -> bool {
        Frr::log(self).contains("rcvd End-of-RIB")
    }

    fn log(&self) -> String {
        Frr::log(self)
    }
}
