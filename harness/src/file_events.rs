//! Being told of changes to files, on the runtime.
//!
//! *Assumes* Linux's inotify. *Guarantees* that what was read from it is returned, also when the
//! caller stops waiting: a wait that is dropped has read nothing.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use tokio::io::unix::AsyncFd;

/// nix's handle, in the form that tokio takes.
struct Handle(Inotify);

impl AsRawFd for Handle {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// A set of files that are watched.
pub(crate) struct FileEvents {
    handle: AsyncFd<Handle>,
}

impl FileEvents {
    /// Watches nothing yet.
    pub(crate) fn new() -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        // SAFETY: the handle owns its descriptor, which is the same for as long as it lives.
        let handle = unsafe { AsyncFd::register(Handle(inotify)) }.map_err(io::Error::from)?;
        Ok(FileEvents { handle })
    }

    /// Watches a file or a directory too.
    pub(crate) fn add(&self, path: &Path, what: AddWatchFlags) -> io::Result<WatchDescriptor> {
        Ok(self.handle.get_ref().0.add_watch(path, what)?)
    }

    /// Waits for the next changes.
    pub(crate) async fn next(&self) -> io::Result<Vec<InotifyEvent>> {
        loop {
            let mut guard = self.handle.readable().await?;
            if let Ok(events) = guard.try_io(|h| Ok(h.get_ref().0.read_events()?)) {
                return events;
            }
        }
    }
}
