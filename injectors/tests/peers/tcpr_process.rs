//! `tcpr serve` as a process: this program again.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tcpr::core::Config;
use tcpr::dataplane::nfqueue::Placement;
use tcpr::serve::{Options, serve};
use tcpr::{Client, Endpoint};
use tcpr_cli::bed::{Host, Throwaway};

use crate::bed::{alone, wait_for};

const SOCKET: &str = "INJECTOR_TEST_TCPR";

/// The process itself.
#[test]
#[ignore = "it is a process of the other tests"]
fn process() {
    let Some(socket) = std::env::var_os(SOCKET) else {
        return;
    };
    let options = Options {
        netns: None,
        placement: Placement::Host,
        protect: Vec::new(),
        socket: socket.into(),
        udp: None,
        queue: 7900,
        bounds: Config {
            time_to_live: Duration::from_secs(60),
            ..Config::default()
        },
        hold_limit: 1 << 26,
    };
    serve(options, |_| {}).unwrap();
}

/// A server that is killed when this is dropped.
pub(crate) struct Tcpr {
    host: Host,
    process: Throwaway,
}

impl Tcpr {
    pub(crate) fn start(host: &Host) -> Tcpr {
        let tcpr = Tcpr {
            host: host.clone(),
            process: spawn(host, &[]),
        };
        tcpr.wait();
        tcpr
    }

    /// One whose packet filter takes a while, as on a machine that has much to do.
    pub(crate) fn start_slow(host: &Host, delay: Duration) -> Tcpr {
        let folder = Path::new("/run/slow");
        fs::create_dir(folder).unwrap();
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
        let name = "iptables-restore";
        let program = std::env::split_paths(&path).map(|folder| folder.join(name));
        let program = program.into_iter().find(|program| program.exists());
        let program = program.expect("iptables is there: scripts/setup");
        let script = format!(
            "#!/bin/sh\nsleep {}\nexec {} \"$@\"\n",
            delay.as_secs_f64(),
            program.display()
        );
        fs::write(folder.join(name), script).unwrap();
        fs::set_permissions(folder.join(name), Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{path}", folder.display());
        let tcpr = Tcpr {
            host: host.clone(),
            process: spawn(host, &[("PATH", path.as_ref())]),
        };
        tcpr.wait();
        tcpr
    }

    pub(crate) fn socket() -> PathBuf {
        "/run/tcpr.sock".into()
    }

    pub(crate) fn kill(&mut self) {
        self.process.end();
    }

    /// Starts it again, without waiting for it.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.process = spawn(&self.host, &[]);
    }

    fn wait(&self) {
        let endpoint = Endpoint::Unix(Tcpr::socket());
        let answers = || Client::connect(&endpoint).ok();
        wait_for("tcpr serve", answers, || "no answer".into());
    }
}

fn spawn(host: &Host, environment: &[(&str, &OsStr)]) -> Throwaway {
    let mut command = host.command("/proc/self/exe");
    command
        .args(alone("tcpr_process::process"))
        .env(SOCKET, Tcpr::socket())
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    Throwaway(command.spawn().unwrap())
}
