//! Whole campaigns, from the octets on disk to the tables and the report.

use std::fs;
use std::path::Path;

use results::{Finding, FindingKind, Severity, Status};
use topologies::Strategy;

use super::disk::{campaign, manifest, write_run};
use super::network::{Story, clique, eventful};
use crate::{AnalyzeError, analyze, measure_run};

#[test]
fn runs_that_did_not_complete_are_shown_and_left_out() {
    let temp = tempfile::tempdir().unwrap();
    let campaign = campaign(temp.path());
    let frame = eventful();
    for (i, status) in [
        Status::Complete,
        Status::Failed,
        Status::Aborted,
        Status::Running,
    ]
    .into_iter()
    .enumerate()
    {
        let mut m = manifest(&frame.topology, Strategy::None, i as u32);
        m.status = status;
        m.error = (status == Status::Failed).then(|| "r7: bgpd died".to_owned());
        write_run(&campaign, &frame, m);
    }
    // One whose machine stopped before its manifest was written.
    campaign.create_run("none-0009").unwrap();
    let report = analyze(campaign.path()).unwrap();
    assert_eq!(
        (report.valid_runs(), report.runs, report.unreadable),
        (1, 5, 1)
    );
    assert_eq!((report.arms[0].valid, report.arms[0].total), (1, 4));
    let findings = fs::read_to_string(campaign.findings_csv()).unwrap();
    assert!(findings.contains("none-0001,incomplete,invalidating,manifest.json,"));
    assert!(findings.contains("r7: bgpd died"));
    assert!(findings.contains("none-0009,record-damaged,invalidating,manifest.json,"));
    let rows = fs::read_to_string(campaign.metrics_csv()).unwrap();
    let valid = |run: &str| {
        rows.lines()
            .filter(|l| l.starts_with(run))
            .map(|l| l.contains(",true,,,,1,,"))
            .collect::<Vec<_>>()
    };
    assert_eq!(valid("none-0000"), [true; 3]);
    assert_eq!(valid("none-0001"), [false; 3]);
    assert!(valid("none-0009").is_empty());
}

#[test]
fn what_the_harness_found_invalid_is_left_out() {
    let temp = tempfile::tempdir().unwrap();
    let frame = eventful();
    let mut m = manifest(&frame.topology, Strategy::None, 0);
    let found = |severity| Finding {
        kind: FindingKind::CpuPressure,
        severity,
        place: "host".to_owned(),
        message: "the CPU was short".to_owned(),
    };
    m.findings.push(found(Severity::Warning));
    let dir = write_run(&campaign(temp.path()), &frame, m);
    assert!(measure_run(&dir).valid);
    // The same in findings.jsonl is the same; a new one there counts.
    let mut log = dir.finding_log().unwrap();
    log.append(&found(Severity::Warning)).unwrap();
    assert_eq!(measure_run(&dir).findings.len(), 1);
    log.append(&found(Severity::Invalidating)).unwrap();
    let run = measure_run(&dir);
    assert_eq!(run.findings.len(), 2);
    assert!(!run.valid);
}

#[test]
fn a_graver_finding_of_the_same_kind_and_place_is_not_dropped() {
    let temp = tempfile::tempdir().unwrap();
    let mut story = Story::settled(clique(3, false));
    story.delete(-1.0, "r3", "r1").turn(1.0, "r3", "r1");
    let mut m = manifest(&story.frame.topology, Strategy::None, 0);
    m.findings.push(Finding {
        kind: FindingKind::NotSettled,
        severity: Severity::Note,
        place: "r3".to_owned(),
        message: "it took long".to_owned(),
    });
    let run = measure_run(&write_run(&campaign(temp.path()), &story.frame, m));
    assert_eq!(run.findings.len(), 2);
    assert!(!run.valid);
}

