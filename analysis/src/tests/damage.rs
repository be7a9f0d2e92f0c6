//! Runs whose records are whole, damaged, or not there.

use std::fs;
use std::path::Path;

use results::realised::{MraiRound, RealisedMrai};
use results::{FindingKind, RunDir, Severity, SharedLab};
use topologies::{FailureKind, Strategy};

use super::disk::{Capture, bgp_update, campaign, manifest, wall_ns, write_run};
use super::network::{Story, by_way_of, clique, eventful, hop, ns};
use crate::arms::MeasuredRun;
use crate::frame::{Install, TableRecord, Update};
use crate::{analyze, load, measure_run};

fn kinds(run: &MeasuredRun) -> Vec<(FindingKind, Severity, &str)> {
    run.findings
        .iter()
        .map(|f| (f.kind, f.severity, f.place.as_str()))
        .collect()
}

/// A run directory of [`eventful`], spoilt before it is measured.
fn spoilt(spoil: impl FnOnce(&RunDir)) -> MeasuredRun {
    let temp = tempfile::tempdir().unwrap();
    let frame = eventful();
    let manifest = manifest(&frame.topology, Strategy::None, 0);
    let dir = write_run(&campaign(temp.path()), &frame, manifest);
    spoil(&dir);
    measure_run(&dir)
}

fn truncate(path: &Path, by: usize) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() - by]).unwrap();
}

#[test]
fn a_frame_comes_back_from_disk_as_it_was() {
    let topology = clique(3, true);
    let mut story = Story::settled(topology.clone());
    story.frame.dead_link = Some(0);
    let mut several = by_way_of(&topology, "r2", "r1");
    several.hops.push(hop(&topology, "r2", "r3"));
    several.hops.sort();
    story
        .link(1.0, "r1", "injector", false)
        .add(1.5, "r2", several, Install::Beside)
        .delete(2.0, "r3", "r1")
        .record(2.5, "r2", TableRecord::NexthopRemoved { id: 7 })
        .record(3.0, "r2", TableRecord::DeviceRemoved { index: 3 });
    story.frame.records.sort_by_key(|r| r.t_ns);
    story.frame.updates.push(Update {
        t_ns: 1_234_567_891, // packets are dated to the nanosecond
        from: 1,
        to: 3,
        advertisements: 2,
        withdrawals: 1,
    });
    let mut m = manifest(&topology, Strategy::None, 0);
    m.failure = FailureKind::Correlated;
    let temp = tempfile::tempdir().unwrap();
    let dir = write_run(&campaign(temp.path()), &story.frame, m);
    let run = load::load(&dir);
    assert_eq!(run.findings, []);
    let frame = run.frame.unwrap();
    assert_eq!(frame.records, story.frame.records);
    assert_eq!(frame.updates, story.frame.updates);
    assert_eq!(
        frame.end_ns,
        ns(10.0),
        "the quiet after the failure, not the one before"
    );
    assert_eq!(frame.dead_link, Some(0));
}

#[test]
fn a_whole_run_is_valid_and_has_the_figures_of_its_records() {
    let run = spoilt(|_| {});
    assert_eq!(kinds(&run), []);
    assert!(run.valid);
    let metrics = run.metrics.unwrap();
    assert_eq!(metrics.convergence_ns, ns(3.0));
    let loops: Vec<u64> = metrics.routers.iter().map(|r| r.loop_ns).collect();
    assert_eq!(loops, [ns(2.0); 3]);
    let sent: Vec<(u64, u64)> = metrics
        .routers
        .iter()
        .map(|r| (r.advertisements(), r.withdrawals()))
        .collect();
    assert_eq!(sent, [(2, 2), (1, 1), (0, 0)]);
}

#[test]
fn records_of_other_tables_prefixes_and_tos_say_nothing() {
    let run = spoilt(|dir| {
        let path = dir.routes_rtmon("r3");
        let bytes = fs::read(&path).unwrap();
        let mut writer = results::rtmon::Writer::new(bytes);
        // The destination's address in table 100 and for TOS 4, and an unrelated prefix: by r2.
        let destination = [198, 51, 100, 1];
        for (address, dst_len, tos, table) in [
            (destination, 32, 0, 100),
            (destination, 32, 4, 254),
            ([203, 0, 113, 0], 24, 0, 254),
        ] {
            let mut m = vec![0; 16];
            m[4] = 24;
            m.extend_from_slice(&[2, dst_len, 0, tos, table, 186, 0, 1, 0, 0, 0, 0]);
            m.extend_from_slice(&[8, 0, 1, 0]);
            m.extend_from_slice(&address);
            m.extend_from_slice(&[8, 0, 4, 0, 3, 0, 0, 0]);
            let length = m.len() as u32;
            m[..4].copy_from_slice(&length.to_ne_bytes());
            writer.write(wall_ns(4_000_000_000), &m).unwrap();
        }
        fs::write(path, writer.get_ref()).unwrap();
    });
    assert_eq!(kinds(&run), []);
    assert_eq!(run.metrics.unwrap().routers[2].last_change_ns, 0);
}

