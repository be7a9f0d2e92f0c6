//! A published set: what a study has shown, small enough to lie in a repository, with its manifest.
//!
//! *Assumes* one folder for one set. *Guarantees* that a file which was changed, is missing or was
//! not there when the set was made is named.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::manifest::Host;
use crate::storage::{DirError, io_error, read_text, write_atomically};

/// Name of the manifest.
pub const MANIFEST: &str = "manifest.json";

/// `manifest.json` of a published set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublishedSet {
    /// Version of this format.
    pub schema_version: u32,
    /// What was reproduced.
    pub study: String,
    /// Versions and commits of flaplab that its runs were made by: one, if all is well.
    pub tools: Vec<String>,
    /// The machines.
    pub hosts: Vec<Host>,
    /// Routers as they call themselves.
    pub routers: Vec<String>,
    /// Injectors as they call themselves.
    pub injectors: Vec<String>,
    /// What MRAI the routers realise, in words.
    pub realised_mrai: Option<String>,
    /// When its last arm began, RFC 3339, UTC.
    pub measured_at: String,
    /// The arms and their runs.
    pub arms: Vec<PublishedArm>,
    /// The benchmarks, and the version of tcpr.
    pub benchmarks: Vec<PublishedBenchmarkRun>,
    /// Every other file of the set.
    pub files: Vec<PublishedFile>,
}

/// One arm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedArm {
    /// The scenario.
    pub scenario: String,
    /// The strategy.
    pub strategy: String,
    /// Number of runs.
    pub runs: usize,
    /// Number of runs whose figures count.
    pub valid: usize,
}

/// One benchmark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedBenchmarkRun {
    /// Its name.
    pub benchmark: String,
    /// Version of tcpr.
    pub version: String,
    /// What made its figures doubtful.
    pub warnings: Vec<String>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedFile {
    /// Its path in the set.
    pub name: String,
    /// Its size, octets.
    pub octets: u64,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
}

impl PublishedFile {
    /// A file of that name and content.
    #[must_use]
    pub fn of(name: &str, content: &[u8]) -> Self {
        let digest = Sha256::digest(content);
        Self {
            name: name.to_owned(),
            octets: content.len() as u64,
            sha256: digest.iter().map(|octet| format!("{octet:02x}")).collect(),
        }
    }
}

/// Writes the files of a set, and then its manifest with them in it.
///
/// # Errors
/// If something cannot be written, or a file lies in the folder that would not be part of the set.
pub fn write(
    to: &Path,
    mut set: PublishedSet,
    files: &[(String, Vec<u8>)],
) -> Result<(), DirError> {
    for name in names(to)? {
        if name != MANIFEST && !files.iter().any(|(n, _)| *n == name) {
            return Err(DirError::Exists {
                path: to.join(name),
            });
        }
    }
    for (name, content) in files {
        let path = to.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        }
        write_atomically(&path, content)?;
        set.files.push(PublishedFile::of(name, content));
    }
    let path = to.join(MANIFEST);
    let text = serde_json::to_string_pretty(&set).map_err(|e| DirError::Format {
        path: path.clone(),
        reason: e.to_string(),
    })?;
    write_atomically(&path, (text + "\n").as_bytes())
}

/// Reads a set, and compares every file with the manifest.
///
/// # Errors
/// If a file is missing, was changed, or is not in the manifest.
pub fn read(from: &Path) -> Result<PublishedSet, DirError> {
    let path = from.join(MANIFEST);
    let wrong = |path: PathBuf, reason: &str| DirError::Parse {
        path,
        reason: reason.to_owned(),
    };
    let set: PublishedSet = serde_json::from_str(&read_text(&path)?)
        .map_err(|e| wrong(path.clone(), &e.to_string()))?;
    for file in &set.files {
        let path = from.join(&file.name);
        let content = fs::read(&path).map_err(io_error("read", &path))?;
        if PublishedFile::of(&file.name, &content) != *file {
            return Err(wrong(path, "it is not as manifest.json says"));
        }
    }
    for name in names(from)? {
        if name != MANIFEST && !set.files.iter().any(|f| f.name == name) {
            return Err(wrong(from.join(name), "manifest.json does not name it"));
        }
    }
    Ok(set)
}

/// Paths of all files below a folder; none if there is no such folder.
fn names(folder: &Path) -> Result<Vec<String>, DirError> {
    let mut found = Vec::new();
    let mut ahead = vec![folder.to_owned()];
    while let Some(dir) = ahead.pop() {
        if !dir.exists() {
            continue;
        }
        for entry in fs::read_dir(&dir).map_err(io_error("read", &dir))? {
            let path = entry.map_err(io_error("read", &dir))?.path();
            if path.is_dir() {
                ahead.push(path);
            } else if let Ok(name) = path.strip_prefix(folder) {
                found.push(name.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}
