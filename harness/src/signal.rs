//! The channel `signals`: what recorders, logs and processes tell the order of a run.
//!
//! *Assumes* one receiver, the lab agent. *Guarantees* that every signal carries the time at
//! which it was seen, CLOCK_MONOTONIC, and that no sender ever waits. Signals only answer "is it
//! settled?", "is it quiet?" and "has it failed?"; no figure is computed from them.

use std::net::Ipv4Addr;

use results::Finding;
use tokio::sync::mpsc;

use crate::process::Process;

/// Something that was seen in the lab.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Signal {
    /// A router's log says that a session came up or went down.
    Session {
        /// When, by the log's own timestamp.
        t_mono_ns: u64,
        /// The router.
        node: String,
        /// Address of the peer.
        peer: Ipv4Addr,
        /// Up, or down.
        up: bool,
        /// The router's words.
        text: String,
    },
    /// A router's route to the destination was installed, replaced or removed.
    Route {
        /// When the recorder read it.
        t_mono_ns: u64,
        /// The router.
        node: String,
        /// Whether the router has one now.
        present: bool,
        /// Whether it stood so already when the recorder began, and is no change.
        stood: bool,
    },
    /// An UPDATE for the destination was sent.
    Update {
        /// When the kernel took it.
        t_mono_ns: u64,
        /// Address of the sender.
        src: Ipv4Addr,
        /// Address of the receiver.
        dst: Ipv4Addr,
        /// Whether it withdraws the destination (and does not announce it).
        withdraws: bool,
    },
    /// End-of-RIB was sent.
    EndOfRib {
        /// When the kernel took it.
        t_mono_ns: u64,
        /// Address of the sender.
        src: Ipv4Addr,
        /// Address of the receiver.
        dst: Ipv4Addr,
    },
    /// The drop rule of the failure has counted a packet.
    RuleCounted,
    /// The injector carries on a session that its predecessor began.
    Recovered {
        /// When, by its own clock, which is CLOCK_MONOTONIC.
        t_mono_ns: u64,
        /// Address of the router.
        peer: Ipv4Addr,
    },
    /// The injector gives a session of its predecessor up, and begins anew.
    LetGo {
        /// When, by its own clock, which is CLOCK_MONOTONIC.
        t_mono_ns: u64,
        /// Address of the router.
        peer: Ipv4Addr,
        /// Why.
        reason: String,
    },
    /// A process ended.
    Exited {
        /// Which.
        process: Process,
        /// How.
        status: String,
    },
    /// A recorder found something.
    Found(Finding),
}

/// The sending end. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Signals(mpsc::UnboundedSender<Signal>);

impl Signals {
    /// A channel.
    #[must_use]
    pub(crate) fn channel() -> (Signals, mpsc::UnboundedReceiver<Signal>) {
        let (tx, rx) = mpsc::unbounded_channel();
        (Signals(tx), rx)
    }

    /// Sends a signal. When the agent no longer listens the run is over, and so is the need.
    pub(crate) fn send(&self, signal: Signal) {
        let _ = self.0.send(signal);
    }
}