#[test]
fn an_update_split_over_packets_counts_once_at_its_last_octet() {
    let topology = clique(2, false);
    let story = Story::settled(topology.clone());
    let temp = tempfile::tempdir().unwrap();
    let m = manifest(&topology, Strategy::None, 0);
    let dir = write_run(&campaign(temp.path()), &story.frame, m);
    let end = topology.ends("r2").next().unwrap();
    let message = bgp_update(&topology, end.addr, 1, 0);
    let (head, tail) = message.split_at(25);
    let mut capture = Capture::default();
    capture.open(wall_ns(-1), end.addr, end.peer_addr);
    capture.send(wall_ns(-1), end.addr, end.peer_addr, head);
    capture.send(wall_ns(5), end.addr, end.peer_addr, tail);
    // Two messages in one packet are two.
    let two = [message.clone(), bgp_update(&topology, end.addr, 0, 1)].concat();
    capture.send(wall_ns(7), end.addr, end.peer_addr, &two);
    fs::write(dir.bgp_pcap("r2"), capture.bytes()).unwrap();
    let run = measure_run(&dir);
    assert_eq!(kinds(&run), []);
    let r2 = &run.metrics.unwrap().routers[1];
    assert_eq!((r2.advertisements(), r2.withdrawals()), (2, 1));
}

#[test]
fn a_gap_in_a_stream_after_the_failure_makes_the_run_invalid() {
    let gap_at = |t_ns: i64| {
        spoilt(|dir| {
            let topology = clique(3, false);
            let end = topology.ends("r2").next().unwrap();
            let message = bgp_update(&topology, end.addr, 1, 0);
            let mut capture = Capture::default();
            for e in topology.ends("r2") {
                capture.open(wall_ns(-20_000_000_000), e.addr, e.peer_addr);
            }
            capture.skip(end.addr, end.peer_addr, 100);
            for _ in 0..1200 {
                capture.send(wall_ns(t_ns), end.addr, end.peer_addr, &message);
            }
            fs::write(dir.bgp_pcap("r2"), capture.bytes()).unwrap();
        })
    };
    let run = gap_at(2_000_000_000);
    let expected = (
        FindingKind::CaptureGap,
        Severity::Invalidating,
        "nodes/r2/bgp.pcap",
    );
    assert_eq!(kinds(&run), [expected]);
    assert!(!run.valid);
    assert!(run.metrics.is_some(), "shown, and not counted");
    assert!(
        gap_at(11_000_000_000).valid,
        "the end of the lab is not the run's"
    );
}

#[test]
fn a_session_older_than_the_capture_is_a_gap_unless_the_lab_was_reused() {
    let topology = clique(2, false);
    let story = Story::settled(topology.clone());
    let measured = |number: Option<u32>| {
        let temp = tempfile::tempdir().unwrap();
        let mut m = manifest(&topology, Strategy::None, 0);
        m.shared_lab = number.map(|number| SharedLab {
            first_run: "none-0000".to_owned(),
            number,
        });
        let dir = write_run(&campaign(temp.path()), &story.frame, m);
        let end = topology.ends("r2").next().unwrap();
        let mut capture = Capture::default();
        capture.join(end.addr, end.peer_addr);
        for t_ns in [1, 5] {
            let message = bgp_update(&topology, end.addr, 1, 0);
            capture.send(wall_ns(t_ns), end.addr, end.peer_addr, &message);
        }
        fs::write(dir.bgp_pcap("r2"), capture.bytes()).unwrap();
        measure_run(&dir)
    };
    let reused = measured(Some(2));
    assert_eq!(kinds(&reused), []);
    assert_eq!(reused.metrics.unwrap().routers[1].advertisements(), 2);
    for number in [None, Some(1)] {
        let own = measured(number);
        assert_eq!(own.findings[0].kind, FindingKind::CaptureGap);
        assert!(!own.valid);
    }
}

