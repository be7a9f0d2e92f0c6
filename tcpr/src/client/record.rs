//! What an application keeps of a connection, and where.
//!
//! *Assumes* that the file system renames atomically.
//! *Guarantees* that a reader sees an old record or a new one, whole, and that a record of another
//! version is refused rather than misread.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tcpr_core::Hard;

/// The version of this format.
pub const RECORD_VERSION: u32 = 1;

/// What the application persists of a connection: enough to recover it when both the application
/// and TCPR have lost everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`RECORD_VERSION`].
    pub version: u32,
    /// The connection.
    pub hard: Hard,
}

/// Why a record could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// There is none.
    #[error("there is no record {path}")]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("cannot read the record {path}")]
    Read {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is none.
    #[error("{path} is no record of a connection")]
    Malformed {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// It is of another version.
    #[error(
        "the record {path} is of version {given}, and this program reads version {RECORD_VERSION}"
    )]
    Version {
        /// Where it is.
        path: PathBuf,
        /// Its version.
        given: u32,
    },
    /// It cannot be written.
    #[error("cannot write the record {path}")]
    Write {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Whether a record has reached the disk when it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// It survives the death of the process, not that of the machine: no fsync.
    #[default]
    Process,
    /// It survives the death of the machine: fsync of the file and its folder.
    Machine,
}

impl Record {
    /// A record of this hard state.
    #[must_use]
    pub fn new(hard: Hard) -> Record {
        Record {
            version: RECORD_VERSION,
            hard,
        }
    }

    /// The record for the next recovery: to be stored before [`crate::Client::recover`].
    #[must_use]
    pub fn next(mut self) -> Record {
        self.hard.incarnation += 1;
        self
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// If it is missing, is none, or is of another version.
    pub fn load(path: &Path) -> Result<Record, RecordError> {
        let text = fs::read(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => RecordError::Missing { path: path.into() },
            _ => RecordError::Read {
                path: path.into(),
                source,
            },
        })?;
        let malformed = |source| RecordError::Malformed {
            path: path.into(),
            source,
        };
        // The version first: of another one the rest need not make sense.
        let Version { version } = serde_json::from_slice(&text).map_err(malformed)?;
        if version != RECORD_VERSION {
            return Err(RecordError::Version {
                path: path.into(),
                given: version,
            });
        }
        serde_json::from_slice(&text).map_err(malformed)
    }

    /// Writes the record in place of the one that is there, at once, readable by its owner alone.
    ///
    /// # Errors
    ///
    /// If it cannot be written; then what was there is there still.
    pub fn store(&self, path: &Path, durability: Durability) -> Result<(), RecordError> {
        self.replace(path, durability)
            .map_err(|source| RecordError::Write {
                path: path.into(),
                source,
            })
    }

    fn replace(&self, path: &Path, durability: Durability) -> io::Result<()> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let mut new = name.to_os_string();
        // Of the process, so that two that write do not mix; what a killed one left is written over
        // when its number comes again.
        new.push(format!(".{}.new", std::process::id()));
        let new = path.with_file_name(new);
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        let written = (|| {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(&text)?;
            if durability == Durability::Machine {
                file.sync_all()?;
            }
            fs::rename(&new, path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written?;
        if durability == Durability::Machine {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::client::session::tests::hard;

    #[test]
    fn a_record_is_replaced_at_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record");
        assert!(matches!(
            Record::load(&path),
            Err(RecordError::Missing { .. })
        ));
        let record = Record::new(hard(0));
        for durability in [Durability::Process, Durability::Machine] {
            record.store(&path, durability).unwrap();
            record.next().store(&path, durability).unwrap();
            assert_eq!(
                Record::load(&path).unwrap().hard.incarnation,
                record.hard.incarnation + 1
            );
        }
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "nothing is left beside it"
        );
    }

    #[test]
    fn what_cannot_be_written_leaves_the_old_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record");
        fs::create_dir(&path).unwrap();
        let error = Record::new(hard(0))
            .store(&path, Durability::Process)
            .unwrap_err();
        assert!(matches!(error, RecordError::Write { .. }));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn garbage_and_other_versions_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record");
        for garbage in [
            "",
            "{",
            "[1]",
            "{\"version\":1}",
            "{\"version\":1,\"hard\":{}}",
            "{\"version\":-1}",
        ] {
            fs::write(&path, garbage).unwrap();
            assert!(
                matches!(Record::load(&path), Err(RecordError::Malformed { .. })),
                "{garbage}"
            );
        }
        fs::write(&path, "{\"version\":2,\"state\":[]}").unwrap();
        let error = Record::load(&path).unwrap_err();
        assert!(matches!(error, RecordError::Version { given: 2, .. }));
        assert!(error.to_string().contains("version 2"), "{error}");
    }
}
