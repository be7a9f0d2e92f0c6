//! Labs that stand: `flaplab up`, and failed labs that are kept; how `shell` and `down` find
//! and enter them.
//!
//! *Assumes* that the flaplab process in the foreground serves its lab. *Guarantees* that nothing
//! of this is in the file system (the control socket's name is abstract), and that only the same
//! user, or root, is answered.

use std::ffi::CString;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, execve, fork, getpgrp, getuid, tcsetpgrp};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::mpsc::UnboundedSender;

use crate::capsule::{LAB_DIR, LAB_HOME, RUN_DIR};

/// How long a lab may take to end: its records are closed and its processes reaped.
const DOWN_DEADLINE: Duration = Duration::from_secs(30);

/// Why a standing lab could not be reached or entered.
#[derive(Debug, Error)]
pub enum StandingError {
    /// There is none.
    #[error("no lab is up; start one with `flaplab up SCENARIO` in another terminal")]
    None,
    /// There are several.
    #[error("{} labs are up: {}; choose one with --lab", .0.len(), .0.join(", "))]
    Several(Vec<String>),
    /// There is none of that name.
    #[error("no lab `{wanted}` is up; up are: {}", .up.join(", "))]
    NoSuchLab {
        /// The name asked for.
        wanted: String,
        /// Those that are up.
        up: Vec<String>,
    },
    /// The lab has no such node.
    #[error("lab {lab} has no node `{wanted}`; its nodes are: {}", .nodes.join(", "))]
    NoSuchNode {
        /// The lab.
        lab: String,
        /// The node asked for.
        wanted: String,
        /// Those it has.
        nodes: Vec<String>,
    },
    /// Another one of that name is up.
    #[error(
        "a lab `{0}` is already up; take it down with `flaplab down --lab {0}`, or choose another name with --lab"
    )]
    NameTaken(String),
    /// A name that cannot be one.
    #[error("`{0}` cannot be the name of a lab: use letters, digits, `-`, `_` and `.`")]
    BadName(String),
    /// It does not end.
    #[error("the lab {0} was told to end and is still up; end its flaplab with Ctrl-C twice")]
    StillUp(String),
    /// A system call failed.
    #[error("cannot {doing}: {source}")]
    System {
        /// What was tried.
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
}

fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> StandingError {
    let doing = doing.into();
    move |source| StandingError::System { doing, source }
}

/// What a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Request {
    Describe,
    Down,
}

/// What a standing lab says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Its name.
    pub lab: String,
    /// Process 1 of its capsule.
    pub init_pid: i32,
    /// Its nodes.
    pub nodes: Vec<String>,
}

/// Prefix of the control sockets of this user's labs.
fn prefix() -> String {
    format!("flaplab/{}/", getuid())
}

fn address(lab: &str) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("{}{lab}", prefix()))
}

/// A lab's control socket. Dropping it frees the lab's name.
#[derive(Debug)]
pub struct Service {
    lab: String,
    ended: Arc<AtomicBool>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // Wakes the thread, which then closes the socket. If it cannot be reached it is closed.
        let _ = address(&self.lab).and_then(|a| UnixStream::connect_addr(&a));
    }
}

/// Serves a lab's control socket on a thread of its own. A client's `down` arrives on `down`.
///
/// # Errors
/// If the name does not fit, or a lab of that name is up already.
pub fn serve(
    description: Description,
    down: UnboundedSender<()>,
) -> Result<Service, StandingError> {
    let lab = description.lab.clone();
    if !lab
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        || lab.is_empty()
    {
        return Err(StandingError::BadName(lab));
    }
    let listener = address(&lab)
        .and_then(|a| UnixListener::bind_addr(&a))
        .map_err(|e| match e.kind() {
            io::ErrorKind::AddrInUse => StandingError::NameTaken(lab.clone()),
            _ => system("open the control socket")(e),
        })?;
    let ended = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&ended);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if stop.load(Ordering::Acquire) {
                return;
            }
            // A client that misbehaves is not answered.
            let _ = answer(stream, &description, &down);
        }
    });
    Ok(Service { lab, ended })
}

