//! Runs that several machines made, brought together in one campaign.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use results::merge::{Merged, Taking, merge, publish};
use results::{CampaignDir, ClaimedCampaign, DirError, Manifest, RunDir, Status};
use tempfile::TempDir;

use crate::samples;

const TEXT: &str = "schema: 1\n";
const RUN: &str = "none-0000-0000000000000001";

struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Bench {
        Bench {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn campaign(&self) -> ClaimedCampaign {
        CampaignDir::claim(self.dir.path().join("campaign"), TEXT).unwrap()
    }

    fn other(&self, name: &str) -> CampaignDir {
        CampaignDir::create(self.dir.path().join(name), TEXT).unwrap()
    }
}

fn manifest(status: Status, host: &str) -> Manifest {
    let mut manifest = samples::manifest();
    manifest.status = status;
    manifest.host.name = host.into();
    manifest.error = (status == Status::Failed).then(|| "r1 died".into());
    manifest
}

/// A run as a machine left it.
fn made(campaign: &CampaignDir, name: &str, manifest: &Manifest) -> RunDir {
    let run = campaign.create_run(name).unwrap();
    let mut manifest = manifest.clone();
    manifest.run_id = name.into();
    run.create_node("r1").unwrap();
    fs::write(run.routes_rtmon("r1"), "records of r1").unwrap();
    run.event_log().unwrap();
    if manifest.status == Status::Running {
        run.write_manifest(&manifest).unwrap();
    } else {
        run.seal(&manifest).unwrap();
    }
    run
}

fn take(into: &ClaimedCampaign, from: &CampaignDir, taking: Taking) -> Merged {
    merge(into, from, taking, |_, _| Ok(())).unwrap()
}

fn must_be_whole(run: &RunDir) {
    assert!(run.is_sealed());
    assert_eq!(
        fs::read_to_string(run.routes_rtmon("r1")).unwrap(),
        "records of r1"
    );
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&run.routes_rtmon("r1")), 0o444);
}

#[test]
fn a_copied_run_is_whole_and_its_original_stays() {
    let bench = Bench::new();
    let (into, from) = (bench.campaign(), bench.other("elsewhere"));
    let original = made(&from, RUN, &manifest(Status::Complete, "n1"));
    let merged = take(&into, &from, Taking::Copy);
    assert_eq!(merged.taken.len(), 1);
    must_be_whole(&original);
    must_be_whole(&RunDir::at(into.dir.run_path(RUN)));
    assert!(!into.dir.incoming_dir().exists());
    // Once more: the same records are no second run.
    let again = take(&into, &from, Taking::Copy);
    assert_eq!(again.there, [RUN]);
    assert_eq!((again.taken.len(), again.second.len()), (0, 0));
}

#[test]
fn a_moved_run_is_whole_and_its_original_is_gone() {
    let bench = Bench::new();
    let (into, from) = (bench.campaign(), bench.other("task"));
    let original = made(&from, RUN, &manifest(Status::Complete, "n1"));
    assert_eq!(take(&into, &from, Taking::Move).taken.len(), 1);
    must_be_whole(&RunDir::at(into.dir.run_path(RUN)));
    assert!(!original.path().exists());
}

#[test]
fn of_two_runs_of_one_address_the_first_stays_and_the_second_is_told() {
    let bench = Bench::new();
    let into = bench.campaign();
    let (first, second) = (bench.other("first"), bench.other("second"));
    made(&first, RUN, &manifest(Status::Complete, "n1"));
    let later = made(&second, RUN, &manifest(Status::Complete, "n2"));
    take(&into, &first, Taking::Move);
    let merged = take(&into, &second, Taking::Move);
    assert_eq!(merged.second.len(), 1);
    assert_eq!(merged.second[0].path, later.path());
    assert!(merged.second[0].reason.contains("made on n1"));
    must_be_whole(&later);
    let stays = RunDir::at(into.dir.run_path(RUN)).manifest().unwrap();
    assert_eq!(stays.host.name, "n1");
}

