//! Every value that a benchmark has measured, for those who draw distributions.
//!
//! *Assumes* names without commas, quotes and line ends.
//! *Guarantees* one row for each value, in the order of measuring, in a file that is there whole or
//! not at all; and that a file that cannot be written is told before anything is measured.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The header of the file.
const HEADER: &str = "benchmark,course,case,unit,round,value\n";

/// Values of one benchmark.
#[derive(Debug, Default)]
pub(super) struct Samples {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    course: &'static str,
    case: &'static str,
    unit: &'static str,
    round: u32,
    value: f64,
}

impl Samples {
    /// Adds what was measured in one round, counted from 0.
    pub(super) fn add(
        &mut self,
        course: &'static str,
        case: &'static str,
        unit: &'static str,
        round: u32,
        values: &[f64],
    ) {
        self.rows.extend(values.iter().map(|&value| Row {
            course,
            case,
            unit,
            round,
            value,
        }));
    }

    fn csv(&self, benchmark: &str) -> String {
        let mut text = HEADER.to_owned();
        for row in &self.rows {
            let Row {
                course,
                case,
                unit,
                round,
                value,
            } = row;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{benchmark},{course},{case},{unit},{round},{value}");
        }
        text
    }
}

/// The file that values go to.
#[derive(Debug)]
pub(super) struct Sheet {
    path: PathBuf,
    new: PathBuf,
    file: File,
}

impl Sheet {
    /// Begins it, beside the place where it is to be.
    pub(super) fn begin(path: &Path) -> anyhow::Result<Sheet> {
        let told = || format!("cannot write --csv {}", path.display());
        let mut name = path.file_name().with_context(told)?.to_os_string();
        name.push(".new");
        let new = path.with_file_name(name);
        let file = File::create(&new).with_context(told)?;
        Ok(Sheet {
            path: path.to_owned(),
            new,
            file,
        })
    }

    /// Puts it in its place.
    pub(super) fn write(mut self, benchmark: &str, samples: &Samples) -> anyhow::Result<()> {
        self.file
            .write_all(samples.csv(benchmark).as_bytes())
            .and_then(|()| self.file.sync_all())
            .and_then(|()| fs::rename(&self.new, &self.path))
            .with_context(|| format!("cannot write --csv {}", self.path.display()))
    }
}

impl Drop for Sheet {
    fn drop(&mut self) {
        // It is not there any more if all went well.
        let _ = fs::remove_file(&self.new);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Samples, Sheet};

    #[test]
    fn a_value_has_a_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latency.csv");
        let mut samples = Samples::default();
        samples.add("peer_asks", "unsafe", "us", 0, &[1.5, 20.0]);
        samples.add("peer_asks", "unsafe", "us", 1, &[]);
        samples.add("peer_asks", "recovered", "us", 1, &[0.25]);
        let sheet = Sheet::begin(&path).unwrap();
        sheet.write("latency", &samples).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "benchmark,course,case,unit,round,value\n\
             latency,peer_asks,unsafe,us,0,1.5\n\
             latency,peer_asks,unsafe,us,0,20\n\
             latency,peer_asks,recovered,us,1,0.25\n"
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_was_not_finished_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        drop(Sheet::begin(&folder.path().join("x.csv")).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let error = Sheet::begin(&folder.path().join("no/x.csv")).unwrap_err();
        assert!(error.to_string().contains("--csv"), "{error}");
    }
}
