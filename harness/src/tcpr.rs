//! TCPR in a lab: `tcpr serve` in the injector's namespace, as a process of its own.
//!
//! *Assumes* that process 1 of the capsule is flaplab, wherever its file lies, and iptables(8) in
//! PATH. *Guarantees* that TCPR lets a connection go when its peer does: it is kept for as long as
//! the routers' hold time, counted from the injector's death.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use injectors::complaint::{self, Harmless, is_harmless};
use injectors::{Complaint, ProcessSpec};
use tcpr::Pattern;
use tcpr::core::Config;
use tcpr::dataplane::Dataplane as _;
use tcpr::dataplane::nfqueue::{Nfqueue, Options as Dataplane, Placement};
use tcpr::serve::{Options, ServeError};
use topologies::Span;

/// The subcommand that is `tcpr serve`: with the path of its socket, and for how many seconds
/// connections are kept whose application has failed.
pub const SUBCOMMAND: &str = "__tcpr";
/// Name of the process, and of its log.
pub(crate) const PROCESS: &str = "tcpr";

/// The executable, inside a capsule.
const PROGRAM: &str = "/proc/1/exe";
/// The port of BGP (RFC 4271, section 8.2.1).
const BGP: u16 = 179;
/// What routers send while the injector is down may take so much memory, octets.
const HOLD_LIMIT: usize = 256 << 20;

/// Lines that every lab may have.
const HARMLESS: [Harmless; 1] = [Harmless {
    part: "a small socket buffer loses packets in bursts",
    reason: "a lab's sessions are slow; a packet that is lost is told by a line of its own",
}];

/// What a line of its log complains of.
pub(crate) fn complaint(line: &str) -> Option<Complaint> {
    if is_harmless(line, &HARMLESS) {
        return None;
    }
    complaint::of_tracing(line)
}

/// Serves, in the calling process's namespace, until it is killed.
///
/// # Errors
/// If it cannot.
pub fn serve(socket: &Path, time_to_live: Duration) -> Result<(), ServeError> {
    let dataplane = Dataplane::default();
    tcpr::serve::serve(
        Options {
            netns: None,
            placement: Placement::Host,
            protect: Vec::new(),
            socket: socket.to_owned(),
            udp: None,
            queue: dataplane.queue,
            bounds: Config {
                time_to_live,
                ..Config::default()
            },
            hold_limit: HOLD_LIMIT,
        },
        |_| {},
    )?;
    Ok(())
}

/// The process.
pub(crate) fn process(socket: &Path, hold_time: Span) -> ProcessSpec {
    ProcessSpec {
        name: PROCESS.to_owned(),
        program: PROGRAM.to_owned(),
        args: vec![
            SUBCOMMAND.to_owned(),
            socket.display().to_string(),
            hold_time.as_duration().as_secs().to_string(),
        ],
        env: Vec::new(),
    }
}

/// Tries, in the calling thread's namespace, whether packets can be queued and put back, with the
/// rules for one connection.
pub(crate) fn examine() -> Result<String, String> {
    let dataplane = Nfqueue::open(&Dataplane::default());
    let (mut dataplane, _) = dataplane.map_err(|e| e.to_string())?;
    let peer = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), BGP));
    dataplane
        .protect(&[Pattern::Remote(peer)])
        .map_err(|e| e.to_string())?;
    dataplane.release().map_err(|e| e.to_string())?;
    Ok("rules of iptables go in, and lead to NFQUEUE".to_owned())
}
