//! The specification in TLA+ at small sizes: it holds, it has the behaviours that it is about, and a
//! middleware that is wrong in one place is rejected.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use tcpr_verify::spec::{
    self, Configuration, Expected, Outcome, Violation, faults, goals, larger, small, tlc,
};

/// The outcome of a configuration, which has to be the expected one.
fn outcome(configuration: &Configuration) -> Outcome {
    let outcome = spec::check(configuration).unwrap();
    assert!(
        configuration.expected.is_met_by(&outcome),
        "{configuration:?}: {outcome:#?}"
    );
    outcome
}

fn named(name: &str) -> Configuration {
    small()
        .into_iter()
        .find(|configuration| configuration.name == name)
        .unwrap()
}

#[test]
fn a_connection_that_does_not_fail_keeps_its_guarantees() {
    for configuration in small() {
        if configuration.name.starts_with("connection") {
            outcome(&configuration);
        }
    }
}

#[test]
fn a_connection_that_recovers_refines_one_that_does_not_fail() {
    outcome(&named("recovery"));
}

#[test]
fn it_refines_it_with_each_of_the_extensions() {
    for configuration in small() {
        if configuration.name.starts_with("recovery-") {
            outcome(&configuration);
        }
    }
}

#[test]
fn what_a_connection_is_for_is_reached() {
    for configuration in goals() {
        outcome(&configuration);
    }
}

#[test]
fn every_fault_of_the_middleware_is_rejected() {
    for configuration in faults() {
        outcome(&configuration);
    }
}

#[test]
fn a_fault_is_rejected_with_the_steps_that_show_it() {
    let wrong = faults()
        .into_iter()
        .find(|configuration| configuration.fault == Some("delta-stale"))
        .unwrap();
    let Outcome::Violated {
        violation, trace, ..
    } = outcome(&wrong)
    else {
        panic!("a stale delta is not rejected");
    };
    assert_eq!(violation, Violation::Refinement);
    assert!(trace.contains("--[ AppRecovers ]-->"), "{trace}");
    assert!(trace.contains("--[ TcpSends ]-->"), "{trace}");
}

#[test]
fn a_fault_that_is_not_one_is_not_rejected() {
    let harmless = Configuration {
        fault: Some("none of those that there are"),
        ..named("recovery-narrow")
    };
    let Expected::States(states) = harmless.expected else {
        panic!("the configuration has no number of states");
    };
    let Outcome::Holds { states: found, .. } = outcome(&harmless) else {
        panic!("it is rejected without a fault");
    };
    assert_eq!(found, states);
}

#[test]
fn a_number_of_states_that_is_not_the_expected_one_is_not_met() {
    let outcome = outcome(&named("recovery-narrow"));
    assert!(!Expected::States(300).is_met_by(&outcome));
    assert!(!Expected::Rejected.is_met_by(&outcome));
    assert!(!Expected::Reached.is_met_by(&outcome));
}

#[test]
fn every_configuration_is_named_once_and_has_its_file() {
    let mut names: Vec<_> = small()
        .into_iter()
        .chain(larger())
        .map(|configuration| configuration.name)
        .collect();
    names.sort_unstable();
    let mut files: Vec<_> = std::fs::read_dir(spec::directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|file| file.strip_suffix(".cfg").map(str::to_owned))
        .collect();
    files.sort_unstable();
    assert_eq!(names, files);
}

#[test]
fn tlc_reaches_as_many_states_if_it_is_here() {
    for configuration in small() {
        if let Some(states) = tlc::states(&configuration).unwrap() {
            assert_eq!(
                configuration.expected,
                Expected::States(states),
                "{}",
                configuration.name
            );
        }
    }
}
