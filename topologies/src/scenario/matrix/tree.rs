//! A scenario's text as a tree that values can be put into, and the way back to a text.
//!
//! *Assumes* serde-saphyr as the reader. *Guarantees* that the text which is composed means to that
//! reader what the author's text means with the values put in, and that each place in it leads back
//! to where the author wrote it.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};

use crate::scenario::authored::At;
use crate::scenario::refusal::Flaw;

/// A value of any kind, and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) place: Location,
    /// Where its characters stand, if it is an alias.
    defined: Location,
    pub(super) value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    /// One word: a number, `true`, `5s`, `null`, as it may stand without quotes anywhere.
    Word(String),
    /// Any other text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the author's order.
    Mapping(Vec<(At<String>, Node)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned {
            value,
            referenced,
            defined,
        } = Spanned::deserialize(deserializer)?;
        Ok(Self {
            place: referenced,
            defined,
            value,
        })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
                Ok(Value::Word(v.to_string()))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
                Ok(Value::Word(v.to_string()))
            }
            fn visit_i128<E>(self, v: i128) -> Result<Value, E> {
                Ok(Value::Word(v.to_string()))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
                Ok(Value::Word(v.to_string()))
            }
            fn visit_u128<E>(self, v: u128) -> Result<Value, E> {
                Ok(Value::Word(v.to_string()))
            }
            fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
                Ok(Value::Word(v.to_string()))
            }
            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Word("null".to_owned()))
            }
            fn visit_str<E>(self, v: &str) -> Result<Value, E> {
                Ok(Value::Text(v.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Value::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Value::Mapping(entries))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl Node {
    /// Takes words as they stand in the text: `0x10` is not 16 to one who reads a name, nor to the
    /// author. What is the same without quotes is a word.
    pub(super) fn keeping_words_of(mut self, text: &str) -> Self {
        let span = self.defined.span();
        let written = (span.byte_offset())
            .zip(span.byte_len())
            .and_then(|(at, len)| {
                let at = usize::try_from(at).ok()?;
                text.get(at..at + usize::try_from(len).ok()?)
            });
        self.value = match (self.value, written) {
            (Value::Word(_), Some(w)) if is_word(w) => Value::Word(w.to_owned()),
            (Value::Text(t), Some(w)) if is_word(w) && t == w => Value::Word(t),
            (Value::List(items), _) => Value::List(
                items
                    .into_iter()
                    .map(|n| n.keeping_words_of(text))
                    .collect(),
            ),
            (Value::Mapping(entries), _) => Value::Mapping(
                entries
                    .into_iter()
                    .map(|(key, n)| (key, n.keeping_words_of(text)))
                    .collect(),
            ),
            (value, _) => value,
        };
        self
    }

    /// Takes the value of a key out of a mapping.
    pub(super) fn take(&mut self, key: &str) -> Option<(At<String>, Node)> {
        let Value::Mapping(entries) = &mut self.value else {
            return None;
        };
        let at = entries.iter().position(|(k, _)| k.value == key)?;
        Some(entries.remove(at))
    }

    /// Puts a value in, in place of the one that is there; `path` is what is left of `key`.
    pub(super) fn put(
        &mut self,
        path: &[&str],
        key: &At<String>,
        value: &Node,
    ) -> Result<(), Flaw> {
        let Some((first, rest)) = path.split_first() else {
            self.clone_from(value);
            return Ok(());
        };
        if matches!(&self.value, Value::Word(w) if w == "null") {
            self.value = Value::Mapping(Vec::new());
        }
        let Value::Mapping(entries) = &mut self.value else {
            return Err(Flaw::new(
                key.place,
                format!(
                    "nothing can be put in at `{}`: no mapping stands there",
                    key.value
                ),
                "name a key of the scenario, with a dot between a mapping and its key, such as `router.mrai`",
            ));
        };
        let at = match entries.iter().position(|(k, _)| k.value == *first) {
            Some(at) => at,
            None => {
                let name = At {
                    value: (*first).to_owned(),
                    place: key.place,
                };
                let nothing = Node {
                    place: key.place,
                    defined: key.place,
                    value: Value::Word("null".to_owned()),
                };
                entries.push((name, nothing));
                entries.len() - 1
            }
        };
        entries[at].1.put(rest, key, value)
    }

    /// The value on one line, as a reader would write it.
    pub(super) fn label(&self) -> String {
        match &self.value {
            Value::Word(text) | Value::Text(text) => text.clone(),
            Value::List(items) => {
                let items: Vec<String> = items.iter().map(Node::label).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Mapping(entries) => {
                let pair =
                    |(key, node): &(At<String>, Node)| format!("{}: {}", key.value, node.label());
                let pairs: Vec<String> = entries.iter().map(pair).collect();
                format!("{{{}}}", pairs.join(", "))
            }
        }
    }
}

/// Whether a text means the same in every style of YAML.
fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "._-/+".contains(c);
    text.starts_with(|c: char| {
        c.is_alphanumeric() || "+.".contains(c) || c == '-' && text.len() > 1
    }) && text.chars().all(plain)
        && !text.starts_with("---")
        && text != "..."
}

/// A text of one line, and where each of its parts was written.
#[derive(Debug, Default)]
pub(super) struct Composed {
    pub(super) text: String,
    /// Length of the text so far, in characters.
    length: usize,
    /// Ascending: from which character on, and whence.
    places: Vec<(usize, Location)>,
}

impl Composed {
    pub(super) fn of(node: &Node) -> Self {
        let mut composed = Self::default();
        composed.node(node);
        composed
    }

    /// Where the author wrote what stands at a place of this text.
    pub(super) fn origin(&self, place: Location) -> Location {
        let Some(at) = usize::try_from(place.column())
            .ok()
            .and_then(|c| c.checked_sub(1))
        else {
            return Location::UNKNOWN;
        };
        let after = self.places.partition_point(|(from, _)| *from <= at);
        (after.checked_sub(1)).map_or(Location::UNKNOWN, |i| self.places[i].1)
    }

    fn node(&mut self, node: &Node) {
        self.places.push((self.length, node.place));
        match &node.value {
            Value::Word(word) => self.push(word),
            Value::Text(text) => self.quoted(text),
            Value::List(items) => {
                self.push("[");
                for (i, item) in items.iter().enumerate() {
                    self.push(if i == 0 { "" } else { ", " });
                    self.node(item);
                }
                self.push("]");
            }
            Value::Mapping(entries) => {
                self.push("{");
                for (i, (key, value)) in entries.iter().enumerate() {
                    self.push(if i == 0 { "" } else { ", " });
                    self.places.push((self.length, key.place));
                    self.quoted(&key.value);
                    self.push(": ");
                    self.node(value);
                }
                self.push("}");
            }
        }
    }

    /// A text in quotes: those of JSON are YAML's.
    fn quoted(&mut self, text: &str) {
        self.push(&serde_json::Value::from(text).to_string());
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.length += text.chars().count();
    }
}
