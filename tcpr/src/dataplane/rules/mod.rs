//! The rules that send packets to the queues.
//!
//! *Assumes* that the programs of iptables(8) work, be it on nf_tables or on the legacy tables,
//! and that nobody else writes to chains whose names begin with `TCPR-`.
//! *Guarantees* that a family's rules change in one step; that rules of others are left as they
//! are; that nothing is done to a family of which nothing is protected; and that a packet that
//! meets a rule and finds nobody at the queue is dropped.

mod text;

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Output, Stdio};
use std::thread;

use nix::sched::{CloneFlags, setns};
use tcpr_core::Pattern;
use tracing::{debug, warn};

pub(super) use text::Layout;
use text::{Family, Present, mangle, raw, removal};

/// Rules could not be read or put in place.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A program is not there.
    #[error("{program} is not there: install the package iptables")]
    Missing {
        /// Its name.
        program: &'static str,
    },
    /// A program could not be run.
    #[error("cannot run {program}")]
    Run {
        /// Its name.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// No right to touch the rules.
    #[error(
        "no privilege to change packet filter rules: run as root or with CAP_NET_ADMIN, or in a \
         user namespace with a network namespace of its own (unshare -Urn)"
    )]
    Privilege,
    /// The kernel or the program did not take the rules.
    #[error(
        "{program} refuses TCPR's rules; do the kernel and iptables have the table mangle, the \
         target NFQUEUE and the matches tcp, icmp and mark? It says: {said}"
    )]
    Refused {
        /// Its name.
        program: &'static str,
        /// Its standard error.
        said: String,
    },
    /// The namespace that rules belong to could not be entered.
    #[error("cannot enter the network namespace of the rules")]
    Namespace {
        /// Why.
        source: io::Error,
    },
}

/// The rules of one network namespace.
#[derive(Debug)]
pub(super) struct Rules {
    namespace: File,
    layout: Layout,
    /// Whether it was said that packets are left to conntrack.
    said_tracked: bool,
    /// Whether it was said that the segment size of a handshake is not bounded.
    said_unbounded: bool,
}

impl Rules {
    /// The rules of the calling thread's network namespace, and what a predecessor's protect.
    pub(super) fn open(layout: Layout) -> Result<(Rules, Option<Vec<Pattern>>), RulesError> {
        let namespace = File::open("/proc/thread-self/ns/net")
            .map_err(|source| RulesError::Namespace { source })?;
        let rules = Rules {
            namespace,
            layout,
            said_tracked: false,
            said_unbounded: false,
        };
        let mut found: Option<Vec<Pattern>> = None;
        for family in [Family::V4, Family::V6] {
            let present = rules.left_behind(family)?;
            if present.is_any() {
                found.get_or_insert_default().extend(present.patterns);
            }
        }
        Ok((rules, found))
    }

    /// Replaces all rules by those for these patterns.
    pub(super) fn put_in_place(&mut self, patterns: &[Pattern]) -> Result<(), RulesError> {
        for family in [Family::V4, Family::V6] {
            let patterns: Vec<Pattern> = patterns
                .iter()
                .filter(|pattern| family.has(pattern))
                .copied()
                .collect();
            let present = match self.present(family) {
                Ok(present) => present,
                Err(e) if patterns.is_empty() => {
                    debug!("no rules of {family:?}: {e}");
                    continue;
                }
                Err(e) => return Err(e),
            };
            if patterns.is_empty() && !present.is_any() {
                continue;
            }
            self.replace(family, &present, &patterns)?;
        }
        Ok(())
    }

    fn replace(
        &mut self,
        family: Family,
        present: &Present,
        patterns: &[Pattern],
    ) -> Result<(), RulesError> {
        // What a kernel lacks is tried each time: a refusal may have had a reason of the moment.
        if let Err(e) = self.restore(family, &raw(present, patterns))
            && !std::mem::replace(&mut self.said_tracked, true)
        {
            warn!("packets of protected connections are left to conntrack: {e}");
        }
        let layout = self.layout;
        let Err(refused) = self.restore(family, &mangle(layout, present, patterns, true)) else {
            return Ok(());
        };
        self.restore(family, &mangle(layout, present, patterns, false))?;
        if !std::mem::replace(&mut self.said_unbounded, true) {
            warn!(
                "without the target TCPMSS packets of more than 65,531 octets, as on lo, cannot be \
                 edited, and are dropped: {refused}"
            );
        }
        Ok(())
    }

    /// Takes everything away, a predecessor's rules too, and returns whether there were any.
    pub(super) fn release(&mut self) -> Result<bool, RulesError> {
        let mut any = false;
        for family in [Family::V4, Family::V6] {
            let present = self.left_behind(family)?;
            if present.is_any() {
                any = true;
                self.restore(family, &removal(&present))?;
            }
        }
        Ok(any)
    }

    /// What a predecessor has left. Without IPv6 there is nothing of it.
    fn left_behind(&self, family: Family) -> Result<Present, RulesError> {
        match self.present(family) {
            Err(e) if family == Family::V6 => {
                debug!("no IPv6 rules: {e}");
                Ok(Present::default())
            }
            present => present,
        }
    }

    fn present(&self, family: Family) -> Result<Present, RulesError> {
        let output = self.run(family.save(), &[], "")?;
        Ok(Present::read(
            family,
            &String::from_utf8_lossy(&output.stdout),
        ))
    }

    fn restore(&self, family: Family, rules: &str) -> Result<(), RulesError> {
        // Another program may hold the legacy tables' lock.
        self.run(family.restore(), &["--noflush", "-w", "5"], rules)
            .map(|_| ())
    }

    fn run(
        &self,
        program: &'static str,
        arguments: &[&str],
        input: &str,
    ) -> Result<Output, RulesError> {
        let output = self.inside(|| {
            // Where these programs are is not on an ordinary user's path.
            let path = std::env::var("PATH").unwrap_or_default();
            let mut child = Command::new(program)
                .args(arguments)
                .env("PATH", format!("{path}:/usr/sbin:/sbin"))
                .env("LC_ALL", "C")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .map_err(|source| match source.kind() {
                    io::ErrorKind::NotFound => RulesError::Missing { program },
                    _ => RulesError::Run { program, source },
                })?;
            if let Some(mut stdin) = child.stdin.take() {
                // A program that ends early says why itself.
                let _ = stdin.write_all(input.as_bytes());
            }
            child
                .wait_with_output()
                .map_err(|source| RulesError::Run { program, source })
        })?;
        if output.status.success() {
            return Ok(output);
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if said.contains("Permission denied") || said.contains("Operation not permitted") {
            return Err(RulesError::Privilege);
        }
        Err(RulesError::Refused { program, said })
    }

    /// Does something on a thread of its own in the rules' namespace: a child process is in its
    /// parent thread's.
    fn inside<T: Send>(
        &self,
        what: impl FnOnce() -> Result<T, RulesError> + Send,
    ) -> Result<T, RulesError> {
        let enter = || -> io::Result<()> {
            let here = std::fs::metadata("/proc/thread-self/ns/net")?;
            let there = self.namespace.metadata()?;
            // Entering needs more privilege than being there.
            if (here.dev(), here.ino()) != (there.dev(), there.ino()) {
                setns(&self.namespace, CloneFlags::CLONE_NEWNET)?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let done = scope.spawn(|| {
                enter().map_err(|source| RulesError::Namespace { source })?;
                what()
            });
            done.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}
