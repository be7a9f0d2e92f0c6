//! What can be found wrong with a run.
//!
//! *Assumes* and *guarantees* nothing: these are words.

use std::time::Duration;

use tcpr_core::{Ending, Refusal};

/// Who looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Watch {
    /// The two applications: they get what was sent, or do not.
    Ends,
    /// Who sees the packets between TCPR and the peer.
    Outside,
    /// Who sees the packets between TCPR and the application's TCP too.
    Inside,
    /// The application, of what TCPR promises it.
    Promise,
}

/// Something wrong. Offsets and positions are octets since the beginning of a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The application has read something else than was sent.
    #[error("the application has read a wrong octet at {offset}")]
    WrongInput {
        /// Where.
        offset: u64,
    },
    /// The peer has.
    #[error("the peer has read a wrong octet at {offset}")]
    WrongOutput {
        /// Where.
        offset: u64,
    },
    /// A stream has ended early or late.
    #[error("a stream of {length} octets has ended after {read}")]
    WrongEnd {
        /// Octets sent.
        length: u64,
        /// Octets read.
        read: u64,
    },
    /// The peer's connection is gone.
    #[error("the peer's connection was reset, or given up")]
    PeerReset,
    /// The application's connection is gone, though nothing has failed.
    #[error("the application's connection was reset while it lived")]
    LocalReset,
    /// The run does not end, though the same one ends without TCPR and crash.
    #[error("nothing more happens, or not within {limit:?}")]
    Stalled {
        /// How long was waited.
        limit: Duration,
    },

    /// The peer is reset.
    #[error("the peer sees a RST")]
    Reset,
    /// A SYN on an established connection.
    #[error("the peer sees a SYN on an established connection")]
    Syn,
    /// A FIN that was not announced.
    #[error("the peer sees a FIN at {position} that the application did not mean")]
    Fin {
        /// Where.
        position: i64,
    },
    /// RFC 9293, 3.10.7.4: what has no ACK is dropped.
    #[error("the peer sees a segment without acknowledgment")]
    NoAcknowledgment,
    /// An acknowledgment that goes back.
    #[error("the acknowledgment goes back from {before} to {now}")]
    AcknowledgmentBack {
        /// Said before.
        before: i64,
        /// Said now.
        now: i64,
    },
    /// What is not safe yet is acknowledged.
    #[error("{acknowledged} is acknowledged to the peer, and the checkpoint is {checkpoint}")]
    BeyondCheckpoint {
        /// Said to the peer.
        acknowledged: i64,
        /// Of the application.
        checkpoint: i64,
    },
    /// RFC 9293, 3.8.6: the window should not shrink.
    #[error("the right edge of the window goes back from {before} to {now}")]
    EdgeBack {
        /// Said before.
        before: i64,
        /// Said now.
        now: i64,
    },
    /// RFC 7323, 5: what is older than what was seen is dropped.
    #[error("TSval goes back from {before} to {now}")]
    TimestampBack {
        /// Said before.
        before: u32,
        /// Said now.
        now: u32,
    },
    /// RFC 7323, 3.2: in use, they are on every segment.
    #[error("timestamps are in use, and a segment has none")]
    TimestampMissing,
    /// A gap in what is sent.
    #[error("the segment at {position} begins beyond {sent}, the end of what was sent")]
    Gap {
        /// Where it begins.
        position: i64,
        /// One past what was sent.
        sent: i64,
    },
    /// Other octets than were sent before, or are to be sent.
    #[error("the peer is sent a wrong octet at {position}")]
    WrongOctet {
        /// Where.
        position: i64,
    },
    /// RFC 9293, 3.7.1.
    #[error("a segment of {length} octets, options included, exceeds the peer's MSS of {mss}")]
    TooLong {
        /// Its length.
        length: usize,
        /// What the peer takes.
        mss: usize,
    },
    /// RFC 9293, 3.8.6.
    #[error("{end} is sent, and the peer's window ends at {edge}")]
    BeyondWindow {
        /// One past what is sent.
        end: i64,
        /// Right edge.
        edge: i64,
    },
    /// A wrong checksum, or no packet at all.
    #[error("a packet is damaged")]
    Damaged,

    /// RFC 9293, 3.10.7.4: such a segment is dropped.
    #[error("the local TCP is told that {acknowledged} is acknowledged, and has sent {sent}")]
    AcknowledgesUnsent {
        /// Said to it.
        acknowledged: i64,
        /// One past what it has sent.
        sent: i64,
    },
    /// RFC 2018, 4.
    #[error("the local TCP is told that {left} to {right} was received, and has sent {sent}")]
    SelectsUnsent {
        /// Left edge.
        left: i64,
        /// Right edge.
        right: i64,
        /// One past what it has sent.
        sent: i64,
    },
    /// The local TCP may send what the peer does not take.
    #[error("the local TCP may send up to {offered}, and the peer's window ends at {edge}")]
    OffersMore {
        /// Said to it.
        offered: i64,
        /// Right edge of the peer.
        edge: i64,
    },
    /// The peer may send what the local TCP does not take.
    #[error("the peer may send up to {promised}, and the local TCP takes {edge}")]
    PromisesMore {
        /// Said to the peer.
        promised: i64,
        /// Right edge of the local TCP.
        edge: i64,
    },

    /// Something was refused that should not be.
    #[error("TCPR has refused what it should not: {refusal}")]
    Refused {
        /// Its words.
        refusal: Refusal,
    },
    /// The application is to send again what it has thrown away, or has not written.
    #[error("output is to go on at {base}, and the application has {least} to {most}")]
    WrongBase {
        /// Said to the application.
        base: u64,
        /// Trimmed up to here.
        least: u64,
        /// Written up to here.
        most: u64,
    },
    /// The checkpoint is another one than the application has persisted.
    #[error("input is to go on at {said}, and the application has persisted {persisted}")]
    WrongCheckpoint {
        /// Said to the application.
        said: u64,
        /// Its own.
        persisted: u64,
    },
    /// The checkpoint is not told to the peer at once.
    #[error("the checkpoint is {checkpoint}, and the peer was told {told}")]
    NotTold {
        /// Of the application.
        checkpoint: i64,
        /// Last said to the peer.
        told: i64,
    },
    /// A connection has ended that should not.
    #[error("TCPR says that the connection has ended: {ending:?}")]
    Ended {
        /// Its words.
        ending: Ending,
    },
}

