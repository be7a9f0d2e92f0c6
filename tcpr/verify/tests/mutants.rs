//! The gate of the mutations.

use tcpr_core::Mutation;
use tcpr_verify::mutants::{Hunt, hunt};

#[test]
fn every_mutation_is_killed_by_the_layer_that_it_is_assigned_to() {
    let hunts = Mutation::ALL.iter().map(|mutation| hunt(*mutation));
    let survivors: Vec<Hunt> = hunts.filter(|hunt| hunt.noticed.is_none()).collect();
    assert_eq!(survivors, [], "{} mutations", Mutation::ALL.len());
}
