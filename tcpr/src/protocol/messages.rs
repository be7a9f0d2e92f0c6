//! What application and TCPR say to each other.
//!
//! *Assumes* that a channel carries each message whole: as a line, or as a sealed datagram.
//! *Guarantees* that every message is one JSON object without a line break, that a request can be
//! repeated without harm, and that fields which are not known are passed over.

use serde::{Deserialize, Serialize};
use tcpr_core::{Counters, Ending, Flow, Hard, Pattern, Refusal, Summary};

use super::counters::{ChannelCounters, DataplaneCounters};

/// The version of this protocol. A server refuses any other, and says which one it speaks.
pub const PROTOCOL_VERSION: u32 = 1;

/// How many connections a reply to [`Request::List`] has at most over a stream.
pub const PAGE: u32 = 512;

/// How many connections a reply to [`Request::List`] has at most in a datagram.
pub const DATAGRAM_PAGE: u32 = 8;

/// What an application asks of TCPR.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// The first request on every channel, and the only one that may come before a [`Reply::Welcome`].
    Hello {
        /// [`PROTOCOL_VERSION`].
        version: u32,
    },
    /// Protect connections, from their first segment on.
    Protect {
        /// Which.
        pattern: Pattern,
    },
    /// Protect no further connections of this pattern; those that are there stay protected.
    Unprotect {
        /// Which.
        pattern: Pattern,
    },
    /// Connections in the order of their flows.
    List {
        /// Only those after this one; from the first one on if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Flow>,
        /// At most so many.
        #[serde(default = "page")]
        limit: u32,
    },
    /// One connection.
    Show {
        /// Which.
        flow: Flow,
    },
    /// The application takes charge of an established connection.
    Register {
        /// Which.
        flow: Flow,
        /// Its hard state, if the application has it: TCPR was restarted while the application's
        /// TCP lived on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hard: Option<Box<Hard>>,
    },
    /// Input up to here is the application's own. Over a stream it is answered only if it is
    /// refused.
    Checkpoint {
        /// Of which connection.
        flow: Flow,
        /// Octets since the beginning; the peer's FIN counts one.
        offset: u64,
    },
    /// The application wants no more input.
    DoneReading {
        /// Of which connection.
        flow: Flow,
    },
    /// The application's output ends here, and its FIN is meant.
    DoneWriting {
        /// Of which connection.
        flow: Flow,
        /// All output, in octets since the beginning, without the FIN.
        written: u64,
    },
    /// The application has come back and is about to connect again.
    Recover {
        /// What it kept, with the next incarnation.
        hard: Box<Hard>,
    },
    /// Forget a connection that has ended.
    Done {
        /// Which.
        flow: Flow,
    },
    /// Reset a connection, and forget it.
    Abort {
        /// Which.
        flow: Flow,
    },
    /// Send the notices of all connections, not only of those registered here.
    Watch,
    /// What was counted since TCPR was started.
    Counters,
}

fn page() -> u32 {
    PAGE
}

impl Request {
    /// The connection that is meant, if it is one.
    #[must_use]
    pub fn flow(&self) -> Option<Flow> {
        match self {
            Request::Show { flow }
            | Request::Register { flow, .. }
            | Request::Checkpoint { flow, .. }
            | Request::DoneReading { flow }
            | Request::DoneWriting { flow, .. }
            | Request::Done { flow }
            | Request::Abort { flow } => Some(*flow),
            Request::Recover { hard } => Some(hard.flow),
            Request::Hello { .. }
            | Request::Protect { .. }
            | Request::Unprotect { .. }
            | Request::List { .. }
            | Request::Watch
            | Request::Counters => None,
        }
    }
}

/// What TCPR answers to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// To `hello`.
    Welcome {
        /// [`PROTOCOL_VERSION`] of the server.
        version: u32,
        /// The server's program and its version, to be shown to people.
        server: String,
    },
    /// It is done. To all requests that have no reply of their own.
    Ok,
    /// To `list`.
    List {
        /// In the order of their flows.
        connections: Vec<Summary>,
        /// Whether there are others after these.
        more: bool,
    },
    /// To `show`.
    Show {
        /// How it stands.
        connection: Box<Summary>,
    },
    /// To `register`.
    Registered {
        /// To be kept by the application.
        hard: Box<Hard>,
    },
    /// To `recover`.
    Recovered {
        /// Hard state as it stands.
        hard: Box<Hard>,
        /// Octet offset from which output is sent again.
        base: u64,
    },
    /// To `counters`.
    Counters {
        /// Of the connections.
        connections: Box<Counters>,
        /// Of this protocol.
        channel: ChannelCounters,
        /// Of the packets.
        dataplane: DataplaneCounters,
    },
    /// It cannot be done, and nothing has changed.
    Refused(Refusal),
    /// It was not understood, or could not be carried out.
    Faulty(Fault),
}

/// Why a request was not even tried, or could not be carried out for reasons beside the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// Of another version.
    #[error(
        "TCPR speaks version {spoken} of the protocol, and version {given} was asked for: \
         use a client and a `tcpr serve` of the same release"
    )]
    Version {
        /// By the client.
        given: u32,
        /// By the server.
        spoken: u32,
    },
    /// A request came before `hello`.
    #[error("the first request on a channel must be hello")]
    HelloFirst,
    /// The message is none.
    #[error("not a message of this protocol: {detail}")]
    Malformed {
        /// What is wrong with it.
        detail: String,
    },
    /// Too long for a message.
    #[error("a message has at most {limit} octets")]
    TooLong {
        /// How many it may have.
        limit: usize,
    },
    /// Rules or sockets of the kernel could not be put in place.
    #[error("{detail}")]
    System {
        /// What failed.
        detail: String,
    },
}

/// What TCPR tells without being asked: of the connections registered or recovered over this
/// channel, and after `watch` of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// The connection is established, for the first time.
    Established {
        /// Which.
        flow: Flow,
    },
    /// The peer has acknowledged output.
    Acked {
        /// Of which connection.
        flow: Flow,
        /// Up to here, exclusive; our FIN is no output.
        offset: u64,
    },
    /// The local TCP has failed.
    Failed {
        /// Of which connection.
        flow: Flow,
    },
    /// A new local TCP has been put in place.
    Spliced {
        /// Hard state from now on.
        hard: Hard,
    },
    /// The connection has ended for the peer.
    Closed {
        /// Which.
        flow: Flow,
        /// How.
        ending: Ending,
    },
    /// Nothing is known of the connection any more.
    Removed {
        /// Which.
        flow: Flow,
    },
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

impl Notice {
    /// The connection it is about.
    #[must_use]
    pub fn flow(&self) -> Option<Flow> {
        match self {
            Notice::Established { flow }
            | Notice::Acked { flow, .. }
            | Notice::Failed { flow }
            | Notice::Closed { flow, .. }
            | Notice::Removed { flow } => Some(*flow),
            Notice::Spliced { hard } => Some(hard.flow),
            Notice::Unknown => None,
        }
    }
}

/// A request with its number, as it stands on a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Above those of all earlier requests on this channel. Its reply has the same.
    pub id: u64,
    /// What is asked.
    #[serde(flatten)]
    pub request: Request,
}

/// A reply with the number of its request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The number of the request; 0 if it could not be read.
    pub id: u64,
    /// What is answered.
    #[serde(flatten)]
    pub reply: Reply,
}

/// What comes from TCPR.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Message {
    /// It answers a request.
    Answer(Answer),
    /// It tells something.
    Notice(Notice),
}