#[test]
fn records_cut_short_are_found_and_what_is_whole_is_used() {
    for file in ["routes.rtmon", "bgp.pcap"] {
        let run = spoilt(|dir| truncate(&dir.node_dir("r1").join(file), 5));
        let place = format!("nodes/r1/{file}");
        assert!(
            kinds(&run).contains(&(
                FindingKind::RecordDamaged,
                Severity::Invalidating,
                place.as_str()
            )),
            "{run:?}"
        );
        assert!(run.metrics.is_some());
        assert!(!run.valid);
    }
}

#[test]
fn records_cut_between_two_are_found_by_their_number() {
    // r1's last route message: a timestamp record of 24 octets and 76 of the route.
    let run = spoilt(|dir| {
        let path = dir.routes_rtmon("r1");
        let bytes = fs::read(&path).unwrap();
        let whole = results::rtmon::Reader::new(&bytes).count();
        let cut = (1..bytes.len())
            .rev()
            .map(|n| &bytes[..n])
            .find(|b| {
                let items: Vec<_> = results::rtmon::Reader::new(b).collect();
                items.len() == whole - 1 && items.iter().all(Result::is_ok)
            })
            .unwrap();
        fs::write(path, cut).unwrap();
    });
    assert!(!run.valid);
    let finding = &run.findings[0];
    assert_eq!(finding.place, "nodes/r1/routes.rtmon");
    assert!(
        finding.message.contains("some are lost"),
        "{}",
        finding.message
    );
}

#[test]
fn a_run_that_lacks_a_routers_file_has_no_figures() {
    for file in ["routes.rtmon", "bgp.pcap"] {
        let run = spoilt(|dir| fs::remove_file(dir.node_dir("r2").join(file)).unwrap());
        assert!(run.metrics.is_none());
        assert!(!run.valid);
        assert!(
            run.findings
                .iter()
                .any(|f| f.place == format!("nodes/r2/{file}"))
        );
    }
    let run = spoilt(|dir| fs::remove_file(dir.routes_rtmon("injector")).unwrap());
    assert!(run.valid, "the injector's tables are not measured");
    assert_eq!(run.findings[0].severity, Severity::Warning);
}

#[test]
fn a_broken_event_line_is_found_and_a_run_without_failure_has_no_figures() {
    let run = spoilt(|dir| truncate(&dir.events_path(), 5));
    assert!(!run.valid);
    assert!(run.findings.iter().all(|f| f.place == "events.jsonl"));
    assert!(run.metrics.is_some(), "it ends with the last record");

    let run = spoilt(|dir| {
        let text = fs::read_to_string(dir.events_path()).unwrap();
        let kept: String = text
            .lines()
            .filter(|l| !l.contains("applied"))
            .map(|l| format!("{l}\n"))
            .collect();
        fs::write(dir.events_path(), kept).unwrap();
    });
    assert!(run.metrics.is_none());
    assert!(run.findings[0].message.contains("no `failure` event"));
}

#[test]
fn an_mrai_probe_has_its_result_in_the_manifest_and_neither_figures_nor_damage() {
    let round = MraiRound {
        first_announcement_s: 0.05,
        second_announcement_s: 1.9,
        announcement_interval_s: 2.0,
        withdrawal_s: 0.06,
        withdrawal_behind_announcement_s: 1.8,
    };
    let temp = tempfile::tempdir().unwrap();
    let campaign = campaign(temp.path());
    let frame = eventful();
    let mut probed = manifest(&frame.topology, Strategy::None, 0);
    probed.failure = FailureKind::MraiProbe;
    let mut lacking = manifest(&frame.topology, Strategy::None, 1);
    lacking.failure = FailureKind::MraiProbe;
    probed.realised_mrai = RealisedMrai::of("r1", "r2", &[round]);
    for m in [probed, lacking] {
        let dir = write_run(&campaign, &frame, m);
        fs::write(dir.events_path(), "").unwrap();
    }
    let report = analyze(campaign.path()).unwrap();
    assert_eq!((report.valid_runs(), report.runs), (1, 2));
    assert_eq!(report.findings.len(), 1, "only of the run without a result");
    let shown = report.to_string();
    for words in [
        "realised MRAI",
        "│ interval between them             ┆  2.000 ┆",
    ] {
        assert!(shown.contains(words), "no `{words}` in:\n{shown}");
    }
    assert!(!shown.contains("convergence"), "{shown}");
}

#[test]
fn a_failure_of_the_data_path_must_name_its_dead_link() {
    let temp = tempfile::tempdir().unwrap();
    let frame = eventful();
    let mut m = manifest(&frame.topology, Strategy::None, 0);
    m.failure = FailureKind::Correlated;
    let run = measure_run(&write_run(&campaign(temp.path()), &frame, m));
    assert!(run.metrics.is_none());
    assert!(run.findings[0].message.contains("dead link"));
}
