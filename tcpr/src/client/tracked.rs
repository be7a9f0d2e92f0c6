//! What the client knows of a connection.
//!
//! *Assumes* that notices and replies about one incarnation come in any order, and may be repeated.
//! *Guarantees* that offsets never go back, so that what is registered with a restarted TCPR is at
//! least what the lost one had been told, or had told us.

use tcpr_core::{Ending, Flow, Hard, Refusal, Summary};

use crate::protocol::Notice;

/// A connection of this client.
#[derive(Debug, Clone)]
pub struct Tracked {
    /// Its hard state, as new as can be.
    pub hard: Hard,
    /// While it is being recovered: where output begins. It must not change between `recover` and
    /// the new connection's SYN.
    pub base: Option<u64>,
    /// How it ended for the peer.
    pub ended: Option<Ending>,
    /// TCPR has forgotten it: it ended, or was done with.
    pub removed: bool,
    /// Its local TCP has failed, and no new one is there yet.
    pub failed: bool,
    /// What was refused that nobody waits for: a checkpoint, or its registration after TCPR was
    /// restarted.
    pub refused: Option<Refusal>,
    /// Which registration this is: addresses and ports may be used again.
    pub generation: u64,
    /// Nobody holds it any more: it is dropped as soon as TCPR has forgotten it.
    pub unheld: bool,
}

impl Tracked {
    pub(super) fn new(hard: Hard, base: Option<u64>, generation: u64) -> Tracked {
        Tracked {
            hard,
            base,
            ended: None,
            removed: false,
            failed: false,
            refused: None,
            generation,
            unheld: false,
        }
    }

    /// The connection.
    #[must_use]
    pub fn flow(&self) -> Flow {
        self.hard.flow
    }

    /// Whether the new local TCP is in place, or the first one is still.
    #[must_use]
    pub fn is_spliced(&self) -> bool {
        self.hard.spliced == self.hard.incarnation
    }

    /// Whether TCPR is to be told of it when it was restarted.
    #[must_use]
    pub fn lives(&self) -> bool {
        !self.removed && self.refused.is_none_or(|refusal| !is_lasting(refusal))
    }

    /// What is looked for, or why it will never be found.
    pub(super) fn settled<T>(
        &self,
        look: impl Fn(&Tracked) -> Option<T>,
    ) -> Option<Result<T, Refusal>> {
        let over = self.ended.is_some() || self.removed;
        let refused = || self.refused.or(over.then_some(Refusal::Ended));
        look(self).map(Ok).or_else(|| refused().map(Err))
    }

    /// Takes hard state from TCPR.
    pub(super) fn merge(&mut self, new: Hard) {
        if new.incarnation > self.hard.incarnation {
            // Another process has recovered it: ours is the zombie.
            let (given, current) = (self.hard.incarnation, new.incarnation);
            self.refused = Some(Refusal::OlderIncarnation { given, current });
        }
        if new.incarnation != self.hard.incarnation {
            return;
        }
        let old = self.hard;
        // An older notice about the same incarnation knows no splice.
        if new.spliced >= old.spliced {
            self.hard = new;
        }
        let hard = &mut self.hard;
        hard.checkpoint = old.checkpoint.max(new.checkpoint);
        hard.acked = old.acked.max(new.acked);
        hard.done_reading = old.done_reading || new.done_reading;
        hard.done_writing = new.done_writing.or(old.done_writing);
        hard.peer_fin = new.peer_fin.or(old.peer_fin);
        if self.is_spliced() {
            self.base = None;
            self.failed = false;
        }
    }

    pub(super) fn notice(&mut self, notice: &Notice) {
        match notice {
            Notice::Acked { offset, .. } => self.hard.acked = self.hard.acked.max(*offset),
            Notice::Closed { ending, .. } => self.ended = Some(*ending),
            Notice::Spliced { hard } => self.merge(*hard),
            Notice::Failed { .. } => self.failed = true,
            Notice::Removed { .. } => self.removed = true,
            Notice::Established { .. } | Notice::Unknown => {}
        }
    }

    pub(super) fn shown(&mut self, summary: &Summary) {
        self.merge(summary.hard);
        self.hard.acked = self.hard.acked.max(summary.acked);
        self.ended = self.ended.or(summary.ending);
    }

    /// A checkpoint was refused: whether the application has to know, and the true one to be asked
    /// for.
    pub(super) fn checkpoint_refused(&mut self, offset: u64, refusal: Refusal) -> bool {
        if let Refusal::BackwardCheckpoint { current, .. } = refusal {
            if offset < self.hard.checkpoint {
                // It was overtaken by a newer one.
                return false;
            }
            self.hard.checkpoint = self.hard.checkpoint.max(current);
        }
        self.refused = Some(refusal);
        true
    }
}

/// Whether a connection that was refused for this is lost to this client.
fn is_lasting(refusal: Refusal) -> bool {
    !matches!(
        refusal,
        Refusal::BackwardCheckpoint { .. } | Refusal::CheckpointBeyondInput { .. }
    )
}
