//! A TCP that keeps the rules and otherwise does as it likes: it sends, sends again with other
//! boundaries, probes, keeps alive, acknowledges early, late and twice, and closes.

use std::collections::BTreeSet;

use crate::script::{Seg, seg};

/// Random numbers (xorshift64*).
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit.max(1)
    }

    pub(crate) fn permille(&mut self, part: u32) -> bool {
        self.below(1000) < u64::from(part)
    }
}

/// The scale of both ends' windows (`Seg::syn`).
const SCALE: u8 = 2;
const BUFFER: i64 = 12_000;

/// One end. Positions as everywhere: 0 is the first octet.
#[derive(Debug)]
pub(crate) struct End {
    total: i64,
    most: i64,
    timestamps: bool,
    clock: u32,
    pub(crate) opens: bool,
    pub(crate) established: bool,
    pub(crate) heard_syn: bool,
    /// What it has sent, and what of it is acknowledged.
    next: i64,
    acknowledged: i64,
    /// The right edge of the other end's window.
    edge: i64,
    fin_sent: bool,
    /// What it has received in order, what lies beyond, and what its application has read.
    received: i64,
    beyond: BTreeSet<i64>,
    read: i64,
    offered: i64,
    other_fin: Option<i64>,
    recent: u32,
    /// Came twice, and is to be told so.
    twice: Option<(i64, i64)>,
    pub(crate) reset: bool,
}

