//! Where TCPR is reached.
//!
//! *Assumes* nothing.
//! *Guarantees* that an endpoint which cannot be one is told when it is read, not when it is used.

use std::fmt;
use std::net::{AddrParseError, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use crate::protocol::udp::{Key, KeyError};

/// Where `tcpr serve` listens.
#[derive(Debug, Clone)]
pub enum Endpoint {
    /// On this host: a Unix socket.
    Unix(PathBuf),
    /// On another host: UDP, sealed with a key that both have.
    Udp {
        /// Address and port.
        address: SocketAddr,
        /// The key.
        key: Key,
        /// The file that the key came from, to be shown.
        file: PathBuf,
    },
}

/// Why a text names no endpoint.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Nothing is there.
    #[error("an endpoint is the path of a Unix socket, or udp:ADDRESS:PORT?key=FILE")]
    Empty,
    /// No key is named.
    #[error("UDP needs a key that both ends have: udp:{address}?key=FILE")]
    NoKey {
        /// What was named.
        address: String,
    },
    /// Not an address and a port.
    #[error("{text:?} is no address and port")]
    Address {
        /// What was named.
        text: String,
        /// Why.
        source: AddrParseError,
    },
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Endpoint {
    /// What $TCPR_SOCKET names; else /run/tcpr.sock as root, and $XDG_RUNTIME_DIR/tcpr.sock as
    /// anyone else.
    ///
    /// # Errors
    ///
    /// If $TCPR_SOCKET names no endpoint.
    pub fn from_environment() -> Result<Endpoint, EndpointError> {
        match std::env::var("TCPR_SOCKET") {
            Ok(text) if !text.is_empty() => text.parse(),
            _ => Ok(Endpoint::default()),
        }
    }

    pub(crate) fn is_datagram(&self) -> bool {
        matches!(self, Endpoint::Udp { .. })
    }
}

/// Without regard to $TCPR_SOCKET.
impl Default for Endpoint {
    fn default() -> Endpoint {
        let folder = match std::env::var_os("XDG_RUNTIME_DIR") {
            Some(folder) if !nix::unistd::geteuid().is_root() && !folder.is_empty() => {
                PathBuf::from(folder)
            }
            _ => PathBuf::from("/run"),
        };
        Endpoint::Unix(folder.join("tcpr.sock"))
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Endpoint, EndpointError> {
        let Some(rest) = text.strip_prefix("udp:") else {
            let path = text.strip_prefix("unix:").unwrap_or(text);
            return if path.is_empty() {
                Err(EndpointError::Empty)
            } else {
                Ok(Endpoint::Unix(path.into()))
            };
        };
        let (address, key) = rest.split_once("?key=").unwrap_or((rest, ""));
        if key.is_empty() {
            return Err(EndpointError::NoKey {
                address: address.into(),
            });
        }
        let address = address.parse().map_err(|source| EndpointError::Address {
            text: address.into(),
            source,
        })?;
        let file = PathBuf::from(key);
        Ok(Endpoint::Udp {
            address,
            key: Key::load(&file)?,
            file,
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "{}", path.display()),
            Endpoint::Udp { address, file, .. } => {
                write!(f, "udp:{address}?key={}", file.display())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_shown_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        std::fs::write(&key, [7; 32]).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        for text in [
            "/run/tcpr.sock".into(),
            format!("udp:[2001:db8::1]:7179?key={}", key.display()),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.to_string(), text);
        }
        assert!(
            matches!("unix:here".parse().unwrap(), Endpoint::Unix(path) if path.as_os_str() == "here")
        );
    }

    #[test]
    fn what_is_no_endpoint_is_told() {
        let refused = |text: &str| text.parse::<Endpoint>().unwrap_err();
        assert!(matches!(refused(""), EndpointError::Empty));
        assert!(matches!(
            refused("udp:192.0.2.1:7179"),
            EndpointError::NoKey { .. }
        ));
        assert!(matches!(
            refused("udp:192.0.2.1?key=/dev/null"),
            EndpointError::Address { .. }
        ));
        assert!(matches!(
            refused("udp:192.0.2.1:7179?key=/nowhere"),
            EndpointError::Key(_)
        ));
    }
}
