//! Output that the peer may still have to be sent again.
//!
//! *Assumes* that octets are appended before they are written to the socket.
//! *Guarantees* that after a crash everything is there which the peer may have received a part of,
//! and that the log takes hardly more room than what is not acknowledged.
//!
//! Octet n of the output stands at position n of the file: nothing has to be parsed, and a crash in
//! the middle of an append leaves what it has appended. What is acknowledged is made a hole.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{FallocateFlags, fallocate};
use thiserror::Error;

/// Holes are made in steps of so many octets.
const STEP: u64 = 1 << 20;

/// The log.
#[derive(Debug)]
pub(crate) struct OutputLog {
    file: File,
    path: PathBuf,
    /// Octets logged since the beginning.
    end: u64,
    /// Before this there is a hole.
    trimmed: u64,
}

/// Why output cannot be logged, or sent again.
#[derive(Debug, Error)]
pub enum LogError {
    /// It cannot be opened.
    #[error("cannot open the log of the output {}: {source}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// It lacks what was sent.
    #[error(
        "the log of the output {} ends at octet {end}, and the peer has acknowledged {base}: \
         restore it, or remove the record to give the connection up", path.display()
    )]
    Short {
        /// Which.
        path: PathBuf,
        /// Where it ends.
        end: u64,
        /// What the peer has.
        base: u64,
    },
    /// It cannot be read.
    #[error("cannot read the log of the output {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write the log of the output {}: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl OutputLog {
    /// A log without octets, in place of any other.
    pub(crate) fn create(path: &Path) -> Result<OutputLog, LogError> {
        OutputLog::open(path, true)
    }

    /// The log as a crash has left it.
    pub(crate) fn reopen(path: &Path) -> Result<OutputLog, LogError> {
        OutputLog::open(path, false)
    }

    fn open(path: &Path, truncate: bool) -> Result<OutputLog, LogError> {
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(truncate)
            .mode(0o600)
            .open(path)
            .and_then(|file| Ok((file.metadata()?.len(), file)));
        let (end, file) = opened.map_err(|source| LogError::Open {
            path: path.into(),
            source,
        })?;
        Ok(OutputLog {
            file,
            path: path.into(),
            end,
            trimmed: 0,
        })
    }

    /// Octets logged since the beginning.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Makes sure that output can be sent again from here on.
    pub(crate) fn admit(&self, base: u64) -> Result<(), LogError> {
        if self.end < base {
            return Err(LogError::Short {
                path: self.path.clone(),
                end: self.end,
                base,
            });
        }
        Ok(())
    }

    pub(crate) fn append(&mut self, octets: &[u8]) -> Result<(), LogError> {
        let written = self.file.write_all_at(octets, self.end);
        written.map_err(|source| LogError::Write {
            path: self.path.clone(),
            source,
        })?;
        self.end += octets.len() as u64;
        Ok(())
    }

    /// Waits until everything has reached the disk.
    pub(crate) fn sync(&self) -> Result<(), LogError> {
        self.file.sync_data().map_err(|source| LogError::Write {
            path: self.path.clone(),
            source,
        })
    }

    /// Reads from an octet on. Zero: there is none yet.
    pub(crate) fn read(&self, offset: u64, octets: &mut [u8]) -> Result<usize, LogError> {
        self.file
            .read_at(octets, offset)
            .map_err(|source| LogError::Read {
                path: self.path.clone(),
                source,
            })
    }

    /// Output up to here will not be asked for again.
    pub(crate) fn trim(&mut self, acked: u64) {
        let until = acked.min(self.end) / STEP * STEP;
        if until <= self.trimmed {
            return;
        }
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let (offset, len) = (self.trimmed as i64, (until - self.trimmed) as i64);
        if let Err(errno) = fallocate(&self.file, flags, offset, len) {
            // Only room is lost.
            tracing::debug!("cannot make a hole in {}: {errno}", self.path.display());
        }
        self.trimmed = until;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn what_is_logged_is_read_again_after_a_crash_in_the_middle_of_an_append() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        let mut log = OutputLog::create(&path).unwrap();
        log.append(b"first ").unwrap();
        log.append(b"seco").unwrap();
        drop(log);
        let mut log = OutputLog::reopen(&path).unwrap();
        assert_eq!(log.end(), 10);
        log.append(b"nd").unwrap();
        log.sync().unwrap();
        let mut octets = [0; 32];
        assert_eq!(log.read(3, &mut octets).unwrap(), 9);
        assert_eq!(&octets[..9], b"st second");
        assert_eq!(log.read(12, &mut octets).unwrap(), 0);
        drop(log);
        assert_eq!(OutputLog::create(&path).unwrap().end(), 0);
    }

    #[test]
    fn a_log_that_lacks_what_the_peer_has_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        let mut log = OutputLog::reopen(&path).unwrap();
        log.append(b"abc").unwrap();
        log.admit(3).unwrap();
        let error = log.admit(4).unwrap_err();
        assert!(matches!(
            error,
            LogError::Short {
                end: 3,
                base: 4,
                ..
            }
        ));
    }

    #[test]
    fn acknowledged_output_takes_no_room_and_moves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        let mut log = OutputLog::create(&path).unwrap();
        let octets: Vec<u8> = (0..4 * STEP).map(|at| (at % 251) as u8).collect();
        log.append(&octets).unwrap();
        let before = fs::metadata(&path).unwrap();
        log.trim(STEP - 1);
        assert_eq!(fs::metadata(&path).unwrap().blocks(), before.blocks());
        // More may be acknowledged than there is: the FIN counts one.
        log.trim(3 * STEP + 5);
        log.trim(2 * STEP);
        let after = fs::metadata(&path).unwrap();
        assert_eq!(after.len(), 4 * STEP);
        // A file system without holes keeps it all.
        assert!(after.blocks() * 512 <= 2 * STEP || after.blocks() == before.blocks());
        let mut rest = vec![0; STEP as usize];
        assert_eq!(log.read(3 * STEP, &mut rest).unwrap(), rest.len());
        assert_eq!(rest, octets[3 * STEP as usize..]);
        drop(log);
        let mut log = OutputLog::reopen(&path).unwrap();
        log.trim(u64::MAX);
        log.append(b"more").unwrap();
        assert_eq!(log.end(), 4 * STEP + 4);
    }
}