#[test]
fn what_is_no_campaign_or_has_no_run_is_said_so() {
    let temp = tempfile::tempdir().unwrap();
    let error = analyze(&temp.path().join("nowhere")).unwrap_err();
    assert!(matches!(error, AnalyzeError::Directory(_)), "{error}");
    let error = analyze(temp.path()).unwrap_err();
    assert!(error.to_string().contains("not a campaign"), "{error}");
    let campaign = campaign(temp.path());
    let error = analyze(campaign.path()).unwrap_err();
    assert!(matches!(error, AnalyzeError::NoRuns { .. }), "{error}");
    campaign.create_run("none-0000").unwrap();
    let error = analyze(campaign.path()).unwrap_err();
    assert!(
        matches!(error, AnalyzeError::NoReadableRun { runs: 1, .. }),
        "{error}"
    );
}

#[test]
fn the_tables_have_their_columns_and_exact_figures() {
    let temp = tempfile::tempdir().unwrap();
    let campaign = campaign(temp.path());
    let frame = eventful();
    write_run(
        &campaign,
        &frame,
        manifest(&frame.topology, Strategy::None, 0),
    );
    let report = analyze(campaign.path()).unwrap();

    let metrics = fs::read_to_string(campaign.metrics_csv()).unwrap();
    assert_eq!(
        metrics,
        "run_id,scenario,topology,size,router,router_version,mrai_s,failure,strategy,node,\
         convergence_s,last_change_s,disconnected_s,no_route_s,loop_s,blackhole_s,\
         advertisements_sent,withdrawals_sent,updates_sent,valid,\
         probe_disconnected_s,probes_lost,cell,attempt,run_in_lab,table_changes\n\
         none-0000,by-hand,clique,3,FRRouting,8.4.4,5,control,none,r1,\
         3,3,2,0,2,0,2,2,4,true,,,,1,,2\n\
         none-0000,by-hand,clique,3,FRRouting,8.4.4,5,control,none,r2,\
         3,0,2,0,2,0,1,1,2,true,,,,1,,0\n\
         none-0000,by-hand,clique,3,FRRouting,8.4.4,5,control,none,r3,\
         3,0,2,0,2,0,0,0,0,true,,,,1,,0\n"
    );
    assert_eq!(
        fs::read_to_string(campaign.sessions_csv()).unwrap(),
        "run_id,strategy,node,peer,advertisements_sent,withdrawals_sent,valid,cell\n\
         none-0000,none,r1,injector,0,0,true,\n\
         none-0000,none,r1,r2,1,1,true,\n\
         none-0000,none,r1,r3,1,1,true,\n\
         none-0000,none,r2,r1,0,0,true,\n\
         none-0000,none,r2,r3,1,1,true,\n\
         none-0000,none,r3,r1,0,0,true,\n\
         none-0000,none,r3,r2,0,0,true,\n"
    );
    let summary = fs::read_to_string(campaign.summary_csv()).unwrap();
    let mut lines = summary.lines();
    assert_eq!(
        lines.next().unwrap(),
        "scenario,strategy,metric,unit,n,mean,ci95_low,ci95_high,median,p90,max,cell"
    );
    // One run tells nothing of the spread: no interval.
    assert_eq!(
        lines.next().unwrap(),
        "by-hand,none,convergence_s,s,1,3,,,3,3,3,"
    );
    // A run without a probe has no value, which is not 0.
    let last: Vec<&str> = lines.rev().take(3).collect();
    assert_eq!(
        last,
        [
            "by-hand,none,probes_lost,per run,0,,,,,,,",
            "by-hand,none,probe_disconnected_s,s,0,,,,,,,",
            "by-hand,none,updates_sent,per router,1,2,,,2,2,2,",
        ]
    );
    assert_eq!(
        fs::read_to_string(campaign.findings_csv()).unwrap(),
        "run_id,kind,severity,place,message\n"
    );

    use polars::prelude::{ParquetReader, SerReader};
    let parquet = fs::File::open(campaign.metrics_parquet()).unwrap();
    let mut sheet = ParquetReader::new(parquet).finish().unwrap();
    let csv = crate::sheets::to_csv(&mut sheet).unwrap();
    assert_eq!(String::from_utf8(csv).unwrap(), metrics, "the same table");

    let text = report.to_string();
    assert!(
        text.contains("by-hand: failure `control`, clique of 3 routers"),
        "{text}"
    );
    assert!(
        text.contains("FRRouting 8.4.4, MRAI 5 s ┆     1 of 1"),
        "{text}"
    );
    assert!(text.contains("Findings: none in 1 runs."), "{text}");
}

