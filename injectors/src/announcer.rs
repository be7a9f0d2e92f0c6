//! The announcer: a process that ExaBGP runs, and that tells it what to announce.
//!
//! *Assumes* to be started by ExaBGP with a plan's path: ExaBGP's JSON on standard input, its
//! API's commands on standard output. *Guarantees* that each peer gets, once its session is up,
//! the destination first (if the plan has it), then the filler at its pace, then End-of-RIB; that
//! it withdraws when told to on its control socket; and that it ends when ExaBGP does.

use std::io::{self, BufRead, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use topologies::Filler;

use crate::plan::{AnnouncementPlan, Command, Route};

/// How ExaBGP finds this program: process 1 of the capsule is flaplab itself, wherever its file
/// lies.
pub const PROGRAM: &str = "/proc/1/exe";
/// The subcommand that runs [`run`].
pub const SUBCOMMAND: &str = "__announcer";

/// What the announcer of one start reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instructions {
    /// Datagram socket on which it takes commands.
    pub control_socket: PathBuf,
    /// What it announces.
    #[serde(flatten)]
    pub plan: AnnouncementPlan,
}

/// Why the announcer stopped.
#[derive(Debug, Error)]
pub enum AnnouncerError {
    /// The plan cannot be read.
    #[error("plan {path}: {reason}")]
    Plan {
        /// Where it should be.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The control socket cannot be made.
    #[error("control socket {path}: {source}")]
    Socket {
        /// Where it should be.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// ExaBGP does not take commands any more.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl Instructions {
    /// As the announcer reads them.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a plan is plain data");
        text.push('\n');
        text
    }
}

/// What the announcer waits for.
enum Input {
    /// A line from ExaBGP.
    Line(String),
    /// ExaBGP has gone.
    End,
    /// A datagram on the control socket.
    Command(Command),
}

/// Runs the announcer until ExaBGP goes.
///
/// # Errors
/// If the plan or the control socket is unusable, or ExaBGP closes the pipe.
pub fn run(plan: &Path) -> Result<(), AnnouncerError> {
    let bad = |reason: String| AnnouncerError::Plan {
        path: plan.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(plan).map_err(|e| bad(e.to_string()))?;
    let Instructions {
        control_socket,
        plan,
    } = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
    // A predecessor that was killed has left its own.
    let _ = std::fs::remove_file(&control_socket);
    let socket = UnixDatagram::bind(&control_socket).map_err(|source| AnnouncerError::Socket {
        path: control_socket.clone(),
        source,
    })?;

    let (tx, rx) = mpsc::channel();
    let commands = tx.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n) = socket.recv(&mut buffer) {
            if let Ok(command) = serde_json::from_slice(&buffer[..n])
                && commands.send(Input::Command(command)).is_err()
            {
                break;
            }
        }
    });
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if tx.send(Input::Line(line)).is_err() {
                return;
            }
        }
        // The receiver may be gone already; then there is nobody left to tell.
        let _ = tx.send(Input::End);
    });
    announce(&plan, &rx, &mut io::stdout().lock())
}

/// What one peer has still to be told: its filler, then End-of-RIB.
struct Pending {
    peer: Ipv4Addr,
    prefixes: Vec<Ipv4Net>,
    next: usize,
    rate_per_s: f64,
    began: Instant,
}

impl Pending {
    fn new(peer: Ipv4Addr, filler: Option<&Filler>) -> Self {
        Pending {
            peer,
            prefixes: filler.map_or_else(Vec::new, |f| f.prefixes().collect()),
            next: 0,
            rate_per_s: filler.map_or(1.0, |f| f64::from(f.rate_per_s)),
            began: Instant::now(),
        }
    }

    /// When the next prefix is due, or End-of-RIB after the last. Counted from the beginning, so
    /// that delays do not add up.
    fn due(&self) -> Instant {
        self.began + Duration::from_secs_f64(self.next as f64 / self.rate_per_s)
    }

    /// Tells what is due by `now`; true once End-of-RIB is told.
    fn tell(&mut self, now: Instant, out: &mut impl Write) -> io::Result<bool> {
        while self.due() <= now {
            let Some(prefix) = self.prefixes.get(self.next) else {
                writeln!(out, "neighbor {} announce eor ipv4 unicast", self.peer)?;
                return Ok(true);
            };
            writeln!(
                out,
                "neighbor {} announce route {prefix} next-hop self",
                self.peer
            )?;
            self.next += 1;
        }
        Ok(false)
    }
}

