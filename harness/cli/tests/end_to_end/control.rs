//! Control failover in a clique of four, from the command to the figures.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::campaign::{Campaign, collect, figure};
use super::program::{RUN_LIMIT, SHORT_LIMIT, executable, finish, flaplab, shipped, workspace};
use super::wire::{must_hold_what_the_node_sent, replay};

const ARMS: [&str; 2] = ["none", "graceful-restart"];
/// uid and gid of an ordinary user: `nobody` and `nogroup`, who own nothing.
const NOBODY: u32 = 65534;

#[test]
fn a_control_failure_is_measured_by_the_callers_own_user() {
    let dir = workspace();
    check(
        &shipped("clique4-control.yaml"),
        &dir.path().join("campaign"),
        flaplab,
    );
}

/// Root drops to an ordinary user; who is one already needs no dropping.
#[test]
fn a_control_failure_is_measured_by_an_ordinary_user() {
    let dir = workspace();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    // What was built may lie where an ordinary user may not go.
    let program = dir.path().join("flaplab");
    std::fs::copy(executable(), &program).unwrap();
    let scenario = dir.path().join("scenario.yaml");
    std::fs::copy(shipped("clique4-control.yaml"), &scenario).unwrap();
    let home = dir.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let is_root = std::fs::metadata(&home).unwrap().uid() == 0;
    if is_root {
        std::os::unix::fs::chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let as_ordinary_user = || {
        let mut command = Command::new(&program);
        if is_root {
            // The standard library clears the supplementary groups of a root that does this.
            command.uid(NOBODY).gid(NOBODY);
        }
        command.current_dir(&home).env("HOME", &home);
        command
    };
    let out = home.join("campaign");
    check(&scenario, &out, as_ordinary_user);
    let owner = std::fs::metadata(out.join("metrics.csv")).unwrap().uid();
    assert_ne!(owner, 0, "an ordinary user's");
}

fn check(scenario: &Path, out: &Path, as_user: impl Fn() -> Command) {
    let mut run = as_user();
    run.args(["run", "--runs", "1", "--jobs", "2"])
        .arg(scenario)
        .arg("--out")
        .arg(out);
    let finished = finish(&mut run, RUN_LIMIT).exits_with(0);
    for word in [
        "clique4-control",
        "none",
        "graceful-restart",
        "frr",
        "MRAI 1 s",
    ] {
        assert!(finished.stdout.contains(word), "{}", finished.stdout);
    }
    let campaign = Campaign::at(out);
    campaign.must_keep_the_interface(&ARMS, 4);
    without_graceful_restart_the_network_converges(&campaign);
    with_graceful_restart_no_table_changes(&campaign);
    the_fields_tools_read_the_records(&campaign);
    analysis_repeats_itself_and_leaves_the_records_alone(&campaign, as_user());
    a_papers_folder_is_made_once(&campaign, &as_user);
    a_campaign_is_compared_with_another_only(&campaign, &as_user);
}

/// It holds what redraws the figures, and a second one does not take its place.
fn a_papers_folder_is_made_once(campaign: &Campaign, as_user: &impl Fn() -> Command) {
    let folder = campaign.path().with_file_name("artefact");
    let export = || {
        let mut export = as_user();
        export.arg("export").arg(campaign.path());
        export.arg("--out").arg(&folder);
        finish(&mut export, SHORT_LIMIT)
    };
    let told = export().exits_with(0).stdout;
    assert!(told.contains("README.md"), "{told}");
    for name in [
        "figures/one-column/convergence.pdf",
        "pgfplots/convergence-none.dat",
        "data/metrics.parquet",
        "manifest.json",
    ] {
        assert!(folder.join(name).is_file(), "{name}");
    }
    export()
        .exits_with(1)
        .says_one_error(&["artefact is there already", "name another folder"]);
}

fn a_campaign_is_compared_with_another_only(campaign: &Campaign, as_user: &impl Fn() -> Command) {
    let mut compare = as_user();
    compare.arg("compare").args([campaign.path(); 2]);
    finish(&mut compare, SHORT_LIMIT)
        .exits_with(1)
        .says_one_error(&["are one campaign"]);
    let mut wanted = as_user();
    wanted.arg("analyze").arg(campaign.path());
    wanted.args(["--wanted", "convergence=0.1"]);
    finish(&mut wanted, SHORT_LIMIT)
        .exits_with(2)
        .says(&["`convergence` is no metric", "convergence_s"]);
}

fn without_graceful_restart_the_network_converges(campaign: &Campaign) {
    let rows = campaign.metrics("none");
    let convergence_s = figure(&rows[0], "convergence_s");
    assert!(convergence_s > 0.0 && convergence_s < 10.0, "{rows:?}");
    let last_s = rows.iter().map(|r| figure(r, "last_change_s"));
    assert_eq!(last_s.fold(0.0, f64::max), convergence_s);
    for row in &rows {
        assert_eq!(figure(row, "convergence_s"), convergence_s);
        assert!(figure(row, "disconnected_s") > 0.0, "{row:?}");
        assert!(figure(row, "updates_sent") > 0.0, "{row:?}");
    }
}

fn with_graceful_restart_no_table_changes(campaign: &Campaign) {
    for row in campaign.metrics("graceful-restart") {
        for column in ["convergence_s", "last_change_s", "disconnected_s"] {
            assert_eq!(figure(&row, column), 0.0, "{column}: {row:?}");
        }
    }
}

fn the_fields_tools_read_the_records(campaign: &Campaign) {
    for arm in ARMS {
        let run = campaign.run(arm);
        for node in ["r1", "r2", "r3", "r4", "injector"] {
            must_hold_what_the_node_sent(&run, node);
        }
        let lines = replay(&run, "r1");
        let about: Vec<&String> = lines
            .iter()
            .filter(|l| l.contains("198.51.100.0/24"))
            .collect();
        let gone = about.iter().filter(|l| l.contains("Deleted ")).count();
        let came = about.len() - gone;
        assert!(lines.iter().any(|l| l.starts_with("Timestamp: ")));
        assert!(about.iter().all(|l| l.contains("dev to-injector")));
        match arm {
            "none" => assert_eq!((came, gone), (2, 1), "{about:#?}"),
            _ => assert_eq!((came, gone), (1, 0), "{about:#?}"),
        }
    }
}

fn analysis_repeats_itself_and_leaves_the_records_alone(campaign: &Campaign, mut flaplab: Command) {
    let metrics = || std::fs::read(campaign.path().join("metrics.csv")).unwrap();
    let (records, before) = (campaign.records(), metrics());
    std::fs::remove_file(campaign.path().join("metrics.csv")).unwrap();
    flaplab.arg("analyze").arg(campaign.path());
    finish(&mut flaplab, SHORT_LIMIT).exits_with(0);
    assert_eq!(metrics(), before, "metrics.csv is the same to the octet");
    assert!(campaign.records() == records, "the records are untouched");
    let mut files = BTreeMap::new();
    collect(campaign.path(), &mut files);
    let half_written = |p: &&PathBuf| p.extension().is_some_and(|e| e == "tmp");
    assert_eq!(files.keys().find(half_written), None);
}
