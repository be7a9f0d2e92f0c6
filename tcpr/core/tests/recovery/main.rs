//! A new local TCP in the place of the old one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../trace/mod.rs"]
mod trace;

mod down;
mod handshake;
mod lost;
mod outlived;
mod splice;

use tcpr_core::Hard;
use trace::{Seg, Trace, seg};

/// The peer has 40 of 100 octets; the application has checkpointed 30 of 50.
pub(crate) fn busy() -> Trace {
    let mut trace = Trace::live();
    trace.app(seg(0, 100).ack(0).ts(102, 501));
    trace.peer(seg(0, 50).ack(40).ts(502, 102));
    trace.app(seg(100, 0).ack(50).win(988).ts(102, 502));
    trace.checkpoint(30);
    trace
}

pub(crate) fn failed() -> Trace {
    let mut trace = busy();
    trace.app(seg(100, 0).ack(50).flags("R"));
    trace
}

pub(crate) fn syn() -> Seg {
    seg(0, 0).syn().ts(9000, 0)
}

/// What the application has of its connection.
pub(crate) fn hard_of(known: &Trace) -> Hard {
    known.tcpr.summary(known.now, &known.flow).unwrap().hard
}