#[test]
fn only_complete_sealed_runs_of_this_experiment_are_taken() {
    let bench = Bench::new();
    let (into, from) = (bench.campaign(), bench.other("elsewhere"));
    made(&from, "failed", &manifest(Status::Failed, "n1"));
    made(&from, "aborted", &manifest(Status::Aborted, "n1"));
    made(&from, "running", &manifest(Status::Running, "n1"));
    from.create_run("begun").unwrap();
    let unsealed = from.create_run("unsealed").unwrap();
    let mut complete = manifest(Status::Complete, "n1");
    complete.run_id = "unsealed".into();
    unsealed.write_manifest(&complete).unwrap();
    let renamed = made(&from, "once", &manifest(Status::Complete, "n1"));
    fs::rename(renamed.path(), from.run_path("renamed")).unwrap();
    made(&from, "strange", &manifest(Status::Complete, "n1"));
    let merged = merge(&into, &from, Taking::Move, |_, m| {
        if m.run_id == "strange" {
            Err("`router.mrai` differs".into())
        } else {
            Ok(())
        }
    });
    let merged = merged.unwrap();
    assert_eq!(merged.taken.len(), 0);
    let told = |left: &[results::merge::Left]| -> Vec<(String, String)> {
        let name = |p: &Path| p.file_name().unwrap().to_string_lossy().into_owned();
        left.iter()
            .map(|l| (name(&l.path), l.reason.clone()))
            .collect()
    };
    let unfinished = told(&merged.unfinished);
    let expected = [
        ("aborted", "stopped"),
        ("begun", "manifest.json"),
        ("failed", "r1 died"),
        ("running", "under way"),
        ("unsealed", "not sealed"),
    ];
    assert_eq!(unfinished.len(), expected.len(), "{unfinished:?}");
    for ((name, reason), (expected, part)) in unfinished.iter().zip(expected) {
        assert_eq!(name, expected);
        assert!(reason.contains(part), "{name}: {reason}");
    }
    let refused = told(&merged.refused);
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(refused[0].1.contains("says that it is once"));
    assert_eq!(refused[1].1, "`router.mrai` differs");
    assert_eq!(into.dir.runs().unwrap(), []);
    assert_eq!(from.runs().unwrap().len(), 7, "all of them stay");
}

#[test]
fn a_whole_run_takes_the_place_of_an_interrupted_one_which_is_kept_aside() {
    let bench = Bench::new();
    let (into, from) = (bench.campaign(), bench.other("task"));
    made(&into.dir, RUN, &manifest(Status::Running, "n1"));
    made(&from, RUN, &manifest(Status::Complete, "n2"));
    assert_eq!(take(&into, &from, Taking::Move).taken.len(), 1);
    must_be_whole(&RunDir::at(into.dir.run_path(RUN)));
    let aside = RunDir::at(into.dir.abandoned_dir().join(format!("{RUN}-1")));
    assert_eq!(aside.manifest().unwrap().host.name, "n1");
}

#[test]
fn what_a_killed_merge_had_copied_is_no_run_and_is_copied_again() {
    let bench = Bench::new();
    let (into, from) = (bench.campaign(), bench.other("elsewhere"));
    made(&from, RUN, &manifest(Status::Complete, "n1"));
    let half = into.dir.incoming_dir().join(RUN);
    fs::create_dir_all(&half).unwrap();
    fs::write(half.join("manifest.json"), "{").unwrap();
    assert_eq!(into.dir.runs().unwrap(), []);
    assert_eq!(take(&into, &from, Taking::Copy).taken.len(), 1);
    must_be_whole(&RunDir::at(into.dir.run_path(RUN)));
}

#[test]
fn a_run_is_published_under_its_name_across_file_systems_too() {
    // /dev/shm is a file system of its own nearly everywhere; where it is not, this is a rename.
    for scratch in [tempfile::tempdir(), tempfile::tempdir_in("/dev/shm")] {
        let scratch = scratch.unwrap();
        let bench = Bench::new();
        let work = CampaignDir::create(scratch.path().join("work"), TEXT).unwrap();
        let run = made(&work, RUN, &manifest(Status::Failed, "n1"));
        let task = bench.other("task");
        let published = publish(&run, &task).unwrap();
        must_be_whole(&published);
        assert_eq!(published.path(), task.run_path(RUN));
        assert!(!run.path().exists());
        assert!(!task.incoming_dir().exists());

        let again = made(&work, RUN, &manifest(Status::Complete, "n1"));
        let refused = publish(&again, &task).unwrap_err();
        assert!(matches!(refused, DirError::Exists { .. }), "{refused}");
        must_be_whole(&again);
    }
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    if device(Path::new("/dev/shm")) == device(&std::env::temp_dir()) {
        eprintln!("/dev/shm and the temporary directory are one file system");
    }
}

#[test]
fn the_tasks_of_a_campaign_are_listed_and_a_stranger_among_them_is_not() {
    let bench = Bench::new();
    let campaign = bench.campaign().dir;
    assert_eq!(campaign.tasks().unwrap(), []);
    for name in ["12_2", "12_1"] {
        CampaignDir::create(campaign.tasks_dir().join(name), TEXT).unwrap();
    }
    fs::create_dir(campaign.tasks_dir().join("half")).unwrap();
    let names: Vec<_> = campaign.tasks().unwrap();
    let names: Vec<_> = names
        .iter()
        .map(|t| t.path().file_name().unwrap())
        .collect();
    assert_eq!(names, ["12_1", "12_2"]);
}
