//! Byte for byte what iproute2 writes, and readable by it: `rtmon` records a namespace of our
//! own, our reader reads that; our writer writes the same messages, `ip monitor file` replays it.

use std::process::Command;
use std::sync::OnceLock;

use results::rtmon::{NLMSG_TSTAMP, NextHop, Op, Reader, Record, Route, RouteKind, Writer};

use crate::tools::{run, stdout};

/// What happens in the namespace. `rtmon` writes the links as they stand, then what changes;
/// the last route is the sign that it has read everything.
const SCRIPT: &str = r#"
set -e
ip link add name wa type veth peer name wb
ip link add name wc type veth peer name wd
ip address add 10.0.0.0/31 dev wa
ip address add 10.0.1.0/31 dev wc
for l in lo wa wb wc wd; do ip link set $l up; done
ip route add 192.0.2.0/24 via 10.0.0.1
rtmon file "$1" & pid=$!
n=0; until [ -s "$1" ]; do n=$((n+1)); [ $n -lt 200 ]; sleep 0.05; done
ip route add 198.51.100.0/24 via 10.0.0.1 metric 20
ip route replace 198.51.100.0/24 via 10.0.1.1 metric 20
ip route append 198.51.100.0/24 via 10.0.0.1 metric 20
ip route add 198.51.101.0/24 nexthop via 10.0.0.1 nexthop via 10.0.1.1 weight 3
ip nexthop add id 7 via 10.0.0.1 dev wa
ip nexthop add id 8 group 7
ip nexthop add id 9 blackhole
ip route add 198.51.102.0/24 nhid 7
ip route add blackhole 198.51.103.0/24 table 1000
ip route add default via 10.0.0.1 proto 186
ip route del 192.0.2.0/24
ip link set wb down
ip address del 10.0.1.0/31 dev wc
ip route add unreachable 203.0.113.77/32
n=0
until ip monitor file "$1" 2>/dev/null | grep -q 203.0.113.77; do
  n=$((n+1)); [ $n -lt 200 ]; sleep 0.05
done
kill $pid
"#;

/// The file that `rtmon` made of it.
fn recorded() -> &'static [u8] {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("routes.rtmon");
        run(
            "util-linux iproute2",
            Command::new("unshare")
                .args(["-Urn", "sh", "-c", SCRIPT, "sh"])
                .arg(&file),
        );
        std::fs::read(file).unwrap()
    })
}

/// The netlink messages of a file, timestamps too, each with its padding.
fn messages(mut file: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while !file.is_empty() {
        let len = u32::from_ne_bytes(file[..4].try_into().unwrap()) as usize;
        let (message, rest) = file.split_at(len.next_multiple_of(4));
        found.push(message);
        file = rest;
    }
    found
}

fn is_timestamp(message: &[u8]) -> bool {
    message[4..6] == NLMSG_TSTAMP.to_ne_bytes()
}

/// What `ip monitor file` says of a file: the timestamps, and everything else.
fn replay(file: &[u8]) -> (Vec<String>, Vec<String>) {
    let temp = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(temp.path(), file).unwrap();
    let said = stdout(
        "iproute2",
        Command::new("ip")
            .env("TZ", "UTC")
            .args(["monitor", "file"])
            .arg(temp.path()),
    );
    said.lines()
        .map(str::to_owned)
        .partition(|l| l.starts_with("Timestamp: "))
}

