//! Actuators: what makes the lab fail, at an instant.
//!
//! *Assumes* to be armed on a thread inside the injector's network namespace. *Guarantees* that
//! everything slow (sockets, tables, chains) is done while arming, so that firing is one netlink
//! transaction and one signal, microseconds apart; and that no signal goes to a process that
//! merely has the same number (pidfd).

use std::ffi::CString;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use nftnl::{
    Batch, Chain, ChainType, FinalizedBatch, Hook, MsgType, Policy, ProtoFamily, Rule, Table,
    nft_expr,
};
use thiserror::Error;

/// Name of the nftables table in the injector's namespace.
pub const TABLE: &str = "flaplab";
/// Name of the chain in it.
pub const CHAIN: &str = "dead-link";

/// Why an actuator could not be armed or fired.
#[derive(Debug, Error)]
pub enum ActuatorError {
    /// nf_tables refused a transaction.
    #[error("nf_tables refused to {doing}: {source}; run `flaplab doctor`")]
    NfTables {
        /// What was asked.
        doing: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// No such device in the namespace.
    #[error("no network device `{device}` in the injector's namespace: {source}")]
    NoDevice {
        /// Its name.
        device: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The process could not be signalled.
    #[error("the injector's process {pid} cannot be killed: {source}")]
    Kill {
        /// Its number.
        pid: i32,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// When an action began and when it was done, CLOCK_MONOTONIC nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// Just before the system call.
    pub began_mono_ns: u64,
    /// Just after it: from here on the action is in force.
    pub done_mono_ns: u64,
}

/// What firing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fired {
    /// The drop rule, if the failure has one.
    pub drop: Option<Interval>,
    /// The kill, if the failure has one.
    pub kill: Option<Interval>,
}

/// What the drop rule matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropRule {
    /// Device that the traffic arrives on.
    pub device: String,
    /// Network address of the destination.
    pub network: Ipv4Addr,
    /// Its mask.
    pub mask: Ipv4Addr,
}

/// An armed failure.
pub struct Trigger {
    drop: Option<(mnl::Socket, FinalizedBatch)>,
    kill: Option<(i32, OwnedFd)>,
}

impl Trigger {
    /// Arms the failure: call it on the thread, inside the injector's namespace, that will fire.
    ///
    /// # Errors
    /// If nf_tables does not work, the device does not exist, or the process is gone.
    pub fn arm(drop: Option<&DropRule>, kill: Option<i32>) -> Result<Self, ActuatorError> {
        let drop = drop.map(prepare_drop).transpose()?;
        let kill = kill
            .map(|pid| match pidfd_open(pid) {
                Ok(fd) => Ok((pid, fd)),
                Err(source) => Err(ActuatorError::Kill { pid, source }),
            })
            .transpose()?;
        Ok(Trigger { drop, kill })
    }

