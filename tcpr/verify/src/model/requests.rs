//! What the application does: it reads, and asks TCPR.
//!
//! *Assumes* that the core answers as it does over the side channel.
//! *Guarantees* that what the application is told is judged by what it knows.

use tcpr_core::{Actions, Ending, Hard, Refusal};

use super::application::Progress;
use super::local::{Speech, Stage};
use super::segment::{FLOW, octet};
use super::state::NOW;
use super::turn::Turn;
use super::violation::Wrong;

impl Turn<'_> {
    pub(super) fn register(&mut self) {
        match self.core().register(NOW, &FLOW) {
            Ok(hard) => {
                self.state.application.record = hard;
                self.state.application.progress = Progress::Running;
                let end = self.config.ours;
                if let Some(local) = &mut self.state.local {
                    local.end = end;
                }
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// Reads one octet, or the end, and persists that.
    pub(super) fn read(&mut self) {
        let Some(local) = &mut self.state.local else {
            return;
        };
        let record = &mut self.state.application.record;
        let position = record.checkpoint as i64;
        if !local.unread.is_empty() {
            let read = local.read();
            record.checkpoint += 1;
            if position >= self.config.peers || read != octet(true, position) {
                self.object(Wrong::Read {
                    octet: read,
                    position,
                });
            }
            return;
        }
        local.eof_read = true;
        let end = self.config.peers;
        record.peer_fin = Some(end as u64);
        record.checkpoint = end as u64 + 1;
        // A new local TCP reads the end again.
        if position != end && position != end + 1 {
            self.object(Wrong::End { position });
        }
    }

    pub(super) fn checkpoint(&mut self) {
        let offset = self.state.application.record.checkpoint;
        let loose = self.state.wire.is_loose();
        let mut actions = Actions::new();
        let answer = self.core().checkpoint(NOW, &FLOW, offset, &mut actions);
        self.carry_out(actions);
        match answer {
            Ok(()) if self.told == 0 && !loose => self.object(Wrong::CheckpointNotTold),
            Ok(()) => {}
            Err(refusal) => self.refuse(refusal),
        }
    }

    pub(super) fn close(&mut self) {
        let written = self.config.ours as u64;
        match self.core().done_writing(&FLOW, written) {
            Ok(()) => {
                let application = &mut self.state.application;
                application.announced = true;
                application.record.done_writing = Some(written);
                if let Some(local) = &mut self.state.local {
                    local.closing = true;
                }
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    pub(super) fn finish(&mut self) {
        let lost = self.state.losses < self.config.losses;
        match self.core().done(&FLOW) {
            Ok(()) => self.state.application.progress = Progress::Done,
            Err(Refusal::NotEnded) if lost => self.state.application.progress = Progress::Done,
            Err(refusal) => self.refuse(refusal),
        }
    }

    pub(super) fn recover(&mut self) {
        let application = &mut self.state.application;
        application.record.incarnation += 1;
        application.progress = Progress::Asking;
        application.is_known = true;
        let record = application.record;
        let mut actions = Actions::new();
        let answer = self.core().recover(NOW, record, &mut actions);
        self.state.application.announced &= answer.is_err();
        self.carry_out(actions);
        match answer {
            Ok(Some(recovery)) => self.grant(recovery.hard, recovery.base),
            Ok(None) => {}
            Err(Refusal::Ended) => {
                let ended = self.core().summary(NOW, &FLOW);
                if ended.and_then(|ended| ended.ending) == Some(Ending::Finished) {
                    self.state.application.progress = Progress::Done;
                } else {
                    self.refuse(Refusal::Ended);
                }
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// The application is told where to begin.
    pub(super) fn grant(&mut self, hard: Hard, base: u64) {
        let base = base as i64;
        let most = self.config.ours;
        // It has thrown away what it was told to be acknowledged.
        let least = most.min(self.state.application.record.acked as i64);
        self.state.application.merge(hard);
        self.state.application.progress = Progress::Granted(base);
        if base < least || base > most {
            self.object(Wrong::Base { base, least, most });
        }
    }

    pub(super) fn connect(&mut self) {
        if let Progress::Granted(base) = self.state.application.progress {
            self.renew_local(Stage::SynSent, base);
            self.say(Speech::Syn);
        }
    }

    /// The middleware was lost: another one is told of the connection.
    pub(super) fn resume(&mut self) {
        let application = &self.state.application;
        let mut record = application.record;
        // What was announced in an earlier life is to be announced again.
        record.done_writing = record.done_writing.filter(|_| application.announced);
        match self.core().resume(NOW, record) {
            Ok(hard) => {
                self.state.application.is_known = true;
                self.state.application.merge(hard);
            }
            Err(Refusal::RecoverAgain) => {
                self.state.local = None;
                self.state.application.fall();
            }
            Err(refusal) => self.refuse(refusal),
        }
    }
}
