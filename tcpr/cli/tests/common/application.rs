//! The application under test: a process that is killed at any instant, and started again.
//!
//! It keeps what the protocol asks it to keep: its record, and beside it how far its input goes
//! and what came of it, in one file that is replaced at once. Its output can be made again from
//! any offset.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket, Type};
use tcpr::{Client, Connection, Durability, Endpoint, Flow, Pattern, Record};
use tcpr_cli::bed::{Host, Throwaway};

use super::octets::{Sum, from_application, from_peer};

/// How long any single step may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Names the job in the environment of the process.
const VARIABLE: &str = "TCPR_TEST_APPLICATION";

/// Which side opens the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Role {
    /// The peer connects to us.
    Accept,
    /// We connect to the peer.
    Connect,
}

/// What the process is to do. It is the same from one start to the next, but for the buffer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    /// Where `tcpr serve` is.
    pub(crate) endpoint: String,
    /// Where the process keeps what it keeps.
    pub(crate) dir: PathBuf,
    pub(crate) role: Role,
    pub(crate) local: SocketAddr,
    /// Of no meaning to who accepts.
    pub(crate) remote: SocketAddr,
    /// SO_RCVBUF.
    pub(crate) receive_buffer: Option<usize>,
    /// Initial sequence number of the first connection, if we open it.
    pub(crate) initial: Option<u32>,
    /// How much to send; as much as goes until the peer has ended, if it is not said.
    pub(crate) output: Option<u64>,
    /// Checkpoint nothing.
    pub(crate) hoard: bool,
    /// Want no input: done_reading.
    pub(crate) one_way: bool,
    /// How often to try to recover: more than once where TCPR may be lost meanwhile.
    pub(crate) attempts: u32,
    /// Listen, and accept, but do not register.
    pub(crate) unregistered: bool,
}

/// What came of the input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Octets of input taken.
    pub(crate) offset: u64,
    /// Of these.
    pub(crate) sum: Sum,
    /// The peer has closed, and that is taken too.
    pub(crate) ended: bool,
    /// Our output ends here.
    pub(crate) output: Option<u64>,
    /// The connection has ended, and all is well.
    pub(crate) finished: bool,
}

impl Progress {
    pub(crate) fn load(dir: &Path) -> Progress {
        match std::fs::read(dir.join("progress")) {
            Ok(text) => serde_json::from_slice(&text).unwrap(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Progress::default(),
            Err(e) => panic!("{e}"),
        }
    }

    fn store(&self, dir: &Path) {
        let new = dir.join("progress.new");
        std::fs::write(&new, serde_json::to_vec(self).unwrap()).unwrap();
        std::fs::rename(new, dir.join("progress")).unwrap();
    }

    /// The checkpoint that goes with it: the peer's FIN counts one.
    fn checkpoint(&self) -> u64 {
        self.offset + u64::from(self.ended)
    }
}

impl Job {
    /// Where the record is.
    pub(crate) fn record(&self) -> PathBuf {
        self.dir.join("record")
    }

    /// There once the connection was accepted and left unregistered.
    pub(crate) fn accepted(&self) -> PathBuf {
        self.dir.join("accepted")
    }

    /// There once all input was read, and nothing of it checkpointed.
    pub(crate) fn heard(&self) -> PathBuf {
        self.dir.join("heard")
    }

