//! A local TCP: small, strict, and mortal.
//!
//! *Assumes* that its application has all of its output ready.
//! *Guarantees* what RFC 9293 demands of data, acknowledgments and windows, and says so if it is told
//! what no TCP may be told. It keeps nothing that lies behind a hole.

use arrayvec::ArrayVec;
use tcpr_core::Stream;
use tcpr_core::packet::Flags;

use super::segment::{LOCAL_MSS, PEER_MSS, Seg, inside};
use super::violation::Wrong;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Listening,
    SynSent,
    SynReceived,
    Established,
}

/// What it may send next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Speech {
    /// Its SYN, once more.
    Syn,
    /// An acknowledgment that is due.
    Acknowledgment,
    /// The next octet, or the FIN.
    Next,
    /// The first octet that is not acknowledged, or the FIN, once more.
    Again,
    /// A FIN in the middle of its output, because its process has died.
    EarlyFin,
    /// A RST, because its process has died.
    Reset,
}

/// What a segment does to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// It goes on.
    Taken,
    /// It answers at once (RFC 9293, 3.10.7.4; RFC 5681, 4.2).
    Answered,
    /// It is reset.
    Killed,
}

/// A local TCP.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Local {
    pub(super) life: u8,
    pub(super) stage: Stage,
    /// Which octet of the application's output is its first one.
    pub(super) base: i64,
    // Positions in its own stream.
    una: i64,
    nxt: i64,
    /// End of what was written.
    pub(super) end: i64,
    /// Right edge of the peer's window.
    edge: i64,
    /// The next number of the peer.
    rcv: u32,
    /// Not read yet.
    pub(super) unread: ArrayVec<u8, 4>,
    /// The peer's FIN was received.
    pub(super) eof: bool,
    /// And read.
    pub(super) eof_read: bool,
    /// The application has shut its output.
    pub(super) closing: bool,
    /// An acknowledgment is due.
    due: bool,
    capacity: u16,
}

impl Local {
    pub(super) fn new(stage: Stage, life: u8, base: i64, end: i64, capacity: u16) -> Local {
        Local {
            life,
            stage,
            base,
            una: 0,
            nxt: 0,
            end,
            edge: 0,
            rcv: 0,
            unread: ArrayVec::new(),
            eof: false,
            eof_read: false,
            closing: false,
            due: false,
            capacity,
        }
    }

    fn stream(&self) -> Stream {
        inside(self.life)
    }

    pub(super) fn is_established(&self) -> bool {
        self.stage == Stage::Established
    }

    /// Whether all that was written, and the FIN, has been acknowledged.
    pub(super) fn all_acknowledged(&self) -> bool {
        self.una == self.end + i64::from(self.closing)
    }

    pub(super) fn fin_sent(&self) -> bool {
        self.nxt > self.end
    }

    fn window(&self) -> u16 {
        self.capacity - self.unread.len() as u16
    }

    /// How much of the application's output has been sent by now, the FIN included.
    pub(super) fn sent(&self) -> i64 {
        self.base + self.nxt
    }

    /// The application takes an octet.
    pub(super) fn read(&mut self) -> u8 {
        // A window that was closed is opened aloud.
        self.due |= self.window() == 0;
        self.unread.remove(0)
    }

    pub(super) fn can_say(&self, speech: Speech) -> bool {
        let established = self.is_established();
        match speech {
            Speech::Syn => matches!(self.stage, Stage::SynSent | Stage::SynReceived),
            Speech::Acknowledgment => established && self.due,
            Speech::Next => {
                let last = self.end + i64::from(self.closing);
                established && self.nxt < last && self.nxt < self.edge
            }
            Speech::Again => established && self.una < self.nxt,
            Speech::EarlyFin => established && !self.fin_sent(),
            Speech::Reset => established,
        }
    }

