//! Bring-up: from the empty capsule to running daemons.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use injectors::speaker::Happening;
use injectors::{ConfigFile, RouteInjector, Start};
use nix::sys::inotify::AddWatchFlags;
use results::{EventKind, Phase};
use topologies::{NodeRole, Strategy};

use super::{Lab, LabError, lab_dir, tcpr_socket};
use crate::clock;
use crate::file_events::FileEvents;
use crate::logtail::{LineReader, Log, LogTail};
use crate::network;
use crate::process;
use crate::protocol::Stage;
use crate::record::{NodeRecorder, RecordContext};
use crate::router::{Router, RouterProcess};
use crate::signal::Signal;
use crate::tcpr;

fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> LabError {
    let doing = doing.into();
    move |source| LabError::System { doing, source }
}

/// What a router's log tells of its sessions.
fn sessions_of(router: Arc<dyn Router>, node: String) -> LineReader {
    Box::new(move |line| {
        let change = router.parse_log_line(line)?;
        Some(Signal::Session {
            t_mono_ns: clock::mono_of_wall(change.t_wall_ns),
            node: node.clone(),
            peer: change.peer,
            up: change.up,
            text: change.text,
        })
    })
}

/// What the injector's log tells of the sessions of its predecessor. Those of its own are told by
/// the routers.
fn recoveries_of(injector: Arc<dyn RouteInjector>) -> LineReader {
    Box::new(move |line| {
        let event = injector.parse_log_line(line)?;
        let t_mono_ns = event.t_mono_ns;
        match event.happening {
            Happening::Recovered { peer, .. } => Some(Signal::Recovered { t_mono_ns, peer }),
            Happening::LetGo { peer, reason } => Some(Signal::LetGo {
                t_mono_ns,
                peer,
                reason,
            }),
            Happening::Started
            | Happening::ConnectFailed { .. }
            | Happening::Established { .. }
            | Happening::Transferred { .. }
            | Happening::Down { .. } => None,
        }
    })
}

impl Lab {
    /// Makes the network, starts the recorders, then the daemons, then the injector.
    pub(super) async fn make(&mut self) -> Result<(), LabError> {
        let topology = self.scenario.topology.clone();
        let text = format!(
            "{} nodes, {} links",
            topology.nodes.len(),
            topology.links.len()
        );
        self.tell(Stage::BringUp, text);
        self.journal.event(
            EventKind::Lab,
            Phase::Planned,
            clock::monotonic_ns(),
            "bring-up",
        );
        self.sample_clock();
        self.write_configuration()?;
        self.write_shell_tools()?;
        self.namespaces = network::build(&topology).await?;
        self.start_recorders()?;
        self.prepare_probe().await?;
        self.follow_logs()?;
        let with_tcpr = self.scenario.strategy == Strategy::Tcpr;
        if with_tcpr {
            self.start_tcpr()?;
        }
        self.start_routers().await?;
        if with_tcpr {
            self.await_tcpr().await?;
        }
        self.start_injector(Start::First)?;
        self.journal.event(
            EventKind::Lab,
            Phase::Applied,
            clock::monotonic_ns(),
            "bring-up",
        );
        Ok(())
    }

    /// Starts the recorders of all nodes, into the run's directory.
    pub(super) fn start_recorders(&mut self) -> Result<(), LabError> {
        for node in &self.scenario.topology.nodes {
            self.run.create_node(&node.name)?;
        }
        let context = RecordContext {
            run: self.run.clone(),
            clock: self.clock,
            destination: self.scenario.topology.destination,
            signals: self.signals.clone(),
        };
        self.recorders = NodeRecorder::start_all(self.namespaces.values(), &context)?;
        Ok(())
    }

    /// Writes what every node reads.
    fn write_configuration(&self) -> Result<(), LabError> {
        for node in &self.scenario.topology.nodes {
            self.home.create_node(&node.name)?;
            let dir = self.home.config_dir(&node.name);
            let files: Vec<ConfigFile> = match node.role {
                NodeRole::Router => self.router.configure(&self.scenario, &node.name),
                NodeRole::Injector => [Start::First, Start::Restart]
                    .into_iter()
                    .flat_map(|s| self.injector.configure(&self.scenario, s, &dir, &lab_dir()))
                    .collect(),
            };
            for file in files {
                let path = dir.join(&file.name);
                std::fs::write(&path, &file.text)
                    .map_err(system(format!("write {}", path.display())))?;
            }
        }
        Ok(())
    }

    /// Writes what `flaplab shell` finds in its PATH.
    fn write_shell_tools(&self) -> Result<(), LabError> {
        let bin = lab_dir().join("bin");
        let failed = || system(format!("write {}", bin.display()));
        std::fs::create_dir_all(&bin).map_err(failed())?;
        for (name, script) in self.router.shell_tools() {
            let path = bin.join(name);
            std::fs::write(&path, script).map_err(failed())?;
            std::fs::set_permissions(&path, Permissions::from_mode(0o755)).map_err(failed())?;
        }
        Ok(())
    }

