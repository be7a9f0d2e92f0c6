//! The recoverable application: what its own disk remembers, and what it does.
//!
//! *Assumes* that what is on its disk survives, and nothing else does.
//! *Guarantees* the application's side of TCPR's protocol: the incarnation is persisted before it
//! is used, input before it is checkpointed, the end of output before it is announced, and
//! announced before the FIN; after a failure it recovers, repeats its output from the base that it
//! is given, and goes on with its input at the checkpoint.

mod recovery;

use std::time::Duration;

use smoltcp::socket::tcp;
use tcpr_core::{Ending, Hard};

use super::content::Speech;
use super::fault::Fault;
use super::middle::{Middle, Notice};
use super::scenario::{Closing, Pace, Scenario};
use super::stack::Stack;

/// What survives.
#[derive(Debug, Default)]
struct Disk {
    hard: Option<Hard>,
    /// Octets of input whose effects are persisted.
    input: u64,
    /// The peer's FIN, too.
    eof: bool,
    /// Output that was thrown away, for the peer has it.
    trimmed: u64,
    /// The furthest that output was ever written.
    written: u64,
    /// The end of output is announced, or about to be.
    done_writing: bool,
    finished: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The connection is being opened for the first time.
    Opening,
    /// It is there.
    Running,
    /// The application is down.
    Down { until: Duration },
    /// The peer is being asked where it stands.
    Asking,
    /// The application may connect, and takes its time.
    Pausing { until: Duration },
    /// The new TCP is being put in place.
    Connecting,
}

/// What the application wants of its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// The old TCP is to be ended.
    End,
    /// A new one is to connect, with output from this offset on.
    Connect {
        /// Offset.
        base: u64,
    },
}

/// The recoverable application.
#[derive(Debug)]
pub(super) struct Application {
    pace: Pace,
    closing: Closing,
    output: u64,
    input: u64,
    off_host: bool,
    down: Duration,
    pause: Duration,
    disk: Disk,
    stage: Stage,
    /// The hard state as TCPR has told it last: lost in a crash.
    hard: Option<Hard>,
    /// TCPR is lost, and can be reached from then on.
    cut: Option<Duration>,
    /// TCPR was lost since the present TCP began.
    resumed: bool,
    base: u64,
    read: u64,
    eof: bool,
    written: u64,
    announced: Option<Duration>,
    shut: bool,
    closed: bool,
    next_read: Duration,
    next_write: Duration,
    next_checkpoint: Option<Duration>,
}

impl Application {
    pub(super) fn new(scenario: &Scenario) -> Application {
        Application {
            pace: scenario.application,
            closing: scenario.closing,
            output: scenario.output,
            input: scenario.input,
            off_host: scenario.off_host,
            down: scenario.down,
            pause: scenario.pause,
            disk: Disk::default(),
            stage: Stage::Opening,
            hard: None,
            cut: None,
            resumed: false,
            base: 0,
            read: 0,
            eof: false,
            written: 0,
            announced: None,
            shut: false,
            closed: false,
            next_read: Duration::ZERO,
            next_write: Duration::ZERO,
            next_checkpoint: None,
        }
    }

    /// Whether a crash is within what can be recovered: the connection is registered, and not over.
    pub(super) fn is_protected(&self) -> bool {
        self.disk.hard.is_some() && !self.disk.finished
    }

    pub(super) fn has_finished(&self) -> bool {
        self.disk.finished
    }

    /// Whether it has persisted all of the peer's.
    pub(super) fn has_input(&self) -> bool {
        self.disk.eof
    }

    /// It dies, and all that it had not persisted is lost.
    pub(super) fn crash(&mut self, now: Duration) {
        self.hard = None;
        self.cut = None;
        self.stage = Stage::Down {
            until: now + self.down,
        };
    }

    /// TCPR is lost while it lives. Says whether the application gives up a TCP that it was about to
    /// put in place: without TCPR the SYN of a connection that was opened from here would reach the
    /// peer.
    pub(super) fn cut(&mut self, until: Duration) -> bool {
        self.cut = Some(until);
        self.stage == Stage::Connecting
    }

