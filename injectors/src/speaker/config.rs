//! The configuration of the speaker: a YAML file (JSON is YAML too).
//!
//! *Assumes* serde-saphyr as the reader. *Guarantees* that what passes [`Config::parse`] can be run,
//! but for files that it names: a refusal has its place and says what would be right.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::source;
use crate::Route;

/// The well-known port of BGP (RFC 4271, section 8.2.1).
pub const PORT: u16 = 179;

/// What a speaker is, whom it speaks to, and what it tells them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// AS number, two or four octets (RFC 6793).
    pub asn: u32,
    /// BGP Identifier (RFC 4271, section 4.2).
    pub router_id: Ipv4Addr,
    /// UNIX stream socket on which commands are taken; none if there is no such key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<PathBuf>,
    /// How its connections are recovered; they are not, if there is no such key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcpr: Option<TcprConfig>,
    /// The peers.
    pub peers: Vec<PeerConfig>,
}

/// How connections are recovered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcprConfig {
    /// Socket of `tcpr serve`.
    pub socket: PathBuf,
    /// Folder of the checkpoints, one file for each peer. It is made if it is not there.
    pub state: PathBuf,
    /// Whether a checkpoint reaches the disk before anything hangs on it (fsync): it then survives
    /// the death of the machine, and not only of the process.
    #[serde(default)]
    pub fsync: bool,
}

/// One peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerConfig {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its port; if it connects, ours.
    #[serde(default = "default_port")]
    pub port: u16,
    /// Our address on the session; the kernel's choice if there is no such key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_address: Option<Ipv4Addr>,
    /// Its AS number.
    pub asn: u32,
    /// Whether we wait for it to connect (RFC 4271, section 8.1.1, PassiveTcpEstablishment); else
    /// we connect, and it cannot.
    #[serde(default)]
    pub passive: bool,
    /// HoldTime that we propose, seconds: 0 (none) or at least 3.
    #[serde(default = "default_hold_time")]
    pub hold_time_s: u16,
    /// ConnectRetryTime, milliseconds, at least 1.
    #[serde(default = "default_connect_retry")]
    pub connect_retry_ms: u32,
    /// From the start of the process to the first attempt to connect for a new session,
    /// milliseconds. A session that is recovered does not wait.
    #[serde(default)]
    pub connect_delay_ms: u32,
    /// Graceful Restart (RFC 4724); not advertised if there is no such key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graceful_restart: Option<GracefulRestart>,
    /// What it is told once its session is Established, in this order, and End-of-RIB after it.
    #[serde(default)]
    pub announce: Vec<Source>,
}

/// The Graceful Restart capability (RFC 4724, section 3; N: RFC 8538).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GracefulRestart {
    /// Restart Time, seconds, at most 4095.
    pub restart_time_s: u16,
    /// R: the speaker has restarted.
    #[serde(default)]
    pub restarted: bool,
    /// F for IPv4 unicast: forwarding was preserved.
    #[serde(default)]
    pub forwarding: bool,
    /// N: a NOTIFICATION keeps the routes too.
    #[serde(default)]
    pub notification: bool,
}

/// Routes to announce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// These.
    Routes(Vec<Route>),
    /// Not routes: withdrawals, sent whether or not the peer was told of the prefix before.
    Withdraw(Vec<Ipv4Net>),
    /// Consecutive prefixes of one length.
    Filler {
        /// The first.
        first: Ipv4Net,
        /// How many.
        count: u32,
        /// How many per second; as fast as the peer takes them if there is no such key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rate_per_s: Option<u32>,
    },
    /// The IPv4 unicast routes of an MRT file (RFC 6396): of several to a prefix the first, its AS
    /// path after our own number.
    Mrt {
        /// The file; compressed ones too (.gz, .bz2).
        path: PathBuf,
    },
}

fn default_port() -> u16 {
    PORT
}

fn default_hold_time() -> u16 {
    180
}

fn default_connect_retry() -> u32 {
    1_000
}

