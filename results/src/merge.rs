//! Runs that were made elsewhere, brought into their campaign: published by those who made them,
//! taken up by the one who adds to the campaign.
//!
//! *Assumes* that a task publishes into a directory that is its own, and that whoever merges has
//! claimed the campaign. No lock is shared between machines: over NFS none can be relied on.
//! *Guarantees* that a run appears under its final name by one rename, whole and on disk, or not at
//! all; that of two runs with one address the first stays; that nothing is overwritten or lost,
//! and that each run which is not taken is told, with the reason.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::campaign::{CampaignDir, ClaimedCampaign};
use crate::manifest::{Manifest, Status};
use crate::rundir::RunDir;
use crate::storage::{DirError, io_error};

/// What names an attempt at a run wherever it was made: the beginning of the run's address is in it, so
/// that it is equal for the same experiment with the same draws alone, and the attempt's number.
#[must_use]
pub fn address(manifest: &Manifest) -> &str {
    &manifest.run_id
}

/// What becomes of the original of a run that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taking {
    /// It moves into the campaign: it lies there only to be taken.
    Move,
    /// It stays, and the campaign gets a copy: it is somebody's own.
    Copy,
}

/// A run that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Where it is, and stays.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// What a merge has done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Merged {
    /// Manifests of the runs that were taken.
    pub taken: Vec<Manifest>,
    /// Names of the runs whose very records the campaign had already.
    pub there: Vec<String>,
    /// Runs whose address the campaign had already, with other records: the first one stays.
    pub second: Vec<Left>,
    /// Runs that did not end as planned: the campaign wants them made again.
    pub unfinished: Vec<Left>,
    /// Runs that have no place in this campaign.
    pub refused: Vec<Left>,
}

impl Merged {
    /// Adds what another merge has done.
    pub fn append(&mut self, mut more: Merged) {
        self.taken.append(&mut more.taken);
        self.there.append(&mut more.there);
        self.second.append(&mut more.second);
        self.unfinished.append(&mut more.unfinished);
        self.refused.append(&mut more.refused);
    }
}

/// Brings the complete runs of `from`, a directory of runs, into a campaign. `belongs` says why a
/// run is none of this campaign's experiment, if it is not.
///
/// # Errors
/// If a directory cannot be read or written. What was taken before that stays taken.
pub fn merge(
    into: &ClaimedCampaign,
    from: &CampaignDir,
    taking: Taking,
    mut belongs: impl FnMut(&RunDir, &Manifest) -> Result<(), String>,
) -> Result<Merged, DirError> {
    let campaign = &into.dir;
    let mut merged = Merged::default();
    for run in from.runs()? {
        let left = |reason: String| Left {
            path: run.path().to_owned(),
            reason,
        };
        let manifest = match run.manifest() {
            Ok(manifest) => manifest,
            Err(e @ DirError::SchemaVersion { .. }) => {
                merged.refused.push(left(e.to_string()));
                continue;
            }
            Err(e) => {
                merged.unfinished.push(left(e.to_string()));
                continue;
            }
        };
        if let Some(reason) = unfinished(&run, &manifest) {
            merged.unfinished.push(left(reason));
            continue;
        }
        if manifest.run_id != run.run_id() {
            let reason = format!(
                "its manifest says that it is {}: it was renamed; give it its name back",
                manifest.run_id
            );
            merged.refused.push(left(reason));
            continue;
        }
        if let Err(reason) = belongs(&run, &manifest) {
            merged.refused.push(left(reason));
            continue;
        }
        let there = RunDir::at(campaign.run_path(address(&manifest)));
        match there.manifest() {
            Ok(first) if first == manifest => {
                merged.there.push(manifest.run_id);
                continue;
            }
            Ok(first) if first.status == Status::Complete => {
                let reason = format!(
                    "the campaign has this run already, made on {} at {}: the first one stays",
                    first.host.name, first.started_at
                );
                merged.second.push(left(reason));
                continue;
            }
            // It was interrupted, and here is the one that is whole.
            _ if fs::symlink_metadata(there.path()).is_ok() => {
                campaign.abandon(&there.run_id())?;
            }
            _ => {}
        }
        place(&run, &campaign.runs_dir(), &campaign.incoming_dir(), taking)?;
        merged.taken.push(manifest);
    }
    Ok(merged)
}