/// Whether the process at the other end is of this user, or of root if `or_root`.
fn is_trusted(stream: &UnixStream, or_root: bool) -> io::Result<()> {
    let peer = nix::sys::socket::getsockopt(stream, nix::sys::socket::sockopt::PeerCredentials)?;
    if peer.uid() == getuid().as_raw() || (or_root && peer.uid() == 0) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("the process at the other end is of user {}", peer.uid()),
    ))
}

fn answer(
    mut stream: UnixStream,
    description: &Description,
    down: &UnboundedSender<()>,
) -> io::Result<()> {
    is_trusted(&stream, true)?;
    let mut line = String::new();
    BufReader::new(stream.try_clone()?).read_line(&mut line)?;
    match serde_json::from_str(&line)? {
        Request::Describe => {}
        // The receiver ends with the process.
        Request::Down => drop(down.send(())),
    }
    let mut reply = serde_json::to_vec(description)?;
    reply.push(b'\n');
    stream.write_all(&reply)
}

fn ask(lab: &str, request: Request) -> io::Result<Description> {
    let mut stream = UnixStream::connect_addr(&address(lab)?)?;
    // Anybody may have taken the name: who enters what it names must know whose it is.
    is_trusted(&stream, false)?;
    let mut line = serde_json::to_vec(&request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut reply = String::new();
    BufReader::new(stream.try_clone()?).read_line(&mut reply)?;
    Ok(serde_json::from_str(&reply)?)
}

/// Names of this user's labs that are up.
#[must_use]
pub fn labs() -> Vec<String> {
    let table = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let prefix = format!("@{}", prefix());
    // Only the listening socket: accepted ones bear its name too, and have other flags.
    let mut labs: Vec<String> = table
        .lines()
        .filter(|l| l.split_whitespace().nth(3) == Some("00010000"))
        .filter_map(|l| l.split_whitespace().nth(7)?.strip_prefix(&prefix))
        .map(str::to_owned)
        .collect();
    labs.sort();
    labs.dedup();
    labs
}

/// Finds the lab that is meant: the named one, or the only one.
///
/// # Errors
/// If there is none, or several and no name.
pub fn find(wanted: Option<&str>) -> Result<Description, StandingError> {
    let up = labs();
    let name = match (wanted, up.as_slice()) {
        (_, []) => return Err(StandingError::None),
        (None, [only]) => only.clone(),
        (None, _) => return Err(StandingError::Several(up)),
        (Some(wanted), _) if up.iter().any(|l| l == wanted) => wanted.to_owned(),
        (Some(wanted), _) => {
            return Err(StandingError::NoSuchLab {
                wanted: wanted.to_owned(),
                up,
            });
        }
    };
    ask(&name, Request::Describe).map_err(system(format!("ask the lab {name}")))
}

/// Takes a lab down, and waits until it is.
///
/// # Errors
/// If it cannot be reached, or is not down in time.
pub fn down(wanted: Option<&str>) -> Result<String, StandingError> {
    let name = find(wanted)?.lab;
    let failed = |e| system(format!("tell the lab {name} to end"))(e);
    ask(&name, Request::Down).map_err(failed)?;
    let deadline = Instant::now() + DOWN_DEADLINE;
    while labs().contains(&name) {
        if Instant::now() > deadline {
            return Err(StandingError::StillUp(name));
        }
        // The kernel tells nobody that a name is free: look again soon.
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(name)
}

/// Enters a node of a lab and runs a command there, a shell if it is empty. Returns the exit
/// status. Call it before the process has a second thread: only then may it enter a user
/// namespace.
///
/// # Errors
/// If the node does not exist or cannot be entered.
pub fn shell(wanted: Option<&str>, node: &str, command: &[String]) -> Result<i32, StandingError> {
    let lab = find(wanted)?;
    if !lab.nodes.iter().any(|n| n == node) {
        let (lab, nodes) = (lab.lab, lab.nodes);
        return Err(StandingError::NoSuchNode {
            lab,
            wanted: node.to_owned(),
            nodes,
        });
    }
    let pidfd = injectors::pidfd::open(lab.init_pid).map_err(system("find the lab's process"))?;
    let all = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC;
    setns(pidfd.as_fd(), all).map_err(|e| system("enter the lab's namespaces")(e.into()))?;
    let name = format!("/run/netns/{node}");
    let net = std::fs::File::open(&name).map_err(system(format!("open {name}")))?;
    setns(net.as_fd(), CloneFlags::CLONE_NEWNET)
        .map_err(|e| system(format!("enter the network namespace of {node}"))(e.into()))?;
    // Where the node's logs are.
    let homes = [LAB_HOME, RUN_DIR].map(|home| format!("{home}/nodes/{node}"));
    let [shared, own] = homes;
    let dir = if Path::new(&shared).is_dir() {
        shared
    } else {
        own
    };
    std::env::set_current_dir(&dir).map_err(system(format!("enter {dir}")))?;
    // A process enters a PID namespace with its children only.
    // SAFETY: this process has one thread, so the child may do what it likes.
    match unsafe { fork() }.map_err(|e| system("fork")(e.into()))? {
        ForkResult::Child => {
            give_terminal_to_this_group();
            Err(execute(node, command))
        }
        ForkResult::Parent { child } => loop {
            let waited = waitpid(child, None);
            let status = match waited {
                Ok(WaitStatus::Exited(_, code)) => code,
                Ok(WaitStatus::Signaled(_, signal, _)) => 128 + signal as i32,
                Ok(_) | Err(nix::Error::EINTR) => continue,
                Err(e) => return Err(system("wait for the shell")(e.into())),
            };
            take_terminal_back();
            return Ok(status);
        },
    }
}

/// Makes this process the leader of a group that has the terminal: a shell whose terminal
/// belongs to a group outside of its PID namespace cannot tell, and gives up job control.
fn give_terminal_to_this_group() {
    if nix::unistd::setpgid(Pid::this(), Pid::from_raw(0)).is_ok() {
        foreground(Pid::this());
    }
}

fn take_terminal_back() {
    foreground(getpgrp());
}

/// Gives the terminal, if there is one, to a process group. A background process that does so
/// would be stopped by SIGTTOU (termios(3)).
fn foreground(group: Pid) {
    let stdin = io::stdin();
    if !io::IsTerminal::is_terminal(&stdin) {
        return;
    }
    let ttou = SigSet::from(Signal::SIGTTOU);
    // Without the terminal the shell still runs, if less comfortably.
    let _ = ttou.thread_block();
    let _ = tcsetpgrp(stdin, group);
    let _ = ttou.thread_unblock();
}

/// Replaces this process; returns only if that fails.
fn execute(node: &str, command: &[String]) -> StandingError {
    let keep = |key: &str| std::env::var(key).ok().map(|v| format!("{key}={v}"));
    let mut env = vec![
        format!("PATH={LAB_DIR}/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        format!("HOME={LAB_DIR}"),
        format!("FLAPLAB_NODE={node}"),
        format!("PS1=[flaplab {node}]# "),
    ];
    env.extend(["TERM", "LANG", "COLORTERM"].into_iter().filter_map(keep));
    let shell = ["/bin/sh", "-i"].map(str::to_owned);
    let command = if command.is_empty() {
        &shell[..]
    } else {
        command
    };
    let cstrings = |strings: &[String]| -> Vec<CString> {
        strings
            .iter()
            .filter_map(|s| CString::new(s.as_str()).ok())
            .collect()
    };
    // Looked up by env(1), which searches the PATH that is passed.
    let mut args = vec!["/usr/bin/env".to_owned(), "--".to_owned()];
    args.extend_from_slice(command);
    let env = cstrings(&env);
    let args = cstrings(&args);
    match execve(&args[0], &args, &env) {
        Ok(never) => match never {},
        Err(e) => system(format!("run {}", command.join(" ")))(e.into()),
    }
}
