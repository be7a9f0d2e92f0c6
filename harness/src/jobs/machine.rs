//! What the machine has, and what of it a lab uses.
//!
//! *Assumes* /proc, and that a capsule's processes have one PID namespace for themselves (they are
//! seen from outside under other numbers). *Guarantees* figures as the kernel gives them, and none
//! where it gives none: nothing here fails.

use std::fs;
use std::path::PathBuf;

use super::controller::Machine;

/// The machine's CPUs and memory.
#[must_use]
pub fn machine() -> Machine {
    Machine {
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
        memory_bytes: meminfo("MemTotal:").unwrap_or(0),
    }
}

/// Memory that can be had without swapping, octets: nothing keeps a lab from beginning where the
/// kernel does not tell.
#[must_use]
pub fn available_bytes() -> u64 {
    meminfo("MemAvailable:").unwrap_or(u64::MAX)
}

fn meminfo(key: &str) -> Option<u64> {
    kib_after(&fs::read_to_string("/proc/meminfo").ok()?, key)
}

/// Memory of all processes of a capsule, octets: what they share among one another is counted
/// once, and what they share with the other labs in proportion (PSS).
#[must_use]
pub fn memory_bytes(init_pid: i32) -> Option<u64> {
    let rollup = |process: &PathBuf| fs::read_to_string(process.join("smaps_rollup")).ok();
    let pss: Vec<u64> = processes(init_pid)?
        .iter()
        .filter_map(rollup)
        .filter_map(|text| kib_after(&text, "Pss:"))
        .collect();
    (!pss.is_empty()).then(|| pss.iter().sum())
}

/// CPU time of all processes of a capsule, those that have ended included, seconds.
#[must_use]
pub fn cpu_s(init_pid: i32) -> Option<f64> {
    let per_s = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok()??;
    let stat = |process: &PathBuf| fs::read_to_string(process.join("stat")).ok();
    let ticks: u64 = processes(init_pid)?
        .iter()
        .filter_map(stat)
        .filter_map(|text| cpu_ticks(&text))
        .sum();
    Some(ticks as f64 / per_s as f64)
}

/// The processes that are in one PID namespace with this one.
fn processes(init_pid: i32) -> Option<Vec<PathBuf>> {
    let space = |process: PathBuf| fs::read_link(process.join("ns/pid")).ok();
    let wanted = space(PathBuf::from(format!("/proc/{init_pid}")))?;
    let is_process =
        |name: &std::ffi::OsStr| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    let found = fs::read_dir("/proc").ok()?;
    let of_capsule = found
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(is_process))
        .filter(|path| space(path.clone()).as_ref() == Some(&wanted));
    Some(of_capsule.collect())
}

/// The number of a line such as `Pss:   123 kB`, in octets.
fn kib_after(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(key))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib << 10)
}

/// utime, stime, and those of the children that were waited for (proc(5), fields 14 to 17 of
/// `stat`). The second field is the name, which may have spaces and parentheses in it.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields = rest.split_whitespace().skip(11).take(4);
    let ticks: Vec<u64> = fields.filter_map(|f| f.parse().ok()).collect();
    (ticks.len() == 4).then(|| ticks.iter().sum())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_read() {
        let text = "Rss:  9 kB\nPss:                 123 kB\nPss_Dirty: 7 kB\n";
        assert_eq!(kib_after(text, "Pss:"), Some(123 << 10));
        assert_eq!(kib_after("Pss: many kB", "Pss:"), None);
        let stat = "42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 100 20 3 4 20 0 1 0";
        assert_eq!(cpu_ticks(stat), Some(127));
        assert_eq!(cpu_ticks("42 (cut"), None);
    }

    #[test]
    fn this_machine_and_this_process_are_seen() {
        let machine = machine();
        assert!(machine.cpus > 0);
        assert!(machine.memory_bytes >= available_bytes());
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(memory_bytes(own).unwrap() > 100 << 10);
        assert!(cpu_s(own).is_some());
        assert_eq!(memory_bytes(i32::MAX), None);
    }
}
