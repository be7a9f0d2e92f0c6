//! Two campaigns beside each other, on disk.

use std::fs;

use results::{CampaignDir, SharedLab};
use tempfile::TempDir;
use topologies::{FailureKind, Strategy};

use super::disk::{manifest, write_run};
use super::network::eventful;
use crate::arms::Metric;
use crate::contrast::{Contrast, ContrastError, contrast};
use crate::folder::FolderError;
use crate::{AnalyzeError, analyze, making::Aspect};

/// A campaign in which every arm has three runs, all alike, but for what `change` makes of them.
fn made(
    place: &TempDir,
    name: &str,
    strategies: &[Strategy],
    change: impl Fn(&mut results::Manifest),
) -> CampaignDir {
    let text = format!("name: {name} # mine\nschema: 1\n");
    let campaign = CampaignDir::create(place.path().join(name), &text).unwrap();
    let frame = eventful();
    for strategy in strategies {
        for i in 0..3 {
            let mut m = manifest(&frame.topology, *strategy, i);
            m.seed = u64::from(i);
            m.ended_at = None;
            change(&mut m);
            write_run(&campaign, &frame, m);
        }
    }
    campaign
}

const BOTH: [Strategy; 2] = [Strategy::None, Strategy::Tcpr];

fn of(a: &CampaignDir, b: &CampaignDir) -> Result<Contrast, ContrastError> {
    contrast(a.path(), b.path(), &[])
}

#[test]
fn arms_of_one_experiment_are_compared_and_what_differs_is_said() {
    let place = tempfile::tempdir().unwrap();
    let a = made(&place, "a", &BOTH, |_| {});
    let b = made(&place, "b", &[Strategy::None], |m| {
        m.router_version = "10.2".to_owned();
        m.host.cpus = 64;
    });
    let found = of(&a, &b).unwrap();
    assert_eq!(found.arms.len(), 1);
    assert_eq!(found.arms[0].name, "none");
    assert_eq!(found.left_out, ["tcpr: B has no such arm"]);
    // Equal seeds, equal runs.
    let convergence = &found.arms[0].differences[0];
    assert_eq!(convergence.pairs, Some(3));
    assert_eq!(convergence.in_words(), "equal");
    let differ: Vec<Aspect> = found
        .made
        .iter()
        .filter(|m| !m.is_same())
        .map(|m| m.aspect)
        .collect();
    assert_eq!(
        differ,
        [Aspect::Router, Aspect::Machine, Aspect::ScenarioLines]
    );
    let text = found.to_string();
    for said in [
        "FRRouting 8.4.4",
        "FRRouting 10.2",
        "64 CPUs",
        "name: a",
        "name: b",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!text.contains("mine"), "comments are no difference: {text}");
    assert!(
        text.contains("Caution: router, machine differ at once"),
        "{text}"
    );
}

#[test]
fn another_mrai_is_a_caution() {
    let place = tempfile::tempdir().unwrap();
    let a = made(&place, "a", &BOTH, |_| {});
    let b = made(&place, "b", &BOTH, |m| m.mrai_s = 1.0);
    let text = of(&a, &b).unwrap().to_string();
    assert!(
        text.contains("Caution: the configured MRAI differs (5 s in A, 1 s in B)"),
        "{text}"
    );
}

#[test]
fn labs_that_were_reused_are_a_caution_and_are_told_with_the_arm() {
    let place = tempfile::tempdir().unwrap();
    let a = made(&place, "a", &BOTH, |_| {});
    let b = made(&place, "b", &BOTH, |m| {
        m.shared_lab = Some(SharedLab {
            first_run: format!("{}-0000", m.strategy),
            number: m.run_index + 1,
        });
    });
    let text = of(&a, &b).unwrap().to_string();
    assert!(
        text.contains(
            "Caution: a lab was for one run in A, for several runs, one after the other in B"
        ),
        "{text}"
    );
    let report = analyze(b.path()).unwrap();
    assert_eq!((report.arms[0].valid, report.arms[0].reused), (3, 2));
    let text = report.to_string();
    assert!(
        text.contains("tcpr: 2 of 3 valid runs were made in a lab that had carried others"),
        "{text}"
    );
    let metrics = fs::read_to_string(b.metrics_csv()).unwrap();
    assert_eq!(metrics.matches(",1,3,2\n").count(), 2, "{metrics}");
    let own = analyze(a.path()).unwrap().to_string();
    assert!(!own.contains("carried others"), "{own}");
}

