//! Campaign and run directories: made once, never overwritten, sealed, read back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use results::realised::{MraiRound, RealisedMrai, Spread};
use results::{CampaignDir, DirError, Manifest, RunDir, Status};

use crate::samples::{event, finding, manifest, scenario, topology};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_run_is_written_and_read_back() {
    let temp = tempfile::tempdir().unwrap();
    let campaign = CampaignDir::create(temp.path().join("deep/er/c"), "name: s # mine\n").unwrap();
    let run = campaign.create_run("none-0000-1").unwrap();
    run.create_node("r1").unwrap();
    run.write_manifest(&manifest()).unwrap();
    run.write_topology(&topology()).unwrap();
    run.write_scenario(&scenario()).unwrap();
    let mut events = run.event_log().unwrap();
    events.append(&event(1)).unwrap();
    events.append(&event(2)).unwrap();
    // Handed over line by line: nothing waits for the writer to end.
    assert_eq!(run.events().unwrap().items, [event(1), event(2)]);
    run.finding_log().unwrap().append(&finding()).unwrap();
    run.finding_log().unwrap().append(&finding()).unwrap();

    let campaign = CampaignDir::open(campaign.path()).unwrap();
    assert_eq!(campaign.scenario_text().unwrap(), "name: s # mine\n");
    let runs = campaign.runs().unwrap();
    assert_eq!(runs, std::slice::from_ref(&run));
    let run = RunDir::open(runs[0].path()).unwrap();
    assert_eq!(run.run_id(), "none-0000-1");
    assert_eq!(run.manifest().unwrap(), manifest());
    assert_eq!(run.topology().unwrap(), topology());
    assert_eq!(run.scenario().unwrap(), scenario());
    assert_eq!(run.findings().unwrap().items, [finding(), finding()]);
    assert_eq!(run.findings().unwrap().broken, []);
    assert!(run.config_dir("r1").is_dir() && run.log_dir("r1").is_dir());
}

#[test]
fn the_files_have_the_documented_names() {
    let run = RunDir::at("c/runs/x");
    let names = [
        run.manifest_path(),
        run.topology_path(),
        run.scenario_resolved_path(),
        run.events_path(),
        run.findings_path(),
        run.routes_rtmon("r1"),
        run.bgp_pcap("r1"),
        run.probe_sent(),
        run.probe_received("injector"),
        run.config_dir("r1"),
        run.log_dir("r1"),
    ];
    let documented = [
        "manifest.json",
        "topology.json",
        "scenario.resolved.yaml",
        "events.jsonl",
        "findings.jsonl",
        "nodes/r1/routes.rtmon",
        "nodes/r1/bgp.pcap",
        "probe-sent.csv",
        "nodes/injector/probe-received.csv",
        "nodes/r1/config",
        "nodes/r1/log",
    ];
    assert_eq!(names, documented.map(|n| Path::new("c/runs/x").join(n)));
}

#[test]
fn the_manifest_and_the_topology_have_the_documented_keys() {
    let temp = tempfile::tempdir().unwrap();
    let run = RunDir::create(temp.path().join("r")).unwrap();
    run.write_manifest(&manifest()).unwrap();
    run.write_topology(&topology()).unwrap();
    let read = |p: &Path| -> serde_json::Value {
        serde_json::from_str(&fs::read_to_string(p).unwrap()).unwrap()
    };
    let m = read(&run.manifest_path());
    assert_eq!(m["strategy"], "graceful-restart");
    assert_eq!(m["failure"], "control");
    assert_eq!(m["status"], "running");
    assert_eq!(m["seed"], u64::MAX);
    let t = read(&run.topology_path());
    assert_eq!(t["destination"], "198.51.100.0/24");
    assert_eq!(t["nodes"][1]["role"], "injector");
    assert_eq!(t["links"][0]["a_addr"], "10.0.0.0");
    assert_eq!(t["links"][0]["role"], "primary");
    let e = serde_json::to_value(event(7)).unwrap();
    assert_eq!(e["kind"], "failure");
    assert_eq!(e["phase"], "applied");
    assert_eq!(e["dead_link"]["b"], "r1");
}

