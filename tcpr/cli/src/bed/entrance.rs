//! The entrance: a copy of this program in namespaces of its own.
//!
//! *Assumes* that the thread that spawns the copy lives for as long as the copy is wanted.
//! *Guarantees* that when that thread, its process or the copy ends, however, every process,
//! namespace, link and rule that the copy made ends too.
//!
//! Three processes come of it. The *entrance* leaves the caller's namespaces, and waits; the kernel
//! kills it when its parent ends. Process 1 of the new PID namespace dies with the entrance in the
//! same way, and with it the namespace; it reaps. Its child is the copy. The first two are forks of a
//! process that may have threads, so they make system calls only.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getegid, geteuid, getpid, getppid, mkdir, pipe2, write};
use thiserror::Error;

/// Set in the copy.
const VARIABLE: &str = "TCPR_BED";

/// Whether this process is such a copy.
#[must_use]
pub fn inside() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// Why the copy could not be made.
#[derive(Debug, Error)]
pub enum EntranceError {
    /// The kernel or its policy refuses the namespaces.
    #[error(
        "cannot make a user namespace: {source}; allow unprivileged ones (sysctl \
         kernel.unprivileged_userns_clone, user.max_user_namespaces, and on Ubuntu \
         kernel.apparmor_restrict_unprivileged_userns)"
    )]
    Unshare {
        /// The kernel's answer.
        source: io::Error,
    },
    /// A step after that failed.
    #[error("cannot {step} in the new namespaces: {source}")]
    Step {
        /// What was tried.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The program itself could not be executed, or nothing could be prepared for it.
    #[error("cannot execute this program again: {0}")]
    Execute(#[from] io::Error),
}

/// A step on the way in, by which a failure is told.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum Step {
    Unshare,
    MapIds,
    Bind,
    Fork,
    PrivateMounts,
    MountProc,
    MountRun,
}

const STEPS: [(Step, &str); 7] = [
    (Step::Unshare, "unshare"),
    (Step::MapIds, "map the user's ids"),
    (Step::Bind, "bind the lives of processes together"),
    (Step::Fork, "fork"),
    (Step::PrivateMounts, "make mounts private"),
    (
        Step::MountProc,
        "mount /proc (in a container this needs an unmasked /proc)",
    ),
    (Step::MountRun, "mount a private /run"),
];

/// A copy of this program that is about to be started.
#[derive(Debug)]
pub struct Entrance {
    command: Command,
    failures: OwnedFd,
}

