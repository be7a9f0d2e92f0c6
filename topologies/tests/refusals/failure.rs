//! Failures, arms and routers whose words contradict each other.

use topologies::{Scenario, Strategy, UnsupportedStrategy};

use crate::{b_clique4, clique4, clique4_failing, refused};

const ONLY_KILLS: &str = "remove it: only failures `control` and `correlated` kill the injector";

fn with_backup_unless_probe(kind: &str, failure: &str) -> String {
    match kind {
        "mrai-probe" => clique4_failing(failure),
        _ => b_clique4(failure, ""),
    }
}

#[test]
fn what_belongs_to_a_kill_is_refused_where_nothing_is_killed() {
    for kind in ["forwarding", "link", "mrai-probe"] {
        for (words, key) in [
            ("restart_delay: 1s", "restart_delay"),
            ("repeat: {kills: 2, interval: 9s}", "repeat"),
            ("tcpr: dies", "tcpr"),
            ("when: initial-transfer", "when: initial-transfer"),
        ] {
            let at = words.find(' ').unwrap() + 2 + "failure: {kind: , ".len() + kind.len();
            let failure = format!("{{kind: {kind}, {words}}}");
            refused(
                &with_backup_unless_probe(kind, &failure),
                (3, at),
                &format!("`{key}` means nothing for failure `{kind}`"),
                ONLY_KILLS,
            );
        }
        let settled = with_backup_unless_probe(kind, &format!("{{kind: {kind}, when: settled}}"));
        Scenario::parse(&settled, "s.yaml").unwrap();
    }
}

#[test]
fn rounds_without_a_probe_are_refused() {
    refused(
        &clique4_failing("{kind: control, rounds: 3}"),
        (3, 34),
        "`rounds` means nothing for failure `control`",
        "remove it: only `mrai-probe` goes in rounds; `runs` says how often a failure is tried",
    );
    refused(
        &clique4_failing("{kind: mrai-probe, rounds: 0}"),
        (3, 37),
        "`rounds` is 0: out of range",
        "write a number of rounds from 1 to 100",
    );
}

#[test]
fn packets_that_would_measure_nothing_are_refused() {
    let scenario = clique4_failing("{kind: mrai-probe}") + "data_plane_probe: true\n";
    refused(
        &scenario,
        (4, 19),
        "`data_plane_probe` means nothing for failure `mrai-probe`",
        "remove it: an MRAI probe measures no disconnection",
    );
    let without = scenario.replace("true", "false");
    Scenario::parse(&without, "s.yaml").unwrap();
}

#[test]
fn kills_that_overtake_the_restart_are_refused() {
    let with = |more: &str| clique4_failing(&format!("{{kind: control, {more}}}"));
    refused(
        &with("restart_delay: 4s, repeat: {kills: 2, interval: 5s}"),
        (3, 74),
        "`interval` is 5s: the injector, back 4s after each kill, would have no second for its sessions to \
         come up before the next",
        "write more than 5s, so that each kill ends a session",
    );
    refused(
        &with("repeat: {kills: 1, interval: 5s}"),
        (3, 42),
        "`kills` is 1: out of range",
        "write a number of kills from 2 to 100",
    );
    Scenario::parse(
        &with("restart_delay: 4s, repeat: {kills: 2, interval: 5001ms}"),
        "s.yaml",
    )
    .unwrap();
}

#[test]
fn a_fate_of_tcpr_without_its_arm_is_refused() {
    refused(
        &clique4_failing("{kind: control, tcpr: dies}"),
        (3, 32),
        "`tcpr` means nothing without the arm `tcpr`",
        "add `tcpr` to `strategies`, or remove the key",
    );
    let with_arm = format!(
        "{}strategies: [tcpr]\n",
        clique4_failing("{kind: control, tcpr: dies}")
    );
    Scenario::parse(&with_arm, "s.yaml").unwrap();
}

#[test]
fn a_link_cannot_fail_without_a_backup() {
    refused(
        &clique4_failing("{kind: link}"),
        (3, 17),
        "failure `link` loses the primary link for good, and this clique has no backup: the destination \
         could never be reached again",
        "give `injector: {backup: r2}`, or use topology `b-clique`, or failure `control`",
    );
}

#[test]
fn an_mrai_probe_with_a_backup_is_refused() {
    refused(
        &b_clique4("{kind: mrai-probe}", ""),
        (3, 17),
        "failure `mrai-probe` withdraws the destination, and this b-clique has a backup, which would be \
         announced instead",
        "remove `injector: {backup: …}`, or use a topology without, such as `chain`",
    );
}

