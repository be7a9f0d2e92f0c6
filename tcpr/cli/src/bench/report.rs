//! How results are shown.
//!
//! *Assumes* results that can be shown both ways.
//! *Guarantees* one JSON object, or tables and the remarks below them; what makes the figures
//! doubtful is said in either.

use std::io::{self, Write};

use comfy_table::{CellAlignment, Table, presets};
use nix::sys::utsname::uname;
use serde::Serialize;
use serde_json::{Map, Value};

use super::statistics::Spread;

/// The machine, as far as it bears on the figures.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Setting {
    version: &'static str,
    kernel: String,
    cores: usize,
    /// Of the last minute, before anything was measured.
    load_at_start: Option<f64>,
    congestion_control: String,
}

impl Setting {
    pub(super) fn look() -> Setting {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let kernel = uname().map(|name| name.release().to_string_lossy().into_owned());
        Setting {
            version: env!("CARGO_PKG_VERSION"),
            kernel: kernel.unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            load_at_start: read("/proc/loadavg")
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok()),
            congestion_control: read("/proc/sys/net/ipv4/tcp_congestion_control")
                .trim()
                .to_owned(),
        }
    }

    /// What is to be known before the figures are trusted.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(load) = self
            .load_at_start
            .filter(|load| *load > 0.5 * self.cores as f64)
        {
            warnings.push(format!(
                "the machine was not idle (load {load} on {} cores): measure again when it is",
                self.cores
            ));
        }
        if cfg!(debug_assertions) {
            warnings.push("this is no release build: cargo build --release".to_owned());
        }
        warnings
    }
}

/// What a benchmark has found.
pub(super) trait Results: Serialize {
    /// Its key in the object.
    const NAME: &'static str;
    /// For people.
    fn tables(&self) -> Vec<Table>;
    /// What is wanted, and whether it is so.
    fn remarks(&self) -> Vec<String>;
}

/// Prints it.
pub(super) fn print<R: Results>(
    results: &R,
    setting: &Setting,
    is_json: bool,
) -> anyhow::Result<()> {
    let warnings = setting.warnings();
    let text = if is_json {
        let mut object = Map::new();
        object.insert(R::NAME.to_owned(), serde_json::to_value(results)?);
        object.insert("setting".to_owned(), serde_json::to_value(setting)?);
        object.insert("warnings".to_owned(), serde_json::to_value(&warnings)?);
        serde_json::to_string_pretty(&Value::Object(object))? + "\n"
    } else {
        let mut text = String::new();
        for table in results.tables() {
            for line in table.lines() {
                text += line.trim_end();
                text.push('\n');
            }
            text.push('\n');
        }
        for remark in results.remarks() {
            text += &remark;
            text.push('\n');
        }
        for warning in warnings {
            text += &format!("warning: {warning}\n");
        }
        text
    };
    match io::stdout().write_all(text.as_bytes()) {
        // A reader that has seen enough (`| head`) is no error.
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

/// A table whose columns but the first are numbers.
pub(super) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for column in 1..N {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// The header of [`spread_row`].
pub(super) const SPREAD: [&str; 6] = ["", "mean", "stddev", "p50", "p90", "p99"];

/// A row of a table of spreads.
pub(super) fn spread_row(name: &str, spread: &Spread) -> [String; 6] {
    let Spread {
        p50,
        p90,
        p99,
        mean,
        stddev,
    } = *spread;
    [
        name.to_owned(),
        number(mean),
        number(stddev),
        number(p50),
        number(p90),
        number(p99),
    ]
}

/// With as many digits as mean something.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.2}"),
        10.0..1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Whether what is wanted was reached.
pub(super) fn verdict(what: &str, holds: bool) -> String {
    format!("{} {what}", if holds { "reached:" } else { "MISSED: " })
}
