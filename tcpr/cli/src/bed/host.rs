//! A host: one network namespace.
//!
//! *Assumes* to be inside an [`Entrance`](super::Entrance), where /run/netns is private.
//! *Guarantees* that no thread but a short-lived one of this module's own is ever in the
//! namespace, also when the work done there panics; sockets stay in it wherever they go.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

/// A host of the bed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Host {
    name: String,
    path: PathBuf,
    namespace: Arc<File>,
    pub(super) v4: Ipv4Addr,
    pub(super) v6: Ipv6Addr,
}

impl Host {
    /// Makes a host; `ip netns exec NAME` finds it too.
    pub(super) fn make(name: &str, v4: Ipv4Addr, v6: Ipv6Addr) -> io::Result<Self> {
        let path = Path::new("/run/netns").join(name);
        File::create_new(&path)?;
        let namespace = thread::scope(|scope| {
            let made = scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET)?;
                let own = "/proc/thread-self/ns/net";
                let none: Option<&str> = None;
                mount(Some(own), &path, none, MsFlags::MS_BIND, none)?;
                File::open(own)
            });
            made.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        Ok(Host {
            name: name.to_owned(),
            path,
            namespace: Arc::new(namespace),
            v4,
            v6,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for its network namespace, as in `tcpr serve --netns PATH`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its IPv4 address.
    #[must_use]
    pub fn v4(&self) -> IpAddr {
        self.v4.into()
    }

    /// Its IPv6 address.
    #[must_use]
    pub fn v6(&self) -> IpAddr {
        self.v6.into()
    }

    /// Does something inside, on a thread of its own, and waits for it.
    ///
    /// # Panics
    /// If `work` does, or if the namespace cannot be entered, which takes a process without rights
    /// over the bed.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                self.join();
                work()
            });
            worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Does something inside, on a thread of its own.
    ///
    /// # Panics
    /// The thread does if the namespace cannot be entered.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let host = self.clone();
        thread::spawn(move || {
            host.join();
            work()
        })
    }

    fn join(&self) {
        if let Err(errno) = setns(self.namespace.as_fd(), CloneFlags::CLONE_NEWNET) {
            panic!(
                "cannot enter the network namespace of {}: {errno}",
                self.name
            );
        }
    }

    /// A program that will run on this host.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let namespace = Arc::clone(&self.namespace);
        let mut command = Command::new(program);
        // Where tc, ip and nft are is not on an ordinary user's path.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
        // SAFETY: one system call on a descriptor that the closure keeps open.
        unsafe {
            command.pre_exec(move || Ok(setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET)?));
        }
        command
    }

    /// Sets a sysctl of its network, such as `net.ipv4.tcp_sack`.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn sysctl(&self, key: &str, value: &str) -> io::Result<()> {
        let path = format!("/proc/sys/{}", key.replace('.', "/"));
        self.run(|| std::fs::write(&path, value))
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {key}={value}: {e}", self.name)))
    }
}

/// A program that is killed, and waited for, when this is dropped.
#[derive(Debug)]
pub struct Throwaway(pub Child);

impl Throwaway {
    /// Kills it and waits for its end.
    pub fn end(&mut self) {
        // Both fail only if it has been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        self.end();
    }
}
