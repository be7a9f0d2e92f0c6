//! Sessions, as the logs of the routers and of the injector tell them.
//!
//! *Assumes* log files that only grow. *Guarantees* to read a line as soon as the kernel tells
//! that it was written (inotify), without polling, and each line once.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use nix::sys::inotify::{AddWatchFlags, WatchDescriptor};

use crate::file_events::FileEvents;
use crate::signal::{Signal, Signals};

/// What a line of a log tells.
pub(crate) type LineReader = Box<dyn Fn(&str) -> Option<Signal> + Send>;

/// A log to follow.
pub(crate) struct Log {
    /// The file.
    pub path: PathBuf,
    /// What each of its lines tells.
    pub read_line: LineReader,
}

/// One log that is followed.
struct Followed {
    read_line: LineReader,
    file: File,
    partial: Vec<u8>,
}

/// Follows logs of a lab.
pub(crate) struct LogTail {
    events: FileEvents,
    logs: HashMap<WatchDescriptor, Followed>,
    signals: Signals,
}

impl LogTail {
    /// Begins to follow the given logs; missing ones are created, so that the first line is not
    /// missed.
    ///
    /// # Errors
    /// If a log or the inotify instance cannot be opened.
    pub(crate) fn open(logs: impl IntoIterator<Item = Log>, signals: Signals) -> io::Result<Self> {
        let events = FileEvents::new()?;
        let mut followed = HashMap::new();
        for Log { path, read_line } in logs {
            File::options().create(true).append(true).open(&path)?;
            let file = File::open(&path)?;
            let watch = events.add(&path, AddWatchFlags::IN_MODIFY)?;
            followed.insert(
                watch,
                Followed {
                    read_line,
                    file,
                    partial: Vec::new(),
                },
            );
        }
        Ok(LogTail {
            events,
            logs: followed,
            signals,
        })
    }

    /// Follows until the lab ends.
    ///
    /// # Errors
    /// If inotify fails.
    pub(crate) async fn follow(mut self) -> io::Result<()> {
        loop {
            for event in self.events.next().await? {
                if let Some(log) = self.logs.get_mut(&event.wd) {
                    log.read(&self.signals);
                }
            }
        }
    }
}

impl Followed {
    /// Reads what is new and signals what it tells.
    fn read(&mut self, signals: &Signals) {
        // A log that cannot be read tells nothing; the deadline of what is waited for will.
        if self.file.read_to_end(&mut self.partial).is_err() {
            return;
        }
        let Some(end) = self.partial.iter().rposition(|&b| b == b'\n') else {
            return;
        };
        let rest = self.partial.split_off(end + 1);
        let whole = std::mem::replace(&mut self.partial, rest);
        for line in String::from_utf8_lossy(&whole).lines() {
            if let Some(signal) = (self.read_line)(line) {
                signals.send(signal);
            }
        }
    }
}