/// The report on one run of the study's control experiment, but for what `change` makes of it.
fn report_on(change: impl FnOnce(&mut results::Manifest)) -> String {
    let temp = tempfile::tempdir().unwrap();
    let campaign = campaign(temp.path());
    let frame = eventful();
    let mut m = manifest(&frame.topology, Strategy::None, 0);
    m.size = 16;
    change(&mut m);
    write_run(&campaign, &frame, m);
    analyze(campaign.path()).unwrap().to_string()
}

#[test]
fn the_study_stands_only_beside_the_experiment_that_it_made() {
    let beside = report_on(|_| {});
    for text in ["Quagga, MRAI 5 s", "> 15 ", "> 11 ", "> 45 ", "(figure 9)"] {
        assert!(beside.contains(text), "{text}: {beside}");
    }
    assert!(beside.contains("need not agree"), "{beside}");
    let graceful = report_on(|m| m.strategy = Strategy::GracefulRestart);
    assert!(
        graceful.contains("1 redundant advertisements"),
        "{graceful}"
    );
    for other in [
        report_on(|m| m.size = 4),
        report_on(|m| m.mrai_s = 1.0),
        report_on(|m| m.topology = "ring".to_owned()),
    ] {
        assert!(!other.contains("Quagga"), "{other}");
    }
}

#[test]
fn analysing_again_gives_the_same_files_and_leaves_the_runs_alone() {
    fn files(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(files(&path));
            } else {
                found.push((path.clone(), fs::read(&path).unwrap()));
            }
        }
        found.sort();
        found
    }
    let temp = tempfile::tempdir().unwrap();
    let campaign = campaign(temp.path());
    let frame = eventful();
    for i in 0..3 {
        for strategy in [Strategy::None, Strategy::GracefulRestart] {
            write_run(&campaign, &frame, manifest(&frame.topology, strategy, i));
        }
    }
    let runs = files(&campaign.runs_dir());
    let first = analyze(campaign.path()).unwrap().to_string();
    let results = files(campaign.path());
    fs::write(campaign.path().join("notes.txt"), "mine").unwrap();
    assert_eq!(analyze(campaign.path()).unwrap().to_string(), first);
    assert_eq!(files(&campaign.runs_dir()), runs);
    assert_eq!(
        fs::read(campaign.path().join("notes.txt")).unwrap(),
        b"mine"
    );
    fs::remove_file(campaign.path().join("notes.txt")).unwrap();
    assert_eq!(files(campaign.path()), results);
}

#[test]
fn a_result_that_cannot_be_written_is_an_error_that_names_it() {
    let temp = tempfile::tempdir().unwrap();
    let campaign = campaign(temp.path());
    let frame = eventful();
    write_run(
        &campaign,
        &frame,
        manifest(&frame.topology, Strategy::None, 0),
    );
    // A folder of that name can be written by nobody, root included.
    fs::create_dir(campaign.summary_csv()).unwrap();
    let error = analyze(campaign.path()).unwrap_err();
    assert!(matches!(error, AnalyzeError::Write { .. }));
    assert!(error.to_string().contains("summary.csv"), "{error}");
    let leftover = campaign.path().join("summary.csv.tmp");
    assert!(!leftover.exists());
}
