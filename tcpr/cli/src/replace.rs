//! A file is replaced at once.
//!
//! *Assumes* that one process at a time writes the file, and a file system that renames atomically.
//! *Guarantees* that whoever reads it, after a crash at any instant, finds the old content or the
//! new one, whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::Serialize;
use tcpr::Durability;

/// Puts `content`, as JSON, in the place of what is there. Only the owner can read it.
pub(crate) fn replace(
    path: &Path,
    durability: Durability,
    content: &impl Serialize,
) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut new = name.to_os_string();
    new.push(".new");
    let new = path.with_file_name(new);
    let mut text = serde_json::to_vec(content)?;
    text.push(b'\n');
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
    fs::rename(&new, path)?;
    if durability == Durability::Machine {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}
