//! Timers, fillers, arms and deadlines that cannot be or contradict each other.

use crate::{b_clique4, clique4, clique4_failing, refusal, refused};

#[test]
fn an_impossible_mrai_is_refused() {
    let with = |mrai: &str| clique4(&format!("router:\n  mrai: {mrai}"));
    refused(
        &with("-5s"),
        (5, 9),
        "`-5s` is negative",
        "a duration is zero or more",
    );
    refused(
        &with("5"),
        (5, 9),
        "`5` is not a duration",
        "write a number and a unit, such as `5s`, `500ms` or `2m`",
    );
    refused(
        &with("7500ms"),
        (5, 9),
        "`mrai` is 7500ms, but FRR takes whole seconds",
        "write `7s` or `8s`",
    );
    refused(
        &with("601s"),
        (5, 9),
        "`mrai` is 601s: out of range for FRR",
        "write `0s` to `600s`",
    );
}

#[test]
fn every_duration_wants_its_unit() {
    for (more, column) in [
        ("router: {connect_retry: 1}", 25),
        ("router: {keepalive: 1}", 21),
        ("router: {hold_time: 9}", 21),
        ("router: {stale_path_time: 9}", 27),
        ("injector: {restart_time: 9}", 26),
        ("deadlines: {established: 9}", 26),
        ("deadlines: {settled: 9}", 22),
        ("deadlines: {quiet: 9}", 20),
    ] {
        let r = refusal(&clique4(more));
        assert_eq!((r.line, r.column), (4, column), "{r}");
        assert!(r.problem.ends_with("is not a duration"), "{r}");
    }
}

#[test]
fn timers_that_the_protocol_or_the_router_cannot_hold_are_refused() {
    refused(
        &clique4("router:\n  hold_time: 2s"),
        (5, 14),
        "`hold_time` is 2s: less than 3 s",
        "write `3s` or more (RFC 4271, section 4.2); a session without a hold time is not supported",
    );
    refused(
        &clique4("router:\n  hold_time: 30s\n  keepalive: 11s"),
        (6, 14),
        "`keepalive` is 11s: more than a third of the `hold_time` of line 5, 30s",
        "write `10s` or less (RFC 4271, section 10), or a longer `hold_time`",
    );
    refused(
        &clique4("router:\n  keepalive: 61s"),
        (5, 14),
        "`keepalive` is 61s: more than a third of the default `hold_time`, 180s",
        "write `60s` or less (RFC 4271, section 10), or a longer `hold_time`",
    );
    refused(
        &clique4("router: {connect_retry: 0s}"),
        (4, 25),
        "`connect_retry` is 0s: out of range for FRR",
        "write `1s` to `65535s`",
    );
    refused(
        &clique4("router: {stale_path_time: 2h}"),
        (4, 27),
        "`stale_path_time` is 7200s: out of range for FRR",
        "write `1s` to `4095s`",
    );
    refused(
        &clique4("injector: {restart_time: 4096s}"),
        (4, 26),
        "`restart_time` is 4096s: out of range for BGP",
        "write `1s` to `4095s`",
    );
}

#[test]
fn a_detection_without_forwarding_failure_is_refused() {
    refused(
        &b_clique4("{kind: correlated, detect_delay: 1s}", ""),
        (3, 43),
        "`detect_delay` means nothing for failure `correlated`",
        "remove it: only after failure `forwarding` does the living injector withdraw the destination",
    );
}

