//! A recoverable echo server: figure 20 of Surton (2014), as it is written today.
//!
//!     cargo run -p tcpr --example echo 127.0.0.1:7000
//!
//! Kill it with SIGKILL in the middle of a line, start it again, and the peer's connection goes on.
//! What an echo sends is what it has received, so it needs no log of its output: it checkpoints
//! input only when the peer has acknowledged its echo, and what a crash loses comes again.
//!
//! It serves one connection at a time. An error ends it, and it is started again like after a
//! crash.

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use tcpr::{Client, ClientError, Connection, Durability, Endpoint, Flow, Pattern, Record, Refusal};

const RECORD: &str = "echo.record";
const PATIENCE: Duration = Duration::from_secs(600);

fn main() -> Result<(), Box<dyn Error>> {
    let address: SocketAddr = std::env::args()
        .nth(1)
        .ok_or("usage: echo ADDRESS:PORT")?
        .parse()?;
    let client = Client::connect(&Endpoint::from_environment()?)?;
    client.protect(Pattern::Local(address))?;
    // Before listening: with a listener there, the port could not be bound again.
    if Path::new(RECORD).exists() {
        // The incarnation is stored before it is used, so that it is never used twice.
        let record = Record::load(Path::new(RECORD))?.next();
        store(&record)?;
        match client.recover(&record) {
            Ok(recovery) => {
                // Echoed and acknowledged already, but not checkpointed when the crash came.
                let known = recovery.base.saturating_sub(recovery.checkpoint);
                let (stream, connection) = recovery.connect(PATIENCE)?;
                echo(stream, &connection, known)?;
            }
            Err(ClientError::Refused {
                refusal: Refusal::Ended,
                ..
            }) => fs::remove_file(RECORD)?,
            Err(e) => return Err(e.into()),
        }
    }
    // Connections that a crash has caught between `accept` and the record.
    for summary in client
        .list()?
        .iter()
        .filter(|summary| summary.flow.local == address)
    {
        client.abort(&summary.flow)?;
    }
    let listener = TcpListener::bind(address)?;
    loop {
        let (stream, remote) = listener.accept()?;
        let connection = client.register(Flow {
            local: stream.local_addr()?,
            remote,
        })?;
        store(&connection.record())?;
        echo(stream, &connection, 0)?;
    }
}

/// Sends back what comes, but for the first `known` octets, which the peer has had.
fn echo(mut stream: TcpStream, connection: &Connection, known: u64) -> Result<(), Box<dyn Error>> {
    let mut record = connection.record();
    store(&record)?;
    // The peer's FIN counts one, and is no octet.
    let mut offset = record
        .hard
        .peer_fin
        .unwrap_or(u64::MAX)
        .min(record.hard.checkpoint);
    let known = offset + known;
    let mut buffer = [0; 65536];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        let skipped = known.saturating_sub(offset).min(count as u64) as usize;
        stream.write_all(&buffer[skipped..count])?;
        offset += count as u64;
        connection.wait_acked(offset, PATIENCE)?;
        record.hard.checkpoint = offset;
        store(&record)?;
        connection.checkpoint(offset)?;
    }
    connection.done_writing(offset)?;
    stream.shutdown(Shutdown::Write)?;
    record.hard.peer_fin = Some(offset);
    record.hard.done_writing = Some(offset);
    record.hard.checkpoint = offset + 1;
    store(&record)?;
    connection.checkpoint_end(offset)?;
    connection.wait_closed(PATIENCE)?;
    connection.done()?;
    Ok(fs::remove_file(RECORD)?)
}

fn store(record: &Record) -> Result<(), tcpr::RecordError> {
    record.store(Path::new(RECORD), Durability::Process)
}
