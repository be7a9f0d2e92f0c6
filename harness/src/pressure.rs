//! Whether the machine had CPU to spare while a run was measured.
//!
//! *Assumes* Linux's pressure stall information (/proc/pressure/cpu). *Guarantees* a finding if
//! some task waited for a CPU for more than [`LIMIT`] of the time, and none on a kernel without
//! it; `flaplab doctor` says so.

use results::{Finding, FindingKind, Severity};

use crate::clock;

/// Share of the time with some task waiting from which on the figures are doubtful.
pub const LIMIT: f64 = 0.25;

/// A measurement under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pressure {
    began_mono_ns: u64,
    stalled_us: u64,
}

impl Pressure {
    /// Begins to measure.
    #[must_use]
    pub fn begin() -> Option<Self> {
        Some(Pressure {
            began_mono_ns: clock::monotonic_ns(),
            stalled_us: stalled_us()?,
        })
    }

    /// What there is to say about the time since.
    #[must_use]
    pub fn finding(&self) -> Option<Finding> {
        let elapsed_us = (clock::monotonic_ns() - self.began_mono_ns) / 1_000;
        let stalled = stalled_us()?.saturating_sub(self.stalled_us);
        judge(stalled, elapsed_us)
    }
}

fn judge(stalled_us: u64, elapsed_us: u64) -> Option<Finding> {
    let share = stalled_us as f64 / elapsed_us.max(1) as f64;
    (share > LIMIT).then(|| Finding {
        kind: FindingKind::CpuPressure,
        severity: Severity::Warning,
        place: "machine".to_owned(),
        message: format!(
            "some task waited for a CPU for {:.0} % of the time from the failure to the quiet (limit {:.0} %): run \
             fewer labs at once (--jobs) or free the machine of other load",
            share * 100.0,
            LIMIT * 100.0
        ),
    })
}

/// Time, since the machine started, during which some task waited for a CPU, microseconds.
fn stalled_us() -> Option<u64> {
    parse(&std::fs::read_to_string("/proc/pressure/cpu").ok()?)
}

fn parse(text: &str) -> Option<u64> {
    let some = text.lines().find(|l| l.starts_with("some "))?;
    some.rsplit_once("total=")?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_total_is_read() {
        let text = "some avg10=1.00 avg60=0.50 avg300=0.10 total=123456\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        assert_eq!(parse(text), Some(123_456));
        assert_eq!(parse("nothing"), None);
    }

    #[test]
    fn only_pressure_above_the_limit_is_found() {
        assert_eq!(judge(250_000, 1_000_000), None);
        assert!(judge(250_001, 1_000_000).is_some());
    }
}
