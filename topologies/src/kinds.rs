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
        /// BGP Graceful Restart (RFC 4724), as ExaBGP does it: the F bit is set after the restart,
        /// whatever happened to forwarding.
        GracefulRestart = "graceful-restart",
        /// Graceful Restart that admits the loss: F=0 after the restart, so that the helper drops
        /// the stale routes when the session is back (RFC 4724, section 4.2).
        GracefulRestartF0 = "graceful-restart-f0",
        /// Graceful Restart whose injector, when it has lost the destination, withdraws it before
        /// anything else.
        GracefulRestartWithdraw = "graceful-restart-withdraw",
        /// TCPR: the injector recovers its TCP connections, and the sessions never end.
        Tcpr = "tcpr",
    }
}

impl Strategy {
    /// Every arm there is.
    pub const ALL: [Strategy; 5] = [
        Strategy::None,
        Strategy::GracefulRestart,
        Strategy::GracefulRestartF0,
        Strategy::GracefulRestartWithdraw,
        Strategy::Tcpr,
    ];

    /// Whether the injector advertises the Graceful Restart capability (RFC 4724, section 3).
    #[must_use]
    pub const fn restarts_gracefully(self) -> bool {
        matches!(
            self,
            Self::GracefulRestart | Self::GracefulRestartF0 | Self::GracefulRestartWithdraw
        )
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
        /// The primary link loses its carrier, for good. The injector's process lives.
        Link = "link",
        /// Nothing fails: the injector announces and withdraws again and again, to measure the
        /// MRAI that the routers realise.
        MraiProbe = "mrai-probe",
    }
}

impl FailureKind {
    /// Whether the injector's process is killed.
    #[must_use]
    pub const fn kills_the_injector(self) -> bool {
        matches!(self, Self::Control | Self::Correlated)
    }

    /// Whether the primary link carries nothing for the destination any more.
    #[must_use]
    pub const fn loses_the_primary_link(self) -> bool {
        matches!(self, Self::Forwarding | Self::Correlated | Self::Link)
    }
}

named! {
    /// When the failure comes.
    FailureTime {
        /// Some time after the network has settled.
        Settled = "settled",
        /// While the injector still transfers its table for the first time.
        InitialTransfer = "initial-transfer",
    }
}

named! {
    /// What becomes of TCPR when the injector is killed.
    TcprFate {
        /// It lives on.
        Survives = "survives",
        /// It is killed at the same instant, and started again with the injector.
        Dies = "dies",
    }
}

named! {
    /// Implementation of the routers.
    RouterKind {
        /// FRRouting: zebra and bgpd, unmodified.
        Frr = "frr",
        /// Quagga, 0.99.22 to 1.2.4: the user's own zebra and bgpd, by path.
        Quagga = "quagga",
    }
}

named! {
    /// Implementation of the injector.
    InjectorKind {
        /// flaplab's own BGP speaker, which TCPR can recover.
        Flaplab = "flaplab",
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
            // Quagga 0.99.22: `advertisement-interval <0-600>`, `timers connect <0-65535>`,
            // `bgp graceful-restart stalepath-time <1-3600>`.
            Self::Quagga => RouterLimits {
                name: "Quagga",
                mrai_max_s: 600,
                connect_retry_max_s: 65_535,
                stale_path_time_max_s: 3_600,
            },
        }
    }
}

/// What the injectors of one implementation can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InjectorLimits {
    /// Most prefixes of a filler announced per second.
    pub filler_rate_max: u32,
}

impl InjectorKind {
    /// What injectors of this kind can do.
    #[must_use]
    pub const fn limits(self) -> InjectorLimits {
        match self {
            // Without a limit of its own; a 16-bit count of prefixes is the whole filler.
            Self::Flaplab => InjectorLimits {
                filler_rate_max: 1_000_000,
            },
            // Its API manages about 2,400 routes per second.
            Self::Exabgp => InjectorLimits {
                filler_rate_max: 2_000,
            },
        }
    }

    /// Whether an arm can be run with it.
    #[must_use]
    pub const fn supports(self, strategy: Strategy) -> bool {
        match self {
            Self::Flaplab => true,
            Self::Exabgp => matches!(strategy, Strategy::None | Strategy::GracefulRestart),
        }
    }
}