    /// Says it. `octets`: the application's output.
    pub(super) fn say(&mut self, speech: Speech, octets: impl Fn(i64) -> u8) -> Seg {
        let at = match speech {
            Speech::Syn => -1,
            Speech::Again => self.una,
            _ => self.nxt,
        };
        let mut flags = Flags::ACK;
        let mut data = None;
        match speech {
            Speech::Syn if self.stage == Stage::SynSent => flags = Flags::SYN,
            Speech::Syn => flags = Flags::SYN.union(Flags::ACK),
            Speech::Acknowledgment => {}
            Speech::Next | Speech::Again if at == self.end => flags.insert(Flags::FIN),
            Speech::Next | Speech::Again => data = Some(octets(self.base + at)),
            Speech::EarlyFin => flags.insert(Flags::FIN),
            Speech::Reset => flags.insert(Flags::RST),
        }
        if speech == Speech::Next {
            self.nxt += 1;
        }
        self.due = false;
        let acknowledges = flags.contains(Flags::ACK);
        Seg {
            ack: if acknowledges { self.rcv } else { 0 },
            window: if acknowledges {
                self.window()
            } else {
                self.capacity
            },
            data,
            mss: flags.contains(Flags::SYN).then_some(LOCAL_MSS),
            ..Seg::new(flags, self.stream().number(at))
        }
    }

    /// Takes a segment. `offered`: where the peer's window ends, in the application's output.
    pub(super) fn hear(&mut self, segment: &Seg, offered: i64) -> Result<Heard, Wrong> {
        let begun = self.stream().number(0);
        if segment.has(Flags::RST) {
            // RFC 9293, 3.10.7.3; RFC 5961, 3.2.
            let exact = match self.stage {
                Stage::Listening => false,
                Stage::SynSent => segment.has(Flags::ACK) && segment.ack == begun,
                Stage::SynReceived | Stage::Established => segment.seq == self.rcv,
            };
            return Ok(if exact { Heard::Killed } else { Heard::Taken });
        }
        match self.stage {
            Stage::Listening | Stage::SynSent => self.hear_syn(segment, begun, offered)?,
            Stage::SynReceived if segment.has(Flags::SYN) => {}
            Stage::SynReceived => {
                if segment.has(Flags::ACK) && segment.ack == begun {
                    self.stage = Stage::Established;
                    return self.hear_established(segment, offered);
                }
            }
            Stage::Established => return self.hear_established(segment, offered),
        }
        Ok(Heard::Taken)
    }

    fn hear_syn(&mut self, segment: &Seg, begun: u32, offered: i64) -> Result<(), Wrong> {
        let answers = segment.has(Flags::ACK) && segment.ack == begun;
        if !segment.has(Flags::SYN) || answers == (self.stage == Stage::Listening) {
            return Ok(());
        }
        if segment.mss != Some(PEER_MSS) {
            return Err(Wrong::Mss);
        }
        self.rcv = segment.seq.wrapping_add(1);
        self.stage = match self.stage {
            Stage::Listening => Stage::SynReceived,
            _ => Stage::Established,
        };
        if answers {
            self.due = true;
            self.hear_window(0, segment.window, offered)?;
        }
        Ok(())
    }

    fn hear_window(&mut self, ack: i64, window: u16, offered: i64) -> Result<(), Wrong> {
        let edge = ack + i64::from(window);
        if self.base + edge > offered {
            return Err(Wrong::PeerWindow {
                told: self.base + edge,
                offered,
            });
        }
        self.edge = self.edge.max(edge);
        Ok(())
    }

    /// RFC 9293, 3.10.7.4.
    fn hear_established(&mut self, segment: &Seg, offered: i64) -> Result<Heard, Wrong> {
        let at = i64::from(segment.seq.wrapping_sub(self.rcv) as i32);
        let room = i64::from(self.window());
        let acceptable = match segment.len() {
            // As Linux has it: an acknowledgment behind a full window of data that was lost counts.
            0 => 0 <= at && at <= room,
            len => at + len > 0 && at < room.max(1),
        };
        if segment.has(Flags::SYN) {
            return Ok(Heard::Answered);
        }
        if !segment.has(Flags::ACK) {
            return Ok(Heard::Taken);
        }
        let ack = self.stream().position(self.una, segment.ack);
        if ack > self.nxt {
            return Err(Wrong::Unsent {
                told: ack,
                sent: self.nxt,
            });
        }
        if !acceptable {
            return Ok(Heard::Answered);
        }
        if ack >= self.una {
            self.una = ack;
            self.hear_window(ack, segment.window, offered)?;
        }
        if segment.len() == 0 {
            return Ok(Heard::Taken);
        }
        let fits = segment.data.is_none() || room > 0;
        if at != 0 || self.eof || !fits {
            return Ok(Heard::Answered);
        }
        if let Some(data) = segment.data {
            self.unread.push(data);
        }
        self.eof = segment.has(Flags::FIN);
        self.rcv = self.rcv.wrapping_add(segment.len() as u32);
        self.due = true;
        Ok(Heard::Taken)
    }
}
