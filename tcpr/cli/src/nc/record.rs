//! What `tcpr nc` keeps of its connection.
//!
//! *Assumes* that one process at a time writes it.
//! *Guarantees* that the record is replaced as a whole, so that a crash at any instant leaves one
//! that was true a moment before; and that it is not taken for another command's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tcpr::{Durability, Flow, Hard, Record};
use thiserror::Error;

use crate::replace::replace;

/// The version of this format.
const VERSION: u32 = 1;

/// What the connection was begun for. The same command has to go on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Purpose {
    pub(crate) listen: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Where received octets go; standard output if there is none.
    pub(crate) out: Option<PathBuf>,
}

/// From where what was sent can be had again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Repeat {
    /// From the standard input, a regular file: octet 0 stands at `start` in it.
    File { device: u64, inode: u64, start: u64 },
    /// From the log beside the record.
    Log,
}

/// How far the connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// It is being opened. What there is of it after a crash is of no use.
    Connecting { flow: Flow },
    /// It is there.
    Open { connection: Record, repeat: Repeat },
}

/// The record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NcRecord {
    version: u32,
    pub(crate) purpose: Purpose,
    pub(crate) stage: Stage,
}

/// Why a record cannot be gone on with, or written.
#[derive(Debug, Error)]
pub enum NcRecordError {
    /// It cannot be read.
    #[error("cannot read the record {}: {source}", path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// It is none.
    #[error("{} is no record of tcpr nc: {source}", path.display())]
    Malformed {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It is of another version.
    #[error(
        "the record {} is of version {given}, and this program reads version {wanted}: go on with \
         the program that wrote it, or remove the record to begin afresh", path.display()
    )]
    Version {
        /// Where it is.
        path: PathBuf,
        /// Its version.
        given: u32,
        /// Ours.
        wanted: u32,
    },
    /// It belongs to another command.
    #[error(
        "the record {} is of another connection, begun by `{begun}`: use the same command to go \
         on with it, or another record", path.display()
    )]
    OtherPurpose {
        /// Where it is.
        path: PathBuf,
        /// What began it.
        begun: String,
    },
    /// It cannot be written.
    #[error("cannot write the record {}: {source}", path.display())]
    Write {
        /// Where it should be.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl Purpose {
    /// The command that it stands for.
    fn command(&self, record: &Path) -> String {
        let listen = if self.listen { "-l " } else { "" };
        let out = self
            .out
            .as_deref()
            .map_or(String::new(), |out| format!(" --out {}", out.display()));
        let (host, port) = (&self.host, self.port);
        format!(
            "tcpr nc {listen}{host} {port} --record {}{out}",
            record.display()
        )
    }
}

impl NcRecord {
    pub(crate) fn new(purpose: Purpose, stage: Stage) -> NcRecord {
        NcRecord {
            version: VERSION,
            purpose,
            stage,
        }
    }

    /// The record of this purpose, if there is one.
    pub(crate) fn load(path: &Path, purpose: &Purpose) -> Result<Option<NcRecord>, NcRecordError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(NcRecordError::Read {
                    path: path.into(),
                    source,
                });
            }
        };
        let malformed = |source| NcRecordError::Malformed {
            path: path.into(),
            source,
        };
        // The versions first: of another one the rest need not make sense.
        let versions: Versions = serde_json::from_slice(&text).map_err(malformed)?;
        let connection = versions.stage.and_then(|stage| stage.open);
        let connection =
            connection.map_or(tcpr::client::RECORD_VERSION, |open| open.connection.version);
        for (given, wanted) in [
            (versions.version, VERSION),
            (connection, tcpr::client::RECORD_VERSION),
        ] {
            if given != wanted {
                return Err(NcRecordError::Version {
                    path: path.into(),
                    given,
                    wanted,
                });
            }
        }
        let record: NcRecord = serde_json::from_slice(&text).map_err(malformed)?;
        if record.purpose != *purpose {
            return Err(NcRecordError::OtherPurpose {
                path: path.into(),
                begun: record.purpose.command(path),
            });
        }
        Ok(Some(record))
    }

    /// Puts this record in the place of the one that is there.
    pub(crate) fn store(&self, path: &Path, durability: Durability) -> Result<(), NcRecordError> {
        replace(path, durability, self).map_err(|source| NcRecordError::Write {
            path: path.into(),
            source,
        })
    }
}

