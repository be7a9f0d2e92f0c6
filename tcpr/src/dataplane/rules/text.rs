//! What the rules say, as iptables-restore(8) reads and iptables-save(8) writes it.
//!
//! *Assumes* nothing of the kernel.
//! *Guarantees* that a pattern written as rules is read back as that pattern.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tcpr_core::{Flow, Pattern};

use super::super::nfqueue::Placement;

/// Packets towards protected applications.
const IN: &str = "TCPR-IN";
/// Packets of protected applications.
const OUT: &str = "TCPR-OUT";
/// Segments that open a protected connection, of either side.
const SYN: &str = "TCPR-SYN";

/// A netlink attribute holds 4 octets less than the longest packet, but lo's MTU is 65,536, and
/// Linux puts two segments into a packet if it can, whatever their size (tcp_min_tso_segs). With
/// this segment size no packet is too long to be copied whole. The kernel lowers what a SYN
/// offers, and never raises it.
const MSS: u16 = 32_000;

/// How packets find their queues.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Layout {
    pub(in super::super) placement: Placement,
    /// Queues of packets towards the application, and from it.
    pub(in super::super) queues: [u16; 2],
    /// Packets with this mark are let alone.
    pub(in super::super) mark: u32,
}

/// An address family has programs and rules of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn save(self) -> &'static str {
        match self {
            Family::V4 => "iptables-save",
            Family::V6 => "ip6tables-save",
        }
    }

    pub(super) fn restore(self) -> &'static str {
        match self {
            Family::V4 => "iptables-restore",
            Family::V6 => "ip6tables-restore",
        }
    }

    fn unspecified(self) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
        }
    }

    pub(super) fn has(self, pattern: &Pattern) -> bool {
        (self == Family::V4) == is_v4(pattern)
    }
}

fn is_v4(pattern: &Pattern) -> bool {
    match pattern {
        Pattern::Local(socket) | Pattern::Remote(socket) => socket.is_ipv4(),
        Pattern::Flow(flow) => flow.local.is_ipv4(),
    }
}

/// What is there of TCPR's rules.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Present {
    /// Table and chain.
    chains: BTreeSet<(String, String)>,
    /// Table and rule of a built-in chain, as `CHAIN -j TCPR-...`.
    jumps: Vec<(String, String)>,
    /// What is protected.
    pub(super) patterns: Vec<Pattern>,
}

impl Present {
    /// Reads what iptables-save has written.
    pub(super) fn read(family: Family, saved: &str) -> Present {
        let mut present = Present::default();
        let mut table = "";
        for line in saved.lines() {
            if let Some(name) = line.strip_prefix('*') {
                table = name;
            } else if let Some(chain) = line.strip_prefix(':') {
                let name = chain.split(' ').next().unwrap_or_default();
                if [IN, OUT, SYN].contains(&name) {
                    present.chains.insert((table.to_owned(), name.to_owned()));
                }
            } else if let Some(rule) = line.strip_prefix("-A ") {
                let own = rule.starts_with("TCPR-");
                if !own
                    && [IN, OUT]
                        .iter()
                        .any(|to| rule.ends_with(&format!("-j {to}")))
                {
                    present.jumps.push((table.to_owned(), rule.to_owned()));
                } else if let ("mangle", Some(rule)) = (table, rule.strip_prefix(IN)) {
                    present.patterns.extend(read_pattern(family, rule));
                }
            }
        }
        present
    }

    /// Whether anything is there.
    pub(super) fn is_any(&self) -> bool {
        !self.chains.is_empty() || !self.jumps.is_empty()
    }

    /// The beginning of a change of a table: jumps go, and chains are there and empty.
    fn begin(&self, table: &str, chains: &[&str]) -> String {
        let mut text = format!("*{table}\n");
        for chain in chains {
            // Writing to a String does not fail.
            let _ = writeln!(text, ":{chain} - [0:0]");
        }
        for (_, jump) in self.jumps.iter().filter(|(of, _)| of == table) {
            let _ = writeln!(text, "-D {jump}");
        }
        text
    }
}

