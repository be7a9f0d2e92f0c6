//! Where received octets go.
//!
//! *Assumes* that nobody else writes to the file.
//! *Guarantees* that a file holds each octet once, whatever crashes: what is appended beyond the
//! last record is cut off before more is appended. A pipe or terminal cannot be cut, so it gets
//! what came after the last record twice.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Where received octets go.
#[derive(Debug)]
pub(crate) enum Sink {
    /// A file, which can be cut back.
    File { file: File, path: PathBuf },
    /// Standard output.
    Stream(File),
}

/// Why received octets cannot be kept.
#[derive(Debug, Error)]
pub enum SinkError {
    /// It cannot be opened.
    #[error("cannot open {}: {source}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// What was acknowledged to the peer is gone.
    #[error(
        "{} has {len} octets, but {received} were received and acknowledged to the peer, which \
         will not send them again: restore the file, or remove the record to give the connection up",
        path.display()
    )]
    Short {
        /// Which.
        path: PathBuf,
        /// Its length.
        len: u64,
        /// What it should have.
        received: u64,
    },
    /// It cannot be written.
    #[error("cannot write to {name}: {source}")]
    Write {
        /// Where.
        name: String,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl Sink {
    /// A file, empty, as the shell's `>` makes it.
    pub(crate) fn create(path: &Path) -> Result<Sink, SinkError> {
        Sink::open(path, 0)
    }

    /// A file that has at least these octets, and then has no others.
    pub(crate) fn reopen(path: &Path, received: u64) -> Result<Sink, SinkError> {
        Sink::open(path, received)
    }

    /// Whether a file has at least these octets. Nothing is changed.
    pub(crate) fn admit(path: &Path, received: u64) -> Result<(), SinkError> {
        Sink::find(path, received).map(drop)
    }

    fn open(path: &Path, received: u64) -> Result<Sink, SinkError> {
        let mut file = Sink::find(path, received)?;
        file.set_len(received)
            .and_then(|()| file.seek(SeekFrom::Start(received)))
            .map_err(|source| SinkError::Open {
                path: path.into(),
                source,
            })?;
        Ok(Sink::File {
            file,
            path: path.into(),
        })
    }

    fn find(path: &Path, received: u64) -> Result<File, SinkError> {
        let failed = |source| SinkError::Open {
            path: path.into(),
            source,
        };
        let file = OpenOptions::new()
            .write(true)
            // If octets should be there, there is a file.
            .create(received == 0)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            let source = io::Error::other("it is no regular file, and cannot be cut back");
            return Err(failed(source));
        }
        let len = metadata.len();
        if len < received {
            return Err(SinkError::Short {
                path: path.into(),
                len,
                received,
            });
        }
        Ok(file)
    }

    /// Standard output, without a buffer of its own.
    pub(crate) fn stdout() -> Result<Sink, SinkError> {
        let stdout = io::stdout().as_fd().try_clone_to_owned();
        let stdout = stdout.map_err(|source| SinkError::Write {
            name: "standard output".into(),
            source,
        })?;
        Ok(Sink::Stream(File::from(stdout)))
    }

    pub(crate) fn append(&mut self, octets: &[u8]) -> Result<(), SinkError> {
        let (Sink::File { file, .. } | Sink::Stream(file)) = self;
        let written = file.write_all(octets);
        written.map_err(|source| self.failed(source))
    }

    /// Waits until everything has reached the disk.
    pub(crate) fn sync(&self) -> Result<(), SinkError> {
        match self {
            Sink::File { file, .. } => file.sync_data().map_err(|source| self.failed(source)),
            Sink::Stream(_) => Ok(()),
        }
    }

    fn failed(&self, source: io::Error) -> SinkError {
        let name = match self {
            Sink::File { path, .. } => path.display().to_string(),
            Sink::Stream(_) => "standard output".into(),
        };
        SinkError::Write { name, source }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::fs;

    use super::*;

    #[test]
    fn what_is_beyond_the_record_is_cut_off_and_comes_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut sink = Sink::create(&path).unwrap();
        sink.append(b"recorded").unwrap();
        // The record says 8; what follows is lost with the process, in the file or not.
        sink.append(b" and mor").unwrap();
        drop(sink);
        for _ in 0..2 {
            let mut sink = Sink::reopen(&path, 8).unwrap();
            sink.append(b" and more").unwrap();
            sink.sync().unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"recorded and more");
        }
    }

    #[test]
    fn a_file_that_has_lost_octets_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(&path, b"short").unwrap();
        for refused in [Sink::reopen(&path, 6).map(drop), Sink::admit(&path, 6)] {
            let error = refused.unwrap_err();
            assert!(matches!(
                error,
                SinkError::Short {
                    len: 5,
                    received: 6,
                    ..
                }
            ));
        }
        Sink::admit(&path, 4).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"short");
        fs::remove_file(&path).unwrap();
        assert!(matches!(
            Sink::reopen(&path, 6),
            Err(SinkError::Open { .. })
        ));
        assert!(!path.exists());
        // Nothing was acknowledged yet: the crash may have come before the file.
        Sink::reopen(&path, 0).unwrap();
    }

    #[test]
    fn a_new_connection_begins_with_an_empty_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(&path, b"of an earlier one").unwrap();
        Sink::create(&path).unwrap().append(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let error = Sink::create(Path::new("/dev/null")).unwrap_err();
        assert!(error.to_string().contains("no regular file"), "{error}");
    }
}
