//! A run as it is told to who wants to see it: one line for each packet and each event.
//!
//! *Assumes* nothing.
//! *Guarantees* that a run that nobody wants to see costs nothing for it.

use std::time::Duration;

use tcpr_core::packet::Packet;
use tcpr_core::{Direction, Verdict};

use super::outside::Outside;
use super::trace::describe;

/// The lines, if anybody wants them.
#[derive(Debug, Default)]
pub(super) struct Story {
    lines: Option<Vec<String>>,
}

impl Story {
    pub(super) fn wanted() -> Story {
        Story {
            lines: Some(Vec::new()),
        }
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }

    pub(super) fn say(&mut self, now: Duration, words: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            let milliseconds = now.as_secs_f64() * 1000.0;
            lines.push(format!("{milliseconds:>12.3} ms  {}", words()));
        }
    }

    /// A packet has come to TCPR.
    pub(super) fn verdict(
        &mut self,
        now: Duration,
        direction: Direction,
        packet: &Packet<'_>,
        verdict: Verdict,
        outside: &Outside,
    ) {
        let ending = match verdict {
            Verdict::Forward { .. } => return,
            Verdict::Drop => "dropped",
            Verdict::Hold => "held",
        };
        self.say(now, || {
            let who = match direction {
                Direction::Outbound => "local > tcpr",
                Direction::Inbound => "peer  > tcpr",
            };
            format!("{who}   {}: {ending}", line(direction, packet, outside))
        });
    }

    /// A packet leaves TCPR.
    pub(super) fn leaves(
        &mut self,
        now: Duration,
        direction: Direction,
        packet: &Packet<'_>,
        outside: &Outside,
    ) {
        self.say(now, || {
            let who = match direction {
                Direction::Outbound => "        tcpr > peer ",
                Direction::Inbound => "        tcpr > local",
            };
            format!("{who}  {}", line(direction, packet, outside))
        });
    }
}

/// Positions as the peer counts them; what only the local TCP has numbers for stays a number.
fn line(direction: Direction, packet: &Packet<'_>, outside: &Outside) -> String {
    let (peers, ours) = outside.streams();
    match direction {
        Direction::Outbound => describe(packet.bytes(), ours, peers),
        Direction::Inbound => describe(packet.bytes(), peers, ours),
    }
}
