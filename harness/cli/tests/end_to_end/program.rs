//! flaplab as a user runs it: its output, its exit status, its signals.
//!
//! *Assumes* nothing. *Guarantees* that no wait is without a deadline, and that a flaplab that is
//! still there at the end of a test is ended, by its number.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// The longest that any run here may take. It takes some 20 s; the rest is for a machine that
/// is busy with something else.
pub(crate) const RUN_LIMIT: Duration = Duration::from_secs(120);
/// The same of whatever is over at once.
pub(crate) const SHORT_LIMIT: Duration = Duration::from_secs(30);

/// The executable under test.
pub(crate) fn executable() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_flaplab"))
}

/// flaplab, with a terminal's environment left out.
pub(crate) fn flaplab() -> Command {
    Command::new(executable())
}

/// A scenario that comes with flaplab.
pub(crate) fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../topologies/scenarios")
        .join(name)
        .canonicalize()
        .unwrap()
}

/// A directory of a test's own, which goes with it.
pub(crate) fn workspace() -> TempDir {
    tempfile::Builder::new()
        .prefix("flaplab-end-to-end-")
        .tempdir()
        .unwrap()
}

/// `flaplab run SCENARIO --runs 1 --repeats 0 --out OUT`.
pub(crate) fn run_once(scenario: &Path, out: &Path) -> Command {
    let mut command = flaplab();
    command
        .args(["run", "--runs", "1", "--repeats", "0", "--jobs", "2"])
        .arg(scenario)
        .arg("--out")
        .arg(out);
    command
}

/// What a tool prints that a test needs. A tool that is missing is a failure with its remedy.
pub(crate) fn tool(package: &str, command: &mut Command) -> String {
    // iproute2 lies where an ordinary user's PATH may not lead.
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let output = command.output().unwrap_or_else(|e| {
        panic!(
            "cannot run {:?}: {e}; run scripts/setup --test, or install the package {package}",
            command.get_program()
        )
    });
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until there is an answer. Fails when `limit` has passed, with what `seen` then says.
pub(crate) fn until<T>(
    limit: Duration,
    what: &str,
    mut answer: impl FnMut() -> Option<T>,
    seen: impl Fn() -> String,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "{what}: not within {limit:?}; last seen: {}",
            seen()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// Fails unless the exit status is the documented one.
    #[track_caller]
    pub(crate) fn exits_with(self, code: i32) -> Self {
        assert_eq!(
            self.status.code(),
            Some(code),
            "{}\n-- stdout:\n{}\n-- stderr:\n{}",
            self.status,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Fails unless standard error is one message: one line that begins with `error:`, in which
    /// all of `parts` stand, with no panic beside it.
    #[track_caller]
    pub(crate) fn says_one_error(&self, parts: &[&str]) {
        let errors = self.stderr.matches("error:").count();
        assert_eq!(errors, 1, "one message:\n{}", self.stderr);
        self.says(parts);
    }

    /// Fails unless all of `parts` stand on standard error.
    #[track_caller]
    pub(crate) fn says(&self, parts: &[&str]) {
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        for part in parts {
            assert!(
                self.stderr.contains(part),
                "no `{part}` in:\n{}",
                self.stderr
            );
        }
    }
}

type Texts = Arc<(Mutex<[Vec<u8>; 2]>, Condvar)>;

/// A program that runs.
pub(crate) struct Running {
    child: Child,
    texts: Texts,
    readers: Vec<JoinHandle<()>>,
}

impl Running {
    /// Starts it. A Ctrl-C at `cargo test` is its too: it then takes its labs down.
    pub(crate) fn start(command: &mut Command) -> Running {
        Running::spawn(command.stdin(Stdio::null()))
    }

    /// The same, with somebody who types.
    pub(crate) fn start_typed_at(command: &mut Command) -> (Running, ChildStdin) {
        let mut running = Running::spawn(command.stdin(Stdio::piped()));
        let typed = running.child.stdin.take().unwrap();
        (running, typed)
    }

    fn spawn(command: &mut Command) -> Running {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        let texts = Texts::default();
        let stdout = child.stdout.take().unwrap();
        let stderr = child.stderr.take().unwrap();
        let readers = vec![collect(stdout, &texts, 0), collect(stderr, &texts, 1)];
        Running {
            child,
            texts,
            readers,
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Waits until `part` was printed, on either stream.
    #[track_caller]
    pub(crate) fn wait_for(&self, part: &str, limit: Duration) {
        let (lock, changed) = &*self.texts;
        let has = |texts: &[Vec<u8>; 2]| {
            texts
                .iter()
                .any(|t| String::from_utf8_lossy(t).contains(part))
        };
        let texts = lock.lock().unwrap();
        let (texts, _) = changed
            .wait_timeout_while(texts, limit, |t| !has(t))
            .unwrap();
        let told = texts
            .each_ref()
            .map(|t| String::from_utf8_lossy(t).into_owned());
        assert!(
            has(&texts),
            "`{part}` was not printed within {limit:?}:\n{}\n{}",
            told[0],
            told[1]
        );
    }

    /// Lets it run for so long, or to its end.
    pub(crate) fn let_run(&self, time: Duration) {
        let (lock, changed) = &*self.texts;
        let deadline = Instant::now() + time;
        let mut texts = lock.lock().unwrap();
        // What it prints is read to the end by threads, and told here; only the time ends this.
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            texts = changed.wait_timeout(texts, left).unwrap().0;
        }
    }

    /// Sends a signal to this one process.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self, limit: Duration) -> Finished {
        let (texts, pid) = (Arc::clone(&self.texts), self.pid());
        let status = until(
            limit,
            &format!("the end of process {pid}"),
            || self.child.try_wait().unwrap(),
            || String::from_utf8_lossy(&texts.0.lock().unwrap()[1]).into_owned(),
        );
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let texts = self.texts.0.lock().unwrap();
        let text = |i: usize| String::from_utf8_lossy(&texts[i]).into_owned();
        Finished {
            status,
            stdout: text(0),
            stderr: text(1),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Of no effect on one that has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(mut stream: impl Read + Send + 'static, texts: &Texts, index: usize) -> JoinHandle<()> {
    let texts = Arc::clone(texts);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            texts.0.lock().unwrap()[index].extend_from_slice(&buffer[..n]);
            texts.1.notify_all();
        }
    })
}

/// Runs a program to its end.
#[track_caller]
pub(crate) fn finish(command: &mut Command, limit: Duration) -> Finished {
    Running::start(command).end(limit)
}
