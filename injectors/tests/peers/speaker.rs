//! The speaker as a process: this program again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use injectors::speaker::config::{Config, PeerConfig, Source, TcprConfig};
use injectors::speaker::control::{Request, ask};
use injectors::speaker::{Event, Happening, Status, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tcpr_cli::bed::{Host, Throwaway};

use crate::bed::{OURS, PEER, alone, wait_for};

const CONFIG: &str = "INJECTOR_TEST_CONFIG";

/// The process itself.
#[test]
#[ignore = "it is a process of the other tests"]
fn process() {
    let Some(config) = std::env::var_os(CONFIG) else {
        return;
    };
    let config = Config::load(Path::new(&config)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(config, Event::print)).unwrap();
}

/// A speaker that is killed when this is dropped.
pub(crate) struct Speaker {
    host: Host,
    folder: PathBuf,
    process: Throwaway,
}

/// AS 65001 with a peer of AS 65002.
pub(crate) fn config(announce: Vec<Source>) -> Config {
    Config {
        asn: 65001,
        router_id: "192.0.2.1".parse().unwrap(),
        control: Some("/run/speaker/control.sock".into()),
        tcpr: None,
        peers: vec![PeerConfig {
            address: PEER.parse().unwrap(),
            port: 179,
            local_address: Some(OURS.parse().unwrap()),
            asn: 65002,
            passive: false,
            hold_time_s: 9,
            connect_retry_ms: 1_000,
            connect_delay_ms: 0,
            graceful_restart: None,
            announce,
        }],
    }
}

/// The same, on a connection that TCPR protects.
pub(crate) fn protected(announce: Vec<Source>, socket: &Path) -> Config {
    Config {
        tcpr: Some(TcprConfig {
            socket: socket.to_owned(),
            state: "/run/speaker/state".into(),
            fsync: false,
        }),
        ..config(announce)
    }
}

/// Routes with our own number alone.
pub(crate) fn routes(prefixes: &[&str]) -> Source {
    let route = |prefix: &&str| injectors::Route {
        prefix: prefix.parse().unwrap(),
        as_path: Vec::new(),
        med: None,
    };
    Source::Routes(prefixes.iter().map(route).collect())
}

/// So many consecutive prefixes.
pub(crate) fn filler(count: u32, rate_per_s: Option<u32>) -> Source {
    Source::Filler {
        first: "10.0.0.0/24".parse().unwrap(),
        count,
        rate_per_s,
    }
}

impl Speaker {
    pub(crate) fn start(host: &Host, config: &Config) -> Speaker {
        let folder = PathBuf::from("/run/speaker");
        fs::create_dir_all(&folder).unwrap();
        Speaker {
            process: spawn(host, &folder, config),
            host: host.clone(),
            folder,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.end();
    }

    /// A successor of a killed one.
    pub(crate) fn restart(&mut self, config: &Config) {
        self.kill();
        self.process = spawn(&self.host, &self.folder, config);
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn stop(mut self) {
        let pid = Pid::from_raw(i32::try_from(self.process.0.id()).unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        let Speaker {
            process, folder, ..
        } = &mut self;
        let ended = || process.0.try_wait().unwrap();
        let status = wait_for("the end", ended, || log_in(folder));
        assert!(status.success(), "it ended with {status}");
    }

    /// What it and its predecessors have told.
    pub(crate) fn events(&self) -> Vec<Event> {
        let text = self.log();
        // The first one stands behind what the test runner prints.
        let lines = text.lines().filter_map(|line| line.get(line.find('{')?..));
        lines.filter_map(|l| serde_json::from_str(l).ok()).collect()
    }

    pub(crate) fn log(&self) -> String {
        log_in(&self.folder)
    }

    /// Waits until so many events are such.
    pub(crate) fn wait(&self, what: &str, count: usize, is: impl Fn(&Happening) -> bool) {
        let reached = || {
            let events = self.events();
            let such = events.iter().filter(|event| is(&event.happening)).count();
            (such >= count).then_some(())
        };
        wait_for(what, reached, || self.log());
    }

    pub(crate) fn count(&self, is: impl Fn(&Happening) -> bool) -> usize {
        let events = self.events();
        events.iter().filter(|event| is(&event.happening)).count()
    }

    pub(crate) fn ask(&self, request: &Request) -> Vec<Status> {
        ask(&self.folder.join("control.sock"), request).unwrap()
    }
}

fn log_in(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}

fn spawn(host: &Host, folder: &Path, config: &Config) -> Throwaway {
    let path = folder.join("config.json");
    fs::write(&path, serde_json::to_vec(config).unwrap()).unwrap();
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    let mut command: Command = host.command("/proc/self/exe");
    command
        .args(alone("speaker::process"))
        .env(CONFIG, &path)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    Throwaway(command.spawn().unwrap())
}

/// Milliseconds from a restart to the first event of a kind after it.
pub(crate) fn milliseconds(
    since: Duration,
    events: &[Event],
    is: impl Fn(&Happening) -> bool,
) -> f64 {
    let since = u64::try_from(since.as_nanos()).unwrap();
    let after = events
        .iter()
        .find(|event| event.t_mono_ns >= since && is(&event.happening))
        .unwrap();
    (after.t_mono_ns - since) as f64 / 1e6
}

/// CLOCK_MONOTONIC, as events have it.
pub(crate) fn monotonic() -> Duration {
    let clock = nix::time::ClockId::CLOCK_MONOTONIC;
    nix::time::clock_gettime(clock).unwrap().into()
}

/// Waits for an instant, awake: kills are to come at any.
pub(crate) fn until(instant: Instant) {
    while let Some(left) = instant.checked_duration_since(Instant::now()) {
        if left > Duration::from_millis(1) {
            std::thread::sleep(left - Duration::from_millis(1));
        }
    }
}
