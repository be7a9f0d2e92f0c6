//! How busy the machine was while a run was measured.
//!
//! *Assumes* figures taken from the failure to the end of the run. *Guarantees* that what could not
//! be measured is absent, and never a zero.

use serde::{Deserialize, Serialize};

/// `machine` in `manifest.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// From the failure to the end of the run, seconds.
    pub measured_s: f64,
    /// Share of that time in which some task of the machine waited for a CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_pressure_share: Option<f64>,
    /// How long processes of the lab waited for a CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_queue: Option<RunQueue>,
    /// How late a timer of the lab woke its thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lateness: Option<Lateness>,
    /// Share of the time of all CPUs that was used by neither this flaplab nor the kernel's own
    /// threads; from when the failure was prepared to the end of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign_cpu_share: Option<f64>,
}

/// Run-queue delay: time in which a thread could have run and had no CPU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunQueue {
    /// Of all threads of all processes of the lab together, seconds.
    pub delay_s: f64,
    /// The process whose threads waited longest, all in all.
    pub most: Delayed,
    /// The process with the thread that waited longest within one sampling interval.
    pub worst: Delayed,
}

/// A process that waited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delayed {
    /// Its node; the lab itself, of flaplab's own.
    pub node: String,
    /// Its name.
    pub process: String,
    /// How long, seconds.
    pub delay_s: f64,
}

/// Lateness of a timer that is due every 10 ms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Lateness {
    /// How often it was due.
    pub ticks: usize,
    /// 99 of 100 ticks were not later, seconds.
    pub p99_s: f64,
    /// The latest, seconds.
    pub max_s: f64,
}
