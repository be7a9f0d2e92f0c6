//! A session's life, what it writes, and what is true after it.

use std::net::Ipv4Addr;

use injectors::speaker::checkpoint::{Checkpoint, Entry, Header, Restored};
use injectors::speaker::message::keepalive;
use injectors::speaker::rib::AdjRibOut;
use injectors::speaker::session::Negotiated;
use injectors::speaker::update::{Attributes, Packer};
use ipnet::Ipv4Net;
use tcpr::core::Stream;
use tcpr::{Flow, Hard, Record};

pub(crate) const HEADER: Header = Header {
    peer: Ipv4Addr::new(198, 18, 0, 1),
    peer_asn: 65001,
    asn: 65000,
    router_id: Ipv4Addr::new(198, 18, 0, 0),
};

pub(crate) fn record(incarnation: u64) -> Record {
    let flow = Flow {
        local: ([198, 18, 0, 0], 40_000).into(),
        remote: ([198, 18, 0, 1], 179).into(),
    };
    let hard = Hard::begin(flow, Stream { initial: 1 }, Stream { initial: 2 });
    Record::new(Hard {
        incarnation,
        ..hard
    })
}

pub(crate) fn negotiated(four_octet_as: bool) -> Negotiated {
    Negotiated {
        peer_asn: 65001,
        peer_router_id: HEADER.peer,
        hold_time_s: 9,
        keepalive_s: 3,
        four_octet_as,
        peer_graceful_restart: None,
    }
}

pub(crate) fn attributes(asn: u32) -> Attributes {
    Attributes {
        as_path: vec![65000, asn],
        next_hop: HEADER.router_id,
        med: None,
    }
}

pub(crate) fn net(n: u8) -> Ipv4Net {
    Ipv4Net::new([10, n, 0, 0].into(), 16).unwrap()
}

pub(crate) fn announcing(from: u8, count: u8, asn: u32, four_octet_as: bool) -> Vec<u8> {
    let mut packer = Packer::new(four_octet_as);
    for n in from..from + count {
        packer.announce(net(n), &attributes(asn));
    }
    packer.finish()
}

pub(crate) fn withdrawing(n: u8) -> Vec<u8> {
    let mut packer = Packer::new(true);
    packer.withdraw(net(n));
    packer.finish()
}

pub(crate) fn end_of_rib() -> Vec<u8> {
    let mut packer = Packer::new(true);
    packer.end_of_rib();
    packer.finish()
}

/// An entry that owns what it holds.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    Record(u64),
    Sent(Vec<u8>),
    Received(u64),
    Negotiated(bool),
    Established,
}

impl Write {
    pub(crate) fn append(&self, checkpoint: &mut Checkpoint) {
        let written = match self {
            Write::Record(n) => checkpoint.append(Entry::Record(&record(*n))),
            Write::Sent(octets) => checkpoint.append(Entry::Sent(octets)),
            Write::Received(offset) => checkpoint.append(Entry::Received(*offset)),
            Write::Negotiated(four) => checkpoint.append(Entry::Negotiated(&negotiated(*four))),
            Write::Established => checkpoint.append(Entry::Established),
        };
        written.unwrap();
    }
}

/// A session's life; `four_octet_as` is what the peer offers.
pub(crate) fn life(four_octet_as: bool) -> Vec<Write> {
    vec![
        Write::Record(0),
        Write::Sent(keepalive()),
        Write::Received(45),
        Write::Negotiated(four_octet_as),
        Write::Received(64),
        Write::Established,
        Write::Sent(announcing(0, 5, 70_000, four_octet_as)),
        Write::Sent([withdrawing(3), announcing(1, 1, 2, four_octet_as)].concat()),
        Write::Received(83),
        Write::Record(1),
        Write::Sent(end_of_rib()),
        Write::Sent([keepalive(), announcing(9, 2, 3, four_octet_as)].concat()),
    ]
}

/// Everything that a file says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct State {
    pub(crate) record: Option<Record>,
    pub(crate) negotiated: Option<Negotiated>,
    pub(crate) established: bool,
    pub(crate) received: u64,
    pub(crate) sent: Vec<u8>,
    pub(crate) told: AdjRibOut,
}

impl State {
    pub(crate) fn of(restored: &Restored) -> State {
        State {
            record: restored.record,
            negotiated: restored.negotiated.clone(),
            established: restored.established,
            received: restored.received,
            sent: restored.sent.octets(restored.sent.begin()).unwrap(),
            told: restored.sent.told().unwrap(),
        }
    }

    /// What is true after these writes, without a file.
    pub(crate) fn after(writes: &[Write]) -> State {
        let mut state = State {
            record: None,
            negotiated: None,
            established: false,
            received: 0,
            sent: Vec::new(),
            told: AdjRibOut::new(),
        };
        for write in writes {
            match write {
                Write::Record(n) => state.record = Some(record(*n)),
                Write::Received(offset) => state.received = *offset,
                Write::Negotiated(four) => state.negotiated = Some(negotiated(*four)),
                Write::Established => state.established = true,
                Write::Sent(octets) => {
                    let four = state.negotiated.as_ref().is_none_or(|n| n.four_octet_as);
                    state.told.take(octets, four).unwrap();
                    state.sent.extend(octets);
                }
            }
        }
        state
    }
}
