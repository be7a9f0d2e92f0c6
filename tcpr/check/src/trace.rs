//! A trace: packets go in, a verdict comes out.
//!
//! *Assumes* that packets are given in the order of the capture.
//! *Guarantees* that every packet counts as one, judged or not, so that numbers agree with those of
//! other tools; and that of each connection no more is kept than may be sent again.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::connection::Connection;
use crate::finding::Moment;
use crate::opening::{Fit, Intruder};
use crate::segment::{Segment, Unread};
use crate::settings::{Captured, Settings, Way};
use crate::verdict::{Course, Uncounted, Verdict};

/// A trace that is judged.
#[derive(Debug)]
pub struct Trace {
    settings: Settings,
    packets: u64,
    first: Option<Duration>,
    last: Duration,
    uncounted: Uncounted,
    connections: Vec<Connection>,
    /// The present one between two sockets, the lower one first.
    present: HashMap<(SocketAddr, SocketAddr), usize>,
}

impl Trace {
    /// A trace without packets.
    #[must_use]
    pub fn new(settings: Settings) -> Trace {
        Trace {
            settings,
            packets: 0,
            first: None,
            last: Duration::ZERO,
            uncounted: Uncounted::default(),
            connections: Vec::new(),
            present: HashMap::new(),
        }
    }

    /// The next packet, from its IP header on.
    pub fn packet(&mut self, time: Duration, octets: &[u8]) {
        self.captured(Captured {
            time,
            octets,
            length: octets.len(),
            way: Way::Unknown,
        });
    }

    /// The next packet is none of IP: it counts, and no more.
    pub fn pass_over(&mut self) {
        self.packets += 1;
        self.uncounted.other += 1;
    }

    /// The next packet, with all that is known of it.
    pub fn captured(&mut self, captured: Captured<'_>) {
        self.packets += 1;
        self.first.get_or_insert(captured.time);
        self.last = captured.time;
        let moment = Moment {
            packet: self.packets,
            time: captured.time,
        };
        let read = Segment::read(captured.octets, captured.length, self.settings.checksums);
        match read {
            Ok(segment) => self.segment(&segment, moment, &captured),
            Err(Unread::Other) => self.uncounted.other += 1,
            Err(Unread::Fragment) => self.uncounted.fragments += 1,
            Err(Unread::Damaged) => self.uncounted.damaged += 1,
        }
    }

    fn segment(&mut self, segment: &Segment<'_>, moment: Moment, captured: &Captured<'_>) {
        let (source, destination) = (segment.source, segment.destination);
        let pair = (source.min(destination), source.max(destination));
        let index = match self.present.get(&pair) {
            Some(index) => *index,
            None => self.begin(pair, moment, segment),
        };
        let connection = &mut self.connections[index];
        let side = connection.side(source);
        let fit = connection.fits(side, segment, self.settings.complete);
        let index = match fit {
            Fit::Here => index,
            Fit::Another => self.begin(pair, moment, segment),
            Fit::Intrudes => {
                connection.last = moment;
                if connection.intruder.is_none() {
                    connection.intruder = Some(Intruder {
                        side,
                        number: segment.sequence,
                        moment,
                        octets: captured.octets.to_vec(),
                        length: captured.length,
                        way: captured.way,
                        went_on: false,
                        answered: false,
                        refused: false,
                    });
                }
                return;
            }
            Fit::AcceptsIntruder => self.begin_with_intruder(index, pair, moment, segment),
        };
        let connection = &mut self.connections[index];
        let side = connection.side(source);
        connection.judge(side, segment, moment, captured.way, &self.settings);
    }

    /// Begins a connection, in place of the present one.
    fn begin(
        &mut self,
        pair: (SocketAddr, SocketAddr),
        moment: Moment,
        segment: &Segment<'_>,
    ) -> usize {
        let index = self.connections.len();
        self.connections.push(Connection::new(moment, segment));
        if let Some(before) = self.present.insert(pair, index) {
            for half in &mut self.connections[before].halves {
                half.content.clear();
            }
        }
        index
    }

    /// The SYN amid a connection was the beginning of another.
    fn begin_with_intruder(
        &mut self,
        index: usize,
        pair: (SocketAddr, SocketAddr),
        moment: Moment,
        segment: &Segment<'_>,
    ) -> usize {
        let new = self.begin(pair, moment, segment);
        let Some(intruder) = &mut self.connections[index].intruder else {
            return new;
        };
        // What came between belongs to the end of the one before.
        (intruder.went_on, intruder.answered) = (false, false);
        let Intruder {
            moment,
            length,
            way,
            ..
        } = *intruder;
        let octets = intruder.octets.clone();
        if let Ok(syn) = Segment::read(&octets, length, self.settings.checksums) {
            let connection = &mut self.connections[new];
            connection.first = moment;
            let side = connection.side(syn.source);
            connection.judge(side, &syn, moment, way, &self.settings);
        }
        new
    }

    /// The trace ends here.
    #[must_use]
    pub fn finish(mut self) -> Verdict {
        for connection in &mut self.connections {
            connection.conclude(self.last, &self.settings);
        }
        Verdict {
            packets: self.packets,
            began: self.first.unwrap_or_default(),
            uncounted: self.uncounted,
            connections: self.connections.into_iter().map(Course::of).collect(),
        }
    }
}