    fn follow_logs(&self) -> Result<(), LabError> {
        let routers = self.scenario.topology.routers();
        let routers = routers.map(|r| Log {
            path: process::log_file(&self.home.log_dir(&r.name), self.router.session_log()),
            read_line: sessions_of(self.router.clone(), r.name.clone()),
        });
        let injector = &self.scenario.topology.injector().name;
        let starts = [Start::First, Start::Restart].map(|start| {
            let name = self
                .injector
                .process(start, &self.home.config_dir(injector));
            Log {
                path: process::log_file(&self.home.log_dir(injector), &name.name),
                read_line: recoveries_of(self.injector.clone()),
            }
        });
        let tail = LogTail::open(routers.chain(starts), self.signals.clone())
            .map_err(system("follow the logs"))?;
        tokio::spawn(async move {
            // If inotify fails no session is ever seen to come up, and the deadline tells.
            if let Err(e) = tail.follow().await {
                tracing::error!("following the logs: {e}");
            }
        });
        Ok(())
    }

    /// Starts the daemons of all routers, each as soon as what it waits for is there.
    async fn start_routers(&mut self) -> Result<(), LabError> {
        let names: Vec<String> = self
            .scenario
            .topology
            .routers()
            .map(|r| r.name.clone())
            .collect();
        let created = FileEvents::new().map_err(system("watch for the daemons' sockets"))?;
        let mut waiting: Vec<(String, RouterProcess)> = Vec::new();
        for (i, node) in names.iter().enumerate() {
            for dir in self.router.directories(node) {
                std::fs::create_dir_all(&dir).map_err(system(format!("make {}", dir.display())))?;
                created
                    .add(&dir, AddWatchFlags::IN_CREATE)
                    .map_err(system(format!("watch {}", dir.display())))?;
            }
            let previous = i.checked_sub(1).map(|p| names[p].as_str());
            let config_dir = self.home.config_dir(node);
            for process in self.router.processes(node, previous, &config_dir) {
                waiting.push((node.clone(), process));
            }
        }
        self.start_as_ready(&created, waiting).await
    }

    /// Starts each waiting process once the files are there that it waits for.
    async fn start_as_ready(
        &mut self,
        created: &FileEvents,
        mut waiting: Vec<(String, RouterProcess)>,
    ) -> Result<(), LabError> {
        let limit = self.scenario.deadlines.established;
        let deadline = tokio::time::Instant::now() + limit.as_duration();
        loop {
            let mut still = Vec::new();
            for (node, process) in waiting {
                if process.after.iter().all(|file| file.exists()) {
                    self.start_router(&node, &process)?;
                } else {
                    still.push((node, process));
                }
            }
            waiting = still;
            let Some((node, process)) = waiting.first() else {
                return Ok(());
            };
            let (node, name) = (node.clone(), process.spec.name.clone());
            let missing = process.after.iter().find(|file| !file.exists());
            let path = missing.cloned().unwrap_or_default();
            tokio::select! {
                // Which file it was is seen by looking.
                events = created.next() => {
                    events.map_err(system("watch for the daemons' sockets"))?;
                }
                Some(signal) = self.inbox.recv() => self.take(signal)?,
                () = tokio::time::sleep_until(deadline) => {
                    let deadline_s = limit.as_secs_f64();
                    return Err(LabError::NotReady { node, name, deadline_s, path });
                }
            }
        }
    }

    /// Waits for TCPR's socket: whoever connects to that is served.
    async fn await_tcpr(&mut self) -> Result<(), LabError> {
        let socket = tcpr_socket(&lab_dir());
        let created = FileEvents::new().map_err(system("watch for TCPR's socket"))?;
        created
            .add(&lab_dir(), AddWatchFlags::IN_CREATE)
            .map_err(system(format!("watch {}", lab_dir().display())))?;
        let limit = self.scenario.deadlines.established;
        let deadline = tokio::time::Instant::now() + limit.as_duration();
        while !socket.exists() {
            tokio::select! {
                events = created.next() => {
                    events.map_err(system("watch for TCPR's socket"))?;
                }
                Some(signal) = self.inbox.recv() => self.take(signal)?,
                () = tokio::time::sleep_until(deadline) => {
                    return Err(LabError::NotReady {
                        node: self.scenario.topology.injector().name.clone(),
                        name: tcpr::PROCESS.to_owned(),
                        deadline_s: limit.as_secs_f64(),
                        path: socket,
                    });
                }
            }
        }
        Ok(())
    }

    fn start_router(&mut self, node: &str, started: &RouterProcess) -> Result<(), LabError> {
        self.start_process(node, &started.spec)?;
        Ok(())
    }
}
