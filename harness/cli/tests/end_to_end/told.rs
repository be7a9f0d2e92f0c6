//! What a campaign tells while it is under way: JSON lines to a program, a view to a terminal.
//!
//! *Assumes* `script` (bsdutils, which every Debian has), whose pseudo-terminal is a real one.
//! *Guarantees* that what is told is what the campaign's tables hold, and that a terminal is left as it was
//! found, however flaplab ends.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{ChildStdin, Command};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::campaign::Campaign;
use super::processes::{Process, descendants};
use super::program::{
    Finished, RUN_LIMIT, Running, SHORT_LIMIT, executable, finish, run_once, shipped, workspace,
};

/// Standard output as events, the name of each before it.
fn events(finished: &Finished) -> Vec<(String, Value)> {
    let object = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        (value["event"].as_str().unwrap().to_owned(), value)
    };
    finished.stdout.lines().map(object).collect()
}

#[test]
fn json_lines_tell_every_step_and_the_figures_that_the_tables_have() {
    let dir = workspace();
    let out = dir.path().join("campaign");
    let arms = ["none", "graceful-restart"];
    let run = || {
        let mut run = run_once(&shipped("clique4-control.yaml"), &out);
        run.args(arms.map(|arm| format!("--strategy={arm}")))
            .arg("--json");
        run
    };
    let finished = finish(&mut run(), RUN_LIMIT).exits_with(0);
    // The result is for people, and not where programs read.
    finished.says(&["clique4-control: failure `control`"]);
    let events_told = events(&finished);
    let (first, begun) = &events_told[0];
    assert_eq!(
        (first.as_str(), &begun["version"]),
        ("campaign-begun", &1.into())
    );
    assert_eq!(begun["arms"], serde_json::json!(arms));
    let times = events_told.iter().map(|(_, e)| e["t_s"].as_f64().unwrap());
    assert!(times.is_sorted());

    let mut steps: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, event) in &events_told {
        if let Some(run) = event["run"].as_str() {
            let step = event["phase"].as_str().unwrap_or(name);
            steps.entry(run).or_default().push(step);
        }
    }
    assert_eq!(steps.len(), 2, "{steps:?}");
    for steps in steps.values() {
        let expected = [
            "run-begun",
            "bring-up",
            "establish",
            "settle",
            "fail",
            "converge",
            "run-ended",
        ];
        assert_eq!(*steps, expected);
    }

    let campaign = Campaign::at(&out);
    let ends: Vec<&Value> = events_told
        .iter()
        .filter(|(n, _)| n == "run-ended")
        .map(|(_, e)| e)
        .collect();
    for end in &ends {
        let arm = end["arm"].as_str().unwrap();
        assert_eq!(
            (&end["status"], &end["valid"]),
            (&"complete".into(), &true.into())
        );
        let rows = campaign.metrics(arm);
        let row = rows[0]["convergence_s"].parse::<f64>().unwrap();
        assert_eq!(end["metrics"]["convergence_s"].as_f64(), Some(row), "{arm}");
        assert!(
            Path::new(end["path"].as_str().unwrap())
                .join("manifest.json")
                .exists()
        );
    }
    assert_eq!(ends[1]["runs"]["valid"], 2);
    let (last, ended) = events_told.last().unwrap();
    assert_eq!((last.as_str(), &ended["exit_code"]), ("ended", &0.into()));
    for (_, file) in ended["files"].as_object().unwrap() {
        assert!(Path::new(file.as_str().unwrap()).exists(), "{file}");
    }

    // Gone on with: nothing is made, and what is there is told.
    let again = finish(run().arg("--quiet"), SHORT_LIMIT).exits_with(0);
    assert_eq!(again.stderr, "");
    let names: Vec<String> = events(&again).into_iter().map(|(name, _)| name).collect();
    let expected = [
        "campaign-begun",
        "campaign-resumed",
        "run-there",
        "run-there",
        "campaign-ended",
        "ended",
    ];
    assert_eq!(names, expected);

    // What cannot be done is told there, too, and said as ever.
    let mut other = run_once(&shipped("bclique4-forwarding.yaml"), &out);
    let refused = finish(other.arg("--json"), SHORT_LIMIT).exits_with(1);
    refused.says_one_error(&["another scenario"]);
    let (name, failed) = events(&refused).pop().unwrap();
    assert_eq!(name, "failed");
    assert!(
        failed["error"]
            .as_str()
            .unwrap()
            .contains("another scenario")
    );
}

