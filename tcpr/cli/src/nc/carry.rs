//! Octets are carried both ways until both sides have closed.
//!
//! *Assumes* that the record says what the sink and the source have.
//! *Guarantees* in each direction the order that makes every instant safe to crash in. Received:
//! append, record, checkpoint. Sent: log, write. At the end of the output: record, done_writing,
//! shutdown.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tcpr::{ClientError, Connection, Ending, Refusal};

use super::kept::Kept;
use super::opening::Opened;
use super::record::{input_has_ended, received};
use super::sink::Sink;
use super::source::Source;
use super::{NcError, Paths};

const BUFFER: usize = 256 << 10;
/// The record is stored when so many octets are not recorded yet, ...
const BATCH: u64 = 1 << 20;
/// ... when there is nothing to read, but then not more often than this, ...
const PAUSE: Duration = Duration::from_millis(1);
/// ... or when it has been so long.
const LATEST: Duration = Duration::from_millis(20);
/// What is recorded as acknowledged may lag behind by less than 2^30 octets.
const ACKED_LAG: u64 = 1 << 28;
/// A connection that fails locally may have been reset by the peer: TCPR tells.
const TOLD: Duration = Duration::from_millis(500);

enum Event {
    Ended(Result<Ending, ClientError>),
    Carried(Result<(), NcError>),
}

/// Carries octets to the end of the connection.
pub(super) fn carry(opened: Opened, paths: &Paths) -> Result<(), NcError> {
    let Opened {
        stream,
        connection,
        kept,
        mut sink,
        mut source,
        base,
        pattern: _,
    } = opened;
    let (events, happened) = mpsc::channel();
    let (stream, kept) = (std::sync::Arc::new(stream), std::sync::Arc::new(kept));
    // Threads that wait for input outlive this function; the process does not.
    let watched = connection.clone();
    let tell = events.clone();
    spawn(move || {
        let _ = tell.send(Event::Ended(await_end(&watched)));
    })?;
    let mut under_way = 1;
    if !input_has_ended(&kept.hard()) {
        under_way += 1;
        let (stream, kept, connection) = (stream.clone(), kept.clone(), connection.clone());
        let tell = events.clone();
        spawn(move || {
            let carried = receive(&stream, &connection, &kept, &mut sink);
            let _ = tell.send(Event::Carried(carried));
        })?;
    }
    let (sending, shared) = (stream.clone(), (kept.clone(), connection.clone()));
    spawn(move || {
        let (kept, connection) = shared;
        let carried = send(&sending, &connection, &kept, &mut source, base);
        let _ = events.send(Event::Carried(carried));
    })?;
    let ending = loop {
        match happened.recv() {
            Ok(Event::Carried(Ok(()))) => under_way -= 1,
            Ok(Event::Carried(Err(NcError::Local { source }))) => {
                match connection.wait_closed(TOLD) {
                    Ok(ending) => break ending,
                    Err(_) => return Err(NcError::Local { source }),
                }
            }
            Ok(Event::Carried(Err(e))) => return Err(e),
            Ok(Event::Ended(Ok(ending))) => break ending,
            Ok(Event::Ended(Err(e))) => return Err(e.into()),
            Err(_) => return Err(lost_thread()),
        }
    };
    // TCPR tells of the end before the last thread does.
    while under_way > 0 && ending == Ending::Finished {
        match happened.recv() {
            Ok(Event::Carried(carried)) => carried?,
            Ok(Event::Ended(_)) => continue,
            Err(_) => return Err(lost_thread()),
        }
        under_way -= 1;
    }
    if ending == Ending::Finished {
        return Ok(());
    }
    let hard = kept.hard();
    Err(NcError::Ended {
        flow: hard.flow,
        ending: Some(ending),
        received: paths.received(&hard),
        acked: connection.acked(),
    })
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), NcError> {
    let spawned = thread::Builder::new().spawn(work);
    spawned
        .map(drop)
        .map_err(|source| NcError::Local { source })
}

fn lost_thread() -> NcError {
    NcError::Local {
        source: io::Error::other("a thread of this program has failed"),
    }
}

/// Waits for the end of the connection, however long it takes.
fn await_end(connection: &Connection) -> Result<Ending, ClientError> {
    loop {
        match connection.wait_closed(Duration::from_secs(3600)) {
            Err(ClientError::Unanswered { .. }) => {}
            // A checkpoint that TCPR, restarted, cannot place yet: it is told again.
            Err(ClientError::Refused {
                refusal: Refusal::CheckpointBeyondInput { .. } | Refusal::BackwardCheckpoint { .. },
                ..
            }) => thread::sleep(TOLD),
            result => return result,
        }
    }
}

