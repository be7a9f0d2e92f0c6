//! What the application does that comes after the killed one: opens many connections, recovered or
//! fresh, and reads beside what their peers send.
//!
//! *Assumes* that peers send what is to be received, and nothing more.
//! *Guarantees* the same course of calls for recovered and for fresh connections, but for
//! `recover`; times on the clock that all processes share; and that every octet received is the one
//! that was sent.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Instant;

use anyhow::{Context, anyhow, ensure};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use serde::{Deserialize, Serialize};
use tcpr::{Client, Connection, Record};

use super::application::Place;
use super::ground::{PATIENCE, connect_all, now_ns};
use super::peers::octets;

/// One connection's times.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Timed {
    pub(super) port: u16,
    /// The first call that concerns it was made.
    pub(super) begun_ns: i64,
    /// It was connected.
    pub(super) connected_ns: i64,
    /// The first octet from the peer was read.
    pub(super) first_ns: i64,
    /// The last one was.
    pub(super) all_ns: i64,
}

/// A connection that has just been opened.
struct Opened {
    stream: Arc<TcpStream>,
    begun_ns: i64,
    connected_ns: i64,
    /// Output is sent from here on.
    send_from: u64,
    /// Input begins here.
    receive_from: u64,
    connection: Option<Connection>,
}

/// A connection that the application has.
pub(super) type Held = (TcpStream, Connection);

/// What is to be done with each connection.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Course {
    /// So many are opened at once.
    pub(super) at_once: usize,
    /// Then output goes up to here.
    pub(super) send_to: u64,
    /// Input comes up to here.
    pub(super) receive_to: u64,
}

/// Opens connections without TCPR.
pub(super) fn open_fresh(
    place: &Place,
    ports: &[u16],
    course: Course,
) -> anyhow::Result<Vec<Timed>> {
    let (timed, _) = drive(ports.len(), course, |batch| {
        let begun_ns = now_ns()?;
        let locals = ports[batch]
            .iter()
            .map(|port| SocketAddr::new(place.local, *port));
        let streams = connect_all(locals, place.plain)?;
        let connected_ns = now_ns()?;
        let opened = streams.into_iter().map(|stream| Opened {
            stream: Arc::new(stream),
            begun_ns,
            connected_ns,
            send_from: 0,
            receive_from: 0,
            connection: None,
        });
        Ok(opened.collect())
    })?;
    Ok(timed)
}

/// Recovers connections.
pub(super) fn recover(
    client: &Client,
    records: &[Record],
    course: Course,
) -> anyhow::Result<(Vec<Timed>, Vec<Held>)> {
    // As an application does: it stores the next incarnations before it uses them.
    let records: Vec<Record> = records.iter().map(|record| record.next()).collect();
    let (timed, opened) = drive(records.len(), course, |batch| {
        let begun_ns = now_ns()?;
        let reconnected = client.reconnect_all(&records[batch], PATIENCE, |_| Ok(()));
        let connected_ns = now_ns()?;
        let opened = reconnected.into_iter().map(|reconnected| {
            let (stream, recovery) = reconnected?;
            Ok(Opened {
                stream: Arc::new(stream),
                begun_ns,
                connected_ns,
                send_from: recovery.base,
                receive_from: recovery.checkpoint,
                connection: Some(recovery.into_connection()),
            })
        });
        opened.collect()
    })?;
    let mut held = Vec::new();
    for opened in opened {
        let connection = opened.connection.context("it was recovered")?;
        held.push((opened.stream.try_clone()?, connection));
    }
    Ok((timed, held))
}

