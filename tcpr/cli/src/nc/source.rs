//! Where output comes from, and comes from again.
//!
//! *Assumes* that a regular file given as standard input is not changed while it is sent.
//! *Guarantees* that octet n is the same octet whenever it is read, before and after a crash: a
//! regular file is read again, and of anything else each octet is logged before it is given out.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use thiserror::Error;

use super::log::{LogError, OutputLog};
use super::record::Repeat;

/// Where output comes from.
#[derive(Debug)]
pub(crate) struct Source {
    input: File,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    File { start: u64 },
    Logged { log: OutputLog, durable: bool },
}

/// Why there is no output.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Standard input cannot be read.
    #[error("cannot read standard input: {0}")]
    Read(#[source] io::Error),
    /// It was another file.
    #[error(
        "the connection was begun with a regular file as its standard input, which is read again \
         from octet {base} on: start with the same file (`< FILE`), and not with another input"
    )]
    OtherInput {
        /// What the peer has.
        base: u64,
    },
    /// It is shorter than it was.
    #[error(
        "standard input ends at octet {end} of the output, and {wanted} were read from it before: \
         the file has changed"
    )]
    Short {
        /// Where it ends.
        end: u64,
        /// What was there.
        wanted: u64,
    },
}

impl Source {
    /// Standard input as the beginning of the output.
    pub(crate) fn begin(log: &Path, durable: bool) -> Result<Source, SourceError> {
        Source::begin_with(stdin()?, log, durable)
    }

    fn begin_with(mut input: File, log: &Path, durable: bool) -> Result<Source, SourceError> {
        let metadata = input.metadata().map_err(SourceError::Read)?;
        let kind = if metadata.is_file() {
            let start = input.stream_position().map_err(SourceError::Read)?;
            Kind::File { start }
        } else {
            let log = OutputLog::create(log)?;
            Kind::Logged { log, durable }
        };
        Ok(Source { input, kind })
    }

    /// Standard input after a crash.
    pub(crate) fn go_on(
        repeat: &Repeat,
        base: u64,
        log: &Path,
        durable: bool,
    ) -> Result<Source, SourceError> {
        Source::go_on_with(stdin()?, repeat, base, log, durable)
    }

    fn go_on_with(
        input: File,
        repeat: &Repeat,
        base: u64,
        log: &Path,
        durable: bool,
    ) -> Result<Source, SourceError> {
        let kind = match *repeat {
            Repeat::File {
                device,
                inode,
                start,
            } => {
                let metadata = input.metadata().map_err(SourceError::Read)?;
                if (metadata.dev(), metadata.ino()) != (device, inode) {
                    return Err(SourceError::OtherInput { base });
                }
                let end = metadata.len().saturating_sub(start);
                if end < base {
                    return Err(SourceError::Short { end, wanted: base });
                }
                Kind::File { start }
            }
            Repeat::Log => {
                let log = OutputLog::reopen(log)?;
                log.admit(base)?;
                Kind::Logged { log, durable }
            }
        };
        Ok(Source { input, kind })
    }

    /// How the output can be had again, for the record.
    pub(crate) fn repeat(&self) -> Result<Repeat, SourceError> {
        match self.kind {
            Kind::File { start } => {
                let metadata = self.input.metadata().map_err(SourceError::Read)?;
                Ok(Repeat::File {
                    device: metadata.dev(),
                    inode: metadata.ino(),
                    start,
                })
            }
            Kind::Logged { .. } => Ok(Repeat::Log),
        }
    }

    /// Reads output from an octet on. `end`: where it is known to end. Zero: that is here.
    pub(crate) fn read(
        &mut self,
        offset: u64,
        end: Option<u64>,
        octets: &mut [u8],
    ) -> Result<usize, SourceError> {
        let left = end.map_or(usize::MAX, |end| {
            usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX)
        });
        let len = octets.len().min(left);
        let octets = &mut octets[..len];
        if octets.is_empty() {
            return Ok(0);
        }
        let read = match &mut self.kind {
            Kind::File { start } => self
                .input
                .read_at(octets, *start + offset)
                .map_err(SourceError::Read)?,
            Kind::Logged { log, .. } if offset < log.end() => log.read(offset, octets)?,
            Kind::Logged { .. } if end.is_some() => 0,
            Kind::Logged { log, durable } => {
                let read = next(&mut self.input, octets)?;
                log.append(&octets[..read])?;
                if *durable && read > 0 {
                    log.sync()?;
                }
                read
            }
        };
        match end {
            Some(wanted) if read == 0 => Err(SourceError::Short {
                end: offset,
                wanted,
            }),
            _ => Ok(read),
        }
    }

    /// Output up to here will not be asked for again.
    pub(crate) fn trim(&mut self, acked: u64) {
        if let Kind::Logged { log, .. } = &mut self.kind {
            log.trim(acked);
        }
    }
}

