//! What a session is made of: what the configuration says, and what both OPENs make of it.
//!
//! *Assumes* a configuration that was checked. *Guarantees* that [`Negotiated`] survives a process
//! as JSON.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::speaker::config::{Config, GracefulRestart, PeerConfig};
use crate::speaker::message::Open;

/// What both sides say of themselves, of which a session is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Our AS number.
    pub asn: u32,
    /// Our BGP Identifier.
    pub router_id: Ipv4Addr,
    /// The peer's AS number.
    pub peer_asn: u32,
    /// HoldTime that we propose, seconds.
    pub hold_time_s: u16,
    /// ConnectRetryTime, milliseconds.
    pub connect_retry_ms: u32,
    /// From the start to the first attempt to connect, milliseconds.
    pub connect_delay_ms: u32,
    /// Whether the peer connects.
    pub passive: bool,
    /// Graceful Restart that we offer.
    pub graceful_restart: Option<GracefulRestart>,
}

impl Settings {
    /// Those of one peer.
    #[must_use]
    pub fn new(config: &Config, peer: &PeerConfig) -> Self {
        Settings {
            asn: config.asn,
            router_id: config.router_id,
            peer_asn: peer.asn,
            hold_time_s: peer.hold_time_s,
            connect_retry_ms: peer.connect_retry_ms,
            connect_delay_ms: peer.connect_delay_ms,
            passive: peer.passive,
            graceful_restart: peer.graceful_restart,
        }
    }

    pub(super) fn open(&self) -> Open {
        Open {
            asn: self.asn,
            hold_time_s: self.hold_time_s,
            router_id: self.router_id,
            four_octet_as: true,
            ipv4_unicast: true,
            graceful_restart: self.graceful_restart,
        }
    }

    pub(super) fn connect_delay(&self) -> Duration {
        Duration::from_millis(self.connect_delay_ms.into())
    }

    pub(super) fn connect_retry(&self) -> Duration {
        Duration::from_millis(self.connect_retry_ms.into())
    }
}

/// What both OPENs make of a session: everything of them that is needed later on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Negotiated {
    /// The peer's AS number.
    pub peer_asn: u32,
    /// The peer's BGP Identifier.
    pub peer_router_id: Ipv4Addr,
    /// HoldTime, seconds: the smaller of the two (RFC 4271, section 4.2); 0: none.
    pub hold_time_s: u16,
    /// KeepaliveTime, seconds: a third of it (RFC 4271, section 10).
    pub keepalive_s: u16,
    /// Whether AS numbers have four octets (RFC 6793).
    pub four_octet_as: bool,
    /// Graceful Restart as the peer offers it.
    pub peer_graceful_restart: Option<GracefulRestart>,
}
