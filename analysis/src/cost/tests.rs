use super::*;

/// A run that begins at `began_s`, takes 2 s to come up, 30 s of protocol time, 1 s to close.
fn run(began_s: f64) -> Course {
    Course {
        began_s,
        established_s: Some(began_s + 2.0),
        quiet_s: Some(began_s + 32.0),
        ended_s: began_s + 33.0,
        allowed: Some(2),
        complete: true,
        valid: true,
        cpu_s: Some(4.0),
        memory_mib: None,
    }
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[test]
fn protocol_time_is_set_against_wall_time_and_labs_at_a_time() {
    // Two lanes: 0 to 33 and 34 to 67; 1 to 34 and 35 to 68.
    let cost = of([0.0, 34.0, 1.0, 35.0].map(run).to_vec(), None).unwrap();
    assert_eq!((cost.runs, cost.complete, cost.invalid), (4, 4, 0));
    assert!(near(cost.wall_s, 68.0) && near(cost.jobs, 2.0));
    assert!(near(cost.protocol_share(), 120.0 / 136.0), "{cost:?}");
    assert!(near(cost.bring_up_s, 8.0) && near(cost.closing_s, 4.0));
    assert!(near(cost.rest_s(), 8.0), "{}", cost.rest_s());
    assert!(near(cost.runs_per_minute(), 240.0 / 68.0));
    assert_eq!((cost.bring_up_median_s, cost.cpu_s), (Some(2.0), Some(4.0)));
}

#[test]
fn the_time_between_two_parts_of_a_campaign_counts_for_nothing() {
    let cost = of([0.0, 1000.0].map(run).to_vec(), None).unwrap();
    assert!(near(cost.wall_s, 66.0), "{}", cost.wall_s);
}

#[test]
fn labs_at_a_time_are_those_allowed_when_the_last_run_began() {
    let mut runs = [0.0, 10.0].map(run);
    runs[0].allowed = Some(1);
    runs[1].allowed = Some(4);
    let cost = of(runs.to_vec(), None).unwrap();
    assert!(near(cost.jobs * cost.wall_s, 10.0 + 4.0 * 33.0), "{cost:?}");
    assert_eq!(cost.most_jobs, 4);
}

#[test]
fn runs_that_do_not_tell_are_taken_as_stated_or_as_they_lay_side_by_side() {
    let mut runs = [0.0, 2.0, 4.0, 40.0].map(run);
    for run in &mut runs {
        run.allowed = None;
    }
    let seen = of(runs.to_vec(), None).unwrap();
    assert_eq!((seen.most_jobs, seen.jobs_recorded), (3, false));
    let stated = of(runs.to_vec(), Some(6)).unwrap();
    assert!(near(stated.jobs, 6.0) && stated.most_jobs == 6);
}

#[test]
fn a_run_that_failed_takes_time_and_gives_none() {
    let mut runs = [0.0, 0.0].map(run);
    runs[1].complete = false;
    runs[1].valid = false;
    let cost = of(runs.to_vec(), None).unwrap();
    assert!(near(cost.protocol_s, 30.0) && near(cost.failed_s, 33.0));
    assert!(near(cost.invalid_share(), 0.5));
    let text = cost.to_string();
    assert!(text.contains("1 invalid (50.0 %)"), "{text}");
    assert!(text.contains("runs that failed   50.0 %"), "{text}");
}

#[test]
fn without_a_run_there_is_no_cost() {
    assert_eq!(of(Vec::new(), None), None);
}
