//! What a run is known by everywhere: a hash of the experiment that it is.
//!
//! *Assumes* a resolved scenario, drawn and decided to the last field. *Guarantees* the same address
//! for the same experiment, on every machine and in every later version; and another one if
//! anything differs that a lab could notice. Names do not enter it: a scenario that is renamed, or
//! whose matrix becomes a file of its own, stays the same experiment. docs/run-directory.md says how
//! another program computes it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::resolved::ResolvedScenario;

/// What is hashed in front of the scenario: an address is never taken for a hash of something else.
const PREFIX: &str = "flaplab run 1\n";

/// Keys that say how a run is called, not what it is.
const NAMES: [&str; 2] = ["scenario", "cell"];

/// Keys that came after the first addresses were given, as JSON pointers, each with the value that
/// every run before had. With that value they are left out, so that those keep their address.
const LATER: [(&str, Value); 1] = [("/fresh", Value::Bool(true))];

/// SHA-256 of a run's canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address([u8; 32]);

impl Address {
    /// The first 16 hexadecimal digits: enough for a name among the runs of one campaign.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string()[..16].to_owned()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl From<Address> for String {
    fn from(address: Address) -> String {
        address.to_string()
    }
}

impl TryFrom<String> for Address {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Address {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let misread = || format!("`{text}` is no address of a run: it has 64 hexadecimal digits");
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(misread());
        }
        let mut octets = [0; 32];
        for (octet, digits) in octets.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| misread())?;
            *octet = u8::from_str_radix(digits, 16).map_err(|_| misread())?;
        }
        Ok(Self(octets))
    }
}

impl ResolvedScenario {
    /// The address of this run.
    #[must_use]
    pub fn address(&self) -> Address {
        let mut hash = Sha256::new();
        hash.update(PREFIX);
        hash.update(self.canonical());
        Address(hash.finalize().into())
    }

    /// What is hashed: JSON without white space, the keys of each object in the order of their
    /// octets, without names, and without later keys that have their first value.
    #[must_use]
    pub fn canonical(&self) -> String {
        // Texts, whole numbers, lists and mappings with text keys: JSON has all of it.
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(keys) = value.as_object_mut() {
            keys.retain(|key, _| !NAMES.contains(&key.as_str()));
        }
        for (pointer, first) in LATER {
            leave_out(&mut value, pointer, &first);
        }
        // Another crate of the build may have switched serde_json to insertion order.
        value.sort_all_objects();
        value.to_string()
    }
}

/// Removes what a pointer leads to, if it has this value.
fn leave_out(value: &mut Value, pointer: &str, first: &Value) {
    if value.pointer(pointer) != Some(first) {
        return;
    }
    let Some((parent, key)) = pointer.rsplit_once('/') else {
        return;
    };
    if let Some(keys) = value.pointer_mut(parent).and_then(Value::as_object_mut) {
        keys.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_later_key_is_left_out_only_with_its_first_value() {
        let mut value = json!({"a": {"b": 1, "c": true}, "d": false});
        leave_out(&mut value, "/a/b", &json!(2));
        leave_out(&mut value, "/a/c", &json!(true));
        leave_out(&mut value, "/d", &json!(false));
        leave_out(&mut value, "/e/f", &json!(0));
        assert_eq!(value, json!({"a": {"b": 1}}));
    }

    #[test]
    fn an_address_is_read_as_it_is_written_and_nothing_else_is_one() {
        let text = format!("{}ff", "0123456789abcde".repeat(4) + "10");
        let address: Address = text.parse().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(address.to_string(), text);
        assert_eq!(address.short(), "0123456789abcde0");
        for wrong in [
            "",
            "00",
            &text[1..],
            &format!("{}zz", &text[2..]),
            &"é".repeat(32),
        ] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }
}