#[test]
fn a_campaign_is_claimed_by_one_at_a_time_and_let_go_with_its_claim() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("c");
    let claim = CampaignDir::claim(&path, "a").unwrap();
    assert!(!claim.resumed);
    let error = CampaignDir::claim(&path, "a").unwrap_err();
    assert!(matches!(&error, DirError::InUse { path: p } if *p == path));
    assert!(error.to_string().contains("another flaplab is at work"));
    drop(claim);
    let claim = CampaignDir::claim(&path, "b").unwrap();
    assert!(claim.resumed);
    assert_eq!(
        claim.dir.scenario_text().unwrap(),
        "a",
        "the first text stays"
    );
}

#[test]
fn a_campaign_killed_while_it_was_made_is_finished() {
    let temp = tempfile::tempdir().unwrap();
    // What is there after each step: the directory, the lock, the text, `runs/`.
    let steps: [&[&str]; 4] = [
        &[],
        &[".lock"],
        &[".lock", "scenario.yaml.tmp"],
        &[".lock", "scenario.yaml"],
    ];
    for (i, files) in steps.iter().enumerate() {
        let path = temp.path().join(i.to_string());
        fs::create_dir(&path).unwrap();
        for file in *files {
            fs::write(path.join(file), "half").unwrap();
        }
        let claim = CampaignDir::claim(&path, "whole").unwrap();
        assert!(!claim.resumed);
        assert_eq!(claim.dir.scenario_text().unwrap(), "whole");
        assert_eq!(CampaignDir::open(&path).unwrap().runs().unwrap(), []);
    }
}

#[test]
fn a_directory_that_is_no_campaign_is_not_claimed() {
    let temp = tempfile::tempdir().unwrap();
    for files in [
        &["metrics.csv"][..],
        &["scenario.yaml"],
        &[".lock", "notes"],
    ] {
        let path = temp.path().join(files.concat());
        fs::create_dir(&path).unwrap();
        for file in files {
            fs::write(path.join(file), "precious").unwrap();
        }
        let error = CampaignDir::claim(&path, "x").unwrap_err();
        assert!(matches!(error, DirError::Exists { .. }), "{files:?}");
        assert_eq!(fs::read_dir(&path).unwrap().count(), files.len());
    }
    let file = temp.path().join("file");
    fs::write(&file, "precious").unwrap();
    let error = CampaignDir::claim(&file, "x").unwrap_err();
    assert!(matches!(error, DirError::Exists { .. }));
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

#[test]
fn nothing_that_exists_is_overwritten() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("c");
    let campaign = CampaignDir::create(&path, "a").unwrap();
    let error = CampaignDir::create(&path, "b").unwrap_err();
    assert!(matches!(&error, DirError::Exists { path: p } if *p == path));
    assert!(error.to_string().contains("name another directory"));
    assert_eq!(campaign.scenario_text().unwrap(), "a");
    campaign.create_run("r").unwrap();
    let error = campaign.create_run("r").unwrap_err();
    assert!(matches!(error, DirError::Exists { .. }));
    let file = temp.path().join("file");
    fs::write(&file, "precious").unwrap();
    assert!(matches!(
        CampaignDir::create(&file, "x").unwrap_err(),
        DirError::Exists { .. }
    ));
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

#[test]
fn runs_are_listed_in_order_with_those_that_have_no_manifest() {
    let temp = tempfile::tempdir().unwrap();
    let campaign = CampaignDir::create(temp.path().join("c"), "").unwrap();
    for name in ["none-0010", "graceful-restart-0001", "none-0002"] {
        campaign.create_run(name).unwrap();
    }
    fs::write(campaign.runs_dir().join("note.txt"), "").unwrap();
    let names: Vec<_> = campaign
        .runs()
        .unwrap()
        .iter()
        .map(RunDir::run_id)
        .collect();
    assert_eq!(names, ["graceful-restart-0001", "none-0002", "none-0010"]);
    let bare = campaign.run_path("none-0002");
    assert!(matches!(
        RunDir::open(bare).unwrap_err(),
        DirError::NotARun {
            missing: "manifest.json",
            ..
        }
    ));
}

#[test]
fn a_name_that_leads_elsewhere_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let campaign = CampaignDir::create(temp.path().join("c"), "").unwrap();
    for name in ["../x", "a/b", "", ".", "..", "a b", "-x", "é"] {
        let error = campaign.create_run(name).unwrap_err();
        assert!(matches!(error, DirError::BadName { what: "run", .. }));
    }
    let run = campaign.create_run("r").unwrap();
    assert!(run.create_node("../../x").is_err());
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
}

