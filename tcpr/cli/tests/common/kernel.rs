//! What a kernel has counted.

use tcpr_cli::bed::Host;

/// What the peer's kernel has counted that a peer of one good TCP would not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Tcp InCsumErrors.
    pub(crate) bad_checksums: u64,
    /// TcpExt PAWSEstab: a TSval went back (RFC 7323, 5).
    pub(crate) old_timestamps: u64,
    /// TcpExt TCPSYNChallenge (RFC 5961, 4).
    pub(crate) unexpected_syns: u64,
    /// Tcp EstabResets.
    pub(crate) resets: u64,
}

impl Counters {
    pub(crate) fn read(host: &Host) -> Counters {
        let read = |file: &str| host.run(|| std::fs::read_to_string(file)).unwrap();
        // Not /proc/net: that is the namespace of the process's first thread.
        let text = read("/proc/thread-self/net/snmp") + &read("/proc/thread-self/net/netstat");
        let count = |group: &str, name: &str| -> u64 {
            let mut lines = text.lines().filter(|l| l.split(':').next() == Some(group));
            let names = lines.next().unwrap().split_whitespace();
            let mut pairs = names.zip(lines.next().unwrap().split_whitespace());
            pairs.find(|(n, _)| *n == name).unwrap().1.parse().unwrap()
        };
        Counters {
            bad_checksums: count("Tcp", "InCsumErrors"),
            old_timestamps: count("TcpExt", "PAWSEstab"),
            unexpected_syns: count("TcpExt", "TCPSYNChallenge"),
            resets: count("Tcp", "EstabResets"),
        }
    }
}
