//! How the application comes back, and how TCPR does.
//!
//! *Assumes* that who is refused because the connection has ended has done all but hear of it.
//! *Guarantees* a fault if TCPR breaks what it promises: that output goes on where the application
//! still has it, input at the checkpoint, and that nothing is refused which it asks for rightly.

use std::time::Duration;

use tcpr_core::{Ending, Hard, Recovery, Refusal};

use super::{Application, Disk, Stage, Wish};
use crate::simulation::fault::Fault;
use crate::simulation::middle::Middle;

impl Application {
    /// The peer forgets a connection that has ended on its side, and says so when it is asked.
    pub(super) fn ended(&mut self, ending: Ending, middle: &mut Middle) {
        if !self.nothing_is_left() {
            middle.faults.push(Fault::Ended { ending });
        }
        self.disk.finished = true;
    }

    pub(super) fn refused(&mut self, refusal: Refusal, middle: &mut Middle) {
        if refusal != Refusal::Ended || !self.nothing_is_left() {
            middle.faults.push(Fault::Refused { refusal });
        }
        self.disk.finished = true;
    }

    /// Whether the application itself has done all but hear that its FIN has arrived.
    fn nothing_is_left(&self) -> bool {
        self.disk.eof && self.disk.done_writing
    }

    /// What the record on the disk says.
    fn record(&self) -> Option<Hard> {
        let Disk {
            input,
            eof,
            trimmed,
            done_writing,
            ..
        } = self.disk;
        Some(Hard {
            checkpoint: input + u64::from(eof),
            peer_fin: eof.then_some(input),
            done_writing: done_writing.then_some(self.output),
            acked: trimmed,
            ..self.disk.hard?
        })
    }

    pub(super) fn recover(&mut self, now: Duration, middle: &mut Middle) {
        if let Some(hard) = &mut self.disk.hard {
            hard.incarnation += 1;
        }
        self.ask_to_recover(now, middle);
    }

    fn ask_to_recover(&mut self, now: Duration, middle: &mut Middle) {
        let Some(record) = self.record() else {
            return;
        };
        middle.outside.announce(None);
        (self.announced, self.shut, self.closed) = (None, false, false);
        let answer = middle.ask(now, |core, actions| core.recover(now, record, actions));
        match answer {
            Some(Ok(Some(recovery))) => self.granted(now, recovery, middle),
            Some(Ok(None)) => self.stage = Stage::Asking,
            Some(Err(refusal)) => return self.refused(refusal, middle),
            None => return,
        }
        let incarnation = record.incarnation;
        middle.story.say(now, || {
            format!("application recovers, incarnation {incarnation}")
        });
        if self.off_host {
            let flow = record.flow;
            middle.ask(now, |core, actions| {
                core.reset_old_stack(&flow, actions);
                Ok(())
            });
        }
    }

    pub(super) fn granted(&mut self, now: Duration, recovery: Recovery, middle: &mut Middle) {
        let Recovery { hard, base } = recovery;
        let Disk {
            trimmed, written, ..
        } = self.disk;
        if base < trimmed || base > written {
            middle.faults.push(Fault::WrongBase {
                base,
                least: trimmed,
                most: written,
            });
        }
        let persisted = self.disk.input + u64::from(self.disk.eof);
        if hard.checkpoint != persisted {
            middle.faults.push(Fault::WrongCheckpoint {
                said: hard.checkpoint,
                persisted,
            });
        }
        self.hard = Some(hard);
        self.resumed = false;
        self.base = base;
        self.written = base;
        (self.read, self.eof) = (self.disk.input, false);
        (self.next_read, self.next_write, self.next_checkpoint) = (now, now, None);
        self.stage = Stage::Pausing {
            until: now + self.pause,
        };
    }

    /// TCPR can be reached again, and knows nothing.
    pub(super) fn come_back(&mut self, now: Duration, middle: &mut Middle) -> Option<Wish> {
        match self.stage {
            Stage::Asking => {
                self.ask_to_recover(now, middle);
                Some(Wish::End)
            }
            Stage::Opening | Stage::Down { .. } => None,
            Stage::Running | Stage::Pausing { .. } | Stage::Connecting => {
                let hard = self.hard?;
                match middle.ask(now, |core, _| core.resume(now, hard)) {
                    Some(Err(Refusal::RecoverAgain)) => {
                        self.stage = Stage::Down { until: now };
                    }
                    Some(Err(refusal)) => self.refused(refusal, middle),
                    Some(Ok(_)) | None => self.resumed = true,
                }
                None
            }
        }
    }
}