fn announce(
    plan: &AnnouncementPlan,
    inputs: &mpsc::Receiver<Input>,
    out: &mut impl Write,
) -> Result<(), AnnouncerError> {
    let mut pending: Vec<Pending> = Vec::new();
    loop {
        let now = Instant::now();
        let mut still = Vec::with_capacity(pending.len());
        for mut p in pending {
            if !p.tell(now, out)? {
                still.push(p);
            }
        }
        pending = still;
        out.flush()?;

        let input = match pending.iter().map(Pending::due).min() {
            Some(due) => inputs.recv_timeout(due.saturating_duration_since(Instant::now())),
            None => inputs.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match input {
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) | Ok(Input::End) => return Ok(()),
            Ok(Input::Command(Command::Withdraw { peer, prefix })) => {
                writeln!(out, "neighbor {peer} withdraw route {prefix} next-hop self")?;
            }
            Ok(Input::Command(Command::Announce { peer, route })) => {
                announce_route(out, peer, &route)?;
            }
            Ok(Input::Line(line)) => match session_change(&line) {
                Some((peer, true)) => {
                    let Some(p) = plan.peers.get(&peer) else {
                        continue;
                    };
                    if let Some(destination) = &p.destination {
                        announce_route(out, peer, destination)?;
                    }
                    pending.retain(|x| x.peer != peer);
                    pending.push(Pending::new(peer, p.filler.as_ref()));
                }
                Some((peer, false)) => pending.retain(|x| x.peer != peer),
                None => {}
            },
        }
    }
}

fn announce_route(out: &mut impl Write, peer: Ipv4Addr, route: &Route) -> io::Result<()> {
    let prefix = &route.prefix;
    write!(out, "neighbor {peer} announce route {prefix} next-hop self")?;
    if !route.as_path.is_empty() {
        let path: Vec<String> = route.as_path.iter().map(u32::to_string).collect();
        write!(out, " as-path [ {} ]", path.join(" "))?;
    }
    if let Some(med) = route.med {
        write!(out, " med {med}")?;
    }
    writeln!(out)
}

/// A session's change, from a line of ExaBGP's JSON: the peer, and whether it is up.
fn session_change(line: &str) -> Option<(Ipv4Addr, bool)> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    let neighbor = value.get("neighbor")?;
    let peer = neighbor
        .get("address")?
        .get("peer")?
        .as_str()?
        .parse()
        .ok()?;
    match neighbor.get("state")?.as_str()? {
        "up" => Some((peer, true)),
        "down" => Some((peer, false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plan::PeerPlan;

    const PEER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
    const PREFIX: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(198, 51, 100, 0), 24);
    const UP: &str = r#"{"type":"state","neighbor":{"address":{"local":"198.18.0.0","peer":"198.18.0.1"},"state":"up"}}"#;

    fn told(plan: PeerPlan, inputs: Vec<Input>) -> String {
        let plan = AnnouncementPlan {
            peers: BTreeMap::from([(PEER, plan)]),
        };
        let (tx, rx) = mpsc::channel();
        for input in inputs {
            tx.send(input).expect("the receiver is there");
        }
        let mut out = Vec::new();
        announce(&plan, &rx, &mut out).expect("writing to memory");
        String::from_utf8(out).expect("it writes text")
    }

    #[test]
    fn a_peer_that_comes_up_is_told_the_destination_then_end_of_rib() {
        let destination = Route {
            prefix: PREFIX,
            as_path: vec![65000, 65000],
            med: None,
        };
        let plan = PeerPlan {
            withdraw: None,
            destination: Some(destination),
            filler: None,
        };
        assert_eq!(
            told(
                plan,
                vec![
                    Input::Line(UP.to_owned()),
                    Input::Line("{}".to_owned()),
                    Input::End
                ]
            ),
            "neighbor 198.18.0.1 announce route 198.51.100.0/24 next-hop self as-path [ 65000 65000 ]\n\
             neighbor 198.18.0.1 announce eor ipv4 unicast\n"
        );
    }

    #[test]
    fn filler_comes_at_its_pace_and_end_of_rib_after_it() {
        let mut pending = Pending::new(
            PEER,
            Some(&Filler {
                count: 3,
                rate_per_s: 10,
                initial_rate_per_s: 10,
            }),
        );
        let began = pending.began;
        let mut out = Vec::new();
        let mut tell = |ms| {
            let end = pending
                .tell(began + Duration::from_millis(ms), &mut out)
                .expect("memory");
            let lines = String::from_utf8(std::mem::take(&mut out))
                .expect("text")
                .lines()
                .count();
            (lines, end)
        };
        assert_eq!(tell(0), (1, false));
        assert_eq!(tell(99), (0, false));
        assert_eq!(tell(250), (2, false));
        assert_eq!(tell(300), (1, true));
    }

    #[test]
    fn a_command_withdraws_and_the_end_of_exabgp_ends_it() {
        let plan = PeerPlan {
            withdraw: None,
            destination: None,
            filler: None,
        };
        let withdraw = Command::Withdraw {
            peer: PEER,
            prefix: PREFIX,
        };
        assert_eq!(
            told(plan, vec![Input::Command(withdraw), Input::End]),
            "neighbor 198.18.0.1 withdraw route 198.51.100.0/24 next-hop self\n"
        );
    }
}
