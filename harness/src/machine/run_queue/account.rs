//! What the threads of a lab have waited, from samples of the kernel's accounts.
//!
//! *Assumes* samples a tenth of a second apart. *Guarantees* that a single wait counts as no longer than
//! its caller believes.
//!
//! That is needed because Linux, from 6.12 on, counts sleep as waiting now and then: a thread that falls
//! asleep may stay queued for a while (`sched_delayed`); if it is moved to another CPU meanwhile,
//! `sched_info_enqueue` sets the beginning of a wait, and what it sleeps from there on is added to its
//! `run_delay` when it runs again (6.18: a thread that was woken 0.1 ms after it was due had "waited"
//! for 494 ms). Such a sleep is one wait by the kernel's count, as long as the sleep. Samples are close
//! together so that a sleep and a burst of true, short waits seldom fall into the same one.

use std::collections::{BTreeMap, VecDeque};

use results::machine::{Delayed, RunQueue};

use super::{Name, SECOND};

/// A thread: numbers of its process and its own.
pub(super) type Thread = (i32, i32);

/// The kernel's account of a thread since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Waits {
    /// How long it waited for a CPU, nanoseconds.
    pub ns: u64,
    /// How often it got one.
    pub times: u64,
}

impl Waits {
    /// What was waited since an earlier account, as far as it is believed.
    fn since(self, before: Waits, believed_ns: u64) -> u64 {
        let times = self.times.saturating_sub(before.times);
        // A thread that was moved while it waits has its account made up without having had a CPU.
        let most_ns = times.max(1).saturating_mul(believed_ns);
        self.ns.saturating_sub(before.ns).min(most_ns)
    }
}

/// A thread that was there at the last sample.
#[derive(Debug, Default)]
struct Seen {
    last: Waits,
    /// What it waited in each of the last intervals, nanoseconds.
    recent_ns: VecDeque<u64>,
}

/// What processes have waited since the failure.
#[derive(Debug, Default)]
pub(super) struct Account {
    seen: BTreeMap<Thread, Seen>,
    /// By process, over all its threads, nanoseconds.
    total_ns: BTreeMap<i32, u64>,
    /// The most that one thread waited within a second, and its process.
    worst: Option<(u64, i32)>,
}

impl Account {
    /// Takes a sample. What was waited since the one before enters, if it `counts`; a single wait up
    /// to what is believed. A thread that was not there before has begun since.
    pub(super) fn take(&mut self, now: &BTreeMap<Thread, Waits>, believed_ns: u64, counts: bool) {
        self.seen.retain(|thread, _| now.contains_key(thread));
        for (&thread, &waits) in now {
            let seen = self.seen.entry(thread).or_default();
            let since_ns = waits.since(seen.last, believed_ns);
            seen.last = waits;
            if !counts {
                continue;
            }
            let (pid, _) = thread;
            *self.total_ns.entry(pid).or_default() += since_ns;
            seen.recent_ns.push_back(since_ns);
            if seen.recent_ns.len() > SECOND {
                seen.recent_ns.pop_front();
            }
            self.worst = self.worst.max(Some((seen.recent_ns.iter().sum(), pid)));
        }
    }

    /// Sums up; none, if nothing was seen to wait or not to wait.
    pub(super) fn sum_up(&self, name: impl Fn(i32) -> Name) -> Option<RunQueue> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    /// So much that everything is believed.
    const ALL: u64 = u64::MAX;

    fn name(pid: i32) -> Name {
        Name {
            node: format!("r{pid}"),
            process: "bgpd".to_owned(),
        }
    }

    /// Process, thread, milliseconds, times.
    fn waits<const N: usize>(of: [(i32, i32, u64, u64); N]) -> BTreeMap<Thread, Waits> {
        let waits = |(pid, tid, ms, times)| ((pid, tid), Waits { ns: ms * MS, times });
        of.map(waits).into()
    }

    fn figures(account: &Account) -> (f64, (String, f64), (String, f64)) {
        let found = account.sum_up(name).expect("something was seen");
        let delayed = |d: Delayed| (d.node, d.delay_s);
        (found.delay_s, delayed(found.most), delayed(found.worst))
    }

    #[test]
    fn what_came_before_the_failure_does_not_count_and_what_is_new_counts_whole() {
        let mut account = Account::default();
        account.take(&waits([(1, 1, 500, 9), (2, 2, 10, 1)]), ALL, false);
        account.take(&waits([(1, 1, 900, 19), (2, 2, 10, 1)]), ALL, false);
        // Process 2 waits longer than process 1, but in two threads; process 3 is new.
        let now = [(1, 1, 940, 20), (2, 2, 35, 2), (2, 20, 25, 1), (3, 3, 7, 1)];
        account.take(&waits(now), ALL, true);
        let (most, worst) = (("r2".to_owned(), 0.05), ("r1".to_owned(), 0.04));
        assert_eq!(figures(&account), (0.097, most, worst));
    }

    #[test]
    fn the_worst_is_what_one_thread_waited_within_a_second() {
        let mut account = Account::default();
        account.take(&waits([(1, 1, 0, 0)]), ALL, false);
        // 5 ms in each of twenty intervals.
        for i in 1..=20 {
            account.take(&waits([(1, 1, 5 * i, i)]), ALL, true);
        }
        let (total_s, _, (_, worst_s)) = figures(&account);
        assert_eq!((total_s, worst_s), (0.1, 0.05));
    }

    #[test]
    fn a_sleep_that_the_kernel_takes_for_a_wait_counts_as_what_is_believed() {
        let mut account = Account::default();
        account.take(&waits([(1, 1, 0, 0), (2, 2, 0, 0)]), 20 * MS, false);
        // One "wait" of 16 s; and ten that took 15 ms each, as many as were seen.
        account.take(&waits([(1, 1, 16_000, 1), (2, 2, 150, 10)]), 20 * MS, true);
        let (total_s, most, _) = figures(&account);
        assert_eq!((total_s, most), (0.17, ("r2".to_owned(), 0.15)));
    }

    #[test]
    fn a_number_that_was_given_anew_is_no_endless_wait() {
        let mut account = Account::default();
        account.take(&waits([(1, 1, 900, 9)]), ALL, false);
        account.take(&waits([(1, 1, 3, 1)]), ALL, true);
        assert_eq!(figures(&account).0, 0.0);
    }

    #[test]
    fn without_accounts_there_are_no_figures() {
        let mut account = Account::default();
        account.take(&waits([]), ALL, true);
        assert_eq!(account.sum_up(name), None);
    }
}
