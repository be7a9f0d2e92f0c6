//! `flaplab up`, `shell` and `down`: labs to look around in.

use std::process::Command;
use std::time::Duration;

use super::outside::Outside;
use super::processes::{descendants, naming};
use super::program::{
    Finished, RUN_LIMIT, Running, SHORT_LIMIT, finish, flaplab, shipped, until, workspace,
};
use super::surroundings::Surroundings;

/// A place where nobody else's labs are seen: their names are those of its network namespace.
struct Place(Surroundings);

impl Place {
    fn new() -> Place {
        Place(Surroundings::changed_by("true"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.0.command(flaplab().args(arguments))
    }

    #[track_caller]
    fn finish(&self, arguments: &[&str]) -> Finished {
        finish(&mut self.command(arguments), SHORT_LIMIT)
    }

    fn up(&self, arguments: &[&str]) -> Running {
        let scenario = shipped("clique4-control.yaml");
        let mut all = vec!["up", scenario.to_str().unwrap()];
        all.extend(arguments);
        Running::start(&mut self.command(&all))
    }
}

#[test]
fn a_lab_that_is_up_can_be_entered_and_taken_down() {
    let place = Place::new();
    place
        .finish(&["shell", "r1"])
        .exits_with(1)
        .says_one_error(&["no lab is up", "flaplab up"]);
    place
        .finish(&["down"])
        .exits_with(1)
        .says_one_error(&["no lab is up"]);

    let before = Outside::now();
    let dir = workspace();
    let records = dir.path().join("records");
    let lab = place.up(&["--out", records.to_str().unwrap()]);
    lab.wait_for("clique4-control is up", RUN_LIMIT);
    let processes = descendants(lab.pid());
    commands_run_at_a_node(&place);
    place
        .finish(&["shell", "r9"])
        .exits_with(1)
        .says_one_error(&["clique4-control has no node `r9`", "r1, r2, r3, r4"]);
    place
        .finish(&["shell", "--lab", "elsewhere", "r1"])
        .exits_with(1)
        .says_one_error(&["no lab `elsewhere` is up", "clique4-control"]);

    let down = place.finish(&["down"]).exits_with(0);
    assert_eq!(down.stdout, "clique4-control is down\n");
    lab.end(SHORT_LIMIT).exits_with(0);
    until(
        Duration::from_secs(2),
        "the end of the lab",
        || processes.iter().all(|p| !p.lives()).then_some(()),
        || format!("{:?}", naming(dir.path())),
    );
    assert_eq!(Outside::now().more_than(&before), [""; 0]);
    assert!(records.join("nodes/r1/bgp.pcap").exists());
    place.finish(&["down"]).exits_with(1);
}

fn commands_run_at_a_node(place: &Place) {
    let at = |node: &str, command: &[&str]| {
        let mut all = vec!["shell", node, "--"];
        all.extend(command);
        place.finish(&all)
    };
    let links = at("r1", &["ip", "-br", "addr"]).exits_with(0).stdout;
    for device in ["to-injector", "to-r2", "to-r3", "to-r4"] {
        assert!(links.contains(device), "{links}");
    }
    assert!(!links.contains("to-r1"), "r1's own: {links}");
    // "Up" is all sessions Established; a route to the destination follows.
    let summary = at("r1", &["vtysh", "-c", "show bgp summary"]).exits_with(0);
    let peers = summary.stdout.lines().filter(|l| l.starts_with("198.18."));
    assert_eq!(peers.count(), 4, "{}", summary.stdout);
    until(
        SHORT_LIMIT,
        "the route at r4",
        || {
            let routes = at("r4", &["ip", "route"]).exits_with(0).stdout;
            routes.contains("198.51.100.0/24").then_some(())
        },
        || at("r4", &["ip", "route"]).stdout,
    );
    let way = at("r4", &["ip", "route", "get", "198.51.100.1"]).exits_with(0);
    assert!(way.stdout.contains(" via 198.18."), "{}", way.stdout);
    at("r2", &["sh", "-c", "exit 7"]).exits_with(7);
    at("r2", &["sh", "-c", "kill -TERM $$"]).exits_with(128 + 15);
    at("r2", &["no-such-command"]).exits_with(127);
}

#[test]
fn two_labs_of_different_names_stand_side_by_side() {
    let place = Place::new();
    let left = place.up(&["--lab", "left"]);
    let right = place.up(&["--lab", "right", "--strategy", "graceful-restart"]);
    left.wait_for("left is up", RUN_LIMIT);
    right.wait_for("right is up", RUN_LIMIT);
    let again = place.up(&["--lab", "left"]);
    again
        .end(SHORT_LIMIT)
        .exits_with(1)
        .says_one_error(&["a lab `left` is already up", "--lab"]);
    place
        .finish(&["shell", "r1", "--", "true"])
        .exits_with(1)
        .says_one_error(&["2 labs are up: left, right", "--lab"]);
    for lab in ["left", "right"] {
        let namespace = [
            "shell",
            "--lab",
            lab,
            "r1",
            "--",
            "readlink",
            "/proc/self/ns/net",
        ];
        let in_lab = place.finish(&namespace).exits_with(0).stdout;
        assert!(in_lab.starts_with("net:["), "{in_lab}");
    }
    place.finish(&["down", "--lab", "left"]).exits_with(0);
    left.end(SHORT_LIMIT).exits_with(0);
    // The other one stays, and is now the only one.
    place.finish(&["shell", "r1", "--", "true"]).exits_with(0);
    right.signal(nix::sys::signal::Signal::SIGINT);
    right.end(SHORT_LIMIT).exits_with(0);
    place.finish(&["down"]).exits_with(1);
}
