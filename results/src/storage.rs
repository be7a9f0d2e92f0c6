//! What goes wrong with files and directories, said so that the reader knows what to do; and
//! writing a file so that it is there whole or not at all.
//!
//! *Assumes* a POSIX file system with locks (flock). *Guarantees* that every error names the path, what was being
//! done to it, and the remedy.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why a campaign or run directory could not be made, written or read.
#[derive(Debug, thiserror::Error)]
pub enum DirError {
    /// It is there already, and nothing is ever overwritten.
    #[error(
        "{} exists already, is no campaign to go on with, and is not overwritten: name another directory, or remove this one first", path.display()
    )]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// Another process adds to it.
    #[error(
        "another flaplab is at work in {}: wait until it has ended (nothing is lost then, and this command goes on from there), or name another directory", path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A name that cannot be one component of a path.
    #[error(
        "`{name}` cannot be the name of a {what}: use letters, digits, `-`, `_` and `.`, and begin with a letter or digit"
    )]
    BadName {
        /// What was to be named.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}{}", path.display(), remedy(source))]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// What to.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The directory lacks what makes it a campaign.
    #[error("{} is not a campaign directory: it has no {missing}; name a directory that `flaplab run --out` made", path.display())]
    NotACampaign {
        /// The directory.
        path: PathBuf,
        /// What it lacks.
        missing: &'static str,
    },
    /// The directory lacks what makes it a run.
    #[error("{} is not a run directory: it has no {missing}; name one of CAMPAIGN/runs/", path.display())]
    NotARun {
        /// The directory.
        path: PathBuf,
        /// What it lacks.
        missing: &'static str,
    },
    /// It was written in another version of the format.
    #[error(
        "{} is of schema version {found}, and this flaplab reads versions {oldest} to {supported}: use the flaplab that made it (`tool_version` and `tool_commit` in the file name it)", path.display()
    )]
    SchemaVersion {
        /// The manifest.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The oldest that is read.
        oldest: u32,
        /// Ours.
        supported: u32,
    },
    /// A file is there and its content makes no sense.
    #[error("{} cannot be understood: {reason}; it is damaged or was edited: restore it from a copy, or leave this run out", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A value could not be written in the file's format.
    #[error("cannot write {}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The run is sealed.
    #[error("{} is sealed: its records are never changed; make a new run", path.display())]
    Sealed {
        /// The run directory.
        path: PathBuf,
    },
}

/// What to do about an I/O error; begins with its own separator.
fn remedy(e: &io::Error) -> &'static str {
    match e.kind() {
        io::ErrorKind::StorageFull => {
            "; free space on this file system, or name a directory on another one (--out)"
        }
        io::ErrorKind::QuotaExceeded => {
            "; your quota is used up: remove files, or name a directory elsewhere (--out)"
        }
        io::ErrorKind::PermissionDenied => {
            "; name a directory that this user may write to (--out), or have its owner grant it"
        }
        io::ErrorKind::ReadOnlyFilesystem => "; name a directory on a writable one (--out)",
        io::ErrorKind::NotFound => "; check the path, and that the run got as far as writing this",
        _ => "",
    }
}

/// A directory that one process at a time writes to. The kernel lets go of it when that process
/// ends, by SIGKILL too: nothing is left to be cleaned up, and no number of a process can be
/// mistaken for another's.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Its file in the directory; empty, and without a meaning of its own.
    pub const NAME: &str = ".lock";

    /// Takes it at once or not at all.
    ///
    /// # Errors
    /// [`DirError::InUse`] if another process has it; otherwise if the file cannot be made.
    pub fn take(dir: &Path) -> Result<Self, DirError> {
        let path = dir.join(Self::NAME);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(io_error("lock", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(DirError::InUse {
                path: dir.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(io_error("lock", &path)(source)),
        }
    }
}

/// Attaches what was being done, and to what.
pub(crate) fn io_error<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> DirError + 'a {
    move |source| DirError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Checks that `name` is one plain path component, the same on every file system.
pub(crate) fn check_name(what: &'static str, name: &str) -> Result<(), DirError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain) {
        return Ok(());
    }
    Err(DirError::BadName {
        what,
        name: name.to_owned(),
    })
}

/// Makes a directory that must not be there yet, and its parents.
pub(crate) fn create_new_dir(path: &Path) -> Result<(), DirError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(io_error("create", parent))?;
    }
    fs::create_dir(path).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => DirError::Exists {
            path: path.to_owned(),
        },
        _ => io_error("create", path)(source),
    })
}

/// Writes a file so that at every instant, a crash of the machine included, either its old
/// content or its new one is there: to a temporary name, to disk, renamed, and the name to disk.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> Result<(), DirError> {
    let mut temp = path.as_os_str().to_owned();
    temp.push(".tmp");
    let temp = PathBuf::from(temp);
    let written = File::create(&temp)
        .and_then(|mut f| {
            f.write_all(content)?;
            f.sync_all()
        })
        .and_then(|()| fs::rename(&temp, path));
    if let Err(source) = written {
        // What is half written helps nobody; the error that matters is the first.
        let _ = fs::remove_file(&temp);
        return Err(io_error("write", path)(source));
    }
    let dir = path.parent().unwrap_or(Path::new("."));
    File::open(dir)
        .and_then(|d| d.sync_all())
        .map_err(io_error("write", dir))
}

/// Reads a text file.
pub(crate) fn read_text(path: &Path) -> Result<String, DirError> {
    fs::read_to_string(path).map_err(io_error("read", path))
}
