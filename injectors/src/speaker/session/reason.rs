//! Why a session has ended, in words.
//!
//! *Assumes* nothing. *Guarantees* that who ended it is said, and with which NOTIFICATION.

use super::{Notification, State};

/// Why a session has ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It was stopped by hand.
    #[error("stopped here: the peer was told Cease, Administrative Shutdown (6/2)")]
    Stopped,
    /// The peer has made an error, or is gone.
    #[error("the peer was told {notification}: {explanation}")]
    Sent {
        /// What the peer was told.
        notification: Notification,
        /// What is wrong.
        explanation: String,
    },
    /// The peer has ended it.
    #[error("the peer says {0}")]
    Received(Notification),
    /// The connection is gone, without a NOTIFICATION.
    #[error("the connection was closed in {state:?} without a NOTIFICATION")]
    ConnectionClosed {
        /// State in which that happened.
        state: State,
    },
}