impl End {
    pub(crate) fn new(opens: bool, large: bool, timestamps: bool, random: &mut Random) -> End {
        End {
            total: random.below(60_000) as i64,
            most: if large { 6000 } else { 1400 },
            timestamps,
            clock: (random.below(1 << 33)) as u32,
            opens,
            established: false,
            heard_syn: false,
            next: 0,
            acknowledged: -1,
            edge: 0,
            fin_sent: false,
            received: -1,
            beyond: BTreeSet::new(),
            read: 0,
            offered: 0,
            other_fin: None,
            recent: 0,
            twice: None,
            reset: false,
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        let ours = self.fin_sent && self.acknowledged > self.total;
        let theirs = self.other_fin.is_some_and(|fin| self.received > fin);
        self.reset || (ours && theirs)
    }

    fn stamp(&self, segment: Seg, now: u64) -> Seg {
        match self.timestamps {
            true => segment.ts(self.clock.wrapping_add(now as u32), self.recent),
            false => segment,
        }
    }

    /// A segment with everything that every segment has.
    fn segment(&mut self, position: i64, length: i64, now: u64) -> Seg {
        let room = BUFFER - (self.received - self.read).max(0);
        // The edge never goes back, but for what scaling rounds off.
        self.offered = self.offered.max(self.received + room);
        let window = (self.offered - self.received) >> SCALE;
        let mut segment = seg(position, length as usize)
            .ack(self.received)
            .win(window as u16);
        if let Some((left, right)) = self.twice.take() {
            segment = segment.sack(left, right);
        }
        for (left, right) in self.blocks().into_iter().take(2) {
            segment = segment.sack(left, right);
        }
        self.stamp(segment, now)
    }

    fn blocks(&self) -> Vec<(i64, i64)> {
        let mut blocks: Vec<(i64, i64)> = Vec::new();
        for &position in &self.beyond {
            match blocks.last_mut() {
                Some(last) if last.1 == position => last.1 += 1,
                _ => blocks.push((position, position + 1)),
            }
        }
        blocks
    }

    /// What it does of its own accord.
    pub(crate) fn act(&mut self, now: u64, random: &mut Random) -> Option<Seg> {
        if self.reset {
            return None;
        }
        if !self.established {
            return self.open(now, random);
        }
        self.read += random.below((self.received - self.read + 1) as u64) as i64;
        let unsent = self.total - self.next;
        let room = self.edge - self.next;
        match random.below(10) {
            0..5 if unsent > 0 && room > 0 => {
                let length = 1 + random.below(self.most as u64) as i64;
                Some(self.send(length.min(unsent).min(room), now, random))
            }
            0..5 if unsent == 0 && !self.fin_sent => Some(self.close(now)),
            // A probe of a closed window: one octet beyond it.
            5 if unsent > 0 && room <= 0 && self.acknowledged == self.next => {
                self.next += 1;
                Some(self.segment(self.next - 1, 1, now))
            }
            0..7 => self.send_again(now, random),
            7 if self.acknowledged == self.next => {
                let mut keepalive = self.segment(self.next - 1, 0, now);
                if self.next > 0 && random.below(2) == 0 {
                    keepalive.len = 1;
                }
                Some(keepalive)
            }
            8 => Some(self.segment(self.top(), 0, now)),
            9 if random.below(400) == 0 => {
                self.reset = true;
                Some(self.segment(self.top(), 0, now).flags("R"))
            }
            _ => None,
        }
    }

    fn open(&mut self, now: u64, random: &mut Random) -> Option<Seg> {
        if random.below(4) > 0 {
            return None;
        }
        let syn = self.stamp(seg(0, 0).syn(), now);
        match (self.opens, self.heard_syn) {
            (true, false) => {
                self.next = 0;
                Some(syn)
            }
            (false, true) => Some(syn.flags("SA").ack(0)),
            _ => None,
        }
    }

    fn send(&mut self, length: i64, now: u64, random: &mut Random) -> Seg {
        let position = self.next;
        self.next += length;
        let mut segment = self.segment(position, length, now);
        if self.next == self.total && random.below(2) == 0 {
            self.next += 1;
            self.fin_sent = true;
            segment = segment.flags("F");
        }
        segment
    }

    fn close(&mut self, now: u64) -> Seg {
        self.fin_sent = true;
        self.next = self.total + 1;
        self.segment(self.total, 0, now).flags("F")
    }

    /// Where it stands.
    fn top(&self) -> i64 {
        self.next
    }

    fn send_again(&mut self, now: u64, random: &mut Random) -> Option<Seg> {
        let from = self.acknowledged.max(0);
        let data = self.next.min(self.total);
        if from >= self.next {
            return None;
        }
        let position = from + random.below((self.next - from) as u64) as i64;
        let position = if random.below(2) == 0 { from } else { position };
        let length = (1 + random.below(self.most as u64) as i64).min(data - position);
        let segment = self.segment(position, length.max(0), now);
        let last = position + length.max(0) == self.total && self.fin_sent;
        Some(if last { segment.flags("F") } else { segment })
    }

    /// Takes a segment, and answers it or not.
    pub(crate) fn hear(&mut self, heard: &Seg, now: u64, random: &mut Random) -> Option<Seg> {
        if self.reset {
            return None;
        }
        if heard.flags.contains('R') {
            self.reset = heard.seq == self.received;
            return None;
        }
        if let Some((value, _)) = heard.ts
            && (self.recent == 0 || value.wrapping_sub(self.recent) as i32 >= 0)
            && heard.seq <= self.received.max(0)
        {
            self.recent = value;
        }
        if heard.flags.contains('S') {
            self.heard_syn = true;
            self.received = self.received.max(0);
            if let Some(ack) = heard.ack {
                self.hear_acknowledgment(heard, ack, 0);
            }
            let answers = self.opens && (self.established || heard.ack.is_some());
            if answers {
                self.established = true;
                return Some(self.segment(self.top(), 0, now));
            }
            let syn = self.stamp(seg(0, 0).syn(), now);
            return (!self.established).then(|| syn.flags("SA").ack(0));
        }
        if !self.heard_syn {
            return None;
        }
        let ack = heard.ack?;
        if !self.established {
            self.established = true;
            self.acknowledged = 0;
        }
        self.hear_acknowledgment(heard, ack, SCALE);
        self.hear_data(heard);
        let asks = heard.len > 0 || heard.flags.contains('F') || heard.seq < self.received;
        (asks && random.below(4) > 0).then(|| self.segment(self.top(), 0, now))
    }

    fn hear_acknowledgment(&mut self, heard: &Seg, ack: i64, scale: u8) {
        self.acknowledged = self.acknowledged.max(ack);
        self.next = self.next.max(self.acknowledged);
        self.edge = self.edge.max(ack + (i64::from(heard.win) << scale));
    }

    fn hear_data(&mut self, heard: &Seg) {
        let end = heard.seq + heard.len as i64;
        let keepalive = heard.len <= 1 && heard.seq < self.received;
        if heard.len > 0 && end <= self.received && !keepalive {
            self.twice = Some((heard.seq, end));
        }
        if heard.flags.contains('F') {
            self.other_fin = Some(end);
        }
        let edge = self.offered;
        let behind = end + i64::from(heard.flags.contains('F'));
        // No more than there is room for; a FIN takes none.
        for position in heard.seq.max(self.received)..behind {
            if position < edge || self.other_fin == Some(position) {
                self.beyond.insert(position);
            }
        }
        while self.beyond.remove(&self.received) {
            self.received += 1;
        }
    }
}
