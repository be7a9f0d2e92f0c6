//! Whether some task of the machine waited for a CPU.
//!
//! *Assumes* Linux's pressure stall information (/proc/pressure/cpu). *Guarantees* a finding if
//! some task waited for more than [`LIMIT`] of the time, and none on a kernel without it; `flaplab
//! doctor` says so. Whoever it was waited: what the lab itself suffered is told by
//! [`super::run_queue`], and so this one never invalidates a run.

use results::{Finding, FindingKind, Severity};

use crate::clock;

/// Share of the time with some task waiting from which on the figures are doubtful.
const LIMIT: f64 = 0.5;

/// A measurement under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pressure {
    began_mono_ns: u64,
    stalled_us: u64,
}

impl Pressure {
    /// Begins to measure.
    pub(super) fn begin() -> Option<Self> {
        Some(Pressure {
            began_mono_ns: clock::monotonic_ns(),
            stalled_us: stalled_us()?,
        })
    }

    /// Share of the time since with some task waiting.
    pub(super) fn share(&self) -> Option<f64> {
        let elapsed_us = (clock::monotonic_ns() - self.began_mono_ns) / 1_000;
        let stalled = stalled_us()?.saturating_sub(self.stalled_us);
        Some(stalled as f64 / elapsed_us.max(1) as f64)
    }
}

/// What there is to say about it.
pub(super) fn judge(share: f64) -> Option<Finding> {
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
        assert_eq!(judge(0.5), None);
        assert!(judge(0.500_001).is_some());
    }
}
