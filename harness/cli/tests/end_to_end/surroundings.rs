//! A machine that lacks something: flaplab's surroundings, changed for it alone.
//!
//! *Assumes* unshare(1) and nsenter(1). *Guarantees* that what is changed is seen in one user and
//! mount namespace only, which goes with its owner.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Private user, mount and network namespaces, held open by a process that does nothing.
pub(crate) struct Surroundings {
    holder: Child,
}

impl Surroundings {
    /// Makes them and changes them by a shell script.
    pub(crate) fn changed_by(script: &str) -> Surroundings {
        let script = format!("set -e; {script}; echo changed; exec cat");
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "--net"])
            .args(["sh", "-c", &script])
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare(1) runs; install the package util-linux");
        let mut line = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(
            line, "changed\n",
            "`{script}` fails in a user namespace (`flaplab doctor` says whether they are allowed)"
        );
        Surroundings { holder }
    }

    /// The same command, there. It keeps its process number.
    pub(crate) fn command(&self, inside: &Command) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", self.holder.id()))
            .args(["--user", "--mount", "--net", "--preserve-credentials", "--"])
            .arg(inside.get_program())
            .args(inside.get_args());
        command
    }

    /// Where a path there is found from here.
    pub(crate) fn path(&self, inside: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(inside.strip_prefix("/").unwrap())
    }
}

impl Drop for Surroundings {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
