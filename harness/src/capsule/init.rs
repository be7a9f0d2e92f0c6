//! Process 1 of a capsule.
//!
//! *Assumes* to be the only thread of the first process of a new PID namespace. *Guarantees* to
//! reap every orphan, so that whoever waits for it is told the CPU time of all, and to end, and with
//! it the whole PID namespace, when the agent ends or flaplab's end of the socket is closed.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, dup2_stdin, fork, sethostname};

use super::{CapsuleError, Greeting, mounts, say};
use crate::agent;

/// Puts /dev/null in the place of standard input, so that this process no longer keeps the
/// socket open.
pub(super) fn forget_stdin() {
    if let Ok(null) = File::open("/dev/null") {
        // Without it the descriptor stays open until this process ends, which is soon.
        let _ = dup2_stdin(null);
    }
}

/// Runs process 1; never returns.
pub(super) fn run(socket: BorrowedFd<'_>, bind_run_dir: bool) -> ! {
    let status = match prepare(socket, bind_run_dir) {
        Ok((agent, signals)) => {
            let status = watch(socket, agent, &signals);
            end_all();
            status
        }
        Err(error) => {
            // If flaplab has gone there is nobody to tell.
            let _ = say(
                socket,
                &Greeting::Refused {
                    reason: error.to_string(),
                },
            );
            1
        }
    };
    std::process::exit(status)
}

/// Makes the mounts and forks the agent. Returns in process 1 only.
fn prepare(socket: BorrowedFd<'_>, bind_run_dir: bool) -> Result<(Pid, SignalFd), CapsuleError> {
    mounts::make(bind_run_dir)?;
    // The name matters to nobody but the prompt of `flaplab shell`.
    let _ = sethostname("flaplab");
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    mask.thread_block()
        .map_err(CapsuleError::nix("block SIGCHLD"))?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC)
        .map_err(CapsuleError::nix("make a signal descriptor"))?;
    // SAFETY: this process has one thread, so the child may do what it likes.
    match unsafe { fork() }.map_err(CapsuleError::nix("fork the lab agent"))? {
        ForkResult::Parent { child } => Ok((child, signals)),
        ForkResult::Child => {
            drop(signals);
            // The daemons inherit the signal mask: leave them a clean one.
            let _ = mask.thread_unblock();
            let status = match own(socket) {
                Ok(own) => {
                    forget_stdin();
                    agent::run(own)
                }
                Err(_) => 1,
            };
            std::process::exit(status)
        }
    }
}

/// A copy of the socket that no program started by the agent inherits.
fn own(socket: BorrowedFd<'_>) -> nix::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    let fd = fcntl(socket, FcntlArg::F_DUPFD_CLOEXEC(3))?;
    // SAFETY: the descriptor is new and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Ends what is left in the capsule. The kernel would do the same when process 1 ends, but it reaps
/// unasked then, and such CPU time is nobody's (zap_pid_ns_processes ignores SIGCHLD, and wait(2)
/// tells what becomes of times then): it would be taken for that of programs beside flaplab.
fn end_all() {
    // To every process that is seen from here, this one excepted (kill(2)).
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    while waitpid(None, None).is_ok() {}
}

/// Reaps until there is a reason to end; returns the exit status.
fn watch(socket: BorrowedFd<'_>, agent: Pid, signals: &SignalFd) -> i32 {
    // Both are reported unasked. POLLRDHUP, once asked for, would come with them: nix has no name
    // for it, and gives no answer at all for flags of which it does not know one.
    let gone = PollFlags::POLLHUP | PollFlags::POLLERR;
    loop {
        let mut fds = [
            PollFd::new(socket, PollFlags::empty()),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(_) => return 1,
        }
        if fds[0].revents().is_some_and(|r| r.intersects(gone)) {
            return 1;
        }
        // Drained so that the next poll waits; which signal it was is of no matter.
        if fds[1]
            .revents()
            .is_some_and(|r| r.contains(PollFlags::POLLIN))
        {
            let _ = signals.read_signal();
        }
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == agent => return code,
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == agent => {
                    return 128 + signal as i32;
                }
                Ok(WaitStatus::StillAlive) | Err(_) => break,
                Ok(_) => {}
            }
        }
    }
}
