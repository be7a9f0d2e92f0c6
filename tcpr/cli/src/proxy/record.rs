//! What the proxy keeps: one record for each pair of connections.
//!
//! *Assumes* that one proxy at a time has the folder.
//! *Guarantees* that a record is replaced as a whole, and that records of another proxy, or of
//! another version, are refused rather than misread.

use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tcpr::{Durability, Flow, Record};
use thiserror::Error;

use crate::lock::{Lock, LockError};
use crate::replace::replace;

/// The version of this format.
const VERSION: u32 = 1;
const PROXY: &str = "proxy.json";
const SUFFIX: &str = ".pair.json";

/// From where to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Route {
    pub(super) listen: SocketAddr,
    pub(super) to: SocketAddr,
}

/// How far a pair has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "each pair has one, and nearly all are the larger"
)]
pub(super) enum Stage {
    /// It is being put together: after a crash it is aborted.
    Joining { accepted: Flow, opened: Flow },
    /// Octets pass.
    Joined { accepted: Record, opened: Record },
}

/// One connection accepted, and the one opened for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PairRecord {
    version: u32,
    pub(super) stage: Stage,
}

impl PairRecord {
    pub(super) fn new(stage: Stage) -> PairRecord {
        PairRecord {
            version: VERSION,
            stage,
        }
    }

    /// Both connections.
    pub(super) fn flows(&self) -> [Flow; 2] {
        match &self.stage {
            Stage::Joining { accepted, opened } => [*accepted, *opened],
            Stage::Joined { accepted, opened } => [accepted.hard.flow, opened.hard.flow],
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct ProxyRecord {
    version: u32,
    route: Route,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// The folder.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: Lock,
}

/// Why the folder is of no use.
#[derive(Debug, Error)]
pub(super) enum FolderError {
    /// It cannot be read or written.
    #[error("cannot {step} {}: {source}", path.display())]
    File {
        /// What was tried.
        step: &'static str,
        /// Which file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Something else is in it.
    #[error("{} is no record of tcpr proxy: {source}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It is of another version.
    #[error(
        "{} is of version {given}, and this program reads version {VERSION}: go on with the \
         program that wrote it, or give another folder with --state", path.display()
    )]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its version.
        given: u32,
    },
    /// It belongs to another proxy.
    #[error(
        "{} holds {pairs} connections of a proxy from {listen} to {to}: start that one again, or \
         give another folder with --state", path.display()
    )]
    OtherRoute {
        /// The folder.
        path: PathBuf,
        /// How many.
        pairs: usize,
        /// Where that one listens.
        listen: SocketAddr,
        /// Where it goes.
        to: SocketAddr,
    },
    /// Another proxy has it.
    #[error(transparent)]
    Lock(#[from] LockError),
}

impl Folder {
    /// Opens the folder, or makes it, and reads the records that are in it.
    pub(super) fn open(
        path: &Path,
        route: Route,
    ) -> Result<(Folder, Vec<PairRecord>), FolderError> {
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failed("make", path))?;
        let lock = Lock::take(&path.join("lock"), path)?;
        let mut pairs = Vec::new();
        for entry in fs::read_dir(path).map_err(failed("read", path))? {
            let file = entry.map_err(failed("read", path))?.path();
            if file.to_string_lossy().ends_with(SUFFIX) {
                pairs.extend(load::<PairRecord>(&file)?);
            }
        }
        let proxy = path.join(PROXY);
        if let Some(ProxyRecord { route: other, .. }) = load(&proxy)?
            && other != route
            && !pairs.is_empty()
        {
            return Err(FolderError::OtherRoute {
                path: path.into(),
                pairs: pairs.len(),
                listen: other.listen,
                to: other.to,
            });
        }
        let record = ProxyRecord {
            version: VERSION,
            route,
        };
        replace(&proxy, Durability::Process, &record).map_err(failed("write", &proxy))?;
        let folder = Folder {
            path: path.into(),
            _lock: lock,
        };
        Ok((folder, pairs))
    }

    /// Puts a record in the place of the one that is there.
    pub(super) fn store(&self, record: &PairRecord) -> Result<(), FolderError> {
        let file = self.file(record.flows()[0]);
        replace(&file, Durability::Process, record).map_err(failed("write", &file))
    }

    /// Removes the record of the pair whose accepted connection this is.
    pub(super) fn remove(&self, accepted: Flow) -> Result<(), FolderError> {
        let file = self.file(accepted);
        match fs::remove_file(&file) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed("remove", &file)(e)),
            _ => Ok(()),
        }
    }

    fn file(&self, accepted: Flow) -> PathBuf {
        let Flow { local, remote } = accepted;
        self.path.join(format!("{local}-{remote}{SUFFIX}"))
    }
}

