//! The key that both ends share.
//!
//! *Assumes* that its octets are random: it is used as it is, not stretched as a password is.
//! *Guarantees* that a key which is short, or which others may read, is refused.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Seal;

/// A pre-shared key.
#[derive(Clone)]
pub struct Key(Seal);

/// Why a key was refused.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("cannot read the key {path}")]
    Read {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read it.
    #[error(
        "the key {path} may be read by others than its owner (mode {mode:03o}): chmod 600 {path}"
    )]
    Exposed {
        /// Where it is.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is not a file of a sensible length.
    #[error("the key {path} is no file of {least} to {most} octets: head -c {least} /dev/urandom > {path}", least = Key::LEAST, most = Key::MOST)]
    Length {
        /// Where it is.
        path: PathBuf,
    },
    /// Too short.
    #[error("a key has {least} octets or more, and this one has {given}", least = Key::LEAST)]
    Short {
        /// Its length.
        given: usize,
    },
}

impl Key {
    /// Shortest key, in octets.
    pub const LEAST: usize = 32;
    const MOST: usize = 4096;

    /// A key of these octets.
    ///
    /// # Errors
    ///
    /// If there are fewer than [`Key::LEAST`].
    pub fn new(octets: &[u8]) -> Result<Key, KeyError> {
        if octets.len() < Key::LEAST {
            return Err(KeyError::Short {
                given: octets.len(),
            });
        }
        Ok(Key(Seal::new(octets)))
    }

    /// The octets of a file, all of them.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is too short or too long, or others than its owner may read it.
    pub fn load(path: &Path) -> Result<Key, KeyError> {
        let read = |source| KeyError::Read {
            path: path.into(),
            source,
        };
        let file = File::open(path).map_err(read)?;
        let metadata = file.metadata().map_err(read)?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Exposed {
                path: path.into(),
                mode,
            });
        }
        if !metadata.is_file() {
            return Err(KeyError::Length { path: path.into() });
        }
        let mut octets = Vec::new();
        file.take(Key::MOST as u64 + 1)
            .read_to_end(&mut octets)
            .map_err(read)?;
        if octets.len() > Key::MOST || octets.len() < Key::LEAST {
            return Err(KeyError::Length { path: path.into() });
        }
        Key::new(&octets)
    }

    pub(super) fn seal(&self) -> &Seal {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_key_that_is_short_or_exposed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(matches!(Key::load(&path), Err(KeyError::Read { .. })));
        std::fs::write(&path, [7; 32]).unwrap();
        let mode =
            |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o640);
        assert!(matches!(
            Key::load(&path),
            Err(KeyError::Exposed { mode: 0o640, .. })
        ));
        mode(0o600);
        assert!(Key::load(&path).is_ok());
        for length in [31, 4097] {
            std::fs::write(&path, vec![7; length]).unwrap();
            assert!(
                matches!(Key::load(&path), Err(KeyError::Length { .. })),
                "{length}"
            );
        }
        assert!(matches!(
            Key::new(&[0; 31]),
            Err(KeyError::Short { given: 31 })
        ));
    }
}
