//! The published JSON Schema of scenarios.
//!
//! *Assumes* nothing. *Guarantees* that it follows from the very types that scenarios are read
//! into. It knows shapes, words and ranges; what one value demands of another only
//! [`Scenario::load`](crate::Scenario::load) knows.

use serde_json::Value;

use crate::scenario::Authored;

/// The JSON Schema (draft 2020-12) of scenario files, as indented JSON with a line break at the end.
#[must_use]
pub fn json_schema() -> String {
    let mut schema = schemars::schema_for!(Authored).to_value();
    // Another crate of the build may have switched serde_json to insertion order.
    schema.sort_all_objects();
    format!("{schema:#}\n")
}

/// Every key of a scenario, with those that lead to it in front and dots between: `router.mrai`.
pub(crate) fn keys() -> Vec<String> {
    fn within(schema: &Value, of: &Value, before: &str, keys: &mut Vec<String>) {
        let of = match of.get("$ref").and_then(Value::as_str) {
            Some(there) => schema.pointer(there.trim_start_matches('#')).unwrap_or(of),
            None => of,
        };
        let properties = of.get("properties").and_then(Value::as_object);
        for (key, value) in properties.into_iter().flatten() {
            let key = format!("{before}{key}");
            within(schema, value, &format!("{key}."), keys);
            keys.push(key);
        }
        let others = of.get("anyOf").and_then(Value::as_array);
        for other in others.into_iter().flatten() {
            within(schema, other, before, keys);
        }
    }
    let schema = schemars::schema_for!(Authored).to_value();
    let mut keys = Vec::new();
    within(&schema, &schema, "", &mut keys);
    keys.sort();
    keys
}

#[cfg(test)]
mod tests {
    #[test]
    fn keys_are_named_by_the_way_that_leads_to_them() {
        let keys = super::keys();
        for key in [
            "name",
            "router",
            "router.mrai",
            "failure.repeat.kills",
            "injector.filler.rate",
        ] {
            assert!(keys.iter().any(|k| k == key), "{key}: {keys:?}");
        }
    }
}