fn failed(step: &'static str, path: &Path) -> impl Fn(io::Error) -> FolderError {
    move |source| FolderError::File {
        step,
        path: path.into(),
        source,
    }
}

fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FolderError> {
    let text = match fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(failed("read", path))?,
    };
    let malformed = |source| FolderError::Malformed {
        path: path.into(),
        source,
    };
    // The version first: of another one the rest need not make sense.
    let Version { version } = serde_json::from_slice(&text).map_err(malformed)?;
    if version != VERSION {
        return Err(FolderError::Version {
            path: path.into(),
            given: version,
        });
    }
    serde_json::from_slice(&text).map(Some).map_err(malformed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn route() -> Route {
        Route {
            listen: "198.18.0.1:80".parse().unwrap(),
            to: "198.18.1.1:8080".parse().unwrap(),
        }
    }

    fn pair(port: u16) -> PairRecord {
        let accepted = Flow {
            local: "[fd00::1]:80".parse().unwrap(),
            remote: format!("[fd00::2]:{port}").parse().unwrap(),
        };
        let opened = Flow {
            local: format!("[fd00::1]:{port}").parse().unwrap(),
            remote: "[fd00::3]:80".parse().unwrap(),
        };
        PairRecord::new(Stage::Joining { accepted, opened })
    }

    #[test]
    fn what_is_stored_is_found_and_what_is_removed_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (open, pairs) = Folder::open(&path, route()).unwrap();
        assert!(pairs.is_empty());
        for port in [1, 2, 2, 3] {
            open.store(&pair(port)).unwrap();
        }
        open.remove(pair(3).flows()[0]).unwrap();
        open.remove(pair(3).flows()[0]).unwrap();
        // As a process leaves it that is killed while it writes.
        fs::write(path.join("x.pair.json.new"), "{\"ver").unwrap();
        drop(open);
        let (_open, mut pairs) = Folder::open(&path, route()).unwrap();
        pairs.sort_by_key(PairRecord::flows);
        assert_eq!(pairs, [pair(1), pair(2)]);
    }

    #[test]
    fn one_proxy_at_a_time_has_a_folder_and_another_route_needs_another() {
        let folder = tempfile::tempdir().unwrap();
        let (open, _) = Folder::open(folder.path(), route()).unwrap();
        let error = Folder::open(folder.path(), route()).unwrap_err();
        assert!(matches!(error, FolderError::Lock(LockError::Held { .. })));
        let other = Route {
            to: "198.18.1.1:8081".parse().unwrap(),
            ..route()
        };
        drop(open);
        let (open, _) = Folder::open(folder.path(), other).unwrap();
        open.store(&pair(1)).unwrap();
        drop(open);
        let error = Folder::open(folder.path(), route()).unwrap_err();
        assert!(matches!(error, FolderError::OtherRoute { pairs: 1, .. }));
        Folder::open(folder.path(), other).unwrap();
    }

    #[test]
    fn records_of_another_version_and_garbage_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.pair.json");
        fs::write(&file, "{\"version\":2}").unwrap();
        let error = Folder::open(folder.path(), route()).unwrap_err();
        assert!(matches!(error, FolderError::Version { given: 2, .. }));
        fs::write(&file, "{\"version\":1}").unwrap();
        let error = Folder::open(folder.path(), route()).unwrap_err();
        assert!(matches!(error, FolderError::Malformed { .. }));
    }
}
