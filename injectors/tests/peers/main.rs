//! The speaker with real routers as its peers, in network namespaces of its own.
//!
//! *Assumes* FRR, BIRD and OpenBGPD (`scripts/setup --test`), iptables, and unprivileged user
//! namespaces. *Guarantees* that nothing of a test outlives it, and that none is said to pass
//! without having run, whoever runs it. `INJECTOR_TEST_TIMES=10` kills ten times as often as usual.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod bed;
mod bird;
mod frr;
mod interop;
mod killed;
mod measured;
mod openbgpd;
mod recovery;
mod sink;
mod speaker;
mod tcpr_process;
