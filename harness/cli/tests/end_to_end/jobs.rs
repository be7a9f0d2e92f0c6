//! How many labs at a time, and what they cost.

use serde_json::Value;

use super::campaign::Campaign;
use super::program::{RUN_LIMIT, SHORT_LIMIT, finish, flaplab, shipped, workspace};

#[test]
fn with_auto_it_is_told_how_many_labs_are_up_and_every_manifest_says_what_its_lab_cost() {
    let dir = workspace();
    let out = dir.path().join("campaign");
    let mut run = flaplab();
    run.arg("run").arg(shipped("clique4-control.yaml"));
    run.args(["--runs", "1", "--jobs", "auto", "--out"])
        .arg(&out);
    finish(&mut run, RUN_LIMIT).exits_with(0).says(&[
        "at a time: what the scenario lets expect. A lab takes",
        "memory carries",
    ]);
    let runs = Campaign::at(&out).runs();
    assert_eq!(runs.len(), 2);
    let mut weighed = 0;
    for run in &runs {
        let manifest = run.manifest().unwrap();
        let jobs = manifest.jobs.unwrap();
        assert!(jobs.allowed >= 1, "{jobs:?}");
        assert!((1..=2).contains(&jobs.at_failure.unwrap()), "{jobs:?}");
        let cost = manifest.lab_cost.unwrap();
        assert!(cost.cpu_s.unwrap() > 0.0, "{cost:?}");
        // zebra and bgpd of one router take some 20 MiB.
        weighed += usize::from(cost.memory_mib.is_some_and(|mib| mib > 20));
    }
    assert!(weighed >= 1, "the first lab's memory is looked at");

    let mut told = flaplab();
    told.args(["bench", "campaign", "--json"]).arg(&out);
    let told = finish(&mut told, SHORT_LIMIT).exits_with(0).stdout;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told["runs"], &told["complete"]),
        (&2.into(), &2.into()),
        "{told}"
    );
    assert_eq!(told["jobs_recorded"], true, "{told}");
    let share = told["protocol_share"].as_f64().unwrap();
    assert!(share > 0.1 && share < 1.0, "{told}");
    assert!(told["bring_up_median_s"].as_f64().unwrap() > 0.5, "{told}");
}

#[test]
fn labs_at_a_time_are_auto_or_a_number_from_one() {
    for wish in ["0", "none", "-1"] {
        let mut run = flaplab();
        run.arg("run").arg(shipped("clique4-control.yaml"));
        run.arg(format!("--jobs={wish}"));
        finish(&mut run, SHORT_LIMIT)
            .exits_with(2)
            .says_one_error(&["--jobs", "`auto` or a number from 1"]);
    }
}
