//! What is asked for and refused, before anything is made: one clear message, and the exit code
//! that docs/exit-codes.md names.

use std::collections::BTreeMap;

use super::campaign::collect;
use super::program::{SHORT_LIMIT, finish, flaplab, run_once, shipped, workspace};
use super::surroundings::Surroundings;

#[test]
fn a_wrong_scenario_is_refused_with_file_line_and_column() {
    let dir = workspace();
    let out = dir.path().join("campaign");
    let cases = [
        (
            "unknown-key",
            "name: x\ntopology: {kind: clique, size: 4}\nfailure: {kind: control}\nrnus: 3\n",
            "4:1",
        ),
        (
            "clique-of-1",
            "name: x\ntopology:\n  kind: clique\n  size: 1\nfailure: {kind: control}\n",
            "4:9",
        ),
        (
            "twice",
            "name: x\nname: y\ntopology: {kind: clique, size: 4}\nfailure: {kind: control}\n",
            "2:1",
        ),
        (
            "mrai",
            "name: x\ntopology: {kind: clique, size: 4}\nrouter:\n  mrai: 1500ms\nfailure: {kind: control}\n",
            "4:9",
        ),
        (
            "strategy",
            "name: x\ntopology: {kind: clique, size: 4}\nfailure: {kind: control}\nstrategies:\n  - nonsense\n",
            "5:5",
        ),
    ];
    for (name, text, place) in cases {
        let scenario = dir.path().join(format!("{name}.yaml"));
        std::fs::write(&scenario, text).unwrap();
        let finished = finish(&mut run_once(&scenario, &out), SHORT_LIMIT).exits_with(2);
        let place = format!("{}:{place}", scenario.display());
        finished.says_one_error(&[&place]);
        assert!(!out.exists(), "{name}: nothing was made");
    }
}

#[test]
fn a_scenario_that_is_not_there_is_refused_by_its_name() {
    let dir = workspace();
    let (scenario, out) = (dir.path().join("absent.yaml"), dir.path().join("campaign"));
    finish(&mut run_once(&scenario, &out), SHORT_LIMIT)
        .exits_with(2)
        .says_one_error(&["absent.yaml", "no such file"]);
    assert!(!out.exists());
}

#[test]
fn a_strategy_that_does_not_exist_is_refused_with_those_that_do() {
    let dir = workspace();
    let out = dir.path().join("campaign");
    let mut run = run_once(&shipped("clique4-control.yaml"), &out);
    finish(run.args(["--strategy", "none,prayer"]), SHORT_LIMIT)
        .exits_with(2)
        .says_one_error(&["'prayer'", "none and graceful-restart"]);
    assert!(!out.exists());
}

#[test]
fn a_directory_that_exists_is_not_touched() {
    let dir = workspace();
    let out = dir.path().join("campaign");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("metrics.csv"), "somebody's\n").unwrap();
    let files = || {
        let mut files = BTreeMap::new();
        collect(&out, &mut files);
        files
    };
    let before = files();
    let mut run = run_once(&shipped("clique4-control.yaml"), &out);
    finish(&mut run, SHORT_LIMIT)
        .exits_with(1)
        .says_one_error(&[out.to_str().unwrap(), "exists already"]);
    assert!(files() == before);
}

#[test]
fn a_directory_that_cannot_be_written_is_told_with_the_systems_reason() {
    let dir = workspace();
    let place = dir.path().join("read-only");
    std::fs::create_dir(&place).unwrap();
    let read_only =
        Surroundings::changed_by(&format!("mount -t tmpfs -o ro none {}", place.display()));
    let out = place.join("campaign");
    let run = run_once(&shipped("clique4-control.yaml"), &out);
    finish(&mut read_only.command(&run), SHORT_LIMIT)
        .exits_with(1)
        .says_one_error(&[out.to_str().unwrap(), "Read-only file system"]);

    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mut run = run_once(&shipped("clique4-control.yaml"), &file.join("campaign"));
    finish(&mut run, SHORT_LIMIT)
        .exits_with(1)
        .says_one_error(&["cannot create", file.to_str().unwrap()]);
}

#[test]
fn routers_that_are_not_installed_are_told_with_their_package() {
    let dir = workspace();
    let out = dir.path().join("campaign");
    let without_frr = Surroundings::changed_by("mount -t tmpfs none /usr/lib/frr");
    let run = run_once(&shipped("clique4-control.yaml"), &out);
    finish(&mut without_frr.command(&run), SHORT_LIMIT)
        .exits_with(1)
        .says_one_error(&[
            "/usr/lib/frr/bgpd is not installed",
            "scripts/setup",
            "package frr",
        ]);
    assert!(!out.exists(), "nothing was made");
    doctor_finds(
        &without_frr,
        &["/usr/lib/frr/bgpd is not installed", "scripts/setup"],
    );
}

#[test]
fn a_machine_without_user_namespaces_is_told_with_the_setting_to_change() {
    let dir = workspace();
    let out = dir.path().join("campaign");
    let without = Surroundings::changed_by("echo 0 > /proc/sys/user/max_user_namespaces");
    let mut run = run_once(&shipped("clique4-control.yaml"), &out);
    let run = run.args(["--strategy", "none"]);
    finish(&mut without.command(run), SHORT_LIMIT)
        .exits_with(3)
        .says(&["cannot make the capsule's namespaces", "flaplab doctor"]);
    doctor_finds(&without, &["user.max_user_namespaces"]);
}

fn doctor_finds(surroundings: &Surroundings, parts: &[&str]) {
    let mut doctor = flaplab();
    let finished =
        finish(&mut surroundings.command(doctor.arg("doctor")), SHORT_LIMIT).exits_with(1);
    for part in parts {
        assert!(finished.stdout.contains(part), "{}", finished.stdout);
    }
}
