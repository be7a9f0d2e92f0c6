//! The scenario as its author writes it: the shape of the YAML, and nothing checked beyond it.
//!
//! *Assumes* serde-saphyr as the reader, which alone knows places. *Guarantees* that an unknown
//! or repeated key is refused, that each value remembers the place it was written at, and that
//! the doc comments here are the published JSON Schema's descriptions.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};

use crate::kinds::{
    FailureKind, FailureTime, InjectorKind, RouterKind, Strategy, TcprFate, TopologyKind,
};
use crate::units::Span;

/// A value and the place it was written at.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) place: Location,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned {
            value, referenced, ..
        } = Spanned::deserialize(deserializer)?;
        Ok(Self {
            value,
            place: referenced,
        })
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A flaplab scenario: a topology of BGP routers, what fails in it, and how often.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "flaplab scenario", rename = "Scenario")]
pub(crate) struct Authored {
    /// Version of this format.
    #[schemars(range(min = 1, max = 1), extend("default" = 1))]
    pub(crate) schema: Option<At<u32>>,
    /// Name of the scenario, part of file names: letters, digits, `.`, `_` and `-`, at most 64.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"))]
    pub(crate) name: At<String>,
    /// What the scenario is for, in the author's words.
    pub(crate) description: Option<String>,
    /// The graph of the routers.
    pub(crate) topology: At<AuthoredTopology>,
    /// Settings of every router, the same in all arms.
    pub(crate) router: Option<AuthoredRouter>,
    /// The BGP speaker that announces the destination and is made to fail.
    pub(crate) injector: Option<AuthoredInjector>,
    /// The IPv4 prefix that the injector announces and whose reachability is measured.
    #[schemars(with = "Option<String>", extend("format" = "ipv4-prefix", "default" = "198.51.100.0/24"))]
    pub(crate) destination: Option<At<String>>,
    /// What fails.
    pub(crate) failure: AuthoredFailure,
    /// The arms to compare.
    #[schemars(length(min = 1), extend("uniqueItems" = true, "default" = ["none", "graceful-restart"]))]
    pub(crate) strategies: Option<At<Vec<At<Strategy>>>>,
    /// Number of runs per arm.
    #[schemars(range(min = 1, max = 9999), extend("default" = 10))]
    pub(crate) runs: Option<At<i64>>,
    /// What all chance is drawn from.
    #[schemars(extend("default" = 1))]
    pub(crate) seed: Option<At<u64>>,
    /// Keys of this file, such as `router.mrai`, and lists of values that they take in turn: every combination is a cell, and every cell is run in each arm.
    #[expect(dead_code, reason = "cells are composed before the scenario is read")]
    pub(crate) matrix: Option<AuthoredMatrix>,
    /// How long the phases of a run may take before that becomes a finding.
    pub(crate) deadlines: Option<AuthoredDeadlines>,
    /// Whether every router sends a numbered UDP packet to the destination every 10 ms, to set the disconnection that packets see beside the one that the routing tables tell.
    #[schemars(extend("default" = false))]
    pub(crate) data_plane_probe: Option<At<bool>>,
    /// Whether every run has a lab of its own. With `false` one lab carries the runs of a cell and arm, one after the other: failure `control` only.
    #[schemars(extend("default" = true))]
    pub(crate) fresh: Option<At<bool>>,
}

/// The graph of the routers, named `r1`, `r2`, ...
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Topology")]
pub(crate) struct AuthoredTopology {
    /// The graph that the topology is generated from.
    pub(crate) kind: At<TopologyKind>,
    /// Number of routers, without the injector. Optional with `edges`.
    #[schemars(range(min = 2, max = 500))]
    pub(crate) size: Option<At<i64>>,
    /// Kind `edges` only: the pairs of routers that peer, such as `[r1, r2]`.
    pub(crate) edges: Option<At<Vec<At<Edge>>>>,
    /// Whether each run draws its router ids and address order from its seed.
    #[schemars(extend("default" = false))]
    pub(crate) shuffle: Option<bool>,
}

/// Two routers that peer.
pub(crate) type Edge = (At<String>, At<String>);

/// Settings of every router.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Router")]
pub(crate) struct AuthoredRouter {
    /// The implementation.
    #[schemars(extend("default" = "frr"))]
    pub(crate) kind: Option<At<RouterKind>>,
    /// Folder of the daemons, an absolute path: required with `quagga`; with `frr` where distributions keep them unless given.
    pub(crate) path: Option<At<String>>,
    /// Minimum Route Advertisement Interval (RFC 4271, section 9.2.1.1); FRR: whole seconds, at most 600.
    #[schemars(extend("default" = "5s"))]
    pub(crate) mrai: Option<At<Span>>,
    /// ConnectRetryTime (RFC 4271, section 10).
    #[schemars(extend("default" = "1s"))]
    pub(crate) connect_retry: Option<At<Span>>,
    /// KeepaliveTime (RFC 4271, section 10), at most a third of the hold time.
    #[schemars(extend("default" = "60s"))]
    pub(crate) keepalive: Option<At<Span>>,
    /// HoldTime (RFC 4271, section 10), at least 3 s.
    #[schemars(extend("default" = "180s"))]
    pub(crate) hold_time: Option<At<Span>>,
    /// How long the routes of a restarting peer are kept once its session is back (RFC 4724, section 4.2).
    #[schemars(extend("default" = "360s"))]
    pub(crate) stale_path_time: Option<At<Span>>,
    /// Further configuration lines in the router's own language, by router name.
    pub(crate) extra_config: Option<ExtraConfig>,
}

