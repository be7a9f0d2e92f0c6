//! The model explored: the core as it ships passes every configuration, and one that is wrong in one
//! place does not.

#![allow(clippy::unwrap_used, clippy::panic)]

use stateright::{Checker, Model as _};
use tcpr_core::Mutation;
use tcpr_verify::Mutant;
use tcpr_verify::model::{self, Config, Model};

/// Mutations that the model does not catch, and has no part of.
const NOT_HERE: &[Mutation] = &[Mutation::SackUnshifted];

#[test]
fn recovering_is_as_good_as_not_failing_in_every_small_configuration() {
    let mut others = Vec::new();
    for config in model::small() {
        let outcome = model::check(&config, Mutant::SOUND);
        if let Some(violation) = outcome.violation {
            panic!("{}: {violation}", config.name);
        }
        assert!(outcome.ends > 0, "{}: nothing ends", config.name);
        if config.states != Some(outcome.states) {
            others.push((config.name, outcome.states));
        }
    }
    assert_eq!(others, [], "these have as many states now");
}

#[test]
fn every_mutation_that_the_model_is_to_catch_is_caught() {
    for &mutation in Mutation::ALL {
        let config = model::catching(mutation);
        assert_eq!(
            config.is_none(),
            NOT_HERE.contains(&mutation),
            "{mutation:?}"
        );
        let Some(config) = config else {
            continue;
        };
        let outcome = model::check(&config, Mutant(Some(mutation)));
        assert!(outcome.violation.is_some(), "{mutation:?} survives");
        let sound = model::check(&config, Mutant::SOUND);
        assert!(sound.violation.is_none(), "{}", config.name);
    }
}

#[test]
fn a_violation_tells_the_way_there_step_by_step() {
    let mutation = Mutation::ResetForwarded;
    let config = model::catching(mutation).unwrap();
    let outcome = model::check(&config, Mutant(Some(mutation)));
    let said = outcome.violation.unwrap().to_string();
    assert!(said.starts_with("the peer is sent a RST\n   1. the local TCP sends: "));
    assert!(said.trim_end().ends_with(
        "the local TCP dies with a RST: core is shown R 0+0 ack 0 win 1; \
         peer is sent R 0+0 ack 0 win 1"
    ));
}

#[test]
fn stateright_counts_the_same_states_and_finds_the_same_fault() {
    let config = Config {
        deaths: 1,
        ..Config::BARE
    };
    let checker = |conduct| {
        Model { config, conduct }
            .checker()
            .threads(2)
            .spawn_bfs()
            .join()
    };
    let sound = checker(Mutant::SOUND);
    sound.assert_properties();
    let ours = model::check(&config, Mutant::SOUND);
    assert_eq!(sound.unique_state_count(), ours.states);
    let wrong = checker(Mutant(Some(Mutation::SynForwarded)));
    assert!(wrong.discovery("nothing is wrong").is_some());
}