#[test]
fn fillers_that_cannot_work_are_refused() {
    let with = |filler: &str| {
        b_clique4(
            "{kind: correlated}",
            &format!("injector: {{kind: exabgp, filler: {filler}}}"),
        )
    };
    refused(
        &with("{count: 2000, rate: 5}"),
        (4, 34),
        "the filler takes 400s (2000 prefixes at 5 per second): not less than `stale_path_time`, 360s",
        "announce fewer or faster, or raise `router: {stale_path_time: …}`",
    );
    refused(
        &with("{count: 2000, rate: 10}"),
        (4, 34),
        "the filler takes 200s (2000 prefixes at 10 per second): not less than `hold_time`, 180s",
        "announce fewer or faster, or raise `router: {hold_time: …}`",
    );
    refused(
        &with("{count: 2000, rate: 2001}"),
        (4, 54),
        "`rate` is 2001: out of range",
        "write a number of prefixes per second from 1 to 2000",
    );
    refused(
        &with("{count: 2000, rate: 0}"),
        (4, 54),
        "`rate` is 0: out of range",
        "write a number of prefixes per second from 1 to 2000",
    );
    refused(
        &with("{count: 65537, rate: 2000}"),
        (4, 42),
        "`count` is 65537: out of range",
        "write a number of prefixes from 1 to 65536",
    );
    let rate = "injector: {filler: {count: 1, rate: 1000001}}";
    refused(
        &b_clique4("{kind: correlated}", rate),
        (4, 37),
        "`rate` is 1000001: out of range",
        "write a number of prefixes per second from 1 to 1000000",
    );
    for kind in ["forwarding", "link", "mrai-probe"] {
        let failure = format!("{{kind: {kind}}}");
        let filler = "injector: {filler: {count: 1, rate: 1}}";
        refused(
            &match kind {
                "mrai-probe" => format!("{}{filler}\n", clique4_failing(&failure)),
                _ => b_clique4(&failure, filler),
            },
            (4, 20),
            &format!("a filler follows the injector's restart, and failure `{kind}` has none"),
            "remove `filler`, or use failure `control` or `correlated`",
        );
    }
}

#[test]
fn arms_and_runs_that_run_nothing_or_twice_are_refused() {
    refused(
        &clique4("strategies: []"),
        (4, 13),
        "no strategy is listed: there would be nothing to run",
        "list at least one, such as `tcpr`, or leave the key out for `none` and `graceful-restart`",
    );
    refused(
        &clique4("strategies: [none, none]"),
        (4, 20),
        "strategy `none` is listed twice",
        "list each arm once; `runs` says how often it is run",
    );
    for runs in ["0", "-1", "10000"] {
        refused(
            &clique4(&format!("runs: {runs}")),
            (4, 7),
            &format!("`runs` is {runs}: out of range"),
            "write a number of runs per arm from 1 to 9999",
        );
    }
}

#[test]
fn deadlines_that_no_run_can_meet_are_refused_where_they_were_caused() {
    refused(
        &clique4("deadlines: {quiet: 10s}"),
        (4, 20),
        "deadline `quiet` is 10s, and quiet period, filler and planned delays alone take 11s",
        "write `deadlines: {quiet: …}` with well over 11s",
    );
    refused(
        &clique4("router: {mrai: 100s}"),
        (4, 16),
        "deadline `settled` is 180s by default, and quiet period, filler and planned delays alone take 201s",
        "write `deadlines: {settled: …}` with well over 201s",
    );
    refused(
        &b_clique4("{kind: forwarding, detect_delay: 10m}", ""),
        (3, 43),
        "deadline `quiet` is 600s by default, and quiet period, filler and planned delays alone take 611s",
        "write `deadlines: {quiet: …}` with well over 611s",
    );
    refused(
        &clique4("deadlines: {established: 0s}"),
        (4, 26),
        "deadline `established` is 0s, and quiet period, filler and planned delays alone take 0s",
        "write `deadlines: {established: …}` with well over 0s",
    );
    refused(
        &b_clique4("{kind: control, restart_delay: 590s}", ""),
        (3, 41),
        "deadline `quiet` is 600s by default, and quiet period, filler and planned delays alone take 601s",
        "write `deadlines: {quiet: …}` with well over 601s",
    );
    refused(
        &clique4_failing("{kind: control, repeat: {kills: 61, interval: 10s}}"),
        (3, 56),
        "deadline `quiet` is 600s by default, and quiet period, filler and planned delays alone take 611s",
        "write `deadlines: {quiet: …}` with well over 611s",
    );
    refused(
        &clique4_failing("{kind: mrai-probe, rounds: 20}"),
        (3, 37),
        "deadline `quiet` is 600s by default, and quiet period, filler and planned delays alone take 931s",
        "write `deadlines: {quiet: …}` with well over 931s",
    );
}