    /// Starts the process.
    pub(crate) fn start(&self, host: &Host) -> Throwaway {
        let mut command: Command = host.command(std::env::current_exe().unwrap());
        command
            .args(["application", "--exact", "--ignored", "--nocapture"])
            .args(["--test-threads=1", "--quiet"])
            .env(VARIABLE, serde_json::to_string(self).unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        Throwaway(command.spawn().unwrap())
    }
}

/// The process itself.
pub(crate) fn main() {
    let Ok(job) = std::env::var(VARIABLE) else {
        return;
    };
    let job: Job = serde_json::from_str(&job).unwrap();
    if Progress::load(&job.dir).finished {
        return;
    }
    let client = reach(&job.endpoint);
    match Record::load(&job.record()) {
        Ok(record) => recover(&job, &client, record),
        Err(tcpr::RecordError::Missing { .. }) => begin(&job, &client),
        Err(e) => panic!("{e}"),
    }
}

/// `tcpr serve` may be on its way back.
fn reach(endpoint: &str) -> Client {
    let endpoint: Endpoint = endpoint.parse().unwrap();
    let started = Instant::now();
    loop {
        match Client::connect(&endpoint) {
            Ok(client) => return client,
            Err(e) => assert!(started.elapsed() < PATIENCE, "no server: {e}"),
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn begin(job: &Job, client: &Client) {
    let stream = match job.role {
        Role::Accept => {
            client.protect(Pattern::Local(job.local)).unwrap();
            if let Some(known) = client.list().unwrap().first() {
                // Accepted, but killed before it was recorded.
                return recover(job, client, Record::new(known.hard));
            }
            let socket = socket(job);
            socket.bind(&job.local.into()).unwrap();
            socket.listen(8).unwrap();
            let (stream, _) = TcpListener::from(socket).accept().unwrap();
            if job.unregistered {
                std::fs::write(job.accepted(), "").unwrap();
                thread::sleep(PATIENCE);
            }
            stream
        }
        Role::Connect => {
            let (local, remote) = (job.local, job.remote);
            client
                .protect(Pattern::Flow(Flow { local, remote }))
                .unwrap();
            let socket = socket(job);
            if let Some(initial) = job.initial {
                set_initial(&socket, initial);
            }
            socket.set_reuse_address(true).unwrap();
            socket.bind(&local.into()).unwrap();
            socket.connect(&remote.into()).unwrap();
            socket.into()
        }
    };
    let flow = Flow {
        local: stream.local_addr().unwrap(),
        remote: stream.peer_addr().unwrap(),
    };
    let connection = client.register(flow).unwrap();
    store(&connection.record(), job);
    carry_on(job, stream, &connection, 0, 0);
}

fn recover(job: &Job, client: &Client, mut record: Record) {
    let mut progress = Progress::load(&job.dir);
    let complete = progress.ended && progress.output.is_some();
    let mut attempts = job.attempts;
    let (base, stream, connection) = loop {
        record = record.next();
        record.hard.checkpoint = progress.checkpoint();
        store(&record, job);
        attempts -= 1;
        let recovery = match client.recover(&record) {
            Ok(recovery) => recovery,
            // Killed after the end, before it was noted.
            Err(tcpr::ClientError::Refused {
                refusal: tcpr::Refusal::Ended | tcpr::Refusal::Unknown,
                ..
            }) if complete => {
                return finish(job);
            }
            Err(e) => {
                assert!(attempts > 0, "{e}");
                continue;
            }
        };
        if job.one_way {
            // Whatever the TCP before acknowledged is gone.
            progress.ended = recovery.peer_eof && recovery.checkpoint > progress.offset;
            progress.offset = recovery.checkpoint - u64::from(progress.ended);
            progress.store(&job.dir);
        }
        assert_eq!(recovery.checkpoint, progress.checkpoint());
        assert!(
            !progress.ended || recovery.peer_eof,
            "the peer's end is forgotten"
        );
        let base = recovery.base;
        match recovery.connect_with(PATIENCE, |socket| set_buffer(socket, job)) {
            Ok((stream, connection)) => break (base, stream, connection),
            // TCPR was lost meanwhile: from the beginning, as the next incarnation.
            Err(e) => assert!(attempts > 0, "{e:?}"),
        }
    };
    store(&connection.record(), job);
    carry_on(job, stream, &connection, base, progress.offset);
}

fn store(record: &Record, job: &Job) {
    record.store(&job.record(), Durability::Process).unwrap();
}

fn socket(job: &Job) -> Socket {
    let socket = Socket::new(Domain::for_address(job.local), Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    set_buffer(&socket, job).unwrap();
    socket
}

fn set_buffer(socket: &Socket, job: &Job) -> io::Result<()> {
    match job.receive_buffer {
        Some(octets) => socket.set_recv_buffer_size(octets),
        None => Ok(()),
    }
}

/// What is shared by the two directions.
struct Shared<'a> {
    job: &'a Job,
    connection: &'a Connection,
    progress: Mutex<Progress>,
    ended: AtomicBool,
}

impl Shared<'_> {
    /// Replaces what is kept, all at once.
    fn keep(&self, change: impl FnOnce(&mut Progress)) -> Progress {
        let mut progress = self.progress.lock().unwrap();
        change(&mut progress);
        progress.store(&self.job.dir);
        *progress
    }
}

fn carry_on(job: &Job, stream: TcpStream, connection: &Connection, base: u64, offset: u64) {
    let progress = Progress::load(&job.dir);
    assert_eq!(progress.offset, offset);
    let shared = Shared {
        job,
        connection,
        progress: Mutex::new(progress),
        ended: AtomicBool::new(progress.ended),
    };
    if job.one_way {
        connection.done_reading().unwrap();
    }
    thread::scope(|scope| {
        scope.spawn(|| write(&stream, &shared, base));
        read(&stream, &shared);
    });
    drop(stream);
    connection.wait_closed(PATIENCE).unwrap();
    finish(job);
    connection.done().unwrap();
}

fn finish(job: &Job) {
    let mut progress = Progress::load(&job.dir);
    progress.finished = true;
    progress.store(&job.dir);
}

fn write(mut stream: &TcpStream, shared: &Shared<'_>, base: u64) {
    let mut at = base;
    let mut end = shared.job.output;
    end = end.or(shared.progress.lock().unwrap().output);
    while end != Some(at) {
        if end.is_none() && shared.ended.load(Relaxed) {
            end = Some(at);
            break;
        }
        let limit = end.map_or(1 << 16, |end| (end - at).min(1 << 16));
        let octets = from_application().from(at, limit as usize);
        at += stream.write(octets).expect("the application writes") as u64;
    }
    shared.keep(|progress| progress.output = end);
    shared.connection.done_writing(at).unwrap();
    stream
        .shutdown(Shutdown::Write)
        .expect("the application closes");
}

/// Takes input; keeps what came of it, and then checkpoints it, a thousand times a second at most.
fn read(mut stream: &TcpStream, shared: &Shared<'_>) {
    let Progress {
        mut offset,
        mut sum,
        ..
    } = *shared.progress.lock().unwrap();
    let mut kept = (offset, Instant::now());
    let mut buffer = vec![0; 1 << 16];
    stream
        .set_read_timeout(Some(Duration::from_millis(1)))
        .unwrap();
    loop {
        let more = match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                assert!(!shared.ended.load(Relaxed), "input after its end");
                from_peer().check(offset, &buffer[..n]);
                sum.add(&buffer[..n]);
                offset += n as u64;
                true
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => false,
            Err(e) => panic!("the application reads: {e}"),
        };
        let due = offset > kept.0 && (!more || kept.1.elapsed() > Duration::from_millis(1));
        if due && !shared.job.hoard && !shared.job.one_way {
            shared.keep(|progress| (progress.offset, progress.sum) = (offset, sum));
            shared.connection.checkpoint(offset).unwrap();
            kept = (offset, Instant::now());
        }
    }
    if shared.job.hoard {
        std::fs::write(shared.job.heard(), offset.to_string()).unwrap();
        thread::sleep(PATIENCE);
    }
    let kept = shared.keep(|progress| {
        (progress.offset, progress.sum, progress.ended) = (offset, sum, true);
    });
    if !shared.job.one_way {
        shared.connection.checkpoint_end(kept.offset).unwrap();
    }
    shared.ended.store(true, Relaxed);
}

/// Chooses the initial sequence number of a connection that is about to be opened
/// (TCP_QUEUE_SEQ, Linux).
pub(crate) fn set_initial(socket: &Socket, number: u32) {
    let set = |option, value: u32| {
        // SAFETY: the kernel reads four octets of `value`.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_TCP,
                option,
                (&raw const value).cast(),
                size_of::<u32>() as libc::socklen_t,
            )
        };
        assert_eq!(result, 0, "option {option}: {}", io::Error::last_os_error());
    };
    const SEND_QUEUE: u32 = 2;
    const OFF_WITHOUT_PROBE: i32 = -1;
    set(libc::TCP_REPAIR, 1);
    set(libc::TCP_REPAIR_QUEUE, SEND_QUEUE);
    set(libc::TCP_QUEUE_SEQ, number);
    set(libc::TCP_REPAIR, OFF_WITHOUT_PROBE as u32);
}