#[derive(Deserialize)]
struct Versions {
    version: u32,
    #[serde(default)]
    stage: Option<StageVersions>,
}

#[derive(Deserialize)]
struct StageVersions {
    #[serde(default)]
    open: Option<OpenVersions>,
}

#[derive(Deserialize)]
struct OpenVersions {
    connection: ConnectionVersion,
}

#[derive(Deserialize)]
struct ConnectionVersion {
    version: u32,
}

/// What of the peer's output is in the sink, in octets: its FIN is none.
pub(crate) fn received(hard: &Hard) -> u64 {
    hard.peer_fin
        .map_or(hard.checkpoint, |fin| hard.checkpoint.min(fin))
}

/// Whether the end of the peer's output is known to have been passed on.
pub(crate) fn input_has_ended(hard: &Hard) -> bool {
    hard.peer_fin.is_some_and(|fin| hard.checkpoint > fin)
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use tcpr::core::Stream;

    use super::*;

    pub(crate) fn hard(checkpoint: u64) -> Hard {
        let flow = Flow {
            local: "198.18.0.1:4000".parse().unwrap(),
            remote: "198.18.0.2:179".parse().unwrap(),
        };
        Hard {
            checkpoint,
            ..Hard::begin(flow, Stream { initial: 1000 }, Stream { initial: 5000 })
        }
    }

    fn purpose() -> Purpose {
        Purpose {
            listen: false,
            host: "198.18.0.2".into(),
            port: 179,
            out: Some("/data/in".into()),
        }
    }

    fn open(checkpoint: u64) -> NcRecord {
        let connection = Record::new(hard(checkpoint));
        let repeat = Repeat::Log;
        NcRecord::new(purpose(), Stage::Open { connection, repeat })
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record");
        assert_eq!(NcRecord::load(&path, &purpose()).unwrap(), None);
        let flow = hard(0).flow;
        let connecting = NcRecord::new(purpose(), Stage::Connecting { flow });
        for record in [connecting, open(17)] {
            for durability in [Durability::Process, Durability::Machine] {
                record.store(&path, durability).unwrap();
                let read = NcRecord::load(&path, &purpose()).unwrap();
                assert_eq!(read.as_ref(), Some(&record));
            }
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_crash_while_it_is_written_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record");
        open(17).store(&path, Durability::Process).unwrap();
        // As a process leaves it that is killed before the renaming.
        fs::write(folder.path().join("record.new"), b"{\"version\":1,\"pur").unwrap();
        assert_eq!(NcRecord::load(&path, &purpose()).unwrap(), Some(open(17)));
        open(18).store(&path, Durability::Process).unwrap();
        assert_eq!(NcRecord::load(&path, &purpose()).unwrap(), Some(open(18)));
    }

    #[test]
    fn a_record_of_another_version_or_command_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record");
        let load = || NcRecord::load(&path, &purpose()).unwrap_err();
        fs::write(&path, "{\"version\":9,\"stage\":3}").unwrap();
        assert!(matches!(load(), NcRecordError::Malformed { .. }));
        fs::write(&path, "{\"version\":9}").unwrap();
        assert!(matches!(load(), NcRecordError::Version { given: 9, .. }));
        let mut value = serde_json::to_value(open(17)).unwrap();
        value["stage"]["open"]["connection"]["version"] = 8.into();
        value["stage"]["open"]["connection"]["hard"] = "of a later time".into();
        fs::write(&path, value.to_string()).unwrap();
        assert!(matches!(load(), NcRecordError::Version { given: 8, .. }));
        fs::write(&path, "state").unwrap();
        assert!(matches!(load(), NcRecordError::Malformed { .. }));
        open(17).store(&path, Durability::Process).unwrap();
        let other = Purpose {
            out: None,
            ..purpose()
        };
        let told = NcRecord::load(&path, &other).unwrap_err().to_string();
        assert!(told.contains("tcpr nc 198.18.0.2 179 --record"), "{told}");
        assert!(told.contains("--out /data/in"), "{told}");
    }

    #[test]
    fn the_peers_fin_is_no_octet() {
        let mut hard = hard(10);
        assert_eq!((received(&hard), input_has_ended(&hard)), (10, false));
        hard.peer_fin = Some(10);
        assert_eq!((received(&hard), input_has_ended(&hard)), (10, false));
        hard.checkpoint = 11;
        assert_eq!((received(&hard), input_has_ended(&hard)), (10, true));
    }
}
