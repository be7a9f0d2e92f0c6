//! Reading the kernel's accounts of all threads of a lab.
//!
//! *Assumes* a /proc that shows the lab's processes and no others. *Guarantees* that a new process is seen at
//! the next sample, and a new thread of an old one within a second; and that files are kept open, for
//! opening them is most of the cost, but only so many that enough are left for everything else.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::SECOND;
use super::account::{Thread, Waits};

/// Files that are kept open at most: less than half of the usual limit of 1024.
const KEPT: usize = 400;

/// Takes samples.
pub(super) struct Sampler {
    proc: PathBuf,
    /// Our own process, and its threads that are left out.
    us: i32,
    left_out: &'static [&'static str],
    /// The threads that are sampled, with their files.
    threads: BTreeMap<Thread, Option<File>>,
    /// Processes whose threads were looked for.
    known: Vec<i32>,
    /// Samples taken.
    taken: usize,
}

impl Sampler {
    /// Of the processes of that /proc. The threads of process `us` with such names are left out.
    pub(super) fn new(proc: &Path, us: i32, left_out: &'static [&'static str]) -> Self {
        Sampler {
            proc: proc.to_owned(),
            us,
            left_out,
            threads: BTreeMap::new(),
            known: Vec::new(),
            taken: 0,
        }
    }

    /// The accounts of all threads. One that ends meanwhile is left out.
    pub(super) fn sample(&mut self) -> BTreeMap<Thread, Waits> {
        self.look_for_threads();
        self.taken += 1;
        let mut accounts = BTreeMap::new();
        let proc = &self.proc;
        self.threads.retain(|&thread, file| {
            let account = match file {
                Some(file) => read(file),
                None => File::open(account_file(proc, thread))
                    .ok()
                    .as_ref()
                    .and_then(read),
            };
            accounts.extend(account.map(|a| (thread, a)));
            account.is_some()
        });
        accounts
    }

    fn look_for_threads(&mut self) {
        if self.taken.is_multiple_of(SECOND) {
            self.known.clear();
        } else if self.taken < SECOND {
            // A thread has its name a moment after it has begun.
            self.known.retain(|&pid| pid != self.us);
        }
        let pids: Vec<i32> = numbered(&self.proc).collect();
        for &pid in pids.iter().filter(|pid| !self.known.contains(pid)) {
            let tasks = self.proc.join(pid.to_string()).join("task");
            for tid in numbered(&tasks) {
                let thread = (pid, tid);
                let is_left_out = pid == self.us && self.is_left_out(&tasks.join(tid.to_string()));
                if is_left_out {
                    self.threads.remove(&thread);
                }
                if is_left_out || self.threads.contains_key(&thread) {
                    continue;
                }
                let kept = self.threads.values().flatten().count() < KEPT;
                let file = kept.then(|| File::open(account_file(&self.proc, thread)));
                self.threads.insert(thread, file.and_then(Result::ok));
            }
        }
        self.known = pids;
    }

    fn is_left_out(&self, task: &Path) -> bool {
        let name = fs::read_to_string(task.join("comm"));
        name.is_ok_and(|name| self.left_out.contains(&name.trim()))
    }
}

fn account_file(proc: &Path, (pid, tid): Thread) -> PathBuf {
    proc.join(format!("{pid}/task/{tid}/schedstat"))
}

/// Entries of a directory whose names are numbers.
fn numbered(dir: &Path) -> impl Iterator<Item = i32> + use<> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().to_str()?.parse().ok())
}

/// Reads an account; none, if its thread has ended.
fn read(file: &File) -> Option<Waits> {
    let mut octets = [0; 64];
    let length = file.read_at(&mut octets, 0).ok()?;
    parse(std::str::from_utf8(octets.get(..length)?).ok()?)
}

