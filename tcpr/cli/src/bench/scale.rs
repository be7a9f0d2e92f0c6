//! `tcpr bench connections`: what thousands of protected connections cost.
//!
//! *Assumes* that nobody else uses the server, and leave to open as many files.
//! *Guarantees* that memory is the server's own, counted before and after the connections came;
//! and that the packet rate is counted where packets are, in the server, while unprotected
//! connections under the same load are measured in turn.
//!
//! The load: requests of one octet on some connections at a time, answered by their peers. Each
//! answer is followed by a request on the next connection, so that all are used one after the
//! other. One half of the protected connections checkpoints what is answered, the other has said
//! `done_reading`.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use comfy_table::Table;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use serde::{Deserialize, Serialize};
use tcpr::{Client, Connection, Flow};

use super::application::{Place, Process, Task};
use super::ground::{Ground, PATIENCE, Protection, allow_descriptors, connect};
use super::peers::{Manner, Peers};
use super::report::{self, Results, number};
use super::samples::Samples;
use super::statistics::Spread;
use crate::bed::Wire;

/// How it is measured.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Protected connections
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(2..=30_000))]
    connections: u16,
    /// Requests that are on their way at a time
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    window: u16,
    /// How often each load is put on
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// For how long each time, in seconds
    #[arg(long, value_name = "S", default_value_t = 1.0, value_parser = super::seconds)]
    seconds: f64,
}

/// Connections to be opened, as [`Task::Gather`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Crowd {
    plain: Vec<u16>,
    not_held: Vec<u16>,
    checkpointed: Vec<u16>,
}

impl Crowd {
    pub(super) fn descriptors(&self) -> usize {
        self.plain.len() + self.not_held.len() + self.checkpointed.len() + 64
    }
}

/// Which of them are used, as [`Task::Load`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Part {
    Plain,
    NotHeld,
    Checkpointed,
}

const PARTS: [Part; 3] = [Part::Plain, Part::NotHeld, Part::Checkpointed];

impl Part {
    fn protection(self) -> Protection {
        match self {
            Part::Plain => Protection::None,
            Part::NotHeld => Protection::Unsafe,
            Part::Checkpointed => Protection::Checkpointed,
        }
    }
}

/// Load on them.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Load {
    part: Part,
    window: u16,
    seconds: f64,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Loaded {
    exchanges: u64,
    seconds: f64,
}

/// What was found.
#[derive(Debug, Serialize)]
pub(super) struct Connections {
    connections: u16,
    window: u16,
    rounds: u32,
    seconds: f64,
    /// Opened and registered, one after the other.
    opened_per_s: f64,
    server_octets_before: u64,
    server_octets_after: u64,
    octets_per_connection: f64,
    /// Octets of the server when packets had gone through all of them.
    server_octets_at_end: u64,
    unprotected_exchanges_per_s: Spread,
    unsafe_exchanges_per_s: Spread,
    checkpointed_exchanges_per_s: Spread,
    /// Segments that the server saw.
    unsafe_packets_per_s: Spread,
    checkpointed_packets_per_s: Spread,
}

impl Results for Connections {
    const NAME: &'static str = "connections";

    fn tables(&self) -> Vec<Table> {
        let mut header = report::SPREAD;
        header[0] = "per second";
        let rows = [
            (
                "exchanges, unprotected TCP",
                &self.unprotected_exchanges_per_s,
            ),
            (
                "exchanges, TCPR, acknowledgments not held back",
                &self.unsafe_exchanges_per_s,
            ),
            (
                "exchanges, TCPR, checkpointed",
                &self.checkpointed_exchanges_per_s,
            ),
            (
                "packets through TCPR, acknowledgments not held back",
                &self.unsafe_packets_per_s,
            ),
            (
                "packets through TCPR, checkpointed",
                &self.checkpointed_packets_per_s,
            ),
        ];
        vec![report::table(
            header,
            rows.map(|(name, spread)| report::spread_row(name, spread)),
        )]
    }

