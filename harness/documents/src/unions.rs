//! Values that may be written in more than one way: text or a mapping, one or several.
//!
//! Each looks at what is there and then reads that form (serde's `untagged` tries one after the other),
//! so that errors keep their places. Text stays a node of the tree where its lines must be found again.

use netproof_api::yaml::{Node, Value};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;

/// A string, or a mapping with fields.
#[derive(Clone, Debug)]
pub enum TextOr<T> {
    /// The string's node.
    Text(Node),
    /// The mapping.
    Fields(T),
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Node::deserialize(deserializer)?;
        match &node.value {
            Value::String(_) => Ok(TextOr::Text(node)),
            Value::Mapping(_) => node.read().map(TextOr::Fields),
            _ => Err(D::Error::custom(format!(
                "a string or a mapping is wanted here, not {}",
                node.describe()
            ))),
        }
    }
}

impl<T: JsonSchema> JsonSchema for TextOr<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}OrText", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, generator.subschema_for::<T>()] })
    }
}

/// A string, or a list.
#[derive(Clone, Debug)]
pub enum TextOrList<T> {
    /// The string's node.
    Text(Node),
    /// The list.
    List(Vec<T>),
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for TextOrList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Node::deserialize(deserializer)?;
        match &node.value {
            Value::String(_) => Ok(TextOrList::Text(node)),
            Value::Sequence(_) => node.read().map(TextOrList::List),
            _ => Err(D::Error::custom(format!("a string or a list is wanted here, not {}", node.describe()))),
        }
    }
}

impl<T: JsonSchema> JsonSchema for TextOrList<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}ListOrText", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string" },
                { "type": "array", "items": generator.subschema_for::<T>(), "minItems": 1 },
            ]
        })
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Node::deserialize(deserializer)?;
        match &node.value {
            Value::Sequence(_) => node.read().map(OneOrMany),
            _ => node.read().map(|one| OneOrMany(vec![one])),
        }
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}List", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    }
}

/// A number or a string, kept as it is written: `80`, `53/udp`, `8001:8000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortText(pub String);

impl fmt::Display for PortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PortText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Node::deserialize(deserializer)?;
        match &node.value {
            Value::Int(number) => Ok(PortText(number.to_string())),
            Value::String(text) => Ok(PortText(text.clone())),
            _ => Err(D::Error::custom(format!("a port is wanted here, not {}", node.describe()))),
        }
    }
}

impl JsonSchema for PortText {
    fn schema_name() -> Cow<'static, str> {
        "Port".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 65535 }, { "type": "string" }] })
    }
}
