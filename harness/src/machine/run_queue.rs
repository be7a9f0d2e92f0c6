//! How long the processes of a lab waited for a CPU.
//!
//! *Assumes* the /proc of a capsule, which shows the lab's processes and no others, and a kernel that
//! keeps the scheduler's accounts (CONFIG_SCHED_INFO); without these nothing is measured, and `flaplab
//! doctor` says so. *Guarantees* that every thread of every process counts that lived at a sample, at
//! the cost of reading a small file per thread once in [`INTERVAL`]. What a process waited in the
//! last interval of its life is lost.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use results::machine::{Delayed, RunQueue};
use results::{Finding, FindingKind, Severity};

use super::{Since, scheduling};
use crate::clock;
use crate::probe::SENDING_THREAD;

/// Time between two samples. Shorter ones would tell a burst from a sum more sharply, and would
/// themselves be load: a lab of 64 routers has some 600 threads.
const INTERVAL: Duration = Duration::from_secs(1);

/// What a thread waited within one interval, from which on the figures are doubtful, seconds. The
/// convergence of a clique was longer by just about as much (docs/findings.md).
const DOUBTFUL_S: f64 = 0.1;
/// The same, from which on they are worthless: half of the shortest MRAI.
const WORTHLESS_S: f64 = 0.5;

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

/// A thread: numbers of its process and its own.
type Thread = (i32, i32);
/// What threads have waited since they began, nanoseconds.
type Waits = BTreeMap<Thread, u64>;

/// What processes have waited since the failure.
#[derive(Debug, Default)]
struct Account {
    last: Waits,
    /// By process, over all its threads, nanoseconds.
    total_ns: BTreeMap<i32, u64>,
    /// The most that one thread waited within one interval, and its process.
    worst: Option<(u64, i32)>,
}

impl Account {
    /// Takes a sample. What was waited since the one before enters, if it `counts`. A thread that
    /// was not there before has begun since.
    fn take(&mut self, now: Waits, counts: bool) {
        if counts {
            for (&(pid, tid), &waited_ns) in &now {
                let before_ns = self.last.get(&(pid, tid)).copied().unwrap_or(0);
                let since_ns = waited_ns.saturating_sub(before_ns);
                *self.total_ns.entry(pid).or_default() += since_ns;
                self.worst = self.worst.max(Some((since_ns, pid)));
            }
        }
        self.last = now;
    }

