#![allow(clippy::unwrap_used)]

use super::*;

fn told(state: &str) -> Told {
    Told {
        state: state.to_owned(),
        node: "n1".to_owned(),
        reason: String::new(),
    }
}

#[test]
fn the_directory_decides_what_is_done_and_slurm_what_is_still_to_come() {
    let (running, pending) = (told("RUNNING"), told("PENDING"));
    let (failed, completed) = (told("NODE_FAIL"), told("COMPLETED"));
    let completing = told("COMPLETING");
    for (complete, submitted, told, state) in [
        (true, true, Some(Some(&failed)), State::Done),
        (true, false, None, State::Done),
        (false, true, Some(Some(&running)), State::Running),
        (false, true, Some(Some(&completing)), State::Running),
        (false, true, Some(Some(&pending)), State::Pending),
        (false, true, Some(Some(&failed)), State::Lost),
        // It says that all went well, and its runs are not there.
        (false, true, Some(Some(&completed)), State::Lost),
        (false, true, Some(None), State::Lost),
        (false, true, None, State::Unknown),
        (false, false, Some(None), State::Prepared),
    ] {
        assert_eq!(judge(complete, submitted, told), state, "{told:?}");
    }
}

#[test]
fn the_job_that_still_has_a_task_is_asked_before_the_latest() {
    let all = HashMap::from([
        ((7, 1), told("RUNNING")),
        ((9, 1), told("FAILED")),
        ((7, 2), told("TIMEOUT")),
        ((9, 2), told("CANCELLED")),
    ]);
    let jobs = [7, 8, 9];
    assert_eq!(latest(&all, &jobs, 1).unwrap().state, "RUNNING");
    assert_eq!(latest(&all, &jobs, 2).unwrap().state, "CANCELLED");
    assert_eq!(latest(&all, &jobs, 3), None);
}

fn task(number: usize, state: State, complete: usize) -> Task {
    let lost = state == State::Lost;
    Task {
        task: number,
        state,
        runs: 2,
        complete,
        slurm: lost.then(|| "NODE_FAIL".to_owned()),
        node: lost.then(|| "n2".to_owned()),
        reason: None,
        log: format!("/c/slurm/1/log/{number}.log"),
    }
}

fn sample(tasks: Vec<Task>) -> Report {
    Report {
        campaign: "/c".to_owned(),
        scenario: "four".to_owned(),
        runs: Runs {
            wanted: 4,
            complete: 3,
            merged: 3,
            invalid: 1,
            unfinished: 1,
            missing: 0,
        },
        submissions: vec![Submitted {
            number: 1,
            path: "/c/slurm/1".to_owned(),
            jobs: vec![12],
            tasks,
        }],
        slurm_error: None,
        next: "do this".to_owned(),
    }
}

#[test]
fn a_status_tells_the_runs_the_tasks_and_where_a_lost_one_has_spoken() {
    let report = sample(vec![task(1, State::Done, 2), task(2, State::Lost, 1)]);
    assert_eq!(
        describe(&report),
        "four: 3 of 4 runs are complete (3 in the campaign, 0 to be merged), 1 invalid, 1 not ended as planned\n\
         submission 1 (job 12), 2 tasks: 1 done, 1 lost\n\
         \x20 task 2    lost     1 of 2 runs  NODE_FAIL on n2; it said: /c/slurm/1/log/2.log\n\
         do this\n"
    );
}

#[test]
fn of_many_tasks_the_first_are_told() {
    let tasks = (1..=30).map(|n| task(n, State::Pending, 0)).collect();
    let text = describe(&sample(tasks));
    assert!(text.contains("30 tasks: 30 pending\n"), "{text}");
    assert!(text.contains("and 10 more (--json lists all)"), "{text}");
}

#[test]
fn what_to_do_next_follows_from_what_is_there() {
    let lost = || vec![task(2, State::Lost, 1)];
    let next_of = |change: fn(&mut Report), tasks| {
        let mut report = sample(tasks);
        change(&mut report);
        next(&report, &Selection::default())
    };
    assert!(next_of(|_| {}, vec![task(1, State::Running, 0)]).contains("--watch"));
    assert!(next_of(|r| r.runs.merged = 1, lost()).contains("campaign merge /c"));
    assert!(next_of(|_| {}, lost()).contains("campaign submit /c/scenario.yaml --slurm --out /c"));
    let whole = |r: &mut Report| {
        (r.runs.complete, r.runs.merged) = (4, 4);
    };
    assert!(next_of(whole, vec![]).contains("flaplab analyze /c"));
}
