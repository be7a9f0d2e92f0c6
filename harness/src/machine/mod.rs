//! How busy the machine is while a run is measured, and whether that makes its figures doubtful.
//!
//! *Assumes* to be told when the failure is prepared, when it was applied, and when the run is over.
//! *Guarantees* that nothing is read or started at the failure's instant but one small file, and
//! that what this kernel does not tell is left out of the figures, and no finding is made of it.

pub mod foreign;
mod pressure;
mod run_queue;
mod scheduling;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use results::{Finding, Machine};

use crate::clock;

pub(crate) use run_queue::{Name, is_told as tells_run_queue_delay};

/// When the failure was applied, CLOCK_MONOTONIC; `u64::MAX` until it is. What came before enters no
/// figure.
#[derive(Debug, Clone)]
struct Since(Arc<AtomicU64>);

impl Since {
    fn not_yet() -> Self {
        Since(Arc::new(AtomicU64::new(u64::MAX)))
    }

    fn set(&self, mono_ns: u64) {
        self.0.store(mono_ns, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How late the latest wake-up was since it was last asked for, nanoseconds.
#[derive(Debug, Clone, Default)]
struct Latest(Arc<AtomicU64>);

impl Latest {
    fn note(&self, late_ns: u64) {
        self.0.fetch_max(late_ns, Ordering::Relaxed);
    }

    fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// The watch on the machine, from inside a lab.
pub(crate) struct MachineWatch {
    since: Since,
    pressure: Option<pressure::Pressure>,
    run_queue: run_queue::Sampling,
    scheduling: scheduling::Ticking,
}

impl MachineWatch {
    /// Begins to look, some time before the failure.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub(crate) fn begin() -> io::Result<Self> {
        let (since, latest) = (Since::not_yet(), Latest::default());
        Ok(MachineWatch {
            pressure: None,
            scheduling: scheduling::Ticking::begin(since.clone(), latest.clone())?,
            run_queue: run_queue::Sampling::begin(since.clone(), latest)?,
            since,
        })
    }

    /// The failure was applied: from then on it counts. The first time it is said counts.
    pub(crate) fn failed(&mut self, at_mono_ns: u64) {
        if self.since.get() == u64::MAX {
            self.since.set(at_mono_ns);
            self.pressure = pressure::Pressure::begin();
        }
    }

    /// The run is over: its figures, if it came to the failure, and what is to be said of them.
    pub(crate) fn end(self, name: impl Fn(i32) -> Name) -> Option<(Machine, Vec<Finding>)> {
        let since_ns = self.since.get();
        let measured_ns = clock::monotonic_ns().checked_sub(since_ns)?;
        let measured_s = measured_ns as f64 / 1e9;
        let machine = Machine {
            measured_s,
            cpu_pressure_share: self.pressure.and_then(|p| p.share()),
            run_queue: self.run_queue.end(name),
            lateness: self.scheduling.end(),
            foreign_cpu_share: None,
        };
        let findings = judge(&machine);
        Some((machine, findings))
    }
}

/// What there is to say about figures taken inside the lab.
fn judge(machine: &Machine) -> Vec<Finding> {
    let pressure = machine.cpu_pressure_share.and_then(pressure::judge);
    let run_queue = machine.run_queue.as_ref();
    let run_queue = run_queue.and_then(|r| run_queue::judge(r, machine.measured_s));
    let lateness = machine.lateness.as_ref().and_then(scheduling::judge);
    [pressure, run_queue, lateness]
        .into_iter()
        .flatten()
        .collect()
}
