//! The dataplane on real kernels: packets of real TCP connections go through real queues.
//!
//! *Assumes* unshare(1), iproute2, iptables and NFQUEUE. Each test runs in user, network and
//! mount namespaces of its own. *Guarantees* that a packet which took another way than it should
//! fails a test.

#![cfg(feature = "serve")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bed;
mod open;
mod packets;
mod rules;
mod sockets;