    /// Sums up; none, if nothing was seen to wait or not to wait.
    fn sum_up(&self, name: impl Fn(i32) -> Name) -> Option<RunQueue> {
        let delayed = |(ns, pid): (u64, i32)| {
            let Name { node, process } = name(pid);
            Delayed {
                node,
                process,
                delay_s: seconds(ns),
            }
        };
        let totals = self.total_ns.iter().map(|(pid, ns)| (*ns, *pid));
        Some(RunQueue {
            delay_s: seconds(self.total_ns.values().sum()),
            most: delayed(totals.max()?),
            worst: delayed(self.worst?),
        })
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// The thread that takes samples.
pub(super) struct Sampling {
    /// Dropped to end it.
    stop: Sender<()>,
    thread: JoinHandle<Account>,
}

impl Sampling {
    /// Begins with a sample.
    pub(super) fn begin(since: Since) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let mut account = Account::default();
        account.take(sample(Path::new("/proc"), us()), false);
        let work = move || loop {
            let on = stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout);
            // The interval in which the failure lies counts whole: before it the lab was quiet.
            let counts = since.get() <= clock::monotonic_ns();
            account.take(sample(Path::new("/proc"), us()), counts);
            if !on {
                return account;
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

/// What every thread has waited, but those of process `us` that only measure. One that ends meanwhile is
/// left out.
fn sample(proc: &Path, us: i32) -> Waits {
    let mut waits = Waits::new();
    for pid in numbered(proc) {
        let tasks = proc.join(pid.to_string()).join("task");
        for tid in numbered(&tasks) {
            let task = tasks.join(tid.to_string());
            if pid == us && only_measures(&task) {
                continue;
            }
            let waited = fs::read_to_string(task.join("schedstat"));
            if let Some(waited) = waited.ok().as_deref().and_then(parse) {
                waits.insert((pid, tid), waited);
            }
        }
    }
    waits
}

fn only_measures(task: &Path) -> bool {
    let name = fs::read_to_string(task.join("comm"));
    name.is_ok_and(|name| MEASURING.contains(&name.trim()))
}

/// Entries of a directory whose names are numbers.
fn numbered(dir: &Path) -> impl Iterator<Item = i32> + use<> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().to_str()?.parse().ok())
}

/// The second number: nanoseconds spent waiting on a run queue (the kernel's
/// Documentation/scheduler/sched-stats.rst).
fn parse(text: &str) -> Option<u64> {
    text.split_whitespace().nth(1)?.parse().ok()
}

/// Whether this kernel tells how long a thread waited.
pub(crate) fn is_told() -> bool {
    let text = fs::read_to_string("/proc/thread-self/schedstat");
    text.ok().as_deref().and_then(parse).is_some()
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
            "{} could have run and had no CPU for {:.0} ms within {} s (limit {:.0} ms); from the failure to the \
             quiet ({measured_s:.1} s) {} at {} waited longest, {:.2} s ({:.1} %), and all processes of the lab \
             {delay_s:.2} s; run fewer labs at once (--jobs), free the machine of other load, or take a smaller lab",
            worst.process,
            worst.delay_s * 1e3,
            INTERVAL.as_secs(),
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
    use super::*;

    const MS: u64 = 1_000_000;

    fn name(pid: i32) -> Name {
        Name {
            node: format!("r{pid}"),
            process: "bgpd".to_owned(),
        }
    }

    fn waits<const N: usize>(of: [(i32, i32, u64); N]) -> Waits {
        of.map(|(pid, tid, ms)| ((pid, tid), ms * MS)).into()
    }

    #[test]
    fn the_kernels_account_of_a_thread_is_read() {
        assert_eq!(parse("123456789 5000000 42\n"), Some(5_000_000));
        for text in ["", "12", "0 x 0"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_thread_of_every_process_is_sampled_and_nothing_else() {
        let proc = tempfile::tempdir().expect("a directory");
        let write = |path: &str, text: &str| {
            let file = proc.path().join(path);
            fs::create_dir_all(file.parent().expect("it has one")).expect("made");
            fs::write(file, text).expect("written");
        };
        write("7/task/7/schedstat", "1 70 1\n");
        write("7/task/8/schedstat", "1 80 1\n");
        write("9/task/9/schedstat", "1 90 1\n");
        write("9/task/10/comm", "its account is missing");
        write("irq/task/1/schedstat", "1 1 1\n");
        // A thread of that name is passed over in our own process, and in no other.
        for pid in ["7", "11"] {
            write(&format!("{pid}/task/12/schedstat"), "1 120 1\n");
            write(&format!("{pid}/task/12/comm"), &format!("{THREAD}\n"));
        }
        let expected = [((7, 7), 70), ((7, 8), 80), ((7, 12), 120), ((9, 9), 90)];
        assert_eq!(sample(proc.path(), 11), Waits::from(expected));
    }

    #[test]
    fn this_process_is_there_and_an_account_is_kept_of_it() {
        let seen = sample(Path::new("/proc"), us());
        assert!(seen.keys().any(|(pid, _)| *pid == us()), "{seen:?}");
        assert!(is_told());
    }

    #[test]
    fn what_came_before_the_failure_does_not_count_and_what_is_new_counts_whole() {
        let mut account = Account::default();
        account.take(waits([(1, 1, 500), (2, 2, 10)]), false);
        account.take(waits([(1, 1, 900), (2, 2, 10)]), false);
        // Process 2 waits as long as process 1, but in two threads and twice; process 3 is new.
        account.take(waits([(1, 1, 940), (2, 2, 25), (2, 20, 15)]), true);
        account.take(
            waits([(1, 1, 940), (2, 2, 35), (2, 20, 15), (3, 3, 7)]),
            true,
        );
        let found = account.sum_up(name).expect("something was seen");
        assert_eq!(found.delay_s, 0.087);
        let delayed = |d: &Delayed| (d.node.clone(), d.delay_s);
        assert_eq!(delayed(&found.worst), ("r1".to_owned(), 0.04));
        assert_eq!(delayed(&found.most), ("r2".to_owned(), 0.04));
    }

    #[test]
    fn a_number_that_was_given_anew_is_no_endless_wait() {
        let mut account = Account::default();
        account.take(waits([(1, 1, 900)]), false);
        account.take(waits([(1, 1, 3)]), true);
        assert_eq!(account.sum_up(name).expect("it was seen").delay_s, 0.0);
    }

    #[test]
    fn without_accounts_there_are_no_figures() {
        let mut account = Account::default();
        account.take(Waits::new(), true);
        assert_eq!(account.sum_up(name), None);
    }

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
        let finding = judge(&found(9.0), 10.0).expect("it is above");
        assert_eq!(finding.place, "r3");
        for part in [
            "bgpd could",
            "9000 ms",
            "bgpd at r1",
            "1.00 s (10.0 %)",
            "2.00 s",
        ] {
            assert!(finding.message.contains(part), "{}", finding.message);
        }
    }
}