/// flaplab at a terminal of 80 columns and 24 lines, between two looks at the terminal's modes.
fn at_terminal(dir: &Path, arguments: &str) -> (Running, ChildStdin) {
    let (before, after) = (dir.join("before"), dir.join("after"));
    let script = format!(
        "stty rows 24 cols 80; stty -a > {}; trap : INT; {} {arguments}; ended=$?; stty -a > {}; exit $ended",
        before.display(),
        executable().display(),
        after.display()
    );
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &script, "/dev/null"]);
    command
        .env("TERM", "xterm")
        .env("LC_ALL", "C.UTF-8")
        .env_remove("NO_COLOR");
    Running::start_typed_at(&mut command)
}

/// Fails unless the terminal's modes are what they were, and `shown` stands there with a prompt's place after it.
fn left_in_order(dir: &Path, finished: &Finished, shown: &str) -> String {
    let modes = ["before", "after"].map(|name| fs::read_to_string(dir.join(name)).unwrap());
    assert_eq!(modes[0], modes[1]);
    // Nothing that would have to be undone: cursor, alternate screen, colours of the terminal's own.
    assert!(!finished.stdout.contains("\x1b[?"), "{:?}", finished.stdout);
    let mut terminal = vt100::Parser::new(24, 80, 0);
    terminal.process(finished.stdout.as_bytes());
    let (_, column) = terminal.screen().cursor_position();
    assert_eq!(column, 0, "where a prompt comes");
    let screen = terminal.screen().contents();
    assert!(screen.contains(shown), "no `{shown}` in:\n{screen}");
    screen
}

fn arguments(out: &Path) -> String {
    format!(
        "run {} --runs 1 --strategy none --jobs 1 --out {}",
        shipped("clique4-control.yaml").display(),
        out.display()
    )
}

#[test]
fn a_view_on_a_terminal_grows_with_the_campaign_and_is_gone_with_it() {
    let dir = workspace();
    let out = dir.path().join("campaign");
    let (flaplab, typed) = at_terminal(dir.path(), &arguments(&out));
    flaplab.wait_for("0/1 runs", RUN_LIMIT);
    flaplab.wait_for("1 lab", RUN_LIMIT);
    flaplab.wait_for("settling", RUN_LIMIT);
    flaplab.wait_for("converging", RUN_LIMIT);
    let finished = flaplab.end(RUN_LIMIT).exits_with(0);
    drop(typed);
    let screen = left_in_order(dir.path(), &finished, "Figures: ");
    assert!(
        !screen.contains("share of runs"),
        "the view has gone:\n{screen}"
    );
}

#[test]
fn ctrl_c_at_a_terminal_ends_in_order_and_leaves_the_terminal_so() {
    let dir = workspace();
    let out = dir.path().join("campaign");
    let (flaplab, mut typed) = at_terminal(dir.path(), &arguments(&out));
    flaplab.wait_for("settling", RUN_LIMIT);
    // What is typed is the shell's, later; a key that moves the view moves nothing else.
    typed.write_all(b"\r\x03").unwrap();
    let finished = flaplab.end(SHORT_LIMIT).exits_with(130);
    let screen = left_in_order(dir.path(), &finished, "stopped: 0 of 1 runs are complete");
    assert!(!screen.contains("1 lab"), "the view has gone:\n{screen}");
    assert!(finished.stdout.contains("stopping: closing the records"));
    assert!(finished.stdout.contains(", stopping"), "the view says so");
}

#[test]
fn flaplab_killed_at_a_terminal_leaves_the_terminal_in_order() {
    let dir = workspace();
    let out = dir.path().join("campaign");
    let (flaplab, typed) = at_terminal(dir.path(), &arguments(&out));
    flaplab.wait_for("1 lab", RUN_LIMIT);
    let is_flaplab = |p: &Process| p.arguments().get(1).is_some_and(|a| a == "run");
    let all = descendants(flaplab.pid());
    let killed = all.iter().find(|p| is_flaplab(p)).unwrap();
    kill(Pid::from_raw(killed.pid), Signal::SIGKILL).unwrap();
    let finished = flaplab.end(SHORT_LIMIT).exits_with(128 + 9);
    drop(typed);
    left_in_order(dir.path(), &finished, "1 lab");
}
