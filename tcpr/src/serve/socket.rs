//! The Unix socket that applications find TCPR at.
//!
//! *Assumes* that whoever may open the file may govern the protected connections, and that nothing
//! else removes it.
//! *Guarantees* that there is one server at a path: a living one is left alone, what a dead one
//! left is replaced, and no other kind of file is ever touched.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::sys::socket::{getsockopt, sockopt};
use nix::sys::stat::{Mode, umask};

use super::ServeError;

/// A listening socket, whose file goes when it goes.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) listener: UnixListener,
    path: PathBuf,
    /// Device and number of the file, so that nobody else's is removed.
    file: Option<(u64, u64)>,
}

impl Socket {
    /// Listens at a path. The owner and the group may open it.
    pub(crate) fn bind(path: &Path) -> Result<Socket, ServeError> {
        let failed = |source| ServeError::Socket {
            path: path.to_path_buf(),
            source,
        };
        let listener = match listen(path) {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
                if let Some(pid) = living(path).map_err(failed)? {
                    return Err(ServeError::InUse {
                        path: path.to_path_buf(),
                        pid,
                    });
                }
                std::fs::remove_file(path).map_err(failed)?;
                listen(path).map_err(failed)?
            }
            other => other.map_err(failed)?,
        };
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Socket {
            listener,
            path: path.to_path_buf(),
            file: identity(path),
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.file.is_some() && identity(&self.path) == self.file {
            // It may have gone meanwhile, and nothing depends on it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    // The file must never be there with more rights than it keeps.
    let before = umask(Mode::from_bits_truncate(0o117));
    let listener = UnixListener::bind(path);
    umask(before);
    listener
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let data = std::fs::symlink_metadata(path).ok()?;
    Some((data.dev(), data.ino()))
}

/// The process that listens at a path, if one does; 0 if it is in another PID namespace.
///
/// # Errors
/// There is a file that is no socket, or that may not be opened.
pub(crate) fn living(path: &Path) -> io::Result<Option<i32>> {
    match std::fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
        Ok(data) if !data.file_type().is_socket() => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is a file of that name, and it is no socket",
            ));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        // The credentials are those of the process that called listen (unix(7)).
        Ok(stream) => Ok(Some(
            getsockopt(&stream, sockopt::PeerCredentials).map_or(0, |peer| peer.pid()),
        )),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_dead_servers_socket_is_replaced_and_a_living_ones_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tcpr.sock");
        // A dead predecessor: its file is there, and nobody listens.
        drop(UnixListener::bind(&path).unwrap());
        let socket = Socket::bind(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        match Socket::bind(&path) {
            Err(ServeError::InUse { pid, .. }) => {
                assert_eq!(pid, i32::try_from(std::process::id()).unwrap());
            }
            other => panic!("{other:?}"),
        }
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_no_socket_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("precious");
        std::fs::write(&path, "data").unwrap();
        let error = Socket::bind(&path).unwrap_err().to_string();
        assert!(error.contains("no socket"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"data");
    }

    #[test]
    fn anothers_socket_at_the_same_path_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tcpr.sock");
        let socket = Socket::bind(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        drop(socket);
        assert!(path.exists());
    }
}
