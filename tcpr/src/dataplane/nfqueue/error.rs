//! What can go wrong with queues, and what helps.
//!
//! *Assumes* nothing.
//! *Guarantees* that whoever reads a message knows what to do next.

use std::io;

use super::super::inject::InjectError;
use super::super::local_socket::LocalSocketError;
use super::super::rules::RulesError;

/// A dataplane could not be made.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The kernel lacks it, and has no module for it.
    #[error(
        "the kernel has no NFQUEUE (CONFIG_NETFILTER_NETLINK_QUEUE): load the module \
         nfnetlink_queue, or use a kernel that has it"
    )]
    NoNfqueue,
    /// No right to touch the network.
    #[error(
        "no privilege to take packets: run as root or with CAP_NET_ADMIN and CAP_NET_RAW, or in a \
         user namespace with a network namespace of its own (unshare -Urn)"
    )]
    Privilege {
        /// What the kernel said.
        source: io::Error,
    },
    /// Another program has the queue.
    #[error(
        "queue {queue} is in use by another program (netlink port {port}, most often its process \
         number): end it, or pass --queue with the first of four free numbers"
    )]
    Taken {
        /// Its number.
        queue: u16,
        /// Who has it.
        port: u32,
    },
    /// Queue numbers go up to 65535.
    #[error("four queues from {first} on end beyond 65535: pass --queue with a lower number")]
    QueueNumber {
        /// The first.
        first: u16,
    },
    /// The queue could not be bound.
    #[error("cannot bind queue {queue}")]
    Bind {
        /// Its number.
        queue: u16,
        /// Why.
        source: io::Error,
    },
    /// A socket could not be opened or set up.
    #[error("cannot open a netlink socket")]
    Socket {
        /// Why.
        source: io::Error,
    },
    /// The present rules could not be read.
    #[error(transparent)]
    Rules(#[from] RulesError),
}

/// A running dataplane has failed.
#[derive(Debug, thiserror::Error)]
pub enum NfqueueError {
    /// Packets could not be read.
    #[error("cannot read packets from queue {queue}")]
    Receive {
        /// Its number.
        queue: u16,
        /// Why.
        source: io::Error,
    },
    /// The kernel did not take verdicts or a setting.
    #[error("queue {queue} does not take verdicts")]
    Verdict {
        /// Its number.
        queue: u16,
        /// Why.
        source: io::Error,
    },
    /// A packet could not be sent.
    #[error(transparent)]
    Inject(#[from] InjectError),
    /// Rules could not be put in place.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// A socket could not be ended.
    #[error(transparent)]
    LocalSocket(#[from] LocalSocketError),
}
