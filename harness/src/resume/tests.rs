#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use results::{CampaignDir, Clock, DirError, Host, Manifest, RunDir, SCHEMA_VERSION, Status};
use topologies::{ResolvedScenario, Scenario};

use super::{Make, Missing, ResumeError, Resumed, resume};
use crate::judge::{Judge, Verdict};
use crate::versions::Uses;

const TEXT: &str = "\
schema: 1
name: four
topology: {kind: clique, size: 4}
router: {mrai: 1s}
failure: {kind: control}
runs: 2
seed: 7
";

fn scenario(text: &str) -> Scenario {
    Scenario::parse(text, "four.yaml").unwrap()
}

fn runs(scenario: &Scenario) -> Vec<ResolvedScenario> {
    scenario.resolve_all().collect()
}

fn ids(runs: &[ResolvedScenario]) -> Vec<String> {
    runs.iter().map(ResolvedScenario::run_id).collect()
}

fn missing_ids(resumed: &Resumed) -> Vec<String> {
    let runs = resumed.missing.iter();
    runs.map(|missing| missing.scenario.run_id()).collect()
}

/// Takes every complete run for valid, but for those with an `invalid` file.
fn judge() -> Judge {
    Judge::new(|run| Verdict {
        valid: !run.path().join("invalid").exists(),
        findings: Vec::new(),
    })
}

fn manifest(run: &ResolvedScenario, status: Status) -> Manifest {
    Manifest {
        schema_version: SCHEMA_VERSION,
        run_id: run.run_id(),
        address: Some(run.address()),
        attempt: 1,
        scenario: run.scenario.clone(),
        cell: run.cell.clone(),
        topology: run.topology_kind.to_string(),
        size: run.size,
        failure: run.failure.kind,
        strategy: run.strategy,
        run_index: run.run_index,
        seed: run.seed,
        failure_phase_s: 0.0,
        router: "FRRouting".to_owned(),
        router_version: "8.4.4".to_owned(),
        injector: "ours".to_owned(),
        injector_version: "1".to_owned(),
        mrai_s: 1.0,
        realised_mrai: None,
        jobs: None,
        lab_cost: None,
        shared_lab: None,
        tool_version: "1".to_owned(),
        tool_commit: "unknown".to_owned(),
        host: Host {
            name: "host".to_owned(),
            kernel: "6.1".to_owned(),
            cpus: 2,
            memory_mib: 1024,
        },
        clock: Clock {
            wall_minus_mono_ns: 0,
        },
        sysctls: BTreeMap::new(),
        status,
        error: None,
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        ended_at: None,
        recorders: BTreeMap::new(),
        machine: None,
        findings: Vec::new(),
    }
}

/// A run as it stands when its flaplab is killed after so many steps of its course.
fn write(campaign: &CampaignDir, run: &ResolvedScenario, steps: usize, status: Status) -> RunDir {
    write_as(campaign, &run.run_id(), run, steps, status)
}

fn write_as(
    campaign: &CampaignDir,
    name: &str,
    run: &ResolvedScenario,
    steps: usize,
    status: Status,
) -> RunDir {
    let dir = campaign.create_run(name).unwrap();
    let running = manifest(run, Status::Running);
    let all: [&dyn Fn(); 5] = [
        &|| dir.write_topology(&run.topology).unwrap(),
        &|| dir.write_scenario(run).unwrap(),
        &|| dir.write_manifest(&running).unwrap(),
        &|| drop(dir.event_log().unwrap()),
        &|| dir.seal(&manifest(run, status)).unwrap(),
    ];
    all.iter().take(steps).for_each(|step| step());
    dir
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .map(|entries| entries.map(|e| e.unwrap().file_name().into_string().unwrap()))
        .map(Iterator::collect)
        .unwrap_or_default();
    names.sort();
    names
}