#[test]
fn the_reader_reads_what_rtmon_wrote() {
    let records: Vec<_> = Reader::new(recorded()).map(Result::unwrap).collect();
    let index = |wanted: &str| {
        records
            .iter()
            .find_map(|(_, r)| match r {
                Record::Link(l) if l.name == wanted => Some(l.index),
                _ => None,
            })
            .unwrap()
    };
    let (wa, wc) = (index("wa"), index("wc"));
    let hop = |gateway: &str, oif| NextHop {
        gateway: Some(gateway.parse().unwrap()),
        oif: Some(oif),
    };
    let routes: Vec<&Route> = records
        .iter()
        .filter_map(|(_, r)| match r {
            // The kernel's own routes come and go with addresses.
            Record::Route(r) if r.protocol != 2 => Some(r),
            _ => None,
        })
        .collect();
    let told: Vec<_> = routes
        .iter()
        .map(|r| {
            let op = match r.op {
                Op::New { replace: true, .. } => "replace",
                Op::New { append: true, .. } => "append",
                Op::New { .. } => "add",
                Op::Del => "del",
            };
            (op, r.dst.to_string(), r.nexthops.clone())
        })
        .collect();
    let tell = |op, dst: &str, hops: &[NextHop]| (op, dst.to_owned(), hops.to_vec());
    let (a, c) = (hop("10.0.0.1", wa), hop("10.0.1.1", wc));
    assert_eq!(
        told,
        [
            tell("add", "198.51.100.0/24", &[a]),
            tell("replace", "198.51.100.0/24", &[c]),
            tell("append", "198.51.100.0/24", &[a]),
            tell("add", "198.51.101.0/24", &[a, c]),
            tell("add", "198.51.102.0/24", &[a]),
            tell("add", "198.51.103.0/24", &[]),
            tell("add", "0.0.0.0/0", &[a]),
            tell("del", "192.0.2.0/24", &[a]),
            tell("add", "203.0.113.77/32", &[]),
        ]
    );
    assert_eq!((routes[0].priority, routes[0].table), (20, 254));
    assert_eq!(routes[4].nhid, Some(7));
    assert_eq!(
        (routes[5].kind, routes[5].table),
        (RouteKind::Blackhole, 1000)
    );
    assert_eq!(routes[6].protocol, 186);
    assert_eq!(routes[8].kind, RouteKind::Unreachable);

    let objects: Vec<_> = records
        .iter()
        .filter_map(|(_, r)| match r {
            Record::Nexthop(n) if n.op.is_new() => Some(n),
            _ => None,
        })
        .collect();
    assert_eq!((objects[0].id, objects[0].nexthop), (7, a));
    assert_eq!((objects[1].id, &objects[1].group[..]), (8, &[7][..]));
    assert_eq!((objects[2].id, objects[2].blackhole), (9, true));

    // wa loses its carrier when wb goes down: it stays up, and no longer runs.
    let last = |wanted: &str| {
        records
            .iter()
            .rev()
            .find_map(|(_, r)| match r {
                Record::Link(l) if l.name == wanted => Some((l.up, l.running, l.lower_up)),
                _ => None,
            })
            .unwrap()
    };
    assert_eq!(last("wb"), (false, false, false));
    assert_eq!(last("wa"), (true, false, false));
    assert_eq!(last("wc"), (true, true, true));
    assert!(records.iter().any(|(_, r)| matches!(r,
        Record::Address(a) if a.op == Op::Del && a.index == wc
            && a.address.to_string() == "10.0.1.0/31")));
}

#[test]
fn the_flags_of_a_replaced_and_of_a_new_route_are_kept() {
    let flags: Vec<u16> = messages(recorded())
        .into_iter()
        .filter(|m| m[4..6] == 24_u16.to_ne_bytes() && m[16] == 2) // RTM_NEWROUTE, AF_INET
        .map(|m| u16::from_ne_bytes([m[6], m[7]]))
        .collect();
    // NLM_F_CREATE | NLM_F_EXCL; NLM_F_REPLACE; NLM_F_CREATE | NLM_F_APPEND.
    assert_eq!(flags[..3], [0x600, 0x100, 0xc00]);
    let read: Vec<u16> = Reader::new(recorded())
        .filter_map(|r| match r.unwrap().1 {
            Record::Route(r) if r.op.is_new() => Some(r.flags),
            _ => None,
        })
        .collect();
    assert_eq!(read, flags);
}

#[test]
fn the_writer_writes_the_very_octets_that_rtmon_writes() {
    let all = messages(recorded());
    // From the first change on, rtmon dates each message.
    let first = all.iter().rposition(|m| !is_timestamp(m)).unwrap();
    let first = (0..first)
        .find(|&i| {
            all[i..]
                .chunks(2)
                .all(|c| is_timestamp(c[0]) && c.len() == 2)
        })
        .unwrap();
    let mut writer = Writer::new(Vec::new());
    for pair in all[first..].chunks(2) {
        let stamp: &[u8; 8] = pair[0][16..].try_into().unwrap();
        let sec = u32::from_ne_bytes(stamp[..4].try_into().unwrap());
        let usec = u32::from_ne_bytes(stamp[4..].try_into().unwrap());
        let wall_ns = u64::from(sec) * 1_000_000_000 + u64::from(usec) * 1_000 + 999;
        writer.write(wall_ns, pair[1]).unwrap();
    }
    assert!(all[first..].len() > 20);
    assert_eq!(writer.into_inner(), all[first..].concat());
}

#[test]
fn ip_monitor_replays_what_the_writer_wrote_with_its_times() {
    let mut writer = Writer::new(Vec::new());
    let mut expected = Vec::new();
    let mut wall_ns = 1_763_636_400_000_000_123;
    for message in messages(recorded()) {
        if is_timestamp(message) {
            continue;
        }
        writer.write(wall_ns, message).unwrap();
        // As asctime(3) has it, and microseconds without leading zeros.
        let stamp = jiff::Timestamp::from_nanosecond(i128::from(wall_ns)).unwrap();
        expected.push(format!(
            "Timestamp: {} {} us",
            stamp.strftime("%a %b %e %H:%M:%S %Y"),
            wall_ns / 1_000 % 1_000_000
        ));
        wall_ns += 3_600_000_007_000;
    }
    let file = writer.into_inner();
    let (timestamps, ours) = replay(&file);
    assert_eq!(timestamps, expected);
    let (_, theirs) = replay(recorded());
    assert_eq!(ours, theirs);
    let read: Vec<u64> = Reader::new(&file).map(|r| r.unwrap().0).collect();
    assert_eq!(read[0], 1_763_636_400_000_000_000);
    assert_eq!(read.len(), expected.len());
}