/// Why a configuration cannot be run.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}")]
    Read {
        /// Where it is.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It is no YAML, or its keys are others.
    #[error("{0}")]
    Syntax(String),
    /// It asks for what cannot be.
    #[error("{key}: {problem}")]
    Invalid {
        /// The key, with the peer that it is of.
        key: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

impl Config {
    /// Reads and checks the configuration in a file.
    ///
    /// # Errors
    /// If it cannot be read or cannot be run.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Config::parse(&text)
    }

    /// Reads and checks a configuration. Files that it names are not looked at.
    ///
    /// # Errors
    /// What is wrong with it first.
    pub fn parse(text: &str) -> Result<Config, ConfigError> {
        // A generated configuration may list a whole table as JSON, which is read much faster as
        // such. Whatever is wrong is told by the reader of YAML, with its place.
        let config: Config = match serde_json::from_str(text) {
            Ok(config) => config,
            Err(_) => {
                serde_saphyr::from_str(text).map_err(|e| ConfigError::Syntax(e.to_string()))?
            }
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_asn("asn", self.asn)?;
        if self.router_id.is_unspecified() {
            return invalid("router_id", "0.0.0.0 is no BGP Identifier (RFC 6286)");
        }
        if self.peers.is_empty() {
            return invalid("peers", "there is none: nobody is told anything");
        }
        let mut addresses = BTreeSet::new();
        for peer in &self.peers {
            if !addresses.insert(peer.address) {
                let problem = "it is there twice; one session is made with each peer";
                return invalid(format!("peer {}", peer.address), problem);
            }
            peer.check(self)?;
        }
        Ok(())
    }
}

impl PeerConfig {
    fn check(&self, config: &Config) -> Result<(), ConfigError> {
        let key = |name: &str| format!("peer {}, {name}", self.address);
        if self.address.is_unspecified() || self.address.is_multicast() {
            return invalid(key("address"), "it is no address of a host");
        }
        if self.local_address.is_some_and(|a| a.is_unspecified()) {
            let problem = "0.0.0.0 is no address to be seen; leave it out for the kernel's choice";
            return invalid(key("local_address"), problem);
        }
        check_asn(&key("asn"), self.asn)?;
        if self.asn == config.asn {
            // RFC 4271, section 5.1.5: LOCAL_PREF, and an AS path without our own number.
            let problem = "it is our own number, and internal sessions are not spoken";
            return invalid(key("asn"), problem);
        }
        if self.port == 0 {
            return invalid(key("port"), "it is 1 to 65535; that of BGP is 179");
        }
        // RFC 4271, section 4.2.
        if matches!(self.hold_time_s, 1 | 2) {
            return invalid(key("hold_time_s"), "it is 0 (none) or at least 3 s");
        }
        if self.connect_retry_ms == 0 {
            return invalid(key("connect_retry_ms"), "it is at least 1 ms");
        }
        // RFC 4724, section 3: twelve bits.
        if self
            .graceful_restart
            .is_some_and(|g| g.restart_time_s > 4095)
        {
            let problem = "restart_time_s is at most 4095 s";
            return invalid(key("graceful_restart"), problem);
        }
        source::check(&self.announce, config.asn)
            .or_else(|e| invalid(key("announce"), e.to_string()))
    }
}

fn check_asn(key: &str, asn: u32) -> Result<(), ConfigError> {
    match asn {
        0 => invalid(key, "the AS number 0 is reserved (RFC 7607)"),
        23456 => invalid(key, "23456 is AS_TRANS, nobody's number (RFC 6793)"),
        _ => Ok(()),
    }
}

fn invalid<T>(key: impl Into<String>, problem: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::Invalid {
        key: key.into(),
        problem: problem.into(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const LEAST: &str =
        "asn: 65001\nrouter_id: 192.0.2.1\npeers:\n- address: 192.0.2.2\n  asn: 65002\n";

    #[test]
    fn what_is_left_out_has_its_default() {
        let config = Config::parse(LEAST).unwrap();
        let peer = &config.peers[0];
        assert_eq!(
            (peer.port, peer.hold_time_s, peer.connect_retry_ms),
            (179, 180, 1_000)
        );
        assert!(!peer.passive && peer.announce.is_empty() && config.tcpr.is_none());
    }

    #[test]
    fn what_is_written_is_read_again_as_json_and_as_yaml() {
        let text = LEAST.to_owned()
            + "  passive: true\n  graceful_restart: {restart_time_s: 120, forwarding: true}\n  \
               announce:\n  - withdraw: [192.0.2.0/24]\n  - routes: [{prefix: 198.51.100.0/24, med: 5}]\n  \
               - filler: {first: 10.0.0.0/24, count: 100, rate_per_s: 10}\n\
               tcpr: {socket: /run/tcpr.sock, state: /run/state}\n";
        let config = Config::parse(&text).unwrap();
        assert_eq!(config.peers[0].announce.len(), 3);
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(Config::parse(&json).unwrap(), config);
        let saphyr: Config = serde_saphyr::from_str(&json).unwrap();
        assert_eq!(saphyr, config);
    }

    #[test]
    fn an_unknown_key_is_told_with_its_place_and_those_that_exist() {
        let text = LEAST.replace("  asn:", "  as:");
        let told = Config::parse(&text).unwrap_err().to_string();
        for part in ["`as`", "line 5", "hold_time_s"] {
            assert!(told.contains(part), "{part} is not in: {told}");
        }
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_its_key() {
        let peer = "peer 192.0.2.2, ";
        let more = |line: &str| format!("{LEAST}  {line}\n");
        let cases = [
            (LEAST.replace("65001", "0"), "asn: ".to_owned()),
            (LEAST.replace("65002", "23456"), format!("{peer}asn: ")),
            (LEAST.replace("65002", "65001"), format!("{peer}asn: ")),
            (LEAST.replace("192.0.2.1", "0.0.0.0"), "router_id: ".into()),
            (
                "asn: 65001\nrouter_id: 192.0.2.1\npeers: []\n".into(),
                "peers: ".into(),
            ),
            (more("hold_time_s: 2"), format!("{peer}hold_time_s: ")),
            (
                more("connect_retry_ms: 0"),
                format!("{peer}connect_retry_ms: "),
            ),
            (more("port: 0"), format!("{peer}port: ")),
            (
                more("local_address: 0.0.0.0"),
                format!("{peer}local_address: "),
            ),
            (
                more("graceful_restart: {restart_time_s: 4096}"),
                format!("{peer}graceful_restart: "),
            ),
            (
                more("announce: [{routes: [{prefix: 198.51.100.0/24, as_path: [65009]}]}]"),
                format!("{peer}announce: "),
            ),
            (
                format!("{LEAST}- {{address: 192.0.2.2, asn: 65003}}\n"),
                "peer 192.0.2.2: ".into(),
            ),
        ];
        for (text, place) in cases {
            let told = Config::parse(&text).unwrap_err().to_string();
            assert!(
                told.starts_with(&place),
                "{place:?} is not where {told:?} begins"
            );
        }
    }
}
