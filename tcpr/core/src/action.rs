//! What the core answers: a verdict on each segment, and actions beside it.
//!
//! *Assumes* that actions are carried out in order, after the verdict.
//! *Guarantees* that their number is bounded and that nothing is allocated for them.

use arrayvec::ArrayVec;
use core::fmt;
use core::time::Duration;

use crate::packet::Segment;
use crate::{Flow, Hard};

/// Which way a segment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the application's TCP to its peer.
    Outbound,
    /// From the peer to the application's TCP.
    Inbound,
}

/// What is to be done with a segment that was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub enum Verdict {
    /// Let it go on. `edited`: the packet's octets were changed in place.
    Forward {
        /// Whether the packet's octets were changed.
        edited: bool,
    },
    /// It ends here.
    Drop,
    /// Copy it whole, drop it, and offer it again as inbound when [`Action::Replay`] says so: a
    /// [`HoldQueue`](crate::HoldQueue) keeps it until then.
    Hold,
}

/// Something to be done beside the verdict.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send a segment of TCPR's own making, marked so that it is not queued again. If it goes to the
    /// peer, [`Tcpr::renew`](crate::Tcpr::renew) it right before.
    Inject {
        /// Towards whom.
        direction: Direction,
        /// What.
        segment: Segment,
    },
    /// Offer held segments of this connection again, in the order of their sequence numbers, each
    /// cut to at most `mss` octets of data: those whose data ends at or before position `until` of
    /// the peer's stream. The others stay held.
    Replay {
        /// The connection.
        flow: Flow,
        /// Position in the peer's stream, exclusive.
        until: i64,
        /// The peer's stream, to read the positions of held segments with.
        hard: Hard,
        /// Largest payload of a segment that the local TCP takes, in octets.
        mss: u16,
    },
    /// Throw away what is held of this connection.
    Forget {
        /// The connection.
        flow: Flow,
    },
    /// The connection is established, for the first time. Nobody may have registered it yet.
    Established {
        /// The connection.
        flow: Flow,
    },
    /// The local TCP has failed: the peer is answered until the application recovers.
    Failed {
        /// The connection.
        flow: Flow,
    },
    /// A new local TCP has been put in place; its hard state is this from now on.
    Spliced {
        /// Hard state with the new delta.
        hard: Hard,
    },
    /// The answer to `recover`, if it had to wait for the peer.
    Recovered {
        /// Hard state as it stands.
        hard: Hard,
        /// The octet offset from which output is sent again.
        base: u64,
    },
    /// A recovery could not be carried out.
    Refused {
        /// The connection.
        flow: Flow,
        /// Why.
        refusal: Refusal,
    },
    /// The peer has acknowledged output up to this octet offset.
    Acked {
        /// The connection.
        flow: Flow,
        /// Octet offset, exclusive.
        offset: u64,
    },
    /// The connection has ended for the peer.
    Closed {
        /// The connection.
        flow: Flow,
        /// How.
        ending: Ending,
    },
    /// Nothing is known of the connection any more.
    Removed {
        /// The connection.
        flow: Flow,
    },
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Ending {
    /// Both sides have closed, and both FINs are acknowledged.
    Finished,
    /// The peer has reset it.
    ResetByPeer,
    /// The application asked for it to be reset.
    Aborted,
    /// The application did not come back in time.
    Expired,
}

/// Why a request was refused. It has changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", tag = "reason"))]
pub enum Refusal {
    /// No such connection is protected.
    #[error("no such connection is protected: protect it before it is opened")]
    Unknown,
    /// The handshake is not complete.
    #[error("the connection is not established yet")]
    NotEstablished,
    /// The hard state given is of an earlier incarnation.
    #[error("this is incarnation {given}, and incarnation {current} is there already")]
    OlderIncarnation {
        /// Of the request.
        given: u64,
        /// Of the connection.
        current: u64,
    },
    /// A checkpoint that goes back.
    #[error("checkpoint {given} lies before {current}, which the peer has been told")]
    BackwardCheckpoint {
        /// Of the request.
        given: u64,
        /// Of the connection.
        current: u64,
    },
    /// A checkpoint of input that the peer has not sent.
    #[error("checkpoint {given} lies beyond {received}, the end of what the peer has sent")]
    CheckpointBeyondInput {
        /// Of the request.
        given: u64,
        /// Highest offset seen.
        received: u64,
    },
    /// An end of the output that lies before what was sent.
    #[error("the output cannot end at {given}: {sent} octets of it have been sent")]
    EndBeforeSent {
        /// Of the request.
        given: u64,
        /// Octets sent.
        sent: u64,
    },
    /// The hard state given is of another connection between the same addresses.
    #[error("this state is of another connection between the same addresses and ports")]
    OtherConnection,
    /// Hard state that no connection can have.
    #[error("this state is of no connection: its addresses, offsets or scales cannot be")]
    Impossible,
    /// TCP-MD5 (RFC 2385) or TCP-AO (RFC 5925) signs sequence numbers.
    #[error(
        "the connection is signed with TCP-MD5 or TCP-AO, which covers sequence numbers; \
         TCPR changes them, so it cannot protect this connection"
    )]
    Signed,
    /// The new local TCP lacks what the peer relies on.
    #[error("the new connection offers no {option}, and the peer relies on it")]
    MissingOption {
        /// Which.
        option: SynOption,
    },
    /// A connection is opened that is protected, and established, without being recovered.
    #[error("the connection is there already: call recover before connecting again")]
    NotRecovering,
    /// The recovery had begun when TCPR lost its state: it must begin again.
    #[error("TCPR was lost in mid-recovery: recover again, with the next incarnation")]
    RecoverAgain,
    /// The connection has ended.
    #[error("the connection has ended")]
    Ended,
    /// The connection has not ended.
    #[error("the connection has not ended: close it and wait for that, or abort it")]
    NotEnded,
    /// The peer does not answer.
    #[error("the peer has not answered for {waited:?}")]
    PeerSilent {
        /// How long it was asked.
        waited: Duration,
    },
    /// No room for another connection.
    #[error("{limit} connections are protected already")]
    Full {
        /// How many there may be.
        limit: usize,
    },
}

/// A TCP option that is agreed upon in the handshake, and relied on afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum SynOption {
    /// RFC 7323, 2.
    WindowScale,
    /// RFC 7323, 3.
    Timestamps,
}

impl fmt::Display for SynOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SynOption::WindowScale => "window scale",
            SynOption::Timestamps => "timestamps",
        })
    }
}

/// At most this many actions come of one segment, request or tick of one connection.
const MAX_ACTIONS: usize = 16;

/// Actions to be carried out, in order.
pub type Actions = ArrayVec<Action, MAX_ACTIONS>;
