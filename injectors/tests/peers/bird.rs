//! BIRD as the peer.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tcpr_cli::bed::{Host, Throwaway};

use crate::bed::{OURS, PEER, wait_for};
use crate::interop::{Router, Seen};

const LOG: &str = "/run/bird.log";
const SOCKET: &str = "/run/bird.ctl";

/// A BIRD of AS 65002 at the peer's host.
pub(crate) struct Bird {
    _process: Throwaway,
}

impl Bird {
    pub(crate) fn start(host: &Host) -> Bird {
        let text = format!(
            "log \"{LOG}\" all;\nrouter id 192.0.2.2;\ndebug protocols all;\n\
             protocol device {{}}\n\
             protocol bgp speaker {{\n local {PEER} as 65002;\n neighbor {OURS} as 65001;\n \
             hold time 9;\n error wait time 1, 2;\n connect delay time 1;\n \
             connect retry time 1;\n ipv4 {{ import all; export none; }};\n}}\n"
        );
        fs::write("/run/bird.conf", text).unwrap();
        let child = host
            .command("/usr/sbin/bird")
            .args(["-f", "-c", "/run/bird.conf", "-s", SOCKET])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("BIRD is there: scripts/setup --test");
        let bird = Bird {
            _process: Throwaway(child),
        };
        let ready = || Path::new(SOCKET).exists().then_some(());
        wait_for("bird", ready, || bird.log());
        bird
    }

    fn ask(command: &str) -> String {
        let output = Command::new("/usr/sbin/birdc")
            .args(["-s", SOCKET])
            .args(command.split(' '))
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Router for Bird {
    fn route(&self, prefix: &str) -> Option<Seen> {
        let said = Bird::ask(&format!("show route {prefix} all"));
        let value = |key: &str| {
            let line = said.lines().find_map(|l| l.trim().strip_prefix(key));
            line.map(|value| value.trim().to_owned())
        };
        let as_path = value("BGP.as_path:")?;
        Some(Seen {
            as_path: as_path.split(' ').map(|n| n.parse().unwrap()).collect(),
            med: value("BGP.med:").map(|med| med.parse().unwrap()),
            next_hop: value("BGP.next_hop:")?,
        })
    }

    fn has_end_of_rib(&self) -> bool {
        self.log().contains("Got END-OF-RIB")
    }

    fn log(&self) -> String {
        fs::read_to_string(LOG).unwrap_or_default()
    }
}