/// The peer's octets come into the sink.
fn receive(
    mut stream: &TcpStream,
    connection: &Connection,
    kept: &Kept,
    sink: &mut Sink,
) -> Result<(), NcError> {
    let durable = kept.durability == tcpr::Durability::Machine;
    let mut buffer = vec![0; BUFFER];
    let mut unrecorded = Unrecorded::new(received(&kept.hard()));
    loop {
        while unrecorded.is_due(|wait| is_readable(stream, wait))? {
            if durable {
                sink.sync()?;
            }
            let end = unrecorded.received;
            kept.store(connection, |hard| hard.checkpoint = end)?;
            connection.checkpoint(end)?;
            unrecorded.recorded();
        }
        let read = match stream.read(&mut buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(|source| NcError::Local { source })?,
        };
        if read == 0 {
            break;
        }
        sink.append(&buffer[..read])?;
        unrecorded.add(read as u64);
    }
    if durable {
        sink.sync()?;
    }
    // The peer's FIN counts one.
    let end = unrecorded.received;
    kept.store(connection, |hard| {
        hard.peer_fin = Some(end);
        hard.checkpoint = end + 1;
    })?;
    connection.checkpoint_end(end)?;
    Ok(())
}

/// What was received and is not recorded yet.
#[derive(Debug)]
struct Unrecorded {
    received: u64,
    recorded: u64,
    last: Instant,
}

impl Unrecorded {
    fn new(received: u64) -> Unrecorded {
        Unrecorded {
            received,
            recorded: received,
            last: Instant::now(),
        }
    }

    fn add(&mut self, octets: u64) {
        self.received += octets;
    }

    fn recorded(&mut self) {
        self.recorded = self.received;
        self.last = Instant::now();
    }

    /// Whether it should be recorded now. `readable` waits so long for more.
    fn is_due(&self, readable: impl FnOnce(Duration) -> io::Result<bool>) -> Result<bool, NcError> {
        let count = self.received - self.recorded;
        if count == 0 {
            return Ok(false);
        }
        let age = self.last.elapsed();
        if count >= BATCH || age >= LATEST {
            return Ok(true);
        }
        let more = readable(PAUSE.saturating_sub(age));
        Ok(!more.map_err(|source| NcError::Local { source })?)
    }
}

/// Whether there is something to read, after this time at the latest.
fn is_readable(stream: &TcpStream, wait: Duration) -> io::Result<bool> {
    let mut polled = [PollFd::new(stream.as_fd(), PollFlags::POLLIN)];
    let wait = PollTimeout::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::ZERO);
    match poll(&mut polled, wait) {
        Ok(count) => Ok(count > 0),
        Err(nix::errno::Errno::EINTR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// The source's octets go to the peer.
fn send(
    mut stream: &TcpStream,
    connection: &Connection,
    kept: &Kept,
    source: &mut Source,
    base: u64,
) -> Result<(), NcError> {
    let mut buffer = vec![0; BUFFER];
    let mut offset = base;
    let end = kept.hard().done_writing;
    loop {
        let read = source.read(offset, end, &mut buffer)?;
        if read == 0 {
            break;
        }
        stream
            .write_all(&buffer[..read])
            .map_err(|source| NcError::Local { source })?;
        offset += read as u64;
        let acked = connection.acked();
        source.trim(acked);
        if acked.saturating_sub(kept.hard().acked) >= ACKED_LAG {
            kept.store(connection, |_| {})?;
        }
    }
    // Recorded first: once the peer has seen the FIN, nothing may follow it.
    kept.store(connection, |hard| hard.done_writing = Some(offset))?;
    connection.done_writing(offset)?;
    stream
        .shutdown(Shutdown::Write)
        .map_err(|source| NcError::Local { source })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn it_is_recorded_when_there_is_nothing_more_to_read_or_much_is_unrecorded() {
        let mut unrecorded = Unrecorded::new(100);
        let nothing_more = |_| Ok(false);
        let more = |_| Ok(true);
        assert!(!unrecorded.is_due(nothing_more).unwrap());
        unrecorded.add(10);
        assert!(unrecorded.is_due(nothing_more).unwrap());
        assert!(!unrecorded.is_due(more).unwrap());
        unrecorded.add(BATCH - 10);
        assert!(unrecorded.is_due(more).unwrap());
        unrecorded.recorded();
        assert!(!unrecorded.is_due(more).unwrap());
        assert_eq!(unrecorded.received, 100 + BATCH);
    }

    #[test]
    fn a_trickle_is_recorded_in_time() {
        let mut unrecorded = Unrecorded::new(0);
        unrecorded.add(1);
        unrecorded.last -= LATEST;
        assert!(unrecorded.is_due(|_| Ok(true)).unwrap());
        // More is waited for only until the pause is over.
        unrecorded.last = Instant::now() - PAUSE;
        let waited = unrecorded.is_due(|wait| {
            assert_eq!(wait, Duration::ZERO);
            Ok(false)
        });
        assert!(waited.unwrap());
    }
}
