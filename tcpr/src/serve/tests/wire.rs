//! A dataplane that is a list of packets, and TCP segments for it.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use tcpr_core::packet::{Flags, Packet, Segment};
use tcpr_core::{Flow, Pattern};

use crate::dataplane::{Arrival, Dataplane, Decision, Hook};
use crate::serve::ServeError;

/// What the dataplane was told to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Passed(Vec<u8>),
    Dropped,
    Later,
    Injected(Vec<u8>),
}

#[derive(Debug, Default)]
pub(crate) struct Wire {
    pub(crate) arrivals: VecDeque<(Hook, Vec<u8>)>,
    pub(crate) events: Vec<Event>,
    pub(crate) rules: Vec<Pattern>,
    /// Local sockets there are, and those that were ended.
    pub(crate) sockets: BTreeSet<Flow>,
    pub(crate) ended: Vec<Flow>,
    /// Rules cannot be changed.
    pub(crate) broken: bool,
    /// The protected TCPs are on another host.
    pub(crate) is_between: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("broken")]
pub(crate) struct Broken;

impl From<Broken> for ServeError {
    fn from(_: Broken) -> ServeError {
        ServeError::System {
            step: "use the wire",
            source: std::io::Error::other("broken"),
        }
    }
}

impl Dataplane for Wire {
    type Error = Broken;

    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        Vec::new()
    }

    fn receive(
        &mut self,
        decide: &mut dyn FnMut(&mut Arrival<'_>) -> Decision,
    ) -> Result<usize, Broken> {
        let mut count = 0;
        let mut later = VecDeque::new();
        while let Some((hook, octets)) = self.arrivals.pop_front() {
            count += 1;
            // First its headers alone, as the queue gives it.
            let headers = octets.len().min(84);
            let mut copy = octets[..headers].to_vec();
            let mut decision = decide(&mut Arrival {
                hook,
                whole: copy.len() == octets.len(),
                packet: &mut copy,
                icmp: false,
                checksum_is_partial: false,
            });
            if decision == Decision::WantWhole {
                copy = octets.clone();
                decision = decide(&mut Arrival {
                    hook,
                    packet: &mut copy,
                    whole: true,
                    icmp: false,
                    checksum_is_partial: false,
                });
            }
            self.events.push(match decision {
                Decision::Accept => Event::Passed(octets),
                Decision::AcceptEdited if copy.len() == octets.len() => Event::Passed(copy),
                Decision::AcceptEdited => panic!("a packet was edited that is not whole"),
                Decision::Drop => Event::Dropped,
                Decision::WantWhole => panic!("a whole packet was asked for again"),
                Decision::WantLater => {
                    later.push_back((hook, octets));
                    Event::Later
                }
            });
        }
        self.arrivals = later;
        Ok(count)
    }

    fn inject(&mut self, packet: &[u8]) -> Result<(), Broken> {
        self.events.push(Event::Injected(packet.to_vec()));
        Ok(())
    }

    fn protect(&mut self, patterns: &[Pattern]) -> Result<(), Broken> {
        if self.broken {
            return Err(Broken);
        }
        self.rules = patterns.to_vec();
        Ok(())
    }

    fn end_local_socket(&mut self, local: SocketAddr, remote: SocketAddr) -> Result<bool, Broken> {
        let flow = Flow { local, remote };
        let there = self.sockets.remove(&flow);
        if there {
            self.ended.push(flow);
        }
        Ok(there)
    }

    fn is_on_host(&self) -> bool {
        !self.is_between
    }

    fn lost(&self) -> u64 {
        0
    }
}

/// A segment, as far as these tests care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tcp {
    pub(crate) sequence: u32,
    pub(crate) acknowledgment: u32,
    pub(crate) flags: Flags,
    pub(crate) payload: Vec<u8>,
}

impl Tcp {
    pub(crate) fn ack(sequence: u32, acknowledgment: u32) -> Tcp {
        Tcp {
            sequence,
            acknowledgment,
            flags: Flags::ACK,
            payload: Vec::new(),
        }
    }

    pub(crate) fn syn(sequence: u32) -> Tcp {
        Tcp {
            flags: Flags::SYN,
            ..Tcp::ack(sequence, 0)
        }
    }

    pub(crate) fn syn_ack(sequence: u32, acknowledgment: u32) -> Tcp {
        Tcp {
            flags: Flags::SYN.union(Flags::ACK),
            ..Tcp::ack(sequence, acknowledgment)
        }
    }

    pub(crate) fn with(self, payload: &[u8]) -> Tcp {
        Tcp {
            payload: payload.to_vec(),
            ..self
        }
    }

    /// As an IPv4 packet.
    pub(crate) fn between(&self, source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
        let syn = self.flags.contains(Flags::SYN);
        let segment = Segment {
            source,
            destination,
            sequence: self.sequence,
            acknowledgment: self.acknowledgment,
            flags: self.flags,
            window: 64_000,
            mss: syn.then_some(1460),
            window_scale: syn.then_some(7),
            sack_permitted: syn,
            timestamps: None,
            octet: false,
        };
        let mut octets = [0; Segment::MAX_LEN];
        let len = segment.emit(&mut octets);
        let mut packet = octets[..len].to_vec();
        packet.extend_from_slice(&self.payload);
        let total = u16::try_from(packet.len()).unwrap();
        packet[2..4].copy_from_slice(&total.to_be_bytes());
        // RFC 791: the header's own checksum.
        packet[10..12].fill(0);
        let mut sum: u32 = packet[..20]
            .chunks_exact(2)
            .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
            .sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        packet[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
        Packet::parse(&mut packet).unwrap().fill_checksum();
        packet
    }
}

pub(crate) fn read(octets: &[u8]) -> Tcp {
    let mut octets = octets.to_vec();
    let packet = Packet::parse(&mut octets).unwrap();
    Tcp {
        sequence: packet.sequence(),
        acknowledgment: packet.acknowledgment(),
        flags: packet.flags(),
        payload: packet.payload().to_vec(),
    }
}
