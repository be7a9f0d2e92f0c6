//! The page, read as a file.

use std::collections::BTreeSet;
use std::fs;

use results::{CampaignDir, Finding, FindingKind, Severity, Status};
use serde_json::Value;
use topologies::Strategy;

use super::disk::{campaign, manifest, write_run};
use super::network::{Story, clique, eventful, ns};
use crate::analyze;
use crate::arms::MeasuredRun;
use crate::metrics::{RouterMetrics, RunMetrics};
use crate::page::selection::choose;

/// The page of a campaign, analysed.
pub(crate) fn page_of(campaign: &CampaignDir) -> String {
    analyze(campaign.path()).unwrap();
    fs::read_to_string(campaign.report_html()).unwrap()
}

/// The JSON in a page.
fn data(page: &str) -> Value {
    let (_, rest) = page.split_once("id=\"data\">").unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

fn one_run(change: impl FnOnce(&mut results::Manifest)) -> String {
    let temp = tempfile::tempdir().unwrap();
    let campaign = campaign(temp.path());
    let frame = eventful();
    let mut m = manifest(&frame.topology, Strategy::None, 0);
    change(&mut m);
    write_run(&campaign, &frame, m);
    page_of(&campaign)
}

#[test]
fn the_page_loads_nothing_and_its_policy_lets_through_its_own_script_alone() {
    use base64::Engine;
    use sha2::Digest;
    let page = one_run(|_| {});
    // The only address is the name of a namespace of XML.
    let addresses: Vec<&str> = page
        .match_indices("://")
        .map(|(i, _)| &page[i - 5..i + 20])
        .collect();
    assert!(
        addresses
            .iter()
            .all(|a| a.contains("http://www.w3.org/2000/")),
        "{addresses:?}"
    );
    for attribute in [" src=", "@import", "url(h", "<link rel=\"stylesheet\""] {
        assert!(!page.contains(attribute), "{attribute}");
    }
    let (_, policy) = page
        .split_once("Content-Security-Policy\" content=\"")
        .unwrap();
    let policy = policy.split('"').next().unwrap().replace("&#x27;", "'");
    let policy = policy.replace("&#x2f;", "/").replace("&#x3d;", "=");
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    for (from, to) in [("<style>", "</style>"), ("<script>", "</script>")] {
        let (_, text) = page.split_once(from).unwrap();
        let text = text.split_once(to).unwrap().0;
        let digest = base64::prelude::BASE64_STANDARD.encode(sha2::Sha256::digest(text));
        assert!(
            policy.contains(&format!("'sha256-{digest}'")),
            "{from} {policy}"
        );
    }
    assert_eq!(
        page.matches("<script").count(),
        2,
        "the data and the script"
    );
}

#[test]
fn what_a_run_says_is_text_and_never_markup() {
    let evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>";
    let temp = tempfile::tempdir().unwrap();
    let campaign = campaign(temp.path());
    let frame = eventful();
    for (i, scenario) in [evil, "by-hand"].into_iter().enumerate() {
        let mut m = manifest(&frame.topology, Strategy::None, i as u32);
        // Where there are two, the scenario's name is in the data too.
        m.scenario = scenario.to_owned();
        m.router_version = evil.to_owned();
        m.findings.push(Finding {
            kind: FindingKind::CpuPressure,
            severity: Severity::Warning,
            place: evil.to_owned(),
            message: evil.to_owned(),
        });
        write_run(&campaign, &frame, m);
    }
    let page = page_of(&campaign);
    assert!(
        data(&page)["arms"][0]["label"]
            .as_str()
            .unwrap()
            .starts_with(evil)
    );
    assert!(!page.contains("<script>alert"));
    assert!(!page.contains("<img"));
    assert_eq!(page.matches("</script>").count(), 2);
}

#[test]
fn curves_of_several_runs_have_their_confidence_band() {
    let temp = tempfile::tempdir().unwrap();
    let campaign = campaign(temp.path());
    let frame = eventful();
    for i in 0..3 {
        write_run(
            &campaign,
            &frame,
            manifest(&frame.topology, Strategy::Tcpr, i),
        );
    }
    let page = page_of(&campaign);
    // sqrt(ln 40 / 6).
    let band = data(&page)["arms"][0]["bands"][0].as_f64().unwrap();
    assert!((band - 0.7841).abs() < 1e-4, "{band}");
}

#[test]
fn the_curves_have_the_valid_runs_values_and_invalid_runs_are_there_and_marked() {
    let temp = tempfile::tempdir().unwrap();
    let campaign = campaign(temp.path());
    let frame = eventful();
    for (i, status) in [Status::Complete, Status::Aborted].into_iter().enumerate() {
        let mut m = manifest(&frame.topology, Strategy::Tcpr, i as u32);
        m.status = status;
        write_run(&campaign, &frame, m);
    }
    campaign.create_run("tcpr-0009").unwrap();
    let page = page_of(&campaign);
    let data = data(&page);
    assert!(data["arms"][0]["bands"][0].is_null(), "one valid run");
    let convergence = &data["metrics"][0];
    assert_eq!(convergence["name"], "convergence_s");
    let runs = data["runs"].as_array().unwrap();
    let told: Vec<_> = runs
        .iter()
        .map(|r| {
            (
                r["valid"].as_bool().unwrap(),
                r["arm"].as_u64(),
                r["values"][0].as_f64(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (true, Some(0), Some(3.0)),
            (false, Some(0), Some(3.0)),
            (false, None, None)
        ]
    );
    // The probe measured nothing: it has no curve, rather than one of zeros.
    let names = data["metrics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["name"].as_str().unwrap());
    assert!(!names.clone().any(|n| n.starts_with("probe")));
    assert_eq!(data["arms"][0]["valid"], 1);
    assert_eq!(data["arms"][0]["total"], 2);
    // Both readable runs have a replay on one network.
    assert!(runs[1]["replay"].is_object() && runs[2]["replay"].is_null());
    assert_eq!(data["networks"].as_array().unwrap().len(), 1);
    assert!(page.contains("1 of 3 runs are valid"));
    assert_eq!(page.matches(">invalid</span>").count(), 2);
    assert!(page.contains("incomplete") && page.contains("record-damaged"));
}

#[test]
fn the_study_stands_beside_its_experiment_on_the_page_too() {
    let page = one_run(|m| m.size = 16);
    assert!(page.contains("Surton (2014)") && page.contains("need not agree"));
    assert!(!one_run(|_| {}).contains("Surton (2014)"));
}

#[test]
fn a_network_without_a_primary_link_has_no_replay_and_breaks_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let campaign = campaign(temp.path());
    let mut story = Story::settled(clique(3, true));
    for link in &mut story.frame.topology.links {
        link.role = topologies::LinkRole::Peering;
    }
    let m = manifest(&story.frame.topology, Strategy::None, 0);
    write_run(&campaign, &story.frame, m);
    let page = page_of(&campaign);
    assert!(data(&page)["runs"][0]["replay"].is_null());
}

#[test]
fn a_probe_of_the_mrai_has_its_result_on_the_page_and_neither_curve_nor_replay() {
    use results::realised::{MraiRound, RealisedMrai};
    let temp = tempfile::tempdir().unwrap();
    let campaign = campaign(temp.path());
    let topology = clique(2, false);
    let mut m = manifest(&topology, Strategy::None, 0);
    m.failure = topologies::FailureKind::MraiProbe;
    let round = MraiRound {
        first_announcement_s: 0.05,
        second_announcement_s: 1.9,
        announcement_interval_s: 1.876,
        withdrawal_s: 0.06,
        withdrawal_behind_announcement_s: 1.7,
    };
    m.realised_mrai = RealisedMrai::of("r1", "r2", &[round]);
    let run = campaign.create_run(&m.run_id).unwrap();
    run.write_topology(&topology).unwrap();
    run.event_log().unwrap();
    run.write_manifest(&m).unwrap();
    let page = page_of(&campaign);
    assert!(page.contains("r1 to r2, 1 rounds") && page.contains(">1.876</td>"));
    let data = data(&page);
    assert_eq!(data["metrics"], serde_json::json!([]));
    assert!(data["runs"][0]["replay"].is_null() && data["runs"][0]["valid"] == true);
    assert!(page.contains("1 of 1 runs have no replay"));
}

/// Runs of two arms; the numbers are convergences in seconds, of an invalid one below 0.
fn runs(convergences: &[f64]) -> (Vec<MeasuredRun>, Vec<Option<usize>>) {
    let run = |(i, s): (usize, &f64)| MeasuredRun {
        run_id: format!("{i}"),
        manifest: None,
        metrics: Some(RunMetrics {
            convergence_ns: ns(s.abs()),
            routers: Vec::<RouterMetrics>::new(),
        }),
        findings: Vec::new(),
        valid: *s >= 0.0,
    };
    let arms = (0..convergences.len()).map(|i| Some(i % 2)).collect();
    (convergences.iter().enumerate().map(run).collect(), arms)
}

#[test]
fn replays_that_do_not_fit_give_way_to_those_most_worth_seeing() {
    let (runs, arms) = runs(&[5.0, 1.0, 4.0, -2.0, 9.0, 3.0, 6.0, 4.0, 7.0, 5.0]);
    let sizes = vec![Some(10); runs.len()];
    let kept = |most| choose(&runs, &arms, &sizes, most);
    assert_eq!(kept(100).len(), 10, "all, if they fit");
    // Arm 0 has 5, 4, 9, 6, 7 and arm 1 has 1, 3, 4, 5: the median, the longest, the shortest of each.
    assert_eq!(kept(60), BTreeSet::from([2, 4, 6, 1, 5, 9]));
    assert_eq!(
        kept(70),
        BTreeSet::from([2, 4, 6, 1, 5, 9, 3]),
        "then the invalid one"
    );
    assert_eq!(
        kept(80),
        BTreeSet::from([2, 4, 6, 1, 5, 9, 3, 0]),
        "then in turn"
    );
    assert_eq!(kept(9), BTreeSet::new());
    // One that is too large does not keep smaller ones out, and one without a replay takes no room.
    let mut sizes = sizes;
    sizes[6] = Some(1000);
    sizes[4] = None;
    assert_eq!(
        choose(&runs, &arms, &sizes, 40),
        BTreeSet::from([2, 1, 5, 9])
    );
}
