//! What the application says of a connection.
//!
//! *Assumes* that a checkpoint is where a crash does not reach before it is told here.
//! *Guarantees* that a refused request has changed nothing.

use core::time::Duration;

use super::{Connection, FAR};
use crate::action::{Actions, Ending, Refusal};
use crate::summary::Phase;
use crate::{Conduct, Hard, Mutation};

impl<C: Conduct> Connection<C> {
    /// The application takes charge of the connection.
    pub(crate) fn register(&mut self) -> Result<Hard, Refusal> {
        if self.phase == Phase::Done {
            return Err(Refusal::Ended);
        }
        self.registered = true;
        Ok(self.hard())
    }

    /// TCPR was lost, and the local TCP was not: takes the connection as the application knows it.
    pub(crate) fn resume(now: Duration, hard: Hard, conduct: C) -> Result<Self, Refusal> {
        if hard.spliced != hard.incarnation {
            return Err(Refusal::RecoverAgain);
        }
        Ok(Connection {
            registered: true,
            resumed: true,
            base: i64::MIN / 2,
            ..Connection::unheard(now, hard, conduct)
        })
    }

    /// What a registration with hard state means for a connection that is known.
    pub(crate) fn reaffirm(&mut self, hard: &Hard) -> Result<Hard, Refusal> {
        if hard.ours != self.hard.ours || hard.peers != self.hard.peers {
            return Err(Refusal::OtherConnection);
        }
        if hard.incarnation != self.hard.incarnation {
            return Err(Refusal::OlderIncarnation {
                given: hard.incarnation,
                current: self.hard.incarnation,
            });
        }
        // The peer's FIN may have passed before TCPR was lost: only the application has seen it.
        self.hard.peer_fin = self.hard.peer_fin.or(hard.peer_fin);
        self.register()
    }

    pub(super) fn admit_checkpoint(&self, offset: u64) -> Result<(), Refusal> {
        let current = self.hard.checkpoint;
        if offset < current {
            return Err(Refusal::BackwardCheckpoint {
                given: offset,
                current,
            });
        }
        let received = self.seen.max(self.local_ack);
        let known = match (self.heard_local, self.resumed) {
            // What a local TCP that lives on had received before TCPR was lost only its own word
            // tells: the peer's segments may be late.
            (false, true) => received + FAR,
            (true, true) => received.max(self.unseen()),
            (false, false) if !self.heard_peer => received + FAR,
            (_, false) => received,
        };
        if offset as i64 > known || offset > i64::MAX as u64 {
            return Err(Refusal::CheckpointBeyondInput {
                given: offset,
                received: received as u64,
            });
        }
        Ok(())
    }

    /// Input up to `offset` is the application's own from now on.
    pub(crate) fn checkpoint(
        &mut self,
        now: Duration,
        offset: u64,
        actions: &mut Actions,
    ) -> Result<(), Refusal> {
        self.admit_checkpoint(offset)?;
        if offset > self.hard.checkpoint {
            self.hard.checkpoint = offset;
            self.seen = self.seen.max(offset as i64);
            if !self.conduct.has(Mutation::NoAcknowledgmentOnCheckpoint) {
                self.tell_if_heard(now, actions);
            }
        }
        Ok(())
    }

    /// Without an acknowledgment at once the peer would wait for the local TCP, which has said all
    /// that it had to say. Of a local TCP that was not heard yet the window is not known.
    fn tell_if_heard(&mut self, now: Duration, actions: &mut Actions) {
        if self.heard_local && !self.ended_hard() {
            self.tell(actions);
            self.end_if_finished(now, actions);
        }
    }

    /// The application wants no more input.
    pub(crate) fn done_reading(
        &mut self,
        now: Duration,
        actions: &mut Actions,
    ) -> Result<(), Refusal> {
        self.hard.done_reading = true;
        let received = self.local_ack.max(0) as u64;
        if received > self.hard.checkpoint {
            self.hard.checkpoint = received;
            self.tell_if_heard(now, actions);
        }
        Ok(())
    }

    /// The application's output ends at `written`, and the FIN there is meant.
    pub(crate) fn done_writing(&mut self, written: u64) -> Result<(), Refusal> {
        let sent = match self.fin {
            Some(fin) => fin,
            // TCPR was lost after an earlier local TCP had sent its FIN: what the peer acknowledges
            // beyond the end of the output is nothing else.
            None if self.blind && self.acked - 1 == written as i64 => {
                self.fin = Some(written as i64);
                written as i64
            }
            None => self.sent,
        };
        if (written as i64) < sent || written > i64::MAX as u64 {
            return Err(Refusal::EndBeforeSent {
                given: written,
                sent: sent as u64,
            });
        }
        self.hard.done_writing = Some(written);
        Ok(())
    }

    /// The application wants the connection reset.
    pub(crate) fn abort(&mut self, now: Duration, actions: &mut Actions) {
        self.expire(now, Ending::Aborted, actions);
    }

    /// Resets both sides, each with the number that it expects.
    pub(super) fn expire(&mut self, now: Duration, ending: Ending, actions: &mut Actions) {
        if self.phase == Phase::Done {
            return;
        }
        self.reset_peer(self.acked, actions);
        self.reset_old_stack(actions);
        self.end(now, ending, actions);
    }

    /// The application knows that the connection has ended.
    pub(crate) fn done(&mut self) -> Result<(), Refusal> {
        if self.phase != Phase::Done {
            return Err(Refusal::NotEnded);
        }
        self.registered = false;
        Ok(())
    }
}