#[test]
fn complete_runs_stay_and_every_other_one_is_moved_aside_and_made_again() {
    let temp = tempfile::tempdir().unwrap();
    let campaign = CampaignDir::create(temp.path().join("c"), TEXT).unwrap();
    let scenario = scenario(TEXT).with_runs(std::num::NonZeroU32::new(4).unwrap());
    let all = runs(&scenario);
    assert_eq!(all.len(), 8);
    // Killed at each step; failed; complete. The last one was never begun.
    for (steps, run) in all.iter().enumerate().take(5) {
        write(&campaign, run, steps, Status::Complete);
    }
    write(&campaign, &all[5], 5, Status::Aborted);
    let complete = write(&campaign, &all[6], 5, Status::Complete);
    fs::set_permissions(complete.manifest_path(), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(!complete.is_sealed());
    let written = fs::read(complete.manifest_path()).unwrap();

    let resumed = resume(&campaign, &scenario, all.clone(), &judge(), 3).unwrap();
    assert_eq!(resumed.there, 1);
    assert_eq!(resumed.abandoned, ids(&all[..6]));
    let made = Make::of(&manifest(&all[6], Status::Complete));
    assert_eq!(resumed.makes, [(Uses::of(&all[6]), made.clone())]);
    let mut ours = made.clone();
    assert!(made.differences(&ours).is_empty());
    ours.router = "FRRouting 10.6".to_owned();
    assert_eq!(
        made.differences(&ours),
        ["FRRouting 8.4.4, now FRRouting 10.6"]
    );
    let mut missing = ids(&all[..6]);
    missing.push(all[7].run_id());
    assert_eq!(missing_ids(&resumed), missing);
    assert!(resumed.missing.iter().all(|m| m.attempts == (1..4)));
    assert_eq!(names(&campaign.runs_dir()), [all[6].run_id()]);
    let aside: Vec<String> = resumed.abandoned.iter().map(|r| format!("{r}-1")).collect();
    let mut sorted = aside.clone();
    sorted.sort();
    assert_eq!(names(&campaign.abandoned_dir()), sorted);
    assert!(
        campaign
            .abandoned_dir()
            .join(&aside[4])
            .join("events.jsonl")
            .exists()
    );
    assert!(
        complete.is_sealed(),
        "what was killed before its seal is sealed"
    );
    assert_eq!(fs::read(complete.manifest_path()).unwrap(), written);

    // Interrupted again: the first one is not overwritten.
    write(&campaign, &all[0], 2, Status::Complete);
    let again = resume(&campaign, &scenario, all.clone(), &judge(), 3).unwrap();
    assert_eq!(again.abandoned, [all[0].run_id()]);
    let second = campaign
        .abandoned_dir()
        .join(format!("{}-2", all[0].run_id()));
    assert!(second.join("topology.json").exists());
    assert!(campaign.abandoned_dir().join(&aside[0]).exists());
}

#[test]
fn comments_arms_and_the_number_of_runs_may_differ() {
    let temp = tempfile::tempdir().unwrap();
    let campaign = CampaignDir::create(temp.path().join("c"), TEXT).unwrap();
    let first = runs(&scenario(TEXT));
    for run in &first {
        write(&campaign, run, 5, Status::Complete);
    }
    let text = format!(
        "# mine\n{}",
        TEXT.replace("runs: 2", "runs: 3\nstrategies: [graceful-restart]")
    );
    let more = scenario(&text);
    let resumed = resume(&campaign, &more, runs(&more), &judge(), 1).unwrap();
    assert_eq!((resumed.there, resumed.missing.len()), (2, 1));
    assert_eq!(resumed.missing[0].scenario.run_index, 2);
}

#[test]
fn another_experiment_is_refused_with_what_differs_and_nothing_is_moved() {
    let temp = tempfile::tempdir().unwrap();
    let campaign = CampaignDir::create(temp.path().join("c"), TEXT).unwrap();
    let first = runs(&scenario(TEXT));
    write(&campaign, &first[0], 5, Status::Complete);
    write(&campaign, &first[1], 3, Status::Complete);
    let before = names(&campaign.runs_dir());
    let refused = |text: &str, parts: &[&str]| {
        let other = scenario(text);
        let error = resume(&campaign, &other, runs(&other), &judge(), 3).unwrap_err();
        assert!(matches!(error, ResumeError::Other { .. }), "{error}");
        for part in parts {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
    };
    refused(
        &TEXT.replace("mrai: 1s", "mrai: 5s"),
        &["router.mrai", "\"1s\"", "\"5s\"", "--out"],
    );
    refused(&TEXT.replace("size: 4", "size: 5"), &["`size` is 4", "5"]);
    refused(&TEXT.replace("seed: 7", "seed: 8"), &["seed", "--seed"]);
    assert_eq!(names(&campaign.runs_dir()), before);
    assert!(!campaign.abandoned_dir().exists());
}

#[test]
fn a_run_with_other_settings_than_its_campaign_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let campaign = CampaignDir::create(temp.path().join("c"), TEXT).unwrap();
    let ours = scenario(TEXT);
    let mut odd = runs(&ours).remove(0);
    odd.deadlines.quiet = topologies::Span::from_secs(1);
    write(&campaign, &odd, 5, Status::Complete);
    let error = resume(&campaign, &ours, runs(&ours), &judge(), 3)
        .unwrap_err()
        .to_string();
    assert!(error.contains(&odd.run_id()), "{error}");
    assert!(error.contains("deadlines.quiet"), "{error}");
}

#[test]
fn a_run_of_another_version_of_the_format_is_not_touched() {
    let temp = tempfile::tempdir().unwrap();
    let campaign = CampaignDir::create(temp.path().join("c"), TEXT).unwrap();
    let ours = scenario(TEXT);
    let all = runs(&ours);
    let dir = write(&campaign, &all[0], 3, Status::Complete);
    fs::write(dir.manifest_path(), "{\"schema_version\": 999}").unwrap();
    let error = resume(&campaign, &ours, all.clone(), &judge(), 3).unwrap_err();
    assert!(matches!(
        error,
        ResumeError::Dir(DirError::SchemaVersion { found: 999, .. })
    ));
    assert_eq!(names(&campaign.runs_dir()), [all[0].run_id()]);
    // A manifest that is damaged says nothing: the run is kept aside, and made again.
    fs::write(dir.manifest_path(), "{\"schema").unwrap();
    let resumed = resume(&campaign, &ours, all.clone(), &judge(), 3).unwrap();
    assert_eq!(resumed.abandoned, [all[0].run_id()]);
}

const SWEEP: &str = "\
name: four
topology: {kind: clique, size: 4}
failure: {kind: control}
strategies: [none]
runs: 1
matrix: {router.mrai: [1s, 2s]}
";

#[test]
fn a_run_without_a_valid_attempt_is_made_again_so_often_and_no_oftener() {
    let temp = tempfile::tempdir().unwrap();
    let campaign = CampaignDir::create(temp.path().join("c"), TEXT).unwrap();
    let scenario = scenario(TEXT);
    let all = runs(&scenario);
    let resumed = |attempts| {
        let r = resume(&campaign, &scenario, all[..1].to_vec(), &judge(), attempts).unwrap();
        let left = r.missing.first().map(|m| m.attempts.clone());
        (r.there, left, r.spent.len(), r.abandoned)
    };
    let run = all[0].run_id();
    let attempt = |number: u32, status| {
        let name = results::attempt::attempt_id(&run, number);
        write_as(&campaign, &name, &all[0], 5, status)
    };
    assert_eq!(resumed(3), (0, Some(1..4), 0, vec![]));
    attempt(1, Status::Failed);
    assert_eq!(resumed(3), (0, Some(2..4), 0, vec![]), "a failed one stays");
    let invalid = attempt(2, Status::Complete);
    fs::write(invalid.path().join("invalid"), "").unwrap();
    // One that is interrupted is none of those that count.
    write_as(&campaign, &format!("{run}.3"), &all[0], 3, Status::Running);
    assert_eq!(resumed(3), (0, Some(3..4), 0, vec![format!("{run}.3")]));
    assert_eq!(resumed(2), (0, None, 1, vec![]), "no more than it may have");
    let name = [run.clone(), format!("{run}.2")];
    assert_eq!(names(&campaign.runs_dir()), name);
    attempt(3, Status::Complete);
    assert_eq!(resumed(3), (1, None, 0, vec![]));
    assert_eq!(resumed(1), (1, None, 0, vec![]), "a valid one counts");
    assert_eq!(names(&campaign.abandoned_dir()), [format!("{run}.3-1")]);
    assert_eq!(Missing::first(all[0].clone(), 3).attempts, 1..4);
}

#[test]
fn runs_that_are_named_after_their_seed_are_gone_on_with() {
    let temp = tempfile::tempdir().unwrap();
    let campaign = CampaignDir::create(temp.path().join("c"), TEXT).unwrap();
    let scenario = scenario(TEXT);
    let all = runs(&scenario);
    // As versions 1 and 2 left them: no address, attempt or cell.
    let old = |run: &ResolvedScenario, steps, status| {
        let name = run.seed_named_run_id();
        let dir = write_as(&campaign, &name, run, steps, status);
        let mut value = serde_json::to_value(manifest(run, status)).unwrap();
        let keys = value.as_object_mut().unwrap();
        keys.retain(|k, _| !["address", "attempt", "cell"].contains(&k.as_str()));
        keys.insert("schema_version".to_owned(), 2.into());
        fs::remove_file(dir.manifest_path()).unwrap();
        fs::write(dir.manifest_path(), value.to_string()).unwrap();
        name
    };
    old(&all[0], 5, Status::Complete);
    let failed = old(&all[1], 5, Status::Failed);
    let cut = old(&all[2], 3, Status::Running);
    let resumed = resume(&campaign, &scenario, all.clone(), &judge(), 3).unwrap();
    assert_eq!(resumed.there, 1);
    assert_eq!(resumed.abandoned, [cut]);
    assert_eq!(missing_ids(&resumed), ids(&all[1..]));
    let attempts: Vec<_> = resumed.missing.iter().map(|m| m.attempts.clone()).collect();
    assert_eq!(attempts, [2..4, 1..4, 1..4]);
    assert!(campaign.run_path(&failed).exists());
    // With other settings they are as foreign as any.
    let other = scenario_with(TEXT, "mrai: 1s", "mrai: 2s");
    assert!(resume(&campaign, &other, runs(&other), &judge(), 3).is_err());
}

fn scenario_with(text: &str, from: &str, to: &str) -> Scenario {
    scenario(&text.replace(from, to))
}

#[test]
fn values_of_a_matrix_may_be_added_and_taken_out_and_keys_may_not() {
    let temp = tempfile::tempdir().unwrap();
    let campaign = CampaignDir::create(temp.path().join("c"), SWEEP).unwrap();
    for run in runs(&scenario(SWEEP)) {
        write(&campaign, &run, 5, Status::Complete);
    }
    let resumed = |to: &str| {
        let other = scenario_with(SWEEP, "{router.mrai: [1s, 2s]}", to);
        let all = runs(&other);
        resume(&campaign, &other, all, &judge(), 3)
    };
    let same = resumed("{router.mrai: [1s, 2s]}").unwrap();
    assert_eq!((same.there, same.missing.len()), (2, 0));
    let more = resumed("{router.mrai: [5s, 2s, 1s]}").unwrap();
    assert_eq!((more.there, more.missing.len()), (2, 1));
    assert_eq!(more.missing[0].scenario.cell.to_string(), "mrai=5s");
    assert_eq!(resumed("{router.mrai: [2s]}").unwrap().there, 1);
    for other in [
        "{router.mrai: [7s]}",
        "{router.mrai: [1s, 2s], topology.size: [4]}",
        "{router.hold_time: [90s]}",
    ] {
        let error = resumed(other).unwrap_err();
        assert!(matches!(error, ResumeError::Other { .. }), "{error}");
        assert!(error.to_string().contains("mrai=1s; mrai=2s"), "{error}");
    }
    // What is not in the matrix must be the same.
    let other = scenario_with(SWEEP, "size: 4", "size: 5");
    let error = resume(&campaign, &other, runs(&other), &judge(), 3).unwrap_err();
    assert!(error.to_string().contains("`size` is 4"), "{error}");
}
