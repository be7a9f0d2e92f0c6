//! What is sent again over a medium that loses messages.
//!
//! *Assumes* that a request may be carried out twice without harm.
//! *Guarantees* that every request arrives in the end, that a silent server is asked whether it is
//! there, and that one which is gone is found out within three seconds.

use std::time::Duration;

use super::{Asked, Medium, Purpose, Session, Stage, Ticket};
use crate::protocol::{PROTOCOL_VERSION, Request};

/// Datagrams are repeated after this time, then after twice as long, and so on up to a second.
const REPEAT: Duration = Duration::from_millis(50);
/// A server that says nothing for this long is asked whether it is there.
const ALIVE: Duration = Duration::from_secs(1);
impl Session {
    /// When [`Session::tick`] is to be called. Only datagrams need it.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        if self.medium == Medium::Stream || matches!(self.stage, Stage::Down | Stage::Refused) {
            return None;
        }
        let waiting = |ticket: &&Ticket| !self.unsent.contains(ticket);
        let due = self
            .wires
            .values()
            .filter(waiting)
            .filter_map(|ticket| self.asked.get(ticket))
            .map(Asked::due);
        // What is to be sent already waits for the socket, not for the time.
        let idle = self.wires.is_empty() && self.unsent.is_empty();
        due.min().or(idle.then_some(self.heard + ALIVE))
    }

    /// Repeats what was not answered. True: the server has been silent for so long that a new
    /// session should be tried.
    pub fn tick(&mut self, now: Duration) -> bool {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return false;
        }
        let due = self.wires.values().filter(|ticket| {
            self.asked
                .get(ticket)
                .is_some_and(|asked| asked.due() <= now)
        });
        let due: Vec<_> = due
            .filter(|ticket| !self.unsent.contains(ticket))
            .copied()
            .collect();
        self.unsent.extend(due);
        let silent = now.saturating_sub(self.heard);
        if silent >= ALIVE && self.stage == Stage::Open && self.wires.is_empty() {
            self.enqueue(
                Request::Hello {
                    version: PROTOCOL_VERSION,
                },
                Purpose::Alive,
            );
        }
        silent >= ALIVE * 3 / 2
    }
}

impl Asked {
    fn due(&self) -> Duration {
        self.sent + (REPEAT * (1 << self.times.saturating_sub(1).min(5))).min(ALIVE)
    }
}
