//! How late a timer wakes its thread.
//!
//! *Assumes* CLOCK_MONOTONIC timers. *Guarantees* that every instant since the failure has the same
//! weight: a tick that is late is followed at once by those that have become due meanwhile, each as
//! late as it is. Unlike the run queue's accounts this sees a machine that stood still as a whole.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use results::machine::Lateness;
use results::{Finding, FindingKind, Severity};

use super::{Latest, Since};
use crate::clock;

/// Name of the thread that ticks.
pub(super) const THREAD: &str = "ticking";
/// Time between two ticks, nanoseconds.
const INTERVAL_NS: u64 = 10_000_000;

/// Lateness of one tick in a hundred from which on figures are doubtful, and worthless, seconds. On a machine
/// whose CPUs are all in use it is one scheduler tick, 4 ms, and does no harm (docs/findings.md).
const P99_LIMITS_S: [f64; 2] = [0.02, 0.25];
/// The same of the latest tick: as long as what a thread may wait (`super::run_queue`).
const MAX_LIMITS_S: [f64; 2] = [0.1, 0.5];

/// The thread that ticks.
pub(super) struct Ticking {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<u64>>,
}

impl Ticking {
    /// Begins, one tick from now.
    pub(super) fn begin(since: Since, latest: Latest) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let named = thread::Builder::new().name(THREAD.to_owned());
        Ok(Ticking {
            stop,
            thread: named.spawn(move || tick(&since, &latest, &stopped))?,
        })
    }

    /// Ends after the next tick.
    pub(super) fn end(self) -> Option<Lateness> {
        self.stop.store(true, Ordering::Relaxed);
        sum_up(self.thread.join().ok()?)
    }
}

/// How late each tick was that was due since the failure, nanoseconds.
fn tick(since: &Since, latest: &Latest, stopped: &AtomicBool) -> Vec<u64> {
    let mut late_ns = Vec::new();
    let mut due_ns = clock::monotonic_ns();
    loop {
        due_ns += INTERVAL_NS;
        clock::sleep_until(due_ns);
        let late_by_ns = clock::monotonic_ns().saturating_sub(due_ns);
        latest.note(late_by_ns);
        if due_ns >= since.get() {
            late_ns.push(late_by_ns);
        }
        if stopped.load(Ordering::Relaxed) {
            return late_ns;
        }
    }
}

fn sum_up(mut late_ns: Vec<u64>) -> Option<Lateness> {
    late_ns.sort_unstable();
    let seconds = |ns: u64| ns as f64 / 1e9;
    // The nearest rank: the least value that 99 of 100 do not exceed.
    let rank = (late_ns.len() * 99).div_ceil(100);
    Some(Lateness {
        ticks: late_ns.len(),
        p99_s: seconds(*late_ns.get(rank.checked_sub(1)?)?),
        max_s: seconds(*late_ns.last()?),
    })
}

/// What there is to say about it.
pub(super) fn judge(lateness: &Lateness) -> Option<Finding> {
    let exceeds = |i: usize| lateness.p99_s > P99_LIMITS_S[i] || lateness.max_s > MAX_LIMITS_S[i];
    let (severity, i) = match (exceeds(0), exceeds(1)) {
        (_, true) => (Severity::Invalidating, 1),
        (true, false) => (Severity::Warning, 0),
        (false, false) => return None,
    };
    Some(Finding {
        kind: FindingKind::SchedulingDelay,
        severity,
        place: "machine".to_owned(),
        message: format!(
            "of {} timers that were due from the failure to the quiet one in a hundred woke its thread {:.1} ms late \
             or later (limit {:.0} ms), the latest {:.0} ms (limit {:.0} ms): run fewer labs at once (--jobs), free \
             the machine of other load; a virtual machine may have been stopped by its host",
            lateness.ticks,
            lateness.p99_s * 1e3,
            P99_LIMITS_S[i] * 1e3,
            lateness.max_s * 1e3,
            MAX_LIMITS_S[i] * 1e3,
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_p99_is_the_nearest_rank() {
        let found = sum_up((1..=200).rev().collect()).expect("there are ticks");
        assert_eq!(
            (found.ticks, found.p99_s, found.max_s),
            (200, 198e-9, 200e-9)
        );
        let one = sum_up(vec![7]).expect("there is one");
        assert_eq!((one.p99_s, one.max_s), (7e-9, 7e-9));
        assert_eq!(sum_up(Vec::new()), None);
    }

    #[test]
    fn either_limit_makes_the_finding_and_the_graver_one_its_severity() {
        let severity = |p99_s, max_s| {
            let late = Lateness {
                ticks: 1000,
                p99_s,
                max_s,
            };
            judge(&late).map(|f| f.severity)
        };
        let ([p99, p99_bad], [max, max_bad]) = (P99_LIMITS_S, MAX_LIMITS_S);
        assert_eq!(severity(p99, max), None);
        assert_eq!(severity(p99 * 1.01, max), Some(Severity::Warning));
        assert_eq!(severity(p99, max * 1.01), Some(Severity::Warning));
        assert_eq!(severity(p99_bad, max_bad), Some(Severity::Warning));
        assert_eq!(severity(p99_bad * 1.01, max), Some(Severity::Invalidating));
        assert_eq!(severity(p99, max_bad * 1.01), Some(Severity::Invalidating));
    }

    #[test]
    fn ticks_count_from_the_failure_on() {
        let since = Since::not_yet();
        let ticking = Ticking::begin(since.clone(), Latest::default()).expect("a thread");
        assert_eq!(ticking.end(), None);
        since.set(0);
        let ticking = Ticking::begin(since, Latest::default()).expect("a thread");
        assert!(ticking.end().is_some_and(|l| l.ticks > 0));
    }
}
