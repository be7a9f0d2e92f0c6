//! The entrance: from an ordinary process to process 1 of a capsule.
//!
//! *Assumes* to be the only thread of a freshly executed process whose standard input is the
//! socket to flaplab. *Guarantees* that it never returns into the caller's program.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Gid, Uid, fork, getegid, geteuid, setsid};

use super::{CapsuleError, Greeting, init, say};

/// Makes the capsule around this process and carries out what flaplab asks on standard input.
/// `run_dir` is seen inside as [`super::RUN_DIR`]; without one that is an empty directory in
/// memory.
pub fn enter(run_dir: Option<&Path>) -> ! {
    let stdin = std::io::stdin();
    let socket = stdin.as_fd();
    let status = match pass(socket, run_dir) {
        Ok(status) => status,
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

/// Returns in the entrance only, with the exit status of process 1.
fn pass(socket: BorrowedFd<'_>, run_dir: Option<&Path>) -> Result<i32, CapsuleError> {
    // A session of its own: Ctrl-C at the terminal is for flaplab, which then ends the lab in
    // order. It fails only for a process group leader, which is as good.
    let _ = setsid();
    // The working directory is carried into the new mount namespace as an open directory is
    // not, and needs no permission on its parents there.
    let dir = run_dir.unwrap_or(Path::new("/"));
    std::env::set_current_dir(dir).map_err(CapsuleError::step(format!(
        "enter the directory {}",
        dir.display()
    )))?;
    let (uid, gid) = (geteuid(), getegid());
    unshare(
        CloneFlags::CLONE_NEWUSER
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC,
    )
    .map_err(|source| CapsuleError::Unshare { source })?;
    map_ids(uid, gid)?;

    // SAFETY: this process has one thread, so the child may do what it likes.
    match unsafe { fork() }.map_err(CapsuleError::nix("fork process 1 of the capsule"))? {
        ForkResult::Child => init::run(socket, run_dir.is_some()),
        ForkResult::Parent { child } => {
            // If flaplab has gone, process 1 sees it and ends.
            let _ = say(
                socket,
                &Greeting::Init {
                    pid: child.as_raw(),
                },
            );
            // The end of file that flaplab waits for comes when the last copy is closed.
            init::forget_stdin();
            loop {
                match waitpid(child, None) {
                    Ok(WaitStatus::Exited(_, code)) => return Ok(code),
                    Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(128 + signal as i32),
                    Ok(_) | Err(nix::Error::EINTR) => {}
                    Err(e) => return Err(CapsuleError::nix("wait for process 1")(e)),
                }
            }
        }
    }
}

/// Maps the caller to uid and gid 0, and nobody else (user_namespaces(7)).
fn map_ids(uid: Uid, gid: Gid) -> Result<(), CapsuleError> {
    let write = |file: &str, text: String| {
        fs::write(file, text).map_err(CapsuleError::step(format!("write {file}")))
    };
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/uid_map", format!("0 {uid} 1\n"))?;
    write("/proc/self/gid_map", format!("0 {gid} 1\n"))
}