    fn remarks(&self) -> Vec<String> {
        let mib = |octets: u64| number(octets as f64 / f64::from(1 << 20));
        vec![
            format!(
                "{} protected connections: {} octets of memory each in the server ({} MiB before \
                 they came, {} MiB after, {} MiB at the end)",
                self.connections,
                number(self.octets_per_connection),
                mib(self.server_octets_before),
                mib(self.server_octets_after),
                mib(self.server_octets_at_end)
            ),
            format!(
                "{} connections opened and registered in a second, one after the other",
                number(self.opened_per_s)
            ),
        ]
    }
}

/// Measures.
pub(super) fn measure(options: &Options) -> anyhow::Result<(Connections, Samples)> {
    let mut all = Samples::default();
    let count = usize::from(options.connections);
    let half = count / 2;
    ensure!(
        usize::from(options.window) <= half,
        "--window {}: there are {half} connections of each kind, so at most that many requests \
         can be on their way",
        options.window
    );
    allow_descriptors(count + half + 256)?;
    let mut ground = Ground::lay(&Wire::default())?;
    let peers = Peers::begin(ground.protected(), ground.plain(), Manner::Echo)?;
    let place = Place::of(&ground)?;
    let mut application = Process::start(&ground.app, &place)?;
    let gather = |plain, not_held, checkpointed| {
        Task::Gather(Crowd {
            plain,
            not_held,
            checkpointed,
        })
    };

    let ports = ground.ports(count + half)?;
    let (plain, protected) = ports.split_at(half);
    let (not_held, checkpointed) = protected.split_at(half);
    super::tell(&format!("opening {count} connections"));
    let before = proportional_memory(ground.served.pid())?;
    let started = Instant::now();
    let task = gather(Vec::new(), not_held.to_vec(), checkpointed.to_vec());
    let _: usize = application.ask(&task, PATIENCE * 8)?;
    let took = started.elapsed();
    let after = proportional_memory(ground.served.pid())?;
    let known = ground.client.list()?.len();
    ensure!(
        known == count,
        "TCPR protects {known} connections of {count}"
    );
    let task = gather(plain.to_vec(), Vec::new(), Vec::new());
    let _: usize = application.ask(&task, PATIENCE * 8)?;

    let mut exchanges: [Vec<f64>; 3] = Default::default();
    let mut packets: [Vec<f64>; 3] = Default::default();
    for round in 0..options.rounds {
        super::tell(&format!("round {} of {}", round + 1, options.rounds));
        for turn in 0..PARTS.len() {
            let at = (round as usize + turn) % PARTS.len();
            let load = Load {
                part: PARTS[at],
                window: options.window,
                seconds: options.seconds,
            };
            let seen = packets_seen(&ground.client)?;
            let patience = PATIENCE + Duration::from_secs_f64(options.seconds);
            let loaded: Loaded = application
                .ask(&Task::Load(load), patience)
                .with_context(|| format!("under load ({:?})", PARTS[at]))?;
            let seen = packets_seen(&ground.client)? - seen;
            let rates = [loaded.exchanges, seen].map(|count| count as f64 / loaded.seconds);
            let case = PARTS[at].protection().name();
            all.add("exchanges", case, "1/s", round, &rates[..1]);
            if PARTS[at] != Part::Plain {
                all.add("packets", case, "1/s", round, &rates[1..]);
            }
            exchanges[at].push(rates[0]);
            packets[at].push(rates[1]);
            peers.check()?;
            ground.served.check()?;
        }
    }
    let at_end = proportional_memory(ground.served.pid())?;
    peers.expect_ends();
    application.kill();
    let [plain, not_held, checkpointed] = exchanges;
    let [_, not_held_packets, checkpointed_packets] = packets;
    let results = Connections {
        connections: options.connections,
        window: options.window,
        rounds: options.rounds,
        seconds: options.seconds,
        opened_per_s: count as f64 / took.as_secs_f64(),
        server_octets_before: before,
        server_octets_after: after,
        octets_per_connection: after.saturating_sub(before) as f64 / count as f64,
        server_octets_at_end: at_end,
        unprotected_exchanges_per_s: Spread::of("unprotected exchanges", plain)?,
        unsafe_exchanges_per_s: Spread::of("unsafe exchanges", not_held)?,
        checkpointed_exchanges_per_s: Spread::of("checkpointed exchanges", checkpointed)?,
        unsafe_packets_per_s: Spread::of("unsafe packets", not_held_packets)?,
        checkpointed_packets_per_s: Spread::of("checkpointed packets", checkpointed_packets)?,
    };
    Ok((results, all))
}

