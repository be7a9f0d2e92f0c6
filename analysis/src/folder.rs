//! A folder of results that somebody asked for: there whole, or not at all.
//!
//! *Assumes* files small enough to be held in memory together. *Guarantees* that a folder which is
//! there already is left as it is, and that one of that name has all its files, each whole, even if
//! the program is killed while it writes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why a folder could not be written.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It is there already.
    #[error("{} is there already and is not overwritten: name another folder, or remove this one first", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot write {}: {source}; name a folder elsewhere, or free space or get the permission", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// The files of a folder to come.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    files: Vec<(String, Vec<u8>)>,
}

impl Folder {
    /// Adds a file; its name may have folders in it.
    pub(crate) fn add(&mut self, name: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.files.push((name.into(), content.into()));
    }

    /// The files so far.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(n, c)| (n.as_str(), c.as_slice()))
    }

    /// Writes it: under another name beside it, which it then gets.
    pub(crate) fn write(&self, to: &Path) -> Result<(), FolderError> {
        refuse_existing(to)?;
        let mut partial = to.as_os_str().to_owned();
        partial.push(format!(".partial-{}", std::process::id()));
        let partial = PathBuf::from(partial);
        let written = self.write_files(&partial).and_then(|()| {
            // Over a folder that has come meanwhile it fails, unless that is empty.
            fs::rename(&partial, to).map_err(|source| FolderError::Write {
                path: to.to_owned(),
                source,
            })
        });
        if written.is_err() {
            // What is half written helps nobody; the error that matters is the first.
            let _ = fs::remove_dir_all(&partial);
        }
        written
    }

    fn write_files(&self, folder: &Path) -> Result<(), FolderError> {
        for (name, content) in &self.files {
            let path = folder.join(name);
            let parent = path.parent().unwrap_or(folder);
            fs::create_dir_all(parent)
                .and_then(|()| fs::write(&path, content))
                .map_err(|source| FolderError::Write { path, source })?;
        }
        Ok(())
    }
}

/// Refuses a folder, or anything else, that is there, before anything is computed for it.
///
/// # Errors
/// [`FolderError::Exists`] if there is anything at that path.
pub fn refuse_existing(path: &Path) -> Result<(), FolderError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(FolderError::Exists {
            path: path.to_owned(),
        }),
        Err(_) => Ok(()),
    }
}
