//! Sessions, as the routers' own logs tell them.
//!
//! *Assumes* log files that only grow. *Guarantees* to read a line as soon as the kernel tells
//! that it was written (inotify), without polling, and each line once.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use nix::sys::inotify::{AddWatchFlags, WatchDescriptor};

use crate::clock;
use crate::file_events::FileEvents;
use crate::router::Router;
use crate::signal::{Signal, Signals};

/// One log that is followed.
struct Followed {
    node: String,
    file: File,
    partial: Vec<u8>,
}

/// Follows the logs of all routers of a lab.
pub(crate) struct LogTail {
    events: FileEvents,
    logs: HashMap<WatchDescriptor, Followed>,
    router: Arc<dyn Router>,
    signals: Signals,
}

impl LogTail {
    /// Begins to follow the given logs (node and path); missing ones are created, so that the
    /// first line is not missed.
    ///
    /// # Errors
    /// If a log or the inotify instance cannot be opened.
    pub(crate) fn open(
        logs: impl IntoIterator<Item = (String, PathBuf)>,
        router: Arc<dyn Router>,
        signals: Signals,
    ) -> io::Result<Self> {
        let events = FileEvents::new()?;
        let mut followed = HashMap::new();
        for (node, path) in logs {
            File::options().create(true).append(true).open(&path)?;
            let file = File::open(&path)?;
            let watch = events.add(&path, AddWatchFlags::IN_MODIFY)?;
            followed.insert(
                watch,
                Followed {
                    node,
                    file,
                    partial: Vec::new(),
                },
            );
        }
        Ok(LogTail {
            events,
            logs: followed,
            router,
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
                    log.read(self.router.as_ref(), &self.signals);
                }
            }
        }
    }
}

impl Followed {
    /// Reads what is new and signals each session change in it.
    fn read(&mut self, router: &dyn Router, signals: &Signals) {
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
            if let Some(change) = router.parse_log_line(line) {
                signals.send(Signal::Session {
                    t_mono_ns: clock::mono_of_wall(change.t_wall_ns),
                    node: self.node.clone(),
                    peer: change.peer,
                    up: change.up,
                    text: change.text,
                });
            }
        }
    }
}
