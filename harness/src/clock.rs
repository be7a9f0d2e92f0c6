//! The lab's one clock, and the watch on the wall clock.
//!
//! *Assumes* Linux's CLOCK_MONOTONIC. *Guarantees* that every time in a run directory is a
//! reading of it, and that a step of the wall clock is noticed.

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};
use results::Clock;

/// Steps of the wall clock from here on are a finding, nanoseconds. Slewing at the kernel's
/// limit of 500 ppm stays below it between two samples.
pub const STEP_LIMIT_NS: u64 = 20_000_000;

fn read(id: ClockId) -> i64 {
    let t = clock_gettime(id).expect("the clock always exists");
    t.tv_sec() * 1_000_000_000 + t.tv_nsec()
}

/// CLOCK_MONOTONIC now, nanoseconds.
#[must_use]
pub fn monotonic_ns() -> u64 {
    injectors::actuator::monotonic_ns()
}

/// Comes back when CLOCK_MONOTONIC is there; at once if it is.
pub(crate) fn sleep_until(mono_ns: u64) {
    let at = TimeSpec::new(
        (mono_ns / 1_000_000_000) as libc::time_t,
        (mono_ns % 1_000_000_000) as libc::c_long,
    );
    let absolute = ClockNanosleepFlags::TIMER_ABSTIME;
    // Interrupted by a signal, it goes on to the same instant.
    while clock_nanosleep(ClockId::CLOCK_MONOTONIC, absolute, &at) == Err(Errno::EINTR) {}
}

/// CLOCK_REALTIME minus CLOCK_MONOTONIC now, nanoseconds. The wall clock is read between two
/// readings of the monotonic one, and the tightest of three triples is taken.
#[must_use]
pub fn wall_minus_mono_ns() -> i64 {
    (0..3)
        .map(|_| {
            let before = read(ClockId::CLOCK_MONOTONIC);
            let wall = read(ClockId::CLOCK_REALTIME);
            let after = read(ClockId::CLOCK_MONOTONIC);
            (after - before, wall - before - (after - before) / 2)
        })
        .min_by_key(|(width, _)| *width)
        .map_or(0, |(_, offset)| offset)
}

/// The time base of a run that begins now.
#[must_use]
pub fn begin() -> Clock {
    Clock {
        wall_minus_mono_ns: wall_minus_mono_ns(),
    }
}

/// Brings a timestamp that somebody else took from the wall clock onto CLOCK_MONOTONIC.
#[must_use]
pub fn mono_of_wall(wall_ns: u64) -> u64 {
    wall_ns.saturating_add_signed(-wall_minus_mono_ns())
}

/// Compares the wall clock with the run's base, sample by sample.
#[derive(Debug)]
pub struct StepWatch {
    last_ns: i64,
}

impl StepWatch {
    /// Begins with the run's base.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        StepWatch {
            last_ns: clock.wall_minus_mono_ns,
        }
    }

    /// Takes a sample of `CLOCK_REALTIME - CLOCK_MONOTONIC`; returns the step since the last
    /// one, in nanoseconds, if it is one.
    pub fn sample(&mut self, offset_ns: i64) -> Option<i64> {
        let step = offset_ns - self.last_ns;
        self.last_ns = offset_ns;
        (step.unsigned_abs() > STEP_LIMIT_NS).then_some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_from_slewing_and_counted_once() {
        let mut watch = StepWatch::new(Clock {
            wall_minus_mono_ns: 1_000,
        });
        assert_eq!(watch.sample(1_000 + 2_500_000), None);
        assert_eq!(watch.sample(3_001_000 - 500_000_000), Some(-499_500_000));
        assert_eq!(watch.sample(3_001_000 - 500_000_000), None);
    }

    #[test]
    fn a_wall_time_taken_now_is_now() {
        let wall = u64::try_from(read(ClockId::CLOCK_REALTIME)).expect("after 1970");
        assert!(mono_of_wall(wall).abs_diff(monotonic_ns()) < 1_000_000_000);
    }
}
