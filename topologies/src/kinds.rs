//! The closed sets of words that a scenario is written in.
//!
//! *Assumes* nothing. *Guarantees* that each word is written one way only, in YAML, in JSON and
//! on the terminal, and that what an implementation can be told is known before it is started.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! named {
    ($(#[$m:meta])* $name:ident { $($(#[$vm:meta])* $v:ident = $s:literal),+ $(,)? }) => {
        $(#[$m])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        pub enum $name { $($(#[$vm])* #[serde(rename = $s)] $v),+ }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$v => $s),+ })
            }
        }
    };
}

named! {
    /// How the failure is survived: the arm of a comparison.
    Strategy {
        /// Nothing is done: the session is lost, and comes back as a new one.
        None = "none",
        /// BGP Graceful Restart (RFC 4724).
        GracefulRestart = "graceful-restart",
    }
}

named! {
    /// What fails.
    FailureKind {
        /// The injector's process is killed and restarted at once.
        Control = "control",
        /// The data path to the destination over the primary link is lost, for good.
        Forwarding = "forwarding",
        /// Both at the same instant.
        Correlated = "correlated",
    }
}

named! {
    /// Implementation of the routers.
    RouterKind {
        /// FRRouting: zebra and bgpd, unmodified.
        Frr = "frr",
    }
}

named! {
    /// Implementation of the injector.
    InjectorKind {
        /// ExaBGP.
        Exabgp = "exabgp",
    }
}

named! {
    /// The graph that a topology is generated from.
    TopologyKind {
        /// Every router peers with every other; one peers with the injector.
        Clique = "clique",
        /// A clique in which a second router also peers with the injector.
        BClique = "b-clique",
        /// Each router peers with the next.
        Chain = "chain",
        /// A chain whose ends meet.
        Ring = "ring",
        /// The first router peers with all others.
        Star = "star",
        /// An explicit list of edges.
        Edges = "edges",
    }
}

/// What the routers of one implementation can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouterLimits {
    /// Name of the implementation, as in a sentence.
    pub name: &'static str,
    /// Longest MRAI, seconds.
    pub mrai_max_s: u64,
    /// Longest ConnectRetryTime, seconds.
    pub connect_retry_max_s: u64,
    /// Longest stale-path time, seconds.
    pub stale_path_time_max_s: u64,
}

impl RouterKind {
    /// What routers of this kind can be told; all of their timers take whole seconds.
    #[must_use]
    pub const fn limits(self) -> RouterLimits {
        match self {
            // FRR 8.4: `advertisement-interval (0-600)`, `timers connect (1-65535)`,
            // `bgp graceful-restart stalepath-time (1-4095)`.
            Self::Frr => RouterLimits {
                name: "FRR",
                mrai_max_s: 600,
                connect_retry_max_s: 65_535,
                stale_path_time_max_s: 4_095,
            },
        }
    }
}