    /// Waits for the instant `at_mono_ns` and fires: the drop first, then the kill.
    ///
    /// # Errors
    /// If the kernel refuses either.
    pub fn fire_at(self, at_mono_ns: u64) -> Result<Fired, ActuatorError> {
        wait_until(at_mono_ns);
        let mut fired = Fired::default();
        if let Some((socket, batch)) = &self.drop {
            fired.drop = Some(timed(|| {
                transact(socket, batch).map_err(|source| ActuatorError::NfTables {
                    doing: "add the drop rule",
                    source,
                })
            })?);
        }
        if let Some((pid, fd)) = &self.kill {
            fired.kill = Some(timed(|| {
                pidfd_kill(fd).map_err(|source| ActuatorError::Kill { pid: *pid, source })
            })?);
        }
        Ok(fired)
    }
}

/// CLOCK_MONOTONIC, nanoseconds.
#[must_use]
pub fn monotonic_ns() -> u64 {
    let t = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
        .expect("CLOCK_MONOTONIC always exists");
    Duration::from(t).as_nanos() as u64
}

fn timed(act: impl FnOnce() -> Result<(), ActuatorError>) -> Result<Interval, ActuatorError> {
    let began_mono_ns = monotonic_ns();
    act()?;
    Ok(Interval {
        began_mono_ns,
        done_mono_ns: monotonic_ns(),
    })
}

/// Sleeps to an absolute instant, so that being woken early or late by a signal adds no error.
fn wait_until(at_mono_ns: u64) {
    let at = nix::sys::time::TimeSpec::from_duration(Duration::from_nanos(at_mono_ns));
    let flags = nix::time::ClockNanosleepFlags::TIMER_ABSTIME;
    while nix::time::clock_nanosleep(nix::time::ClockId::CLOCK_MONOTONIC, flags, &at).is_err()
        && monotonic_ns() < at_mono_ns
    {}
}

fn cstring(s: &str) -> CString {
    CString::new(s).expect("names of devices and tables hold no NUL")
}

fn prepare_drop(rule: &DropRule) -> Result<(mnl::Socket, FinalizedBatch), ActuatorError> {
    let refused = |doing| move |source| ActuatorError::NfTables { doing, source };
    let device = cstring(&rule.device);
    // SAFETY: `device` is a NUL-terminated string that outlives the call.
    let index = unsafe { libc::if_nametoindex(device.as_ptr()) };
    if index == 0 {
        return Err(ActuatorError::NoDevice {
            device: rule.device.clone(),
            source: io::Error::last_os_error(),
        });
    }
    let socket = mnl::Socket::new(mnl::Bus::Netfilter).map_err(refused("open a socket"))?;
    let table = Table::new(cstring(TABLE), ProtoFamily::Ipv4);
    let mut chain = Chain::new(cstring(CHAIN), &table);
    chain.set_type(ChainType::Filter);
    chain.set_hook(Hook::PreRouting, libc::NF_IP_PRI_RAW);
    chain.set_policy(Policy::Accept);
    let mut batch = Batch::new();
    batch.add(&table, MsgType::Add);
    batch.add(&chain, MsgType::Add);
    transact(&socket, &batch.finalize()).map_err(refused("make a table and a chain"))?;

    let mut dead = Rule::new(&chain);
    dead.add_expr(&nft_expr!(meta iif));
    dead.add_expr(&nft_expr!(cmp == index));
    dead.add_expr(&nft_expr!(payload ipv4 daddr));
    dead.add_expr(&nft_expr!(bitwise mask rule.mask, xor 0u32));
    dead.add_expr(&nft_expr!(cmp == rule.network));
    dead.add_expr(&nft_expr!(counter));
    dead.add_expr(&nft_expr!(verdict drop));
    let mut batch = Batch::new();
    batch.add(&dead, MsgType::Add);
    Ok((socket, batch.finalize()))
}

/// Sends one transaction and waits for its acknowledgments.
fn transact(socket: &mnl::Socket, batch: &FinalizedBatch) -> io::Result<()> {
    socket.send_all(batch)?;
    let portid = socket.portid();
    let mut buffer = vec![0; nftnl::nft_nlmsg_maxsize() as usize];
    let mut expected = batch.sequence_numbers();
    while !expected.is_empty() {
        for message in socket.recv(&mut buffer[..])? {
            let seq = expected
                .next()
                .ok_or_else(|| io::Error::other("one acknowledgment more than requests"))?;
            mnl::cb_run(message?, seq, portid)?;
        }
    }
    Ok(())
}

fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and returns a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn pidfd_kill(fd: &OwnedFd) -> io::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open, and a null siginfo is allowed (as kill(2)).
    let r = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            fd.as_raw_fd(),
            libc::SIGKILL,
            no_info,
            0,
        )
    };
    if r == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Tries, in the calling thread's namespace, whether a drop rule goes in: on `lo`, for a
/// documentation prefix (RFC 5737).
///
/// # Errors
/// If it does not.
pub fn examine() -> Result<(), ActuatorError> {
    let network = Ipv4Addr::new(192, 0, 2, 0);
    let rule = DropRule {
        device: "lo".to_owned(),
        network,
        mask: Ipv4Addr::new(255, 255, 255, 0),
    };
    Trigger::arm(Some(&rule), None)?.fire_at(monotonic_ns())?;
    Ok(())
}
