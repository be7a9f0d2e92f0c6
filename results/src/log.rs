//! `events.jsonl` and `findings.jsonl`: one JSON object per line, written as it happens.
//!
//! *Assumes* one writer per file. *Guarantees* that a line is handed to the operating system
//! whole before the call returns, so that killing the writer loses at most the line it was
//! writing, and no line after it; and that a reader gives every line that is whole and names
//! those that are not.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::event::Event;
use crate::finding::Finding;
use crate::storage::{DirError, io_error};

/// Appends to `events.jsonl`.
pub type EventLog = LineLog<Event>;
/// Appends to `findings.jsonl`.
pub type FindingLog = LineLog<Finding>;

/// Appends values to a file, one per line.
#[derive(Debug)]
pub struct LineLog<T> {
    file: File,
    path: PathBuf,
    line: Vec<u8>,
    /// The file ends within a line: the next one must not become part of it.
    torn: bool,
    item: PhantomData<fn(&T)>,
}

impl<T: Serialize> LineLog<T> {
    /// Opens the file, new or to go on with.
    pub(crate) fn open(path: PathBuf) -> Result<Self, DirError> {
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(&path)
            .map_err(io_error("open", &path))?;
        let torn = ends_within_a_line(&mut file).map_err(io_error("read", &path))?;
        Ok(Self {
            file,
            path,
            line: Vec::new(),
            torn,
            item: PhantomData,
        })
    }

    /// Appends one line.
    ///
    /// # Errors
    /// If it cannot be written. What there is of it is then a broken line, which readers report;
    /// later lines can still be appended.
    pub fn append(&mut self, item: &T) -> Result<(), DirError> {
        self.line.clear();
        if self.torn {
            self.line.push(b'\n');
        }
        serde_json::to_writer(&mut self.line, item).map_err(|e| DirError::Format {
            path: self.path.clone(),
            reason: e.to_string(),
        })?;
        self.line.push(b'\n');
        let written = self.file.write_all(&self.line);
        self.torn = written.is_err();
        written.map_err(io_error("write", &self.path))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn ends_within_a_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// What a file of lines holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Lines<T> {
    /// The lines that are whole, in order.
    pub items: Vec<T>,
    /// Those that are not.
    pub broken: Vec<BrokenLine>,
}

/// A line that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenLine {
    /// Its number, from 1.
    pub number: usize,
    /// Why.
    pub reason: String,
}

/// Reads all lines of a file but empty ones. A last line without its end is broken, whatever it holds: its
/// writer was stopped.
pub(crate) fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Lines<T>, DirError> {
    let bytes = std::fs::read(path).map_err(io_error("read", path))?;
    let mut lines = Lines {
        items: Vec::new(),
        broken: Vec::new(),
    };
    for (i, line) in bytes.split_inclusive(|&b| b == b'\n').enumerate() {
        if line == b"\n" {
            continue;
        }
        let parsed = match line.strip_suffix(b"\n") {
            None => Err("the line is cut short".to_owned()),
            Some(l) => serde_json::from_slice(l).map_err(|e| e.to_string()),
        };
        match parsed {
            Ok(item) => lines.items.push(item),
            Err(reason) => lines.broken.push(BrokenLine {
                number: i + 1,
                reason,
            }),
        }
    }
    Ok(lines)
}
