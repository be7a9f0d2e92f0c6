//! The published JSON Schema of scenarios.
//!
//! *Assumes* nothing. *Guarantees* that it follows from the very types that scenarios are read
//! into. It knows shapes, words and ranges; what one value demands of another only
//! [`Scenario::load`](crate::Scenario::load) knows.

use crate::scenario::Authored;

/// The JSON Schema (draft 2020-12) of scenario files, as indented JSON with a line break at the end.
#[must_use]
pub fn json_schema() -> String {
    let mut schema = schemars::schema_for!(Authored).to_value();
    // Another crate of the build may have switched serde_json to insertion order.
    schema.sort_all_objects();
    format!("{schema:#}\n")
}
