//! How long the processes of a lab waited for a CPU.
//!
//! *Assumes* the /proc of a capsule, which shows the lab's processes and no others, and a kernel that
//! keeps the scheduler's accounts (CONFIG_SCHED_INFO); without these nothing is measured, and `flaplab
//! doctor` says so. *Guarantees* that every thread of every process counts that lived at a sample, and
//! that sleep which the kernel takes for waiting does not (see [`account`]). What a process waited
//! in the last interval of its life is lost.

mod account;
mod sample;

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use results::machine::RunQueue;
use results::{Finding, FindingKind, Severity};

use account::Account;
use sample::Sampler;

use super::{Latest, Since, scheduling};
use crate::clock;
use crate::probe::SENDING_THREAD;

/// Time between two samples. A sample is a short read for each thread of the lab, some 0.3 ms for
/// sixteen routers.
const INTERVAL: Duration = Duration::from_millis(100);
/// What is waited within so many intervals is judged together: a second.
const SECOND: usize = 10;

/// A single wait is believed up to this, or to the latest wake-up of our own timer within the last
/// second, whichever is longer. A thread that wants a CPU always, among others that do, waits for some
/// slices of 3 to 4 ms each time.
const BELIEVED_NS: u64 = 30_000_000;

/// What a thread waited within a second, from which on the figures are doubtful, seconds. The
/// convergence of a clique was longer by just about as much (docs/findings.md).
const DOUBTFUL_S: f64 = 0.1;
/// The same, from which on they are worthless: most of a second, which is the shortest MRAI.
const WORTHLESS_S: f64 = 0.75;

/// Name of the thread that takes samples.
const THREAD: &str = "run-queue";
/// Threads that wake up so often that many short waits would look like a long one. What they wait
/// delays nobody else, and has findings of its own.
const MEASURING: [&str; 3] = [THREAD, scheduling::THREAD, SENDING_THREAD];

/// Node and name of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// The node.
    pub node: String,
    /// The process.
    pub process: String,
}

/// The thread that takes samples.
pub(super) struct Sampling {
    /// Dropped to end it.
    stop: Sender<()>,
    thread: JoinHandle<Account>,
}

impl Sampling {
    /// Begins with a sample.
    pub(super) fn begin(since: Since, latest: Latest) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let mut account = Account::default();
        let mut sampler = Sampler::new(Path::new("/proc"), us(), &MEASURING);
        account.take(&sampler.sample(), BELIEVED_NS, false);
        let work = move || {
            let mut late_ns = VecDeque::new();
            loop {
                let on = stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout);
                late_ns.push_back(latest.take());
                if late_ns.len() > SECOND {
                    late_ns.pop_front();
                }
                let latest_ns = late_ns.iter().copied().max().unwrap_or(0);
                // The interval in which the failure lies counts whole: before it the lab was quiet.
                let counts = since.get() <= clock::monotonic_ns();
                let believed_ns = BELIEVED_NS.max(latest_ns);
                account.take(&sampler.sample(), believed_ns, counts);
                if !on {
                    return account;
                }
            }
        };
        let named = thread::Builder::new().name(THREAD.to_owned());
        Ok(Sampling {
            stop,
            thread: named.spawn(work)?,
        })
    }

    /// Ends with a sample.
    pub(super) fn end(self, name: impl Fn(i32) -> Name) -> Option<RunQueue> {
        drop(self.stop);
        self.thread.join().ok()?.sum_up(name)
    }
}

/// The number of this process.
fn us() -> i32 {
    std::process::id().cast_signed()
}

/// Whether this kernel tells how long a thread waited.
pub(crate) fn is_told() -> bool {
    sample::of_this_thread().is_some()
}

/// What there is to say about it.
pub(super) fn judge(found: &RunQueue, measured_s: f64) -> Option<Finding> {
    let RunQueue {
        delay_s,
        most,
        worst,
    } = found;
    let (severity, limit_s) = match worst.delay_s {
        s if s > WORTHLESS_S => (Severity::Invalidating, WORTHLESS_S),
        s if s > DOUBTFUL_S => (Severity::Warning, DOUBTFUL_S),
        _ => return None,
    };
    let share = |s: f64| 100.0 * s / measured_s.max(f64::MIN_POSITIVE);
    Some(Finding {
        kind: FindingKind::RunQueueDelay,
        severity,
        place: worst.node.clone(),
        message: format!(
            "{} could have run and had no CPU for {:.0} ms of a second (limit {:.0} ms); from the failure to the quiet \
             ({measured_s:.1} s) {} at {} waited longest, {:.2} s ({:.1} %), and all processes of the lab \
             {delay_s:.2} s; run fewer labs at once (--jobs), free the machine of other load, or take a smaller lab",
            worst.process,
            worst.delay_s * 1e3,
            limit_s * 1e3,
            most.process,
            most.node,
            most.delay_s,
            share(most.delay_s),
        ),
    })
}

#[cfg(test)]
mod tests {
    use results::machine::Delayed;

    use super::*;

    fn found(worst_s: f64) -> RunQueue {
        let delayed = |node: &str, delay_s| Delayed {
            node: node.to_owned(),
            process: "bgpd".to_owned(),
            delay_s,
        };
        RunQueue {
            delay_s: 2.0,
            most: delayed("r1", 1.0),
            worst: delayed("r3", worst_s),
        }
    }

    #[test]
    fn the_limits_are_two_and_the_process_is_named() {
        let severity = |s| judge(&found(s), 10.0).map(|f| f.severity);
        assert_eq!(severity(DOUBTFUL_S), None);
        assert_eq!(severity(DOUBTFUL_S + 0.001), Some(Severity::Warning));
        assert_eq!(severity(WORTHLESS_S), Some(Severity::Warning));
        assert_eq!(severity(WORTHLESS_S + 0.001), Some(Severity::Invalidating));
        let finding = judge(&found(0.9), 10.0).expect("it is above");
        assert_eq!(finding.place, "r3");
        for part in [
            "bgpd could",
            "900 ms",
            "bgpd at r1",
            "1.00 s (10.0 %)",
            "2.00 s",
        ] {
            assert!(finding.message.contains(part), "{}", finding.message);
        }
    }
}
