//! `flaplab reproduce`, stopped and gone on with. A whole study takes minutes: `make reproduce`.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use results::Status;

use super::campaign::Campaign;
use super::outside::names;
use super::program::{RUN_LIMIT, Running, SHORT_LIMIT, finish, flaplab, workspace};

/// `flaplab reproduce surton2014`, with a tcpr to be found; these tests end before it is run.
fn reproduce(dir: &Path) -> Command {
    let bin = dir.join("bin");
    fs::create_dir_all(&bin).unwrap();
    fs::write(bin.join("tcpr"), "").unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut command = flaplab();
    command
        .args(["reproduce", "surton2014", "--runs", "1", "--jobs", "1"])
        .arg("--out")
        .arg(dir.join("study"))
        .env("PATH", format!("{}:{path}", bin.display()));
    command
}

#[test]
fn a_study_that_is_stopped_says_what_is_missing_and_goes_on_with_the_same_command() {
    let dir = workspace();
    let study = dir.path().join("study");
    let first = Running::start(&mut reproduce(dir.path()));
    first.wait_for(" begins", RUN_LIMIT);
    finish(&mut reproduce(dir.path()), SHORT_LIMIT)
        .exits_with(1)
        .says_one_error(&["another flaplab is at work in", study.to_str().unwrap()]);
    first.signal(Signal::SIGINT);
    let stopped = first.end(SHORT_LIMIT).exits_with(130);
    stopped.says(&["stopped: the same command goes on from there"]);
    assert!(
        stopped
            .stdout
            .contains("Not there, or not whole: mrai-probe")
    );
    assert!(study.join("study.md").exists() && study.join("study.json").exists());
    let run = Campaign::at(study.join("mrai-probe")).run("none");
    assert_eq!(run.manifest().unwrap().status, Status::Aborted);

    let again = Running::start(&mut reproduce(dir.path()));
    again.wait_for(
        "goes on: 0 of 1 runs are complete already; 1 interrupted",
        RUN_LIMIT,
    );
    again.wait_for(" begins", RUN_LIMIT);
    again.signal(Signal::SIGKILL);
    again.end(SHORT_LIMIT);
    let aside: Vec<String> = names(&study.join("mrai-probe/abandoned")).collect();
    assert_eq!(aside, [format!("{}-1", run.run_id())]);

    // From the records alone, whatever is there.
    let mut analyze = flaplab();
    let told = finish(analyze.arg("analyze").arg(&study), SHORT_LIMIT).exits_with(0);
    assert!(
        told.stdout.contains("Not there, or not whole"),
        "{}",
        told.stdout
    );
}

#[test]
fn a_directory_that_is_no_study_is_not_touched() {
    let dir = workspace();
    let study = dir.path().join("study");
    fs::create_dir(&study).unwrap();
    fs::write(study.join("notes"), "precious").unwrap();
    finish(&mut reproduce(dir.path()), SHORT_LIMIT)
        .exits_with(1)
        .says_one_error(&[study.to_str().unwrap(), "exists already"]);
    assert_eq!(names(&study).collect::<Vec<_>>(), ["notes"]);
}
