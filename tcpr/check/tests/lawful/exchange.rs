//! An exchange over a network that loses, doubles and reorders, and a capture of it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::end::{End, Random};
use crate::script::packets::build;
use crate::script::{A, B, Seg};

/// Where the capture is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spot {
    AtA,
    AtB,
    Between,
}

/// What an exchange is like. Parts are of a thousand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchange {
    pub(crate) spot: Spot,
    pub(crate) loss: u32,
    pub(crate) copies: u32,
    /// By how many milliseconds packets may overtake one another.
    pub(crate) overtaking: u64,
    /// Packets that the capture misses.
    pub(crate) missing: u32,
    /// Packets before the capture begins.
    pub(crate) late: usize,
    pub(crate) large: bool,
    pub(crate) timestamps: bool,
    /// One after the other between the same ports.
    pub(crate) connections: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Act,
    Capture,
    Arrive,
}

struct Event {
    stage: Stage,
    from_a: bool,
    segment: Seg,
}

/// Everything that is to happen, in order of time and then of coming into being.
#[derive(Default)]
struct Agenda {
    events: Vec<Option<Event>>,
    order: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Agenda {
    fn add(&mut self, time: u64, event: Event) {
        self.order.push(Reverse((time, self.events.len())));
        self.events.push(Some(event));
    }

    fn next(&mut self) -> Option<(u64, Event)> {
        let Reverse((time, index)) = self.order.pop()?;
        Some((time, self.events[index].take().unwrap()))
    }
}

/// No exchange takes longer, in milliseconds.
const PATIENCE: u64 = 20_000;

impl Exchange {
    /// What was captured.
    pub(crate) fn run(&self, seed: u64) -> Vec<(Duration, Vec<u8>)> {
        let mut random = Random::new(seed);
        let mut captured = Vec::new();
        let mut start = 1000;
        let mut initial = [random.below(1 << 33) as u32, random.below(1 << 33) as u32];
        for _ in 0..self.connections {
            start = self.connect(start, initial, &mut random, &mut captured);
            // RFC 9293, 3.4.1: far from those before.
            initial =
                initial.map(|number| number.wrapping_add((1 << 22) + random.below(1 << 31) as u32));
        }
        let late = self.late.min(captured.len());
        captured.drain(..late);
        captured
    }

    /// One connection; gives when everything of it has passed.
    fn connect(
        &self,
        start: u64,
        initial: [u32; 2],
        random: &mut Random,
        captured: &mut Vec<(Duration, Vec<u8>)>,
    ) -> u64 {
        let mut ends = [true, false].map(|a| End::new(!a, self.large, self.timestamps, random));
        let mut agenda = Agenda::default();
        for from_a in [true, false] {
            agenda.add(start, self.act(from_a));
        }
        let mut last = start;
        while let Some((time, event)) = agenda.next() {
            last = time;
            let end = &mut ends[usize::from(!event.from_a)];
            match event.stage {
                Stage::Act => {
                    if let Some(segment) = end.act(time, random) {
                        self.send(event.from_a, segment, time, random, &mut agenda);
                    }
                    let ended = ends.iter().all(End::has_ended) || ends.iter().any(|e| e.reset);
                    if !ended && time < start + PATIENCE {
                        agenda.add(time + 1 + random.below(40), self.act(event.from_a));
                    }
                }
                Stage::Capture => {
                    if !random.permille(self.missing) {
                        captured.push((
                            Duration::from_millis(time),
                            octets(event.from_a, initial, &event.segment),
                        ));
                    }
                }
                Stage::Arrive => {
                    let (to_a, segment) = (!event.from_a, &event.segment);
                    let answer = ends[usize::from(!to_a)].hear(segment, time, random);
                    if let Some(answer) = answer {
                        self.send(to_a, answer, time, random, &mut agenda);
                    }
                }
            }
        }
        last + 1
    }

    fn act(&self, from_a: bool) -> Event {
        Event {
            stage: Stage::Act,
            from_a,
            segment: Seg::default(),
        }
    }

    /// Sends a segment past the place of the capture to the other end.
    fn send(&self, from_a: bool, segment: Seg, now: u64, random: &mut Random, agenda: &mut Agenda) {
        let here = matches!((self.spot, from_a), (Spot::AtA, true) | (Spot::AtB, false));
        let there = matches!((self.spot, from_a), (Spot::AtA, false) | (Spot::AtB, true));
        let copies = 1 + u64::from(random.permille(self.copies));
        for _ in 0..copies {
            let way = |random: &mut Random| 3 + random.below(self.overtaking + 1);
            let seen = if here { now } else { now + way(random) };
            let arrives = if there { seen } else { seen + way(random) };
            // Where a packet is sent it is seen, whatever becomes of it.
            if !here && random.permille(self.loss) {
                continue;
            }
            let event = |stage| Event {
                stage,
                from_a,
                segment: segment.clone(),
            };
            agenda.add(seen, event(Stage::Capture));
            if !random.permille(self.loss) {
                agenda.add(arrives, event(Stage::Arrive));
            }
        }
    }
}

fn octets(from_a: bool, [ours, peers]: [u32; 2], segment: &Seg) -> Vec<u8> {
    let (a, b) = (A.parse().unwrap(), B.parse().unwrap());
    match from_a {
        true => build(a, b, ours, peers, segment),
        false => build(b, a, peers, ours, segment),
    }
}