impl Fault {
    /// Who has seen it.
    #[must_use]
    pub fn watch(&self) -> Watch {
        match self {
            Fault::WrongInput { .. }
            | Fault::WrongOutput { .. }
            | Fault::WrongEnd { .. }
            | Fault::PeerReset
            | Fault::LocalReset
            | Fault::Stalled { .. } => Watch::Ends,
            Fault::Reset
            | Fault::Syn
            | Fault::Fin { .. }
            | Fault::NoAcknowledgment
            | Fault::AcknowledgmentBack { .. }
            | Fault::BeyondCheckpoint { .. }
            | Fault::EdgeBack { .. }
            | Fault::TimestampBack { .. }
            | Fault::TimestampMissing
            | Fault::Gap { .. }
            | Fault::WrongOctet { .. }
            | Fault::TooLong { .. }
            | Fault::BeyondWindow { .. }
            | Fault::Damaged => Watch::Outside,
            Fault::AcknowledgesUnsent { .. }
            | Fault::SelectsUnsent { .. }
            | Fault::OffersMore { .. }
            | Fault::PromisesMore { .. } => Watch::Inside,
            Fault::Refused { .. }
            | Fault::WrongBase { .. }
            | Fault::WrongCheckpoint { .. }
            | Fault::NotTold { .. }
            | Fault::Ended { .. } => Watch::Promise,
        }
    }
}