    /// When it has something to do, though nothing happens. What it could have done by now it has.
    pub(super) fn due(&self, now: Duration) -> Option<Duration> {
        if self.disk.finished {
            return None;
        }
        let times = match self.stage {
            Stage::Down { until } | Stage::Pausing { until } => [Some(until), None, None, None],
            Stage::Running => [
                Some(self.next_read),
                Some(self.next_write),
                self.announced,
                self.next_checkpoint,
            ],
            Stage::Opening | Stage::Asking | Stage::Connecting => [None; 4],
        };
        let times = times.into_iter().chain([self.cut]).flatten();
        times.filter(|time| *time > now).min()
    }

    /// Does what can be done now. Says whether it was anything, and what it wants of its host.
    pub(super) fn act(
        &mut self,
        now: Duration,
        stack: Option<&mut Stack>,
        middle: &mut Middle,
    ) -> (bool, Option<Wish>) {
        if self.disk.finished {
            return (false, None);
        }
        if let Some(until) = self.cut {
            if until <= now {
                self.cut = None;
                return (true, self.come_back(now, middle));
            }
        } else if let Stage::Down { .. } = self.stage {
            // Nobody hears them.
            middle.notices.clear();
        } else {
            while let Some(notice) = middle.notices.pop_front() {
                self.notice(now, notice, middle);
            }
        }
        match (self.stage, stack) {
            (Stage::Opening, Some(stack)) if stack.is_established() => {
                self.register(now, middle);
                (true, None)
            }
            (Stage::Down { until }, _) if until <= now && self.cut.is_none() => {
                self.recover(now, middle);
                (true, Some(Wish::End))
            }
            (Stage::Pausing { until }, _) if until <= now && self.cut.is_none() => {
                self.stage = Stage::Connecting;
                (true, Some(Wish::Connect { base: self.base }))
            }
            (Stage::Connecting, Some(stack)) if stack.is_established() => {
                self.stage = Stage::Running;
                (true, None)
            }
            (Stage::Connecting, Some(stack))
                if self.cut.is_none() && stack.state() == tcp::State::Closed =>
            {
                middle.faults.push(Fault::LocalReset);
                self.disk.finished = true;
                (true, None)
            }
            (Stage::Running, Some(stack)) => (self.run(now, stack, middle), None),
            _ => (false, None),
        }
    }

    fn register(&mut self, now: Duration, middle: &mut Middle) {
        self.stage = Stage::Running;
        let flow = middle.flow();
        match middle.ask(now, |core, _| core.register(now, &flow)) {
            Some(Ok(hard)) => {
                self.hard = Some(hard);
                self.disk.hard = Some(hard);
            }
            Some(Err(refusal)) => middle.faults.push(Fault::Refused { refusal }),
            None => {}
        }
    }

    fn notice(&mut self, now: Duration, notice: Notice, middle: &mut Middle) {
        middle
            .story
            .say(now, || format!("application is told: {}", notice.words()));
        match notice {
            Notice::Spliced(hard) => self.hard = Some(hard),
            Notice::Recovered(recovery) if self.stage == Stage::Asking => {
                self.granted(now, recovery, middle);
            }
            Notice::Refused(refusal) => self.refused(refusal, middle),
            Notice::Acked(offset) => {
                // A TCPR that was lost may not know which octet is the FIN.
                let offset = offset.min(self.output);
                self.disk.trimmed = self.disk.trimmed.max(offset);
                if let Some(hard) = &mut self.hard {
                    hard.acked = hard.acked.max(offset);
                }
            }
            Notice::Closed(Ending::Finished) => self.closed = true,
            Notice::Closed(ending) => self.ended(ending, middle),
            Notice::Recovered(_) => {}
        }
    }

    /// The connection is there. Says whether anything was done.
    fn run(&mut self, now: Duration, stack: &mut Stack, middle: &mut Middle) -> bool {
        let done = self.read(now, stack, middle)
            | self.checkpoint(now, middle)
            | self.write(now, stack)
            | self.close(now, stack, middle);
        if stack.is_reset(self.shut, self.eof) {
            middle.faults.push(Fault::LocalReset);
            self.disk.finished = true;
            return true;
        }
        // Without TCPR nobody tells when the connection has ended; nor does one that was lost at the
        // very end, for then nothing passes any more. The application's own TCP knows.
        let quiet = matches!(stack.state(), tcp::State::TimeWait | tcp::State::Closed);
        let untold = (self.resumed || !middle.is_there()) && quiet;
        if (self.closed || untold) && self.shut && self.disk.eof {
            let flow = middle.flow();
            if let Some(Err(refusal)) = middle.ask(now, |core, _| core.done(&flow))
                && !self.resumed
            {
                middle.faults.push(Fault::Refused { refusal });
            }
            self.disk.finished = true;
            return true;
        }
        done
    }