#[test]
fn a_sealed_run_is_read_only_and_can_still_be_removed() {
    let temp = tempfile::tempdir().unwrap();
    let run = RunDir::create(temp.path().join("r")).unwrap();
    run.create_node("r1").unwrap();
    fs::write(run.routes_rtmon("r1"), "x").unwrap();
    fs::write(run.log_dir("r1").join("bgpd.log"), "x").unwrap();
    std::os::unix::fs::symlink("/etc/hostname", run.log_dir("r1").join("link")).unwrap();
    let hostname = mode(Path::new("/etc/hostname"));
    run.write_manifest(&manifest()).unwrap();
    run.event_log().unwrap().append(&event(1)).unwrap();
    assert!(!run.is_sealed());

    let mut last = manifest();
    last.status = Status::Complete;
    run.seal(&last).unwrap();
    assert!(run.is_sealed());
    assert_eq!(run.manifest().unwrap().status, Status::Complete);
    for file in [
        run.manifest_path(),
        run.events_path(),
        run.routes_rtmon("r1"),
        run.log_dir("r1").join("bgpd.log"),
    ] {
        assert_eq!(mode(&file), 0o444, "{}", file.display());
    }
    assert_eq!(mode(Path::new("/etc/hostname")), hostname);
    for refused in [
        run.write_manifest(&manifest()),
        run.write_topology(&topology()),
        run.seal(&manifest()),
        run.event_log().map(drop),
        run.finding_log().map(drop),
    ] {
        assert!(matches!(refused.unwrap_err(), DirError::Sealed { .. }));
    }
    assert_eq!(run.manifest().unwrap().status, Status::Complete);
    fs::remove_dir_all(run.path()).unwrap();
}

#[test]
fn a_manifest_is_replaced_whole_and_leaves_nothing_beside_it() {
    let temp = tempfile::tempdir().unwrap();
    let run = RunDir::create(temp.path().join("r")).unwrap();
    let mut long = manifest();
    long.error = Some("x".repeat(10_000));
    run.write_manifest(&long).unwrap();
    run.write_manifest(&manifest()).unwrap();
    assert_eq!(run.manifest().unwrap(), manifest());
    let names: Vec<_> = fs::read_dir(run.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}"); // manifest.json, nodes/
}

#[test]
fn a_broken_line_is_named_and_the_others_kept() {
    let temp = tempfile::tempdir().unwrap();
    let run = RunDir::create(temp.path().join("r")).unwrap();
    let line = |t| serde_json::to_string(&event(t)).unwrap();
    // The last line is whole but for its end: its writer was stopped.
    let text = format!("{}\n{{\"kind\":\n{}\n{}", line(1), line(3), line(4));
    fs::write(run.events_path(), text).unwrap();
    let lines = run.events().unwrap();
    assert_eq!(lines.items, [event(1), event(3)]);
    let numbers: Vec<_> = lines.broken.iter().map(|b| b.number).collect();
    assert_eq!(numbers, [2, 4]);
    assert_eq!(lines.broken[1].reason, "the line is cut short");
}

#[test]
fn a_line_cut_short_spoils_no_line_after_it() {
    let temp = tempfile::tempdir().unwrap();
    let run = RunDir::create(temp.path().join("r")).unwrap();
    fs::write(run.events_path(), "{\"kind\":\"fai").unwrap();
    run.event_log().unwrap().append(&event(1)).unwrap();
    run.event_log().unwrap().append(&event(2)).unwrap();
    let lines = run.events().unwrap();
    assert_eq!(lines.items, [event(1), event(2)]);
    assert_eq!(lines.broken.len(), 1);
    assert_eq!(lines.broken[0].number, 1);
}

