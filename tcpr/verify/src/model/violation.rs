//! What must not be, and how it came about.
//!
//! *Assumes* nothing.
//! *Guarantees* that a violation can be read without knowing the model: one line for each step.

use std::fmt;

use tcpr_core::{Ending, Refusal};

/// What must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Wrong {
    /// A checksum.
    #[error("a segment has a wrong checksum")]
    Checksum,
    /// More than one octet at a time, which nobody has sent.
    #[error("a segment has octets that nobody has sent")]
    Invented,
    /// A RST for the peer.
    #[error("the peer is sent a RST")]
    Reset,
    /// A SYN for the peer.
    #[error("the peer is sent a SYN of another connection than its own")]
    Syn,
    /// A FIN for the peer.
    #[error("the peer is sent a FIN that the application has not announced")]
    Fin,
    /// Neither data nor acknowledgment.
    #[error("the peer is sent a segment without the flag ACK")]
    NoAcknowledgment,
    /// Data.
    #[error("the peer is sent octet {octet:#04x} at {position}, where another one stands")]
    Content {
        /// What is sent.
        octet: u8,
        /// Where.
        position: i64,
    },
    /// A sequence number.
    #[error("the peer is sent sequence number {position}, where {least} to {most} are possible")]
    Sequence {
        /// What is sent.
        position: i64,
        /// Where the present local TCP began.
        least: i64,
        /// The end of what was sent.
        most: i64,
    },
    /// An acknowledgment.
    #[error("the peer is sent acknowledgment {told}, and {checkpoint} is checkpointed")]
    NotCheckpointed {
        /// What is sent.
        told: i64,
        /// What the application has persisted.
        checkpoint: i64,
    },
    /// An acknowledgment.
    #[error("the peer is sent acknowledgment {told} after {before}")]
    AcknowledgmentBack {
        /// What is sent.
        told: i64,
        /// What was sent before.
        before: i64,
    },
    /// A window.
    #[error("the peer is offered a window up to {told} after one up to {before}")]
    WindowBack {
        /// What is sent.
        told: i64,
        /// What was sent before.
        before: i64,
    },
    /// A window.
    #[error("the peer is offered a window up to {told}, and the local TCP offers {offered}")]
    WindowInflated {
        /// What is sent.
        told: i64,
        /// What the local TCP has room for.
        offered: i64,
    },
    /// The local TCP's view.
    #[error("the local TCP is told an acknowledgment of {told}, and has sent {sent}")]
    Unsent {
        /// What it is told.
        told: i64,
        /// What it has sent.
        sent: i64,
    },
    /// The local TCP's view.
    #[error("the local TCP is offered a window up to {told}, and the peer has offered {offered}")]
    PeerWindow {
        /// What it is told.
        told: i64,
        /// What the peer has offered.
        offered: i64,
    },
    /// The local TCP's view.
    #[error("the local TCP is not told the peer's MSS")]
    Mss,
    /// The local TCP's view.
    #[error("the local TCP is reset while the application uses it")]
    LocalReset,
    /// What the application reads.
    #[error("the application reads octet {octet:#04x} at {position}, where another one stands")]
    Read {
        /// What it reads.
        octet: u8,
        /// Where.
        position: i64,
    },
    /// What the application reads.
    #[error("the application reads the end of the input at {position}, before it has ended")]
    End {
        /// Where.
        position: i64,
    },
    /// What the application is told.
    #[error("the application is told to begin at {base}, where {least} to {most} are possible")]
    Base {
        /// What it is told.
        base: i64,
        /// It was told that this was acknowledged.
        least: i64,
        /// The end of its output.
        most: i64,
    },
    /// What the application is told.
    #[error(
        "the application is told that {told} is acknowledged, and the peer has received {received}"
    )]
    Acked {
        /// What it is told.
        told: i64,
        /// What the peer has received.
        received: i64,
    },
    /// What the application is told.
    #[error("the connection is said to have ended: {0:?}")]
    Ended(Ending),
    /// What the application is told.
    #[error("a request is refused: {0}")]
    Refused(Refusal),
    /// The peer hears nothing.
    #[error("the peer is not told of a checkpoint at once")]
    CheckpointNotTold,
    /// The peer hears nothing.
    #[error("the peer sends again while there is no local TCP, and gets no answer")]
    NoReply,
    /// Nothing leads to the end from here.
    #[error("from here the transfer cannot come to its end")]
    Stuck,
}

/// What is wrong, and the shortest way there.
#[derive(Debug, Clone)]
pub struct Violation {
    /// What.
    pub wrong: Wrong,
    /// Step by step.
    pub path: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.wrong)?;
        for (at, step) in self.path.iter().enumerate() {
            writeln!(f, "{:4}. {step}", at + 1)?;
        }
        Ok(())
    }
}
