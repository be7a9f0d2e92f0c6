//! What the core would do if it were wrong in one place.
//!
//! A check that never fails says nothing. So each decision on which the peer or the local TCP relies
//! can be turned into a wrong one, and every such mutation has to be noticed by the checks of
//! `tcpr/verify`. Which is in force is a type: a program that uses [`Tcpr`](crate::Tcpr) as it is
//! has [`Sound`], of which the compiler leaves nothing, and no feature of another crate can arm it.

use core::fmt::Debug;
use core::hash::Hash;

/// Whether the core conducts itself as it should.
pub trait Conduct: Copy + Debug + Eq + Hash {
    /// Whether it does this instead of what is right.
    fn has(self, mutation: Mutation) -> bool;
}

/// As it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sound;

impl Conduct for Sound {
    #[inline(always)]
    fn has(self, _mutation: Mutation) -> bool {
        false
    }
}

macro_rules! mutations {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// One wrong decision.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mutation {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Mutation {
            /// Every one.
            pub const ALL: &[Mutation] = &[$(Mutation::$name),+];
        }
    };
}

mutations! {
    /// The peer is told what the local TCP acknowledges, checkpointed or not.
    AcknowledgmentNotDelayed,
    /// The peer is told one octet more than the checkpoint.
    AcknowledgmentPlusOne,
    /// The difference between inside and outside numbers is one too high.
    DeltaPlusOne,
    /// It is one too low.
    DeltaMinusOne,
    /// It is that of the local TCP before.
    DeltaStale,
    /// It is not added to what the peer acknowledges.
    DeltaMissingInbound,
    /// The peer sees the SYN of a recovery.
    SynForwarded,
    /// The peer sees the RST of a local TCP that has failed.
    ResetForwarded,
    /// The peer sees a FIN that the application has not announced.
    FinForwarded,
    /// The answer to the SYN begins at the checkpoint instead of one before it.
    SynAckSequenceOffByOne,
    /// The answer to the SYN has no SYN.
    SynAckWithoutSyn,
    /// A SYN is taken for a recovery's once the peer's SYN was received, instead of once ours was
    /// acknowledged: this swallows the SYN-ACK of a passive open.
    GuardOnReceiveAcknowledgment,
    /// An acknowledgment of our own making lacks the flag that makes it one.
    AcknowledgmentFlagNotSet,
    /// The answer to the SYN offers the peer's right edge instead of what lies before it.
    RecoveryWindowAbsolute,
    /// The peer is offered more than the local TCP has room for.
    WindowInflated,
    /// What is acknowledged to us and not to the peer is not given back as window.
    WindowNotGivenBack,
    /// Delta follows what the peer has acknowledged since the application was told its base.
    OffsetReadTooLate,
    /// The application is told where the local TCP before began, and delta is computed from what
    /// the peer has acknowledged.
    OffsetReadTooEarly,
    /// The local TCP sees acknowledgments of what it has not sent.
    AcknowledgmentNotClamped,
    /// A late old acknowledgment moves back what the peer is known to have acknowledged.
    AcknowledgedMovedBack,
    /// The peer is not told of a checkpoint.
    NoAcknowledgmentOnCheckpoint,
    /// The peer gets no answer while there is no local TCP.
    NoReplyWhileGone,
    /// The edges of selective acknowledgments are not translated.
    SackUnshifted,
    /// The answer to the SYN lacks the peer's MSS.
    MssNotReplayed,
    /// A FIN that was announced for the local TCP before is taken for announced.
    DoneWritingNotCleared,
    /// After a FIN that the peer has acknowledged the new local TCP begins behind it.
    AcknowledgedFinSplicedWrongly,
}