#[test]
fn another_schema_version_is_named_with_the_remedy() {
    let temp = tempfile::tempdir().unwrap();
    let run = RunDir::create(temp.path().join("r")).unwrap();
    fs::write(run.manifest_path(), r#"{"schema_version": 99, "new": 1}"#).unwrap();
    let error = run.manifest().unwrap_err();
    assert!(matches!(error, DirError::SchemaVersion { found: 99, .. }));
    assert!(error.to_string().contains("use the flaplab that made it"));
    for text in ["{}", "{", r#"{"schema_version": 1}"#] {
        fs::write(run.manifest_path(), text).unwrap();
        assert!(matches!(
            run.manifest().unwrap_err(),
            DirError::Parse { .. }
        ));
    }
}

#[test]
fn manifests_of_versions_1_and_2_are_still_read() {
    let temp = tempfile::tempdir().unwrap();
    let run = RunDir::create(temp.path().join("r")).unwrap();
    let mut value = serde_json::to_value(manifest()).unwrap();
    for key in ["attempt", "cell"] {
        value.as_object_mut().unwrap().remove(key).unwrap();
    }
    for key in ["realised_mrai", "address"] {
        assert!(value.get(key).is_none(), "it had no such key");
    }
    for version in [1, 2] {
        value["schema_version"] = version.into();
        fs::write(run.manifest_path(), value.to_string()).unwrap();
        let read = run.manifest().unwrap();
        assert_eq!((read.schema_version, read.realised_mrai), (version, None));
        assert_eq!((read.attempt, read.address), (1, None));
        assert!(read.cell.is_empty());
    }
    value["schema_version"] = 0.into();
    fs::write(run.manifest_path(), value.to_string()).unwrap();
    let error = run.manifest().unwrap_err().to_string();
    assert!(error.contains("reads versions 1 to 3"), "{error}");
}

#[test]
fn a_realised_mrai_is_the_least_the_median_and_the_greatest_of_its_rounds() {
    let round = |s: f64| MraiRound {
        first_announcement_s: s,
        second_announcement_s: 2.0 * s,
        announcement_interval_s: 3.0 * s,
        withdrawal_s: 4.0 * s,
        withdrawal_behind_announcement_s: 5.0 * s,
    };
    let spread = |min_s, median_s, max_s| Spread {
        min_s,
        median_s,
        max_s,
    };
    let odd = RealisedMrai::of("r1", "r2", &[3.0, 1.0, 5.0].map(round)).unwrap();
    assert_eq!(odd.rounds, 3);
    assert_eq!(odd.first_announcement, spread(1.0, 3.0, 5.0));
    assert_eq!(odd.second_announcement, spread(2.0, 6.0, 10.0));
    assert_eq!(odd.announcement_interval, spread(3.0, 9.0, 15.0));
    assert_eq!(odd.withdrawal, spread(4.0, 12.0, 20.0));
    let behind = odd.withdrawal_behind_announcement;
    assert_eq!(behind, spread(5.0, 15.0, 25.0));
    let even = RealisedMrai::of("r1", "r2", &[4.0, 1.0].map(round)).unwrap();
    assert_eq!(even.first_announcement, spread(1.0, 2.5, 4.0));
    assert_eq!(RealisedMrai::of("r1", "r2", &[]), None);

    let temp = tempfile::tempdir().unwrap();
    let run = RunDir::create(temp.path().join("r")).unwrap();
    let whole = Manifest {
        realised_mrai: Some(odd),
        ..manifest()
    };
    run.write_manifest(&whole).unwrap();
    assert_eq!(run.manifest().unwrap(), whole);
}

#[test]
fn keys_that_a_later_tool_added_are_passed_over() {
    let temp = tempfile::tempdir().unwrap();
    let run = RunDir::create(temp.path().join("r")).unwrap();
    let mut value = serde_json::to_value(manifest()).unwrap();
    value["weather"] = "fair".into();
    fs::write(run.manifest_path(), value.to_string()).unwrap();
    assert_eq!(run.manifest().unwrap(), manifest());
    let mut value = serde_json::to_value(event(1)).unwrap();
    value["weather"] = "fair".into();
    fs::write(run.events_path(), format!("{value}\n")).unwrap();
    assert_eq!(run.events().unwrap().items, [event(1)]);
}

#[test]
fn what_is_no_campaign_is_named_with_the_remedy() {
    let temp = tempfile::tempdir().unwrap();
    let error = CampaignDir::open(temp.path()).unwrap_err();
    assert!(matches!(
        &error,
        DirError::NotACampaign {
            missing: "scenario.yaml",
            ..
        }
    ));
    assert!(error.to_string().contains("flaplab run --out"));
    let error = CampaignDir::open(temp.path().join("nowhere")).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("nowhere") && text.contains("check the path"),
        "{text}"
    );
}

#[test]
fn a_full_disk_is_named_with_the_remedy() {
    let temp = tempfile::tempdir().unwrap();
    let run = RunDir::create(temp.path().join("r")).unwrap();
    // Every write to /dev/full fails as on a full disk.
    std::os::unix::fs::symlink("/dev/full", run.events_path()).unwrap();
    let error = run.event_log().unwrap().append(&event(1)).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("events.jsonl"), "{text}");
    assert!(text.contains("free space"), "{text}");
}
