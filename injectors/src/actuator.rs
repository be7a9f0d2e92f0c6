//! Actuators: what makes the lab fail, at an instant.
//!
//! *Assumes* to be armed on a thread inside the injector's network namespace. *Guarantees* that
//! everything slow (sockets, tables, chains) is done while arming, so that firing is a few system
//! calls microseconds apart; and that no signal goes to a process that merely has the same number
//! (pidfd).

mod carrier;
mod drop_rule;

use std::ffi::CString;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use thiserror::Error;

use crate::pidfd;
use crate::schedule::Action;
use carrier::PreparedLink;
pub use drop_rule::DropRule;
use drop_rule::PreparedRule;

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
    /// The link could not be set down.
    #[error("the network device `{device}` cannot be set down: {source}")]
    Link {
        /// Its name.
        device: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The process could not be signalled.
    #[error("process {pid} cannot be killed: {source}")]
    Kill {
        /// Its number.
        pid: i32,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// What an actuator acts upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Traffic, which is dropped from then on.
    Traffic(DropRule),
    /// The carrier of this device's link, which is lost.
    Carrier(String),
    /// The process of this number, which is killed.
    Process(i32),
}

/// What was fired: when it began and when it was done, CLOCK_MONOTONIC nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fired {
    /// What.
    pub action: Action,
    /// Just before the system call.
    pub began_mono_ns: u64,
    /// Just after it.
    pub done_mono_ns: u64,
}

impl Fired {
    /// From when on it was in force. Nobody sees a rule or a signal before the call is over; of a
    /// carrier the other end is told while the call still runs.
    #[must_use]
    pub fn at_mono_ns(&self) -> u64 {
        match self.action {
            Action::LoseCarrier => self.began_mono_ns,
            _ => self.done_mono_ns,
        }
    }
}

/// An actuator that is ready to fire.
enum Armed {
    Rule(PreparedRule),
    Link(PreparedLink),
    Kill { pid: i32, process: OwnedFd },
}

impl Armed {
    fn new(target: &Target) -> Result<Self, ActuatorError> {
        Ok(match target {
            Target::Traffic(rule) => Armed::Rule(PreparedRule::new(rule)?),
            Target::Carrier(device) => Armed::Link(PreparedLink::new(device)?),
            &Target::Process(pid) => Armed::Kill {
                pid,
                process: pidfd::open(pid).map_err(|source| ActuatorError::Kill { pid, source })?,
            },
        })
    }

    fn fire(&self) -> Result<(), ActuatorError> {
        match self {
            Armed::Rule(rule) => rule.put_in_force(),
            Armed::Link(link) => link.set_down(),
            Armed::Kill { pid, process } => {
                let pid = *pid;
                pidfd::kill(process).map_err(|source| ActuatorError::Kill { pid, source })
            }
        }
    }
}

/// Actuators that fire together.
pub struct Trigger {
    armed: Vec<(Action, Armed)>,
}

impl Trigger {
    /// Arms them: call it on the thread, inside the injector's namespace, that will fire.
    ///
    /// # Errors
    /// If nf_tables does not work, a device does not exist, or a process is gone.
    pub fn arm(targets: &[(Action, Target)]) -> Result<Self, ActuatorError> {
        let arm = |(action, target): &(Action, Target)| Ok((*action, Armed::new(target)?));
        let armed = targets.iter().map(arm).collect::<Result<_, _>>()?;
        Ok(Trigger { armed })
    }

    /// Waits for the instant `at_mono_ns` and fires all, in their order.
    ///
    /// # Errors
    /// If the kernel refuses any.
    pub fn fire_at(self, at_mono_ns: u64) -> Result<Vec<Fired>, ActuatorError> {
        wait_until(at_mono_ns);
        let fire = |(action, armed): &(Action, Armed)| {
            let began_mono_ns = monotonic_ns();
            armed.fire()?;
            Ok(Fired {
                action: *action,
                began_mono_ns,
                done_mono_ns: monotonic_ns(),
            })
        };
        self.armed.iter().map(fire).collect()
    }
}

/// CLOCK_MONOTONIC, nanoseconds.
#[must_use]
pub fn monotonic_ns() -> u64 {
    let t = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
        .expect("CLOCK_MONOTONIC always exists");
    Duration::from(t).as_nanos() as u64
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

/// The number of a device in the calling thread's namespace.
fn device_index(device: &str) -> Result<u32, ActuatorError> {
    let name = cstring(device);
    // SAFETY: `name` is a NUL-terminated string that outlives the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 {
        return Err(ActuatorError::NoDevice {
            device: device.to_owned(),
            source: io::Error::last_os_error(),
        });
    }
    Ok(index)
}

/// Tries, in the calling thread's namespace, whether a drop rule goes in: on `lo`, for a
/// documentation prefix (RFC 5737).
///
/// # Errors
/// If it does not.
pub fn examine() -> Result<(), ActuatorError> {
    let rule = DropRule {
        device: "lo".to_owned(),
        network: Ipv4Addr::new(192, 0, 2, 0),
        mask: Ipv4Addr::new(255, 255, 255, 0),
    };
    let target = (Action::DropDestination, Target::Traffic(rule));
    Trigger::arm(&[target])?.fire_at(monotonic_ns())?;
    Ok(())
}
