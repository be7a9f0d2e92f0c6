//! What the kernel's own rules make of routes that compete.

use super::network::{by_way_of, clique, hop};
use crate::frame::{Install, Route, TableRecord};
use crate::tables::{Best, Table};

fn table(records: &[TableRecord]) -> Table {
    let mut table = Table::default();
    for record in records {
        table.apply(record);
    }
    table
}

fn to(peer: &str) -> Route {
    by_way_of(&clique(4, false), "r2", peer)
}

fn forward(peer: &str) -> Best {
    Best::Forward(vec![hop(&clique(4, false), "r2", peer)])
}

fn add(route: &Route, install: Install) -> TableRecord {
    TableRecord::RouteAdded(route.clone(), install)
}

#[test]
fn the_longest_prefix_wins_and_then_the_lowest_priority() {
    let mut default = to("r1");
    default.prefix = "0.0.0.0/0".parse().unwrap();
    default.priority = 0;
    let mut host = to("r4");
    host.prefix = "198.51.100.1/32".parse().unwrap();
    host.priority = 200;
    let usual = to("r3");
    let mut better = to("r1");
    better.priority = 10;

    let mut records = vec![add(&default, Install::First)];
    assert_eq!(table(&records).best(), forward("r1"));
    records.push(add(&usual, Install::First));
    assert_eq!(table(&records).best(), forward("r3"));
    records.push(add(&better, Install::First));
    assert_eq!(table(&records).best(), forward("r1"));
    records.push(add(&host, Install::First));
    assert_eq!(table(&records).best(), forward("r4"));
    records.push(TableRecord::RouteRemoved(host));
    records.push(TableRecord::RouteRemoved(better));
    assert_eq!(table(&records).best(), forward("r3"));
}

#[test]
fn another_priority_is_another_route() {
    let mut worse = to("r3");
    worse.priority = 30;
    let records = [
        add(&to("r1"), Install::First),
        add(&worse, Install::Replace), // replaces nothing: there is none of its priority
        TableRecord::RouteRemoved(to("r1")),
    ];
    assert_eq!(table(&records).best(), forward("r3"));
}

#[test]
fn a_route_read_from_the_dump_and_announced_again_is_one_route() {
    let records = [
        add(&to("r1"), Install::Beside),
        add(&to("r1"), Install::Beside),
        TableRecord::RouteRemoved(to("r1")),
    ];
    assert_eq!(table(&records[..2]).best(), forward("r1"));
    assert_eq!(table(&records).best(), Best::NoRoute);
}

#[test]
fn an_exclusive_install_shows_that_the_kernel_had_none() {
    // The first one vanished without a word, or else this one would have been refused.
    let records = [
        add(&to("r1"), Install::First),
        add(&to("r3"), Install::First),
    ];
    assert_eq!(table(&records).best(), forward("r3"));
}

#[test]
fn of_two_alternatives_the_one_that_is_described_goes() {
    let records = [
        add(&to("r1"), Install::First),
        add(&to("r3"), Install::Beside),
        TableRecord::RouteRemoved(to("r1")),
    ];
    assert!(table(&records[..2]).best().is_multipath());
    assert_eq!(table(&records).best(), forward("r3"));
}

#[test]
fn a_path_of_several_goes_with_its_device_and_the_others_stay() {
    let mut both = to("r1");
    both.hops.extend(to("r3").hops);
    let lost = TableRecord::Device {
        index: both.hops[0].device.unwrap(),
        name: "to-r1".to_owned(),
        up: true,
        running: false,
    };
    let records = [add(&both, Install::First), lost];
    assert_eq!(table(&records).best(), forward("r3"));
}

#[test]
fn a_route_that_vanishes_with_its_device_uncovers_the_next_best() {
    let mut default = to("r3");
    default.prefix = "0.0.0.0/0".parse().unwrap();
    let best = to("r1");
    let gone = TableRecord::DeviceRemoved {
        index: best.hops[0].device.unwrap(),
    };
    let records = [
        add(&default, Install::First),
        add(&best, Install::First),
        gone,
    ];
    assert_eq!(table(&records).best(), forward("r3"));
}

#[test]
fn a_route_without_nexthop_object_outlives_its_carrier_and_not_its_device() {
    let mut plain = to("r1");
    plain.nhid = None;
    let device = |up| TableRecord::Device {
        index: plain.hops[0].device.unwrap(),
        name: "to-r1".to_owned(),
        up,
        running: false,
    };
    let without_carrier = [add(&plain, Install::First), device(true)];
    assert_eq!(table(&without_carrier).best(), forward("r1"));
    let down = [add(&plain, Install::First), device(false)];
    assert_eq!(table(&down).best(), Best::NoRoute);
}
