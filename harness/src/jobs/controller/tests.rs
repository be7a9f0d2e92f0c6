use topologies::{Scenario, Strategy};

use super::*;

const GIB: u64 = 1 << 30;
const MACHINE: Machine = Machine {
    cpus: 2,
    memory_bytes: 24 * GIB,
};
const COST: ExpectedCost = ExpectedCost {
    memory_bytes: GIB / 2,
    bring_up_s: 2.0,
    run_s: 40.0,
    cpu_s: 4.0,
};

fn finding(kind: FindingKind, severity: Severity) -> Finding {
    Finding {
        kind,
        severity,
        place: "machine".to_owned(),
        message: String::new(),
    }
}

/// One that has seen a lab and a run, both as expected.
fn experienced(cost: ExpectedCost, available: u64) -> Controller {
    let mut controller = Controller::new(cost, MACHINE, available);
    controller.came_up(cost.bring_up_s, Some(cost.memory_bytes));
    controller.ended(u64::MAX, cost.run_s, Some(cost.cpu_s), &[]);
    controller
}

/// A whole generation of runs, so many of them distorted; the decisions that were made of it.
fn generation(controller: &mut Controller, cost: ExpectedCost, distorted: usize) -> Vec<Decision> {
    let delay = [finding(FindingKind::RunQueueDelay, Severity::Warning)];
    let began_in = controller.generation();
    let labs = controller.labs();
    let findings = |i| if i < distorted { &delay[..] } else { &[] };
    (0..labs)
        .filter_map(|i| controller.ended(began_in, cost.run_s, Some(cost.cpu_s), findings(i)))
        .collect()
}

#[test]
fn the_scarcest_of_memory_bring_up_and_cpu_decides() {
    // 0.8 x 2 CPUs x 40 s / 4 s.
    assert_eq!(experienced(COST, 20 * GIB).labs(), 16);
    let idle = ExpectedCost { cpu_s: 0.1, ..COST };
    assert_eq!(experienced(idle, 20 * GIB).labs(), 20, "40 s / 2 s");
    // A tenth of 24 GiB stays free: 1.6 GiB are left for labs.
    assert_eq!(experienced(COST, 4 * GIB).labs(), 3);
    assert_eq!(experienced(COST, 0).labs(), 1, "never less than one");
}

#[test]
fn what_was_measured_takes_the_place_of_what_was_expected() {
    let mut controller = Controller::new(COST, MACHINE, 20 * GIB);
    let told = controller
        .came_up(8.0, Some(GIB))
        .expect("it is another number");
    assert_eq!(told.labs, 5, "40 s / 8 s: {}", told.why);
    assert!(told.why.contains("1024 MiB"), "{}", told.why);
    let told = controller
        .ended(0, 80.0, Some(4.0), &[])
        .expect("another again");
    assert_eq!((told.labs, controller.labs()), (10, 10), "80 s / 8 s");
}

#[test]
fn a_lab_begins_only_where_its_memory_is_there() {
    let mut controller = experienced(COST, 20 * GIB);
    let reserve = MACHINE.reserve_bytes();
    assert!(controller.admits(3, reserve + GIB / 2));
    assert!(!controller.admits(3, reserve + GIB / 2 - 1));
    assert!(!controller.admits(16, 20 * GIB), "enough are up");
    assert!(controller.admits(0, 0), "the first one may try");
}

#[test]
fn undistorted_runs_add_a_little_load_and_distorted_ones_take_a_quarter_away() {
    let mut controller = experienced(COST, 20 * GIB);
    let told = generation(&mut controller, COST, 0);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(controller.labs(), 17);

    let told = generation(&mut controller, COST, 17);
    assert_eq!(told.len(), 1, "once a generation: {told:?}");
    assert_eq!(controller.labs(), 12, "three quarters of 17");
    assert!(told[0].why.contains("run-queue-delay"), "{}", told[0].why);
}

#[test]
fn one_run_among_many_is_let_pass_and_nothing_is_added_for_it() {
    let mut controller = experienced(COST, 20 * GIB);
    assert_eq!(generation(&mut controller, COST, 1), []);
    assert_eq!(controller.labs(), 16);
}

#[test]
fn runs_from_before_a_decision_do_not_count_against_it() {
    let mut controller = experienced(COST, 20 * GIB);
    let began_in = controller.generation();
    generation(&mut controller, COST, 16);
    assert_eq!(controller.labs(), 12);
    let delay = [finding(FindingKind::RunQueueDelay, Severity::Invalidating)];
    for _ in 0..20 {
        assert_eq!(controller.ended(began_in, 40.0, Some(4.0), &delay), None);
    }
    assert_eq!(controller.labs(), 12);
}

#[test]
fn findings_of_the_experiment_itself_are_no_distortion() {
    let mut controller = experienced(COST, 20 * GIB);
    let began_in = controller.generation();
    for kind in [
        FindingKind::SessionFlap,
        FindingKind::NotQuiet,
        FindingKind::DaemonDied,
    ] {
        for _ in 0..3 {
            let found = [finding(kind, Severity::Invalidating)];
            assert_eq!(controller.ended(began_in, 40.0, Some(4.0), &found), None);
        }
    }
    let note = [finding(FindingKind::RunQueueDelay, Severity::Note)];
    assert_eq!(controller.ended(began_in, 40.0, Some(4.0), &note), None);
    let somebody_waited = [finding(FindingKind::CpuPressure, Severity::Warning)];
    assert_eq!(
        controller.ended(began_in, 40.0, Some(4.0), &somebody_waited),
        None
    );
    assert_eq!(controller.labs(), 16);
}

#[test]
fn a_machine_that_is_never_at_rest_keeps_the_few_labs_that_are_in_nobodys_way() {
    let mut controller = experienced(COST, 20 * GIB);
    for _ in 0..20 {
        let labs = controller.labs();
        generation(&mut controller, COST, labs);
    }
    assert_eq!(controller.labs(), 2, "0.1 x 2 CPUs x 40 s / 4 s");
    for _ in 0..4 {
        generation(&mut controller, COST, 0);
    }
    assert!(controller.labs() >= 5, "{}", controller.labs());
}

#[test]
fn load_is_not_saved_up_while_something_else_binds() {
    let idle = ExpectedCost { cpu_s: 0.1, ..COST };
    let mut controller = experienced(idle, 20 * GIB);
    for _ in 0..10 {
        generation(&mut controller, idle, 0);
    }
    assert!((controller.load - FIRST_LOAD).abs() < 1e-9);
}

#[test]
fn an_estimate_is_near_what_was_measured_of_cliques() {
    for (size, mib, bring_up_s) in [(16, 445.0, 1.9), (64, 4100.0, 9.1)] {
        let text = format!(
            "schema: 1\nname: x\ntopology: {{kind: clique, size: {size}}}\nfailure: {{kind: control}}\n"
        );
        let scenario = Scenario::parse(&text, "x.yaml").expect("it is valid");
        let cost = ExpectedCost::estimate(&scenario.resolve(Strategy::None, 0), 2);
        let ratio = cost.memory_bytes as f64 / f64::from(1 << 20) / mib;
        assert!((0.8..1.3).contains(&ratio), "{size}: memory {ratio}");
        let ratio = cost.bring_up_s / bring_up_s;
        assert!((0.8..1.3).contains(&ratio), "{size}: bring-up {ratio}");
        assert!(cost.run_s > cost.bring_up_s + 22.0);
    }
}