/// Why a run is not one to take, if it is not.
fn unfinished(run: &RunDir, manifest: &Manifest) -> Option<String> {
    match manifest.status {
        Status::Complete if run.is_sealed() => None,
        Status::Complete => Some("it is not sealed: whoever made it was killed at its end".into()),
        Status::Running => Some("it is under way, or was interrupted".into()),
        Status::Failed | Status::Aborted => {
            let word = if manifest.status == Status::Failed {
                "it failed"
            } else {
                "it was stopped"
            };
            Some(match &manifest.error {
                Some(error) => format!("{word}: {error}"),
                None => word.to_owned(),
            })
        }
    }
}

/// Publishes a run that has ended in the campaign directory `to` of the task that made it. Returns
/// where it is now.
///
/// # Errors
/// [`DirError::Exists`] if there is a run of that name, or if a directory cannot be written; the
/// run is then still where it was.
pub fn publish(run: &RunDir, to: &CampaignDir) -> Result<RunDir, DirError> {
    place(run, &to.runs_dir(), &to.incoming_dir(), Taking::Move)
}

/// Puts a run into the directory `runs`, under its own name, by one rename. What has to be copied is
/// copied into `incoming` first, which is on the same file system.
fn place(run: &RunDir, runs: &Path, incoming: &Path, taking: Taking) -> Result<RunDir, DirError> {
    let (from, name) = (run.path(), run.run_id());
    let to = runs.join(&name);
    if fs::symlink_metadata(&to).is_ok() {
        return Err(DirError::Exists { path: to });
    }
    if taking == Taking::Move {
        to_disk(from)?;
        match fs::rename(from, &to) {
            Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {}
            Err(e) => return Err(io_error("move into the campaign", from)(e)),
            Ok(()) => {
                sync_dir(runs)?;
                return Ok(RunDir::at(to));
            }
        }
    }
    let copy = incoming.join(&name);
    if fs::symlink_metadata(&copy).is_ok() {
        // Of one who was killed while copying; the original is where it was.
        fs::remove_dir_all(&copy).map_err(io_error("remove the unfinished copy", &copy))?;
    }
    fs::create_dir_all(incoming).map_err(io_error("create", incoming))?;
    copy_tree(from, &copy)?;
    fs::rename(&copy, &to).map_err(io_error("move into the campaign", &copy))?;
    sync_dir(runs)?;
    // It is empty again, unless somebody keeps something of his own in it.
    let _ = fs::remove_dir(incoming);
    if taking == Taking::Move {
        fs::remove_dir_all(from).map_err(io_error("remove what has been copied", from))?;
    }
    Ok(RunDir::at(to))
}

/// Copies directories and regular files with their modes, and brings them to disk.
fn copy_tree(from: &Path, to: &Path) -> Result<(), DirError> {
    fs::create_dir(to).map_err(io_error("create", to))?;
    for entry in fs::read_dir(from).map_err(io_error("read", from))? {
        let entry = entry.map_err(io_error("read", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(io_error("read", &source))?;
        if kind.is_dir() {
            copy_tree(&source, &target)?;
        } else if kind.is_symlink() {
            fs::read_link(&source)
                .and_then(|link| std::os::unix::fs::symlink(link, &target))
                .map_err(io_error("copy", &source))?;
        } else if kind.is_file() {
            fs::copy(&source, &target)
                .and_then(|_| File::open(&target)?.sync_all())
                .map_err(io_error("copy", &source))?;
        }
        // A socket or a pipe that a killed process left behind holds nothing.
    }
    sync_dir(to)
}

/// Brings all of a directory to disk: a rename may get there before what was renamed.
fn to_disk(dir: &Path) -> Result<(), DirError> {
    for entry in fs::read_dir(dir).map_err(io_error("read", dir))? {
        let entry = entry.map_err(io_error("read", dir))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(io_error("read", &path))?;
        if kind.is_dir() {
            to_disk(&path)?;
        } else if kind.is_file() {
            File::open(&path)
                .and_then(|f| f.sync_all())
                .map_err(io_error("write", &path))?;
        }
    }
    sync_dir(dir)
}

fn sync_dir(dir: &Path) -> Result<(), DirError> {
    File::open(dir)
        .and_then(|d| d.sync_all())
        .map_err(io_error("write", dir))
}
