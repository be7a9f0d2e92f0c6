//! One process at a time has a record.
//!
//! *Assumes* a file system whose locks (flock) end with the process that has them.
//! *Guarantees* that two processes never recover the same connection, nor write the same files;
//! and that a process which is just being killed is waited for.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use thiserror::Error;

/// A process that was killed may take so long to be gone: its memory is freed first.
const DYING: Duration = Duration::from_secs(2);

/// Why a lock was not taken.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{} is in use by process {holder}, which still runs", path.display())]
    Held {
        /// What it is for.
        path: PathBuf,
        /// As the process has written it.
        holder: String,
    },
    /// The file cannot be made.
    #[error("cannot lock {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// A lock that is held until this is dropped, or the process ends.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    _file: Flock<File>,
}

impl Lock {
    /// Takes the lock that stands for `what`, in the file `path`.
    ///
    /// # Errors
    ///
    /// If another process has it, or the file cannot be made.
    pub fn take(path: &Path, what: &Path) -> Result<Lock, LockError> {
        let failed = |source| LockError::File {
            path: path.to_owned(),
            source,
        };
        let until = Instant::now() + DYING;
        loop {
            let file = open(path).map_err(failed)?;
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                // Whoever had it may have removed the file before it let go.
                Ok(mut file) if is_at(&file, path) => {
                    note_holder(&mut file).map_err(failed)?;
                    return Ok(Lock {
                        path: path.to_owned(),
                        _file: file,
                    });
                }
                Ok(_) => {}
                Err((_, Errno::EWOULDBLOCK)) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err((mut file, Errno::EWOULDBLOCK)) => {
                    return Err(LockError::Held {
                        path: what.to_owned(),
                        holder: holder(&mut file),
                    });
                }
                Err((_, errno)) => return Err(failed(errno.into())),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is still held: whoever opens it from now on makes a new one.
        let _ = fs::remove_file(&self.path);
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(theirs)) = (file.metadata(), fs::metadata(path)) else {
        return false;
    };
    (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino())
}

fn note_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.read_to_string(&mut text);
    match text.trim() {
        text if read.is_ok() && !text.is_empty() => text.to_owned(),
        _ => "(unknown)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_lock_is_held_once_and_its_holder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (path, what) = (folder.path().join("a.lock"), folder.path().join("a"));
        let first = Lock::take(&path, &what).unwrap();
        let error = Lock::take(&path, &what).unwrap_err();
        let told = error.to_string();
        assert!(told.contains(&std::process::id().to_string()), "{told}");
        assert!(matches!(error, LockError::Held { .. }), "{told}");
        drop(first);
        assert!(!path.exists());
        drop(Lock::take(&path, &what).unwrap());
    }

    #[test]
    fn one_who_lets_go_in_time_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        let first = Lock::take(&path, &path).unwrap();
        let until = Instant::now() + Duration::from_millis(50);
        let dying = std::thread::spawn(move || {
            while Instant::now() < until {
                std::thread::yield_now();
            }
            drop(first);
        });
        let second = Lock::take(&path, &path).unwrap();
        assert!(Instant::now() >= until);
        assert!(is_at(&second._file, &path));
        dying.join().unwrap();
    }

    #[test]
    fn what_a_killed_process_left_is_not_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        fs::write(&path, "4194305\n").unwrap();
        drop(Lock::take(&path, &path).unwrap());
    }
}
