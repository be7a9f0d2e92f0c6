//! `probe-sent.csv` and `probe-received.csv`: the data-plane probe's two records.
//!
//! *Assumes* one writer per file. *Guarantees* that a file exists only once its header is in it;
//! that its last line says how many rows it has, so that one cut short never passes for whole;
//! and that a reader gives every row that is whole and names the lines that are not.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::log::BrokenLine;
use crate::storage::{DirError, io_error};

/// From one tick of the probe to the next, nanoseconds.
pub const INTERVAL_NS: u64 = 10_000_000;

/// A router whose kernel refused to send a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Index of the router in [`topologies::Topology::nodes`].
    pub node: u16,
    /// The kernel's answer, by its name: `ENETUNREACH`.
    pub errno: String,
}

/// A row of `probe-sent.csv`: one tick, at which every router sends one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tick {
    /// Number of the tick, from 0 without a gap.
    pub number: u32,
    /// When it was due, CLOCK_MONOTONIC; [`INTERVAL_NS`] after the one before.
    pub due_mono_ns: u64,
    /// How late the first probe was sent.
    pub late_ns: u64,
    /// From the first probe to the last.
    pub took_ns: u64,
    /// Routers that could not send.
    pub refused: Vec<Refusal>,
}

/// A row of `probe-received.csv`: one probe that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Index in [`topologies::Topology::nodes`] of the router that sent it.
    pub node: u16,
    /// Number of its tick.
    pub number: u32,
    /// When it was sent, CLOCK_MONOTONIC.
    pub sent_mono_ns: u64,
    /// From then until the receiver read it.
    pub delay_ns: u64,
}

/// A row of one of the two files.
pub trait Row: Sized {
    /// The first line of the file.
    const HEADER: &'static str;
    /// Appends the row, without its end.
    fn format(&self, line: &mut String);
    /// Reads a row.
    ///
    /// # Errors
    /// What is wrong with it.
    fn parse(line: &str) -> Result<Self, String>;
}

impl Row for Tick {
    const HEADER: &'static str = "number,due_mono_ns,late_ns,took_ns,refused";

    fn format(&self, line: &mut String) {
        let Tick {
            number,
            due_mono_ns,
            late_ns,
            took_ns,
            ..
        } = self;
        let _ = write!(line, "{number},{due_mono_ns},{late_ns},{took_ns},");
        for (i, refusal) in self.refused.iter().enumerate() {
            let space = if i == 0 { "" } else { " " };
            let _ = write!(line, "{space}{}:{}", refusal.node, refusal.errno);
        }
    }

    fn parse(line: &str) -> Result<Self, String> {
        let [number, due, late, took, refused] = fields(line)?;
        let refusal = |word: &str| {
            let (node, errno) = word
                .split_once(':')
                .filter(|(_, e)| !e.is_empty())
                .ok_or_else(|| format!("`{word}` is not a router and an error"))?;
            Ok(Refusal {
                node: integer(node)?,
                errno: errno.to_owned(),
            })
        };
        Ok(Tick {
            number: integer(number)?,
            due_mono_ns: integer(due)?,
            late_ns: integer(late)?,
            took_ns: integer(took)?,
            refused: refused
                .split_whitespace()
                .map(refusal)
                .collect::<Result<_, String>>()?,
        })
    }
}

impl Row for Arrival {
    const HEADER: &'static str = "node,number,sent_mono_ns,delay_ns";

    fn format(&self, line: &mut String) {
        let Arrival {
            node,
            number,
            sent_mono_ns,
            delay_ns,
        } = self;
        let _ = write!(line, "{node},{number},{sent_mono_ns},{delay_ns}");
    }

    fn parse(line: &str) -> Result<Self, String> {
        let [node, number, sent, delay] = fields(line)?;
        Ok(Arrival {
            node: integer(node)?,
            number: integer(number)?,
            sent_mono_ns: integer(sent)?,
            delay_ns: integer(delay)?,
        })
    }
}

fn fields<const N: usize>(line: &str) -> Result<[&str; N], String> {
    let fields: Vec<&str> = line.split(',').collect();
    let n = fields.len();
    fields
        .try_into()
        .map_err(|_| format!("it has {n} fields, not {N}"))
}

fn integer<T: FromStr>(field: &str) -> Result<T, String> {
    field
        .parse()
        .map_err(|_| format!("`{field}` is not a number in range"))
}

