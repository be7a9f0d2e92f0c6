//! What passes at a host, recorded into a capture file.

use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use pcap::{Active, Capture};
use tcpr_cli::bed::Host;

const BLOCK: Duration = Duration::from_millis(20);

/// A running recording.
#[derive(Debug)]
pub(crate) struct Recording {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    recorder: JoinHandle<u32>,
}

impl Recording {
    /// Records what passes at the host's wire, from now on.
    pub(crate) fn start(host: &Host, path: &Path) -> Recording {
        let capture = host.run(|| {
            let capture = Capture::from_device("eth0").unwrap();
            // Segments that offloading will cut have up to 64 KiB.
            let capture = capture.snaplen(1 << 18).buffer_size(128 << 20);
            capture.timeout(BLOCK.as_millis() as i32).open().unwrap()
        });
        let stop = Arc::new(AtomicBool::new(false));
        let (file, stopped) = (path.to_owned(), Arc::clone(&stop));
        Recording {
            path: path.to_owned(),
            stop,
            recorder: thread::spawn(move || record(capture, &file, &stopped)),
        }
    }

    /// Writes what is still to be written, and gives the file. Not a packet may be missing from it.
    pub(crate) fn stop(self) -> PathBuf {
        self.stop.store(true, Relaxed);
        let missing = self.recorder.join().unwrap();
        assert_eq!(missing, 0, "packets that the capture had no room for");
        self.path
    }
}

/// Waits for packets, for [`BLOCK`] at most.
fn wait(capture: &Capture<Active>) {
    // SAFETY: the capture keeps its descriptor open for longer than it is borrowed here.
    let descriptor = unsafe { BorrowedFd::borrow_raw(capture.as_raw_fd()) };
    let mut polled = [PollFd::new(descriptor, PollFlags::POLLIN)];
    // Whatever comes of it, the capture is asked again.
    let _ = poll(&mut polled, BLOCK.as_millis() as u16);
}

/// The kernel hands over a block of packets that is not full after [`BLOCK`].
fn record(capture: Capture<Active>, path: &Path, stopped: &AtomicBool) -> u32 {
    let mut file = capture.savefile(path).unwrap();
    let mut capture = capture.setnonblock().unwrap();
    let mut heard = Instant::now();
    loop {
        match capture.next_packet() {
            Ok(packet) => {
                file.write(&packet);
                heard = Instant::now();
            }
            Err(pcap::Error::TimeoutExpired) => {
                if stopped.load(Relaxed) && heard.elapsed() > 10 * BLOCK {
                    break;
                }
                wait(&capture);
            }
            Err(e) => panic!("{e}"),
        }
    }
    file.flush().unwrap();
    capture.stats().unwrap().dropped
}
