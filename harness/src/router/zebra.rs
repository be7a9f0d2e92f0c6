//! What FRRouting and Quagga have in common, both being heirs of GNU Zebra: how neighbors are
//! configured, in which order daemons start, and how the log tells of sessions.
//!
//! *Assumes* a resolved scenario, and logs written with `log timestamp precision 6` in UTC.
//! *Guarantees* lines that every version from Quagga 0.99.22 on takes.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use injectors::Complaint;
use injectors::complaint::{Harmless, is_harmless};
use jiff::civil::DateTime;
use topologies::{LinkRole, ResolvedScenario, Span};

use super::{RouterProcess, SessionChange};

/// The daemon's own judgement in each line of its log: what is unexpected is told by it.
pub(super) const RECORD_PRIORITY: &str = "log record-priority\n";

/// Priorities as the logs write them, the gravest first (lib/zlog.c, lib/log.c).
const ERRORS: [&str; 4] = ["emergencies", "alerts", "critical", "errors"];
const WARNING: &str = "warnings";

/// What a daemon says that stood still, or was not told of something by the kernel or could not tell
/// its peer.
const FATAL: [&str; 6] = [
    // A task ran for more than 5 s, of CPU time or by the clock (lib/thread.c).
    "CPU HOG: ",
    "STARVATION: ",
    "SLOW THREAD: ",
    // A timer was served more than 4 s late.
    "Thread Starvation: ",
    // zebra: messages of the kernel about links and routes were lost.
    "recvmsg overrun",
    // bgpd: for a hold time nothing could be sent to a peer.
    "has not made any SendQ progress",
];

/// Lines that every lab may have.
const HARMLESS: [Harmless; 3] = [
    Harmless {
        part: "Disabling MPLS support (no kernel support)",
        reason: "labs have no MPLS",
    },
    Harmless {
        part: "Graceful restart configuration changed, reset all peers to take effect",
        reason: "said while the configuration is read, before there are peers",
    },
    Harmless {
        part: "INTERFACE_STATE: Cannot find IF",
        reason: "bgpd, at its start, hears that a device is up before it hears that there is one; \
                 without a device its sessions would not come up, and the run would fail",
    },
];

/// Name of the prefix list that keeps the filler out.
const DESTINATION_LIST: &str = "DESTINATION";

/// Zebra and bgpd of a node, as `daemon` makes them of a name and of the paths that they wait for: bgpd
/// waits for zebra's socket, `zserv`. `before` is what the node before has when its zebra and its bgpd
/// are up: one bgpd comes after the other (see `passive` in their configuration), and one zebra too,
/// for started all at once they would all be ready late, and the first bgpd with them.
pub(super) fn in_turn(
    daemon: impl Fn(&str, Vec<PathBuf>) -> RouterProcess,
    zserv: PathBuf,
    before: Option<(PathBuf, PathBuf)>,
) -> Vec<RouterProcess> {
    let (zebra_before, bgpd_before) = before.unzip();
    let zebra = daemon("zebra", zebra_before.into_iter().collect());
    let after = [zserv].into_iter().chain(bgpd_before).collect();
    vec![zebra, daemon("bgpd", after)]
}

/// A timer as the daemons take it.
pub(super) fn seconds(span: Span) -> u64 {
    span.as_duration().as_secs()
}

/// zebra's configuration: all of it that a lab needs.
pub(super) fn zebra(node: &str) -> String {
    format!("hostname {node}\nlog stdout\nlog timestamp precision 6\n{RECORD_PRIORITY}")
}

/// The neighbors of one router, in its BGP section.
pub(super) fn neighbors(scenario: &ResolvedScenario, name: &str) -> String {
    let topology = &scenario.topology;
    let settings = &scenario.router;
    let position = |node: &str| topology.nodes.iter().position(|n| n.name == node);
    let mut text = String::new();
    for end in topology.ends(name) {
        let peer_asn = topology.node(end.peer).map_or(0, |n| n.asn);
        let peer = end.peer_addr;
        let _ = write!(
            text,
            " neighbor {peer} remote-as {peer_asn}\n neighbor {peer} description {}\n neighbor {peer} timers connect \
             {}\n neighbor {peer} advertisement-interval {}\n",
            end.peer,
            seconds(settings.connect_retry),
            seconds(settings.mrai),
        );
        // Two bgpds that open a connection to each other at the same time may both lose it
        // (RFC 4271, section 6.8) and try again a second later. The one that is started first
        // waits; the other opens, as it would anyway, for it finds the first one listening.
        if end.role == LinkRole::Peering && position(name) < position(end.peer) {
            let _ = writeln!(text, " neighbor {peer} passive");
        }
    }
    text
}

/// The injector's sessions of one router let nothing in but the destination.
pub(super) fn filters(scenario: &ResolvedScenario, name: &str, indent: &str) -> String {
    let ends = scenario.topology.ends(name);
    ends.filter(|e| e.role != LinkRole::Peering)
        .map(|end| {
            format!(
                "{indent}neighbor {} prefix-list {DESTINATION_LIST} in\n",
                end.peer_addr
            )
        })
        .collect()
}