    fn read(&mut self, now: Duration, stack: &mut Stack, middle: &mut Middle) -> bool {
        if self.eof || now < self.next_read {
            return false;
        }
        let mut buffer = vec![0; self.pace.chunk];
        match stack.socket().recv_slice(&mut buffer) {
            Ok(0) => return false,
            Ok(count) => {
                if let Some(offset) = Speech::Input.wrong(self.read, &buffer[..count]) {
                    middle.faults.push(Fault::WrongInput { offset });
                }
                self.read += count as u64;
            }
            Err(tcp::RecvError::Finished) => {
                self.eof = true;
                if self.read != self.input {
                    middle.faults.push(Fault::WrongEnd {
                        length: self.input,
                        read: self.read,
                    });
                }
            }
            Err(tcp::RecvError::InvalidState) => return false,
        }
        self.next_read = now + self.pace.read;
        self.next_checkpoint
            .get_or_insert(now + self.pace.checkpoint);
        true
    }

    fn checkpoint(&mut self, now: Duration, middle: &mut Middle) -> bool {
        if self.cut.is_some() || self.next_checkpoint.is_none_or(|due| now < due) {
            return false;
        }
        self.next_checkpoint = None;
        (self.disk.input, self.disk.eof) = (self.read, self.disk.eof || self.eof);
        let offset = self.read + u64::from(self.disk.eof);
        middle.outside.allow(offset);
        if let Some(hard) = &mut self.hard {
            hard.checkpoint = offset;
            hard.peer_fin = self.disk.eof.then_some(self.read);
        }
        // TCPR may have been lost since the FIN passed, which it sees no second time.
        if let (Some(hard), true) = (self.hard, self.disk.eof && self.resumed && !self.closed)
            && let Some(Err(refusal)) = middle.ask(now, |core, _| core.resume(now, hard))
        {
            middle.faults.push(Fault::Refused { refusal });
        }
        let flow = middle.flow();
        let answer = middle.ask(now, |core, actions| {
            core.checkpoint(now, &flow, offset, actions)
        });
        middle
            .story
            .say(now, || format!("application checkpoints {offset}"));
        match answer {
            Some(Err(refusal)) => middle.faults.push(Fault::Refused { refusal }),
            Some(Ok(())) if middle.tells(now) && middle.outside.told() < offset as i64 => {
                middle.faults.push(Fault::NotTold {
                    checkpoint: offset as i64,
                    told: middle.outside.told(),
                });
            }
            Some(Ok(())) | None => {}
        }
        true
    }

    fn write(&mut self, now: Duration, stack: &mut Stack) -> bool {
        if self.written >= self.output || now < self.next_write || !stack.socket().can_send() {
            return false;
        }
        let count = (self.output - self.written).min(self.pace.chunk as u64);
        let octets = Speech::Output.octets(self.written, count);
        let Ok(count) = stack.socket().send_slice(&octets) else {
            return false;
        };
        self.written += count as u64;
        self.disk.written = self.disk.written.max(self.written);
        self.next_write = now + self.pace.write;
        count > 0
    }

    /// Announces the end of the output, and then shuts.
    fn close(&mut self, now: Duration, stack: &mut Stack, middle: &mut Middle) -> bool {
        let waits = self.closing == Closing::PeerFirst && !self.disk.eof;
        if self.shut || self.cut.is_some() || self.written < self.output || waits {
            return false;
        }
        let Some(due) = self.announced else {
            self.disk.done_writing = true;
            middle.outside.announce(Some(self.output));
            if let Some(hard) = &mut self.hard {
                hard.done_writing = Some(self.output);
            }
            let (flow, output) = (middle.flow(), self.output);
            if let Some(Err(refusal)) = middle.ask(now, |core, _| core.done_writing(&flow, output))
            {
                middle.faults.push(Fault::Refused { refusal });
            }
            middle
                .story
                .say(now, || "application is done writing".to_owned());
            self.announced = Some(now + self.pace.shut);
            return true;
        };
        if now < due {
            return false;
        }
        stack.close();
        self.shut = true;
        true
    }
}