#[test]
fn two_scenarios_of_one_experiment_may_have_two_names() {
    let place = tempfile::tempdir().unwrap();
    let a = made(&place, "a", &BOTH, |_| {});
    let b = made(&place, "b", &BOTH, |m| {
        m.scenario = "by-hand-with-bird".to_owned()
    });
    let found = of(&a, &b).unwrap();
    assert_eq!(found.arms.len(), 2);
    assert!(found.to_string().contains("by-hand-with-bird"));
}

#[test]
fn what_is_another_experiment_is_refused_with_the_reason() {
    let place = tempfile::tempdir().unwrap();
    let a = made(&place, "a", &BOTH, |_| {});
    let failure = made(&place, "b", &BOTH, |m| m.failure = FailureKind::Link);
    let error = of(&a, &failure).unwrap_err().to_string();
    assert!(
        error.contains("none: another experiment: its failure is control in A and link in B"),
        "{error}"
    );
    let size = made(&place, "c", &BOTH, |m| m.size = 4);
    let error = of(&a, &size).unwrap_err().to_string();
    assert!(
        error.contains("number of routers is 3 in A and 4 in B"),
        "{error}"
    );
    let arms = made(&place, "d", &[Strategy::GracefulRestart], |_| {});
    let error = of(&a, &arms).unwrap_err().to_string();
    assert!(
        error.contains("graceful-restart: A has no such arm"),
        "{error}"
    );
    let invalid = made(&place, "e", &BOTH, |m| m.status = results::Status::Failed);
    let error = of(&a, &invalid).unwrap_err().to_string();
    assert!(
        error.contains("B does not have a valid run of it"),
        "{error}"
    );
}

#[test]
fn a_campaign_is_not_compared_with_itself_or_with_what_is_none() {
    let place = tempfile::tempdir().unwrap();
    let a = made(&place, "a", &BOTH, |_| {});
    let round = a.path().join("runs/..");
    assert!(matches!(
        contrast(a.path(), &round, &[]).unwrap_err(),
        ContrastError::Same { .. }
    ));
    let error = contrast(a.path(), place.path(), &[]).unwrap_err();
    assert!(error.to_string().starts_with("B: "), "{error}");
}

#[test]
fn the_folder_has_a_figure_for_each_arm_and_metric_and_is_new() {
    let place = tempfile::tempdir().unwrap();
    let a = made(&place, "a", &BOTH, |_| {});
    let b = made(&place, "b", &BOTH, |m| m.seed += 9);
    let metrics = [Metric::Loop, Metric::Convergence, Metric::Loop];
    let found = contrast(a.path(), b.path(), &metrics).unwrap();
    let out = place.path().join("out/deep");
    found.write(&out).unwrap();
    let mut names: Vec<String> = fs::read_dir(&out)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "convergence-none.pdf",
            "convergence-none.svg",
            "convergence-tcpr.pdf",
            "convergence-tcpr.svg",
            "differences.csv",
            "loop-none.pdf",
            "loop-none.svg",
            "loop-tcpr.pdf",
            "loop-tcpr.svg",
            "report.txt"
        ]
    );
    let csv = fs::read_to_string(out.join("differences.csv")).unwrap();
    assert!(
        csv.contains("by-hand,B: tcpr,A: tcpr,loop_s,s,3,3,unpaired,,0,"),
        "{csv}"
    );
    let error = found.write(&out).unwrap_err();
    assert!(matches!(
        error,
        AnalyzeError::Folder(FolderError::Exists { .. })
    ));
}

#[test]
fn labs_at_a_time_are_counted_from_when_runs_began_and_ended() {
    let place = tempfile::tempdir().unwrap();
    let at = |m: &mut results::Manifest, seconds: [u32; 2]| {
        let [from, to] = seconds.map(|s| format!("2026-01-01T00:00:{s:02}.5Z"));
        (m.started_at, m.ended_at) = (from, Some(to));
    };
    // One after another; and two that overlap by a second.
    let a = made(&place, "a", &[Strategy::None], |m| {
        at(m, [10 * m.run_index, 10 * m.run_index + 10]);
    });
    let b = made(&place, "b", &[Strategy::None], |m| {
        at(m, [10 * m.run_index, 10 * m.run_index + 11]);
    });
    let found = of(&a, &b).unwrap();
    let labs = found
        .made
        .iter()
        .find(|m| m.aspect == Aspect::Labs)
        .unwrap();
    assert_eq!((labs.a[0].as_str(), labs.b[0].as_str()), ("1", "2"));
}