/// The injector.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Injector")]
pub(crate) struct AuthoredInjector {
    /// The implementation.
    #[schemars(extend("default" = "flaplab"))]
    pub(crate) kind: Option<At<InjectorKind>>,
    /// The router that hears the destination with the short AS path.
    #[schemars(extend("default" = "r1"))]
    pub(crate) primary: Option<At<String>>,
    /// The router that hears the destination with an AS path longer than any through the primary. In a b-clique `r2` unless given; elsewhere none.
    pub(crate) backup: Option<At<String>>,
    /// Restart Time that the injector advertises under Graceful Restart (RFC 4724, section 3).
    #[schemars(extend("default" = "120s"))]
    pub(crate) restart_time: Option<At<Span>>,
    /// Further prefixes announced on the primary session, to make a table transfer last.
    pub(crate) filler: Option<At<AuthoredFiller>>,
}

/// Routes that stretch a table transfer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Filler")]
pub(crate) struct AuthoredFiller {
    /// Number of prefixes.
    #[schemars(range(min = 1, max = 65536))]
    pub(crate) count: At<i64>,
    /// Prefixes announced per second after a restart; ExaBGP: at most 2000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) rate: At<i64>,
}

/// What fails.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Failure")]
pub(crate) struct AuthoredFailure {
    /// What fails.
    pub(crate) kind: At<FailureKind>,
    /// Kind `forwarding` only: time until the injector notices and withdraws the destination.
    #[schemars(extend("default" = "0s"))]
    pub(crate) detect_delay: Option<At<Span>>,
    /// When it comes.
    #[schemars(extend("default" = "settled"))]
    pub(crate) when: Option<At<FailureTime>>,
    /// Kinds `control` and `correlated`: from the kill to the injector's new start.
    #[schemars(extend("default" = "0s"))]
    pub(crate) restart_delay: Option<At<Span>>,
    /// Kinds `control` and `correlated`: how often the injector is killed.
    pub(crate) repeat: Option<At<AuthoredRepeat>>,
    /// Kinds `control` and `correlated`: whether TCPR is killed with the injector in the arm `tcpr`.
    #[schemars(extend("default" = "survives"))]
    pub(crate) tcpr: Option<At<TcprFate>>,
    /// Kind `mrai-probe` only: how often the MRAI is measured.
    #[schemars(range(min = 1, max = 100), extend("default" = 5))]
    pub(crate) rounds: Option<At<i64>>,
}

/// How often the injector is killed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Repeat")]
pub(crate) struct AuthoredRepeat {
    /// Number of kills in all.
    #[schemars(range(min = 2, max = 100))]
    pub(crate) kills: At<i64>,
    /// From one kill to the next; longer than `restart_delay`.
    pub(crate) interval: At<Span>,
}

/// How long the phases of a run may take.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Deadlines")]
pub(crate) struct AuthoredDeadlines {
    /// From the start of the daemons until all sessions are Established.
    #[schemars(extend("default" = "60s"))]
    pub(crate) established: Option<At<Span>>,
    /// From Established to settled.
    #[schemars(extend("default" = "180s"))]
    pub(crate) settled: Option<At<Span>>,
    /// From the failure to the new quiet.
    #[schemars(extend("default" = "600s"))]
    pub(crate) quiet: Option<At<Span>>,
}

/// A mapping from router names to lines, in the author's order, with the place of each name.
#[derive(Debug)]
pub(crate) struct ExtraConfig(pub(crate) Vec<(At<String>, Vec<At<String>>)>);

impl<'de> Deserialize<'de> for ExtraConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = ExtraConfig;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping from router names to lists of lines")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(ExtraConfig(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl JsonSchema for ExtraConfig {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "ExtraConfig".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "object",
            "patternProperties": {
                "^r[1-9][0-9]*$": { "type": "array", "items": { "type": "string" } }
            },
            "additionalProperties": false
        })
    }
}

/// The matrix, which `matrix.rs` reads: in the shape of the scenario it is a key that may be there.
#[derive(Debug, Deserialize)]
pub(crate) struct AuthoredMatrix(IgnoredAny);

impl JsonSchema for AuthoredMatrix {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Matrix".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "object",
            "minProperties": 1,
            "patternProperties": {
                "^(topology|router|injector|failure|deadlines)[.][A-Za-z0-9_.]+$|^(topology|router|injector|failure|deadlines|destination|data_plane_probe|fresh)$":
                    { "type": "array", "minItems": 1, "uniqueItems": true }
            },
            "additionalProperties": false
        })
    }
}

/// The version alone, to say the one thing that matters about a file of a later one.
#[derive(Debug, Deserialize)]
pub(crate) struct VersionOnly {
    pub(crate) schema: Option<At<i64>>,
}
