//! The applications of many connections: processes that are killed, and those that come after them.
//!
//! *Assumes* to be run on the application's host, with a line of JSON on the standard input for
//! each task, and that whoever gives them reads what is answered.
//! *Guarantees* one line of JSON for each task, after it is done wholly; and that such a process ends
//! when its standard input does.

use std::io::{self, BufRead, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tcpr::{Client, Endpoint, Flow, Record};

use super::comeback::{Course, Held};
use super::ground::{Ground, PATIENCE, allow_descriptors, connect};
use super::peers::octets;
use super::{comeback, scale};
use crate::bed::{Host, Throwaway};

/// Where everything is. The first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) server: PathBuf,
    pub(super) local: IpAddr,
    pub(super) protected: SocketAddr,
    pub(super) plain: SocketAddr,
}

impl Place {
    pub(super) fn of(ground: &Ground) -> anyhow::Result<Place> {
        Ok(Place {
            server: ground.served.socket().to_owned(),
            local: ground.app.v4(),
            protected: ground.protected().local_addr()?,
            plain: ground.plain().local_addr()?,
        })
    }
}

/// What an application is asked to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Task {
    /// Open protected connections, send a greeting and receive one, of which so many octets are
    /// checkpointed. Answered by their records.
    Open {
        ports: Vec<u16>,
        sent: u64,
        received: u64,
        checkpoints: Vec<u64>,
    },
    /// Open unprotected connections as recovered ones are, and receive so much. Answered by
    /// [`comeback::Timed`] of each.
    Fresh { ports: Vec<u16>, course: Course },
    /// Recover connections, send on, and receive. Answered as `Fresh`.
    Recover {
        records: Vec<Record>,
        course: Course,
    },
    /// Open connections under load. Answered by their number.
    Gather(scale::Crowd),
    /// Put load on them. Answered by [`scale::Loaded`].
    Load(scale::Load),
    /// Reset all connections. Answered by their number.
    End,
}

/// Such a process, from outside.
#[derive(Debug)]
pub(super) struct Process {
    child: Throwaway,
    input: ChildStdin,
    lines: Receiver<io::Result<String>>,
}

impl Process {
    /// Starts one, and waits until it has reached TCPR.
    pub(super) fn start(host: &Host, place: &Place) -> anyhow::Result<Process> {
        let mut child = host
            .command("/proc/self/exe")
            .args(["bench", "__application"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start an application")?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let child = Throwaway(child);
        let (input, output) = input.zip(output).context("an application has no pipes")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in io::BufReader::new(output).lines() {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut process = Process {
            child,
            input,
            lines,
        };
        process.say(place)?;
        let _: u32 = process.hear(PATIENCE)?;
        Ok(process)
    }

    /// Gives a task, and waits for what is answered.
    pub(super) fn ask<T: DeserializeOwned>(
        &mut self,
        task: &Task,
        patience: Duration,
    ) -> anyhow::Result<T> {
        self.say(task)?;
        self.hear(patience)
    }

    /// Ends it by SIGKILL.
    pub(super) fn kill(mut self) {
        self.child.end();
    }

    fn say(&mut self, what: &impl Serialize) -> anyhow::Result<()> {
        let line = serde_json::to_string(what)? + "\n";
        self.input
            .write_all(line.as_bytes())
            .context("the application has ended")
    }

    fn hear<T: DeserializeOwned>(&mut self, patience: Duration) -> anyhow::Result<T> {
        let line = match self.lines.recv_timeout(patience) {
            Ok(line) => line?,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                return Err(anyhow!("the application has not answered for {patience:?}"));
            }
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                let status = self.child.0.wait()?;
                return Err(anyhow!("the application ended with {status}"));
            }
        };
        serde_json::from_str(&line).with_context(|| format!("the application says {line:?}"))
    }
}

/// The process itself.
pub(super) fn run() -> anyhow::Result<()> {
    let mut lines = io::stdin().lock().lines();
    let place = lines.next().context("there is nothing to do")??;
    let place: Place = serde_json::from_str(&place)?;
    let client = Client::connect(&Endpoint::Unix(place.server.clone()))?;
    answer(&std::process::id())?;
    let mut application = Application {
        place,
        client,
        held: Vec::new(),
        crowd: scale::Gathered::default(),
    };
    for line in lines {
        application.carry_out(serde_json::from_str(&line?)?)?;
    }
    Ok(())
}

fn answer(what: &impl Serialize) -> anyhow::Result<()> {
    let line = serde_json::to_string(what)? + "\n";
    Ok(io::stdout().write_all(line.as_bytes())?)
}

struct Application {
    place: Place,
    client: Client,
    held: Vec<Held>,
    crowd: scale::Gathered,
}

impl Application {
    fn carry_out(&mut self, task: Task) -> anyhow::Result<()> {
        match task {
            Task::Open {
                ports,
                sent,
                received,
                checkpoints,
            } => answer(&self.open(&ports, sent, received, &checkpoints)?),
            Task::Fresh { ports, course } => {
                answer(&comeback::open_fresh(&self.place, &ports, course)?)
            }
            Task::Recover { records, course } => {
                let (timed, held) = comeback::recover(&self.client, &records, course)?;
                self.held.extend(held);
                answer(&timed)
            }
            Task::Gather(crowd) => {
                allow_descriptors(crowd.descriptors())?;
                scale::gather(&mut self.crowd, &self.place, &self.client, &crowd)?;
                answer(&self.crowd.count())
            }
            Task::Load(load) => answer(&scale::load(&mut self.crowd, &load)?),
            Task::End => {
                for (_, connection) in &self.held {
                    connection.abort()?;
                }
                let count = self.held.len();
                self.held.clear();
                answer(&count)
            }
        }
    }

    fn open(
        &mut self,
        ports: &[u16],
        sent: u64,
        received: u64,
        checkpoints: &[u64],
    ) -> anyhow::Result<Vec<Record>> {
        ensure!(
            ports.len() == checkpoints.len(),
            "each connection has its checkpoint"
        );
        let remote = self.place.protected;
        for port in ports {
            let local = SocketAddr::new(self.place.local, *port);
            let stream = connect(local, remote)?;
            let connection = self.client.register(Flow { local, remote })?;
            self.held.push((stream, connection));
        }
        let opened = self.held.len() - ports.len();
        for ((stream, connection), checkpoint) in self.held[opened..].iter().zip(checkpoints) {
            let mut stream: &TcpStream = stream;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(&octets(0..sent))?;
            let mut greeting = vec![0; received as usize];
            io::Read::read_exact(&mut stream, &mut greeting).context("the peer does not greet")?;
            ensure!(
                greeting == octets(0..received),
                "the peer's greeting is not as it was sent"
            );
            connection.checkpoint(*checkpoint)?;
        }
        for (_, connection) in &self.held[opened..] {
            connection.wait_acked(sent, PATIENCE)?;
        }
        // Once this is answered, every checkpoint has been taken.
        self.client.list()?;
        let opened = self.held[opened..].iter();
        Ok(opened.map(|(_, connection)| connection.record()).collect())
    }
}