/// The list that [`filters`] refers to, and the author's own lines after it.
pub(super) fn trailer(scenario: &ResolvedScenario, name: &str) -> String {
    let mut text = format!(
        "!\nip prefix-list {DESTINATION_LIST} seq 5 permit {}\n!\n",
        scenario.topology.destination
    );
    let extra = scenario.router.extra_config.get(name);
    for line in extra.into_iter().flatten() {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// A session's change, if a line of bgpd's log tells of one.
///
/// FRR: `2026/01/02 03:04:05.678901 BGP: [M59KS-A3ZXZ] %ADJCHANGE: neighbor 198.18.0.1(r2) in vrf
/// default Down Peer closed the session`. Quagga: `2026/01/02 03:04:05.678901 BGP: %ADJCHANGE:
/// neighbor 198.18.0.1 Down Peer closed the session`.
pub(super) fn session_change(line: &str) -> Option<SessionChange> {
    let (head, tail) = line.split_once("%ADJCHANGE: neighbor ")?;
    let stamp = head.get(..26)?;
    let at = DateTime::strptime("%Y/%m/%d %H:%M:%S%.f", stamp).ok()?;
    let at = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    let (peer, rest) = tail.split_once(['(', ' '])?;
    let text = match rest.split_once("in vrf ") {
        Some((_, named)) => named.split_once(' ')?.1,
        None => rest,
    };
    let up = match text.split_whitespace().next()? {
        "Up" => true,
        "Down" => false,
        _ => return None,
    };
    Some(SessionChange {
        t_wall_ns: u64::try_from(at.as_nanosecond()).ok()?,
        peer: peer.parse::<Ipv4Addr>().ok()?,
        up,
        text: text.to_owned(),
    })
}

/// What a line complains of. What does not begin with a time is not of the log, but of the C library, of
/// the dynamic linker, or of a daemon at its end.
pub(super) fn complaint(line: &str) -> Option<Complaint> {
    if line.trim().is_empty() || is_harmless(line, &HARMLESS) {
        return None;
    }
    if FATAL.iter().any(|part| line.contains(part)) {
        return Some(Complaint::Fatal);
    }
    let Some(said) = after_the_time(line) else {
        return Some(Complaint::Error);
    };
    let priority = said.split(": ").next().unwrap_or_default();
    if ERRORS.contains(&priority) {
        return Some(Complaint::Error);
    }
    // Before its configuration is read a daemon writes no priorities, but FRR's numbers of errors and
    // warnings.
    (priority == WARNING || said.contains("[EC ")).then_some(Complaint::Warning)
}

/// What follows `2026/01/02 03:04:05` and its fraction, if there is one.
fn after_the_time(line: &str) -> Option<&str> {
    let (date, rest) = line.split_once(' ')?;
    let (time, said) = rest.split_once(' ')?;
    let is = |text: &str, mark: char, parts: usize| {
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        text.split(mark).count() == parts && text.split(mark).all(digits)
    };
    (is(date, '/', 3) && is(time, ':', 3)).then_some(said)
}

/// The word after `version` in the first line of what `bgpd --version` prints.
pub(super) fn version(output: &str) -> Option<String> {
    let words = output.lines().next()?.split_whitespace();
    words
        .skip_while(|word| *word != "version")
        .nth(1)
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_complains_by_its_priority_or_by_what_it_tells_or_because_it_is_no_line_of_the_log() {
        const AT: &str = "2026/01/02 03:04:05.678901";
        const COARSE: &str = "2026/01/02 03:04:05";
        for (line, complaint) in [
            (
                format!("{AT} informational: BGP: [X] %ADJCHANGE: neighbor x Up"),
                None,
            ),
            (
                format!("{AT} notifications: ZEBRA: errors: are a word"),
                None,
            ),
            (
                format!("{AT} debugging: BGP: [X] warnings: are a word"),
                None,
            ),
            (
                format!("{AT} warnings: BGP: [X] x"),
                Some(Complaint::Warning),
            ),
            (
                format!("{AT} errors: BGP: [X][EC 1] x"),
                Some(Complaint::Error),
            ),
            (format!("{AT} alerts: BGP: x"), Some(Complaint::Error)),
            // Before the configuration is read: no priority, and no fraction.
            (
                format!("{COARSE} BGP: [X][EC 33554499] x"),
                Some(Complaint::Warning),
            ),
            (format!("{COARSE} BGP: [X] x"), None),
            (
                format!("{COARSE} ZEBRA: [X][EC 1] Disabling MPLS support (no kernel support)"),
                None,
            ),
            (
                format!(
                    "{AT} errors: BGP: [X][EC 1] INTERFACE_STATE: Cannot find IF to-r3 in VRF 0"
                ),
                None,
            ),
            (
                format!("{AT} warnings: BGP: [X][EC 1] CPU HOG: task x ran for 6000ms"),
                Some(Complaint::Fatal),
            ),
            (
                "bgpd: symbol lookup error".to_owned(),
                Some(Complaint::Error),
            ),
            (
                "malloc(): corrupted top size".to_owned(),
                Some(Complaint::Error),
            ),
            (String::new(), None),
        ] {
            assert_eq!(super::complaint(&line), complaint, "{line}");
        }
    }
}