/// Nanoseconds spent on a CPU, nanoseconds spent waiting for one, times that it got one (the kernel's
/// Documentation/scheduler/sched-stats.rst).
fn parse(text: &str) -> Option<Waits> {
    let mut numbers = text.split_whitespace().skip(1).map(str::parse);
    Some(Waits {
        ns: numbers.next()?.ok()?,
        times: numbers.next()?.ok()?,
    })
}

/// The account of the calling thread.
pub(super) fn of_this_thread() -> Option<Waits> {
    parse(&fs::read_to_string("/proc/thread-self/schedstat").ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_account_of_a_thread_is_read() {
        let expected = Waits {
            ns: 5_000_000,
            times: 42,
        };
        assert_eq!(parse("123456789 5000000 42\n"), Some(expected));
        for text in ["", "12", "0 5", "0 x 1"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert!(of_this_thread().is_some());
    }

    /// A /proc made by hand.
    struct Proc(tempfile::TempDir);

    impl Proc {
        fn write(&self, path: &str, text: &str) {
            let file = self.0.path().join(path);
            fs::create_dir_all(file.parent().expect("it has one")).expect("made");
            fs::write(file, text).expect("written");
        }

        fn thread(&self, pid: i32, tid: i32, waited: u64) {
            self.write(
                &format!("{pid}/task/{tid}/schedstat"),
                &format!("1 {waited} 1\n"),
            );
        }
    }

    fn waited(accounts: &BTreeMap<Thread, Waits>) -> Vec<(Thread, u64)> {
        accounts.iter().map(|(t, a)| (*t, a.ns)).collect()
    }

    #[test]
    fn every_thread_is_sampled_but_our_own_that_measure() {
        let proc = Proc(tempfile::tempdir().expect("a directory"));
        for (pid, tid) in [(7, 7), (7, 8), (9, 9), (11, 11)] {
            proc.thread(pid, tid, 70);
        }
        proc.write("9/task/10/comm", "its account is missing");
        proc.write("irq/task/1/schedstat", "1 1 1\n");
        // Of that name in our own process, 11, and in another.
        for (pid, tid) in [(9, 12), (11, 12)] {
            proc.thread(pid, tid, 70);
            proc.write(&format!("{pid}/task/{tid}/comm"), "measuring\n");
        }
        let mut sampler = Sampler::new(proc.0.path(), 11, &["measuring"]);
        let expected = [(7, 7), (7, 8), (9, 9), (9, 12), (11, 11)].map(|t| (t, 70));
        assert_eq!(waited(&sampler.sample()), expected);
        // One that is given its name after it was seen.
        proc.write("11/task/11/comm", "measuring\n");
        assert_eq!(waited(&sampler.sample()), expected[..4]);
    }

    #[test]
    fn a_process_is_seen_at_the_next_sample_and_a_thread_within_a_second() {
        let proc = Proc(tempfile::tempdir().expect("a directory"));
        proc.thread(7, 7, 70);
        let mut sampler = Sampler::new(proc.0.path(), 11, &[]);
        assert_eq!(waited(&sampler.sample()), [((7, 7), 70)]);
        proc.thread(7, 7, 71);
        proc.thread(7, 8, 80);
        proc.thread(9, 9, 90);
        assert_eq!(waited(&sampler.sample()), [((7, 7), 71), ((9, 9), 90)]);
        let later = (0..SECOND).map(|_| sampler.sample()).last();
        let expected = [((7, 7), 71), ((7, 8), 80), ((9, 9), 90)];
        assert_eq!(waited(&later.expect("there is one")), expected);
        // It ends: its account is empty.
        proc.write("9/task/9/schedstat", "");
        assert_eq!(waited(&sampler.sample()), expected[..2]);
    }

    #[test]
    fn this_process_is_there() {
        let us = super::super::us();
        let mut sampler = Sampler::new(Path::new("/proc"), us, &[]);
        let seen = sampler.sample();
        assert!(seen.keys().any(|(pid, _)| *pid == us), "{seen:?}");
    }
}
