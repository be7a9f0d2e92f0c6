//! What can go wrong between an application and TCPR.
//!
//! *Assumes* nothing.
//! *Guarantees* that an error says what was asked, of whom, and what would help.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tcpr_core::{Counters, Flow, Hard, Refusal, Summary};

use crate::protocol::{ChannelCounters, DataplaneCounters, Fault, Reply, Request};

/// Why something asked of TCPR was not done.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// TCPR cannot be reached.
    #[error("cannot reach TCPR at {endpoint}: is `tcpr serve` running there?")]
    Unreachable {
        /// Where it should be.
        endpoint: String,
        /// Why.
        source: io::Error,
    },
    /// TCPR does not answer.
    #[error("TCPR at {endpoint} has not answered {what} for {waited:?}")]
    Unanswered {
        /// Where it is.
        endpoint: String,
        /// What was asked.
        what: &'static str,
        /// How long.
        waited: Duration,
    },
    /// TCPR refuses.
    #[error("{what} is refused for {flow}: {refusal}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// Of which connection.
        flow: Flow,
        /// Why.
        refusal: Refusal,
    },
    /// TCPR cannot do it, or does not understand us.
    #[error("{what}: {fault}")]
    Fault {
        /// What was asked.
        what: &'static str,
        /// Why.
        fault: Fault,
    },
    /// TCPR answers something else.
    #[error(
        "TCPR answers {what} with something else: use a client and a `tcpr serve` of the same release"
    )]
    Unexpected {
        /// What was asked.
        what: &'static str,
    },
    /// Threads or descriptors are lacking.
    #[error("cannot start the client")]
    Start(#[source] io::Error),
}

/// Why a recovered connection could not be opened again.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A step of it failed.
    #[error("cannot {step} {address}")]
    Socket {
        /// Which step.
        step: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The port is taken.
    #[error("{local} is held by {holder}")]
    Held {
        /// The address and port that the peer knows.
        local: SocketAddr,
        /// What holds it, and what would help.
        holder: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The address is not on this host.
    #[error("{local} is no address of this host: bring it here before recovering")]
    Elsewhere {
        /// The address that the peer knows.
        local: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// TCPR did not let it through.
    #[error(transparent)]
    Tcpr(#[from] ClientError),
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> io::Error {
        let kind = match &error {
            ConnectError::Socket { source, .. }
            | ConnectError::Held { source, .. }
            | ConnectError::Elsewhere { source, .. } => source.kind(),
            ConnectError::Tcpr(ClientError::Unanswered { .. }) => io::ErrorKind::TimedOut,
            ConnectError::Tcpr(_) => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// What TCPR has counted since it was started.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Figures {
    /// Of the connections.
    pub connections: Counters,
    /// Of the protocol between application and TCPR.
    pub channel: ChannelCounters,
    /// Of the packets.
    pub dataplane: DataplaneCounters,
}

/// A reply, with what it replies to.
pub(super) struct Replied {
    pub(super) what: &'static str,
    pub(super) flow: Option<Flow>,
    pub(super) reply: Result<Reply, Fault>,
}

impl Replied {
    fn reply(self) -> Result<Reply, ClientError> {
        let what = self.what;
        match (self.reply, self.flow) {
            (Ok(Reply::Refused(refusal)), Some(flow)) => Err(ClientError::Refused {
                what,
                flow,
                refusal,
            }),
            (Ok(Reply::Refused(_)), None) => Err(ClientError::Unexpected { what }),
            (Ok(Reply::Faulty(fault)) | Err(fault), _) => Err(ClientError::Fault { what, fault }),
            (Ok(reply), _) => Ok(reply),
        }
    }

    pub(super) fn done(self) -> Result<(), ClientError> {
        let what = self.what;
        match self.reply()? {
            Reply::Ok => Ok(()),
            _ => Err(ClientError::Unexpected { what }),
        }
    }

    pub(super) fn registered(self) -> Result<(), ClientError> {
        let what = self.what;
        match self.reply()? {
            Reply::Registered { .. } => Ok(()),
            _ => Err(ClientError::Unexpected { what }),
        }
    }

    pub(super) fn recovered(self) -> Result<(Hard, u64), ClientError> {
        let what = self.what;
        match self.reply()? {
            Reply::Recovered { hard, base } => Ok((*hard, base)),
            _ => Err(ClientError::Unexpected { what }),
        }
    }

    pub(super) fn shown(self) -> Result<Summary, ClientError> {
        let what = self.what;
        match self.reply()? {
            Reply::Show { connection } => Ok(*connection),
            _ => Err(ClientError::Unexpected { what }),
        }
    }

    pub(super) fn listed(self) -> Result<(Vec<Summary>, bool), ClientError> {
        let what = self.what;
        match self.reply()? {
            Reply::List { connections, more } => Ok((connections, more)),
            _ => Err(ClientError::Unexpected { what }),
        }
    }

    pub(super) fn counted(self) -> Result<Figures, ClientError> {
        let what = self.what;
        match self.reply()? {
            Reply::Counters {
                connections,
                channel,
                dataplane,
            } => Ok(Figures {
                connections: *connections,
                channel,
                dataplane,
            }),
            _ => Err(ClientError::Unexpected { what }),
        }
    }
}

/// What a request is called in an error.
pub(super) fn name(request: &Request) -> &'static str {
    match request {
        Request::Hello { .. } => "hello",
        Request::Protect { .. } => "protect",
        Request::Unprotect { .. } => "unprotect",
        Request::List { .. } => "list",
        Request::Show { .. } => "show",
        Request::Register { .. } => "register",
        Request::Checkpoint { .. } => "checkpoint",
        Request::DoneReading { .. } => "done_reading",
        Request::DoneWriting { .. } => "done_writing",
        Request::Recover { .. } => "recover",
        Request::Done { .. } => "done",
        Request::Abort { .. } => "abort",
        Request::Watch => "watch",
        Request::Counters => "counters",
    }
}