#[test]
fn a_failure_within_a_transfer_needs_one_that_lasts() {
    let failure = "{kind: control, when: initial-transfer}";
    refused(
        &clique4_failing(failure),
        (3, 32),
        "there is no table transfer to fail within: the destination alone is told at once",
        "give `injector: {filler: {count: 600, rate: 20}}`, a transfer of 30 s, or remove `when`",
    );
    let with = |count: u32| {
        b_clique4(
            failure,
            &format!("injector: {{filler: {{count: {count}, rate: 20}}}}"),
        )
    };
    refused(
        &with(200),
        (4, 20),
        "the filler takes 10s (200 prefixes at 20 per second), and could be over before the failure comes",
        "announce more or slower: longer than 10s, the MRAI and 5 s",
    );
    let run = Scenario::parse(&with(201), "s.yaml")
        .unwrap()
        .resolve(Strategy::None, 0);
    let filler = run.injector.filler.unwrap();
    assert_eq!(
        (filler.initial_rate_per_s, filler.rate_per_s),
        (20, 20),
        "it is the first transfer that is interrupted"
    );
}

#[test]
fn an_arm_that_the_injector_cannot_run_is_refused_in_the_file_and_on_the_command_line() {
    let remedy = "write `injector: {kind: flaplab}` in the scenario, which runs every arm, or leave this arm out";
    let exabgp = clique4("injector: {kind: exabgp}");
    for (arm, strategy) in [
        ("tcpr", Strategy::Tcpr),
        ("graceful-restart-f0", Strategy::GracefulRestartF0),
        (
            "graceful-restart-withdraw",
            Strategy::GracefulRestartWithdraw,
        ),
    ] {
        let problem = format!("injector `exabgp` cannot run strategy `{arm}`");
        refused(
            &format!("{exabgp}strategies: [none, {arm}]\n"),
            (5, 20),
            &problem,
            remedy,
        );
        let scenario = Scenario::parse(&exabgp, "s.yaml").unwrap();
        let error: UnsupportedStrategy = scenario
            .with_strategies(&[Strategy::None, strategy])
            .unwrap_err();
        assert_eq!(error.to_string(), format!("{problem}; {remedy}"));
    }
    let every = Scenario::parse(&clique4(""), "s.yaml")
        .unwrap()
        .with_strategies(&Strategy::ALL)
        .unwrap();
    assert_eq!(every.strategies(), Strategy::ALL);
}

#[test]
fn quagga_needs_an_absolute_path_and_has_limits_of_its_own() {
    refused(
        &clique4("router: {kind: quagga}"),
        (4, 16),
        "router `quagga` needs a `path`: no distribution has it any more",
        "add `path: /opt/quagga/sbin`, the folder of your zebra and bgpd",
    );
    for kind in ["quagga", "frr"] {
        let text = clique4(&format!("router: {{kind: {kind}, path: sbin}}"));
        refused(
            &text,
            (4, 24 + kind.len()),
            "`path` is `sbin`: not absolute",
            "write the folder of zebra and bgpd from `/` on, such as `/opt/quagga/sbin`",
        );
    }
    refused(
        &clique4("router: {kind: quagga, path: /q, stale_path_time: 3601s}"),
        (4, 51),
        "`stale_path_time` is 3601s: out of range for Quagga",
        "write `1s` to `3600s`",
    );
    let quagga = Scenario::parse(&clique4("router: {kind: quagga, path: /q}"), "s.yaml").unwrap();
    assert_eq!(quagga.router().path.as_deref(), Some("/q".as_ref()));
}

#[test]
fn a_lab_that_cannot_be_had_again_is_not_shared() {
    let begins = "`fresh: false` makes one lab carry several runs, and ";
    let control = "remove `fresh`, or use failure `control`, after which the lab is as it was";
    for (kind, what) in [
        ("forwarding", "loses the path to the destination for good"),
        ("correlated", "loses the path to the destination for good"),
        ("link", "loses a link for good"),
        ("mrai-probe", "has rounds of its own in one run"),
    ] {
        let failure = format!("{{kind: {kind}}}");
        let scenario = with_backup_unless_probe(kind, &failure)
            .trim_end()
            .to_owned();
        refused(
            &format!("{scenario}\nfresh: false\n"),
            (4, 8),
            &format!("{begins}failure `{kind}` {what}"),
            control,
        );
        Scenario::parse(&format!("{scenario}\nfresh: true\n"), "s.yaml").unwrap();
    }
    let transfer = "{kind: control, when: initial-transfer}\ninjector: {filler: {count: 600, rate: 20}}\nrouter: {mrai: 1s}";
    refused(
        &(clique4_failing(transfer) + "fresh: false\n"),
        (6, 8),
        &format!("{begins}only the first of them would fail within the initial transfer"),
        "remove `fresh`, or remove `failure: {when: initial-transfer}`",
    );
    refused(
        "name: a\ntopology: {kind: clique, size: 4, shuffle: true}\nfailure: {kind: control}\nfresh: false\n",
        (4, 8),
        &format!("{begins}with `shuffle` each run has router ids and addresses of its own"),
        "remove `fresh`, or write `topology: {shuffle: false}`",
    );
    refused(
        &clique4("data_plane_probe: true\nfresh: false"),
        (5, 8),
        &format!("{begins}the data-plane probe numbers the packets of one run"),
        "remove `fresh`, or remove `data_plane_probe`",
    );
}