/// What the last line of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Rows of the file.
    pub rows: u64,
    /// Packets that the kernel dropped for want of buffer before they were read.
    pub dropped: u64,
}

impl End {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let end = match [words.next()?, words.next()?, words.next()?, words.next()?] {
            ["rows", rows, "dropped", dropped] => End {
                rows: rows.parse().ok()?,
                dropped: dropped.parse().ok()?,
            },
            _ => return None,
        };
        words.next().is_none().then_some(end)
    }
}

/// Writes one of the two files.
#[derive(Debug)]
pub struct Writer<R> {
    out: BufWriter<File>,
    path: PathBuf,
    line: String,
    rows: u64,
    row: std::marker::PhantomData<fn(&R)>,
}

impl<R: Row> Writer<R> {
    /// Makes the file, with its header in it.
    ///
    /// # Errors
    /// If it is there already, or cannot be written.
    pub fn create(path: &Path) -> Result<Self, DirError> {
        if path.exists() {
            let source = io::Error::from(io::ErrorKind::AlreadyExists);
            return Err(io_error("create", path)(source));
        }
        // Whoever waits for the file finds its header: it is written under another name.
        let temp = path.with_extension("csv.tmp");
        let file = File::create(&temp).map_err(io_error("create", path))?;
        let mut writer = Writer {
            out: BufWriter::with_capacity(1 << 16, file),
            path: path.to_owned(),
            line: String::new(),
            rows: 0,
            row: std::marker::PhantomData,
        };
        writeln!(writer.out, "{}", R::HEADER)
            .and_then(|()| writer.out.flush())
            .and_then(|()| std::fs::rename(&temp, path))
            .map_err(io_error("create", path))?;
        Ok(writer)
    }

    /// Appends a row; it is in the file after the next [`Writer::flush`].
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn append(&mut self, row: &R) -> Result<(), DirError> {
        self.line.clear();
        row.format(&mut self.line);
        self.line.push('\n');
        self.rows += 1;
        let written = self.out.write_all(self.line.as_bytes());
        written.map_err(io_error("write", &self.path))
    }

    /// Hands what was appended to the operating system.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn flush(&mut self) -> Result<(), DirError> {
        self.out.flush().map_err(io_error("write", &self.path))
    }

    /// Ends the file with its number of rows and what was `dropped` instead of becoming one.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self, dropped: u64) -> Result<(), DirError> {
        writeln!(self.out, "# rows {} dropped {dropped}", self.rows)
            .and_then(|()| self.out.flush())
            .map_err(io_error("write", &self.path))
    }
}

/// What one of the two files holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<R> {
    /// The rows that are whole, in order.
    pub rows: Vec<R>,
    /// The lines that are not.
    pub broken: Vec<BrokenLine>,
    /// Its last line; none if it was cut short.
    pub end: Option<End>,
}

/// Reads one of the two files.
///
/// # Errors
/// If it cannot be read; a broken line is no error.
pub fn read<R: Row>(path: &Path) -> Result<Record<R>, DirError> {
    let bytes = std::fs::read(path).map_err(io_error("read", path))?;
    let mut record = Record {
        rows: Vec::new(),
        broken: Vec::new(),
        end: None,
    };
    for (i, line) in bytes.split_inclusive(|&b| b == b'\n').enumerate() {
        if let Err(reason) = record.take(i, line) {
            let number = i + 1;
            record.broken.push(BrokenLine { number, reason });
        }
    }
    if bytes.is_empty() {
        let source = io::Error::from(io::ErrorKind::UnexpectedEof);
        return Err(io_error("read", path)(source));
    }
    Ok(record)
}

impl<R: Row> Record<R> {
    fn take(&mut self, index: usize, line: &[u8]) -> Result<(), String> {
        let line = line.strip_suffix(b"\n").ok_or("the line is cut short")?;
        let line = std::str::from_utf8(line).map_err(|e| e.to_string())?;
        if index == 0 {
            let header = R::HEADER;
            return match line == header {
                true => Ok(()),
                false => Err(format!("the header is `{line}`, not `{header}`")),
            };
        }
        if self.end.is_some() {
            return Err("it follows the file's last line".to_owned());
        }
        match line.strip_prefix("# ") {
            Some(end) => {
                let end = End::parse(end).ok_or_else(|| format!("`{line}` is no last line"))?;
                self.end = Some(end);
            }
            None => self.rows.push(R::parse(line)?),
        }
        Ok(())
    }
}
