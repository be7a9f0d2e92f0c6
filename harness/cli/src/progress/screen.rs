//! Standard error, when a view may stand at the bottom of it.
//!
//! *Assumes* a terminal that knows the cursor movements of ECMA-48 (all but `TERM=dumb` do), and that
//! nobody else writes to it meanwhile, but for what the terminal echoes. *Guarantees* that lines which are
//! said stay above the view, and scroll back with it; that the terminal's modes are never
//! changed: the cursor stays visible, keys and Ctrl-C mean what they meant, nothing is read from it,
//! and so there is nothing to restore, even after SIGKILL. Between two writes the cursor rests at the
//! beginning of the line below the view: that is where a shell's prompt then comes.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A line of the view: its text, with what colours it, and how many columns it takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) text: String,
    pub(crate) columns: usize,
}

/// Writes lines, and a view below them, to a terminal or to something like one.
#[derive(Debug)]
pub(crate) struct Screen<W> {
    out: W,
    /// The view as it stands.
    rows: Vec<Row>,
    /// Columns of the terminal when it was painted.
    width: usize,
}

impl<W: Write> Screen<W> {
    pub(crate) const fn new(out: W) -> Self {
        Self {
            out,
            rows: Vec::new(),
            width: 0,
        }
    }

    /// Shows a view in the place of the last one, in a terminal of `width` columns.
    pub(crate) fn paint(&mut self, rows: Vec<Row>, width: usize) -> io::Result<()> {
        let mut text = String::new();
        if self.width == width && self.rows.len() == rows.len() {
            if self.rows == rows {
                return Ok(());
            }
            text.push_str(&up(rows.len()));
            for (old, new) in self.rows.iter().zip(&rows) {
                if old != new {
                    text.push_str(&new.text);
                    text.push_str("\x1b[K");
                }
                text.push_str("\r\n");
            }
        } else {
            text.push_str(&self.erasure(width));
            for row in &rows {
                text.push_str(&row.text);
                text.push_str("\r\n");
            }
        }
        self.rows = rows;
        self.width = width;
        self.write(&text)
    }

    /// Writes above the view, which is shown again below it.
    pub(crate) fn say(&mut self, text: &str) -> io::Result<()> {
        if self.rows.is_empty() {
            self.write(text)
        } else {
            let mut told = self.erasure(self.width);
            told.push_str(&text.trim_end_matches('\n').replace('\n', "\r\n"));
            told.push_str("\r\n");
            for row in &self.rows {
                told.push_str(&row.text);
                told.push_str("\r\n");
            }
            self.write(&told)
        }
    }

    /// Takes the view away.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        let text = self.erasure(self.width);
        self.rows.clear();
        self.write(&text)
    }

    /// Leaves the view where it stands, as lines like any other.
    pub(crate) fn forget(&mut self) {
        self.rows.clear();
    }

    /// What takes the view away from a terminal that has become `width` columns wide. A terminal that
    /// was made narrower has broken the rows that no longer fit.
    fn erasure(&self, width: usize) -> String {
        let lines = |row: &Row| row.columns.div_ceil(width.max(1)).max(1);
        let height: usize = self.rows.iter().map(lines).sum();
        if height == 0 {
            String::new()
        } else {
            format!("{}\x1b[J", up(height))
        }
    }

    /// One write for one change, so that nothing half painted is seen.
    fn write(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

/// To the beginning of the line so many lines above.
fn up(lines: usize) -> String {
    format!("\r\x1b[{lines}A")
}

/// Standard error; Rust's own cannot be named before `main`.
#[derive(Debug)]
struct StandardError;

impl Write for StandardError {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        io::stderr().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The one that this program has.
static SCREEN: Mutex<Screen<StandardError>> = Mutex::new(Screen::new(StandardError));

fn screen() -> MutexGuard<'static, Screen<StandardError>> {
    SCREEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows a view. What cannot be shown is shown by nobody: the campaign does not end for that.
pub(crate) fn paint(rows: Vec<Row>, width: usize) {
    let _ = screen().paint(rows, width);
}

/// Says something on standard error, above the view if there is one.
pub(crate) fn say(text: &str) {
    let _ = screen().say(&format!("{text}\n"));
}

/// Takes the view away.
pub(crate) fn clear() {
    let _ = screen().clear();
}

/// Leaves the view where it stands; the next one comes below.
pub(crate) fn forget() {
    screen().forget();
}

/// Before a panic speaks: what it says comes below the view, which is painted no more.
pub(crate) fn on_panic_forget() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        // Who panics may be painting; the view is as good as gone then.
        if let Ok(mut screen) = SCREEN.try_lock() {
            screen.forget();
        }
        before(info);
    }));
}

/// Standard error for what logs: each write comes above the view.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Log;

impl Write for Log {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        screen().say(&String::from_utf8_lossy(octets))?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
