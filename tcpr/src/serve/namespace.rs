//! Entering the network namespace of the connections to be protected.
//!
//! *Assumes* a process of one thread, if the namespace belongs to another user namespace.
//! *Guarantees* that files are found where they were: the mount namespace stays.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};

/// `NS_GET_USERNS` of ioctl_nsfs(2): `_IO(0xb7, 1)`.
const NS_GET_USERNS: nix::libc::Ioctl = 0xb701;

/// Enters a network namespace given by its file.
pub(super) fn enter(path: &Path) -> io::Result<()> {
    let namespace = File::open(path)?;
    match setns(&namespace, CloneFlags::CLONE_NEWNET) {
        // It may belong to a user namespace of the caller's, as `unshare -Urn` makes one.
        Err(Errno::EPERM) => {
            let owner = owner(&namespace)?;
            setns(&owner, CloneFlags::CLONE_NEWUSER)?;
            setns(&namespace, CloneFlags::CLONE_NEWNET)?;
            Ok(())
        }
        Err(Errno::EINVAL) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "that is no network namespace",
        )),
        other => Ok(other?),
    }
}

/// The user namespace that a namespace belongs to.
fn owner(namespace: &File) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is open, and this call takes no argument beside it.
    let descriptor = unsafe { nix::libc::ioctl(namespace.as_raw_fd(), NS_GET_USERNS) };
    let descriptor = Errno::result(descriptor)?;
    // SAFETY: the kernel has just made this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