fn packets_seen(client: &Client) -> anyhow::Result<u64> {
    let seen = client.counters()?.connections;
    Ok(seen.inbound + seen.outbound)
}

/// Memory of a process, of what is shared with others its part, in octets.
fn proportional_memory(pid: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: Option<u64> = kib.and_then(|kib| kib.trim().parse().ok());
    Ok(kib.with_context(|| format!("{path} tells no Pss"))? << 10)
}

/// Connections in the process that puts load on them.
#[derive(Default)]
pub(super) struct Gathered {
    parts: [Vec<Member>; 3],
}

struct Member {
    stream: TcpStream,
    connection: Option<Connection>,
    taken: u64,
}

impl Gathered {
    pub(super) fn count(&self) -> usize {
        self.parts.iter().map(Vec::len).sum()
    }
}

/// Opens connections, and adds them to those that are there.
pub(super) fn gather(
    gathered: &mut Gathered,
    place: &Place,
    client: &Client,
    crowd: &Crowd,
) -> anyhow::Result<()> {
    for ((part, ports), members) in PARTS
        .into_iter()
        .zip([&crowd.plain, &crowd.not_held, &crowd.checkpointed])
        .zip(&mut gathered.parts)
    {
        for port in ports {
            let local = SocketAddr::new(place.local, *port);
            let protected = part.protection() != Protection::None;
            let remote = if protected {
                place.protected
            } else {
                place.plain
            };
            let stream = connect(local, remote)?;
            stream.set_nodelay(true)?;
            let connection = match protected {
                true => Some(client.register(Flow { local, remote })?),
                false => None,
            };
            if let (Part::NotHeld, Some(connection)) = (part, &connection) {
                connection.done_reading()?;
            }
            members.push(Member {
                stream,
                connection,
                taken: 0,
            });
        }
    }
    Ok(())
}

/// Puts load on some.
pub(super) fn load(gathered: &mut Gathered, load: &Load) -> anyhow::Result<Loaded> {
    let at = PARTS.iter().position(|part| *part == load.part);
    let members = &mut gathered.parts[at.unwrap_or(0)];
    ensure!(
        members.len() >= usize::from(load.window),
        "there are too few connections for the load"
    );
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    for (at, member) in members.iter().enumerate() {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, at as u64);
        epoll.add(&member.stream, event)?;
    }
    let mut next = 0;
    for _ in 0..load.window {
        (&members[next].stream).write_all(&[1])?;
        next += 1;
    }
    let mut flying = usize::from(load.window);
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(load.seconds);
    let mut exchanges = 0_u64;
    let mut stopped = None;
    let mut events = [EpollEvent::empty(); 256];
    while flying > 0 {
        let count = match epoll.wait(&mut events, EpollTimeout::from(100_u16)) {
            Err(nix::errno::Errno::EINTR) => 0,
            other => other?,
        };
        let now = Instant::now();
        if now >= end && stopped.is_none() {
            stopped = Some((exchanges, now));
        }
        ensure!(now < end + PATIENCE, "{flying} requests are not answered");
        for event in &events[..count] {
            let member = &mut members[event.data() as usize];
            if !member.take(load.part)? {
                continue;
            }
            exchanges += 1;
            if stopped.is_some() {
                flying -= 1;
                continue;
            }
            next %= members.len();
            (&members[next].stream).write_all(&[1])?;
            next += 1;
        }
    }
    let (exchanges, stopped) = stopped.unwrap_or((exchanges, Instant::now()));
    Ok(Loaded {
        exchanges,
        seconds: (stopped - start).as_secs_f64(),
    })
}

impl Member {
    /// Takes an answer. False: there is none yet.
    fn take(&mut self, part: Part) -> anyhow::Result<bool> {
        match (&self.stream).read(&mut [0]) {
            Ok(0) => anyhow::bail!("a peer has closed"),
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::Interrupted => return Ok(false),
            Err(e) => return Err(e).context("a connection failed under load"),
        }
        self.taken += 1;
        if let (Part::Checkpointed, Some(connection)) = (part, &self.connection) {
            connection.checkpoint(self.taken)?;
        }
        Ok(true)
    }
}
