//! A recoverable application: what it has persisted, and where it stands in the protocol between it
//! and TCPR.
//!
//! *Assumes* that what it persists is where no failure reaches, and that it can make its output again.
//! *Guarantees* the order that TCPR's docs ask for: the incarnation is persisted before `recover`, an
//! octet of input with its effect before `checkpoint`, and the end of the output before its FIN.

use tcpr_core::Hard;

use super::segment::{FLOW, OURS, PEERS};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Progress {
    /// It opens the connection, or accepts it. A failure before it is registered is outside of what
    /// can be recovered.
    Opening,
    /// It has a local TCP.
    Running,
    /// It has none.
    Down,
    /// It has asked to recover, and waits for the answer.
    Asking,
    /// It was told where to begin.
    Granted(i64),
    /// It has seen the connection's end.
    Done,
}

/// The application.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Application {
    /// What it has persisted. The checkpoint is the end of the input that it has read; `acked` is
    /// where its log of output begins.
    pub(super) record: Hard,
    pub(super) progress: Progress,
    /// Where the present local TCP's output begins.
    pub(super) base: i64,
    /// It has announced its FIN in this life.
    pub(super) announced: bool,
    /// The TCPR that is there knows it.
    pub(super) is_known: bool,
}

impl Application {
    pub(super) fn new() -> Application {
        Application {
            record: Hard::begin(FLOW, OURS, PEERS),
            progress: Progress::Opening,
            base: 0,
            announced: false,
            is_known: true,
        }
    }

    /// Hard state from TCPR, as the client library takes it: offsets never go back, and the
    /// application knows best whether it has closed.
    pub(super) fn merge(&mut self, new: Hard) {
        let old = self.record;
        self.record = Hard {
            checkpoint: old.checkpoint.max(new.checkpoint),
            acked: old.acked.max(new.acked),
            done_writing: old.done_writing.or(new.done_writing),
            peer_fin: old.peer_fin.or(new.peer_fin),
            ..new
        };
    }

    /// Its local TCP is gone, or it is itself.
    pub(super) fn fall(&mut self) {
        if self.progress != Progress::Done {
            self.progress = Progress::Down;
        }
    }

    pub(super) fn checkpoint(&self) -> i64 {
        self.record.checkpoint as i64
    }
}