fn stdin() -> Result<File, SourceError> {
    let input = io::stdin().as_fd().try_clone_to_owned();
    Ok(File::from(input.map_err(SourceError::Read)?))
}

fn next(input: &mut File, octets: &mut [u8]) -> Result<usize, SourceError> {
    loop {
        match input.read(octets) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            read => return read.map_err(SourceError::Read),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::fs;
    use std::io::{SeekFrom, Write};

    use super::*;

    fn all(source: &mut Source, mut offset: u64, end: Option<u64>) -> Vec<u8> {
        let (mut octets, mut buffer) = (Vec::new(), [0; 3]);
        loop {
            match source.read(offset, end, &mut buffer).unwrap() {
                0 => return octets,
                n => {
                    octets.extend_from_slice(&buffer[..n]);
                    offset += n as u64;
                }
            }
        }
    }

    fn pipe(content: &[u8]) -> File {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(content).unwrap();
        File::from(std::os::fd::OwnedFd::from(reader))
    }

    #[test]
    fn a_pipe_is_logged_and_goes_on_with_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("output");
        let mut source = Source::begin_with(pipe(b"one, "), &log, false).unwrap();
        assert_eq!(all(&mut source, 0, None), b"one, ");
        assert_eq!(source.repeat().unwrap(), Repeat::Log);
        drop(source);
        let mut source = Source::go_on_with(pipe(b"two"), &Repeat::Log, 1, &log, true).unwrap();
        assert_eq!(all(&mut source, 1, None), b"ne, two");
        drop(source);
        // The end was recorded: what a new pipe has is not part of the output.
        let mut source = Source::go_on_with(pipe(b"three"), &Repeat::Log, 4, &log, true).unwrap();
        assert_eq!(all(&mut source, 4, Some(8)), b" two");
    }

    #[test]
    fn a_file_is_read_again_from_where_it_was_begun_without_a_log() {
        let folder = tempfile::tempdir().unwrap();
        let (log, path) = (folder.path().join("output"), folder.path().join("in"));
        fs::write(&path, b"header, content").unwrap();
        let mut input = File::open(&path).unwrap();
        input.seek(SeekFrom::Start(8)).unwrap();
        let mut source = Source::begin_with(input, &log, false).unwrap();
        let repeat = source.repeat().unwrap();
        assert_eq!(all(&mut source, 0, None), b"content");
        let again = File::open(&path).unwrap();
        let mut source = Source::go_on_with(again, &repeat, 3, &log, false).unwrap();
        assert_eq!(all(&mut source, 3, Some(7)), b"tent");
        assert!(!log.exists());
    }

    #[test]
    fn another_input_or_one_that_has_shrunk_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (log, path) = (folder.path().join("output"), folder.path().join("in"));
        fs::write(&path, b"content").unwrap();
        let open = || File::open(&path).unwrap();
        let source = Source::begin_with(open(), &log, false).unwrap();
        let repeat = source.repeat().unwrap();
        let go_on = |input, base| Source::go_on_with(input, &repeat, base, &log, false);
        assert!(matches!(
            go_on(pipe(b"content"), 0),
            Err(SourceError::OtherInput { base: 0 })
        ));
        let mut source = go_on(open(), 5).unwrap();
        fs::write(&path, b"cont").unwrap();
        assert!(matches!(
            go_on(open(), 5),
            Err(SourceError::Short { end: 4, wanted: 5 })
        ));
        let read = source.read(5, Some(7), &mut [0; 8]);
        assert!(matches!(
            read,
            Err(SourceError::Short { end: 5, wanted: 7 })
        ));
    }
}
