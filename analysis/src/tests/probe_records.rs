//! The probe's records as they lie on disk: whole, damaged, missing.

use std::fs;

use results::probe::{Arrival, INTERVAL_NS, Refusal, Tick, Writer};
use results::{Finding, FindingKind, RunDir, Severity};
use topologies::{Scenario, Strategy};

use super::disk::{T0_MONO_NS, campaign, manifest, write_run};
use super::network::ns;
use super::probe::{of_probe, outage};
use crate::frame::Frame;
use crate::probe::Fate;
use crate::{analyze, measure_run};

/// Writes the run with its two records, which `change` may alter; the tables are sound.
fn on_disk(
    frame: &Frame,
    change: impl FnOnce(&mut Vec<Tick>, &mut Vec<Arrival>) -> u64,
) -> (tempfile::TempDir, RunDir) {
    let temp = tempfile::tempdir().unwrap();
    let m = manifest(&frame.topology, Strategy::None, 0);
    let dir = write_run(&campaign(temp.path()), frame, m);
    let (mut ticks, mut arrivals) = records(frame);
    let dropped = change(&mut ticks, &mut arrivals);
    let mut sent = Writer::create(&dir.probe_sent()).unwrap();
    ticks.iter().for_each(|t| sent.append(t).unwrap());
    sent.finish(0).unwrap();
    let mut received = Writer::create(&dir.probe_received("injector")).unwrap();
    arrivals.iter().for_each(|a| received.append(a).unwrap());
    received.finish(dropped).unwrap();
    (temp, dir)
}

/// What sender and receiver write of a frame's probes. The test networks' routers come first.
fn records(frame: &Frame) -> (Vec<Tick>, Vec<Arrival>) {
    let probes = frame.probes.as_ref().unwrap();
    let (mut ticks, mut arrivals) = (Vec::new(), Vec::new());
    for number in 0..probes.fates[0].len() {
        let first = T0_MONO_NS.checked_add_signed(probes.first_ns).unwrap();
        let due_mono_ns = first + number as u64 * INTERVAL_NS;
        let number = u32::try_from(number).unwrap();
        let mut refused = Vec::new();
        for (node, fates) in (0u16..).zip(&probes.fates) {
            match fates[number as usize] {
                Fate::Lost => {}
                Fate::Refused => refused.push(Refusal {
                    node,
                    errno: "ENETUNREACH".to_owned(),
                }),
                Fate::Received => arrivals.push(Arrival {
                    node,
                    number,
                    sent_mono_ns: due_mono_ns + 70_000,
                    delay_ns: 40_000,
                }),
            }
        }
        ticks.push(Tick {
            number,
            due_mono_ns,
            late_ns: 60_000,
            took_ns: 90_000,
            refused,
        });
    }
    (ticks, arrivals)
}

#[test]
fn the_tables_and_the_report_have_what_the_probe_measured() {
    let frame = outage();
    let (temp, dir) = on_disk(&frame, |_, _| 0);
    assert_eq!(measure_run(&dir).findings, []);
    let campaign = temp.path().join("campaign");
    let report = analyze(&campaign).unwrap().to_string();
    let metrics = fs::read_to_string(campaign.join("metrics.csv")).unwrap();
    let rows: Vec<&str> = metrics.lines().skip(1).collect();
    assert_eq!(rows.len(), 3);
    assert!(
        rows.iter().all(|r| r.contains(",true,1.01,101,,1,,")),
        "{metrics}"
    );
    let summary = fs::read_to_string(campaign.join("summary.csv")).unwrap();
    for line in [
        "by-hand,none,probe_disconnected_s,s,1,1.01,,,1.01,1.01,1.01",
        "by-hand,none,probes_lost,per run,1,303,,,303,303,303",
    ] {
        assert!(summary.contains(line), "{summary}");
    }
    for words in [
        "disconnected by probe, s",
        "1.01",
        "probes lost / run",
        "303.0",
    ] {
        assert!(report.contains(words), "{report}");
    }
}

#[test]
fn the_report_is_silent_about_probes_where_there_are_none() {
    let temp = tempfile::tempdir().unwrap();
    let campaign = campaign(temp.path());
    let mut frame = outage();
    frame.probes = None;
    write_run(
        &campaign,
        &frame,
        manifest(&frame.topology, Strategy::None, 0),
    );
    let report = analyze(campaign.path()).unwrap().to_string();
    assert!(!report.contains("probe"), "{report}");
}

/// The only finding of a run whose probe gives no figure, while the others stand.
#[track_caller]
fn without_figure(dir: &RunDir) -> Finding {
    let run = measure_run(dir);
    assert!(run.valid, "{:?}", run.findings);
    assert!(
        run.metrics
            .unwrap()
            .routers
            .iter()
            .all(|r| r.probe.is_none())
    );
    let [finding] = run.findings.as_slice() else {
        panic!("{:?}", run.findings)
    };
    assert_eq!(
        (finding.kind, finding.severity),
        (FindingKind::RecordDamaged, Severity::Warning)
    );
    finding.clone()
}