fn drive(
    count: usize,
    course: Course,
    mut open: impl FnMut(Range<usize>) -> anyhow::Result<Vec<Opened>>,
) -> anyhow::Result<(Vec<Timed>, Vec<Opened>)> {
    let reader = Reader {
        epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
        slots: (0..count).map(|_| OnceLock::new()).collect(),
        receive_to: course.receive_to,
    };
    let output = octets(0..course.send_to);
    let mut open_all = || {
        let mut all = Vec::new();
        while all.len() < count {
            let batch = all.len()..count.min(all.len() + course.at_once);
            for opened in open(batch)? {
                let unsent = output.get(opened.send_from as usize..);
                let unsent = unsent.context("more is acknowledged than was sent")?;
                (&*opened.stream).write_all(unsent)?;
                reader.add(all.len(), &opened)?;
                all.push(opened);
            }
        }
        Ok::<_, anyhow::Error>(all)
    };
    thread::scope(|scope| {
        let reading = scope.spawn(|| reader.read());
        let opened = open_all();
        if opened.is_err() {
            reader.give_up();
        }
        let times = reading
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let opened = opened?;
        let timed = times?.into_iter().zip(&opened).map(|(times, opened)| {
            Ok(Timed {
                port: opened.stream.local_addr()?.port(),
                begun_ns: opened.begun_ns,
                connected_ns: opened.connected_ns,
                first_ns: times.first_ns,
                all_ns: times.all_ns,
            })
        });
        Ok((timed.collect::<anyhow::Result<_>>()?, opened))
    })
}

/// Reads what peers send, on a thread of its own.
struct Reader {
    epoll: Epoll,
    slots: Vec<OnceLock<Slot>>,
    receive_to: u64,
}

struct Slot {
    stream: Arc<TcpStream>,
    from: u64,
    connection: Option<Connection>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Times {
    first_ns: i64,
    all_ns: i64,
    received: u64,
}

const GIVE_UP: u64 = u64::MAX;

impl Reader {
    fn add(&self, at: usize, opened: &Opened) -> anyhow::Result<()> {
        let slot = Slot {
            stream: Arc::clone(&opened.stream),
            from: opened.receive_from,
            connection: opened.connection.clone(),
        };
        if self.slots[at].set(slot).is_err() {
            return Err(anyhow!("connection {at} was opened twice"));
        }
        let event = EpollEvent::new(EpollFlags::EPOLLIN, at as u64);
        Ok(self.epoll.add(&*opened.stream, event)?)
    }

    /// There will be no more.
    fn give_up(&self) {
        // The end of this pipe is seen at once. If there is no pipe, patience ends.
        if let Ok((end, _)) = nix::unistd::pipe() {
            let event = EpollEvent::new(EpollFlags::EPOLLHUP, GIVE_UP);
            if self.epoll.add(&end, event).is_ok() {
                std::mem::forget(end);
            }
        }
    }

    fn read(&self) -> anyhow::Result<Vec<Times>> {
        let mut times = vec![Times::default(); self.slots.len()];
        let mut left = times.len();
        let mut events = [EpollEvent::empty(); 64];
        let mut last = Instant::now();
        while left > 0 {
            let count = match self.epoll.wait(&mut events, EpollTimeout::from(100_u16)) {
                Err(nix::errno::Errno::EINTR) => 0,
                other => other?,
            };
            if count > 0 {
                last = Instant::now();
            }
            ensure!(
                last.elapsed() < PATIENCE,
                "on {left} connections not all of the peer's octets have arrived after {PATIENCE:?}"
            );
            for event in &events[..count] {
                if event.data() == GIVE_UP {
                    return Ok(times);
                }
                let at = event.data() as usize;
                let slot = self.slots[at].get().context("it was opened")?;
                if self.take(slot, &mut times[at])? {
                    left -= 1;
                }
            }
        }
        Ok(times)
    }

    /// True: that was all.
    fn take(&self, slot: &Slot, times: &mut Times) -> anyhow::Result<bool> {
        let mut buffer = [0; 4096];
        let count = match (&*slot.stream).read(&mut buffer) {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(false);
            }
            other => other.context("a connection failed when it was read")?,
        };
        let now = now_ns()?;
        ensure!(count > 0, "a connection ended before its peer closed it");
        if times.received == 0 {
            times.first_ns = now;
        }
        let start = slot.from + times.received;
        let end = start + count as u64;
        ensure!(
            buffer[..count] == octets(start..end),
            "the octets from {start} on are not as the peer sent them"
        );
        times.received += count as u64;
        // A peer whose timer has expired sends no more until something is acknowledged.
        if let Some(connection) = &slot.connection {
            connection.checkpoint(end)?;
        }
        if end < self.receive_to {
            return Ok(false);
        }
        times.all_ns = now;
        self.epoll.delete(&*slot.stream)?;
        Ok(true)
    }
}