impl Entrance {
    /// The present program with other arguments. Standard streams, environment and working
    /// directory are inherited unless [`Entrance::command`] says otherwise.
    ///
    /// # Errors
    /// If no pipe can be made.
    pub fn new<A: AsRef<OsStr>>(
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Self, EntranceError> {
        let (failures, report) = pipe2(OFlag::O_CLOEXEC).map_err(io::Error::from)?;
        let (uid, gid) = (geteuid(), getegid());
        let maps = (format!("0 {uid} 1\n"), format!("0 {gid} 1\n"));
        let parent = getpid();
        let mut command = Command::new("/proc/self/exe");
        command.args(arguments).env(VARIABLE, "1");
        // SAFETY: the closure makes system calls only, on data that was prepared here: no
        // allocation, no lock.
        unsafe {
            command.pre_exec(move || {
                pass(parent, &maps).map_err(|(step, errno)| {
                    // Without the step the number of the error is told still.
                    let _ = write(&report, &[step as u8]);
                    io::Error::from(errno)
                })
            });
        }
        Ok(Entrance { command, failures })
    }

    /// The command, to redirect its streams or set variables.
    pub fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    /// Starts it. Its exit status is the copy's; to kill it is to kill all.
    ///
    /// # Errors
    /// If the namespaces are refused or the program cannot be executed.
    pub fn spawn(self) -> Result<Child, EntranceError> {
        let Entrance {
            mut command,
            failures,
        } = self;
        let spawned = command.spawn();
        // The closure owns the other end of the pipe.
        drop(command);
        let source = match spawned {
            Ok(child) => return Ok(child),
            Err(source) => source,
        };
        let mut step = [0];
        let told = nix::unistd::read(&failures, &mut step) == Ok(1);
        let step = STEPS.iter().find(|(s, _)| told && *s as u8 == step[0]);
        Err(match step {
            None => EntranceError::Execute(source),
            Some((Step::Unshare, _)) => EntranceError::Unshare { source },
            Some((_, step)) => EntranceError::Step { step, source },
        })
    }
}

type Failure = (Step, Errno);

fn at(step: Step) -> impl FnOnce(Errno) -> Failure {
    move |errno| (step, errno)
}

/// Returns in the process that is to be the copy.
fn pass(parent: Pid, (uid_map, gid_map): &(String, String)) -> Result<(), Failure> {
    unshare(
        CloneFlags::CLONE_NEWUSER
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC,
    )
    .map_err(at(Step::Unshare))?;
    let map = |file: &str, text: &str| {
        let written = std::fs::write(file, text);
        written.map_err(|e| (Step::MapIds, Errno::from_raw(e.raw_os_error().unwrap_or(0))))
    };
    map("/proc/self/setgroups", "deny")?;
    map("/proc/self/uid_map", uid_map)?;
    map("/proc/self/gid_map", gid_map)?;
    // Only now: a change of credentials clears it (prctl(2)).
    set_pdeathsig(Signal::SIGKILL).map_err(at(Step::Bind))?;
    if getppid() != parent {
        exit(1);
    }
    let (gone, alive) = pipe2(OFlag::O_CLOEXEC).map_err(at(Step::Bind))?;
    // SAFETY: this process has one thread, and its children make system calls only until one of
    // them executes.
    match unsafe { fork() }.map_err(at(Step::Fork))? {
        ForkResult::Parent { child } => {
            drop(gone);
            wait_for(child, alive.as_fd())
        }
        ForkResult::Child => drop(alive),
    }
    set_pdeathsig(Signal::SIGKILL).map_err(at(Step::Bind))?;
    // The parent lies outside of this PID namespace, so getppid() cannot tell whether it was
    // there when the kernel was told; its end of the pipe can.
    let mut fds = [PollFd::new(gone.as_fd(), PollFlags::empty())];
    if poll(&mut fds, PollTimeout::ZERO).map_err(at(Step::Bind))? != 0 {
        exit(1);
    }
    mounts()?;
    // SAFETY: as above.
    match unsafe { fork() }.map_err(at(Step::Fork))? {
        ForkResult::Parent { child } => wait_for(child, gone.as_fd()),
        ForkResult::Child => Ok(()),
    }
}

/// A view of the file system in which /proc shows the new PID namespace, and /run (rules' locks,
/// names of namespaces, sockets) is empty.
fn mounts() -> Result<(), Failure> {
    let none: Option<&str> = None;
    let apart = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(none, "/", none, apart, none).map_err(at(Step::PrivateMounts))?;
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(
        Some("proc"),
        "/proc",
        Some("proc"),
        plain | MsFlags::MS_NOEXEC,
        none,
    )
    .map_err(at(Step::MountProc))?;
    mount(
        Some("tmpfs"),
        "/run",
        Some("tmpfs"),
        plain,
        Some("mode=0755"),
    )
    .map_err(at(Step::MountRun))?;
    mkdir("/run/netns", nix::sys::stat::Mode::S_IRWXU).map_err(at(Step::MountRun))
}

/// Reaps until `child` ends, and ends as it did. Of all descriptors only `kept` stays open: the
/// caller waits for the ends of the others.
fn wait_for(child: Pid, kept: BorrowedFd<'_>) -> ! {
    let kept = kept.as_raw_fd().unsigned_abs();
    if kept > 0 {
        close_range(0, kept - 1);
    }
    close_range(kept + 1, u32::MAX);
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, status)) if pid == child => exit(status),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => exit(128 + signal as i32),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => exit(1),
        }
    }
}

fn close_range(first: u32, last: u32) {
    // SAFETY: nothing in this process uses a descriptor afterwards.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
}

/// Ends without the caller's exit handlers, which are not for a fork of it.
fn exit(status: i32) -> ! {
    // SAFETY: it never returns and touches no memory.
    unsafe { libc::_exit(status) }
}