/// The rules that send packets to queues.
pub(super) fn mangle(
    layout: Layout,
    present: &Present,
    patterns: &[Pattern],
    clamp: bool,
) -> String {
    let mut text = present.begin("mangle", &[IN, OUT, SYN]);
    let from = match layout.placement {
        Placement::Host => ["INPUT", "OUTPUT"],
        Placement::Middlebox => ["FORWARD", "FORWARD"],
    };
    let mut say = |rule: String| {
        text.push_str(&rule);
        text.push('\n');
    };
    for (place, (from, chain)) in from.into_iter().zip([IN, OUT]).enumerate() {
        // First of all: what others let pass may be protected.
        let place = if layout.placement == Placement::Middlebox {
            place + 1
        } else {
            1
        };
        say(format!("-I {from} {place} -j {chain}"));
        if patterns.is_empty() {
            continue;
        }
        say(format!(
            "-A {chain} -m mark --mark {:#x} -j RETURN",
            layout.mark
        ));
        if clamp {
            say(format!(
                "-A {chain} -p tcp -m tcp --tcp-flags SYN,RST SYN -j {SYN}"
            ));
        }
    }
    for pattern in patterns {
        let [inbound, outbound] = matches(pattern);
        let [towards, of] = layout.queues;
        for (chain, packets, queue) in [(IN, &inbound, towards), (OUT, &outbound, of)] {
            say(format!(
                "-A {chain} {packets} -j NFQUEUE --queue-num {queue}"
            ));
            if clamp {
                let opening = "--tcp-flags SYN,RST SYN";
                say(format!(
                    "-A {SYN} {packets} {opening} -j TCPMSS --set-mss {MSS}"
                ));
            }
        }
    }
    // Errors about any segment: the ports within them cannot be matched.
    let queue = layout.queues[0];
    match patterns.first().map(is_v4) {
        // Destination unreachable, source quench, time exceeded, parameter problem.
        Some(true) => [3, 4, 11, 12].map(|kind| {
            say(format!(
                "-A {IN} -p icmp -m icmp --icmp-type {kind} -j NFQUEUE --queue-num {queue}"
            ));
        }),
        // Destination unreachable, packet too big, time exceeded, parameter problem.
        Some(false) => [1, 2, 3, 4].map(|kind| {
            say(format!(
                "-A {IN} -p ipv6-icmp -m icmp6 --icmpv6-type {kind} -j NFQUEUE --queue-num {queue}"
            ));
        }),
        None => [(); 4],
    };
    text.push_str("COMMIT\n");
    text
}

/// The rules that keep packets away from conntrack, which may call spliced segments invalid.
/// Injected packets of either direction begin at OUTPUT, and those to this host pass PREROUTING.
pub(super) fn raw(present: &Present, patterns: &[Pattern]) -> String {
    let mut text = present.begin("raw", &[IN, OUT]);
    for from in ["PREROUTING", "OUTPUT"] {
        for chain in [OUT, IN] {
            let _ = writeln!(text, "-I {from} 1 -j {chain}");
        }
    }
    for pattern in patterns {
        for (chain, packets) in [IN, OUT].into_iter().zip(matches(pattern)) {
            let _ = writeln!(text, "-A {chain} {packets} -j CT --notrack");
        }
    }
    text.push_str("COMMIT\n");
    text
}

/// Takes everything away that is there.
pub(super) fn removal(present: &Present) -> String {
    let mut text = String::new();
    for table in ["mangle", "raw"] {
        // SYN goes last: the others jump to it until they are empty.
        let chains: Vec<&str> = [IN, OUT, SYN]
            .into_iter()
            .filter(|chain| {
                let wanted = (table.to_owned(), (*chain).to_owned());
                present.chains.contains(&wanted)
            })
            .collect();
        if chains.is_empty() {
            continue;
        }
        text.push_str(&present.begin(table, &chains));
        for chain in chains {
            let _ = writeln!(text, "-X {chain}");
        }
        text.push_str("COMMIT\n");
    }
    text
}

/// The matches for packets towards the application, and from it.
fn matches(pattern: &Pattern) -> [String; 2] {
    let (local, remote) = match pattern {
        Pattern::Local(local) => (Some(local), None),
        Pattern::Remote(remote) => (None, Some(remote)),
        Pattern::Flow(Flow { local, remote }) => (Some(local), Some(remote)),
    };
    [(remote, local), (local, remote)].map(|(source, destination)| {
        let mut text = String::new();
        let ends = [('s', source), ('d', destination)];
        for (letter, socket) in ends {
            if let Some(ip) = socket.map(SocketAddr::ip).filter(|ip| !ip.is_unspecified()) {
                let _ = write!(text, "-{letter} {ip}/{} ", prefix(ip));
            }
        }
        text.push_str("-p tcp -m tcp");
        for (letter, socket) in ends {
            if let Some(socket) = socket {
                let _ = write!(text, " --{letter}port {}", socket.port());
            }
        }
        text
    })
}

fn prefix(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// The pattern that a rule for packets towards the application was made of.
fn read_pattern(family: Family, rule: &str) -> Option<Pattern> {
    if !rule.contains("-p tcp") || !rule.contains("-j NFQUEUE") {
        return None;
    }
    let value = |name: &str| {
        let mut words = rule.split_whitespace();
        words.find(|word| *word == name)?;
        words.next()
    };
    let socket = |address, port| -> Option<SocketAddr> {
        let port: u16 = value(port)?.parse().ok()?;
        let ip = match value(address) {
            Some(ip) => ip.split('/').next()?.parse().ok()?,
            None => family.unspecified(),
        };
        Some(SocketAddr::new(ip, port))
    };
    match (socket("-s", "--sport"), socket("-d", "--dport")) {
        (Some(remote), Some(local)) => Some(Pattern::Flow(Flow { local, remote })),
        (None, Some(local)) => Some(Pattern::Local(local)),
        (Some(remote), None) => Some(Pattern::Remote(remote)),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests;