#[test]
fn records_that_are_not_whole_give_a_finding_and_no_figure() {
    type Change = fn(&mut Vec<Tick>, &mut Vec<Arrival>) -> u64;
    let changes: [(Change, &str); 8] = [
        (|t, _| (t.remove(40), 0).1, "tick 40 is missing"),
        (
            |t, _| (t[7].due_mono_ns += 1, 0).1,
            "tick 7 is missing or out of step",
        ),
        (|t, a| (t.clear(), a.clear(), 0).2, "no probe was sent"),
        (
            |t, a| (t.truncate(900), a.retain(|a| a.number < 900), 0).2,
            "do not cover",
        ),
        (|_, a| (a.push(a[0]), 0).1, "received twice"),
        (
            |_, a| (a[0].number = 4_000_000, 0).1,
            "received and never sent",
        ),
        (
            |t, a| {
                (
                    t.iter_mut().for_each(|t| t.due_mono_ns += ns(1.0)),
                    a.len(),
                    0,
                )
                    .2
            },
            "do not cover",
        ),
        (|_, a| (a[0].node = 3, 0).1, "node 3 is no router"),
    ];
    for (change, says) in changes {
        let (_temp, dir) = on_disk(&outage(), change);
        let finding = without_figure(&dir);
        assert!(finding.message.contains(says), "{says}: {finding:?}");
    }
}

#[test]
fn a_record_that_is_missing_cut_short_or_damaged_is_told_by_its_name() {
    let (_temp, dir) = on_disk(&outage(), |_, _| 0);
    let (sent, received) = (dir.probe_sent(), dir.probe_received("injector"));
    for (file, name) in [(&sent, "probe-sent.csv"), (&received, "probe-received.csv")] {
        let whole = fs::read(file).unwrap();
        let told = |says: &str| {
            let finding = without_figure(&dir);
            assert!(finding.place.ends_with(name), "{finding:?}");
            assert!(finding.message.contains(says), "{finding:?}");
        };
        fs::write(file, &whole[..whole.len() / 2]).unwrap();
        told("cut short");
        let mut damaged = whole.clone();
        let at = whole.iter().position(|&b| b == b'\n').unwrap() + 1;
        damaged[at] = b'x';
        fs::write(file, &damaged).unwrap();
        told("line 2: `x` is not a number");
        fs::remove_file(file).unwrap();
        told("cannot read");
        fs::write(file, &whole).unwrap();
    }
    assert_eq!(measure_run(&dir).findings, []);
}

#[test]
fn a_probe_that_was_wanted_and_left_no_record_is_told() {
    let (_temp, dir) = on_disk(&outage(), |_, _| 0);
    fs::remove_file(dir.probe_sent()).unwrap();
    fs::remove_file(dir.probe_received("injector")).unwrap();
    let scenario = |wanted: bool| {
        let text = format!(
            "name: x\ntopology: {{kind: clique, size: 3}}\nfailure: {{kind: control}}\n\
             data_plane_probe: {wanted}\n"
        );
        let scenario = Scenario::parse(&text, "x").unwrap();
        scenario.resolve(Strategy::None, 0)
    };
    dir.write_scenario(&scenario(false)).unwrap();
    assert_eq!(measure_run(&dir).findings, []);
    dir.write_scenario(&scenario(true)).unwrap();
    let run = measure_run(&dir);
    let places: Vec<&str> = run.findings.iter().map(|f| &f.place[..]).collect();
    assert_eq!(
        places,
        ["probe-sent.csv", "nodes/injector/probe-received.csv"]
    );
    assert!(run.valid);
}

#[test]
fn what_impaired_the_probe_is_told_and_its_figure_stands() {
    let (_temp, dir) = on_disk(&outage(), |ticks, arrivals| {
        ticks[20].late_ns = 9_000_000;
        ticks[20].took_ns = 2_500_000;
        arrivals.retain(|a| (a.node, a.number) != (0, 30));
        ticks[30].refused.push(Refusal {
            node: 0,
            errno: "EAGAIN".to_owned(),
        });
        17
    });
    let run = measure_run(&dir);
    assert!(run.valid);
    let told: Vec<&Finding> = run
        .findings
        .iter()
        .filter(|f| f.kind == FindingKind::ProbeImpaired)
        .collect();
    let says = [
        "1 of 1050 ticks were sent more than 10 ms late, the worst 11.5 ms",
        "1 probes were not sent for another reason than the want of a route, the first for EAGAIN",
        "dropped 17 probes",
    ];
    assert_eq!(told.len(), says.len(), "{:?}", run.findings);
    for (finding, says) in told.iter().zip(says) {
        assert!(finding.message.contains(says), "{finding:?}");
    }
    assert_eq!(of_probe(&run.metrics.unwrap())[1], (ns(1.01), 101));
}
