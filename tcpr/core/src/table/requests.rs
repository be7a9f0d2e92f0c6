//! What applications ask for.
//!
//! *Assumes* that whoever asks may: who can reach the side channel is the caller's matter.
//! *Guarantees* that a refused request has changed nothing, and is counted.

use alloc::boxed::Box;
use core::time::Duration;

use super::{Recovery, State, Tcpr};
use crate::action::{Actions, Refusal};
use crate::connection::Connection;
use crate::summary::Phase;
use crate::{Conduct, Flow, Hard};

impl<C: Conduct> Tcpr<C> {
    /// An application takes charge of an established connection.
    ///
    /// # Errors
    ///
    /// If the connection is not known, not established, or cannot be protected.
    pub fn register(&mut self, now: Duration, flow: &Flow) -> Result<Hard, Refusal> {
        // The application may learn of the connection before its handshake's last segment has
        // passed here.
        self.establish(now, flow);
        let refused = match self.entries.get_mut(flow).map(|entry| &mut entry.state) {
            Some(State::Open(connection)) => connection.register(),
            Some(State::Opening(_)) => Err(Refusal::NotEstablished),
            Some(State::Signed) => Err(Refusal::Signed),
            None => Err(Refusal::Unknown),
        };
        self.note(refused)
    }

    /// TCPR was restarted while the application and its TCP live on.
    ///
    /// # Errors
    ///
    /// If the state given is not that of the connection that is there, or of a recovery that had
    /// not come to its end.
    pub fn resume(&mut self, now: Duration, hard: Hard) -> Result<Hard, Refusal> {
        if !hard.is_possible() {
            return self.note(Err(Refusal::Impossible));
        }
        let flow = hard.flow;
        let resumed = match self.entries.get_mut(&flow).map(|entry| &mut entry.state) {
            Some(State::Open(connection)) if connection.phase() != Phase::Done => {
                connection.reaffirm(&hard)
            }
            Some(State::Signed) => Err(Refusal::Signed),
            _ => match self.room() {
                Ok(()) => Connection::resume(now, hard, self.conduct).map(|connection| {
                    self.insert(flow, State::Open(Box::new(connection)));
                    hard
                }),
                Err(refusal) => Err(refusal),
            },
        };
        self.remap(&flow);
        self.note(resumed)
    }

    /// Input up to `offset` is the application's own.
    ///
    /// # Errors
    ///
    /// If it lies before the last one, or beyond what the peer has sent.
    pub fn checkpoint(
        &mut self,
        now: Duration,
        flow: &Flow,
        offset: u64,
        actions: &mut Actions,
    ) -> Result<(), Refusal> {
        self.request(flow, |connection| {
            connection.checkpoint(now, offset, actions)
        })
    }

    /// The application wants no more input.
    ///
    /// # Errors
    ///
    /// If the connection is not known.
    pub fn done_reading(
        &mut self,
        now: Duration,
        flow: &Flow,
        actions: &mut Actions,
    ) -> Result<(), Refusal> {
        self.request(flow, |connection| connection.done_reading(now, actions))
    }

    /// The application's output ends after `written` octets since the beginning: the FIN there is
    /// meant.
    ///
    /// # Errors
    ///
    /// If more has been sent.
    pub fn done_writing(&mut self, flow: &Flow, written: u64) -> Result<(), Refusal> {
        self.request(flow, |connection| connection.done_writing(written))
    }

    /// The application recovers: its old local TCP is fenced off and what the peer sends is held.
    /// `None`: the peer is asked first, and [`Action::Recovered`](crate::Action::Recovered) or [`Action::Refused`](crate::Action::Refused) follows.
    ///
    /// # Errors
    ///
    /// If the incarnation is not a later one, or the state is of another connection.
    pub fn recover(
        &mut self,
        now: Duration,
        hard: Hard,
        actions: &mut Actions,
    ) -> Result<Option<Recovery>, Refusal> {
        if !hard.is_possible() {
            return self.note(Err(Refusal::Impossible));
        }
        let flow = hard.flow;
        let fresh = self.open(&flow).is_none();
        if fresh {
            let admitted = self.room();
            self.note(admitted)?;
            let connection = Connection::unheard(
                now,
                Hard {
                    incarnation: hard.incarnation.saturating_sub(1),
                    ..hard
                },
                self.conduct,
            );
            self.insert(flow, State::Open(Box::new(connection)));
        }
        let recovered = self.request(&flow, |connection| connection.recover(now, hard, actions));
        if recovered.is_err() && fresh {
            self.remove(&flow, actions);
        }
        self.remap(&flow);
        recovered
    }

    /// Resets the old local TCP where its socket cannot be ended otherwise.
    pub fn reset_old_stack(&mut self, flow: &Flow, actions: &mut Actions) {
        if let Some(connection) = self.open(flow) {
            connection.reset_old_stack(actions);
        }
    }

    /// The application knows that the connection has ended.
    ///
    /// # Errors
    ///
    /// If it has not ended.
    pub fn done(&mut self, flow: &Flow) -> Result<(), Refusal> {
        self.request(flow, Connection::done)
    }

    /// The application wants the connection reset.
    ///
    /// # Errors
    ///
    /// If the connection is not known.
    pub fn abort(
        &mut self,
        now: Duration,
        flow: &Flow,
        actions: &mut Actions,
    ) -> Result<(), Refusal> {
        self.request(flow, |connection| {
            connection.abort(now, actions);
            Ok(())
        })
    }

    /// Carries out a request on a connection that is there.
    pub(super) fn request<T>(
        &mut self,
        flow: &Flow,
        request: impl FnOnce(&mut Connection<C>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let answer = match self.open_mut(flow) {
            Some(connection) => request(connection),
            None => Err(Refusal::Unknown),
        };
        self.renew_deadline(flow);
        self.note(answer)
    }

    pub(super) fn note<T>(&mut self, answer: Result<T, Refusal>) -> Result<T, Refusal> {
        self.counters.refused_requests += u64::from(answer.is_err());
        answer
    }
}
