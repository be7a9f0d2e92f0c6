//! The peer: an ordinary TCP with an ordinary application, which know nothing of TCPR.
//!
//! *Assumes* nothing.
//! *Guarantees* a fault if its connection is not the one of a host that never failed.

use std::time::Duration;

use smoltcp::socket::tcp;

use super::content::Speech;
use super::fault::Fault;
use super::scenario::{Closing, Pace, Scenario};
use super::stack::Stack;

/// The peer.
pub(super) struct Peer {
    pub(super) stack: Stack,
    pace: Pace,
    closing: Closing,
    input: u64,
    output: u64,
    written: u64,
    read: u64,
    eof: bool,
    shut: bool,
    gone: bool,
    opened: bool,
    next_read: Duration,
    next_write: Duration,
}

impl Peer {
    pub(super) fn new(scenario: &Scenario, stack: Stack) -> Peer {
        Peer {
            stack,
            pace: scenario.peers,
            closing: scenario.closing,
            input: scenario.input,
            output: scenario.output,
            written: 0,
            read: 0,
            eof: false,
            shut: false,
            gone: false,
            opened: false,
            next_read: Duration::ZERO,
            next_write: Duration::ZERO,
        }
    }

    /// Whether it has had all, said all, and knows that all has arrived.
    pub(super) fn has_finished(&self) -> bool {
        self.eof && self.is_over() && self.read == self.output
    }

    /// Whether its TCP has received all, though it may not have been read, and has forgotten it.
    pub(super) fn has_forgotten(&mut self) -> bool {
        let unread = self.stack.socket().recv_queue() as u64;
        self.is_over() && self.read + unread == self.output
    }

    fn is_over(&self) -> bool {
        let over = matches!(
            self.stack.state(),
            tcp::State::TimeWait | tcp::State::Closed
        );
        self.shut && over
    }

    /// When it has something to do, though nothing happens. What it could have done by now it has.
    pub(super) fn due(&self, now: Duration) -> Option<Duration> {
        let times = [self.next_read, self.next_write].into_iter();
        times.filter(|time| !self.gone && *time > now).min()
    }

    /// Does what can be done now. Says whether it was anything.
    pub(super) fn act(&mut self, now: Duration, faults: &mut Vec<Fault>) -> bool {
        self.opened |= self.stack.is_established();
        if self.gone || !self.opened {
            return false;
        }
        let done = self.read(now, faults) | self.write(now) | self.close();
        if self.stack.is_reset(self.shut, self.eof) {
            self.gone = true;
            faults.push(Fault::PeerReset);
        }
        done
    }

    /// Whether its application has all that there is, and has said that it is done: what its TCP may
    /// lack is an acknowledgment.
    pub(super) fn has_all(&self) -> bool {
        self.eof && self.shut
    }

    fn read(&mut self, now: Duration, faults: &mut Vec<Fault>) -> bool {
        if self.eof || now < self.next_read {
            return false;
        }
        let mut buffer = vec![0; self.pace.chunk];
        match self.stack.socket().recv_slice(&mut buffer) {
            Ok(0) | Err(tcp::RecvError::InvalidState) => return false,
            Ok(count) => {
                if let Some(offset) = Speech::Output.wrong(self.read, &buffer[..count]) {
                    faults.push(Fault::WrongOutput { offset });
                }
                self.read += count as u64;
            }
            Err(tcp::RecvError::Finished) => {
                self.eof = true;
                if self.read != self.output {
                    faults.push(Fault::WrongEnd {
                        length: self.output,
                        read: self.read,
                    });
                }
            }
        }
        self.next_read = now + self.pace.read;
        true
    }

    fn write(&mut self, now: Duration) -> bool {
        if self.written >= self.input || now < self.next_write || !self.stack.socket().can_send() {
            return false;
        }
        let count = (self.input - self.written).min(self.pace.chunk as u64);
        let octets = Speech::Input.octets(self.written, count);
        let Ok(count) = self.stack.socket().send_slice(&octets) else {
            return false;
        };
        self.written += count as u64;
        self.next_write = now + self.pace.write;
        count > 0
    }

    fn close(&mut self) -> bool {
        let waits = self.closing == Closing::ApplicationFirst && !self.eof;
        if self.shut || self.written < self.input || waits {
            return false;
        }
        self.stack.close();
        self.shut = true;
        true
    }
}
