//! The replay of a table against a kernel's own: `kernel/routes.rtmon` is what Linux 6.18 said,
//! `kernel/tables.txt` what `ip route show` printed after each step. `kernel/record.sh` makes both.
//! Netlink is in the host's byte order, and so is the file.

#![cfg(target_endian = "little")]

use std::net::Ipv4Addr;

use results::rtmon::Reader;

use crate::frame::Hop;
use crate::node_records::table_record;
use crate::tables::{Best, Table};

const RECORDS: &[u8] = include_bytes!("kernel/routes.rtmon");
const TABLES: &str = include_str!("kernel/tables.txt");

/// What follows a word of a line of `ip route show`.
fn after<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let mut words = line.split_whitespace();
    words.find(|w| *w == word)?;
    words.next()
}

/// What the lines of `ip route show` for one prefix do with a packet: those of the lowest metric
/// count.
fn best_of(lines: &[&str], table: &Table) -> Best {
    let metric = |l: &str| after(l, "metric").unwrap().parse::<u32>().unwrap();
    let Some(lowest) = lines.iter().map(|l| metric(l)).min() else {
        return Best::NoRoute;
    };
    let mut hops = Vec::new();
    for line in lines.iter().filter(|l| metric(l) == lowest) {
        match line.split_whitespace().next() {
            Some("unreachable") => return Best::NoRoute,
            Some("blackhole") => return Best::Discard,
            _ => {}
        }
        let name = after(line, "dev").unwrap();
        hops.push(Hop {
            gateway: Some(after(line, "via").unwrap().parse().unwrap()),
            device: (1..10).find(|&i| table.device(i).is_some_and(|d| d.name == name)),
        });
    }
    hops.sort();
    Best::Forward(hops)
}

#[test]
fn the_replayed_table_is_the_kernels_after_every_step() {
    let destination = Ipv4Addr::new(198, 51, 100, 1);
    let mut records = Reader::new(RECORDS).map(Result::unwrap).peekable();
    let mut table = Table::default();
    let mut steps = 0;
    let mut lines = TABLES.lines().peekable();
    while let Some(step) = lines.next() {
        let (t_ns, command) = step.split_once(' ').unwrap();
        let t_ns: u64 = t_ns.parse().unwrap();
        let mut shown = Vec::new();
        while let Some(line) = lines.next_if(|l| l.starts_with(' ')) {
            shown.push(line);
        }
        while let Some((_, record)) = records.next_if(|(r_ns, _)| *r_ns < t_ns) {
            if let Some(record) = table_record(record, destination) {
                table.apply(&record);
            }
        }
        assert_eq!(table.best(), best_of(&shown, &table), "after {command}");
        steps += 1;
    }
    assert_eq!(steps, 23);
}
